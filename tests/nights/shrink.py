"""Makes a history that fails smaller, for as long as it goes on failing. Holds no test."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

from tests.nights.history import History, Land, Night, Row, show
from tests.nights.world import DifferentError, World, hurried


def lives(history: History, *, whole: bool = False) -> World:
    """Lives through a history in a folder of its own; `whole` nights do all that a night does.

    Raises:
        DifferentError: as soon as a night's tables are not those of its ledger.
    """
    with hurried(whole=whole), tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), marts_every=1 if whole else 2, whole=whole)
        world.live(history)
        return world


def must_hold(history: History) -> World:
    """As `lives`; what fails is told with a smaller history that fails too."""
    try:
        return lives(history)
    except Exception as error:
        raise AssertionError(told(*smallest(history, error))) from error


def told(history: History, error: Exception) -> str:
    return f"{type(error).__name__}: {error}\nReplay it with tests.nights.shrink.lives:\n{show(history)}"


def smallest(history: History, error: Exception, seconds: float = 120) -> tuple[History, Exception]:
    """A smaller history that fails in the same way, and how; what the time allows."""
    until = time.monotonic() + seconds
    found = error
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for candidate in _smaller(history):
            if time.monotonic() > until:
                return history, found
            failure = _failure(candidate)
            if failure is not None and _same(failure, error):
                history, found, is_smaller = candidate, failure, True
                break
    return history, found


def _failure(history: History) -> Exception | None:
    try:
        lives(history)
    except Exception as error:
        return error
    return None


def _same(one: Exception, other: Exception) -> bool:
    return type(one) is type(other) and (isinstance(one, DifferentError) or str(one) == str(other))


def _smaller(history: History) -> Iterator[History]:
    """Candidates, those that leave out most first."""
    nights = [number for number, step in enumerate(history) if isinstance(step, Night)]
    yield from (history[: end + 1] for end in nights[:-1])
    size = len(history) // 2
    while size:
        yield from (history[:at] + history[at + size :] for at in range(0, len(history) - size + 1, size))
        size //= 2
    yield from _changed(history, _fewer_rows)
    yield from _changed(history, _simpler)


def _changed(history: History, change: Callable[[object], Iterator[object]]) -> Iterator[History]:
    for number, step in enumerate(history):
        for other in change(step):
            yield (*history[:number], other, *history[number + 1 :])  # type: ignore[misc]


def _fewer_rows(step: object) -> Iterator[object]:
    if isinstance(step, Land):
        size = len(step.rows) // 2
        while size:
            for at in range(0, len(step.rows) - size + 1, size):
                yield replace(step, rows=step.rows[:at] + step.rows[at + size :])
            size //= 2


def _simpler(step: object) -> Iterator[object]:
    if isinstance(step, Night) and step.fails:
        yield replace(step, fails="", again=False)
    if isinstance(step, Land):
        if step.apart:
            yield replace(step, apart=False)
        for number, row in enumerate(step.rows):
            for field in fields(Row):
                if field.name not in ("source", "at", "activity", "id") and getattr(row, field.name) != field.default:
                    rows = (*step.rows[:number], replace(row, **{field.name: field.default}), *step.rows[number + 1 :])
                    yield replace(step, rows=rows)

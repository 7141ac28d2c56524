"""Where the CPU of a stage goes, by function: what a function does itself and in the compiled code that it calls.

The time of a query is that of the function that asked for it, all threads included.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

MOST = 8


@contextmanager
def hottest(told: dict[str, Any], stage: str) -> Iterator[None]:
    """Adds to `told[stage]` the functions that took most CPU: pairs of name and seconds, at most `MOST`."""
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        told[stage] = _own(profile)[:MOST]


def _own(profile: cProfile.Profile) -> list[tuple[str, float]]:
    stats = cast(dict[Any, Any], pstats.Stats(profile).stats)  # type: ignore[attr-defined]
    spent: dict[str, float] = {}
    for function, (_, _, own, _, callers) in stats.items():
        # Compiled code and the libraries' own Python have no say in it: it is booked on whoever called them.
        if _is_ours(function):
            spent[_name(function)] = spent.get(_name(function), 0.0) + own
        else:
            for caller, (_, _, its, _) in callers.items():
                name = _name(_ours_above(caller, stats))
                spent[name] = spent.get(name, 0.0) + its
    return sorted(((name, round(seconds, 2)) for name, seconds in spent.items()), key=lambda pair: -pair[1])


def _is_ours(function: tuple[str, int, str]) -> bool:
    return "/klantspoor/" in function[0] or "/bench/" in function[0]


def _ours_above(function: tuple[str, int, str], stats: dict[Any, Any]) -> tuple[str, int, str]:
    """The nearest function of ours above it, by whoever called it for longest; itself where there is none."""
    seen = set()
    while not _is_ours(function) and function not in seen and stats[function][4]:
        seen.add(function)
        function = max(stats[function][4].items(), key=lambda pair: float(pair[1][3]))[0]
    return function


def _name(function: tuple[str, int, str]) -> str:
    path = Path(function[0])
    return f"{path.parent.name}/{path.name}:{function[2]}"

"""Decisions of stewards: what people who looked into it decided about identifiers, kept beside the evidence of sources.

`identity-decisions.jsonl` in the project's folder: one JSON object a line, only ever added to, identifiers as their
pseudonyms. What stands is `in_force`: the latest decision about each pair (or each blocked identifier), those that
were withdrawn left out. What a decision does to persons is for `klantspoor.identity`'s resolution; asking for one is
for the command line.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from klantspoor.errors import ConfigError, KlantspoorError, Problem

FILE = "identity-decisions.jsonl"
VERBS = ("force", "forbid", "block", "withdraw")
LONGEST_TEXT = 500
_KEYS = ("number", "decided_at", "verb", "a", "b", "who", "why")
_PSEUDONYM = re.compile(r"[0-9a-f]{24}")
_TYPE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_HINT = "put the file back from a back-up; lines are only ever added to it, by `klantspoor identity`"


class DecisionError(KlantspoorError):
    """A decision cannot be taken: it says again what stands, withdraws nothing, or contradicts others."""


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """One identifier: its type, and its pseudonym (24 hex digits)."""

    type: str
    identifier: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the file.

    `verb` is "force" (`a` and `b` are one person's), "forbid" (they are not), "block" (`a` is nobody's; `b` is None) or
    "withdraw" (the decision about `a` and `b`, or the block of `a`, no longer stands). `decided_at` is in UTC.
    """

    number: int
    decided_at: datetime
    verb: str
    a: Identifier
    b: Identifier | None
    who: str
    why: str

    @property
    def about(self) -> frozenset[Identifier]:
        """What it is about, in whatever order: two identifiers, or the one that is blocked."""
        return frozenset((self.a,) if self.b is None else (self.a, self.b))

    def to_json(self) -> str:
        """Its line, without the line end."""
        return json.dumps(asdict(self) | {"decided_at": self.decided_at.isoformat()}, ensure_ascii=True)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Decisions that cannot all stand, and why."""

    decisions: tuple[Decision, ...]
    reason: str

    def __str__(self) -> str:
        told = "; ".join(
            f"{one.number} ({one.verb}, {one.decided_at:%Y-%m-%d}, by {one.who}: {one.why})" for one in self.decisions
        )
        return f"{self.reason}: decisions {told}"


def read_decisions(project_root: Path) -> list[Decision]:
    """Every decision ever taken, in order; none where there is no file.

    Raises:
        ConfigError: naming each line that is damaged, and what is expected there.
    """
    try:
        content = (Path(project_root) / FILE).read_bytes()
    except FileNotFoundError:
        return []
    return _parse(content)


def in_force(decisions: Sequence[Decision]) -> list[Decision]:
    """The latest decision about each pair of identifiers, or each blocked one, without those withdrawn; in order."""
    latest = {decision.about: decision for decision in sorted(decisions, key=lambda decision: decision.number)}
    return sorted((d for d in latest.values() if d.verb != "withdraw"), key=lambda decision: decision.number)


def contradictions(decisions: Sequence[Decision]) -> list[Contradiction]:
    """What cannot all stand of decisions that are in force.

    Two identifiers that are forbidden to be one person's, yet forced to be, directly or over others: the shortest such
    way is named. And an identifier that is blocked, so nobody's, yet forced to be somebody's.
    """
    forces = [decision for decision in decisions if decision.verb == "force"]
    found = []
    beside: dict[Identifier, list[tuple[Identifier, Decision]]] = {}
    for force in forces:
        for one in force.about:
            (other,) = force.about - {one}
            beside.setdefault(one, []).append((other, force))
    for decision in decisions:
        if decision.verb == "forbid" and decision.b is not None:
            way = _way(beside, decision.a, decision.b)
            if way:
                reason = "identifiers are forced to be one person's that are forbidden to be"
                found.append(Contradiction((*way, decision), reason))
        elif decision.verb == "block":
            joined = tuple(force for _, force in beside.get(decision.a, []))
            if joined:
                found.append(Contradiction((*joined, decision), "a blocked identifier is forced to be somebody's"))
    return found


def append(
    project_root: Path,
    verb: str,
    a: Identifier,
    b: Identifier | None,
    who: str,
    why: str,
    decided_at: datetime | None = None,
) -> Decision:
    """Adds a decision at the end of the file, synced to disk; earlier lines are not touched.

    The file is made where there is none, readable by its owner only. Others who decide at the same time wait.

    Args:
        project_root: the project's folder.
        verb: one of `VERBS`.
        a: an identifier.
        b: the other one of a pair; None for a block and the withdrawal of one.
        who: who decided: one line, at most 500 characters.
        why: why, likewise. Neither may hold a plain identifier; the caller sees to that.
        decided_at: an aware instant; default: now.

    Raises:
        ConfigError: the file is damaged, or what is to be added is not as it should be; nothing is added.
        DecisionError: it says again what stands, withdraws nothing, or contradicts what stands; nothing is added.
    """
    with _locked(Path(project_root) / FILE) as handle:
        before = _parse(_content(handle))
        number = before[-1].number + 1 if before else 1
        moment = (decided_at or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
        decision = Decision(number, moment, verb, a, b, who, why)
        line = decision.to_json()
        try:
            _judge(line, number, number)
        except ConfigError as error:
            hint = "nothing was written"
            raise ConfigError([replace(problem, hint=hint, line=None) for problem in error.problems]) from None
        _refuse_pointless(before, decision)
        _write(handle, line.encode() + b"\n")
    return decision


def _refuse_pointless(before: list[Decision], decision: Decision) -> None:
    standing = in_force(before)
    same = next((one for one in standing if one.about == decision.about), None)
    if decision.verb == "withdraw":
        if same is None:
            raise DecisionError("No decision about this stands, so there is none to withdraw.")
        return
    if same is not None and same.verb == decision.verb:
        raise DecisionError(
            f"Decision {same.number} says so already ({same.verb}, {same.decided_at:%Y-%m-%d}, by {same.who}: {same.why})."
        )
    # Only what the new decision takes part in: an older contradiction must not keep anyone from mending it.
    against = [one for one in contradictions(in_force([*before, decision])) if decision in one.decisions]
    if against:
        raise DecisionError(
            "Not written. "
            + " ".join(f"{one}." for one in against)
            + f" (Number {decision.number} would be the new one.) Withdraw one of the others first:"
            " klantspoor identity withdraw NUMBER"
        )


def _way(
    beside: dict[Identifier, list[tuple[Identifier, Decision]]], start: Identifier, end: Identifier
) -> list[Decision]:
    """The fewest forces that lead from one identifier to the other; none where none do."""
    came: dict[Identifier, tuple[Identifier, Decision] | None] = {start: None}
    waiting = deque([start])
    while waiting and end not in came:
        here = waiting.popleft()
        for there, force in beside.get(here, []):
            if there not in came:
                came[there] = (here, force)
                waiting.append(there)
    way = []
    step = came.get(end)
    while step is not None:
        way.append(step[1])
        step = came[step[0]]
    return way[::-1]


# --- the file --------------------------------------------------------------------------------------------------------


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file, made where there is none, while nobody else has it to write."""
    new = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.fchmod(handle, 0o600)
        yield handle
    finally:
        os.close(handle)
    if new:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _content(handle: int) -> bytes:
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)
        return file.read()


def _write(handle: int, line: bytes) -> None:
    """Writes the whole line or, where the disk is full, nothing of it."""
    size = os.fstat(handle).st_size
    try:
        written = os.write(handle, line)
        if written != len(line):
            raise OSError(f"the disk took {written} of {len(line)} bytes")
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, size)
        raise


def _parse(content: bytes) -> list[Decision]:
    """The decisions of the file's bytes.

    Raises:
        ConfigError: with a problem for each damaged line.
    """
    lines = content.split(b"\n")
    problems, decisions = [], []
    if lines.pop():
        problems.append(_problem(len(lines) + 1, "", "is cut off: it has no line end", "a whole line"))
    last = 0
    for number, line in enumerate(lines, start=1):
        try:
            decision = _judge(line, number, last + 1)
        except ConfigError as error:
            problems += error.problems
            continue
        last = decision.number
        decisions.append(decision)
    if problems:
        raise ConfigError(problems)
    return decisions


def _judge(line: bytes | str, at: int, least: int) -> Decision:
    """The decision of one line, whose number must be `least` or more: forgetting a person leaves gaps.

    Raises:
        ConfigError: where it is none.
    """
    expected = f"a JSON object with the keys {', '.join(_KEYS)}"
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigError([_problem(at, "", "is not JSON", expected)]) from None
    if not isinstance(found, dict) or set(found) != set(_KEYS):
        raise ConfigError([_problem(at, "", "does not have the keys of a decision", expected)])
    number, verb = found["number"], found["verb"]
    moment = _moment(found["decided_at"])
    a, b = _identifier(found["a"]), _identifier(found["b"])
    pair = found["b"] is not None
    checks = (
        ("number", type(number) is int and number >= least, f"a whole number, {least} or more: numbers only rise"),
        ("decided_at", moment is not None, "an instant in UTC, such as 2026-11-25T09:30:00+00:00"),
        ("verb", verb in VERBS, f"one of {', '.join(VERBS)}"),
        ("a", a is not None, 'an identifier: {"type": …, "identifier": 24 hexadecimal digits}'),
        ("b", b is not None or not pair, "an identifier as a is, or null"),
        ("b", pair or verb in ("block", "withdraw"), f"an identifier: {verb} is about two"),
        ("b", not pair or verb != "block", "null: block is about one identifier"),
        ("b", not pair or a != b, "another identifier than a"),
        ("who", _is_text(found["who"]), f"one line of text, at most {LONGEST_TEXT} characters"),
        ("why", _is_text(found["why"]), f"one line of text, at most {LONGEST_TEXT} characters"),
    )
    problems = [_problem(at, key, "is not as it should be", expected) for key, holds, expected in checks if not holds]
    if problems or moment is None or a is None:
        raise ConfigError(problems)
    return Decision(number, moment, verb, a, b, found["who"], found["why"])


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment.astimezone(UTC) if moment.utcoffset() == timedelta(0) else None


def _identifier(value: Any) -> Identifier | None:
    if not isinstance(value, dict) or set(value) != {"type", "identifier"}:
        return None
    kind, pseudonym = value["type"], value["identifier"]
    if not isinstance(kind, str) or not isinstance(pseudonym, str):
        return None
    return Identifier(kind, pseudonym) if _TYPE.fullmatch(kind) and _PSEUDONYM.fullmatch(pseudonym) else None


def _is_text(value: Any) -> bool:
    return (
        isinstance(value, str) and 0 < len(value.strip()) <= len(value) <= LONGEST_TEXT and not _NO_TEXT.search(value)
    )


def _problem(line: int, where: str, message: str, expected: str) -> Problem:
    # What stands there is not shown: a line written by hand may hold anything.
    return Problem(FILE, where, message, expected=expected, hint=_HINT, line=line)

"""The naive oracle's waits: whose turn it was and what the time went to.

Section "Waits" of docs/journeys.md. Every wait is chopped at every instant at which anything could change, each piece
is judged alone, and neighbours that are alike are put together again. Shares no code with `klantspoor.journeys`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from oracle_events import Event, fits_any

from klantspoor.project.model import Turns

DECLARATIONS = (
    "asks_us",
    "asks_customer",
    "promises",
    "settles",
    "hands_to_partner",
    "returns_from_partner",
    "chases",
)
SETS_TURN = {
    "asks_us": "organisation",
    "asks_customer": "customer",
    "settles": "nobody",
    "hands_to_partner": "partner",
    "returns_from_partner": "organisation",
    "chases": "organisation",
}
MOVES_NEXT = {"organisation": "organisation", "system": "organisation", "partner": "partner", "customer": "nobody"}


@dataclass(frozen=True)
class Stretch:
    """A part of the wait after touchpoint `touchpoint_number` with one turn and one cause; instants in µs."""

    touchpoint_number: int
    stretch_number: int
    turn: str
    cause: str
    start: int
    end: int
    is_open: bool
    activity: str | None
    team: str | None


@dataclass(frozen=True)
class Wait:
    """`next_initiator` made the move that ended it; an open one has no such move."""

    touchpoint_number: int
    start: int
    end: int
    is_open: bool
    next_initiator: str | None


@dataclass(frozen=True)
class Block:
    """Steps united: its first in order, its first that lasts, and its last to end (of equals, the last in order)."""

    start: int
    end: int
    first: Event
    lasting: Event | None
    last: Event


def whole_seconds(stretches: list[Stretch]) -> list[int]:
    """The `seconds` of one wait's stretches, counted from the wait's start."""
    origin = stretches[0].start
    return [(s.end - origin) // 1_000_000 - (s.start - origin) // 1_000_000 for s in stretches]


def declared_turns(members: list[tuple[Event, bool]], turns: Turns) -> list[tuple[int, str | None]]:
    """(instant, turn from then on), by time; `members` are (event, visible) in order, without answers.

    Of several at one instant the last counts; None means that nothing but promises was declared so far.
    """
    declared: list[tuple[Event, str]] = []
    for event, _ in sorted(members, key=lambda m: (m[0].at, m[0].tie_order, not m[1])):  # stable: then in order
        what = next((name for name in DECLARATIONS if fits_any(getattr(turns, name), event)), None)
        if what is not None:
            declared.append((event, what))
    states: list[str | None] = []
    asked: int | None = None  # place of the last asks_us that no settles has followed
    for number, (_, what) in enumerate(declared):
        if what == "chases" and asked is not None:
            for earlier in range(asked, number):
                if states[earlier] != "partner":
                    states[earlier] = "organisation"
        if what == "asks_us":
            asked = number
        elif what == "settles":
            asked = None
        before = states[-1] if states else None
        unmoved = what == "promises" or (what == "chases" and before == "partner")
        states.append(before if unmoved else SETS_TURN[what])
    return [(event.at, state) for (event, _), state in zip(declared, states, strict=True)]


def touches(step: Event, wait: Wait) -> bool:
    starts_in = wait.start <= step.at < wait.end
    runs_into = step.at < wait.start < step.until
    return starts_in or runs_into


def blocks_of(steps: list[Event]) -> list[Block]:
    """The steps (in order, so by start) united where they overlap or touch."""
    groups: list[list[Event]] = []
    for step in steps:
        if groups and step.at <= max(earlier.until for earlier in groups[-1]):
            groups[-1].append(step)
        else:
            groups.append([step])
    result = []
    for group in groups:
        end = max(step.until for step in group)
        last = [step for step in group if step.until == end][-1]
        lasting = next((step for step in group if step.until > step.at), None)
        result.append(Block(group[0].at, end, group[0], lasting, last))
    return result


def stretches_of(
    wait: Wait, steps: list[Event], declared: list[tuple[int, str | None]], closed: list[tuple[int, int]]
) -> list[Stretch]:
    """The wait's stretches in order; `steps` are the journey's internal steps in order."""
    touching = [step for step in steps if touches(step, wait)]
    blocks = blocks_of(touching)
    busy_until = max((min(step.until, wait.end) for step in touching), default=wait.start)
    edges = {wait.start, wait.end, busy_until}
    edges |= {at for at, _ in declared}
    edges |= {edge for step in touching for edge in (step.at, step.until)}
    edges |= {edge for interval in closed for edge in interval}
    result: list[Stretch] = []
    for start, end in pairwise(sorted(edge for edge in edges if wait.start <= edge <= wait.end)):
        turn = turn_at(start, wait, busy_until, declared)
        cause, activity, team = turn, None, None
        if turn == "organisation":
            cause, activity, team = our_cause(start, end, touching, blocks, closed)
        alike = result and (result[-1].turn, result[-1].cause, result[-1].activity, result[-1].team)
        if alike == (turn, cause, activity, team):
            start = result.pop().start  # noqa: PLW2901 - the piece grows backwards over its like
        number = len(result) + 1
        result.append(Stretch(wait.touchpoint_number, number, turn, cause, start, end, wait.is_open, activity, team))
    return result


def turn_at(instant: int, wait: Wait, busy_until: int, declared: list[tuple[int, str | None]]) -> str:
    turn = None
    for at, state in declared:
        if at <= instant:
            turn = state
    if turn is not None:
        return turn
    if instant < busy_until:
        return "organisation"
    if wait.is_open:
        return "undetermined"
    return MOVES_NEXT.get(wait.next_initiator or "", "undetermined")


def our_cause(
    start: int, end: int, touching: list[Event], blocks: list[Block], closed: list[tuple[int, int]]
) -> tuple[str, str | None, str | None]:
    """Cause, internal activity and team of a piece in which it is our turn and nothing changes."""
    for block in blocks:
        if block.lasting is not None and block.start <= start < block.end:
            return "working", block.lasting.activity, block.lasting.team
    if any(opening <= start < closing for opening, closing in closed):
        return "closed", None, None
    if not touching:
        return "unexplained", None, None
    before = [block for block in blocks if block.end <= start]
    after = [block for block in blocks if block.start >= end]
    if not after:
        return "queueing", None, None
    following = after[0].first
    if before:
        team = before[-1].last.team
        if team is not None and following.team is not None and team != following.team:
            return "handover", following.activity, following.team
    return "queueing", following.activity, following.team

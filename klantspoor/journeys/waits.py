"""Waits cut into stretches, each with a turn and a cause (docs/journeys.md, "Waits").

Every function is a pass over columns. Times are microseconds since 1970 UTC; a stretch or wait is [start, end).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from klantspoor.dictionary.columns import CAUSES, TURNS
from klantspoor.journeys.rules import (
    ASKS_CUSTOMER,
    ASKS_US,
    CHASES,
    HANDS_TO_PARTNER,
    PROMISES,
    RETURNS_FROM_PARTNER,
    SETTLES,
)
from klantspoor.journeys.segments import (
    Bools,
    Ints,
    Keys,
    changes,
    ends_of,
    expand,
    last_index_where,
    numbers,
    running_max,
    starts_of,
    within,
)

Small = npt.NDArray[np.int8]
Codes = npt.NDArray[np.int32]

ORGANISATION, PARTNER, CUSTOMER, NOBODY, UNDETERMINED = range(len(TURNS))
UNDECLARED = -1
BY_PARTNER, WORKING, CLOSED, HANDOVER, QUEUEING, UNEXPLAINED, BY_CUSTOMER, BY_NOBODY, BY_UNDETERMINED = range(
    len(CAUSES)
)
_CAUSE_OF_TURN = np.array([UNEXPLAINED, BY_PARTNER, BY_CUSTOMER, BY_NOBODY, BY_UNDETERMINED], dtype=np.int8)
_TURN_AFTER = {
    ASKS_US: ORGANISATION,
    CHASES: ORGANISATION,
    ASKS_CUSTOMER: CUSTOMER,
    SETTLES: NOBODY,
    HANDS_TO_PARTNER: PARTNER,
    RETURNS_FROM_PARTNER: ORGANISATION,
}


@dataclass(frozen=True, slots=True)
class Waits:
    """Waits sorted by (journey, start). `after` is the number of the touchpoint before it.

    `next_mover` is the turn of what follows the last declared or internal sign: who makes the next move.
    """

    journey: Ints
    after: Ints
    start: Ints
    end: Ints
    is_open: Bools
    next_mover: Small


@dataclass(frozen=True, slots=True)
class Declared:
    """Declared activities, sorted by (journey, time, visible before internal, order); `turn` is one of the rules' codes."""

    journey: Ints
    at: Ints
    turn: Small


@dataclass(frozen=True, slots=True)
class Steps:
    """Internal steps, sorted by (journey, order). `activity` and `team` are codes, team -1 where unknown."""

    journey: Ints
    at: Ints
    until: Ints
    activity: Codes
    team: Codes


@dataclass(frozen=True, slots=True)
class Calendar:
    """Closed intervals [start, end), sorted and disjoint; both empty where the organisation is always open."""

    start: Ints
    end: Ints


@dataclass(frozen=True, slots=True)
class Stretches:
    """The answer: `wait` indexes the waits; sorted by (wait, start). Activity and team are codes, -1 for none."""

    wait: Ints
    number: Ints
    turn: Small
    cause: Small
    start: Ints
    end: Ints
    seconds: Ints
    activity: Codes
    team: Codes


@dataclass(frozen=True, slots=True)
class _Blocks:
    """United steps inside waits, sorted by (wait, start); `begin[w]:begin[w + 1]` are those of wait w."""

    wait: Ints
    start: Ints
    end: Ints
    first_activity: Codes
    first_team: Codes
    last_team: Codes
    work_activity: Codes
    work_team: Codes
    begin: Ints


def cut_waits(waits: Waits, declared: Declared, steps: Steps, calendar: Calendar) -> Stretches:
    """Cuts every wait into stretches with one turn and cause; they are disjoint, in order, not empty, and sum to the wait."""
    journeys = 1 + max(int(column.max(initial=0)) for column in (waits.journey, declared.journey, steps.journey))
    keys = Keys(journeys, waits.start, waits.end, declared.at, steps.at, steps.until + (steps.until == steps.at))
    blocks = _blocks(waits, steps, keys)
    wait, start, turn = _turns(waits, declared, blocks, keys)
    end = _ends(waits, wait, start)
    return _causes(waits, blocks, calendar, wait, start, end, turn)


def _ends(waits: Waits, wait: Ints, start: Ints) -> Ints:
    """The end of each stretch: the start of the next one of its wait, or the wait's end."""
    if not len(wait):
        return start
    return np.where(np.append(wait[1:] != wait[:-1], True), waits.end[wait], np.append(start[1:], 0))


def _blocks(waits: Waits, steps: Steps, keys: Keys) -> _Blocks:
    """Unites the steps that touch each wait, clipped to it."""
    # A step without duration lies in [at, at + 1): so one comparison serves both kinds.
    reach = np.maximum(steps.until, steps.at + 1)
    low = np.searchsorted(keys.key(waits.journey, waits.end), keys.key(steps.journey, steps.at), side="right")
    high = np.searchsorted(keys.key(waits.journey, waits.start), keys.key(steps.journey, reach), side="left")
    step, wait = expand(low, high)
    order = np.lexsort((step, wait))
    step, wait = step[order], wait[order]
    start = np.maximum(steps.at[step], waits.start[wait])
    end = np.minimum(steps.until[step], waits.end[wait])
    group = changes(wait)
    latest = running_max(end, group)
    new = group.copy()
    new[1:] |= start[1:] > latest[:-1]
    first = starts_of(new)
    last = ends_of(new) - 1
    block = numbers(new)
    # The step that ends last, of equals the last in order.
    final = np.lexsort((step, end, block))[last] if len(step) else first
    # The first step that lasts names the work; a block without one is never worked in.
    lasting = np.flatnonzero(end > start)
    worker = first.copy()
    if len(lasting):
        head = lasting[changes(block[lasting])]
        worker[block[head]] = head
    return _Blocks(
        wait=wait[first],
        start=start[first],
        end=latest[last] if len(step) else start,
        first_activity=steps.activity[step[first]],
        first_team=steps.team[step[first]],
        last_team=steps.team[step[final]],
        work_activity=steps.activity[step[worker]],
        work_team=steps.team[step[worker]],
        begin=np.searchsorted(wait[first], np.arange(len(waits.start) + 1)),
    )


def _states(declared: Declared) -> Small:
    """Whose turn it is from each declared activity on, chases taken into account."""
    size = len(declared.at)
    if not size:
        return np.empty(0, dtype=np.int8)
    table = np.full(7, UNDECLARED, dtype=np.int8)
    for code, turn in _TURN_AFTER.items():
        table[code] = turn
    state = table[declared.turn]
    journey = changes(declared.journey)
    chase = declared.turn == CHASES
    # A chase does not take the matter out of a partner's hands.
    holder = last_index_where(~chase, journey)
    state[chase & (holder >= 0) & (state[np.maximum(holder, 0)] == PARTNER)] = PARTNER
    # Everything from an unsettled asks_us to the last chase that follows it was ours, but for the partner's.
    ask = declared.turn == ASKS_US
    group = journey | ask | (declared.turn == SETTLES)
    head = starts_of(group)[numbers(group)]
    chased = np.zeros(int(group.sum()), dtype=np.int64) - 1
    np.maximum.at(chased, numbers(group)[chase], np.flatnonzero(chase))
    ours = ask[head] & (np.arange(size) < chased[numbers(group)]) & (state != PARTNER)
    state[ours] = ORGANISATION
    return state


def _turns(waits: Waits, declared: Declared, blocks: _Blocks, keys: Keys) -> tuple[Ints, Ints, Small]:
    """Stretches of one turn: (wait, start, turn), sorted; neighbours may still be alike."""
    count = len(waits.start)
    everyone = np.arange(count, dtype=np.int64)
    # The latest end of the steps in each wait: until then an undeclared wait is ours.
    worked = np.full(count, np.iinfo(np.int64).min)
    np.maximum.at(worked, blocks.wait, blocks.end)
    state = _states(declared)
    events = keys.key(declared.journey, declared.at)
    inside = np.searchsorted(keys.key(waits.journey, waits.start), events, side="left") - 1
    hit = np.maximum(inside, 0)
    inside_ok = (
        (inside >= 0)
        & (waits.journey[hit] == declared.journey)
        & (declared.at > waits.start[hit])
        & (declared.at < waits.end[hit])
        if count
        else np.zeros(len(events), dtype=bool)
    )
    middle = (worked > waits.start) & (worked < waits.end)
    wait = np.concatenate([everyone, inside[inside_ok], everyone[middle]])
    start = np.concatenate([waits.start, declared.at[inside_ok], worked[middle]])
    order = np.lexsort((start, wait))
    wait, start = wait[order], start[order]
    keep = changes(wait, start)
    wait, start = wait[keep], start[keep]
    latest = np.searchsorted(events, keys.key(waits.journey[wait], start), side="right") - 1
    known = (
        (latest >= 0) & (declared.journey[np.maximum(latest, 0)] == waits.journey[wait]) if len(events) else wait < 0
    )
    undeclared = np.where(start < worked[wait], ORGANISATION, waits.next_mover[wait])
    turn = np.where(known, state[np.maximum(latest, 0)] if len(events) else 0, undeclared).astype(np.int8)
    return wait, start, turn


def _causes(
    waits: Waits, blocks: _Blocks, calendar: Calendar, wait: Ints, start: Ints, end: Ints, turn: Small
) -> Stretches:
    """Splits our stretches by work and opening hours, names every stretch's cause, and unites those that are alike."""
    ours = np.flatnonzero(turn == ORGANISATION)
    mine = np.zeros(len(waits.start), dtype=bool)
    mine[wait[ours]] = True
    block = np.flatnonzero(mine[blocks.wait])
    shut, closure = expand(
        np.searchsorted(calendar.end, start[ours], side="right"),
        np.searchsorted(calendar.start, end[ours], side="left"),
    )
    stretch = ours[shut]
    shut_from = np.maximum(calendar.start[closure], start[stretch])
    shut_to = np.minimum(calendar.end[closure], end[stretch])
    zeros, ones = np.zeros(len(wait), dtype=np.int8), np.ones(len(block), dtype=np.int8)
    shut_one = np.ones(len(stretch), dtype=np.int8)
    point_wait = np.concatenate([wait, blocks.wait[block], blocks.wait[block], wait[stretch], wait[stretch]])
    point = np.concatenate([start, blocks.start[block], blocks.end[block], shut_from, shut_to])
    work = np.concatenate([zeros, ones, -ones, np.zeros(2 * len(stretch), dtype=np.int8)])
    shutness = np.concatenate([zeros, np.zeros(2 * len(block), dtype=np.int8), shut_one, -shut_one])
    begun = np.concatenate([zeros, ones, np.zeros(len(block) + 2 * len(stretch), dtype=np.int8)])
    holder = np.concatenate([np.arange(len(wait)), np.full(2 * len(block) + 2 * len(stretch), -1)])

    order = _by_wait(waits, point_wait, point)
    point_wait, point = point_wait[order], point[order]
    working = np.cumsum(work[order], dtype=np.int64)
    closed = np.cumsum(shutness[order], dtype=np.int64)
    started = np.cumsum(begun[order], dtype=np.int64)
    carried = np.maximum.accumulate(holder[order]) if len(order) else order
    # Of points at one instant the last has seen them all.
    keep = np.append(changes(point_wait, point)[1:], True) if len(order) else np.empty(0, dtype=bool)
    keep &= point < waits.end[point_wait]
    wait, start, turn = point_wait[keep], point[keep], turn[carried[keep]]
    # Blocks of waits that are not ours were left out of the count: number them within their wait.
    base = np.cumsum(np.bincount(blocks.wait[block], minlength=len(waits.start))) if len(waits.start) else started[:0]
    before = base[wait] - np.diff(blocks.begin)[wait] * mine[wait]
    seen = np.where(mine[wait], started[keep] - before, 0)
    return _named(waits, blocks, wait, start, turn, working[keep] > 0, closed[keep] > 0, seen)


def _by_wait(waits: Waits, wait: Ints, point: Ints) -> Ints:
    """The order of points in waits, by wait, then instant; equal ones in any order. One sort of one column if they fit."""
    since = point - waits.start[wait]
    span = int(since.max(initial=0)) + 1
    if len(waits.start) * span >= 2**63:
        return np.lexsort((point, wait))
    return np.argsort(wait * np.int64(span) + since)


def _named(
    waits: Waits,
    blocks: _Blocks,
    wait: Ints,
    start: Ints,
    turn: Small,
    working: Bools,
    closed: Bools,
    seen: Ints,
) -> Stretches:
    """Causes, activities and teams of elementary stretches; `seen` counts the blocks of the wait that have begun."""
    total = np.diff(blocks.begin)[wait]
    following = blocks.begin[wait] + seen
    has_next, has_previous = seen < total, seen > 0
    ours = turn == ORGANISATION
    if len(blocks.wait):
        top = len(blocks.wait) - 1
        nxt, prv = np.minimum(following, top), np.clip(following - 1, 0, top)
        from_team, to_team = blocks.last_team[prv], blocks.first_team[nxt]
        next_activity = np.where(has_next, blocks.first_activity[nxt], -1)
        next_team = np.where(has_next, to_team, -1)
        here_activity, here_team = blocks.work_activity[prv], blocks.work_team[prv]
        handover = has_next & has_previous & (from_team >= 0) & (to_team >= 0) & (from_team != to_team)
    else:
        next_activity = next_team = here_activity = here_team = np.full(len(wait), -1, dtype=np.int32)
        handover = np.zeros(len(wait), dtype=bool)
    waiting = np.where(total == 0, UNEXPLAINED, np.where(handover, HANDOVER, QUEUEING))
    cause = np.where(ours, np.where(working, WORKING, np.where(closed, CLOSED, waiting)), _CAUSE_OF_TURN[turn])
    queued = ours & ~working & ~closed & (total > 0)
    at_work = ours & working
    activity = np.where(at_work, here_activity, np.where(queued, next_activity, -1)).astype(np.int32)
    team = np.where(at_work, here_team, np.where(queued, next_team, -1)).astype(np.int32)
    new = changes(wait, turn, cause, activity, team)
    wait, start = wait[new], start[new]
    end = _ends(waits, wait, start)
    origin = waits.start[wait]
    return Stretches(
        wait=wait,
        number=within(changes(wait)) + 1,
        turn=turn[new],
        cause=cause[new].astype(np.int8),
        start=start,
        end=end,
        seconds=(end - origin) // 1_000_000 - (start - origin) // 1_000_000,
        activity=activity[new],
        team=team[new],
    )


def without_promises(turn: Small) -> Bools:
    """Which declared activities can change whose turn it is: a promise leaves it where it is."""
    return np.asarray((turn >= 0) & (turn != PROMISES), dtype=bool)

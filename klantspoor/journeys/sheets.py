"""Cutting: which journeys a type's events found, by case key, in streams, or by an opening without a key.

Rules 1, 2 and 4 of docs/journeys.md for one type at a time. A `TypeSheet` collects the journeys found and their direct
members. Which journey looser events join is in `klantspoor.journeys.loose`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from klantspoor.dictionary.columns import JOINED_BY
from klantspoor.journeys.rules import ANSWER, NO_ROLE, TypeRules
from klantspoor.journeys.segments import (
    Bools,
    Ints,
    changes,
    ends_of,
    expand,
    first_index_where,
    last_index_where,
    numbers,
    starts_of,
)
from klantspoor.journeys.slices import Slice

CASE_KEY, OPENING, STREAM, ACCOUNT_TOPIC, CONTACT, TOPIC, ACCOUNT, RECENCY, BEFORE_CASE = range(len(JOINED_BY))
"""The rules by which an event joins, as codes: places in JOINED_BY."""


@dataclass(frozen=True, slots=True)
class Directs:
    """The direct members of one type, sorted by (journey, position), and what follows from them per journey."""

    key: Ints
    first: Ints
    last: Ints
    close: Ints
    solved: Ints
    account: npt.NDArray[np.uint64]
    topic: npt.NDArray[np.int32]


NONE = np.empty(0, dtype=np.int64)
NO_DIRECTS = Directs(NONE, NONE, NONE, NONE, NONE, NONE.astype(np.uint64), NONE.astype(np.int32))


@dataclass(slots=True)
class TypeSheet:
    """The journeys of one type while they are being found; journey numbers are local to the type.

    By event: whether it is `loose` or a `companion`, whether `several` accounts are known in its `run` (-1: in none).
    """

    rules: TypeRules
    role: npt.NDArray[np.int8]
    loose: Bools
    companion: Bools
    several: Bools
    run: Ints
    founded: list[Ints] = field(default_factory=list)
    direct_event: list[Ints] = field(default_factory=list)
    direct_journey: list[Ints] = field(default_factory=list)
    direct_how: list[npt.NDArray[np.int8]] = field(default_factory=list)
    key: npt.NDArray[np.uint64] | None = None
    count: int = 0
    case_starts: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    case_accounts: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    directs: Directs = field(default_factory=lambda: NO_DIRECTS)

    def found(self, first: Ints) -> Ints:
        """Registers new journeys by the positions of their founding events; returns their numbers."""
        numbers_ = np.arange(self.count, self.count + len(first), dtype=np.int64)
        self.founded.append(first)
        self.count += len(first)
        return numbers_

    def join(self, event: Ints, journey: Ints, how: npt.NDArray[np.int8] | int) -> None:
        """Registers direct members."""
        self.direct_event.append(event)
        self.direct_journey.append(journey)
        self.direct_how.append(np.full(len(event), how, dtype=np.int8) if isinstance(how, int) else how)

    @property
    def first(self) -> Ints:
        """Founding position by journey."""
        return np.concatenate(self.founded) if self.founded else np.empty(0, dtype=np.int64)


def direct_members(events: Slice, person: Ints, rules: TypeRules) -> TypeSheet:
    """Rules 1 and 2 for one type, and which of its events they leave loose."""
    role = rules.role[events.kind]
    nothing = np.zeros(len(events), dtype=bool)
    sheet = TypeSheet(rules, role, nothing, nothing.copy(), nothing.copy(), np.full(len(events), -1, dtype=np.int64))
    rows = np.flatnonzero((role != NO_ROLE) & (role != ANSWER))
    new = changes(person[rows])
    new[1:] |= events.at[rows[1:]] - events.at[rows[:-1]] > rules.gap
    sheet.run[rows] = numbers(new)
    sheet.several[rows] = several_accounts(sheet.run[rows], events.account[rows])
    company = rules.companion[events.kind[rows]]
    if rules.key is not None:
        key = events.keys.get(rules.key)
        keyed = rows[:0] if key is None else rows[key[rows] != 0]
        sheet.loose[rows[~company]] = True
        sheet.companion[rows[company]] = True
        if key is not None and len(keyed):
            sheet.loose[keyed] = False
            sheet.companion[keyed] = False
            _by_case(events, person, sheet, keyed, key)
        sheet.key = key
        return sheet
    several = sheet.several[rows]
    left = several & (events.account[rows] == 0) & ~company
    sheet.loose[rows[left]] = True
    sheet.companion[rows[company]] = True
    stream = np.where(several, events.account[rows], np.uint64(0))
    streamed = ~left & ~company
    _by_streams(events, sheet, rows[streamed], stream[streamed])
    return sheet


def several_accounts(run: Ints, account: npt.NDArray[np.uint64]) -> Bools:
    """For each event whether its run, of which it is given in order, has more than one known account."""
    several = np.zeros(len(run), dtype=bool)
    known = np.flatnonzero(account != 0)
    if not len(known):
        return several
    owner, values = run[known], account[known]
    begin = starts_of(changes(owner))
    differ = np.minimum.reduceat(values, begin) != np.maximum.reduceat(values, begin)
    return np.asarray(np.isin(run, owner[begin[differ]]), dtype=bool)


def _by_case(events: Slice, person: Ints, sheet: TypeSheet, rows: Ints, key: npt.NDArray[np.uint64]) -> None:
    """Rule 1: one journey for each person and value of the case key."""
    order = np.lexsort((key[rows], person[rows]))
    rows = rows[order]
    first = changes(person[rows], key[rows])
    founders = rows[starts_of(first)]
    # Journeys are numbered by where they begin, so that their starts can be searched.
    rank = np.empty(len(founders), dtype=np.int64)
    rank[np.argsort(founders)] = np.arange(len(founders))
    sheet.found(np.sort(founders))
    sheet.join(rows, rank[numbers(first)], CASE_KEY)
    directs = directs_of(events, sheet)
    sheet.case_starts, sheet.case_accounts = directs.first, directs.account


def _by_streams(events: Slice, sheet: TypeSheet, rows: Ints, stream: npt.NDArray[np.uint64]) -> None:
    """Rule 2: the streams of each run, cut by gaps, closing and opening activities."""
    if not len(rows):
        return
    order = np.lexsort((stream, sheet.run[rows]))
    rows, stream = rows[order], stream[order]
    begin, end, _ = _segments(events, sheet, rows, changes(sheet.run[rows], stream), np.zeros(len(rows), dtype=bool))
    _own_journeys(events, sheet, rows, begin, end)


def _segments(events: Slice, sheet: TypeSheet, rows: Ints, new_stream: Bools, resets: Bools) -> tuple[Ints, Ints, Ints]:
    """Cuts streams into segments, each with the journey that begins in it.

    Returns:
        Per segment in which a journey begins: index into `rows` of its first event of that journey, and one past its last;
        and for each segment its own last event's closing flag (0 or 1).
    """
    rules = sheet.rules
    kind = events.kind[rows]
    at = events.at[rows]
    cut = new_stream | resets
    cut[1:] |= (at[1:] - at[:-1] > rules.gap) | rules.closes[kind[:-1]]
    if rules.any_opens:
        # Looking around again after the goal was reached is the next journey.
        solves = rules.completes[kind] | rules.fails[kind]
        marker = last_index_where(solves | rules.opens[kind], new_stream)
        cut[1:] |= ~new_stream[1:] & rules.opens[kind[1:]] & (marker[:-1] >= 0) & solves[marker[:-1]]
    opener = rules.visible[kind]
    if rules.any_opens:
        opener &= rules.opens[kind]
    begin = first_index_where(opener, cut)
    end = ends_of(cut)
    has = begin < end
    return begin[has], end[has], rules.closes[kind[end[has] - 1]].astype(np.int64)


def _own_journeys(events: Slice, sheet: TypeSheet, rows: Ints, begin: Ints, end: Ints) -> None:
    """Journeys from rows[begin:end], but for those that hold none of the activities the cut needs."""
    needed = np.concatenate([[0], np.cumsum(sheet.rules.needs[events.kind[rows]])])
    real = needed[end] > needed[begin]
    begin, end = begin[real], end[real]
    journey = sheet.found(rows[begin])
    which, index = expand(begin, end)
    sheet.join(rows[index], journey[which], np.where(index == begin[which], OPENING, STREAM).astype(np.int8))


def directs_of(events: Slice, sheet: TypeSheet) -> Directs:
    """The direct members found so far, and what follows from them for each journey."""
    size = len(events)
    if not sheet.count:
        return NO_DIRECTS
    key = np.sort(np.concatenate(sheet.direct_journey) * np.int64(size) + np.concatenate(sheet.direct_event))
    journey, event = np.divmod(key, size)
    first = changes(journey)
    begin = starts_of(first)
    last = event[ends_of(first) - 1]
    rules, kind = sheet.rules, events.kind[event]
    account = events.account[event]
    topic = events.topic[event]
    return Directs(
        key,
        event[begin],
        last,
        _first_position(event, rules.closes[kind], first, size),
        _first_position(event, rules.completes[kind] | rules.fails[kind], first, size),
        account[_first_known(account != 0, first)],
        topic[_first_known(topic >= 0, first)],
    )


def _first_known(known: Bools, first: Bools) -> Ints:
    """Per segment the index of its first known value; of its first row where none is known."""
    index = first_index_where(known, first)
    begin = starts_of(first)
    end = ends_of(first)
    return np.where(index < end, index, begin)


def _first_position(event: Ints, mask: Bools, first: Bools, size: int) -> Ints:
    """Per segment the position of its first event where `mask` holds; `size` where none does."""
    index = first_index_where(mask, first)
    return np.where(index < ends_of(first), event[np.minimum(index, len(event) - 1)], size)


def openings_without_key(events: Slice, person: Ints, sheet: TypeSheet, joined: Ints) -> None:
    """Rule 4: events that are still loose open journeys of their own, or belong to the case that follows them."""
    rules = sheet.rules
    if rules.key is not None and not rules.any_opens:
        return
    left = sheet.loose.copy()
    left[joined] = False
    rows = np.flatnonzero(left)
    if not len(rows):
        return
    stream = np.where(sheet.several[rows], events.account[rows], np.uint64(0))
    order = np.lexsort((stream, sheet.run[rows]))
    rows, stream = rows[order], stream[order]
    passed = np.searchsorted(sheet.case_starts, rows)
    streams = changes(sheet.run[rows], stream)
    begin, end, closed = _segments(events, sheet, rows, streams, changes(passed))
    own = np.ones(len(begin), dtype=bool)
    if rules.key is not None and len(sheet.case_starts):
        # A stream has one known account at most, so the largest is it; cases may know of others, in other runs.
        account = np.maximum.reduceat(events.account[rows], starts_of(streams))
        adopter = _adopter(person, sheet, rows[end - 1], account[numbers(streams)[begin]])
        start = sheet.case_starts[np.maximum(adopter, 0)]
        own = (adopter < 0) | (closed > 0) | (events.at[start] - events.at[rows[end - 1]] > rules.gap)
        which, index = expand(begin[~own], end[~own])
        sheet.join(rows[index], adopter[~own][which], BEFORE_CASE)
    _own_journeys(events, sheet, rows, begin[own], end[own])


def _adopter(person: Ints, sheet: TypeSheet, last: Ints, account: npt.NDArray[np.uint64]) -> Ints:
    """For each segment the first case of its person that begins after position `last`, account not conflicting; else -1."""
    starts, owner = sheet.case_starts, person[sheet.case_starts]
    count = len(starts)
    any_next = np.searchsorted(starts, last, side="right")
    same = _next_with(starts, sheet.case_accounts, last, account)
    unknown = _next_with(starts, sheet.case_accounts, last, np.zeros_like(account))
    following = np.where(account == 0, any_next, np.minimum(same, unknown))
    index = np.minimum(following, count - 1)
    return np.where((following < count) & (owner[index] == person[last]), index, -1)


def _next_with(starts: Ints, accounts: npt.NDArray[np.uint64], last: Ints, wanted: npt.NDArray[np.uint64]) -> Ints:
    """Index of the first start after `last` whose account is `wanted`; the number of starts where there is none."""
    count = len(starts)
    values, code = np.unique(accounts, return_inverse=True)
    scale = np.int64(max(int(starts[-1]), int(last.max(initial=0))) + 2)
    order = np.lexsort((starts, code))
    key = code[order].astype(np.int64) * scale + starts[order]
    slot = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    place = np.searchsorted(key, slot.astype(np.int64) * scale + last, side="right")
    index = order[np.minimum(place, count - 1)]
    hit = (values[slot] == wanted) & (place < count) & (accounts[index] == wanted)
    return np.where(hit, index, count)

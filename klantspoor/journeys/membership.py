"""Which journey each event is in: the cutting rules 1 to 5 of docs/journeys.md, as linear passes.

Rows are the events of whole persons in the order of docs/journeys.md, so an event's *position* (its row) orders it within
its person. One function per rule; what they share is `_Sheet`, which collects journeys and members as columns.
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
    numbers,
    running_max,
    starts_of,
)

CASE_KEY, OPENING, STREAM, ACCOUNT_TOPIC, CONTACT, TOPIC, ACCOUNT, RECENCY, BEFORE_CASE = range(len(JOINED_BY))
_PAIRS_AT_ONCE = 4_000_000
"""Candidate pairs held in memory at a time; bounds what one person with thousands of open journeys can cost."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The events of whole persons in order: one NumPy column of equal length each.

    `at` and `until` are microseconds since 1970 UTC; `account` and the case keys are 0 where unknown, `topic` is -1.
    `need` and `score` may hold NaN-like markers only through their own masks in the kernel, not here.
    """

    person: npt.NDArray[np.uint64]
    at: Ints
    until: Ints
    kind: npt.NDArray[np.int32]
    account: npt.NDArray[np.uint64]
    topic: npt.NDArray[np.int32]
    keys: dict[str, npt.NDArray[np.uint64]]

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True)
class KindTraits:
    """What the kernel needs to know of a kind beside the journey types' rules: its line of contact, and the line's gap.

    `line` numbers the distinct (source, channel); `contact_gap` is the source's, in microseconds.
    """

    line: npt.NDArray[np.int32]
    contact_gap: Ints


@dataclass(slots=True)
class Members:
    """Who is in which journey: parallel columns. `journey` indexes the journey columns below.

    Journeys: `type` (index into the rules), `first_direct` (position of the event that founded it), `account`, `topic`.
    """

    event: Ints
    journey: Ints
    joined_by: npt.NDArray[np.int8]
    type: npt.NDArray[np.int16]
    first_direct: Ints
    account: npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Directs:
    """The direct members of one type, sorted by (journey, position), and what follows from them per journey."""

    key: Ints
    first: Ints
    last: Ints
    close: Ints
    solved: Ints
    account: npt.NDArray[np.uint64]
    topic: npt.NDArray[np.int32]


_NONE = np.empty(0, dtype=np.int64)
_NO_DIRECTS = _Directs(_NONE, _NONE, _NONE, _NONE, _NONE, _NONE.astype(np.uint64), _NONE.astype(np.int32))


@dataclass(slots=True)
class _TypeSheet:
    """The journeys of one type while they are being found; journey numbers are local to the type."""

    rules: TypeRules
    role: npt.NDArray[np.int8]
    loose: Bools
    companion: Bools
    founded: list[Ints] = field(default_factory=list)
    direct_event: list[Ints] = field(default_factory=list)
    direct_journey: list[Ints] = field(default_factory=list)
    direct_how: list[npt.NDArray[np.int8]] = field(default_factory=list)
    key: npt.NDArray[np.uint64] | None = None
    count: int = 0
    case_starts: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    case_accounts: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    directs: _Directs = field(default_factory=lambda: _NO_DIRECTS)

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


def find_members(events: Slice, traits: KindTraits, rules: list[TypeRules]) -> Members:
    """Applies rules 1 to 5 to a slice of whole persons.

    Returns:
        Members in no particular order; journeys without any touchpoint are still among them.
    """
    person = numbers(changes(events.person))
    sheets = [_direct_members(events, person, rule) for rule in rules]
    # An event that names its case is not looking for another journey.
    named = np.concatenate([_NONE, *(event for sheet in sheets if sheet.rules.key for event in sheet.direct_event)])
    for sheet in sheets:
        sheet.loose[named] = False
        sheet.companion[named] = False
        sheet.directs = _directs(events, sheet)
    contact = _all_contacts(events, traits, person, sheets)
    loose = _join_loose(events, contact, person, sheets)
    for sheet in sheets:
        _openings_without_key(events, person, sheet, loose.event)
        sheet.directs = _directs(events, sheet)
    companions = _join_companions(events, contact, sheets, loose)
    cases = [_answers_by_case(events, person, sheet, number) for number, sheet in enumerate(sheets)]
    answers = _answers_without_case(events, person, sheets, np.concatenate([part.event for part in cases]))
    return _gather(sheets, [loose, companions, answers, *cases])


def _several_accounts(person: Ints, account: npt.NDArray[np.uint64], rows: Ints) -> Bools:
    """For each of `rows` whether its person has more than one known account among them."""
    several = np.zeros(len(rows), dtype=bool)
    known = np.flatnonzero(account[rows] != 0)
    if not len(known):
        return several
    owner = person[rows[known]]
    first = changes(owner)
    values = account[rows[known]]
    begin = starts_of(first)
    differ = np.minimum.reduceat(values, begin) != np.maximum.reduceat(values, begin)
    return np.asarray(np.isin(person[rows], owner[begin[differ]]), dtype=bool)


def _direct_members(events: Slice, person: Ints, rules: TypeRules) -> _TypeSheet:
    """Rules 1 and 2 for one type, and which of its events they leave loose."""
    role = rules.role[events.kind]
    sheet = _TypeSheet(rules, role, np.zeros(len(events), dtype=bool), np.zeros(len(events), dtype=bool))
    rows = np.flatnonzero((role != NO_ROLE) & (role != ANSWER))
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
    several = _several_accounts(person, events.account, rows)
    left = several & (events.account[rows] == 0) & ~company
    sheet.loose[rows[left]] = True
    sheet.companion[rows[company]] = True
    stream = np.where(several, events.account[rows], np.uint64(0))
    streamed = ~left & ~company
    _by_streams(events, person, sheet, rows[streamed], stream[streamed])
    return sheet


def _by_case(events: Slice, person: Ints, sheet: _TypeSheet, rows: Ints, key: npt.NDArray[np.uint64]) -> None:
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
    directs = _directs(events, sheet)
    sheet.case_starts, sheet.case_accounts = directs.first, directs.account


def _segments(
    events: Slice, sheet: _TypeSheet, rows: Ints, new_stream: Bools, resets: Bools
) -> tuple[Ints, Ints, Ints]:
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
    opener = rules.visible[kind]
    if rules.any_opens:
        opener &= rules.opens[kind]
    begin = first_index_where(opener, cut)
    end = ends_of(cut)
    has = begin < end
    return begin[has], end[has], rules.closes[kind[end[has] - 1]].astype(np.int64)


def _by_streams(events: Slice, person: Ints, sheet: _TypeSheet, rows: Ints, stream: npt.NDArray[np.uint64]) -> None:
    """Rule 2: streams per account, cut by gaps, closing and opening activities."""
    if not len(rows):
        return
    order = np.lexsort((stream, person[rows]))
    rows, stream = rows[order], stream[order]
    begin, end, _ = _segments(events, sheet, rows, changes(person[rows], stream), np.zeros(len(rows), dtype=bool))
    _own_journeys(events, sheet, rows, begin, end)


def _own_journeys(events: Slice, sheet: _TypeSheet, rows: Ints, begin: Ints, end: Ints) -> None:
    """Journeys from rows[begin:end], but for those that hold none of the activities the cut needs."""
    needed = np.concatenate([[0], np.cumsum(sheet.rules.needs[events.kind[rows]])])
    real = needed[end] > needed[begin]
    begin, end = begin[real], end[real]
    journey = sheet.found(rows[begin])
    which, index = expand(begin, end)
    sheet.join(rows[index], journey[which], np.where(index == begin[which], OPENING, STREAM).astype(np.int8))


def _first_known(values: npt.NDArray[np.generic], known: Bools, first: Bools) -> Ints:
    """Per segment the index of its first known value; of its first row where none is known."""
    index = first_index_where(known, first)
    begin = starts_of(first)
    end = ends_of(first)
    return np.where(index < end, index, begin)


def _first_position(event: Ints, mask: Bools, first: Bools, size: int) -> Ints:
    """Per segment the position of its first event where `mask` holds; `size` where none does."""
    index = first_index_where(mask, first)
    return np.where(index < ends_of(first), event[np.minimum(index, len(event) - 1)], size)


def _directs(events: Slice, sheet: _TypeSheet) -> _Directs:
    size = len(events)
    if not sheet.count:
        return _NO_DIRECTS
    key = np.sort(np.concatenate(sheet.direct_journey) * np.int64(size) + np.concatenate(sheet.direct_event))
    journey, event = np.divmod(key, size)
    first = changes(journey)
    begin = starts_of(first)
    last = event[ends_of(first) - 1]
    rules, kind = sheet.rules, events.kind[event]
    account = events.account[event]
    topic = events.topic[event]
    return _Directs(
        key,
        event[begin],
        last,
        _first_position(event, rules.closes[kind], first, size),
        _first_position(event, rules.completes[kind] | rules.fails[kind], first, size),
        account[_first_known(account, account != 0, first)],
        topic[_first_known(topic, topic >= 0, first)],
    )


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Loose event, candidate journey, and how strongly they belong together."""

    event: Ints
    type: npt.NDArray[np.int16]
    journey: Ints
    rule: npt.NDArray[np.int8]
    latest: Ints
    first: Ints


def _concatenated(parts: list[_Pairs]) -> _Pairs:
    empty = _Pairs(_NONE, _NONE.astype(np.int16), _NONE, _NONE.astype(np.int8), _NONE, _NONE)
    names = ("event", "type", "journey", "rule", "latest", "first")
    return _Pairs(*(np.concatenate([getattr(part, name) for part in [empty, *parts]]) for name in names))


def _kept(pairs: _Pairs, keep: Bools | Ints) -> _Pairs:
    return _Pairs(
        pairs.event[keep],
        pairs.type[keep],
        pairs.journey[keep],
        pairs.rule[keep],
        pairs.latest[keep],
        pairs.first[keep],
    )


def _best(parts: list[_Pairs]) -> _Pairs:
    """Of each event's candidates the best: by rule, then the latest activity, then type, then the latest start."""
    pairs = _concatenated(parts)
    if not len(pairs.event):
        return pairs
    order = np.lexsort((-pairs.first, pairs.type, -pairs.latest, pairs.rule, pairs.event))
    return _kept(pairs, order[changes(pairs.event[order])])


def _candidates(
    events: Slice, person: Ints, sheet: _TypeSheet, number: int, rows: Ints, *, closing_matters: bool
) -> list[_Pairs]:
    """Every open journey of one type for each loose event of `rows` (sorted), already reduced to the best per event."""
    directs = sheet.directs
    if not len(rows) or not len(directs.first):
        return []
    size = len(events)
    owner = person[directs.first]
    person_end = ends_of(changes(person))[owner]
    limit = _past_gap(events, directs.last, person_end, sheet.rules.gap)
    if closing_matters:
        limit = np.minimum(limit, directs.close)
    low = np.searchsorted(rows, directs.first, side="right")
    high = np.searchsorted(rows, limit, side="left")
    found = []
    for journeys, index in _blocks(low, high, len(rows)):
        event = rows[index]
        at_key = np.searchsorted(directs.key, journeys * np.int64(size) + event) - 1
        latest = directs.key[at_key] - journeys * np.int64(size)
        account, topic = events.account[event], events.topic[event]
        same_account = (account != 0) & (account == directs.account[journeys])
        conflict = (account != 0) & (directs.account[journeys] != 0) & ~same_account
        keep = (events.at[event] - events.at[latest] <= sheet.rules.gap) & ~conflict
        if closing_matters and sheet.rules.any_opens:
            # Looking around again after the goal was reached is the next journey.
            keep &= ~(sheet.rules.opens[events.kind[event]] & (directs.solved[journeys] < event))
        same_topic = (topic >= 0) & (topic == directs.topic[journeys])
        rule = np.select(
            [same_account & same_topic, same_topic, same_account], [ACCOUNT_TOPIC, TOPIC, ACCOUNT], RECENCY
        ).astype(np.int8)
        if keep.any():
            type_ = np.full(int(keep.sum()), number, dtype=np.int16)
            part = _Pairs(event[keep], type_, journeys[keep], rule[keep], latest[keep], directs.first[journeys[keep]])
            found.append(_best([part]))
    return found


def _past_gap(events: Slice, last: Ints, person_end: Ints, gap: int) -> Ints:
    """For each journey the first position of its person that lies more than `gap` after its last direct event.

    A binary search by time inside each person, for all journeys at once.
    """
    low, high = last + 1, person_end.copy()
    target = events.at[last] + gap
    while True:
        active = low < high
        if not active.any():
            return low
        middle = (low + high) // 2
        probe = np.minimum(middle, len(events) - 1)
        right = active & (events.at[probe] <= target)
        low = np.where(right, middle + 1, low)
        high = np.where(active & ~right, middle, high)


def _blocks(low: Ints, high: Ints, size: int) -> list[tuple[Ints, Ints]]:
    """The pairs (journey, index) with low <= index < high, in blocks of bounded size that split by index."""
    total = int(np.maximum(high - low, 0).sum())
    if total <= _PAIRS_AT_ONCE:
        return [expand(low, high)] if total else []
    parts = -(-total // _PAIRS_AT_ONCE)
    edges = np.linspace(0, size, parts + 1).astype(np.int64)
    blocks = (
        expand(np.maximum(low, begin), np.minimum(high, end)) for begin, end in zip(edges[:-1], edges[1:], strict=True)
    )
    return [block for block in blocks if len(block[0])]


def _join_loose(events: Slice, contact: Ints, person: Ints, sheets: list[_TypeSheet]) -> _Pairs:
    """Rule 3: each loose event that joined a journey, with it."""
    pairs = [
        pair
        for number, sheet in enumerate(sheets)
        for pair in _candidates(events, person, sheet, number, np.flatnonzero(sheet.loose), closing_matters=True)
    ]
    best = _best(pairs)
    strong = _kept(best, best.rule == ACCOUNT_TOPIC)
    open_to_others = np.ones(len(events), dtype=bool)
    open_to_others[strong.event] = False
    wanting = [np.flatnonzero(sheet.loose & open_to_others & (contact >= 0)) for sheet in sheets]
    by_contact = _by_contact(events, contact, sheets, wanting, strong)
    taken = np.zeros(len(events), dtype=bool)
    taken[by_contact.event] = True
    return _concatenated([by_contact, _kept(best, ~taken[best.event])])


def _join_companions(events: Slice, contact: Ints, sheets: list[_TypeSheet], loose: _Pairs) -> _Pairs:
    """Rule 5: what says nothing by itself joins the others of its contact."""
    free = contact >= 0
    free[loose.event] = False
    return _by_contact(events, contact, sheets, [np.flatnonzero(sheet.companion & free) for sheet in sheets], loose)


def contacts(events: Slice, traits: KindTraits, person: Ints, visible: Bools) -> Ints:
    """The contact of each event, numbered from 0; -1 where the event is not visible."""
    rows = np.flatnonzero(visible)
    contact = np.full(len(events), -1, dtype=np.int64)
    if not len(rows):
        return contact
    line = traits.line[events.kind[rows]]
    rows = rows[np.lexsort((line, person[rows]))]
    group = changes(person[rows], traits.line[events.kind[rows]])
    contact[rows] = numbers(
        contact_breaks(events.at[rows], events.until[rows], traits.contact_gap[events.kind[rows]], group)
    )
    return contact


def contact_breaks(at: Ints, until: Ints, gap: Ints, group: Bools) -> Bools:
    """True where a new contact begins: more than `gap` after the latest end so far of its group, or always with gap 0."""
    latest = running_max(until, group)
    new = group.copy()
    new[1:] |= (at[1:] - latest[:-1] > gap[1:]) | (gap[1:] == 0)
    return new


def _all_contacts(events: Slice, traits: KindTraits, person: Ints, sheets: list[_TypeSheet]) -> Ints:
    """The contact of each event that is visible in any type; -1 for the others."""
    visible = np.zeros(len(events), dtype=bool)
    for sheet in sheets:
        visible |= sheet.rules.visible[events.kind]
    return contacts(events, traits, person, visible)


def _by_contact(events: Slice, contact: Ints, sheets: list[_TypeSheet], wanting: list[Ints], others: _Pairs) -> _Pairs:
    """The rule `contact`: the journey that other events of the same contact are in.

    Args:
        events: the slice.
        contact: by event, -1 where it has none.
        sheets: of all types; their direct members are among the other events.
        wanting: per type the events (sorted, with a contact) that look for a journey of it.
        others: members beside the direct ones.
    """
    found = []
    for number, (sheet, rows) in enumerate(zip(sheets, wanting, strict=True)):
        mine = others.type == number
        entry = np.concatenate([_NONE, *sheet.direct_event, others.event[mine]])
        journey = np.concatenate([_NONE, *sheet.direct_journey, others.journey[mine]])
        seen = contact[entry] >= 0
        if len(rows) and seen.any():
            found.append(_nearest(events, contact, sheet, number, rows, entry[seen], journey[seen]))
    return _best(found)


def _nearest(
    events: Slice, contact: Ints, sheet: _TypeSheet, number: int, rows: Ints, entry: Ints, journey: Ints
) -> _Pairs:
    """For each row the nearest entry before in its contact, else the nearest after, unless the account conflicts."""
    size = np.int64(len(events))
    order = np.argsort(contact[entry] * size + entry, kind="stable")
    entry, journey = entry[order], journey[order]
    place = np.searchsorted(contact[entry] * size + entry, contact[rows] * size + rows)
    before, after = np.maximum(place - 1, 0), np.minimum(place, len(entry) - 1)
    is_before = (place > 0) & (contact[entry[before]] == contact[rows])
    is_after = (place < len(entry)) & (contact[entry[after]] == contact[rows])
    near = np.where(is_before, before, after)
    account, theirs = events.account[rows], sheet.directs.account[journey[near]]
    keep = (is_before | is_after) & ((account == 0) | (theirs == 0) | (account == theirs))
    # One before is nearer than any after.
    distance = np.abs(entry[near] - rows) + np.where(is_before, 0, size)
    count = int(keep.sum())
    return _Pairs(
        event=rows[keep],
        type=np.full(count, number, dtype=np.int16),
        journey=journey[near][keep],
        rule=np.full(count, CONTACT, dtype=np.int8),
        latest=-distance[keep],
        first=np.zeros(count, dtype=np.int64),
    )


def _openings_without_key(events: Slice, person: Ints, sheet: _TypeSheet, joined: Ints) -> None:
    """Rule 4: events that are still loose open journeys of their own, or belong to the case that follows them."""
    rules = sheet.rules
    if rules.key is not None and not rules.any_opens:
        return
    left = sheet.loose.copy()
    left[joined] = False
    rows = np.flatnonzero(left)
    if not len(rows):
        return
    mapped = np.flatnonzero((sheet.role != NO_ROLE) & (sheet.role != ANSWER))
    several = np.zeros(len(events), dtype=bool)
    several[mapped] = _several_accounts(person, events.account, mapped)
    stream = np.where(several[rows], events.account[rows], np.uint64(0))
    order = np.lexsort((stream, person[rows]))
    rows, stream = rows[order], stream[order]
    passed = np.searchsorted(sheet.case_starts, rows)
    begin, end, closed = _segments(
        events, sheet, rows, changes(person[rows], stream), changes(passed) if len(rows) else several[:0]
    )
    own = np.ones(len(begin), dtype=bool)
    if rules.key is not None and len(sheet.case_starts):
        adopter = _adopter(person, sheet, rows[end - 1], stream[begin])
        start = sheet.case_starts[np.maximum(adopter, 0)]
        own = (adopter < 0) | (closed > 0) | (events.at[start] - events.at[rows[end - 1]] > rules.gap)
        which, index = expand(begin[~own], end[~own])
        sheet.join(rows[index], adopter[~own][which], BEFORE_CASE)
    _own_journeys(events, sheet, rows, begin[own], end[own])


def _adopter(person: Ints, sheet: _TypeSheet, last: Ints, account: npt.NDArray[np.uint64]) -> Ints:
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


def _answers_by_case(events: Slice, person: Ints, sheet: _TypeSheet, number: int) -> _Pairs:
    """Rule 5, answers that carry the type's case key: with their case, or, where it has no other event, with journey -1."""
    rows = np.flatnonzero((sheet.role == ANSWER) & (sheet.key != 0)) if sheet.key is not None else _NONE
    journey = _cases_of(person, sheet, rows)
    return _Pairs(
        rows,
        np.full(len(rows), number, dtype=np.int16),
        journey,
        np.full(len(rows), CASE_KEY, dtype=np.int8),
        np.zeros_like(rows),
        np.zeros_like(rows),
    )


def _answers_without_case(events: Slice, person: Ints, sheets: list[_TypeSheet], keyed: Ints) -> _Pairs:
    """Rule 5, all other answers: by the rules for loose events, closing and contact apart."""
    free = np.ones(len(events), dtype=bool)
    free[keyed] = False
    pairs = [
        pair
        for number, sheet in enumerate(sheets)
        for pair in _candidates(
            events, person, sheet, number, np.flatnonzero((sheet.role == ANSWER) & free), closing_matters=False
        )
    ]
    return _best(pairs)


def _cases_of(person: Ints, sheet: _TypeSheet, rows: Ints) -> Ints:
    """The journeys of rule 1 whose person and case key the events in `rows` share; -1 where there is none."""
    starts = sheet.case_starts
    if sheet.key is None or not len(rows) or not len(starts):
        return np.full(len(rows), -1, dtype=np.int64)
    owner = np.concatenate([person[starts], person[rows]])
    keys = np.concatenate([sheet.key[starts], sheet.key[rows]])
    # lexsort is stable, so the founding event, listed first, heads its group.
    order = np.lexsort((keys, owner))
    group = changes(owner[order], keys[order])
    case = np.empty(len(keys), dtype=np.int64)
    case[order] = order[starts_of(group)][numbers(group)]
    mine = case[len(starts) :]
    return np.where(mine < len(starts), mine, -1)


def _gather(sheets: list[_TypeSheet], others: list[_Pairs]) -> Members:
    """All types' members in one set of columns, journeys numbered across types."""
    offsets = np.concatenate([[0], np.cumsum([sheet.count for sheet in sheets])]).astype(np.int64)
    event, journey, how = [], [], []
    for number, sheet in enumerate(sheets):
        event += sheet.direct_event
        journey += [part + offsets[number] for part in sheet.direct_journey]
        how += sheet.direct_how
    for part in others:
        there = part.journey >= 0
        event.append(part.event[there])
        journey.append(part.journey[there] + offsets[part.type[there]])
        how.append(part.rule[there])
    return Members(
        event=np.concatenate(event),
        journey=np.concatenate(journey),
        joined_by=np.concatenate(how),
        type=np.repeat(np.arange(len(sheets), dtype=np.int16), [sheet.count for sheet in sheets]),
        first_direct=np.concatenate([sheet.first for sheet in sheets]),
        account=np.concatenate([sheet.directs.account for sheet in sheets]),
    )

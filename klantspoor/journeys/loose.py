"""Joining: which journey an event belongs to that names none. Rules 3, 5 and 6 of docs/journeys.md, over all types.

Candidates are pairs of an event and an open journey; the best pair of each event decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from klantspoor.journeys.rules import ANSWER
from klantspoor.journeys.segments import Bools, Ints, changes, ends_of, expand, numbers, starts_of
from klantspoor.journeys.sheets import ACCOUNT, ACCOUNT_TOPIC, CASE_KEY, CONTACT, NONE, RECENCY, TOPIC, TypeSheet
from klantspoor.journeys.slices import KindTraits, Slice, contacts

_PAIRS_AT_ONCE = 4_000_000
"""Candidate pairs held in memory at a time; bounds what one person with thousands of open journeys can cost."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Loose event, candidate journey, and how strongly they belong together."""

    event: Ints
    type: npt.NDArray[np.int16]
    journey: Ints
    rule: npt.NDArray[np.int8]
    latest: Ints
    first: Ints


def join_loose(events: Slice, contact: Ints, person: Ints, sheets: list[TypeSheet]) -> Pairs:
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


def join_companions(events: Slice, contact: Ints, sheets: list[TypeSheet], loose: Pairs) -> Pairs:
    """Rule 5: what says nothing by itself joins the others of its contact."""
    free = contact >= 0
    free[loose.event] = False
    return _by_contact(events, contact, sheets, [np.flatnonzero(sheet.companion & free) for sheet in sheets], loose)


def answers_by_case(person: Ints, sheet: TypeSheet, number: int) -> Pairs:
    """Rule 5, answers that carry the type's case key: with their case, or, where it has no other event, with journey -1."""
    rows = np.flatnonzero((sheet.role == ANSWER) & (sheet.key != 0)) if sheet.key is not None else NONE
    journey = _cases_of(person, sheet, rows)
    return Pairs(
        rows,
        np.full(len(rows), number, dtype=np.int16),
        journey,
        np.full(len(rows), CASE_KEY, dtype=np.int8),
        np.zeros_like(rows),
        np.zeros_like(rows),
    )


def answers_without_case(events: Slice, person: Ints, sheets: list[TypeSheet], keyed: Ints) -> Pairs:
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


def _concatenated(parts: list[Pairs]) -> Pairs:
    empty = Pairs(NONE, NONE.astype(np.int16), NONE, NONE.astype(np.int8), NONE, NONE)
    names = ("event", "type", "journey", "rule", "latest", "first")
    return Pairs(*(np.concatenate([getattr(part, name) for part in [empty, *parts]]) for name in names))


def _kept(pairs: Pairs, keep: Bools | Ints) -> Pairs:
    return Pairs(
        pairs.event[keep],
        pairs.type[keep],
        pairs.journey[keep],
        pairs.rule[keep],
        pairs.latest[keep],
        pairs.first[keep],
    )


def _best(parts: list[Pairs]) -> Pairs:
    """Of each event's candidates the best: by rule, then the latest activity, then type, then the latest start."""
    pairs = _concatenated(parts)
    if not len(pairs.event):
        return pairs
    order = np.lexsort((-pairs.first, pairs.type, -pairs.latest, pairs.rule, pairs.event))
    return _kept(pairs, order[changes(pairs.event[order])])


def _candidates(
    events: Slice, person: Ints, sheet: TypeSheet, number: int, rows: Ints, *, closing_matters: bool
) -> list[Pairs]:
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
            part = Pairs(event[keep], type_, journeys[keep], rule[keep], latest[keep], directs.first[journeys[keep]])
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
    blocks = (expand(np.maximum(low, begin), np.minimum(high, end)) for begin, end in pairwise(edges))
    return [block for block in blocks if len(block[0])]


def contacts_of(events: Slice, traits: KindTraits, person: Ints, sheets: list[TypeSheet]) -> Ints:
    """The contact of each event that is visible in any type; -1 for the others."""
    visible = np.zeros(len(events), dtype=bool)
    for sheet in sheets:
        visible |= sheet.rules.visible[events.kind]
    return contacts(events, traits, person, visible)


def _by_contact(events: Slice, contact: Ints, sheets: list[TypeSheet], wanting: list[Ints], others: Pairs) -> Pairs:
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
        entry = np.concatenate([NONE, *sheet.direct_event, others.event[mine]])
        journey = np.concatenate([NONE, *sheet.direct_journey, others.journey[mine]])
        seen = contact[entry] >= 0
        if len(rows) and seen.any():
            found.append(_nearest(events, contact, sheet, number, rows, entry[seen], journey[seen]))
    return _best(found)


def _nearest(
    events: Slice, contact: Ints, sheet: TypeSheet, number: int, rows: Ints, entry: Ints, journey: Ints
) -> Pairs:
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
    return Pairs(
        event=rows[keep],
        type=np.full(count, number, dtype=np.int16),
        journey=journey[near][keep],
        rule=np.full(count, CONTACT, dtype=np.int8),
        latest=-distance[keep],
        first=np.zeros(count, dtype=np.int64),
    )


def _cases_of(person: Ints, sheet: TypeSheet, rows: Ints) -> Ints:
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

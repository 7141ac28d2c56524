"""Touchpoints, phase visits and variants of the journeys of a slice (docs/journeys.md, "Within a journey").

Rows are *members*: the events of published journeys, sorted by journey, then by position. Pure columns in and out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from klantspoor.journeys.segments import (
    Bools,
    Ints,
    Words,
    changes,
    ends_of,
    first_index_where,
    last_index_where,
    mix,
    numbers,
    running_max,
    starts_of,
    within,
)
from klantspoor.journeys.slices import contact_breaks


@dataclass(frozen=True, slots=True)
class MemberColumns:
    """The members of all published journeys, sorted by (journey, position); equal lengths.

    `phase` is -1 outside phases; `rank` is the place in the journey file of the matcher that won; `line` numbers the
    (source, channel) and `contact_gap` is its source's, in microseconds like `at` and `until`.
    """

    journey: Ints
    position: Ints
    at: Ints
    until: Ints
    kind: npt.NDArray[np.int32]
    phase: npt.NDArray[np.int8]
    rank: npt.NDArray[np.int32]
    line: npt.NDArray[np.int32]
    contact_gap: Ints
    joined_by: npt.NDArray[np.int8]
    visible: Bools
    internal: Bools
    answer: Bools


@dataclass(frozen=True, slots=True)
class Touchpoints:
    """One row per touchpoint, sorted by (journey, number); `of_member` gives each member's row here, -1 for others.

    `kind` is that of the event that names it, `first_kind` that of its first event. `latest` is the latest end of this
    and all earlier touchpoints of the journey. Times in microseconds.
    """

    journey: Ints
    number: Ints
    first: Bools
    start: Ints
    end: Ints
    latest: Ints
    events: Ints
    phase: npt.NDArray[np.int8]
    kind: npt.NDArray[np.int32]
    first_kind: npt.NDArray[np.int32]
    line: npt.NDArray[np.int32]
    joined_by: npt.NDArray[np.int8]
    of_member: Ints


def build_touchpoints(members: MemberColumns) -> Touchpoints:
    """Cuts the visible members into touchpoints: where a contact would begin, and where the phase changes."""
    rows = np.flatnonzero(members.visible)
    rows = rows[np.lexsort((members.line[rows], members.journey[rows]))]
    group = changes(members.journey[rows], members.line[rows])
    contact = contact_breaks(members.at[rows], members.until[rows], members.contact_gap[rows], group)
    phase = members.phase[rows]
    new = contact | _phase_breaks(phase, contact)

    begin = starts_of(new)
    size = np.int64(len(members.at) + 1)
    # Of equal rank the last names the touchpoint: the smallest (rank, -row) finds it in one pass.
    naming = np.minimum.reduceat(members.rank[rows].astype(np.int64) * size - rows, begin) if len(rows) else begin
    named = (-naming) % size
    known = first_index_where(phase >= 0, new)
    last = ends_of(new)
    order = np.argsort(rows[begin], kind="stable")
    head = rows[begin][order]
    of_member = np.full(len(members.at), -1, dtype=np.int64)
    place = np.empty(len(begin), dtype=np.int64)
    place[order] = np.arange(len(begin))
    of_member[rows] = place[numbers(new)]
    first = changes(members.journey[head])
    end = (np.maximum.reduceat(members.until[rows], begin) if len(rows) else begin)[order]
    return Touchpoints(
        journey=members.journey[head],
        number=within(first) + 1,
        first=first,
        start=members.at[head],
        end=end,
        latest=running_max(end, first),
        events=(last - begin)[order],
        phase=np.where(known < last, phase[np.minimum(known, max(len(phase) - 1, 0))], -1).astype(np.int8)[order],
        kind=members.kind[named][order],
        first_kind=members.kind[head],
        line=members.line[head],
        joined_by=members.joined_by[head],
        of_member=of_member,
    )


def _phase_breaks(phase: npt.NDArray[np.int8], contact: Bools) -> Bools:
    """True where a new phase begins in a contact: right after the last event of the phase before.

    So an event without a phase between two phases goes with the later one: one logs in for what follows.
    """
    if not len(phase):
        return contact.copy()
    carried = last_index_where(phase >= 0, contact)
    before = np.where(contact[1:], -1, carried[:-1])
    breaks = np.zeros(len(phase), dtype=bool)
    changed = (before >= 0) & (phase[1:] >= 0) & (phase[1:] != phase[before])
    breaks[before[changed] + 1] = True
    return breaks


@dataclass(frozen=True, slots=True)
class PhaseVisits:
    """One row per phase visit, sorted by (journey, number). `line` is that of its main channel's first touchpoint, -1: none."""

    journey: Ints
    number: Ints
    first: Bools
    phase: npt.NDArray[np.int8]
    start: Ints
    end: Ints
    touchpoints: Ints
    channel: npt.NDArray[np.int32]
    is_last: Bools


def build_phase_visits(touchpoints: Touchpoints, channel_of_line: npt.NDArray[np.int32]) -> PhaseVisits:
    """Unbroken runs of one phase; touchpoints without a phase neither count nor break them.

    Args:
        touchpoints: of the slice.
        channel_of_line: for each line the code of its channel, -1 where the source names none.
    """
    rows = np.flatnonzero(touchpoints.phase >= 0)
    journey, phase = touchpoints.journey[rows], touchpoints.phase[rows]
    new = changes(journey, phase)
    begin = starts_of(new)
    count = ends_of(new) - begin
    first = changes(journey[begin])
    is_last = np.append(first[1:], True) if len(begin) else first
    end = np.maximum.reduceat(touchpoints.end[rows], begin) if len(rows) else begin
    return PhaseVisits(
        journey=journey[begin],
        number=within(first) + 1,
        first=first,
        phase=phase[begin],
        start=touchpoints.start[rows[begin]],
        end=end,
        touchpoints=count,
        channel=_commonest(channel_of_line[touchpoints.line[rows]], numbers(new), len(begin)),
        is_last=is_last,
    )


def _commonest(channel: npt.NDArray[np.int32], visit: Ints, visits: int) -> npt.NDArray[np.int32]:
    """Per visit the commonest known channel; of equals the one seen first; -1 where none is known."""
    result = np.full(visits, -1, dtype=np.int32)
    rows = np.flatnonzero(channel >= 0)
    if not len(rows):
        return result
    rows = rows[np.lexsort((channel[rows], visit[rows]))]
    new = changes(visit[rows], channel[rows])
    begin = starts_of(new)
    count = ends_of(new) - begin
    # The first row of each run is the channel's first touchpoint, since the sort is stable.
    order = np.lexsort((rows[begin], -count, visit[rows[begin]]))
    best = rows[begin][order]
    top = best[changes(visit[best])]
    result[visit[top]] = channel[top]
    return result


def name_words(name: str) -> tuple[int, int]:
    """Two 64-bit words of a name, the same in every run and on every machine."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")


def sequence_words(words: tuple[Words, Words], place: Ints, first: Bools) -> tuple[Words, Words]:
    """Two 64-bit words per segment that identify its sequence of names.

    Each step's word is spread together with its place and the results are added up, so that one pass over the rows will
    do; 128 bits make a collision between two sequences as good as impossible (2**-65 at a million variants).
    """
    if not len(place):
        return np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint64)
    begin = starts_of(first)
    salt = (place.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return (
        np.add.reduceat(mix(words[0] + salt), begin),
        np.add.reduceat(mix(words[1] ^ mix(salt)), begin),
    )

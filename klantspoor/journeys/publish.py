"""The kernel's columns as the rows of the journey tables: ids, names and instants as the dictionary declares them.

No reckoning here beyond sums per journey; everything was decided before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.dictionary import TABLES
from klantspoor.dictionary.columns import CAUSES, INSTANT, JOINED_BY, OUTCOMES, STATUSES, TURNS
from klantspoor.journeys.rules import TypeRules
from klantspoor.journeys.segments import Bools, Ints, changes, coded, hex_text, lengths, numbers, starts_of, within
from klantspoor.journeys.slices import Earlier, Slice
from klantspoor.journeys.touchpoints import MemberColumns, PhaseVisits, Touchpoints, name_words, sequence_words
from klantspoor.journeys.waits import Stretches, Waits

UNKNOWN_INSTANT = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Filed:
    """Rows of a table, sorted by journey but for answers.

    `journey` is the row of its journey among those of the slice; of answers, -1 where they are in none.
    """

    rows: pa.Table
    journey: Ints


@dataclass(frozen=True, slots=True)
class Names:
    """Code books of a night: Arrow arrays of names, and NumPy columns that give each kind's (or line's) code, -1 for none."""

    activity: pa.StringArray
    channel: pa.StringArray
    source: pa.StringArray
    team: pa.StringArray
    initiator: pa.StringArray
    instrument: pa.StringArray
    persona: pa.StringArray
    activity_of_kind: npt.NDArray[np.int32]
    team_of_kind: npt.NDArray[np.int32]
    initiator_of_kind: npt.NDArray[np.int32]
    instrument_of_kind: npt.NDArray[np.int32]
    channel_of_line: npt.NDArray[np.int32]
    source_of_line: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class JourneyColumns:
    """One row per published journey, ordered by (person, start).

    Times in microseconds; UNKNOWN_INSTANT where unknown.
    """

    type: npt.NDArray[np.int16]
    person: npt.NDArray[np.uint64]
    account: npt.NDArray[np.uint64]
    first_direct: Ints
    started: Ints
    ended: Ints
    last_at: Ints
    solved: Ints
    status: npt.NDArray[np.int8]
    outcome: npt.NDArray[np.int8]
    persona: npt.NDArray[np.int32]
    need: Ints
    mystery: Bools


@dataclass(frozen=True, slots=True)
class Found:
    """Everything the kernel found in one slice."""

    events: Slice
    event_id: pa.StringArray
    scores: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
    members: MemberColumns
    touchpoints: Touchpoints
    journeys: JourneyColumns
    visits: PhaseVisits
    waits: Waits
    stretches: Stretches
    answers: tuple[Ints, Ints, Ints]
    earlier: Earlier


def to_tables(found: Found, rules: list[TypeRules], names: Names) -> dict[str, Filed]:
    """The rows of all journey tables."""
    journeys = found.journeys
    type_names = pa.array([rule.name for rule in rules], pa.string())
    prefixes = pa.array([rule.id_prefix for rule in rules], pa.string())
    prefix = prefixes.take(pa.array(journeys.type))
    ids = pc.binary_join_element_wise(prefix, found.event_id.take(pa.array(journeys.first_direct)), "")
    return {
        "journeys": Filed(_journeys(found, ids, type_names, names), np.arange(len(ids))),
        "touchpoints": Filed(_touchpoints(found, ids, type_names, rules, names), found.touchpoints.journey),
        "touchpoint_events": Filed(_touchpoint_events(found, ids), _event_rows(found.members)[1]),
        "phase_visits": Filed(_phase_visits(found, ids, type_names, rules, names), found.visits.journey),
        "waits": Filed(_waits(found, ids, type_names, names), found.waits.journey[found.stretches.wait]),
        "experiences": Filed(_experiences(found, ids, names), found.answers[1]),
    }


def _instants(values: Ints) -> pa.Array:
    mask = values == UNKNOWN_INSTANT
    return pa.array(values, mask=mask if bool(mask.any()) else None, type=pa.int64()).cast(INSTANT)


def _nullable(values: Ints, known: Bools) -> pa.Array:
    return pa.array(values, mask=~known)


def _fixed(codes: npt.NDArray[np.integer], values: tuple[str, ...]) -> pa.DictionaryArray:
    return coded(codes, pa.array(values, pa.string()))


def _table(name: str, columns: dict[str, object]) -> pa.Table:
    return pa.table(columns).select(list(TABLES[name].names))


def _cycles(journeys: JourneyColumns) -> tuple[Ints, Ints, Ints]:
    """Of each journey, per person, type and account: its cycle from 1, the row of the cycle before or -1, the first's row."""
    # Stable: within one person, type and account they stay in order of start.
    order = np.lexsort((journeys.account, journeys.type, journeys.person))
    first = changes(journeys.person[order], journeys.type[order], journeys.account[order])
    cycle, previous = np.empty(len(order), dtype=np.int64), np.full(len(order), -1, dtype=np.int64)
    cycle[order] = within(first) + 1
    later = np.flatnonzero(~first)
    previous[order[later]] = order[later - 1]
    head = np.empty(len(order), dtype=np.int64)
    head[order] = order[starts_of(first)][numbers(first)] if len(order) else order
    return cycle, previous, head


def _cycles_before(journeys: JourneyColumns, earlier: Earlier) -> Ints:
    """Of each journey the row of `earlier` with its person, type and account; -1 where there is none."""
    known = len(earlier.person)
    person = np.concatenate([earlier.person, journeys.person])
    type_ = np.concatenate([earlier.journey_type, journeys.type])
    account = np.concatenate([earlier.account, journeys.account])
    # lexsort is stable, so what is earlier, listed first, heads its group.
    order = np.lexsort((account, type_, person))
    first = changes(person[order], type_[order], account[order])
    head = np.empty(len(order), dtype=np.int64)
    head[order] = order[starts_of(first)][numbers(first)] if len(order) else order
    mine = head[known:]
    return np.where(mine < known, mine, -1)


def _numbered(found: Found, ids: pa.Array) -> tuple[Ints, pa.Array]:
    """Each journey's cycle, and the id of the one before it (null: none)."""
    cycle, previous, head = _cycles(found.journeys)
    before = pc.fill_null(ids.take(pa.array(previous, mask=previous < 0)), "")
    if len(found.earlier.person):
        row = _cycles_before(found.journeys, found.earlier)
        cycle = cycle + np.where(row >= 0, found.earlier.cycles[np.maximum(row, 0)], 0)
        is_first = (head == np.arange(len(head))) & (row >= 0)
        last = found.earlier.last.take(pa.array(np.maximum(row, 0)))
        before = pc.if_else(pa.array(is_first), last, before)
    return cycle, pc.if_else(pc.equal(before, ""), pa.scalar(None, pa.string()), before)


def _journeys(found: Found, ids: pa.Array, type_names: pa.Array, names: Names) -> pa.Table:
    journeys, touchpoints, visits = found.journeys, found.touchpoints, found.visits
    count = len(journeys.type)
    cycle, before = _numbered(found, ids)
    is_open = journeys.status == 0
    solved = journeys.solved != UNKNOWN_INSTANT
    need = np.where(journeys.need != UNKNOWN_INSTANT, journeys.need, journeys.started)
    lead = np.maximum(np.where(solved, journeys.solved, journeys.ended) - need, 0) // 1_000_000
    channel = names.channel_of_line[touchpoints.line]
    words = _activity_words(names)
    kind_activity = names.activity_of_kind[touchpoints.kind]
    variant = sequence_words((words[0][kind_activity], words[1][kind_activity]), touchpoints.number, touchpoints.first)
    columns: dict[str, object] = {
        "journey_id": ids,
        "person_id": hex_text(journeys.person),
        "account_id": _account_text(journeys.account),
        "journey_type": coded(journeys.type, type_names),
        "cycle": cycle,
        "previous_journey_id": before,
        "started_at": _instants(journeys.started),
        "ended_at": _instants(np.where(is_open, UNKNOWN_INSTANT, journeys.ended)),
        "last_activity_at": _instants(journeys.last_at),
        "solved_at": _instants(journeys.solved),
        "status": _fixed(journeys.status, STATUSES),
        "outcome": _fixed(journeys.outcome, OUTCOMES),
        "persona": coded(journeys.persona, names.persona),
        "variant_id": hex_text(*variant),
        "phase_variant_id": _phase_variants(visits, count),
        "touchpoints": lengths(touchpoints.first),
        "channels": _distinct(touchpoints.journey, channel, count),
        "channel_switches": _switches(touchpoints, channel, count),
        "lead_time_seconds": _nullable(lead, ~is_open),
        "need_started_at": _instants(journeys.need),
        "is_mystery_guest": journeys.mystery,
    }
    stretches = found.stretches
    owner = found.waits.journey[stretches.wait]
    for number, turn in enumerate(TURNS):
        mine = stretches.turn == number
        # Sums of whole seconds are exact in float64 up to 2**53.
        total = np.bincount(owner[mine], weights=stretches.seconds[mine], minlength=count)
        columns[f"{turn}_wait_seconds"] = total.astype(np.int64)
    return _table("journeys", columns)


def _account_text(account: npt.NDArray[np.uint64]) -> pa.Array:
    return pc.if_else(pa.array(account != 0), hex_text(account), pa.scalar(None, pa.string()))


def _activity_words(names: Names) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    words = np.array([name_words(name) for name in names.activity.to_pylist()], dtype=np.uint64).reshape(-1, 2)
    return words[:, 0], words[:, 1]


def _phase_variants(visits: PhaseVisits, count: int) -> pa.Array:
    """By journey, from the places of its phases: types are told apart by the journeys themselves."""
    words = np.array([name_words(f"phase {number}") for number in range(16)], dtype=np.uint64)
    low, high = sequence_words((words[visits.phase, 0], words[visits.phase, 1]), visits.number, visits.first)
    owner = visits.journey[starts_of(visits.first)]
    all_low, all_high = np.zeros(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64)
    all_low[owner], all_high[owner] = low, high
    return hex_text(all_low, all_high)


def _distinct(journey: Ints, channel: npt.NDArray[np.int32], count: int) -> Ints:
    rows = np.flatnonzero(channel >= 0)
    rows = rows[np.lexsort((channel[rows], journey[rows]))]
    return np.bincount(journey[rows[changes(journey[rows], channel[rows])]], minlength=count)


def _switches(touchpoints: Touchpoints, channel: npt.NDArray[np.int32], count: int) -> Ints:
    switch = np.zeros(len(channel), dtype=bool)
    switch[1:] = ~touchpoints.first[1:] & (channel[1:] != channel[:-1])
    return np.bincount(touchpoints.journey[switch], minlength=count)


def _phase_names(rules: list[TypeRules]) -> tuple[pa.Array, Ints]:
    """All types' phases in one code book, and where each type's begin."""
    counts = [len(rule.phases) for rule in rules]
    return pa.array([phase for rule in rules for phase in rule.phases], pa.string()), np.cumsum([0, *counts])


def _phase_codes(phase: npt.NDArray[np.int8], type_: npt.NDArray[np.int16], offsets: Ints) -> Ints:
    return np.where(phase >= 0, phase + offsets[type_], -1)


def _touchpoints(found: Found, ids: pa.Array, type_names: pa.Array, rules: list[TypeRules], names: Names) -> pa.Table:
    touchpoints = found.touchpoints
    type_ = found.journeys.type[touchpoints.journey]
    book, offsets = _phase_names(rules)
    phase = _phase_codes(touchpoints.phase, type_, offsets)
    activity = names.activity_of_kind[touchpoints.kind]
    wait = np.zeros(len(phase), dtype=np.int64)
    gap = touchpoints.start[1:] - touchpoints.latest[:-1]
    wait[1:] = np.maximum(gap, 0) // 1_000_000
    before = np.arange(len(phase)) - 1
    return _table(
        "touchpoints",
        {
            "journey_id": coded(touchpoints.journey, ids),
            "journey_type": coded(type_, type_names),
            "touchpoint_number": touchpoints.number,
            "phase": coded(phase, book),
            "activity": coded(activity, names.activity),
            "source": coded(names.source_of_line[touchpoints.line], names.source),
            "channel": coded(names.channel_of_line[touchpoints.line], names.channel),
            "initiator": coded(names.initiator_of_kind[touchpoints.first_kind], names.initiator),
            "started_at": _instants(touchpoints.start),
            "ended_at": _instants(touchpoints.end),
            "events": touchpoints.events,
            "joined_by": _fixed(touchpoints.joined_by, JOINED_BY),
            "wait_before_seconds": _nullable(wait, ~touchpoints.first),
            "previous_activity": coded(np.where(touchpoints.first, -1, activity[before]), names.activity),
            "previous_phase": coded(np.where(touchpoints.first, -1, phase[before]), book),
        },
    )


def _event_rows(members: MemberColumns) -> tuple[Ints, Ints]:
    """(member row, journey) of the members that are events of touchpoints or internal steps: all but answers."""
    rows = np.flatnonzero(~members.answer)
    return rows, members.journey[rows]


def _touchpoint_events(found: Found, ids: pa.Array) -> pa.Table:
    members = found.members
    rows, journey = _event_rows(members)
    touchpoint = found.touchpoints.of_member[rows]
    number = np.where(touchpoint >= 0, found.touchpoints.number[np.maximum(touchpoint, 0)], 0)
    return _table(
        "touchpoint_events",
        {
            "journey_id": coded(journey, ids),
            "touchpoint_number": number,
            "event_id": found.event_id.take(pa.array(members.position[rows])),
            "joined_by": _fixed(members.joined_by[rows], JOINED_BY),
        },
    )


def _phase_visits(found: Found, ids: pa.Array, type_names: pa.Array, rules: list[TypeRules], names: Names) -> pa.Table:
    visits = found.visits
    type_ = found.journeys.type[visits.journey]
    book, offsets = _phase_names(rules)
    return _table(
        "phase_visits",
        {
            "journey_id": coded(visits.journey, ids),
            "journey_type": coded(type_, type_names),
            "visit_number": visits.number,
            "phase": coded(_phase_codes(visits.phase, type_, offsets), book),
            "phase_number": visits.phase.astype(np.int64) + 1,
            "entered_at": _instants(visits.start),
            "left_at": _instants(visits.end),
            "dwell_seconds": (visits.end - visits.start) // 1_000_000,
            "touchpoints": visits.touchpoints,
            "main_channel": coded(visits.channel, names.channel),
            "is_last": visits.is_last,
        },
    )


def _waits(found: Found, ids: pa.Array, type_names: pa.Array, names: Names) -> pa.Table:
    waits, stretches = found.waits, found.stretches
    journey = waits.journey[stretches.wait]
    return _table(
        "waits",
        {
            "journey_id": coded(journey, ids),
            "journey_type": coded(found.journeys.type[journey], type_names),
            "touchpoint_number": waits.after[stretches.wait],
            "stretch_number": stretches.number,
            "turn": _fixed(stretches.turn, TURNS),
            "cause": _fixed(stretches.cause, CAUSES),
            "started_at": _instants(stretches.start),
            "ended_at": _instants(stretches.end),
            "seconds": stretches.seconds,
            "is_open": waits.is_open[stretches.wait],
            "internal_activity": coded(stretches.activity, names.activity),
            "team": coded(stretches.team, names.team),
        },
    )


def _experiences(found: Found, ids: pa.Array, names: Names) -> pa.Table:
    position, journey, number = found.answers
    kind = found.events.kind[position]
    return _table(
        "experiences",
        {
            "event_id": found.event_id.take(pa.array(position)),
            "journey_id": ids.take(pa.array(journey, mask=journey < 0)),
            "touchpoint_number": _nullable(number, number > 0),
            "instrument": coded(names.instrument_of_kind[kind], names.instrument),
            "score": found.scores[0][position],
            "score_0_100": found.scores[1][position],
            "answered_at": _instants(found.events.at[position]),
        },
    )

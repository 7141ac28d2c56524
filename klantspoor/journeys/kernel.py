"""The kernel: events of whole persons in, rows of the journey tables out. One pass over columns, no loop per person.

`reconstruct` is a pure function of its arguments: any slice that holds whole persons can be processed alone, embedded or
on a cluster, and the results put side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from klantspoor.journeys.membership import Members, find_members
from klantspoor.journeys.publish import UNKNOWN_INSTANT, Filed, Found, JourneyColumns, Names, to_tables
from klantspoor.journeys.rules import ANSWER, INTERNAL, MANY_PHASES, PHASE, UNPHASED, TypeRules
from klantspoor.journeys.segments import Bools, Ints, Keys, changes, ends_of, last_index_where, starts_of
from klantspoor.journeys.sheets import BEFORE_CASE, CASE_KEY, OPENING, STREAM
from klantspoor.journeys.slices import Earlier, KindTraits, Slice, nothing_earlier
from klantspoor.journeys.touchpoints import (
    MemberColumns,
    Touchpoints,
    build_phase_visits,
    build_touchpoints,
)
from klantspoor.journeys.waits import (
    NOBODY,
    ORGANISATION,
    PARTNER,
    UNDETERMINED,
    Calendar,
    Declared,
    Steps,
    Waits,
    cut_waits,
    without_promises,
)


@dataclass(frozen=True, slots=True)
class Setting:
    """All that is the same for every slice of a night.

    `initiator_turn` gives for each kind whose turn it was if that kind is the next move after an undeclared silence.
    `as_of` is in microseconds. `stacked` holds each rule array once per journey type: shape (types, kinds).
    """

    rules: list[TypeRules]
    traits: KindTraits
    names: Names
    calendar: Calendar
    as_of: int
    next_mover: npt.NDArray[np.int8]
    is_answer: Bools
    role: npt.NDArray[np.int8]
    phase: npt.NDArray[np.int8]
    phase_after: npt.NDArray[np.int8]
    rank: npt.NDArray[np.int32]
    turn: npt.NDArray[np.int8]
    completes: Bools
    fails: Bools
    closes: Bools
    mystery: Bools


@dataclass(frozen=True, slots=True)
class Reconstructed:
    """The rows of the journey tables, and how many journeys are not among them for want of any touchpoint.

    By journey, in the order of their table: `person`, `account` (0: none), and whether it `is_settled`; and whether each
    answer is.
    """

    tables: dict[str, Filed]
    unseen: int
    person: npt.NDArray[np.uint64]
    account: npt.NDArray[np.uint64]
    is_settled: Bools
    answer_is_settled: Bools


def make_setting(
    rules: list[TypeRules],
    traits: KindTraits,
    names: Names,
    calendar: Calendar,
    as_of: int,
    initiators: list[str | None],
    instruments: list[str | None],
) -> Setting:
    """Stacks the rules of all types; `initiators` and `instruments` are given per kind."""
    movers = {"organisation": ORGANISATION, "system": ORGANISATION, "partner": PARTNER, "customer": NOBODY}

    def stacked(name: str) -> npt.NDArray[np.generic]:
        return np.stack([getattr(rule, name) for rule in rules])

    return Setting(
        rules=rules,
        traits=traits,
        names=names,
        calendar=calendar,
        as_of=as_of,
        next_mover=np.array([movers.get(name or "", UNDETERMINED) for name in initiators], dtype=np.int8),
        is_answer=np.array([name is not None for name in instruments], dtype=bool),
        **{  # type: ignore[arg-type]
            name: stacked(name)
            for name in ("role", "phase", "phase_after", "rank", "turn", "completes", "fails", "closes", "mystery")
        },
    )


def reconstruct(
    events: Slice,
    need: Ints,
    event_id: pa.StringArray,
    scores: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    persona: npt.NDArray[np.int32],
    setting: Setting,
    earlier: Earlier | None = None,
    settled: Bools | None = None,
) -> Reconstructed:
    """Reconstructs the journeys of whole persons.

    Args:
        events: the persons' events, in the order of docs/journeys.md.
        need: when the customer's need began, by event, in microseconds; UNKNOWN_INSTANT where unknown.
        event_id: by event.
        scores: by event, on the instrument's scale and from 0 to 100; NaN where it is no answer.
        persona: by event, the code of its person's persona in `setting.names.persona`; -1 where unknown.
        setting: the night's rules, names and clock.
        earlier: what is settled of these persons, and so not among the events.
        settled: by event, whether later nights will not be given it any more.

    Returns:
        journeys, touchpoints, touchpoint_events, phase_visits, waits and experiences, as the dictionary declares them.
    """
    earlier = earlier or nothing_earlier()
    found = find_members(events, setting.traits, setting.rules)
    members, type_, first_direct, account = _published(events, found, setting)
    touchpoints = build_touchpoints(members)
    journeys = _journey_columns(events, members, touchpoints, type_, first_direct, account, need, persona, setting)
    waits = _waits(touchpoints, journeys, setting)
    steps, declared = _steps(members, setting), _declared(events, members, journeys.type, setting)
    answers = _answers(events, members, touchpoints, journeys.type, setting)
    settled = np.zeros(len(events), dtype=bool) if settled is None else settled
    tables = to_tables(
        Found(
            events=events,
            event_id=event_id,
            scores=scores,
            members=members,
            touchpoints=touchpoints,
            journeys=journeys,
            visits=build_phase_visits(touchpoints, setting.names.channel_of_line),
            waits=waits,
            stretches=cut_waits(waits, declared, steps, setting.calendar),
            answers=answers,
            earlier=earlier,
        ),
        setting.rules,
        setting.names,
    )
    # No journey is settled in part: what reaches across a cut keeps the cut from holding.
    is_settled = settled[first_direct]
    return Reconstructed(
        tables, len(found.type) - len(type_), journeys.person, account, is_settled, settled[answers[0]]
    )


def _published(
    events: Slice, found: Members, setting: Setting
) -> tuple[MemberColumns, npt.NDArray[np.int16], Ints, npt.NDArray[np.uint64]]:
    """Keeps the journeys with a touchpoint, numbers them by person and start, as they are written; sorts members by them."""
    role = setting.role[found.type[found.journey], events.kind[found.event]]
    visible = (role == PHASE) | (role == UNPHASED)
    size = len(events)
    begins = np.full(len(found.type), size, dtype=np.int64)
    np.minimum.at(begins, found.journey[visible], found.event[visible])
    shown = np.flatnonzero(begins < size)
    # Positions are in order of person and time, so the first contact's position sorts journeys by both.
    shown = shown[np.lexsort((found.type[shown], begins[shown]))]
    renumbered = np.full(len(found.type), -1, dtype=np.int64)
    renumbered[shown] = np.arange(len(shown))
    journey = renumbered[found.journey]
    rows = np.flatnonzero(journey >= 0)
    rows = rows[np.argsort(journey[rows] * np.int64(size) + found.event[rows], kind="stable")]
    event, kind, role = found.event[rows], events.kind[found.event[rows]], role[rows]
    type_ = found.type[shown]
    mine = type_[journey[rows]]
    members = MemberColumns(
        journey=journey[rows],
        position=event,
        at=events.at[event],
        until=events.until[event],
        kind=kind,
        phase=_phases(setting, mine, kind, visible[rows], changes(journey[rows])),
        rank=setting.rank[mine, kind],
        line=setting.traits.line[kind],
        contact_gap=setting.traits.contact_gap[kind],
        joined_by=found.joined_by[rows],
        visible=visible[rows],
        internal=role == INTERNAL,
        answer=role == ANSWER,
    )
    return members, type_, found.first_direct[shown], found.account[shown]


def _phases(
    setting: Setting, type_: npt.NDArray[np.int16], kind: npt.NDArray[np.int32], visible: Bools, first: Bools
) -> npt.NDArray[np.int8]:
    """Each member's phase; an activity of several phases is in the one the customer is in."""
    phase = setting.phase[type_, kind]
    many = phase == MANY_PHASES
    if not many.any():
        return phase
    latest = last_index_where(visible & (phase >= 0) & ~many, first)
    before = np.where(latest >= 0, phase[np.maximum(latest, 0)], -1)
    return np.where(many, setting.phase_after[type_, kind, before + 1], phase).astype(np.int8)


def _last_per_journey(mask: Bools, first: Bools) -> Ints:
    """Per journey the row of its last member where `mask` holds, -1 where none does."""
    index = np.where(mask, np.arange(len(mask), dtype=np.int64), -1)
    return np.maximum.reduceat(index, starts_of(first)) if len(index) else index


def _journey_columns(
    events: Slice,
    members: MemberColumns,
    touchpoints: Touchpoints,
    type_: npt.NDArray[np.int16],
    first_direct: Ints,
    account: npt.NDArray[np.uint64],
    need: Ints,
    persona: npt.NDArray[np.int32],
    setting: Setting,
) -> JourneyColumns:
    first = changes(members.journey)
    begin = starts_of(first)
    mine = type_[members.journey]
    completes = setting.completes[mine, members.kind]
    deciding = _last_per_journey(completes | setting.fails[mine, members.kind], first)
    solved = deciding >= 0
    direct = np.isin(members.joined_by, (CASE_KEY, OPENING, STREAM, BEFORE_CASE)) & ~members.answer
    last_direct = _last_per_journey(direct, first)
    closed = (last_direct >= 0) & setting.closes[type_, members.kind[np.maximum(last_direct, 0)]]
    last_at = members.at[ends_of(first) - 1]
    quiet = np.array([rule.abandoned_after for rule in setting.rules], dtype=np.int64)[type_]
    completed = solved | closed
    status = np.where(completed, 1, np.where(setting.as_of - last_at > quiet, 2, 0)).astype(np.int8)
    outcome = np.where(solved, np.where(completes[np.maximum(deciding, 0)], 0, 1), 2).astype(np.int8)
    person = events.person[members.position[begin]]
    tp_begin = starts_of(touchpoints.first)
    person_persona = persona[members.position[begin]]
    guests = [rule.mystery_personas for rule in setting.rules]
    guest_persona = np.zeros((len(setting.rules), len(setting.names.persona) + 1), dtype=bool)
    for number, names in enumerate(guests):
        guest_persona[number, :-1] = [name in names for name in setting.names.persona.to_pylist()]
    guest = np.logical_or.reduceat(setting.mystery[mine, members.kind], begin) if len(begin) else solved
    return JourneyColumns(
        type=type_,
        person=person,
        account=account,
        first_direct=first_direct,
        started=touchpoints.start[tp_begin],
        ended=np.maximum.reduceat(touchpoints.end, tp_begin) if len(tp_begin) else tp_begin,
        last_at=last_at,
        solved=np.where(solved, members.at[np.maximum(deciding, 0)], UNKNOWN_INSTANT) if len(solved) else last_at,
        status=status,
        outcome=outcome,
        persona=person_persona,
        need=np.minimum.reduceat(need[members.position], begin) if len(begin) else begin,
        mystery=guest | guest_persona[type_, person_persona],
    )


def _waits(touchpoints: Touchpoints, journeys: JourneyColumns, setting: Setting) -> Waits:
    """Every wait between touchpoints, and the one still running of each open journey."""
    later = np.flatnonzero(~touchpoints.first)
    since = touchpoints.latest[later - 1]
    real = touchpoints.start[later] > since
    later, since = later[real], since[real]
    last = ends_of(touchpoints.first) - 1
    running = last[(journeys.status == 0) & (touchpoints.latest[last] < setting.as_of)]
    journey = np.concatenate([touchpoints.journey[later], touchpoints.journey[running]])
    after = np.concatenate([touchpoints.number[later] - 1, touchpoints.number[running]])
    start = np.concatenate([since, touchpoints.latest[running]])
    end = np.concatenate([touchpoints.start[later], np.full(len(running), setting.as_of, dtype=np.int64)])
    is_open = np.concatenate([np.zeros(len(later), dtype=bool), np.ones(len(running), dtype=bool)])
    mover = np.concatenate(
        [setting.next_mover[touchpoints.first_kind[later]], np.full(len(running), UNDETERMINED, dtype=np.int8)]
    )
    order = np.lexsort((after, journey))
    return Waits(journey[order], after[order], start[order], end[order], is_open[order], mover[order])


def _steps(members: MemberColumns, setting: Setting) -> Steps:
    rows = np.flatnonzero(members.internal)
    kind = members.kind[rows]
    return Steps(
        members.journey[rows],
        members.at[rows],
        members.until[rows],
        setting.names.activity_of_kind[kind],
        setting.names.team_of_kind[kind],
    )


def _declared(events: Slice, members: MemberColumns, type_: npt.NDArray[np.int16], setting: Setting) -> Declared:
    turn = setting.turn[type_[members.journey], members.kind]
    rows = np.flatnonzero(without_promises(turn) & ~members.answer)
    # Where a source orders its ties it knows better; else what the customer sees comes before what it sets off.
    tie = events.tie_order[members.position[rows]]
    rows = rows[np.lexsort((rows, members.internal[rows], tie, members.at[rows], members.journey[rows]))]
    return Declared(members.journey[rows], members.at[rows], turn[rows])


def _answers(
    events: Slice,
    members: MemberColumns,
    touchpoints: Touchpoints,
    type_: npt.NDArray[np.int16],
    setting: Setting,
) -> tuple[Ints, Ints, Ints]:
    """(position, journey or -1, touchpoint number or 0) of every answer of the slice, each once."""
    rows = np.flatnonzero(setting.is_answer[members.kind])
    # The journey in which it is itself a contact comes first, then the first by type.
    rows = rows[np.lexsort((type_[members.journey[rows]], touchpoints.of_member[rows] < 0, members.position[rows]))]
    rows = rows[changes(members.position[rows])]
    keys = Keys(len(type_), touchpoints.start, members.at[rows])
    starts = keys.key(touchpoints.journey, touchpoints.start)
    before = np.searchsorted(starts, keys.key(members.journey[rows], members.at[rows]), side="right") - 1
    own = touchpoints.of_member[rows]
    about = np.where(own >= 0, own, before)
    safe = np.maximum(about, 0)
    there = (about >= 0) & (touchpoints.journey[safe] == members.journey[rows]) if len(touchpoints.first) else rows < 0
    position = np.flatnonzero(setting.is_answer[events.kind])
    journey = np.full(len(position), -1, dtype=np.int64)
    number = np.zeros(len(position), dtype=np.int64)
    place = np.searchsorted(position, members.position[rows])
    journey[place] = members.journey[rows]
    number[place] = np.where(there, touchpoints.number[safe], 0) if len(touchpoints.first) else 0
    return position, journey, number

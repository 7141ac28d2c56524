"""The naive oracle: docs/journeys.md once more, event by event in plain Python, as the proof of the vectorised kernel.

Here: section "Within a journey" and the entry, `reconstruct`. Roles are in `oracle_events`, membership in
`oracle_joining` and `oracle_cutting`, turns and causes in `oracle_waits`. Clarity over speed; nothing is shared with
`klantspoor.journeys`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from oracle_cutting import cut
from oracle_events import Event, Role, fits_any, in_context, in_order, microseconds
from oracle_joining import Draft, Person, known_account
from oracle_waits import Stretch, Wait, declared_turns, stretches_of, whole_seconds

from klantspoor.project.model import JourneyFile

__all__ = ["Event", "Journey", "Result", "Stretch", "Touchpoint", "Visit", "reconstruct", "whole_seconds"]


@dataclass(frozen=True)
class Touchpoint:
    """One contact; instants in µs. `wait_before` is None for the first, 0 where nobody waited."""

    number: int
    phase: str | None
    activity: str
    source: str
    channel: str | None
    initiator: str | None
    joined_by: str
    start: int
    end: int
    event_ids: list[str]
    wait_before: int | None


@dataclass(frozen=True)
class Visit:
    """An unbroken run of touchpoints of one phase; `touchpoints` counts those, not the unphased between them."""

    number: int
    phase: str
    entered: int
    left: int
    touchpoints: int
    main_channel: str | None


@dataclass
class Journey:
    """One published journey. `account` 0 is unknown; `previous` is the first direct event of the cycle before."""

    type: str
    person: int
    account: int
    first_direct_event_id: str
    members: list[tuple[str, str]]
    touchpoints: list[Touchpoint]
    internal_steps: list[str]
    visits: list[Visit]
    status: str
    outcome: str
    solved_at: int | None
    started: int
    ended: int | None
    last_activity_at: int
    lead_time: int | None
    need: int | None
    stretches: list[Stretch]
    variant: tuple[str, ...]
    phase_variant: tuple[str, ...]
    cycle: int = 0
    previous: str | None = None


@dataclass
class Result:
    """`answers`: (event, (type, first direct event) of its journey or None, touchpoint number or None)."""

    journeys: list[Journey] = field(default_factory=list)
    answers: list[tuple[str, tuple[str, str] | None, int | None]] = field(default_factory=list)


def reconstruct(
    events: list[Event],
    journeys: dict[str, JourneyFile],
    contact_gaps: dict[str, int],
    closed: list[tuple[int, int]],
    as_of: int,
) -> Result:
    """All journeys of all persons, by person, type and first direct event; closed hours are sorted and disjoint.

    Raises:
        ValueError: an event is equally well visible and internal in one journey type (R3).
    """
    result = Result()
    for number in sorted({event.person for event in events}):
        person = cut([event for event in events if event.person == number], journeys, contact_gaps)
        built = []
        for draft in sorted(person.drafts, key=lambda draft: (draft.type, person.place[draft.first.event_id])):
            journey = within(person, draft, contact_gaps, closed, as_of)
            if journey.touchpoints:  # a journey the customer never met is not published
                built.append(journey)
        number_cycles(person, built)
        result.journeys += built
        for event in person.events:
            if event.score is not None:
                result.answers.append(tie_answer(event, built))
    return result


def within(
    person: Person, draft: Draft, contact_gaps: dict[str, int], closed: list[tuple[int, int]], as_of: int
) -> Journey:
    """The journey that a draft becomes; without touchpoints where no member is visible."""
    file, roles = person.files[draft.type], person.roles[draft.type]
    members = [event for event in person.events if event.event_id in draft.joined_by]
    roles = in_context(members, roles, file)
    visible = [event for event in members if roles[event.event_id].visible]
    steps = [event for event in members if roles[event.event_id].kind == "internal"]
    touchpoints = touchpoints_of(person, visible, roles, contact_gaps, draft.joined_by)
    visits = visits_of(touchpoints)

    status, outcome, solved_at = how_it_stands(file, members, in_order(draft.direct), as_of)
    started = touchpoints[0].start if touchpoints else members[0].at
    latest_end = max((touchpoint.end for touchpoint in touchpoints), default=started)
    ended = None if status == "open" else latest_end
    need = min((event.need for event in members if event.need is not None), default=None)
    until = solved_at if solved_at is not None else ended
    # A need that a source dates after the solution would make a negative time: there was no time then.
    lead_time = None if until is None or status == "open" else max(0, until - (started if need is None else need))

    contributing = [(e, roles[e.event_id].visible) for e in members if roles[e.event_id].kind != "answer"]
    declared = declared_turns(contributing, file.turns)
    open_until = as_of if status == "open" else None
    stretches = [s for wait in waits_of(touchpoints, open_until) for s in stretches_of(wait, steps, declared, closed)]
    return Journey(
        type=draft.type,
        person=members[0].person,
        account=known_account(draft),
        first_direct_event_id=draft.first.event_id,
        members=[(event.event_id, draft.joined_by[event.event_id]) for event in members],
        touchpoints=touchpoints,
        internal_steps=[step.event_id for step in steps],
        visits=visits,
        status=status,
        outcome=outcome,
        solved_at=solved_at,
        started=started,
        ended=ended,
        last_activity_at=members[-1].at,
        lead_time=lead_time,
        need=need,
        stretches=stretches,
        variant=tuple(touchpoint.activity for touchpoint in touchpoints),
        phase_variant=tuple(visit.phase for visit in visits),
    )


def touchpoints_of(
    person: Person,
    visible: list[Event],
    roles: dict[str, Role],
    contact_gaps: dict[str, int],
    joined_by: dict[str, str],
) -> list[Touchpoint]:
    """The visible members (in order) as contacts that hold one phase each."""
    groups: list[list[Event]] = []
    current: dict[tuple[str, str | None], list[Event]] = {}
    latest_end: dict[tuple[str, str | None], int] = {}
    for event in visible:
        line, gap = (event.source, event.channel), contact_gaps[event.source]
        phase = roles[event.event_id].phase
        known = [p for e in current.get(line, []) if (p := roles[e.event_id].phase) is not None]
        new_contact = line not in current or gap == 0 or event.at > latest_end[line] + gap
        new_phase = phase is not None and bool(known) and phase != known[-1]
        if new_contact or new_phase:
            moved = []
            while not new_contact and roles[current[line][-1].event_id].phase is None:
                moved.insert(0, current[line].pop())  # unphased ones go with the phase that follows
            current[line] = moved
            groups.append(current[line])
        current[line].append(event)
        latest_end[line] = max(latest_end.get(line, event.until), event.until)

    result: list[Touchpoint] = []
    latest = 0
    for group in sorted(groups, key=lambda group: (group[0].at, person.place[group[0].event_id])):
        first, end = group[0], max(event.until for event in group)
        lowest = min(roles[event.event_id].rank for event in group)
        wait = max(0, first.at - latest) if result else None
        result.append(
            Touchpoint(
                number=len(result) + 1,
                phase=next((p for event in group if (p := roles[event.event_id].phase) is not None), None),
                activity=[event.activity for event in group if roles[event.event_id].rank == lowest][-1],
                source=first.source,
                channel=first.channel,
                initiator=first.initiator,
                joined_by=joined_by[first.event_id],
                start=first.at,
                end=end,
                event_ids=[event.event_id for event in group],
                wait_before=wait,
            )
        )
        latest = max(latest, end) if wait is not None else end
    return result


def visits_of(touchpoints: list[Touchpoint]) -> list[Visit]:
    """Runs of one phase among the touchpoints that have one."""
    runs: list[tuple[str, list[Touchpoint]]] = []
    for touchpoint in touchpoints:
        if touchpoint.phase is None:
            continue
        if runs and runs[-1][0] == touchpoint.phase:
            runs[-1][1].append(touchpoint)
        else:
            runs.append((touchpoint.phase, [touchpoint]))
    result = []
    for number, (phase, run) in enumerate(runs, start=1):
        channels = [touchpoint.channel for touchpoint in run if touchpoint.channel is not None]
        main = max(channels, key=channels.count) if channels else None  # of equals the one met first
        result.append(Visit(number, phase, run[0].start, max(t.end for t in run), len(run), main))
    return result


def how_it_stands(
    file: JourneyFile, members: list[Event], direct: list[Event], as_of: int
) -> tuple[str, str, int | None]:
    """Status, outcome and when it was solved."""
    outcome, solved_at = "unknown", None
    for event in members:
        if fits_any(file.completes, event):
            outcome, solved_at = "achieved", event.at
        elif fits_any(file.fails, event):
            outcome, solved_at = "failed", event.at
    quiet = microseconds(file.cut.gap if file.abandoned_after is None else file.abandoned_after)
    if solved_at is not None or fits_any(file.cut.closes, direct[-1]):
        return "completed", outcome, solved_at
    return ("abandoned" if as_of - members[-1].at > quiet else "open"), outcome, solved_at


def waits_of(touchpoints: list[Touchpoint], open_until: int | None) -> list[Wait]:
    """The waits between touchpoints, and the one still running if the journey is open."""
    result: list[Wait] = []
    if not touchpoints:
        return result
    latest = touchpoints[0].end
    for before, after in pairwise(touchpoints):
        if after.start > latest:
            result.append(Wait(before.number, latest, after.start, False, after.initiator))
        latest = max(latest, after.end)
    if open_until is not None and open_until > latest:
        result.append(Wait(touchpoints[-1].number, latest, open_until, True, None))
    return result


def number_cycles(person: Person, built: list[Journey]) -> None:
    """R5: journeys of one type and account, by start (of equals, by the first event of the first touchpoint)."""
    last: dict[tuple[str, int], Journey] = {}
    by_start = sorted(built, key=lambda j: (j.started, person.place[j.touchpoints[0].event_ids[0]]))
    for journey in by_start:
        before = last.get((journey.type, journey.account))
        journey.cycle = before.cycle + 1 if before else 1
        journey.previous = before.first_direct_event_id if before else None
        last[journey.type, journey.account] = journey


def tie_answer(event: Event, built: list[Journey]) -> tuple[str, tuple[str, str] | None, int | None]:
    """The moment it is about: the touchpoint that holds it, else the last before it in its journey."""
    mine = sorted((j for j in built if event.event_id in dict(j.members)), key=lambda j: j.type)
    for journey in mine:
        for touchpoint in journey.touchpoints:
            if event.event_id in touchpoint.event_ids:
                return event.event_id, (journey.type, journey.first_direct_event_id), touchpoint.number
    if not mine:
        return event.event_id, None, None
    number = max((t.number for t in mine[0].touchpoints if t.start <= event.at), default=None)
    return event.event_id, (mine[0].type, mine[0].first_direct_event_id), number

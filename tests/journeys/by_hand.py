"""Short ways to write a history and to read a reconstruction, for the hand-counted cases. Times are minutes here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oracle import Journey, Result, Touchpoint, reconstruct
from oracle_events import Event

from klantspoor.project.model import JourneyFile

MINUTE = 60_000_000


def event(event_id: str, at: float, activity: str, lasts: float = 0, **more: Any) -> Event:
    """An event of person 1 and source `crm`; `at` and `lasts` in minutes."""
    start = round(at * MINUTE)
    defaults: dict[str, Any] = {"person": 1, "source": "crm"}
    return Event(
        at=start, until=start + round(lasts * MINUTE), activity=activity, event_id=event_id, **{**defaults, **more}
    )


def journey_type(
    name: str = "trip",
    phases: Mapping[str, Sequence[Any]] | None = None,
    key: str | None = None,
    opens: Sequence[Any] = (),
    closes: Sequence[Any] = (),
    gap: str = "60 minutes",
    needs: Sequence[Any] = (),
    **more: Any,
) -> JourneyFile:
    """A journey type; unless told otherwise one phase `look` that any activity `see*` is in."""
    listed = {"look": ["see*"]} if phases is None else phases
    cut = {"case_key": key, "opens": list(opens), "closes": list(closes), "gap": gap, "needs": list(needs)}
    described = [{"id": phase, "says": "I look", "activities": list(names)} for phase, names in listed.items()]
    return JourneyFile.model_validate({"journey": name, "title": name, "cut": cut, "phases": described, **more})


def run(
    events: Sequence[Event],
    *files: JourneyFile,
    contact_gap: float = 0,
    closed: Sequence[tuple[float, float]] = (),
    as_of: float = 10_000,
) -> Result:
    """The oracle on these events; every source has the same contact gap."""
    hours = [(round(start * MINUTE), round(end * MINUTE)) for start, end in closed]
    gaps = {e.source: round(contact_gap * MINUTE) for e in events}
    return reconstruct(list(events), {file.journey: file for file in files}, gaps, hours, round(as_of * MINUTE))


def one(result: Result) -> Journey:
    """The only journey there is."""
    (journey,) = result.journeys
    return journey


def membership(result: Result) -> dict[str, str]:
    """Journey "type:first direct event" -> its members as "event=rule event=rule …", in order."""
    return {
        f"{journey.type}:{journey.first_direct_event_id}": " ".join(f"{e}={rule}" for e, rule in journey.members)
        for journey in result.journeys
    }


def moments(journey: Journey) -> list[str]:
    """Each touchpoint as "number phase activity start-end events", in minutes."""

    def text(t: Touchpoint) -> str:
        times = f"{t.start / MINUTE:g}-{t.end / MINUTE:g}"
        return f"{t.number} {t.phase or '.'} {t.activity} {times} {''.join(t.event_ids)}"

    return [text(touchpoint) for touchpoint in journey.touchpoints]


def waiting(journey: Journey) -> list[str]:
    """Each stretch as "touchpoint.number start-end cause[ activity/team]"; a turn not ours is its own cause."""
    lines = []
    for s in journey.stretches:
        ours = s.turn == "organisation"
        assert ours or s.cause == s.turn
        named = f" {s.activity or '-'}/{s.team or '-'}" if s.activity or s.team else ""
        open_end = "..." if s.is_open else ""
        number = f"{s.touchpoint_number}.{s.stretch_number}"
        lines.append(f"{number} {s.start / MINUTE:g}-{s.end / MINUTE:g}{open_end} {s.cause}{named}")
    return lines

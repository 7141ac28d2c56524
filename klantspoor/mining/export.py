"""The reconstructed log, or a part of it, as XES (one case per journey) or OCEL 2.0 (person, account, journey).

Made on demand with pandas and PM4Py, in memory: at most `MOST_EVENTS` events at once; filter further, or export in
parts. Mystery guests' journeys are left out unless asked for (R21). Texts are written as
`klantspoor.mining.xmltext.visible` gives them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import duckdb
import pandas as pd

from klantspoor.errors import KlantspoorError, NotFoundError
from klantspoor.mining.objects import as_ocel
from klantspoor.mining.xmltext import quiet_pm4py, visible

MOST_EVENTS = 1_000_000
OCEL_ENDINGS = (".jsonocel", ".xmlocel", ".sqlite")


class Tables(Protocol):
    """What can be exported: a published version or a run's staging."""

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A connection with a view per table."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which journeys; what is left empty does not limit. `started_from` is inclusive, `started_before` is not."""

    journey_types: tuple[str, ...] = ()
    persona: str | None = None
    started_from: datetime | None = None
    started_before: datetime | None = None
    status: str | None = None
    journey_id: str | None = None
    mystery_guests: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: journeys, and events (in XES one per journey it is in; in OCEL 2.0 each once)."""

    journeys: int
    events: int


_CHOSEN = """
    CREATE TEMP TABLE chosen AS SELECT * FROM journeys
    WHERE ($journey_types IS NULL OR list_contains($journey_types, journey_type::VARCHAR))
        AND ($persona IS NULL OR persona = $persona) AND ($status IS NULL OR status = $status)
        AND ($started_from IS NULL OR started_at >= $started_from::TIMESTAMPTZ)
        AND ($started_before IS NULL OR started_at < $started_before::TIMESTAMPTZ)
        AND ($journey_id IS NULL OR journey_id = $journey_id)
        AND ($mystery_guests OR NOT is_mystery_guest)
"""
_COUNT = "SELECT count(*), (SELECT count(*) FROM touchpoint_events SEMI JOIN chosen USING (journey_id)) FROM chosen"
_JOURNEYS = """
    SELECT journey_id, person_id, account_id, previous_journey_id, journey_type::VARCHAR AS journey_type, cycle,
        status::VARCHAR AS status, outcome::VARCHAR AS outcome, persona::VARCHAR AS persona, started_at, ended_at,
        lead_time_seconds
    FROM chosen ORDER BY journey_id
"""
_EVENTS = """
    SELECT member.journey_id, member.event_id, event.occurred_at, event.activity::VARCHAR AS activity,
        event.channel::VARCHAR AS channel, event.source::VARCHAR AS source, event.initiator::VARCHAR AS initiator,
        event.team::VARCHAR AS team, event.topic::VARCHAR AS topic, member.touchpoint_number, member.touchpoint_number
        = 0 AS internal_step, touchpoint.phase::VARCHAR AS phase, touchpoint.activity::VARCHAR AS touchpoint_activity,
        member.joined_by::VARCHAR AS joined_by,
        CASE WHEN member.touchpoint_number > 0 THEN after.turn WHEN event.occurred_at < during.ended_at THEN
        during.turn END::VARCHAR AS turn FROM touchpoint_events member
    JOIN chosen USING (journey_id)
    JOIN events event ON event.event_id = member.event_id
    LEFT JOIN touchpoints touchpoint
        ON touchpoint.journey_id = member.journey_id AND touchpoint.touchpoint_number = member.touchpoint_number
    LEFT JOIN waits after ON after.journey_id = member.journey_id
        AND after.touchpoint_number = member.touchpoint_number AND after.stretch_number = 1
    ASOF LEFT JOIN waits during ON during.journey_id = member.journey_id AND during.started_at <= event.occurred_at
    ORDER BY member.journey_id, event.occurred_at, internal_step, member.touchpoint_number, member.event_id
"""


def export_xes(tables: Tables, out: Path, selection: Selection = Selection()) -> Exported:
    """Write the chosen journeys as XES: a case is a journey, its events those of its touchpoints and internal steps.

    Of each event: concept:name (activity), time:timestamp, org:group (team), and channel, source, initiator, topic,
    phase, touchpoint_number (0: internal step), internal_step, joined_by, touchpoint_activity, and turn: whose turn
    it was then (of a touchpoint's events: in the wait after it).

    Raises:
        NotFoundError: where no journey is chosen.
        KlantspoorError: for another ending than .xes, or more than `MOST_EVENTS` events.
    """
    _ending(out, (".xes",))
    journeys, events = _read(tables, selection)
    cases = (
        journeys.drop(columns=["previous_journey_id"])
        .add_prefix("case:")
        .rename(columns={"case:journey_id": "case:concept:name"})
    )
    log = events.rename(
        columns={
            "journey_id": "case:concept:name",
            "activity": "concept:name",
            "occurred_at": "time:timestamp",
            "team": "org:group",
        }
    ).merge(cases, on="case:concept:name", sort=False)
    quiet_pm4py()
    from pm4py.objects.log.exporter.xes import exporter

    _write(out, lambda path: exporter.apply(log, path, parameters={"show_progress_bar": False}))
    return Exported(len(journeys), len(events))


def export_ocel(tables: Tables, out: Path, selection: Selection = Selection()) -> Exported:
    """Write the chosen journeys as OCEL 2.0: JSON, XML or SQLite by the ending .jsonocel, .xmlocel or .sqlite.

    Objects are persons, accounts and journeys; each event is there once, however many journeys it is in, and related
    to them with its phase (or "internal step", "contact") as the qualifier.

    Raises:
        NotFoundError: where no journey is chosen.
        KlantspoorError: for another ending, or more than `MOST_EVENTS` events.
    """
    ending = _ending(out, OCEL_ENDINGS)
    journeys, events = _read(tables, selection)
    quiet_pm4py()
    from pm4py.objects.ocel.exporter.jsonocel import exporter as to_json
    from pm4py.objects.ocel.exporter.sqlite import exporter as to_sqlite
    from pm4py.objects.ocel.exporter.xmlocel import exporter as to_xml

    log = as_ocel(journeys, events)
    writers: dict[str, Callable[[str], object]] = {
        ".jsonocel": lambda path: to_json.apply(log, path, variant=to_json.Variants.OCEL20_STANDARD),
        ".xmlocel": lambda path: to_xml.apply(log, path, variant=to_xml.Variants.OCEL20),
        ".sqlite": lambda path: to_sqlite.apply(log, path, variant=to_sqlite.Variants.OCEL20),
    }
    _write(out, writers[ending])
    return Exported(len(journeys), int(events["event_id"].nunique()))


def _read(tables: Tables, selection: Selection) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The chosen journeys and their events, texts made fit for XML."""
    wanted = {
        "journey_types": list(selection.journey_types) or None,
        "persona": selection.persona,
        "status": selection.status,
        "started_from": selection.started_from,
        "started_before": selection.started_before,
        "journey_id": selection.journey_id,
        "mystery_guests": selection.mystery_guests,
    }
    with tables.connect() as con:
        con.execute(_CHOSEN, wanted).fetchall()
        ((chosen, members),) = con.execute(_COUNT).fetchall()
        if not chosen:
            raise NotFoundError(
                "no journey fits these filters: leave out one of them, or list the journeys with their status"
            )
        if members > MOST_EVENTS:
            raise KlantspoorError(
                f"{members} events are more than can be exported at once ({MOST_EVENTS}):"
                " filter by journey type, persona, status or start"
            )
        journeys, events = con.sql(_JOURNEYS).df(), con.sql(_EVENTS).df()
    return _fit(journeys), _fit(events)


def _fit(frame: pd.DataFrame) -> pd.DataFrame:
    """Every text made visible, each distinct one once."""
    for name in frame.columns:
        if pd.api.types.is_string_dtype(frame[name]) or frame[name].dtype == object:
            frame[name] = frame[name].map({text: visible(text) for text in frame[name].dropna().unique()})
    return frame


def _ending(out: Path, allowed: tuple[str, ...]) -> str:
    if out.suffix.lower() not in allowed:
        raise KlantspoorError(f"{out.name!r} cannot be written: let it end in {' or '.join(allowed)}")
    return out.suffix.lower()


def _write(out: Path, write: Callable[[str], Any]) -> None:
    """Write aside, then rename: what stood there stays until the new file is whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(f".{uuid4().hex[:8]}{out.suffix.lower()}")
    try:
        write(str(aside))
        aside.replace(out)
    finally:
        with suppress(FileNotFoundError):
            aside.unlink()

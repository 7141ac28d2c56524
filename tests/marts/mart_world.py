"""Small random staged tables for the tests of marts and mining, and projects to go with them.

Journeys are made touchpoint by touchpoint in plain Python; what the marts make of them is recomputed elsewhere.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.dictionary import TABLES
from klantspoor.dictionary.columns import CAUSES, TURNS
from klantspoor.lake import Lake, Staging
from klantspoor.project.model import Project

ZONE = "Europe/Amsterdam"
AS_OF = datetime(2024, 6, 1, 1, 0, tzinfo=UTC)
PHASES = {"buy": ["look", "choose", "use"], "moving": ["plan", "move"]}
ACTIVITIES = [
    "Page viewed",
    "Call, answered",
    "<script>alert(1)</script>",
    "=1+1\n'; DROP TABLE journeys; --",
    "bel\x07l",
]
CHANNELS = ['we"b', "phone", None]
OUR_CAUSES = ("working", "closed", "handover", "queueing", "unexplained")
Rows = dict[str, list[dict[str, Any]]]


def project(root: Path, suppress_below: int = 1, **more: Any) -> Project:
    """A project with two journey types whose limits are as given."""
    journeys = {
        name: {
            "journey": name,
            "title": name,
            "cut": {},
            "phases": [{"id": phase, "says": "I do", "activities": [phase]} for phase in phases],
        }
        for name, phases in PHASES.items()
    }
    file = {
        "name": "test",
        "timezone": ZONE,
        "pseudonym_key": {"env": "KEY"},
        "identifiers": {"customer": {"priority": 1}},
        "limits": {"suppress_below": suppress_below} | more.pop("limits", {}),
    }
    return Project.model_validate({"root": str(root), "file": file, "sources": {}, "journeys": journeys} | more)


def journey_rows(seed: int, journeys: int, persons: int = 40) -> Rows:
    """Rows of journeys, touchpoints, phase_visits and waits (dicts by column), as the kernel would make them."""
    rng = random.Random(seed)
    rows: Rows = {"journeys": [], "touchpoints": [], "phase_visits": [], "waits": []}
    personas = {person: rng.choice(["family", "single", "business", None]) for person in range(persons)}
    for number in range(journeys):
        _journey(rng, rows, number, rng.randrange(persons), personas)
    return rows


def _journey(rng: random.Random, rows: Rows, number: int, person: int, personas: dict[int, str | None]) -> None:
    journey_type = rng.choice(list(PHASES))
    status = rng.choice(["open", "completed", "completed", "abandoned"])
    journey_id = f"J{number:024x}"
    touchpoints = _touchpoints(rng, journey_id, journey_type)
    waits = _waits(rng, journey_id, journey_type, touchpoints, status == "open")
    visits = _visits(journey_id, journey_type, touchpoints)
    started, ended = touchpoints[0]["started_at"], max(t["ended_at"] for t in touchpoints)
    turns = {f"{turn}_wait_seconds": sum(w["seconds"] for w in waits if w["turn"] == turn) for turn in TURNS}
    rows["touchpoints"] += touchpoints
    rows["waits"] += waits
    rows["phase_visits"] += visits
    rows["journeys"].append(
        {
            "journey_id": journey_id,
            "person_id": f"{person:016x}",
            "journey_type": journey_type,
            "cycle": 1,
            "started_at": started,
            "ended_at": None if status == "open" else ended,
            "last_activity_at": touchpoints[-1]["started_at"],
            "status": status,
            "outcome": rng.choice(["achieved", "failed", "unknown"]) if status == "completed" else "unknown",
            "persona": personas[person],
            "variant_id": "|".join(t["activity"] for t in touchpoints),
            "phase_variant_id": "|".join(v["phase"] for v in visits),
            "touchpoints": len(touchpoints),
            "channels": len({t["channel"] for t in touchpoints}),
            "channel_switches": 0,
            "lead_time_seconds": None if status == "open" else int((ended - started).total_seconds()),
            "is_mystery_guest": rng.random() < 0.1,
        }
        | turns
    )


def _touchpoints(rng: random.Random, journey_id: str, journey_type: str) -> list[dict[str, Any]]:
    at = AS_OF - timedelta(days=rng.randrange(10, 120), seconds=rng.randrange(86400))
    latest = at
    before: dict[str, Any] = {"activity": None, "phase": None}
    result = []
    for number in range(1, rng.choice([1, 2, 2, 3, 3, 4, 6]) + 1):
        ended = at + timedelta(seconds=rng.choice([0, 30, 900]))
        result.append(
            {
                "journey_id": journey_id,
                "journey_type": journey_type,
                "touchpoint_number": number,
                "phase": rng.choice([*PHASES[journey_type], None]),
                "activity": rng.choice(ACTIVITIES[: 3 if rng.random() < 0.8 else 5]),
                "source": "crm",
                "channel": rng.choice(CHANNELS),
                "initiator": "customer",
                "started_at": at,
                "ended_at": ended,
                "events": 1,
                "joined_by": "case_key",
                "wait_before_seconds": None if number == 1 else int(max(timedelta(0), at - latest).total_seconds()),
                "previous_activity": before["activity"],
                "previous_phase": before["phase"],
            }
        )
        before, latest = result[-1], max(latest, ended)
        at = at + timedelta(seconds=rng.choice([0, 10, rng.randrange(3600, 86400 * 9)]))
    return result


def _waits(
    rng: random.Random, journey_id: str, journey_type: str, touchpoints: list[dict[str, Any]], is_open: bool
) -> list[dict[str, Any]]:
    spans = [(t["touchpoint_number"] - 1, t["started_at"], t["wait_before_seconds"], False) for t in touchpoints[1:]]
    if is_open:
        latest = max(t["ended_at"] for t in touchpoints)
        spans.append((len(touchpoints), AS_OF, int((AS_OF - latest).total_seconds()), True))
    result = []
    for number, end, seconds, still in spans:
        if seconds <= 0:
            continue
        cuts = sorted({0, seconds, *(rng.randrange(1, seconds + 1) for _ in range(rng.randrange(3)))})
        for stretch, (left, right) in enumerate(pairwise(cuts), start=1):
            turn = rng.choice(TURNS)
            cause = rng.choice(OUR_CAUSES) if turn == "organisation" else CAUSES[CAUSES.index(turn)]
            begin = end - timedelta(seconds=seconds)
            result.append(
                {
                    "journey_id": journey_id,
                    "journey_type": journey_type,
                    "touchpoint_number": number,
                    "stretch_number": stretch,
                    "turn": turn,
                    "cause": cause,
                    "started_at": begin + timedelta(seconds=left),
                    "ended_at": begin + timedelta(seconds=right),
                    "seconds": right - left,
                    "is_open": still,
                }
            )
    return result


def _visits(journey_id: str, journey_type: str, touchpoints: list[dict[str, Any]]) -> list[dict[str, Any]]:
    stays: list[list[dict[str, Any]]] = []
    for touchpoint in (t for t in touchpoints if t["phase"]):
        if stays and stays[-1][0]["phase"] == touchpoint["phase"]:
            stays[-1].append(touchpoint)
        else:
            stays.append([touchpoint])
    return [
        {
            "journey_id": journey_id,
            "journey_type": journey_type,
            "visit_number": number,
            "phase": stay[0]["phase"],
            "phase_number": PHASES[journey_type].index(stay[0]["phase"]) + 1,
            "entered_at": stay[0]["started_at"],
            "left_at": max(t["ended_at"] for t in stay),
            "dwell_seconds": int((max(t["ended_at"] for t in stay) - stay[0]["started_at"]).total_seconds()),
            "touchpoints": len(stay),
            "main_channel": stay[0]["channel"],
            "is_last": number == len(stays),
        }
        for number, stay in enumerate(stays, start=1)
    ]


NOTHING_CAME: Rows = {"events": [], "intake": []}
KINDS = ("source", "activity", "channel", "initiator", "team", "declared_visibility", "instrument", "events")


def stage_kinds(staging: Staging, kinds: list[tuple[Any, ...]]) -> None:
    """Kinds of events (by KINDS), as the events stage would leave them."""
    columns = zip(*kinds, strict=True) if kinds else [()] * len(KINDS)
    types = {name: pa.string() for name in KINDS} | {"events": pa.int64()}
    table = {name: pa.array(column, types[name]) for name, column in zip(KINDS, columns, strict=True)}
    numbered = {"kind": pa.array(range(len(kinds)), pa.int32())} | table
    pq.write_table(pa.table(numbered), staging.work("canonical") / "all_kinds.parquet")


def stage(root: Path, rows: Rows) -> Staging:
    """A run of a new lake with these rows staged."""
    staging = Lake(root / "lake", timezone=ZONE).open_run("test", AS_OF)
    for name, table_rows in rows.items():
        # Rows in no particular order: the marts must not depend on it.
        shuffled = random.Random(1).sample(table_rows, len(table_rows))
        table = TABLES[name]
        data = pa.Table.from_pylist(shuffled, schema=pa.schema([pa.field(c.name, c.type) for c in table.columns]))
        staging.write(name, data)
    return staging


def event_rows(rows: Rows, seed: int = 1) -> Rows:
    """Events for these journeys: two or one per touchpoint, a step in some waits; some are in two journeys."""
    rng = random.Random(seed)
    people = {row["journey_id"]: row["person_id"] for row in rows.get("journeys", [])}
    events: list[dict[str, Any]] = []
    members: list[dict[str, Any]] = []
    for touchpoint in rows["touchpoints"]:
        for at in {touchpoint["started_at"], touchpoint["ended_at"]}:
            events.append(_event(len(events), people[touchpoint["journey_id"]], touchpoint, at))
            members.append(_member(events[-1], touchpoint["journey_id"], touchpoint["touchpoint_number"]))
    for wait in rows["waits"]:
        if rng.random() < 0.3:
            step = {"activity": "Forwarded", "channel": None, "initiator": "organisation"}
            events.append(_event(len(events), people[wait["journey_id"]], step, wait["started_at"]))
            members.append(_member(events[-1], wait["journey_id"], 0))
    others: dict[str, list[str]] = {}
    for journey_id, person in people.items():
        others.setdefault(person, []).append(journey_id)
    for event in events[::10]:
        mine = {member["journey_id"] for member in members if member["event_id"] == event["event_id"]}
        free = sorted(set(others[event["person_id"]]) - mine)
        if free:
            members.append(_member(event, free[0], 0))
    return rows | {"events": events, "touchpoint_events": members}


def _event(number: int, person: str, like: dict[str, Any], at: datetime) -> dict[str, Any]:
    return {
        "event_id": f"{number:024x}",
        "source": "crm",
        "source_event_id": str(number),
        "occurred_at": at,
        "received_at": at,
        "activity": like["activity"],
        "channel": like["channel"],
        "initiator": like["initiator"],
        "visibility": "visible",
        "visibility_rule": "test",
        "person_id": person,
        "file_sequence": 1,
        "row_number": number + 1,
    }


def _member(event: dict[str, Any], journey_id: str, number: int) -> dict[str, Any]:
    return {
        "journey_id": journey_id,
        "touchpoint_number": number,
        "event_id": event["event_id"],
        "joined_by": "case_key",
    }

"""A tiny, consistent data set that follows the dictionary: hand-made journeys, and the marts that follow from them.

Belongs here: the journeys as a story, the tables made of them, and the project that describes them. No assertions.
Forty people move house (some give up, some still wait), three report an outage (too few to show).
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from klantspoor.dictionary import TABLES
from tests.page.tiny_project import MOVING, OUTAGE

AS_OF = datetime(2026, 6, 14, 3, 0, tzinfo=UTC)
RUN_ID = "tiny-run"
HOSTILE = "<script>alert(\"x\")</script> & 'quoted' =1+1"
LONG = "Lange activiteit " + "x" * 10_000
SOME_ATTRIBUTES = '{"page": "/verhuizen"}'


def _hex(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


@dataclass
class Story:
    """One journey being told: `touch` adds a contact, `wait` the stretches that follow it."""

    number: int
    journey_type: str
    at: datetime
    tables: dict[str, list[dict[str, Any]]]
    persona: str | None
    joined_by: str = "case_key"
    touches: list[dict[str, Any]] = field(default_factory=list)
    stretches: list[dict[str, Any]] = field(default_factory=list)
    events: int = 0

    @property
    def person(self) -> str:
        return _hex(f"person {self.number}", 16)

    @property
    def journey(self) -> str:
        return "J" + _hex(f"{self.journey_type} {self.number}", 24)

    def _event(self, activity: str, at: datetime, touchpoint: int, **more: Any) -> str:
        self.events += 1
        event = _hex(f"{self.journey} {self.events}", 24)
        self.tables["events"].append(
            {
                "event_id": event,
                "source": "crm",
                "source_event_id": event[:8],
                "occurred_at": at,
                "received_at": at + timedelta(hours=6),
                "activity": activity,
                "visibility": "visible" if touchpoint else "internal",
                "visibility_rule": "journey file",
                "person_id": self.person,
                "attributes": SOME_ATTRIBUTES,
                "file_sequence": 1,
                "row_number": len(self.tables["events"]) + 1,
                **more,
            }
        )
        self.tables["touchpoint_events"].append(
            {
                "journey_id": self.journey,
                "touchpoint_number": touchpoint,
                "event_id": event,
                "joined_by": self.joined_by,
            }
        )
        return event

    def touch(self, phase: str, activity: str, channel: str, who: str, minutes: int = 0, joined_by: str = "") -> str:
        last = self.touches[-1] if self.touches else None
        number = len(self.touches) + 1
        started, self.at = self.at, self.at + timedelta(minutes=minutes)
        self.touches.append(
            {
                "journey_id": self.journey,
                "journey_type": self.journey_type,
                "touchpoint_number": number,
                "phase": phase,
                "activity": activity,
                "source": "crm",
                "channel": channel,
                "initiator": who,
                "started_at": started,
                "ended_at": self.at,
                "events": 1,
                "joined_by": joined_by or self.joined_by,
                "wait_before_seconds": int((started - last["ended_at"]).total_seconds()) if last else None,
                "previous_activity": last["activity"] if last else None,
                "previous_phase": last["phase"] if last else None,
            }
        )
        return self._event(
            activity, started, number, channel=channel, initiator=who, ended_at=self.at if minutes else None
        )

    def wait(self, *stretches: tuple[str, str, float, str | None, str | None], is_open: bool = False) -> None:
        for number, (turn, cause, hours, activity, team) in enumerate(stretches, start=1):
            started, self.at = self.at, self.at + timedelta(hours=hours)
            if is_open and number == len(stretches):
                self.at = AS_OF
            if activity and not (number < len(stretches) and stretches[number][3] == activity):
                self._event(activity, started if cause == "working" else self.at, 0, team=team)
            self.stretches.append(
                {
                    "journey_id": self.journey,
                    "journey_type": self.journey_type,
                    "touchpoint_number": len(self.touches),
                    "stretch_number": number,
                    "turn": turn,
                    "cause": cause,
                    "started_at": started,
                    "ended_at": self.at,
                    "seconds": int((self.at - started).total_seconds()),
                    "is_open": is_open,
                    "internal_activity": activity,
                    "team": team,
                }
            )

    def answer(self, instrument: str, score: float, score_0_100: float) -> None:
        event = self._event("Survey answered", self.at + timedelta(days=1), len(self.touches), initiator="customer")
        self.tables["touchpoint_events"].pop()
        self.tables["experiences"].append(
            {
                "event_id": event,
                "journey_id": self.journey,
                "touchpoint_number": len(self.touches),
                "instrument": instrument,
                "score": score,
                "score_0_100": score_0_100,
                "answered_at": self.at + timedelta(days=1),
            }
        )

    def end(self, status: str, outcome: str) -> None:
        turns = {t: sum(s["seconds"] for s in self.stretches if s["turn"] == t) for t in TURNS}
        last = self.touches[-1]["ended_at"]
        channels = [t["channel"] for t in self.touches]
        self.tables["journeys"].append(
            {
                "journey_id": self.journey,
                "person_id": self.person,
                "account_id": _hex(f"account {self.number}", 16),
                "journey_type": self.journey_type,
                "cycle": 1,
                "started_at": self.touches[0]["started_at"],
                "ended_at": None if status == "open" else last,
                "last_activity_at": last,
                "solved_at": last if outcome == "achieved" else None,
                "status": status,
                "outcome": outcome,
                "persona": self.persona,
                "variant_id": _hex("|".join(t["activity"] for t in self.touches), 32),
                "phase_variant_id": _hex("|".join(t["phase"] for t in self.touches), 32),
                "touchpoints": len(self.touches),
                "channels": len(set(channels)),
                "channel_switches": sum(a != b for a, b in itertools.pairwise(channels)),
                "lead_time_seconds": None
                if status == "open"
                else int((last - self.touches[0]["started_at"]).total_seconds()),
                **{f"{turn}_wait_seconds": seconds for turn, seconds in turns.items()},
                "is_mystery_guest": False,
            }
        )
        self.tables["touchpoints"] += self.touches
        self.tables["waits"] += self.stretches
        self._visits()

    def _visits(self) -> None:
        names = [phase["id"] for phase in (MOVING if self.journey_type == "moving" else OUTAGE)["phases"]]
        runs: list[list[dict[str, Any]]] = []
        for touch in self.touches:
            if runs and runs[-1][-1]["phase"] == touch["phase"]:
                runs[-1].append(touch)
            else:
                runs.append([touch])
        for number, run in enumerate(runs, start=1):
            self.tables["phase_visits"].append(
                {
                    "journey_id": self.journey,
                    "journey_type": self.journey_type,
                    "visit_number": number,
                    "phase": run[0]["phase"],
                    "phase_number": names.index(run[0]["phase"]) + 1,
                    "entered_at": run[0]["started_at"],
                    "left_at": run[-1]["ended_at"],
                    "dwell_seconds": int((run[-1]["ended_at"] - run[0]["started_at"]).total_seconds()),
                    "touchpoints": len(run),
                    "main_channel": run[0]["channel"],
                    "is_last": number == len(runs),
                }
            )


TURNS = ("organisation", "partner", "customer", "nobody", "undetermined")
CAUSES = ("working", "closed", "handover", "queueing", "unexplained")


def _moving(number: int, tables: dict[str, list[dict[str, Any]]]) -> None:
    story = Story(
        number,
        "moving",
        datetime(2026, 3, 12, 8, 15, tzinfo=UTC) + timedelta(days=2 * number, hours=number % 5),
        tables,
        persona=("tenant", "owner")[number % 2] if number else None,
    )
    slow = 1 + number % 7
    story.touch("orientation", "Page viewed", "web", "customer", 12, joined_by="before_case")
    story.wait(("nobody", "nobody", 20.0 * slow, None, None))
    story.touch("reporting", "Move reported", ("web", "phone")[number % 3 == 0], "customer", 9)
    story.wait(
        ("organisation", "queueing", 7.5, "Address checked", "Intake"),
        ("organisation", "working", 0.5, "Address checked", "Intake"),
        ("organisation", "closed", 14.0, None, None),
        ("organisation", "handover", 5.0 * slow, "Grid operator answered", "Back office"),
    )
    story.touch("arranging", "Data requested", "mail", "organisation")
    if number % 6 == 5:
        story.wait(("customer", "customer", 90.0, None, None))
        story.touch("arranging", "Called", "phone", "customer", 14)
        story.end("abandoned", "unknown")
        return
    story.wait(("customer", "customer", 12.0 * slow, None, None))
    story.touch("arranging", "Data sent", "web", "customer", 6)
    story.wait(("organisation", "unexplained", 3.0 * slow, None, None), ("partner", "partner", 26.0, None, None))
    story.touch("moving_in", LONG if number % 5 == 3 else "Move confirmed", "mail", "organisation")
    story.wait(("nobody", "nobody", 70.0, None, None))
    story.touch("moving_in", "Meter reading sent", "app", "customer", 3)
    if number > 33:
        story.wait(("organisation", "queueing", 0.0, None, None), is_open=True)
        story.end("open", "unknown")
        return
    story.wait(("organisation", "queueing", 30.0 + 24.0 * slow, "Grid operator answered", "Back office"))
    story.touch("final_bill", HOSTILE if number % 5 == 4 else "Final bill sent", "mail", "organisation")
    if number % 3 == 0:
        story.answer("nps", float(number % 11), 10.0 * (number % 11))
    story.end("completed", "achieved")


def _outage(number: int, tables: dict[str, list[dict[str, Any]]]) -> None:
    story = Story(
        number, "outage", datetime(2026, 5, 2, 18, number, tzinfo=UTC), tables, persona="tenant", joined_by="stream"
    )
    story.touch("noticing", "Outage reported", "phone", "customer", 4, joined_by="opening")
    story.wait(("organisation", "unexplained", 4.0, None, None))
    story.touch("repair", "Engineer came", "visit", "organisation", 45)
    story.end("completed", "unknown")


def make_tables() -> dict[str, pa.Table]:
    """Every published table but models: name -> Arrow table with the dictionary's schema."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for number in range(40):
        _moving(number, rows)
    for number in range(3):
        _outage(number, rows)
    _core(rows)
    tables = {name: pa.Table.from_pylist(entries, schema=TABLES[name].schema) for name, entries in rows.items()}
    from tests.page.tiny_marts import add_marts

    return add_marts(tables)


def _core(rows: dict[str, list[dict[str, Any]]]) -> None:
    read = len(rows["events"]) + 1
    zeros = dict.fromkeys(("reference", "ignored", "duplicates", "superseded", "erased", "times_resolved"), 0)
    rows["intake"].append(
        {
            "sequence": 1,
            "source": "crm",
            "file": "crm/crm.csv",
            "content_hash": _hex("file", 64),
            "landed_at": AS_OF - timedelta(hours=2),
            "file_status": "used",
            "dialect": "plain",
            "rows_read": read,
            "used": read - 1,
            "quarantined": 1,
            "events_made": read - 1,
            "anonymous_events": 0,
            **zeros,
        }
    )
    rows["quarantine"].append(
        {
            "source": "crm",
            "file": "crm/crm.csv",
            "sequence": 1,
            "row_number": read,
            "quarantine_number": 1,
            "reason": "missing_time",
            "column": "at",
            "detail": "empty",
        }
    )
    rows["freshness"].append(
        {
            "source": "crm",
            "freshness": "stale",
            "complete_up_to": AS_OF - timedelta(hours=9),
            "expected_by": AS_OF,
            "last_file": "crm/crm.csv",
            "last_landed_at": AS_OF - timedelta(hours=2),
            "last_rows": read,
            "late_share": 0.02,
            "odd": "no file came last night",
        }
    )


def connect(tables: dict[str, pa.Table]) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with a view per table, as staging and versions offer."""
    connection = duckdb.connect()
    for name, table in tables.items():
        connection.register(name, table)
    return connection

"""The truth, which the pipeline never reads: who did what in which journey, and whose turn it really was.

Belongs here: the parquet files and the counts that prove what the simulation promises. Nothing is decided here;
everything was known while it happened.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from simulation.clock import HOUR
from simulation.log import CallRow, CrmRow, JourneyRow, SurveyRow, WebRow, World
from simulation.people import Person
from simulation.systems.calls import iso
from simulation.systems.export import Export


class EventRow(Protocol):
    """What the rows of all systems have in common."""

    @property
    def person(self) -> Person:
        """Who really did it, or whom it concerned."""

    @property
    def journey(self) -> str | None:
        """The journey it belongs to, if any."""

    @property
    def phase(self) -> str | None:
        """The phase the customer was in, if any."""


Rows = Sequence[CrmRow] | Sequence[CallRow] | Sequence[WebRow] | Sequence[SurveyRow]


def _instants(seconds: Sequence[int]) -> pd.Series[pd.Timestamp]:
    """Seconds as instants; 0 is none."""
    values = np.asarray(seconds, dtype="datetime64[s]").astype("datetime64[us]")
    values[np.asarray(seconds, dtype=np.int64) == 0] = np.datetime64("NaT")
    return pd.Series(values).dt.tz_localize("UTC")


def _events(export: Export, rows: Rows) -> pd.DataFrame:
    keys = [row.person.key for row in rows]
    return pd.DataFrame(
        {
            "source": pd.Series([export.name] * len(rows), dtype="str"),
            "source_event_id": pd.Series(export.ids, dtype="str"),
            "true_person": pd.Series(keys, dtype="str"),
            "true_journey": pd.Series([row.journey for row in rows], dtype="str"),
            "true_phase": pd.Series([row.phase for row in rows], dtype="str"),
            "is_internal": np.array([isinstance(row, CrmRow) and row.internal for row in rows], dtype=np.bool_),
            "occurred_at": pd.Series(export.times_us.astype("datetime64[us]")).dt.tz_localize("UTC"),
            "has_case_key": export.keyed,
            "is_late": export.late,
        }
    )


def _identifiers(world: World) -> pd.DataFrame:
    """Every identifier as it is written somewhere, with everyone who really uses it."""
    found: set[tuple[str, str, str, int]] = set()
    for person in world.people.persons:
        found.add(("login", person.login, person.login, person.index))
        for account in person.accounts:
            found.add(("customer", account.customer, account.customer, person.index))
            found.add(("contract", account.contract, account.contract, person.index))
            for raw in (account.email, account.email_raw):
                found.add(("email", raw, account.email, person.index))
            for raw in (account.phone, account.phone_raw):
                found.add(("phone", raw, account.phone, person.index))
    found.update(("cookie", value, value, index) for value, index in world.cookies)
    found.update(("phone", value, value, index) for value, index in world.called_from)
    rows = sorted(found)
    users: dict[tuple[str, str], set[int]] = {}
    for kind, _, canonical, index in rows:
        users.setdefault((kind, canonical), set()).add(index)
    return pd.DataFrame(
        {
            "identifier_type": [row[0] for row in rows],
            "raw_value": [row[1] for row in rows],
            "canonical_value": [row[2] for row in rows],
            "true_person": [f"P{row[3]:06d}" for row in rows],
            "shared": [len(users[row[0], row[2]]) > 1 for row in rows],
        }
    )


def _journeys(rows: Sequence[JourneyRow]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "true_journey": [row.journey for row in rows],
            "true_person": [row.person.key for row in rows],
            "journey_type": [row.kind for row in rows],
            "account": [row.account.contract for row in rows],
            "need_started_at": _instants([row.need for row in rows]),
            "started_at": _instants([row.started for row in rows]),
            "ended_at": _instants([row.ended for row in rows]),
            "outcome": [row.outcome for row in rows],
            "cycle": np.array([row.cycle for row in rows], dtype=np.int32),
            "is_mystery_guest": [row.person.mystery for row in rows],
        }
    )


def _waits(world: World) -> pd.DataFrame:
    rows = world.log.waits
    return pd.DataFrame(
        {
            "true_journey": pd.Series([row.journey for row in rows], dtype="str"),
            "started_at": _instants([row.started for row in rows]),
            "ended_at": _instants([row.ended for row in rows]),
            "turn": pd.Series([row.turn for row in rows], dtype="str"),
        }
    )


def _persons(world: World) -> pd.DataFrame:
    people = world.people.persons
    return pd.DataFrame(
        {
            "true_person": [person.key for person in people],
            "household": np.array([person.household for person in people], dtype=np.int32),
            "accounts": np.array([len(person.accounts) for person in people], dtype=np.int32),
            "was_prospect": [person.prospect for person in people],
            "is_mystery_guest": [person.mystery for person in people],
            "shares_phone": [person.shares_phone for person in people],
            "shares_tablet": [person.tablet >= 0 for person in people],
        }
    )


def overlap_share(rows: Sequence[JourneyRow], end: int) -> float:
    """The share of journeys that share some time with another journey of the same person."""
    spans: dict[int, list[tuple[int, int, str]]] = {}
    for row in rows:
        spans.setdefault(row.person.index, []).append((row.started, row.ended or end, row.journey))
    overlapping: set[str] = set()
    for mine in spans.values():
        mine.sort()
        latest_end, latest = -1, ""
        for start, stop, journey in mine:
            if start < latest_end:
                overlapping |= {journey, latest}
            if stop > latest_end:
                latest_end, latest = stop, journey
    return len(overlapping) / max(1, len(rows))


def _share(table: pd.DataFrame, column: str, *, within_journeys: bool) -> float:
    chosen = table[table["true_journey"].notna()] if within_journeys else table
    return float(chosen[column].mean()) if len(chosen) else 0.0


def summarise(world: World, events: pd.DataFrame, landed: dict[str, int]) -> dict[str, Any]:
    """Counts that prove the promised shares."""
    people = world.people
    households = len(people.households)
    kinds = [row.kind for row in world.log.journeys]
    switches = world.clock.switches
    night = [row for row in world.log.crm if any(abs(row.t - switch) < 2 * HOUR for switch in switches)]
    return {
        "persons": len(people.persons),
        "households": households,
        "accounts": sum(len(person.accounts) for person in people.persons),
        "persons_with_two_accounts": sum(len(person.accounts) > 1 for person in people.persons),
        "mystery_guests": sum(person.mystery for person in people.persons),
        "journeys": len(kinds),
        "journeys_by_type": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "events": len(events),
        "lines_landed": landed,
        "shared_phone_household_share": people.phone_households / max(1, households),
        "shared_tablet_household_share": people.tablet_households / max(1, households),
        "overlap_share": overlap_share(world.log.journeys, world.clock.end),
        "repeat_share": sum(row.cycle > 1 for row in world.log.journeys) / max(1, len(kinds)),
        "late_share": _share(events, "is_late", within_journeys=False),
        "no_case_key_share": 1 - _share(events, "has_case_key", within_journeys=True),
        "crm_rows_in_clock_change_night": len(night),
        "clock_changes_at": [iso(switch) for switch in switches],
        "schema_change_on": str(world.clock.schema_change),
        "billing_speedup_at": iso(world.clock.billing_speedup),
    }


def write(world: World, root: Path, parts: Sequence[tuple[Export, Rows]], landed: dict[str, int]) -> dict[str, Any]:
    """Write all files of the truth; returns the summary."""
    root.mkdir(parents=True, exist_ok=True)
    events = pd.concat([_events(export, rows) for export, rows in parts], ignore_index=True)
    tables = {
        "events": events,
        "identifiers": _identifiers(world),
        "journeys": _journeys(world.log.journeys),
        "waits": _waits(world),
        "persons": _persons(world),
    }
    for name, table in tables.items():
        table.to_parquet(root / f"{name}.parquet", index=False)
    summary = summarise(world, events, landed)
    (root / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary

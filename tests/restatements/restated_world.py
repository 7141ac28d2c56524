"""A small shop whose files tests write, and nights over them. Holds no test.

A customer looks around (phase `looking`), orders (`ordering`) and gets it (`using`); `checked` is an internal step.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from klantspoor.forget import forget, person_with, resume_all
from klantspoor.identity.typed import made_of
from klantspoor.intake import take_in
from klantspoor.lake import Lake, Staging, Version, open_lake
from klantspoor.lake.steps import runs_table
from klantspoor.night import build, night
from klantspoor.project.model import Project

KEY = "a secret of more than sixteen characters"
COLUMNS = {
    "shop": ("id", "version", "moment", "activity", "customer", "email", "order"),
    "clients": ("customer", "email", "segment"),
}
JOURNEYS: dict[str, Any] = {
    "buying": {
        "journey": "buying",
        "title": "Buying",
        "cut": {"case_key": "order", "gap": "30 days"},
        "phases": [
            {"id": "looking", "says": "I look around", "activities": ["looked", "asked"]},
            {"id": "ordering", "says": "I order", "activities": ["ordered"]},
            {"id": "using", "says": "I use it", "activities": ["delivered", "complained"]},
        ],
        "internal": ["checked"],
        "turns": {"asks_us": ["ordered"]},
        "completes": ["delivered"],
        "abandoned_after": "20 days",
    }
}
Row = tuple[str, ...]


@dataclass
class World:
    """A project on disk, and what its configuration says."""

    root: Path
    suppress_below: int = 1
    journeys: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(JOURNEYS))
    files: int = 0
    timezone: str = "Europe/Amsterdam"

    @property
    def project(self) -> Project:
        file = {
            "name": "Test",
            "timezone": self.timezone,
            "pseudonym_key": {"env": "KLANTSPOOR_TEST_KEY"},
            "identifiers": {
                "customer": {"priority": 1},
                "email": {"priority": 2, "normalise": "lower", "at_most": {"customer": 1}},
            },
            "limits": {"suppress_below": self.suppress_below, "readers_grace": 0, "keep_versions": 50},
        }
        both = [{"type": "customer", "value": "customer"}, {"type": "email", "value": "email"}]
        mapped: dict[str, dict[str, Any]] = {
            "shop": {
                "timezone": self.timezone,
                "contact_gap": 0,
                "defaults": {
                    "id": "id",
                    "version": "version",
                    "occurred_at": "moment",
                    "activity": "activity",
                    "channel": "'web'",
                    "initiator": "'customer'",
                    "case_keys": {"order": '"order"'},
                    "identifiers": both,
                },
            },
            "clients": {"kind": "reference", "defaults": {"persona": "segment", "identifiers": both}},
        }
        sources = {
            name: {
                "source": name,
                "title": name,
                "files": [f"{name}-*.csv"],
                "reader": {"format": "csv"},
                "not_personal": ["activity", "moment", "segment", "id"],
                **keys,
            }
            for name, keys in mapped.items()
        }
        return Project.model_validate(
            {"root": str(self.root), "file": file, "sources": sources, "journeys": self.journeys}
        )

    @property
    def lake(self) -> Lake:
        return open_lake(self.project)

    def land(self, source: str, rows: Sequence[Row], landed: datetime) -> None:
        """A new file of the source."""
        self.files += 1
        path = self.root / "landing" / f"{source}-{self.files:04d}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(",".join(row) for row in [COLUMNS[source], *rows]) + "\n", "utf-8")
        moment = (landed - timedelta(hours=1)).timestamp()
        os.utime(path, (moment, moment))

    def night(
        self, as_of: datetime, shop: Sequence[Row] = (), clients: Sequence[Row] = (), *, judged: bool = True
    ) -> Version:
        """Lands the rows, and has a night; without its checks, which take half of its time, where it is not judged."""
        if shop:
            self.land("shop", shop, as_of)
        if clients:
            self.land("clients", clients, as_of)
        name, lake = f"night-{as_of:%Y%m%d%H%M}", self.lake
        if judged:
            return night(self.project, lake, as_of, name, with_pages=False)
        with lake.open_run(name, as_of) as staging:
            resume_all(self.project, lake, staging=staging)
            take_in(self.project, lake.root, staging.as_of)
            build(self.project, lake, staging)
            staging.write("runs", runs_table(staging, lake.current()))
            return lake.publish(staging)

    def forget(self, customer: str, now: datetime) -> None:
        version = self.lake.current()
        assert version is not None
        identifier = made_of(self.project, "customer", customer).identifier
        forget(self.project, self.lake, person_with(version, identifier), now)


def order(number: int, *, day: int = 1, email: str = "", month: int = 3) -> list[Row]:
    """A whole order of one customer: looked on the day, ordered a day later, delivered two days after that."""
    moments = {"looked": day, "ordered": day + 1, "delivered": day + 3}
    return [
        row(f"{activity}{number}", f"2026-{month:02d}-{at:02d} 10:00:00", activity, number, email)
        for activity, at in moments.items()
    ]


def row(id_: str, moment: str, activity: str, number: int, email: str = "", *, version: int = 1, who: str = "") -> Row:
    return (id_, str(version), moment, activity, who or f"K{number}", email, f"O{number}")


def at(day: int, month: int = 4) -> datetime:
    return datetime(2026, month, day, 3, tzinfo=UTC)


def restatements(version: Version, as_of: datetime | None = None) -> list[dict[str, Any]]:
    """The rows of the table; of one night where `as_of` says so."""
    with version.connect() as connection:
        rows = connection.sql("SELECT * FROM restatements").to_arrow_table().to_pylist()
    return [row for row in rows if as_of is None or row["as_of"] == as_of]


def changed_events(before: Version, staging: Staging) -> list[dict[str, Any]]:
    """Every event whose row differs, one by one, with the reason."""
    with before.connect() as old, staging.connect() as new:
        events = [{row["event_id"]: row for row in _rows(one, "events")} for one in (old, new)]
        files = [{row["sequence"]: row for row in _rows(one, "intake")} for one in (old, new)]
        complete = {row["source"]: row["complete_up_to"] for row in _rows(old, "freshness")}
    result = []
    for event_id in events[0].keys() | events[1].keys():
        was, now = (side.get(event_id) for side in events)
        if was != now:
            result.append(
                {
                    "event_id": event_id,
                    "person_before": was and was["person_id"],
                    "person": now and now["person_id"],
                    "cause": _cause(was, now, files, complete),
                }
            )
    return result


def _cause(
    was: dict[str, Any] | None, now: dict[str, Any] | None, files: list[dict[int, Any]], complete: dict[str, Any]
) -> str:
    if now is None:
        assert was is not None
        sequence = was["file_sequence"]
        return "erased" if files[1][sequence]["erased"] > files[0][sequence]["erased"] else "rule"
    if was is None:
        if now["file_sequence"] in files[0]:
            return "rule"
        up_to = complete.get(now["source"])
        return "late" if up_to is not None and now["occurred_at"] <= up_to else "new"
    of_person = {"person_id", "person_rule", "known_person_id"}
    different = {name for name in was if was[name] != now[name]}
    if different - of_person - {"visibility", "visibility_rule"}:
        return "corrected"
    return "rule" if "person_id" not in different and different - of_person else "identity"


def _rows(connection: Any, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = connection.sql(f"SELECT * FROM {table}").to_arrow_table().to_pylist()
    return found

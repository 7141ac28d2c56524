"""A small organisation with a household, and worlds of it with and without one person. Holds no test.

Where a world is without somebody, their rows are written as rows that the mapping ignores: so that the others keep their
row numbers, and worlds can be compared to the last value.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor import events, identity, journeys, marts, restatements
from klantspoor.dictionary import TABLES
from klantspoor.forget import Progress, Request, forget, needles, person_with, resume_all, scan
from klantspoor.identity.typed import made_of
from klantspoor.intake import Ledger, take_in
from klantspoor.lake import Lake, Version, open_lake
from klantspoor.lake.steps import runs_table
from klantspoor.project.model import Project

KEY = "a secret of more than sixteen characters"
FIRST = datetime(2026, 3, 10, 3, tzinfo=UTC)
REQUESTED = datetime(2026, 3, 12, 12, tzinfo=UTC)
Row = tuple[str, ...]
"""A file's row: the values of its columns; the last one, `who`, says in the tests whose it is and is not read."""

IDENTIFIERS: dict[str, Any] = {
    "customer": {"priority": 1},
    "email": {"priority": 2, "normalise": "lower", "block": ["info@*"]},
    "phone": {"priority": 3, "normalise": "digits", "at_most": {"customer": 1}},
    "cookie": {"priority": 4, "at_most_persons": 1},
}
SOURCES: dict[str, dict[str, Any]] = {
    "clients": {
        "kind": "reference",
        "defaults": {
            "persona": "segment",
            "identifiers": [{"type": name, "value": name} for name in ("customer", "email", "phone")],
        },
    },
    "orders": {
        "defaults": {
            "id": "id",
            "occurred_at": "ordered",
            "account": "contract",
            "case_keys": {"order": "id"},
            "version": "version",
            "identifiers": [{"type": "customer", "value": "customer"}, {"type": "email", "value": "email"}],
            "attributes": {"note": "note"},
        },
        "events": [
            {"activity": "'ordered'"},
            {"activity": "'delivered'", "occurred_at": "delivered", "when": "delivered IS NOT NULL"},
        ],
    },
    "calls": {
        "defaults": {
            "occurred_at": "moment",
            "activity": "activity",
            "channel": "'phone'",
            "initiator": "initiator",
            "identifiers": [{"type": "customer", "value": "customer"}, {"type": "phone", "value": "phone"}],
        },
    },
    "web": {
        "defaults": {
            "occurred_at": "moment",
            "activity": "activity",
            "channel": "'web'",
            "identifiers": [{"type": "email", "value": "email"}, {"type": "cookie", "value": "cookie"}],
        },
    },
}
COLUMNS = {
    "clients": ("customer", "email", "phone", "segment", "who"),
    "orders": ("id", "version", "ordered", "delivered", "customer", "email", "contract", "note", "who"),
    "calls": ("moment", "activity", "initiator", "customer", "phone", "who"),
    "web": ("moment", "activity", "email", "cookie", "who"),
}
JOURNEYS: dict[str, Any] = {
    "buying": {
        "journey": "buying",
        "title": "Buying",
        "cut": {"case_key": "order", "gap": "30 days"},
        "phases": [
            {"id": "looking", "says": "I look around", "activities": ["looked", "asked"]},
            {"id": "waiting", "says": "I wait for it", "activities": ["ordered", "delivered", "complained"]},
        ],
    }
}

# Anna is the one to be forgotten. Ben and Cas live with her and share a telephone; Dia is somebody else.
CLIENTS: list[Row] = [
    ("K1", "anna@home.example", "0611111111", "young", "anna"),
    ("K2", "ben@home.example", "0611111111", "old", "ben"),
    ("K3", "cas@home.example", "0611111111", "young", "cas"),
    ("K4", "dia@away.example", "0622222222", "old", "dia"),
]
ORDERS: list[Row] = [
    ("O1", "1", "2026-03-01 10:00:00", "2026-03-04 09:00:00", "K1", "anna@home.example", "C1", "ring twice", "anna"),
    ("O2", "1", "2026-03-01 11:00:00", "", "K2", "ben@home.example", "C1", "at the back", "ben"),
    ("O3", "1", "2026-03-02 12:00:00", "2026-03-03 08:00:00", "K4", "", "C4", "", "dia"),
    ("O4", "1", "2026-03-02 13:00:00", "", "K1", "anna.new@home.example", "C9", "mine", "anna"),
    ("O1", "2", "2026-03-01 10:00:00", "2026-03-05 09:00:00", "K1", "anna@home.example", "C1", "ring", "anna"),
    ("O5", "1", "2026-13-01 10:00:00", "", "K1", "anna@home.example", "C1", "bad time", "anna"),
    ("O6", "1", "soon", "", "K3", "cas@home.example", "C3", "bad time", "cas"),
    ("O7", "1", "2026-03-06 10:00:00", "", "K3", "info@home.example", "C3", "", "cas"),
]
CALLS: list[Row] = [
    ("2026-03-02 09:00:00", "asked", "customer", "K1", "0611111111", "anna"),
    ("2026-03-02 10:00:00", "asked", "customer", "K2", "0611111111", "ben"),
    ("2026-03-03 10:00:00", "complained", "customer", "", "0611111111", "nobody"),
    ("2026-03-04 10:00:00", "complained", "customer", "K4", "0622222222", "dia"),
    ("2026-03-05 10:00:00", "complained", "alien", "K1", "0611111111", "anna"),
]
WEB: list[Row] = [
    ("2026-03-01 08:00:00", "looked", "", "anna's laptop", "anna"),
    ("2026-03-01 08:05:00", "looked", "anna@home.example", "anna's laptop", "anna"),
    ("2026-03-01 09:00:00", "looked", "ben@home.example", "tablet", "ben"),
    ("2026-03-01 09:30:00", "looked", "cas@home.example", "tablet", "cas"),
    ("2026-03-01 09:40:00", "looked", "anna@home.example", "tablet", "anna"),
    ("2026-03-01 09:50:00", "looked", "", "tablet", "nobody"),
]
FILES: dict[str, list[Row]] = {"clients": CLIENTS, "orders": ORDERS, "calls": CALLS, "web": WEB}


@dataclass
class World:
    """A project on disk. `skips` tells whose rows are written as nobody's."""

    root: Path
    skips: str | None = None
    grace: str | int = 0
    request: Request | None = None

    @property
    def project(self) -> Project:
        file = {
            "name": "Test",
            "timezone": "Europe/Amsterdam",
            "pseudonym_key": {"env": "KLANTSPOOR_TEST_KEY"},
            "identifiers": IDENTIFIERS,
            "limits": {"suppress_below": 1, "readers_grace": self.grace},
        }
        sources = {
            name: {
                "source": name,
                "title": name,
                "files": [f"{name}*.csv"],
                "reader": {"format": "csv"},
                "not_personal": ["activity", "moment", "segment", "initiator", "ordered", "delivered", "note"],
                "ignore_when": "who = 'skipped'",
                **keys,
            }
            for name, keys in SOURCES.items()
        }
        made = {"root": str(self.root), "file": file, "sources": sources, "journeys": JOURNEYS}
        return Project.model_validate(made)

    @property
    def lake(self) -> Lake:
        return open_lake(self.project)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.lake.root)

    @property
    def version(self) -> Version:
        found = self.lake.current()
        assert found is not None
        return found

    def land(self, source: str, rows: Sequence[Row], name: str = "1", landed: datetime = FIRST) -> Path:
        path = self.root / "landing" / f"{source}-{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [COLUMNS[source], *((*row[:-1], "skipped" if row[-1] == self.skips else row[-1]) for row in rows)]
        path.write_text("\n".join(",".join(row) for row in lines) + "\n", "utf-8")
        moment = (landed - timedelta(hours=1)).timestamp()
        os.utime(path, (moment, moment))
        return path

    def land_all(self, files: dict[str, list[Row]] | None = None, name: str = "1", landed: datetime = FIRST) -> World:
        for number, (source, rows) in enumerate((files or FILES).items()):
            self.land(source, rows, name, landed + timedelta(minutes=number))
        return self

    def night(self, as_of: datetime = FIRST + timedelta(hours=1), *, full: bool = False) -> Version:
        """A night without its checks, models and pages; without `full` what is made from events is left empty too."""
        project, lake = self.project, self.lake
        with lake.open_run(f"night-{as_of:%Y%m%d%H%M}", as_of) as staging:
            resume_all(project, lake, staging=staging)
            take_in(project, lake.root, as_of)
            identity.resolve(project, lake, staging)
            events.build(project, lake, staging)
            if full:
                journeys.build(project, staging)
                for name in marts.MARTS:
                    marts.build(name, project, staging)
            if full:
                restatements.build(project, lake, staging)
            else:
                (staging.work("canonical") / "changes.parquet").unlink()  # as the stage that reads it does
            staging.write("runs", runs_table(staging, lake.current()))
            for name in TABLES:
                if not staging.has(name):
                    staging.write(name, TABLES[name].schema.empty_table())
            return lake.publish(staging)

    def person(self, identifier_type: str, value: str) -> str:
        return person_with(self.version, made_of(self.project, identifier_type, value).identifier)

    def forget(self, person: str, now: datetime = REQUESTED) -> Request:
        self.request = forget(self.project, self.lake, person, now)
        return self.request

    def resume(self, **given: Any) -> list[Progress]:
        return resume_all(self.project, self.lake, **given)

    def traces(self) -> list[str]:
        """Where in the project, landing apart, something of the person last forgotten is found."""
        assert self.request is not None
        found = scan(needles(self.request), [self.root], [self.root / "landing"])
        assert found.files > 20
        return [one.path for one in found.traces]

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with self.version.connect() as connection:
            found: list[dict[str, Any]] = connection.sql(sql).to_arrow_table().to_pylist()
        return found

    def tables(self) -> dict[str, pa.Table]:
        """Every table of the version in the order of its rows, but for what tells of files, nights and hours."""
        found = {}
        with self.version.connect() as connection:
            for name in TABLES:
                if name not in ("runs", "intake", "freshness"):
                    without = "EXCLUDE (decided_at)" if name == "identity_audit" else ""
                    found[name] = connection.sql(f"SELECT * {without} FROM {name} ORDER BY ALL").to_arrow_table()
        return found


def make(
    root: Path, skips: str | None = None, grace: str | int = 0, files: dict[str, list[Row]] | None = None
) -> World:
    """A world with everything landed and nothing read."""
    return World(root, skips, grace).land_all(files)


def read_ledger(world: World, part: str) -> list[dict[str, Any]]:
    """The rows of `events`, `links` or `quarantine` of all folders, with their sequence."""
    rows = []
    for file in world.ledger.files():
        rows += [{"sequence": file.record.sequence, **row} for row in pq.read_table(getattr(file, part)).to_pylist()]
    return rows


def law_holds(world: World) -> bool:
    """Every row read has one outcome."""
    sums = "used + reference + ignored + duplicates + superseded + quarantined + erased"
    return not world.rows(f"SELECT * FROM intake WHERE rows_read <> {sums}")

"""A small telephone company on disk, whose nights are the library's whole nights. Holds no test."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from klantspoor.identity.decisions import Decision, append
from klantspoor.identity.typed import made_of
from klantspoor.lake import Lake, Version, open_lake
from klantspoor.night import night
from klantspoor.project.load import load_project
from klantspoor.project.model import Project

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
FIRST_NIGHT = datetime(2026, 4, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)
FILE: dict[str, Any] = {
    "name": "Telephone company",
    "timezone": "Europe/Amsterdam",
    "pseudonym_key": {"file": "pseudonym.key"},
    "identifiers": {
        "customer": {"priority": 1},
        "email": {"priority": 2, "normalise": "email"},
        "phone": {"priority": 3, "normalise": "digits", "at_most_persons": 1},
    },
    "limits": {"suppress_below": 1, "memory_mb": 300, "readers_grace": 0},
}
SOURCES: dict[str, dict[str, Any]] = {
    "calls": {
        "not_personal": ["moment", "activity", "score"],
        "defaults": {
            "id": "id",
            "occurred_at": "moment",
            "activity": "activity",
            "channel": "'phone'",
            "identifiers": [{"type": "customer", "value": "customer"}, {"type": "phone", "value": "phone"}],
        },
        "events": [
            {"when": "score IS NULL"},
            {
                "when": "score IS NOT NULL",
                "survey": {"instrument": "nps", "score": "score", "lowest": 0, "highest": 10},
            },
        ],
    },
    "clients": {
        "kind": "reference",
        "defaults": {
            "identifiers": [{"type": "customer", "value": "customer"}, {"type": "email", "value": "email"}],
            "record": {"last_name": "last_name", "email": "email"},
        },
    },
}
JOURNEY = {
    "journey": "moving",
    "title": "Moving house",
    "cut": {"gap": "10 days"},
    "phases": [
        {"id": "asking", "says": "I ask about it", "activities": ["asked", "chased"]},
        {"id": "done", "says": "I have it", "activities": ["moved"]},
    ],
    "completes": ["moved"],
}


@dataclass(frozen=True)
class Company:
    """The project in `root`."""

    root: Path

    @property
    def project(self) -> Project:
        return load_project(self.root)

    @property
    def lake(self) -> Lake:
        return open_lake(self.project)

    @property
    def version(self) -> Version:
        found = self.lake.current()
        assert found is not None
        return found

    def land(self, name: str, lines: Iterable[str], landed: datetime) -> Path:
        path = self.root / "landing" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", "utf-8")
        os.utime(path, (landed.timestamp(), landed.timestamp()))
        return path

    def land_calls(self, first: int, last: int, landed: datetime) -> Path:
        """Calls of the customers with these numbers (the last left out): one a week over some weeks from `START` on."""
        lines = ["id,moment,activity,customer,phone,score"]
        for number in range(first, last):
            for week, activity in enumerate(("asked", "chased", "moved", "answered")[: 2 + number % 3]):
                moment = START + timedelta(weeks=week + number % 9, minutes=number)
                score = str(number % 11) if activity == "answered" else ""
                phone = f"06{number // 2:08d}"  # two and two share one
                lines.append(f"{number}-{week},{moment:%Y-%m-%d %H:%M:%S},{activity},K{number},{phone},{score}")
        return self.land(f"calls-{first:04d}.csv", lines, landed)

    def land_clients(self, count: int, landed: datetime) -> Path:
        people = (f"K{number},client{number}@example.org,Name{number}" for number in range(count))
        return self.land("clients-1.csv", ["customer,email,last_name", *people], landed)

    def night(self, as_of: datetime = FIRST_NIGHT) -> Version:
        return night(self.project, self.lake, as_of, with_pages=False)

    def decide(self, verb: str, one: str, other: str, later: timedelta = timedelta(0)) -> Decision:
        """A steward's decision about two customers by their numbers, so much later than now."""
        a, b = (made_of(self.project, "customer", value).identifier for value in (one, other))
        return append(self.root, verb, a, b, "somebody", "saw it", datetime.now(UTC) + later)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of the current version, by table, in one order."""
        with self.version.connect() as connection:
            names = [
                name
                for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
            ]
            return {
                name: connection.sql(f"SELECT * FROM {name} ORDER BY ALL").to_arrow_table().to_pylist()
                for name in names
            }


def write(root: Path) -> Company:
    """The project's files and its key; nothing has landed."""
    for name, content in {"klantspoor": FILE, "journeys/moving": JOURNEY}.items():
        _yaml(root / f"{name}.yaml", content)
    for name, content in SOURCES.items():
        reader = {"source": name, "title": name, "files": [f"{name}-*.csv"], "reader": {"format": "csv"}}
        _yaml(root / "sources" / f"{name}.yaml", reader | content)
    (root / "landing").mkdir()
    key = root / "pseudonym.key"
    key.touch(0o600)
    key.write_text("5c" * 32 + "\n", "ascii")
    return Company(root)


def found(root: Path) -> Company:
    """A company with its first night: two files of calls over three months, a list of clients, a decision, a vault."""
    company = write(root)
    company.land_clients(40, FIRST_NIGHT - 3 * DAY)
    company.land_calls(0, 20, FIRST_NIGHT - 2 * DAY)
    company.land_calls(20, 40, FIRST_NIGHT - DAY)
    company.decide("force", "K3", "K8", -DAY)
    company.night()
    return company


def _yaml(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")

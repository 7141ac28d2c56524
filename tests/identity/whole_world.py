"""A project on disk whose nights run through intake, identity and events, and whose versions are published. No test.

Moments are whole seconds in UTC. Sources are `log` (events), `desk` (events too) and `list`
(rows that only tell who is who). Journeys and marts are staged empty unless asked for.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import yaml

from klantspoor import events, identity, journeys, marts
from klantspoor.dictionary import TABLES
from klantspoor.identity.decisions import Identifier
from klantspoor.intake import take_in
from klantspoor.lake import Staging, Version, open_lake
from klantspoor.lake.connection import create_view
from klantspoor.lake.steps import runs_table
from klantspoor.project.load import load_project
from klantspoor.project.model import Project

Rows = list[dict[str, Any]]
KEY = "cd" * 32
NIGHT = datetime(2026, 4, 1, 1, tzinfo=UTC)
OURS = ("identities", "identity_audit", "person_aliases", "events", "intake", "quarantine", "runs")
ASKING = {
    "journey": "asking",
    "title": "Asking",
    "cut": {"gap": "30 days"},
    "phases": [
        {"id": "looking", "says": "I look", "activities": [{"activity": "*", "source": "log"}]},
        {"id": "telling", "says": "I tell", "activities": [{"activity": "*", "source": "desk"}]},
    ],
}


@dataclass(frozen=True)
class Row:
    """One line of a source; `held` has the plain identifiers by type."""

    id: str
    moment: datetime
    held: dict[str, str]
    topic: str | None = None


@dataclass
class Shop:
    """The project in `folder`, with `identifiers` as klantspoor.yaml has them."""

    folder: Path
    identifiers: dict[str, dict[str, Any]]
    nights: int = 0
    landed: int = 0
    _project: Project | None = field(default=None, repr=False)

    @property
    def project(self) -> Project:
        if self._project is None:
            self._write()
            self._project = load_project(self.folder)
        return self._project

    def _write(self) -> None:
        file = {
            "name": "Shop",
            "timezone": "UTC",
            "pseudonym_key": {"file": "key"},
            "identifiers": self.identifiers,
            "limits": {"suppress_below": 1, "memory_mb": 200, "keep_versions": 30},
        }
        self._yaml("klantspoor.yaml", file)
        held = [{"type": name, "value": name} for name in self.identifiers]
        event = {"id": "id", "occurred_at": "moment", "activity": "'seen'", "topic": "topic", "identifiers": held}
        for name in ("log", "desk"):
            plain = {"not_personal": ["id", "moment", "topic"], "reader": {"format": "csv"}, "defaults": event}
            self._yaml(f"sources/{name}.yaml", {"source": name, "title": name, "files": [f"{name}/*.csv"]} | plain)
        known = {"kind": "reference", "reader": {"format": "csv"}, "defaults": {"identifiers": held}}
        self._yaml("sources/list.yaml", {"source": "list", "title": "list", "files": ["list/*.csv"]} | known)
        self._yaml("journeys/asking.yaml", ASKING)
        key = self.folder / "key"
        key.touch(mode=0o600)
        key.write_text(KEY, encoding="ascii")

    def _yaml(self, name: str, content: dict[str, Any]) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def land(self, source: str, rows: Sequence[Row]) -> Path:
        """A new file of a source: it lands after all before it, and before the night to come."""
        self.landed += 1
        path = self.folder / "landing" / source / f"{self.landed:04d}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["id", "moment", "topic", *self.identifiers])
        for row in rows:
            moment = f"{row.moment:%Y-%m-%d %H:%M:%S}"
            writer.writerow([row.id, moment, row.topic, *(row.held.get(name) for name in self.identifiers)])
        path.write_text(text.getvalue(), encoding="utf-8")
        landed = NIGHT.timestamp() - 86400 + self.landed
        os.utime(path, (landed, landed))
        return path

    def night(self, *, whole: bool = False) -> Version:
        """One night, published; `whole`: with its journeys and marts."""
        lake = open_lake(self.project)
        with self._derived() as staging:
            if whole:
                journeys.build(self.project, staging)
                for name in marts.MARTS:
                    marts.build(name, self.project, staging)
            for table in TABLES.values():
                if table.name == "restatements" or (not whole and table.name not in OURS):
                    staging.write(table.name, table.schema.empty_table())
            staging.write("runs", runs_table(staging, lake.current()))
            return lake.publish(staging)

    def rehearse(self, *names: str) -> dict[str, Rows]:
        """A night's tables of these names, which are not published."""
        with self._derived() as staging:
            return _read({name: staging.folder(name) for name in names})

    def _derived(self) -> Staging:
        self.nights += 1
        project, lake = self.project, open_lake(self.project)
        as_of = NIGHT + timedelta(days=self.nights)
        take_in(project, lake.root, as_of)
        staging = lake.open_run(f"night-{self.nights}", as_of)
        identity.resolve(project, lake, staging)
        events.build(project, lake, staging)
        return staging


def tables_of(version: Version, *names: str) -> dict[str, Rows]:
    """Tables of a version; all of them where none is named."""
    return _read({name: version.root / name for name in names or TABLES})


def _read(folders: dict[str, Path]) -> dict[str, Rows]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = {}
        for name, folder in folders.items():
            create_view(connection, TABLES[name], folder)
            found[name] = connection.sql(f'SELECT * FROM "{name}" ORDER BY ALL').to_arrow_table().to_pylist()
    return found


def pseudonym(kind: str, value: str) -> str:
    """The first 24 hex digits of HMAC-SHA256 with the project's key, made without the product."""
    return hmac.new(KEY.encode(), f"identifier\x1f{kind}\x1f{value}".encode(), hashlib.sha256).hexdigest()[:24]


def identifier(kind: str, value: str) -> Identifier:
    return Identifier(kind, pseudonym(kind, value))


def person_id(kind: str, value: str) -> str:
    """The id of the person whose anchor this identifier is."""
    return hashlib.sha256(f"person\x1f{kind}\x1f{pseudonym(kind, value)}".encode()).hexdigest()[:16]

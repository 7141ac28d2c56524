"""A small project on disk for the intake's tests: write landing files, take them in, look at what came out."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from klantspoor.intake import IntakeReport, Ledger, LedgerFile, take_in
from klantspoor.project.model import Project

KEY = "a secret of more than sixteen characters"
AS_OF = datetime(2024, 6, 1, 3, tzinfo=UTC)
IDENTIFIERS: dict[str, Any] = {
    "customer": {"priority": 1, "block": ["TEST*"]},
    "email": {"priority": 2, "normalise": "lower", "block": ["*@example.test"]},
    "phone": {"priority": 3, "normalise": "digits"},
}
SIMPLE: dict[str, Any] = {
    "id": "id",
    "occurred_at": "moment",
    "activity": "activity",
    "identifiers": [{"type": "customer", "value": "customer"}],
}


@dataclass
class World:
    root: Path
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    identifiers: dict[str, Any] = field(default_factory=lambda: dict(IDENTIFIERS))

    def source(self, name: str = "crm", **keys: Any) -> None:
        given = {
            "files": [f"{name}*"],
            "reader": {"format": "csv"},
            "not_personal": ["id", "activity", "moment"],
        } | keys
        given.setdefault("defaults", SIMPLE)
        self.sources[name] = {"source": name, "title": name, **given}

    @property
    def project(self) -> Project:
        file = {
            "name": "Test",
            "timezone": "Europe/Amsterdam",
            "pseudonym_key": {"env": "KLANTSPOOR_TEST_KEY"},
            "identifiers": self.identifiers,
        }
        return Project.model_validate({"root": str(self.root), "file": file, "sources": self.sources, "journeys": {}})

    def land(self, name: str, content: str | bytes, landed: datetime = datetime(2024, 5, 31, tzinfo=UTC)) -> Path:
        path = self.root / "landing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(path, (landed.timestamp(), landed.timestamp()))
        return path

    def night(self, as_of: datetime = AS_OF) -> IntakeReport:
        return take_in(self.project, self.root / "lake", as_of)

    @property
    def ledger(self) -> list[LedgerFile]:
        return Ledger(self.root / "lake").files()

    def events(self, index: int = -1) -> list[dict[str, Any]]:
        """The events as read, each with its identifiers."""
        rows: list[dict[str, Any]] = pq.read_table(self.ledger[index].events).to_pylist()
        held = {link["identifier_set"]: link["identifiers"] for link in self.links(index)} | {0: []}
        return [row | {"identifiers": held[row["identifier_set"]]} for row in rows]

    def links(self, index: int = -1) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.ledger[index].links).to_pylist()
        return rows

    def quarantine(self, index: int = -1) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.ledger[index].quarantine).to_pylist()
        return rows

    def reasons(self, index: int = -1) -> list[tuple[int, str]]:
        return [(row["row_number"], row["reason"]) for row in self.quarantine(index)]


def take_csv(world: World, text: str | bytes, **keys: Any) -> World:
    """One source, one file, one night."""
    world.source(**keys)
    world.land("crm.csv", text)
    world.night()
    return world

"""Nights on one lake, and the same ledger read by a lake that knows nothing of the nights before. No test."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.identity import IdentityReport, resolve
from klantspoor.intake.evidence import keep_evidence
from klantspoor.intake.ledger import EVENTS_SCHEMA, LINKS_SCHEMA, QUARANTINE_SCHEMA, FileRecord, Ledger
from klantspoor.lake import Lake
from klantspoor.project.model import Project, ProjectFile

START = datetime(2026, 1, 1, tzinfo=UTC)
NIGHT = datetime(2026, 3, 1, tzinfo=UTC)
CANONICAL = ("sets", "turns", "candidates")
TABLES = ("identities", "identity_audit", "person_aliases")


@dataclass(frozen=True)
class Row:
    """Identifiers seen together ("type:name"; "type:name!guard" is guarded), and on which days first and last."""

    members: tuple[str, ...]
    first: int = 0
    last: int = 0


@dataclass(frozen=True)
class File:
    source: str
    rows: Sequence[Row]
    is_list: bool = False


def pseudonym(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:24]


def project(root: Path, types: dict[str, Any]) -> Project:
    file = ProjectFile.model_validate(
        {"name": "t", "timezone": "UTC", "pseudonym_key": {"env": "K"}, "identifiers": types}
    )
    return Project(root=str(root), file=file, sources={}, journeys={})


def land(root: Path, file: File) -> None:
    """Adds a file to the ledger, as intake leaves it."""
    ledger = Ledger(root / "lake")
    sequence = len(ledger.files()) + 1
    links, events = [], []
    for number, row in enumerate(file.rows, start=1):
        names = sorted({member.partition("!")[0]: member.partition("!")[2] for member in row.members}.items())
        numbered = int.from_bytes(sha256(repr([name for name, _ in names]).encode()).digest()[:8], "big")
        first, last = (START + timedelta(days=day) for day in (row.first, row.last))
        links.append(
            {
                "identifier_set": numbered,
                "position": 1,
                "identifiers": [
                    {"type": name.partition(":")[0], "identifier": pseudonym(name), "guard": guard or None}
                    for name, guard in names
                ],
                "first_seen": first,
                "last_seen": last,
                "rows": 2,
                "persona": None,
            }
        )
        if not file.is_list:
            events += [_event(sequence, number, moment, numbered) for moment in sorted({first, last})]
    with ledger.writing():
        aside = ledger.new_folder(sequence)
        pq.write_table(pa.Table.from_pylist(links, LINKS_SCHEMA), aside / "links.parquet")
        pq.write_table(pa.Table.from_pylist(events, EVENTS_SCHEMA([])), aside / "events.parquet")
        pq.write_table(QUARANTINE_SCHEMA.empty_table(), aside / "quarantine.parquet")
        record = FileRecord(
            source=file.source, file=f"{sequence}.csv", content_hash=f"{sequence:064x}", landed_at=START, sequence=sequence,
            file_status="used", dialect=None, rows_read=len(links), rows_ignored=0, rows_reference=int(file.is_list),
            rows_quarantined=0, rows_erased=0, events_made=0, times_resolved=0, anonymous_events=0, seconds=0.0, key_check="",
        )  # fmt: skip
        ledger.add(aside, record)


def _event(sequence: int, number: int, moment: datetime, numbered: int) -> dict[str, Any]:
    said = {"row_number": number, "position": 1, "event_id": f"{sequence}-{number}-{moment}", "source_event_id": "x"}
    known = {"content": 0, "occurred_at": moment, "received_at": moment, "tie_order": 0, "activity": "a"}
    return dict.fromkeys(EVENTS_SCHEMA([]).names) | said | known | {"identifier_set": numbered}


def link(root: Path, pairs: Sequence[tuple[str, str, float]]) -> None:
    """A run of the linkage that found these pairs."""
    sides = [[f"{name.partition(':')[0]}:{pseudonym(name)}" for name in (p[side] for p in pairs)] for side in (0, 1)]
    columns = {"left": pa.array(sides[0], pa.string()), "right": pa.array(sides[1], pa.string())}
    empty = pa.array([[]] * len(pairs), pa.list_(pa.string()))
    weights = pa.array([pair[2] for pair in pairs], pa.float64())
    keep_evidence(
        root / "lake",
        pa.table(columns | {"weight": weights, "probability": weights, "agreed": empty, "differed": empty}),
        NIGHT,
    )


def night(root: Path, types: dict[str, Any], lake_folder: str = "lake") -> tuple[IdentityReport, dict[str, Any]]:
    """One night's outcome: the report, and by the name of each table and file its rows."""
    lake = Lake(root / lake_folder, timezone="UTC", memory_mb=200)
    found: dict[str, Any] = {}
    with lake.open_run("run", NIGHT) as staging:
        report = resolve(project(root, types), lake, staging)
        with staging.connect() as connection:
            for name in TABLES:
                found[name] = connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall()
        for name in CANONICAL:
            path = str(staging.work("canonical") / f"{name}.parquet")
            found[name] = duckdb.execute("SELECT * FROM read_parquet($path) ORDER BY ALL", {"path": path}).fetchall()
    return report, found


def from_nothing(root: Path, types: dict[str, Any]) -> tuple[IdentityReport, dict[str, Any]]:
    """The outcome of a night on the same ledger, in a lake of its own that knows nothing yet."""
    apart = root / "apart"
    if apart.exists():
        shutil.rmtree(apart)
    apart.mkdir()
    if (root / "lake" / "ledger").exists():
        (apart / "ledger").symlink_to((root / "lake" / "ledger").resolve())
    return night(root, types, "apart")


def state(root: Path) -> Path:
    return root / "lake" / "state" / "identity"

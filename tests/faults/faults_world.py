"""A project small enough to be broken a thousand times: three sources in three formats, three days. Holds no test.

Every function that takes `project` is one that a forked process calls; it gives what JSON can hold.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.dictionary import TABLES
from klantspoor.forget import forget as forget_person
from klantspoor.forget import pending, person_with, resume_all
from klantspoor.identity.typed import made_of
from klantspoor.intake import take as taking
from klantspoor.lake import Lake, open_lake
from klantspoor.night import night as whole_night
from klantspoor.project.model import Project
from klantspoor.rotation import rotate as rotate_key
from tests.lake.small_world import loose, row

KEY = "3a" * 32
IDENTIFIERS = ("customer", "email", "phone")
Row = tuple[str, ...]

SOURCES: dict[str, dict[str, Any]] = {
    "clients": {
        "kind": "reference",
        "files": ["clients*.csv"],
        "reader": {"format": "csv"},
        "defaults": {
            "persona": "segment",
            "identifiers": [{"type": name, "value": name} for name in IDENTIFIERS],
            "record": {"last_name": "name", "city": "city"},
        },
        "not_personal": ["segment"],
    },
    "orders": {
        "files": ["orders*.jsonl"],
        "reader": {
            "format": "jsonl",
            "fields": {name: f"$.{name}" for name in ("id", "version", "moment", "customer", "email", "note")},
        },
        "defaults": {
            "id": "id",
            "occurred_at": "moment",
            "activity": "'ordered'",
            "version": "version",
            "case_keys": {"order": "id"},
            "identifiers": [{"type": "customer", "value": "customer"}, {"type": "email", "value": "email"}],
            "attributes": {"note": "note"},
        },
        "not_personal": ["moment", "note", "version"],
    },
    "calls": {
        "files": ["calls*.parquet"],
        "reader": {"format": "parquet"},
        "defaults": {
            "id": "id",
            "occurred_at": "moment",
            "activity": "activity",
            "channel": "'phone'",
            "initiator": "'customer'",
            "identifiers": [{"type": "customer", "value": "customer"}, {"type": "phone", "value": "phone"}],
        },
        "not_personal": ["activity", "moment"],
    },
}
COLUMNS = {
    "clients": ("customer", "email", "phone", "segment", "name", "city"),
    "orders": ("id", "version", "moment", "customer", "email", "note"),
    "calls": ("id", "moment", "activity", "customer", "phone"),
}
JOURNEY = {
    "journey": "buying",
    "title": "Buying",
    "cut": {"case_key": "order", "gap": "30 days"},
    "phases": [
        {"id": "looking", "says": "I look around", "activities": ["asked"]},
        {"id": "waiting", "says": "I wait for it", "activities": ["ordered", "complained"]},
    ],
}


def _customers(first: int, last: int) -> list[Row]:
    return [
        (f"K{n}", f"k{n}@home.example", f"06{n:08d}", ("young", "old")[n % 2], f"Name {n}", f"City {n % 3}")
        for n in range(first, last)
    ]


DAYS: list[dict[str, list[Row]]] = [
    {
        "clients": _customers(1, 9),
        "orders": [
            (f"O{n}", "1", f"2026-02-{n:02d} 10:00:00", f"K{n}", f"k{n}@home.example", "ring twice") for n in range(1, 9)
        ],
        "calls": [
            (f"C{n}", f"2026-0{2 + n % 2}-0{n} 09:30:00", ("asked", "complained")[n % 2], f"K{n}", "") for n in range(1, 9)
        ]
        + [("C90", "2026-02-20 11:00:00", "asked", "", "0600000001"), ("C91", "never", "asked", "K2", "")],
    },
    {
        # K1 and K2 are one person after all; O3 is corrected, O4 delivered again, O20 is late, O21 is new.
        "clients": [("K2", "k1@home.example", "0600000002", "old", "Name 1", "City 1"), *_customers(9, 11)],
        "orders": [
            ("O3", "2", "2026-02-03 10:00:00", "K3", "k3@home.example", "at the back"),
            ("O4", "1", "2026-02-04 10:00:00", "K4", "k4@home.example", "ring twice"),
            ("O20", "1", "2026-01-20 10:00:00", "K5", "", "late"),
            ("O21", "1", "2026-03-09 10:00:00", "K10", "k10@home.example", ""),
        ],
        "calls": [("C20", "2026-03-09 12:00:00", "asked", "K9", ""), ("C21", "2026-03-09 13:00:00", "complained", "K1", "")],
    },
    {
        "orders": [("O30", "1", "2026-03-10 10:00:00", "K6", "", ""), ("O31", "1", "2026-03-10 11:00:00", "K3", "", "")],
        "calls": [("C30", "2026-03-10 12:00:00", "asked", "K7", "")],
    },
]  # fmt: skip


def as_of(day: int) -> datetime:
    """The clock of the night after a day, counted from 1."""
    return datetime(2026, 3, 8 + day, 3, tzinfo=UTC)


def make(project: str) -> None:
    """The project's folder, its key, and all files of the first day."""
    root = Path(project)
    root.mkdir(parents=True)
    (root / "pseudonym.key").write_text(KEY + "\n")
    (root / "pseudonym.key").chmod(0o600)
    land(project, 1)


def land(project: str, day: int) -> None:
    landing = Path(project) / "landing"
    landing.mkdir(exist_ok=True)
    for number, (source, rows) in enumerate(DAYS[day - 1].items()):
        suffix = SOURCES[source]["reader"]["format"]
        path = landing / f"{source}-{day}.{suffix}"
        write_landing(path, COLUMNS[source], rows)
        moment = (as_of(day) - timedelta(hours=5) + timedelta(minutes=number)).timestamp()
        os.utime(path, (moment, moment))


def write_landing(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    if path.suffix == ".csv":
        path.write_text("".join(",".join(row) + "\n" for row in (columns, *rows)), "utf-8")
    elif path.suffix == ".jsonl":
        documents = [dict(zip(columns, row, strict=True)) for row in rows]
        path.write_text("".join(json.dumps(document) + "\n" for document in documents), "utf-8")
    else:
        parts = {name: pa.array([row[at] or None for row in rows], pa.string()) for at, name in enumerate(columns)}
        pq.write_table(pa.table(parts), path, row_group_size=1000)


def project_of(project: str | Path) -> Project:
    trusted = {name: {"priority": at} for at, name in enumerate(IDENTIFIERS, start=1)}
    file = {
        "name": "Small",
        "timezone": "Europe/Amsterdam",
        "pseudonym_key": {"file": "pseudonym.key"},
        "identifiers": trusted,
        "limits": {"suppress_below": 1, "readers_grace": 0, "quarantine_warn_share": 0.5},
    }
    sources = {name: {"source": name, "title": name, **said} for name, said in SOURCES.items()}
    made = {"root": str(project), "file": file, "sources": sources, "journeys": {"buying": JOURNEY}}
    return Project.model_validate(made)


def lake_of(project: str | Path) -> Lake:
    return open_lake(project_of(project))


# --- what is disturbed, and what goes on after it ---------------------------------------------------------------------


def night(project: str, day: int, run_id: str | None = None) -> str:
    """The name of the version that the night after a day published."""
    _without_chance()
    whole = project_of(project)
    return whole_night(whole, open_lake(whole), as_of(day), run_id, with_pages=False).name


def take_in(project: str, day: int) -> dict[str, list[str | None]]:
    """What became of each landing file: an outcome, and why."""
    _without_chance()
    report = taking.take_in(project_of(project), lake_of(project).root, as_of(day))
    return {file.file: [file.outcome, file.detail] for file in report.files}


def forget(project: str) -> None:
    """Forgets the customer K4, unless that was begun or done before."""
    whole, lake = project_of(project), lake_of(project)
    version = lake.current()
    assert version is not None
    if not pending(lake.root) and not list((lake.root / "receipts").glob("*.json")):
        person = person_with(version, made_of(whole, "customer", "K4").identifier)
        forget_person(whole, lake, person, as_of(2) + timedelta(hours=2))


def forget_and_night(project: str, day: int, run_id: str | None = None) -> str:
    """Forgets somebody, and has a night bring it to its end."""
    _without_chance()
    forget(project)
    name = night(project, day, run_id)
    resume_all(project_of(project), lake_of(project))
    return name


def rotate_and_night(project: str, day: int, run_id: str | None = None) -> str:
    """A further key, unless there is one, and a night after it."""
    _without_chance()
    whole = project_of(project)
    if (
        len((Path(project) / "pseudonym.key").read_text().split()) == 1
        or (lake_of(project).root / "rotation.json").exists()
    ):
        rotate_key(whole)
    return night(project, day, run_id)


def publish(project: str, number: int, drop: Sequence[str] = (), run_id: str | None = None) -> str:
    """A version of a few made-up rows that tell its number, without a night; `drop` are versions that go by it."""
    Path(project).mkdir(exist_ok=True)
    lake = Lake(Path(project) / "lake")
    lake.prepare()
    lake.drop_versions([name for name in drop if name in lake.version_names()], datetime.now(UTC))
    with lake.open_run(run_id or "again", as_of(number)) as staging:
        for name, table in TABLES.items():
            staging.write(name, pa.Table.from_pylist([row(table, number)], schema=loose(table)))
        return lake.publish(staging).name


def _without_chance() -> None:
    """Makes secrets and stop-watches of this process the same every time, so that states of the disk can be compared."""
    secrets.token_hex = lambda length: "4b" * (length or 32)  # type: ignore[assignment]
    taking.time = SimpleNamespace(perf_counter=lambda: 0.0)  # type: ignore[assignment]

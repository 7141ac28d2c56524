"""A ledger of links alone, as intake leaves it, and what identity makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.identity import IdentityReport, resolve
from klantspoor.intake.ledger import EVENTS_SCHEMA, LINKS_SCHEMA, QUARANTINE_SCHEMA, FileRecord, Ledger
from klantspoor.lake import open_lake
from klantspoor.project.model import Project, ProjectFile

NIGHT = datetime(2026, 3, 1, tzinfo=UTC)
Link = Sequence[str]
"""Identifiers of one row, as "type:value"; "!type:value" is a blocked one."""


def project(folder: Path, identifiers: dict[str, Any]) -> Project:
    file = ProjectFile.model_validate(
        {"name": "t", "timezone": "UTC", "pseudonym_key": {"env": "K"}, "identifiers": identifiers}
    )
    return Project(root=str(folder), file=file, sources={}, journeys={})


def set_number(link: Link) -> int:
    """One number for one set of identifiers, as intake gives (here by another rule)."""
    text = " ".join(sorted({name.lstrip("!") for name in link}))
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")


def land(folder: Path, files: list[list[Link]]) -> None:
    """One ledger folder per file, in order."""
    ledger = Ledger(folder / "lake")
    for number, links in enumerate(files, start=1):
        seen = NIGHT - timedelta(days=100 - number)
        rows = [
            {
                "identifier_set": set_number(link),
                "position": 1,
                "identifiers": [
                    {
                        "type": kind.lstrip("!"),
                        "identifier": value,
                        "guard": "blocked" if kind.startswith("!") else None,
                    }
                    for kind, _, value in (
                        text.partition(":") for text in sorted(link, key=lambda text: text.lstrip("!"))
                    )
                ],
                "first_seen": seen,
                "last_seen": seen,
                "rows": 1,
                "persona": None,
            }
            for link in links
        ]
        with ledger.writing():
            aside = ledger.new_folder(number)
            pq.write_table(pa.Table.from_pylist(rows, LINKS_SCHEMA), aside / "links.parquet")
            pq.write_table(EVENTS_SCHEMA([]).empty_table(), aside / "events.parquet")
            pq.write_table(QUARANTINE_SCHEMA.empty_table(), aside / "quarantine.parquet")
            record = FileRecord(
                source="crm", file=f"{number}.csv", content_hash=f"{number:064x}", landed_at=seen, sequence=number,
                file_status="used", dialect=None, rows_read=len(rows), rows_ignored=0, rows_reference=0,
                rows_quarantined=0, rows_erased=0, events_made=0, times_resolved=0, anonymous_events=0, seconds=0.0, key_check="",
            )  # fmt: skip
            ledger.add(aside, record)


def persons(
    folder: Path, identifiers: dict[str, Any], files: list[list[Link]]
) -> tuple[dict[str, str], list[tuple[str, ...]]]:
    """("type:value" -> person_id, audit rows (guard, "type:value", reason))."""
    land(folder, files)
    known = project(folder, identifiers)
    lake = open_lake(known)
    with lake.open_run("run", NIGHT) as staging:
        report = resolve(known, lake, staging)
        assert isinstance(report, IdentityReport)
        with staging.connect() as connection:
            listed = connection.execute(
                "SELECT identifier_type || ':' || identifier, person_id FROM identities WHERE rule <> 'in_turn'"
            ).fetchall()
            audit = connection.execute(
                "SELECT guard, identifier_type || ':' || identifier, reason FROM identity_audit ORDER BY ALL"
            ).fetchall()
    held = dict(listed)
    assert len(held) == len(listed)
    assert report.persons == len(set(held.values()))
    return held, [tuple(row) for row in audit]


def parts(held: dict[str, str]) -> set[frozenset[str]]:
    """The identifiers of each person, without the person's id."""
    by_person: dict[str, set[str]] = {}
    for identifier, person in held.items():
        by_person.setdefault(person, set()).add(identifier)
    return {frozenset(names) for names in by_person.values()}

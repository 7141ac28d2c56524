"""A project whose published version and ledger hold a few people, known by plain identifiers that nothing may show.

Pseudonyms are made here with the standard library, so that what the commands make of typed values is held against
something else than themselves.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from klantspoor.dictionary import TABLES
from klantspoor.intake.ledger import EVENTS_SCHEMA, LINKS_SCHEMA, QUARANTINE_SCHEMA, FileRecord, Ledger
from klantspoor.lake import Lake
from klantspoor.project.key import Keys
from tests.page import tiny_project as config
from tests.page import tiny_tables as tiny
from tests.page.tiny_lake import write_project

KEY = b"ab" * 32
START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
PUBLISHED = datetime(2026, 6, 14, 4, 0, tzinfo=UTC)
INSTANT = pa.timestamp("us", tz="UTC")

CUSTOMER, EMAIL, PHONE, COOKIE = "K-770042", "Jan.Jansen@Voorbeeld.example", "06-12 34 56 78", "ck_8841f"
HOUSEMATE, TABLET, SHARED, STRANGER = "K-770043", "tb_1177c", "030 765 43 21", "niemand@voorbeeld.example"
CLEANED = {EMAIL: "jan.jansen@voorbeeld.example", PHONE: "+31612345678", SHARED: "+31307654321"}
PLAIN = [CUSTOMER, EMAIL, PHONE, COOKIE, HOUSEMATE, TABLET, SHARED, STRANGER, *CLEANED.values()]
KINDS = {
    "customer": (CUSTOMER, HOUSEMATE),
    "email": (EMAIL, STRANGER),
    "phone": (PHONE, SHARED),
    "cookie": (COOKIE, TABLET),
}
TYPE = {value: kind for kind, values in KINDS.items() for value in values}
IDENTIFIERS: dict[str, Any] = {
    "customer": {"priority": 1},
    "email": {"priority": 2, "normalise": "email", "block": ["noreply@*"]},
    "phone": {"priority": 3, "normalise": "phone", "country": "NL"},
    "cookie": {"priority": 4},
}


def pseudonym(value: str) -> str:
    """The first 24 hex digits of HMAC-SHA256 with the project's key."""
    message = f"identifier\x1f{TYPE[value]}\x1f{CLEANED.get(value, value)}"
    return hmac.new(KEY, message.encode(), hashlib.sha256).hexdigest()[:24]


def person_id(value: str) -> str:
    return hashlib.sha256(f"person\x1f{TYPE[value]}\x1f{pseudonym(value)}".encode()).hexdigest()[:16]


JAN, MATE = person_id(CUSTOMER), person_id(HOUSEMATE)
FORMER, NOBODYS = "f" * 16, "e" * 16


@dataclass
class World:
    """The project's folder."""

    root: Path

    def text_of_everything(self) -> str:
        """Every byte of the project's folder but its key, as text."""
        return "".join(
            path.read_bytes().decode("latin-1")
            for path in self.root.rglob("*")
            if path.is_file() and path.name != "key"
        )


def build(root: Path) -> World:
    write_project(root)
    file = config.PROJECT_FILE | {"identifiers": IDENTIFIERS}
    (root / "klantspoor.yaml").write_text(yaml.safe_dump(file), encoding="utf-8")
    _land(root, 1, [[CUSTOMER, EMAIL], [EMAIL, PHONE], [HOUSEMATE, SHARED], [CUSTOMER, SHARED], [CUSTOMER, TABLET]])
    _land(root, 2, [[CUSTOMER, EMAIL], [PHONE, COOKIE], [HOUSEMATE, TABLET]])
    _publish(root)
    _land(root, 3, [[STRANGER]])
    return World(root)


def _land(root: Path, number: int, links: list[list[str]]) -> None:
    seen = START + timedelta(days=10 * number)
    rows = [
        {
            "identifier_set": int(hashlib.sha256(" ".join(link).encode()).hexdigest()[:15], 16),
            "position": 1,
            "identifiers": [{"type": TYPE[v], "identifier": pseudonym(v), "guard": None} for v in link],
            "first_seen": seen,
            "last_seen": seen + timedelta(hours=1),
            "rows": 7,
            "persona": None,
        }
        for link in links
    ]
    ledger = Ledger(root / "lake")
    with ledger.writing():
        aside = ledger.new_folder(number)
        pq.write_table(pa.Table.from_pylist(rows, LINKS_SCHEMA), aside / "links.parquet")
        pq.write_table(EVENTS_SCHEMA([]).empty_table(), aside / "events.parquet")
        pq.write_table(QUARANTINE_SCHEMA.empty_table(), aside / "quarantine.parquet")
        record = FileRecord(
            source="crm", file=f"crm/{number}.csv", content_hash=f"{number:064x}", landed_at=seen, sequence=number,
            file_status="used", dialect=None, rows_read=7 * len(rows), rows_ignored=0, rows_reference=0,
            rows_quarantined=0, rows_erased=0, events_made=0, times_resolved=0, anonymous_events=0, seconds=0.0,
            key_check=Keys((KEY,)).check,
        )  # fmt: skip
        ledger.add(aside, record)


def identities() -> list[dict[str, Any]]:
    def row(value: str, person: str, rule: str, since: int = 0, to: int = 60) -> dict[str, Any]:
        return {
            "identifier_type": TYPE[value], "identifier": pseudonym(value), "person_id": person, "rule": rule,
            "valid_from": START + timedelta(days=since), "valid_to": START + timedelta(days=to), "evidence": "7 rows",
        }  # fmt: skip

    return [
        row(CUSTOMER, JAN, "anchor"), row(EMAIL, JAN, "linked", 1), row(PHONE, JAN, "linked", 2),
        row(COOKIE, JAN, "linked", 3), row(TABLET, JAN, "in_turn", 4, 15), row(HOUSEMATE, MATE, "anchor"),
        row(TABLET, MATE, "in_turn", 16),
    ]  # fmt: skip


def audit() -> list[dict[str, Any]]:
    def row(value: str, guard: str, reason: str, other: str | None = None) -> dict[str, Any]:
        return {
            "decided_at": PUBLISHED, "guard": guard, "identifier_type": TYPE[value], "identifier": pseudonym(value),
            "audit_number": 1, "other_type": TYPE[other] if other else None,
            "other_identifier": pseudonym(other) if other else None, "decision": "links nobody", "reason": reason,
        }  # fmt: skip

    return [
        row(SHARED, "at_most_persons", "seen with 2 persons, at most 1"),
        row(EMAIL, "one_per_person", "it would give a person two", STRANGER),
    ]


def aliases() -> list[dict[str, Any]]:
    return [
        {"former_person_id": FORMER, "person_id": JAN, "since": START, "why": "merged"},
        {"former_person_id": NOBODYS, "person_id": None, "since": START, "why": "nobodys"},
    ]


def _publish(root: Path) -> None:
    lake = Lake(root / "lake", timezone="Europe/Amsterdam", memory_mb=300)
    tables = tiny.make_tables()
    for name, rows in (("identities", identities()), ("identity_audit", audit()), ("person_aliases", aliases())):
        if name in tables:
            tables[name] = pa.Table.from_pylist(rows, schema=TABLES[name].schema)
    read = tables["intake"].to_pylist()
    tables["intake"] = pa.Table.from_pylist(
        [row | {"sequence": n} for n in (1, 2) for row in read], TABLES["intake"].schema
    )
    with lake.open_run(tiny.RUN_ID, tiny.AS_OF) as staging:
        for name, table in tables.items():
            staging.write(name, table)
        staging.extra("models")
        lake.publish(staging)


def as_published_from_now_on(connection: duckdb.DuckDBPyConnection) -> None:
    """What the version tells of guards and former ids, with the columns and the table that newer software publishes."""
    schema = pa.schema(
        [("decided_at", INSTANT), ("guard", pa.string()), ("identifier_type", pa.string()), ("identifier", pa.string()),
         ("audit_number", pa.int64()), ("other_type", pa.string()), ("other_identifier", pa.string()),
         ("decision", pa.string()), ("reason", pa.string())]
    )  # fmt: skip
    former = pa.schema(
        [("former_person_id", pa.string()), ("person_id", pa.string()), ("since", INSTANT), ("why", pa.string())]
    )
    tables = (
        ("identity_audit", pa.Table.from_pylist(audit(), schema)),
        ("person_aliases", pa.Table.from_pylist(aliases(), former)),
    )
    for name, table in tables:
        connection.execute(f"DROP VIEW IF EXISTS {name}")
        connection.register("given", table)
        connection.execute(f"CREATE TABLE {name} AS FROM given")
        connection.unregister("given")

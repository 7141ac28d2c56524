"""Tables of a version as they will be published, registered on a connection, for tests of what is told of persons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.identity.decisions import Identifier

INSTANT = pa.timestamp("us", tz="UTC")
START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2026, 6, 1, tzinfo=UTC)
PERSON = "a1b2c3d4e5f60718"

IDENTITIES = pa.schema(
    [("identifier_type", pa.string()), ("identifier", pa.string()), ("person_id", pa.string()), ("valid_from", INSTANT),
     ("valid_to", INSTANT), ("rule", pa.string()), ("evidence", pa.string())]
)  # fmt: skip
AUDIT = pa.schema(
    [("decided_at", INSTANT), ("guard", pa.string()), ("identifier_type", pa.string()), ("identifier", pa.string()),
     ("audit_number", pa.int64()), ("other_type", pa.string()), ("other_identifier", pa.string()),
     ("decision", pa.string()), ("reason", pa.string())]
)  # fmt: skip
ALIASES = pa.schema(
    [("former_person_id", pa.string()), ("person_id", pa.string()), ("since", INSTANT), ("why", pa.string())]
)
LINKAGE = pa.schema(
    [("left_type", pa.string()), ("left", pa.string()), ("right_type", pa.string()), ("right", pa.string()),
     ("weight", pa.float64()), ("probability", pa.float64()), ("agreed", pa.list_(pa.string())),
     ("differed", pa.list_(pa.string())), ("found_at", INSTANT)]
)  # fmt: skip


def named(text: str) -> Identifier:
    """ "type:value" as an identifier; the value need not look like a pseudonym here."""
    kind, _, value = text.partition(":")
    return Identifier(kind, value)


def pseudonym(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:24]


def held(
    text: str, rule: str = "linked", person: str = PERSON, since: datetime = START, to: datetime = END
) -> dict[str, Any]:
    one = named(text)
    return {"identifier_type": one.type, "identifier": one.identifier, "person_id": person, "valid_from": since,
            "valid_to": to, "rule": rule, "evidence": "as it was seen"}  # fmt: skip


def refused(text: str, guard: str, other: str | None = None, reason: str = "so it was found") -> dict[str, Any]:
    one, two = named(text), named(other) if other else None
    return {"decided_at": END, "guard": guard, "identifier_type": one.type, "identifier": one.identifier,
            "audit_number": 1, "other_type": two.type if two else None,
            "other_identifier": two.identifier if two else None, "decision": "links nobody", "reason": reason}  # fmt: skip


def former(was: str, now: str | None, why: str = "merged") -> dict[str, Any]:
    return {"former_person_id": was, "person_id": now, "since": START + timedelta(days=9), "why": why}


def version(
    identities: list[dict[str, Any]],
    audit: list[dict[str, Any]] | None = None,
    aliases: list[dict[str, Any]] | None = None,
    newest: int = 1_000,
    old: bool = False,
) -> duckdb.DuckDBPyConnection:
    """A connection with these tables; `old`: as older software published them, without what is new."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    refusals = pa.Table.from_pylist(audit or [], AUDIT)
    if old:
        refusals = refusals.drop_columns(["audit_number", "other_type", "other_identifier"])
    else:
        connection.register("person_aliases", pa.Table.from_pylist(aliases or [], ALIASES))
    connection.register("identities", pa.Table.from_pylist(identities, IDENTITIES))
    connection.register("identity_audit", refusals)
    connection.register("intake", pa.table({"sequence": pa.array([newest], pa.int64())}))
    return connection


def alike(left: str, right: str, weight: float = 12.5) -> dict[str, Any]:
    one, two = named(left), named(right)
    return {"left_type": one.type, "left": one.identifier, "right_type": two.type, "right": two.identifier,
            "weight": weight, "probability": 0.999, "agreed": ["last_name", "postcode"], "differed": ["first_name"],
            "found_at": END}  # fmt: skip


def linkage(lake: Path, run: int, rows: list[dict[str, Any]]) -> None:
    """The file of one run of the fuzzy comparison."""
    folder = lake / "ledger" / "linkage"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, LINKAGE), folder / f"{run:06d}.parquet")

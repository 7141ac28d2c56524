"""What a published version knows of persons and identifiers: finding them by id or pseudonym, and what guards refused.

Queries on a version's tables; those that an older version lacks (`person_aliases`, the other identifier of a refusal)
count as empty. How a person's identifiers are tied together: `klantspoor.identity.explain`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from klantspoor.errors import NotFoundError
from klantspoor.identity.decisions import Identifier

SHORTEST = 3
_ID = re.compile(r"[0-9a-f]{1,16}")
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Former:
    """An id that a person had before: since when no longer, and why (merged, split)."""

    person_id: str
    since: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """A person; `former_id` is the id that was asked for, where it is a former one."""

    person_id: str
    former_id: str | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """One stretch in which an identifier is a person's; `rule` is anchor, linked or in_turn."""

    person_id: str
    rule: str
    valid_from: datetime
    valid_to: datetime | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """One decision of a guard about an identifier, or about it and another."""

    decided_at: datetime
    guard: str
    identifier: Identifier
    other: Identifier | None
    decision: str
    reason: str


def find_person(connection: duckdb.DuckDBPyConnection, text: str) -> Found:
    """The person whose id, or former id, is `text` or begins with it.

    Raises:
        NotFoundError: where nobody's does, several do, or the id is nobody's any more. What was asked for is not
            repeated: it may be a customer number.
    """
    wanted = text.strip()
    if not _ID.fullmatch(wanted):
        raise NotFoundError(
            "That is not a person's id, which is 16 hexadecimal digits, or at least their first three. To look up an"
            " identifier, give no argument: the command asks for it. What was typed here is in the shell's history now;"
            " remove it there if it was somebody's."
        )
    begins = "SELECT DISTINCT person_id FROM identities WHERE starts_with(person_id, $1) ORDER BY 1 LIMIT $2"
    persons = _texts(connection, begins, [wanted, _LISTED + 1])
    former: dict[str, dict[str, Any]] = {}
    if columns_of(connection, "person_aliases"):
        begins = (
            "SELECT * FROM person_aliases WHERE starts_with(former_person_id, $1) ORDER BY former_person_id LIMIT $2"
        )
        rows = rows_of(connection, begins, [wanted, _LISTED + 1])
        former = {row["former_person_id"]: row for row in rows if row["former_person_id"] not in persons}
    ids = sorted({*persons, *former})
    if wanted in ids:
        ids = [wanted]
    if len(ids) > 1 or (ids and len(wanted) < SHORTEST):
        more = ", …" if len(ids) > _LISTED else ""
        raise NotFoundError(f"Several persons' ids could begin so: {', '.join(ids[:_LISTED])}{more}. Give more of it.")
    if not ids:
        raise NotFoundError(
            "No person has an id, or had one before, that begins so. To look up an identifier, give no argument."
        )
    if ids[0] not in former:
        return Found(ids[0])
    row = former[ids[0]]
    if row["person_id"] is None:
        raise NotFoundError(f"{ids[0]} is nobody's id since {row['since']:%Y-%m-%d}: {row['why']}.")
    return Found(row["person_id"], ids[0])


def former_ids(connection: duckdb.DuckDBPyConnection, person_id: str) -> list[Former]:
    """The ids that became this person's, the latest first."""
    if not columns_of(connection, "person_aliases"):
        return []
    sql = "SELECT former_person_id, since, why FROM person_aliases WHERE person_id = $1 ORDER BY since DESC, 1"
    return [Former(row["former_person_id"], row["since"], row["why"]) for row in rows_of(connection, sql, [person_id])]


def anchor_of(connection: duckdb.DuckDBPyConnection, person_id: str) -> Identifier:
    """The identifier that a person's id is made of.

    Raises:
        NotFoundError: where the person has none in this version.
    """
    sql = "SELECT DISTINCT identifier_type, identifier FROM identities WHERE person_id = $1 AND rule = 'anchor'"
    for row in rows_of(connection, sql, [person_id]):
        return Identifier(row["identifier_type"], row["identifier"])
    raise NotFoundError(f"Person {person_id} has no anchor in this version.")


def holders(connection: duckdb.DuckDBPyConnection, identifier: Identifier) -> list[Holder]:
    """Whose an identifier is, by time; several only where several had it in turn, none where it is nobody's."""
    sql = """SELECT person_id, rule, valid_from, valid_to FROM identities
             WHERE identifier_type = $1 AND identifier = $2 ORDER BY valid_from, person_id"""
    rows = rows_of(connection, sql, [identifier.type, identifier.identifier])
    return [Holder(row["person_id"], row["rule"], row["valid_from"], row["valid_to"]) for row in rows]


def persons_of(connection: duckdb.DuckDBPyConnection, identifiers: list[Identifier]) -> dict[Identifier, list[str]]:
    """The persons (ids, sorted) of each of n identifiers that is somebody's."""
    connection.register("asked", asked_table(identifiers))
    sql = """SELECT identifier_type, identifier, list(DISTINCT person_id ORDER BY person_id) AS persons
             FROM identities SEMI JOIN asked USING (identifier_type, identifier) GROUP BY ALL"""
    rows = rows_of(connection, sql, [])
    connection.unregister("asked")
    return {Identifier(row["identifier_type"], row["identifier"]): row["persons"] for row in rows}


def refusals(connection: duckdb.DuckDBPyConnection, about: str, most: int) -> tuple[list[Refusal], int]:
    """At most `most` decisions of guards about the identifiers in the table or view `about`, and how many there are.

    `about` has the columns identifier_type and identifier; the other identifier of a decision counts too.
    """
    columns = columns_of(connection, "identity_audit")
    paired = {"other_type", "other_identifier"} <= columns
    other = "other_type, other_identifier" if paired else "NULL AS other_type, NULL AS other_identifier"
    either = (
        f"OR (other_type, other_identifier) IN (SELECT (identifier_type, identifier) FROM {about})" if paired else ""
    )
    sql = f"""SELECT decided_at, guard, identifier_type, identifier, decision, reason, {other}, count(*) OVER () AS total
              FROM identity_audit
              WHERE (identifier_type, identifier) IN (SELECT (identifier_type, identifier) FROM {about}) {either}
              ORDER BY decided_at DESC, identifier_type, identifier, guard, other_type, other_identifier LIMIT $1"""
    rows = rows_of(connection, sql, [most])
    found = [
        Refusal(
            row["decided_at"],
            row["guard"],
            Identifier(row["identifier_type"], row["identifier"]),
            Identifier(row["other_type"], row["other_identifier"]) if row["other_identifier"] else None,
            row["decision"],
            row["reason"],
        )
        for row in rows
    ]
    return found, int(rows[0]["total"]) if rows else 0


def refusals_of(connection: duckdb.DuckDBPyConnection, identifier: Identifier, most: int) -> list[Refusal]:
    """At most `most` decisions of guards about one identifier, the latest first."""
    connection.register("asked", asked_table([identifier]))
    found, _ = refusals(connection, "asked", most)
    connection.unregister("asked")
    return found


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    """The columns of a table or view of the connection; none where it has no such table."""
    return set(_texts(connection, "SELECT column_name FROM duckdb_columns() WHERE table_name = $1", [table]))


def asked_table(identifiers: list[Identifier]) -> pa.Table:
    """Identifiers (n) as the columns identifier_type and identifier."""
    return pa.table(
        {
            "identifier_type": pa.array([one.type for one in identifiers], pa.string()),
            "identifier": pa.array([one.identifier for one in identifiers], pa.string()),
        }
    )


def rows_of(connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
    """What a query gives, a few rows of it: each as column -> value."""
    found: list[dict[str, Any]] = connection.sql(sql, params=parameters).to_arrow_table().to_pylist()
    return found


def _texts(connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any]) -> list[str]:
    return [str(row[0]) for row in connection.execute(sql, parameters).fetchall()]

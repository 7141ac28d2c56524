"""Gathers the evidence about one person, or one identifier, from the ledger and a version's tables.

DuckDB reads the ledger and keeps what concerns the identifiers asked for in temporary tables of the connection: `mine`
(the person's identifiers, numbered), `member` (rows they are in), `beside` (what else is in those rows), `seen_pairs`,
`refused_pairs` and `likeness`. What a chain of evidence is: `klantspoor.identity.explain`.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from klantspoor.errors import NotFoundError
from klantspoor.identity.decisions import Decision, Identifier
from klantspoor.identity.explain import Evidence, Pair, ordered, pairs_table
from klantspoor.identity.known import asked_table, columns_of, rows_of
from klantspoor.intake.ledger import Ledger, LedgerFile

LINKAGE = "linkage"


@dataclass(frozen=True, slots=True)
class Seen:
    """Where the ledger knows an identifier from, whoever's it is.

    `rows` are those that the version knows of, `later_rows` those taken in since, `quarantined_rows` those that could
    not be used; `guards` are the ones that held it as it was read.
    """

    rows: int
    later_rows: int
    quarantined_rows: int
    first_seen: datetime | None
    last_seen: datetime | None
    sources: list[str]
    guards: list[str]


def gather(
    connection: duckdb.DuckDBPyConnection, lake_root: Path, person_id: str, decisions: list[Decision]
) -> Evidence:
    """The evidence about one person of a version.

    Args:
        connection: to the version's tables; it gets temporary tables and is to be used for this one person.
        lake_root: the lake's folder, whose ledger is read up to the newest file that the version knows.
        person_id: the person, in full.
        decisions: those in force when the version was made.

    Raises:
        NotFoundError: where the version knows nothing of the person.
        LakeError: a folder of the ledger cannot be read.
    """
    connection.execute(_MINE, [person_id])
    count = int(connection.execute("SELECT count(*) FROM mine").fetchall()[0][0])
    if not count:
        raise NotFoundError(f"Person {person_id} has no identifiers in this version.")
    _read_ledger(connection, lake_root)
    forced = _forced(connection, decisions)
    _refused_pairs(connection, forced)
    connection.execute(_PAIRS)
    _read_linkage(connection, lake_root)
    connection.register("forced", pairs_table(list(forced)))
    found = connection.execute(
        "SELECT a - 1 AS a, b - 1 AS b FROM seen_pairs UNION SELECT a - 1, b - 1 FROM likeness"
        " UNION SELECT a - 1, b - 1 FROM forced"
    ).fetchnumpy()
    connection.unregister("forced")
    ends = connection.execute("SELECT number - 1 AS n FROM mine WHERE rule = 'in_turn'").fetchnumpy()["n"]
    pairs = (np.asarray(found["a"], np.int64), np.asarray(found["b"], np.int64))
    return Evidence(connection, count, pairs, np.asarray(ends, np.int64), forced)


_MINE = """
CREATE OR REPLACE TEMP TABLE mine AS
SELECT row_number() OVER (ORDER BY (rule = 'anchor') DESC, stretches[1].f, identifier_type, identifier) AS number, *
FROM (SELECT identifier_type::VARCHAR AS identifier_type, identifier,
             CASE WHEN bool_or(rule = 'anchor') THEN 'anchor' ELSE min(rule::VARCHAR) END AS rule,
             list(struct_pack(f := valid_from, t := valid_to) ORDER BY valid_from) AS stretches
      FROM identities WHERE person_id = $1 GROUP BY ALL)"""
"""rule: an identifier that is the person's for good has one row; one had in turn has a row for each stretch."""

_ROWS = """
SELECT f.sequence, r.file_row_number AS line, f.source, r.position, r.first_seen, r.last_seen, r.rows,
       unnest(r.identifiers) AS i
FROM read_parquet($paths, filename = true, file_row_number = true) r JOIN ledger_files f ON f.links = r.filename"""
_MEMBER = f"""
CREATE OR REPLACE TEMP TABLE member AS
SELECT DISTINCT l.* EXCLUDE (i), m.number FROM ({_ROWS}) l
JOIN mine m ON m.identifier_type = l.i."type" AND m.identifier = l.i.identifier
WHERE l.i.guard IS NULL AND (m.rule <> 'in_turn' OR len(list_filter(m.stretches,
      lambda s: l.first_seen <= coalesce(s.t, 'infinity') AND l.last_seen >= s.f)) > 0)"""
_BESIDE = f"""
CREATE OR REPLACE TEMP TABLE beside AS
SELECT DISTINCT l.i."type" AS identifier_type, l.i.identifier AS identifier
FROM ({_ROWS}) l SEMI JOIN member USING (sequence, line)
ANTI JOIN mine m ON m.identifier_type = l.i."type" AND m.identifier = l.i.identifier"""
_PAIRS = """
CREATE OR REPLACE TEMP TABLE seen_pairs AS
SELECT DISTINCT x.number AS a, y.number AS b FROM member x JOIN member y USING (sequence, line)
JOIN mine m ON m.number = x.number JOIN mine n ON n.number = y.number
WHERE x.number < y.number AND NOT (m.rule = 'in_turn' AND n.rule = 'in_turn')
AND (x.number, y.number) NOT IN (SELECT (a, b) FROM refused_pairs)"""


def _read_ledger(connection: duckdb.DuckDBPyConnection, lake_root: Path) -> None:
    """`member`: the ledger's rows that hold an identifier of the person; `beside`: others in those rows."""
    newest = _newest(connection)
    files = _parts(
        [f for f in Ledger(lake_root).files() if f.record.file_status == "used" and f.record.sequence <= newest]
    )
    if not len(files):
        connection.execute(
            """CREATE OR REPLACE TEMP TABLE member (sequence BIGINT, line BIGINT, source VARCHAR, position SMALLINT,
               first_seen TIMESTAMPTZ, last_seen TIMESTAMPTZ, rows BIGINT, number BIGINT)"""
        )
        connection.execute("CREATE OR REPLACE TEMP TABLE beside (identifier_type VARCHAR, identifier VARCHAR)")
        return
    connection.register("ledger_files", files)
    paths = {"paths": _escaped(files)}
    connection.execute(_MEMBER, paths)
    connection.execute(_BESIDE, paths)
    connection.unregister("ledger_files")


def look_for(connection: duckdb.DuckDBPyConnection, lake_root: Path, identifier: Identifier) -> Seen:
    """Where one identifier was seen: for one that is nobody's.

    Raises:
        LakeError: a folder of the ledger cannot be read.
    """
    files = Ledger(lake_root).files()
    newest = _newest(connection)
    seen: dict[str, Any] = {
        "rows": 0,
        "later_rows": 0,
        "first_seen": None,
        "last_seen": None,
        "sources": [],
        "guards": [],
    }
    parts = _parts([file for file in files if file.record.file_status == "used"])
    connection.register("ledger_files", parts)
    if len(parts):
        found = connection.sql(
            f"""SELECT coalesce(sum(rows) FILTER (sequence <= $newest), 0)::BIGINT AS rows,
                       coalesce(sum(rows) FILTER (sequence > $newest), 0)::BIGINT AS later_rows,
                       min(first_seen) AS first_seen, max(last_seen) AS last_seen,
                       coalesce(list(DISTINCT source ORDER BY source), []) AS sources,
                       coalesce(list(DISTINCT i.guard ORDER BY i.guard) FILTER (i.guard IS NOT NULL), []) AS guards
                FROM ({_ROWS}) WHERE i."type" = $kind AND i.identifier = $pseudonym""",
            params={
                "paths": _escaped(parts),
                "newest": newest,
                "kind": identifier.type,
                "pseudonym": identifier.identifier,
            },
        )
        [seen] = found.to_arrow_table().to_pylist()
    connection.unregister("ledger_files")
    return Seen(**seen, quarantined_rows=_quarantined(connection, files, identifier))


def _quarantined(connection: duckdb.DuckDBPyConnection, files: list[LedgerFile], identifier: Identifier) -> int:
    paths = [glob.escape(str(file.quarantine)) for file in files if file.record.rows_quarantined]
    if not paths:
        return 0
    found = connection.execute(
        """SELECT count(*) FROM (SELECT DISTINCT filename, row_number FROM (
               SELECT filename, row_number, unnest(identifiers) AS i FROM read_parquet($1, filename = true))
           WHERE i."type" = $2 AND i.identifier = $3)""",
        [paths, identifier.type, identifier.identifier],
    )
    return int(found.fetchall()[0][0])


def _newest(connection: duckdb.DuckDBPyConnection) -> int:
    """The sequence of the newest file that the version knows."""
    return int(connection.execute("SELECT coalesce(max(sequence), 0) FROM intake").fetchall()[0][0])


def _parts(files: list[LedgerFile]) -> pa.Table:
    """One row per file of the ledger: sequence, source, and the path of its links."""
    return pa.table(
        {
            "sequence": pa.array([file.record.sequence for file in files], pa.int64()),
            "source": pa.array([file.record.source for file in files], pa.string()),
            "links": pa.array([str(file.links) for file in files], pa.string()),
        }
    )


def _escaped(parts: pa.Table) -> list[str]:
    return [glob.escape(path) for path in parts["links"].to_pylist()]


def _forced(connection: duckdb.DuckDBPyConnection, decisions: list[Decision]) -> dict[Pair, list[Decision]]:
    """The decisions that force two of the person's identifiers, by their numbers."""
    forces = [(one, one.a, one.b) for one in decisions if one.verb == "force" and one.b is not None]
    numbers = numbers_of(connection, [one for _, a, b in forces for one in (a, b)])
    found: dict[Pair, list[Decision]] = {}
    for decision, a, b in forces:
        if a in numbers and b in numbers:
            found.setdefault(ordered((numbers[a], numbers[b])), []).append(decision)
    return found


def numbers_of(connection: duckdb.DuckDBPyConnection, identifiers: list[Identifier]) -> dict[Identifier, int]:
    """The numbers of those of n identifiers that are the gathered person's."""
    connection.register("asked", asked_table(identifiers))
    rows = rows_of(connection, "SELECT * FROM mine SEMI JOIN asked USING (identifier_type, identifier)", [])
    connection.unregister("asked")
    return {Identifier(row["identifier_type"], row["identifier"]): row["number"] for row in rows}


def _refused_pairs(connection: duckdb.DuckDBPyConnection, forced: dict[Pair, list[Decision]]) -> None:
    """`refused_pairs`: two of the person's identifiers whose own link a guard refused, though others tie them."""
    connection.execute("CREATE OR REPLACE TEMP TABLE refused_pairs (a BIGINT, b BIGINT)")
    if not {"other_type", "other_identifier"} <= columns_of(connection, "identity_audit"):
        return
    connection.register("forced", pairs_table(list(forced)))
    connection.execute(
        """INSERT INTO refused_pairs
           SELECT DISTINCT least(m.number, n.number) AS a, greatest(m.number, n.number) AS b FROM identity_audit r
           JOIN mine m ON m.identifier_type = r.identifier_type AND m.identifier = r.identifier
           JOIN mine n ON n.identifier_type = r.other_type AND n.identifier = r.other_identifier
           ANTI JOIN forced f ON f.a = least(m.number, n.number) AND f.b = greatest(m.number, n.number)"""
    )
    connection.unregister("forced")


def _read_linkage(connection: duckdb.DuckDBPyConnection, lake_root: Path) -> None:
    """`likeness`: pairs of the person's identifiers that the newest run of the fuzzy comparison found alike."""
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE likeness (a BIGINT, b BIGINT, weight DOUBLE, probability DOUBLE,
           agreed VARCHAR[], differed VARCHAR[], found_at TIMESTAMPTZ)"""
    )
    runs = sorted((Path(lake_root) / "ledger" / LINKAGE).glob("[0-9]*.parquet"))
    if runs:
        connection.execute(
            """INSERT INTO likeness
               SELECT least(m.number, n.number) AS a, greatest(m.number, n.number) AS b, weight, probability, agreed,
                      differed, found_at
               FROM read_parquet($1) r
               JOIN mine m ON m.identifier_type = r.left_type AND m.identifier = r."left"
               JOIN mine n ON n.identifier_type = r.right_type AND n.identifier = r."right"
               WHERE m.number <> n.number AND NOT (m.rule = 'in_turn' AND n.rule = 'in_turn')
               AND (least(m.number, n.number), greatest(m.number, n.number)) NOT IN (SELECT (a, b) FROM refused_pairs)""",
            [[glob.escape(str(runs[-1]))]],
        )

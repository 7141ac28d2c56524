"""From the ledger to `Evidence`: identifiers and sets become numbers, on a connection that keeps the names.

Tables left on the connection: `ledger_files`, `evidence` (every link row, without its identifiers), `nodes` (node,
identifier_type, identifier, priority), `set_numbers` (set_number, identifier_set). Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.errors import LakeError
from klantspoor.identity.decisions import Decision
from klantspoor.identity.evidence import Evidence, Extra, Ints, ordered_types
from klantspoor.intake.ledger import LINKS_SCHEMA, Ledger
from klantspoor.project.model import IdentifierType


def ledger_files(lake_root: Path) -> pa.Table:
    """One row per file of the ledger that could be used: sequence, source, and the paths of its parts."""
    files = [file for file in Ledger(lake_root).files() if file.record.file_status == "used"]
    return pa.table(
        {
            "sequence": pa.array([file.record.sequence for file in files], pa.int64()),
            "source": pa.array([file.record.source for file in files], pa.string()),
            "events": pa.array([str(file.events) for file in files], pa.string()),
            "links": pa.array([str(file.links) for file in files], pa.string()),
        }
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """What the sources say of each set (m): rows, when last seen, and in which sources (a bit each, 64 to a column)."""

    rows: Ints
    last: Ints
    sources: Ints
    names: list[str]


def encode(
    connection: duckdb.DuckDBPyConnection,
    files: pa.Table,
    scratch: Path,
    types: dict[str, IdentifierType],
    decisions: Sequence[Decision],
    fuzzy: pa.Table,
) -> Evidence:
    """The evidence of all files, with a steward's decisions and the pairs that the linkage of records found.

    Args:
        files: as `ledger_files` gives them.
        scratch: where an empty file of links may be written.
        decisions: those in force.
        fuzzy: left_type, left, right_type, right, weight.

    Raises:
        LakeError: where two sets of identifiers have one number (as good as impossible).
    """
    connection.register("ledger_files", files)
    paths = files["links"].to_pylist()
    if not paths:
        paths = [str(scratch / "no_links.parquet")]
        pq.write_table(LINKS_SCHEMA.empty_table(), paths[0])
    connection.execute(
        """CREATE TEMP TABLE evidence AS
           SELECT r.identifier_set, r.position, r.first_seen, r.last_seen, r.rows, f.sequence, f.source
           FROM read_parquet($paths, filename = true) r JOIN ledger_files f ON f.links = r.filename""",
        {"paths": paths},
    )
    _sets(connection, paths)
    _nodes(connection, types)
    return _numbers(connection, types, decisions, fuzzy)


def _sets(connection: duckdb.DuckDBPyConnection, paths: list[str]) -> None:
    """`distinct_sets`: each set of identifiers once, numbered; `guards`: identifiers that some file says are nobody's."""
    connection.execute(
        """CREATE TEMP TABLE distinct_sets AS
           SELECT row_number() OVER () - 1 AS set_number, identifier_set, identifiers
           FROM (SELECT identifier_set, any_value(identifiers) AS identifiers,
                        min(identifiers[1].identifier) = max(identifiers[1].identifier)
                        AND min(len(identifiers)) = max(len(identifiers)) AS is_one
                 FROM read_parquet($paths) GROUP BY identifier_set)""",
        {"paths": paths},
    )
    [(twice,)] = connection.execute(
        """SELECT count(*) FROM (SELECT identifier_set FROM read_parquet($paths) GROUP BY identifier_set
           HAVING min(identifiers[1].identifier) <> max(identifiers[1].identifier)
               OR min(len(identifiers)) <> max(len(identifiers)))""",
        {"paths": paths},
    ).fetchall()
    if twice:
        raise LakeError(f"{twice} sets of identifiers share their number with another; report this with the ledger's size")
    connection.execute(
        """CREATE TEMP TABLE guards AS
           SELECT i."type" AS identifier_type, i.identifier, min(i.guard) AS guard
           FROM (SELECT unnest(identifiers) AS i FROM (
                   SELECT DISTINCT identifiers FROM read_parquet($paths)
                   WHERE len(list_filter(identifiers, lambda x: x.guard IS NOT NULL)) > 0))
           WHERE i.guard IS NOT NULL GROUP BY ALL""",
        {"paths": paths},
    )

"""From the ledger to `Evidence`: identifiers and sets become numbers, on a connection that keeps the names.

Tables left on the connection: `evidence` (every link row, without its identifiers), `types` (kind, identifier_type,
priority), `nodes` (node, kind, identifier), `members` (set_number, node), `set_numbers` (set_number, identifier_set),
`guarded` (node, guard). Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """One row per file of the ledger that could be used: sequence, source, whether it is a list, and the paths of its parts."""
    files = [file for file in Ledger(lake_root).files() if file.record.file_status == "used"]
    return pa.table(
        {
            "sequence": pa.array([file.record.sequence for file in files], pa.int64()),
            "source": pa.array([file.record.source for file in files], pa.string()),
            "is_reference": pa.array([file.record.rows_reference > 0 for file in files], pa.bool_()),
            "events": pa.array([str(file.events) for file in files], pa.string()),
            "links": pa.array([str(file.links) for file in files], pa.string()),
        }
    )


def encode(
    connection: duckdb.DuckDBPyConnection,
    files: pa.Table,
    scratch: Path,
    types: dict[str, IdentifierType],
    decisions: Sequence[Decision],
    fuzzy: pa.Table,
    kept: pa.Table,
) -> Evidence:
    """The evidence of all files, with a steward's decisions and the pairs that the linkage of records found.

    Args:
        connection: to make the tables on.
        files: as `ledger_files` gives them.
        scratch: where an empty file of links may be written.
        types: the project's identifier types; evidence of any other type is left out.
        decisions: those in force.
        fuzzy: left_type, left, right_type, right, weight.
        kept: identifier_type, identifier, how: what a forgotten person had in common with others.

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
           SELECT r.identifier_set, r.first_seen, r.last_seen, r.rows, r.file_row_number AS place, f.sequence, f.source,
                  hash(r.identifiers[1].identifier, len(r.identifiers)) AS inside
           FROM read_parquet($paths, filename = true, file_row_number = true) r
           JOIN ledger_files f ON f.links = r.filename""",
        {"paths": paths},
    )
    connection.execute(
        """CREATE TEMP TABLE set_numbers AS
           SELECT (row_number() OVER (ORDER BY identifier_set) - 1) AS set_number, identifier_set,
                  arg_min(place, (sequence, place)) AS place, min(sequence) AS sequence, min(inside) = max(inside) AS is_one
           FROM evidence GROUP BY identifier_set"""
    )
    [(twice,)] = connection.execute("SELECT count(*) FROM set_numbers WHERE NOT is_one").fetchall()
    if twice:
        raise LakeError(
            f"{twice} sets of identifiers share their number with another; report this with the ledger's size"
        )
    _nodes(connection, paths, types)
    _guards(connection, paths, decisions)
    return _numbers(connection, decisions, fuzzy, kept)


def _nodes(connection: duckdb.DuckDBPyConnection, paths: list[str], types: dict[str, IdentifierType]) -> None:
    """`nodes`: every identifier, numbered by trust; `members`: which are in which set."""
    ordered = ordered_types(types)
    connection.register(
        "types",
        pa.table(
            {
                "kind": pa.array(range(len(ordered)), pa.int16()),
                "identifier_type": pa.array([name for name, _ in ordered], pa.string()),
                "priority": pa.array([kind.priority for _, kind in ordered], pa.int64()),
            }
        ),
    )
    connection.execute(
        """CREATE TEMP TABLE named AS
           SELECT n.set_number, t.kind, n.i.identifier AS identifier
           FROM (SELECT s.set_number, unnest(r.identifiers) AS i
                 FROM read_parquet($paths, filename = true, file_row_number = true) r
                 JOIN ledger_files f ON f.links = r.filename
                 JOIN set_numbers s ON s.sequence = f.sequence AND s.place = r.file_row_number
                      AND s.identifier_set = r.identifier_set) n
           JOIN types t ON n.i."type" = t.identifier_type""",
        {"paths": paths},
    )
    connection.execute(
        """CREATE TEMP TABLE nodes AS
           SELECT row_number() OVER (ORDER BY kind, identifier) - 1 AS node, kind, identifier
           FROM (SELECT DISTINCT kind, identifier FROM named)"""
    )
    connection.execute(
        """CREATE TEMP TABLE members AS SELECT m.set_number, n.node FROM named m JOIN nodes n USING (kind, identifier)"""
    )
    connection.execute("DROP TABLE named")


def _guards(connection: duckdb.DuckDBPyConnection, paths: list[str], decisions: Sequence[Decision]) -> None:
    """`guarded`: nodes that are nobody's whatever they are seen with, and which guard says so, a steward before all."""
    blocked = [decision.a for decision in decisions if decision.verb == "block"]
    connection.register(
        "stewards_blocks",
        pa.table(
            {
                "identifier_type": pa.array([one.type for one in blocked], pa.string()),
                "identifier": pa.array([one.identifier for one in blocked], pa.string()),
            }
        ),
    )
    connection.execute(
        """CREATE TEMP TABLE guarded AS
           WITH said AS (
               SELECT i."type" AS identifier_type, i.identifier, i.guard
               FROM (SELECT unnest(identifiers) AS i FROM (
                       SELECT DISTINCT identifiers FROM read_parquet($paths)
                       WHERE len(list_filter(identifiers, lambda x: x.guard IS NOT NULL)) > 0))
               WHERE i.guard IS NOT NULL
               UNION ALL SELECT identifier_type, identifier, 'steward' FROM stewards_blocks)
           SELECT n.node, arg_max(said.guard, (said.guard = 'steward', said.guard)) AS guard
           FROM said JOIN types t USING (identifier_type) JOIN nodes n ON n.kind = t.kind AND n.identifier = said.identifier
           GROUP BY n.node""",
        {"paths": paths},
    )


def _numbers(
    connection: duckdb.DuckDBPyConnection,
    decisions: Sequence[Decision],
    fuzzy: pa.Table,
    kept: pa.Table,
) -> Evidence:
    kind = connection.execute("SELECT kind FROM nodes ORDER BY node").fetchnumpy()["kind"].astype(np.int16)
    [(sets,)] = connection.execute("SELECT count(*) FROM set_numbers").fetchall()
    members = connection.execute("SELECT set_number, node FROM members ORDER BY set_number, node").fetchnumpy()
    member = members["node"].astype(np.int64)
    start = np.searchsorted(members["set_number"].astype(np.int64), np.arange(sets + 1)).astype(np.int64)
    seen = connection.execute(
        """SELECT s.set_number, epoch_us(e.first_seen) AS first, epoch_us(e.last_seen) AS last
           FROM evidence e JOIN set_numbers s USING (identifier_set) ORDER BY ALL"""
    ).fetchnumpy()
    sequence = np.full(len(kind), np.iinfo(np.int64).max, np.int64)
    earliest = connection.execute("SELECT sequence FROM set_numbers ORDER BY set_number").fetchnumpy()["sequence"]
    np.minimum.at(sequence, member, np.repeat(earliest.astype(np.int64), np.diff(start)))
    guarded = np.zeros(len(kind), np.bool_)
    guarded[connection.execute("SELECT node FROM guarded").fetchnumpy()["node"].astype(np.int64)] = True
    said = {verb: [d for d in decisions if d.verb == verb and d.b is not None] for verb in ("force", "forbid")}
    return Evidence(
        kind=kind,
        sequence=sequence,
        guarded=guarded,
        start=start,
        member=member,
        observed=seen["set_number"].astype(np.int64),
        first=seen["first"].astype(np.int64),
        last=seen["last"].astype(np.int64),
        shared=_still_shared(connection, kept),
        forced=_pairs(connection, _decided(said["force"])),
        forbidden=_pairs(connection, _decided(said["forbid"])),
        fuzzy=_pairs(connection, fuzzy),
    )


def _still_shared(connection: duckdb.DuckDBPyConnection, kept: pa.Table) -> Ints:
    """Nodes that were shared before one of those who had them was forgotten: they may not become the others' now."""
    connection.register("kept", kept)
    found = connection.execute(
        """SELECT n.node FROM kept k JOIN types t USING (identifier_type)
           JOIN nodes n ON n.kind = t.kind AND n.identifier = k.identifier WHERE k.how = 'shared' ORDER BY n.node"""
    ).fetchnumpy()
    connection.unregister("kept")
    return np.asarray(found["node"], np.int64)


def _decided(decisions: Sequence[Decision]) -> pa.Table:
    ends = [(d.a, d.b) for d in decisions if d.b is not None]
    columns = {
        "left_type": [a.type for a, _ in ends],
        "left": [a.identifier for a, _ in ends],
        "right_type": [b.type for _, b in ends],
        "right": [b.identifier for _, b in ends],
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}).append_column(
        "weight", pa.array([0.0] * len(ends), pa.float64())
    )


def _pairs(connection: duckdb.DuckDBPyConnection, named: pa.Table) -> Extra:
    """Pairs of which both identifiers are known, as nodes; in a fixed order."""
    connection.register("named_pairs", named)
    found = connection.execute(
        """SELECT a.node AS "left", b.node AS "right", p.weight
           FROM named_pairs p JOIN types s ON s.identifier_type = p.left_type JOIN types t ON t.identifier_type = p.right_type
           JOIN nodes a ON a.kind = s.kind AND a.identifier = p."left"
           JOIN nodes b ON b.kind = t.kind AND b.identifier = p."right" ORDER BY ALL"""
    ).fetchnumpy()
    connection.unregister("named_pairs")
    return Extra(found["left"].astype(np.int64), found["right"].astype(np.int64), found["weight"].astype(np.float64))

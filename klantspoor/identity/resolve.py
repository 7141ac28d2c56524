"""Persons from the ledger's links: guards first, then connected components.

An identifier is known by its type and pseudonym only. Two rules keep strangers apart: a *blocked* identifier is nobody's,
and a *shared* one (seen with more identifiers of another type, or with more persons, than its type allows) links nobody.
What is known of a shared identifier alone stays anonymous: it may be any of those who share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from klantspoor.dictionary import TABLES
from klantspoor.errors import LakeError
from klantspoor.intake.ledger import Ledger
from klantspoor.intake.tombstones import read_tombstones
from klantspoor.lake import Lake, Staging
from klantspoor.lake.connection import limited
from klantspoor.project.model import Project


@dataclass(frozen=True, slots=True)
class IdentityReport:
    """What resolution found; `largest` is the number of identifiers of the person who has most."""

    identifiers: int
    persons: int
    blocked: int
    shared: int
    largest: int


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


def resolve(project: Project, lake: Lake, staging: Staging) -> IdentityReport:
    """Derives persons from all evidence in the ledger.

    Writes the tables `identities` and `identity_audit`, and `canonical/persons.parquet`: identifier_type, identifier,
    person_id (16 hex), priority (of its type, 1 is the most trusted); blocked and shared identifiers are not in it.

    Raises:
        LakeError: where two persons would get one id (as good as impossible: 64 bits of a keyed hash).
    """
    files = ledger_files(lake.root)
    with limited(project.file.limits.memory_mb, staging.work("scratch")) as connection:
        _load_links(connection, files)
        _load_types(connection, project)
        _guard(connection)
        connection.register("kept", read_tombstones(lake.ledger).shared)
        _number_nodes(connection)
        largest = _link(connection, project)
        _keep_shared(connection)
        _name_persons(connection)
        clash = _one(connection, "SELECT count(*) - count(DISTINCT person_id) FROM persons")
        if clash:
            raise LakeError(f"{clash} persons would share their id with another; report this with the ledger's size")
        target = staging.work("canonical") / "persons.parquet"
        connection.execute(
            """COPY (SELECT n.identifier_type, n.identifier, p.person_id, n.priority
                     FROM nodes n JOIN persons p USING (component) ORDER BY ALL) TO $path (FORMAT parquet, COMPRESSION zstd)""",
            {"path": str(target)},
        )
        staging.write("identities", _identities(connection))
        staging.write("identity_audit", _audit(connection, staging))
        return IdentityReport(
            identifiers=_one(connection, "SELECT count(*) FROM seen"),
            persons=_one(connection, "SELECT count(*) FROM persons"),
            blocked=_one(connection, "SELECT count(*) FROM seen WHERE guard IS NOT NULL"),
            shared=_one(connection, "SELECT count(*) FROM shared"),
            largest=largest,
        )


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    # Fetched to the end: DuckDB keeps an unfinished result's connection busy.
    return int(connection.execute(sql).fetchall()[0][0])


def _load_links(connection: duckdb.DuckDBPyConnection, files: pa.Table) -> None:
    """`links`: one row per link row and identifier in it; `seen`: one row per identifier."""
    connection.register("ledger_files", files)
    if len(files):
        connection.execute(
            """CREATE TEMP TABLE raw_links AS
               SELECT row_number() OVER () AS link, f.sequence, f.source, r.identifiers, r.first_seen, r.last_seen, r.rows
               FROM read_parquet($paths, filename = true) r JOIN ledger_files f ON f.links = r.filename""",
            {"paths": files["links"].to_pylist()},
        )
    else:
        connection.execute(
            """CREATE TEMP TABLE raw_links (link BIGINT, sequence BIGINT, source VARCHAR, identifiers
               STRUCT("type" VARCHAR, identifier VARCHAR, guard VARCHAR)[], first_seen TIMESTAMPTZ,
               last_seen TIMESTAMPTZ, rows BIGINT)"""
        )
    connection.execute(
        """CREATE TEMP TABLE links AS
           SELECT link, sequence, source, first_seen, last_seen, rows, i."type" AS identifier_type, i.identifier, i.guard
           FROM (SELECT * EXCLUDE (identifiers), unnest(identifiers) AS i FROM raw_links)"""
    )
    connection.execute(
        """CREATE TEMP TABLE seen AS
           SELECT identifier_type, identifier, min(guard) AS guard, min(sequence) AS sequence,
                  min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(rows)::BIGINT AS rows,
                  string_agg(DISTINCT source, ', ' ORDER BY source) AS sources
           FROM links GROUP BY ALL"""
    )


def _load_types(connection: duckdb.DuckDBPyConnection, project: Project) -> None:
    types = project.file.identifiers
    caps = [(name, other, cap.most) for name, kind in types.items() for other, cap in kind.at_most.items()]
    connection.register(
        "types",
        pa.table({"identifier_type": list(types), "priority": [kind.priority for kind in types.values()]}),
    )
    connection.register(
        "caps",
        pa.table(
            {
                "identifier_type": pa.array([cap[0] for cap in caps], pa.string()),
                "other": pa.array([cap[1] for cap in caps], pa.string()),
                "most": pa.array([cap[2] for cap in caps], pa.int64()),
            }
        ),
    )


def _guard(connection: duckdb.DuckDBPyConnection) -> None:
    """`shared`: identifiers seen with more identifiers of another type than their type allows."""
    connection.execute(
        """CREATE TEMP TABLE shared AS
           WITH beside AS (
               SELECT a.identifier_type, a.identifier, c.other, c.most, count(DISTINCT b.identifier) AS found
               FROM links a JOIN caps c USING (identifier_type)
               JOIN links b ON b.link = a.link AND b.identifier_type = c.other AND b.guard IS NULL
               WHERE a.guard IS NULL GROUP BY ALL)
           SELECT identifier_type, identifier,
                  string_agg('seen with ' || found || ' identifiers of type ' || other || ', at most ' || most, '; '
                             ORDER BY other) AS reason
           FROM beside WHERE found > most GROUP BY ALL"""
    )


def _keep_shared(connection: duckdb.DuckDBPyConnection) -> None:
    """Adds to `shared` what was so before somebody was forgotten: it may not become the only one's who is left."""
    connection.execute(
        """INSERT INTO shared
           SELECT identifier_type, identifier, 'was shared before one of those who had it was forgotten'
           FROM kept SEMI JOIN seen USING (identifier_type, identifier) ANTI JOIN shared USING (identifier_type, identifier)
           WHERE how = 'shared'"""
    )


def _number_nodes(connection: duckdb.DuckDBPyConnection) -> None:
    """`nodes`: every identifier that somebody may have, numbered by trust and then pseudonym."""
    connection.execute(
        """CREATE TEMP TABLE numbered AS
           SELECT row_number() OVER (ORDER BY t.priority, s.identifier_type, s.identifier) - 1 AS node,
                  s.identifier_type, s.identifier, s.sequence, s.first_seen, s.last_seen, s.rows, s.sources, t.priority
           FROM seen s JOIN types t USING (identifier_type) ANTI JOIN shared USING (identifier_type, identifier)
           ANTI JOIN (SELECT * FROM kept WHERE how = 'shared') k USING (identifier_type, identifier)
           WHERE s.guard IS NULL"""
    )


def _link(connection: duckdb.DuckDBPyConnection, project: Project) -> int:
    """`nodes` with their component; returns the size of the largest.

    Types that are limited to a number of persons come in one by one, the more trusted first, each held against the
    persons that the types before it make: so a tablet on which one person logs in and another leaves an e-mail address
    merges nobody.
    """
    types = project.file.identifiers
    limited_types = sorted(
        (kind.priority, name, kind.at_most_persons.most)
        for name, kind in types.items()
        if kind.at_most_persons is not None
    )
    linking = [name for name, kind in types.items() if kind.at_most_persons is None]
    component = _components(connection, linking)
    for _, name, most in limited_types:
        _guard_persons(connection, name, most, linking, component)
        linking.append(name)
        component = _components(connection, linking)
    _register_labels(connection, component)
    connection.execute("CREATE TEMP TABLE nodes AS SELECT * FROM numbered JOIN labels USING (node)")
    connection.unregister("labels")
    [(largest,)] = connection.execute(
        "SELECT max(n) FROM (SELECT count(*) AS n FROM nodes GROUP BY component)"
    ).fetchall()
    return int(largest or 0)


def _components(connection: duckdb.DuckDBPyConnection, linking: list[str]) -> npt.NDArray[np.int32]:
    """The component of each node (n), linked by identifiers of the types `linking` only."""
    edges = connection.execute(
        """WITH used AS (
               SELECT l.link, n.node FROM links l JOIN numbered n USING (identifier_type, identifier)
               WHERE identifier_type IN (SELECT unnest($types))),
           hub AS (SELECT link, min(node) AS hub FROM used GROUP BY link)
           SELECT DISTINCT hub, node FROM used JOIN hub USING (link) WHERE hub <> node""",
        {"types": linking},
    ).fetchnumpy()
    # Identifiers found to be shared have left `numbered`, but their numbers stay theirs.
    count = _one(connection, "SELECT coalesce(max(node) + 1, 0) FROM numbered")
    if not count:
        return np.empty(0, dtype=np.int32)
    ones = np.ones(len(edges["node"]), dtype=np.int8)
    graph = coo_array((ones, (edges["hub"], edges["node"])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int32)


def _register_labels(connection: duckdb.DuckDBPyConnection, component: npt.NDArray[np.int32]) -> None:
    connection.register("labels", pa.table({"node": np.arange(len(component), dtype=np.int64), "component": component}))


def _guard_persons(
    connection: duckdb.DuckDBPyConnection, name: str, most: int, known: list[str], component: npt.NDArray[np.int32]
) -> None:
    """Moves the identifiers of one type that were seen with more than `most` persons from `numbered` to `shared`."""
    _register_labels(connection, component)
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE crowded AS
           SELECT a.identifier_type, a.identifier,
                  'seen with ' || count(DISTINCT c.component) || ' persons, at most ' || $most AS reason
           FROM links a JOIN links b ON b.link = a.link AND b.identifier_type IN (SELECT unnest($known))
           JOIN numbered n ON n.identifier_type = b.identifier_type AND n.identifier = b.identifier
           JOIN labels c USING (node)
           WHERE a.identifier_type = $name AND a.guard IS NULL
           GROUP BY ALL HAVING count(DISTINCT c.component) > $most""",
        {"name": name, "most": most, "known": known},
    )
    connection.unregister("labels")
    connection.execute("INSERT INTO shared SELECT * FROM crowded ANTI JOIN shared USING (identifier_type, identifier)")
    connection.execute(
        "DELETE FROM numbered WHERE (identifier_type, identifier) IN (SELECT (identifier_type, identifier) FROM crowded)"
    )


def _name_persons(connection: duckdb.DuckDBPyConnection) -> None:
    """`persons`: each component's anchor gives the id: the lowest ledger sequence, then the most trusted type, then pseudonym.

    So a merge keeps the oldest id, and a rebuild from the same ledger gives the same ids. The pseudonym is a keyed hash,
    and so is what is made from it.
    """
    connection.execute(
        """CREATE TEMP TABLE persons AS
           SELECT component, anchor, substr(sha256('person' || chr(31) || kind || chr(31) || name), 1, 16) AS person_id
           FROM (SELECT component, arg_min(node, (sequence, node)) AS anchor,
                        arg_min(identifier_type, (sequence, node)) AS kind, arg_min(identifier, (sequence, node)) AS name
                 FROM nodes GROUP BY component)"""
    )


def _identities(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    return _as_declared(
        connection.sql(
            """SELECT n.identifier_type, n.identifier, p.person_id, n.first_seen AS valid_from, n.last_seen AS valid_to,
                      CASE WHEN n.node = p.anchor THEN 'anchor' ELSE 'linked' END AS rule,
                      n.rows || ' rows of ' || n.sources AS evidence
               FROM nodes n JOIN persons p USING (component) ORDER BY p.person_id, n.identifier_type, n.identifier"""
        ),
        "identities",
    )


def _audit(connection: duckdb.DuckDBPyConnection, staging: Staging) -> pa.Table:
    return _as_declared(
        connection.sql(
            """SELECT $as_of::TIMESTAMPTZ AS decided_at, guard, identifier_type, identifier, decision, reason FROM (
                   SELECT guard, identifier_type, identifier, 'is nobody''s' AS decision,
                          'its value is on the block list of its type' AS reason FROM seen WHERE guard IS NOT NULL
                   UNION ALL
                   SELECT 'shared', identifier_type, identifier, 'links nobody', reason FROM shared)
               ORDER BY identifier_type, identifier, guard""",
            params={"as_of": staging.as_of},
        ),
        "identity_audit",
    )


def _as_declared(result: duckdb.DuckDBPyRelation, table: str) -> pa.Table:
    return result.to_arrow_table().select(list(TABLES[table].names))

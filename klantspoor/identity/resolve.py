"""The stage `identity`: from the ledger's evidence to who is who, as tables and for the stages after it.

What is decided is in `klantspoor.identity.kernel`; here it is asked, named and written down.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from klantspoor.dictionary import TABLES
from klantspoor.errors import LakeError
from klantspoor.identity.aliases import person_aliases
from klantspoor.identity.audit import identity_audit
from klantspoor.identity.decisions import in_force, read_decisions
from klantspoor.identity.encode import encode, ledger_files
from klantspoor.identity.evidence import Evidence, ordered_types
from klantspoor.identity.guards import MICROSECONDS
from klantspoor.identity.kernel import GUARDED, IN_TURN, PERSONS, SHARED, Assignment, assign
from klantspoor.identity.turns import RULES, UNLIMITED, Turns, turns
from klantspoor.intake.evidence import linkage_evidence
from klantspoor.intake.tombstones import read_tombstones
from klantspoor.lake import Lake, Staging, Version
from klantspoor.lake.connection import limited
from klantspoor.project.model import Project

MOST_HOLDERS = 8
"""What more persons share is no household's: what an event is about does not tell whose it is."""


@dataclass(frozen=True, slots=True)
class IdentityReport:
    """What resolution found; `largest` is the number of identifiers of the person who has most."""

    identifiers: int
    persons: int
    guarded: int
    shared: int
    in_turn: int
    links_left_out: int
    largest: int


def resolve(project: Project, lake: Lake, staging: Staging) -> IdentityReport:
    """Derives persons from all evidence in the ledger and the decisions of stewards.

    Writes the tables `identities`, `identity_audit` and `person_aliases`, and for the stages after it
    `canonical/sets.parquet` (identifier_set, person_id: whose an event with these identifiers is),
    `canonical/turns.parquet` (identifier_set, since, until, person_id: whose it is at that time, both ends included) and
    `canonical/candidates.parquet` (identifier_set, person_id, within: whose it may be, if it is about what that person
    was about within so many µs).

    Raises:
        ConfigError: the file of decisions is damaged.
        LakeError: where two persons would get one id (as good as impossible: 64 bits of a keyed hash).
    """
    types = project.file.identifiers
    files = ledger_files(lake.root)
    decisions = in_force(read_decisions(Path(project.root)))
    with limited(project.file.limits.memory_mb, staging.work("scratch")) as connection:
        evidence = encode(
            connection, files, staging.work("scratch"), types, decisions, linkage_evidence(lake.root),
            read_tombstones(lake.ledger).shared,
        )  # fmt: skip
        made = assign(evidence, types)
        _name_persons(connection, made)
        took_turns = _turns(connection, evidence, made, project)
        _write_sets(connection, staging, evidence, made, took_turns)
        _write_candidates(connection, staging, evidence, made, project)
        staging.write("identities", _identities(connection, evidence, made))
        before = lake.current()
        staging.write(
            "identity_audit", identity_audit(connection, evidence, made, types, staging.as_of, _earlier(before))
        )
        staging.write("person_aliases", person_aliases(connection, staging.as_of, _earlier(before)))
    return IdentityReport(
        identifiers=evidence.nodes,
        persons=len(made.anchor),
        guarded=int((made.status == GUARDED).sum()),
        shared=int((made.status == SHARED).sum()),
        in_turn=int((made.status == IN_TURN).sum()),
        links_left_out=sum(len(refused.u) for refused in made.refused),
        largest=int(np.bincount(made.label[made.status == PERSONS]).max(initial=0)),
    )


def _earlier(before: Version | None) -> Version | None:
    """The version before, as far as it knows these tables: one of older software does not."""
    return before if before is not None and before.has("person_aliases") else None


def _name_persons(connection: duckdb.DuckDBPyConnection, made: Assignment) -> None:
    """`persons` (person, node, person_id): the id is made from the anchor, so a merge keeps the oldest, and a rebuild all.

    The pseudonym is a keyed hash, and so is what is made from it.

    Raises:
        LakeError: where two would be the same.
    """
    connection.register(
        "anchors", pa.table({"person": np.arange(len(made.anchor), dtype=np.int64), "node": made.anchor})
    )
    connection.execute(
        """CREATE TEMP TABLE persons AS
           SELECT a.person, a.node, substr(sha256('person' || chr(31) || t.identifier_type || chr(31) || n.identifier), 1, 16)
                  AS person_id
           FROM anchors a JOIN nodes n USING (node) JOIN types t USING (kind)"""
    )
    [(clash,)] = connection.execute("SELECT count(*) - count(DISTINCT person_id) FROM persons").fetchall()
    if clash:
        raise LakeError(f"{clash} persons would share their id with another; report this with the ledger's size")


def _turns(connection: duckdb.DuckDBPyConnection, evidence: Evidence, made: Assignment, project: Project) -> Turns:
    """Whose the identifiers were that several persons had in turn, from every event that carried one and says whose it is."""
    mine = np.flatnonzero(made.status[evidence.member] == IN_TURN)
    held = evidence.set_of_member()[mine]
    said = made.set_person[held] >= 0
    connection.register(
        "sightings",
        pa.table(
            {
                "set_number": held[said],
                "node": evidence.member[mine[said]],
                "person": made.set_person[held[said]],
            }
        ),
    )
    connection.execute(
        """CREATE TEMP TABLE sighted AS
           SELECT n.identifier_set, s.node, s.person FROM sightings s JOIN set_numbers n USING (set_number)"""
    )
    [(sets,)] = connection.execute("SELECT count(*) FROM sighted").fetchall()
    files = connection.execute(
        """SELECT DISTINCT f.events FROM ledger_files f JOIN evidence e USING (sequence) SEMI JOIN sighted USING (identifier_set)
           WHERE NOT f.is_reference ORDER BY ALL"""
    ).fetchall()
    events = (
        """SELECT s.node, s.person, epoch_us(r.occurred_at) AS "at"
           FROM read_parquet($paths, union_by_name = true) r JOIN sighted s USING (identifier_set) UNION ALL"""
        if sets and files
        else ""
    )
    seen = connection.execute(
        f"""SELECT DISTINCT node, "at", person FROM ({events}
                SELECT s.node, s.person, unnest([epoch_us(e.first_seen), epoch_us(e.last_seen)]) AS "at"
                FROM evidence e JOIN sighted s USING (identifier_set) JOIN ledger_files f USING (sequence)
                WHERE f.is_reference)""",
        {"paths": [path for (path,) in files]} if events else {},
    ).fetchnumpy()
    types = [kind for _, kind in ordered_types(project.file.identifiers)]
    rule = np.array([RULES[kind.between] for kind in types] or [0], np.int8)
    within = [kind.turn_within for kind in types]
    reach = np.array([int(w.total_seconds() * MICROSECONDS) if w else UNLIMITED for w in within] or [0], np.int64)
    node, at, person = (seen[name].astype(np.int64) for name in ("node", "at", "person"))
    return turns(node, at, person, rule[evidence.kind[node]], reach[evidence.kind[node]])


def _write_sets(
    connection: duckdb.DuckDBPyConnection, staging: Staging, evidence: Evidence, made: Assignment, took: Turns
) -> None:
    """What the events need to know: the person of each set, or whose its most trusted identifier was when."""
    folder = staging.work("canonical")
    known = np.flatnonzero(made.set_person >= 0)
    connection.register("known_sets", pa.table({"set_number": known, "person": made.set_person[known]}))
    connection.execute(
        """COPY (SELECT n.identifier_set, p.person_id FROM known_sets k JOIN set_numbers n USING (set_number)
                 JOIN persons p USING (person)) TO $path (FORMAT parquet, COMPRESSION zstd)""",
        {"path": str(folder / "sets.parquet")},
    )
    mine = np.flatnonzero(made.status[evidence.member] == IN_TURN)
    held = evidence.set_of_member()[mine]
    first = np.r_[True, held[1:] != held[:-1]] if len(held) else np.empty(0, np.bool_)
    open_sets = first & (made.set_person[held] < 0)
    connection.register(
        "turn_sets", pa.table({"set_number": held[open_sets], "node": evidence.member[mine[open_sets]]})
    )
    connection.register(
        "turns", pa.table({"node": took.node, "person": took.person, "since": took.since, "until": took.until})
    )
    connection.execute(
        """COPY (SELECT n.identifier_set, t.since, t.until, p.person_id
                 FROM turn_sets s JOIN set_numbers n USING (set_number) JOIN turns t USING (node) JOIN persons p USING (person))
           TO $path (FORMAT parquet, COMPRESSION zstd)""",
        {"path": str(folder / "turns.parquet")},
    )


def _write_candidates(
    connection: duckdb.DuckDBPyConnection, staging: Staging, evidence: Evidence, made: Assignment, project: Project
) -> None:
    """Who holds the most trusted identifier of a set that is nobody's, for types with `same_topic_within`."""
    ordered = [kind.same_topic_within for _, kind in ordered_types(project.file.identifiers)]
    within = np.array([int(w.total_seconds() * MICROSECONDS) if w else 0 for w in ordered] or [0], np.int64)
    held = evidence.set_of_member()
    shared = (made.status[evidence.member] == SHARED) | (made.status[evidence.member] == IN_TURN)
    mine = np.flatnonzero(shared & (within[evidence.kind[evidence.member]] > 0))
    known = made.set_person[held[mine]] >= 0
    first = np.r_[True, held[mine][1:] != held[mine][:-1]] if len(mine) else np.empty(0, np.bool_)
    asked = mine[first & ~known]
    node = evidence.member
    connection.register("holdings", pa.table({"node": node[mine[known]], "person": made.set_person[held[mine[known]]]}))
    connection.register(
        "asked",
        pa.table({"set_number": held[asked], "node": node[asked], "within": within[evidence.kind[node[asked]]]}),
    )
    connection.execute(
        """COPY (WITH holders AS (
                     SELECT node, person, count(*) OVER (PARTITION BY node) AS persons
                     FROM (SELECT DISTINCT node, person FROM holdings))
                 SELECT n.identifier_set, p.person_id, a.within
                 FROM asked a JOIN holders h USING (node) JOIN set_numbers n USING (set_number) JOIN persons p USING (person)
                 WHERE h.persons <= $most) TO $path (FORMAT parquet, COMPRESSION zstd)""",
        {"most": MOST_HOLDERS, "path": str(staging.work("canonical") / "candidates.parquet")},
    )


def _identities(connection: duckdb.DuckDBPyConnection, evidence: Evidence, made: Assignment) -> pa.Table:
    connection.register("labels", pa.table({"node": np.arange(evidence.nodes), "person": made.label}))
    _seen(connection)
    table = connection.sql(
        """WITH held AS (
               SELECT l.node, l.person, s.first AS since, s.last AS until,
                      CASE WHEN l.node = p.node THEN 'anchor' ELSE 'linked' END AS rule
               FROM labels l JOIN persons p USING (person) JOIN seen s ON s.node = l.node
               UNION ALL
               SELECT t.node, t.person, greatest(t.since, s.first), least(t.until, s.last), 'in_turn'
               FROM turns t JOIN seen s USING (node) WHERE t.since <= s.last AND t.until >= s.first)
           SELECT k.identifier_type, n.identifier, p.person_id, make_timestamptz(h.since) AS valid_from,
                  make_timestamptz(h.until) AS valid_to, h.rule,
                  s.rows || ' rows of ' || s.sources AS evidence
           FROM held h JOIN nodes n USING (node) JOIN types k USING (kind) JOIN persons p USING (person)
           JOIN seen s ON s.node = h.node
           ORDER BY p.person_id, k.identifier_type, n.identifier, h.since"""
    ).to_arrow_table()
    return table.select(list(TABLES["identities"].names))


def _seen(connection: duckdb.DuckDBPyConnection) -> None:
    """`seen` (node, first, last, rows, sources): when and where each identifier was seen."""
    connection.execute(
        """CREATE TEMP TABLE seen AS
           WITH sets AS (
               SELECT s.set_number, epoch_us(min(e.first_seen)) AS first, epoch_us(max(e.last_seen)) AS last,
                      sum(e.rows) AS rows, list_sort(list(DISTINCT e.source)) AS sources
               FROM evidence e JOIN set_numbers s USING (identifier_set) GROUP BY s.set_number)
           SELECT m.node, min(s.first) AS first, max(s.last) AS last, sum(s.rows)::BIGINT AS rows,
                  array_to_string(list_sort(list_distinct(flatten(list(DISTINCT s.sources)))), ', ') AS sources
           FROM members m JOIN sets s USING (set_number) GROUP BY m.node"""
    )

"""The stage `identity`: from the ledger's evidence to who is who, as tables and for the stages after it.

What is decided is in `klantspoor.identity.kernel`, of which evidence tonight in `klantspoor.identity.carried`; here it is
asked and written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.identity.aliases import person_aliases
from klantspoor.identity.audit import identity_audit
from klantspoor.identity.carried import BY_LIST, OF_PERSONS, SETTLED, TURNS, Anew, Pairs, decide, replace_rows
from klantspoor.identity.columns import Column
from klantspoor.identity.decisions import Decision, in_force, read_decisions
from klantspoor.identity.encode import ledger_files
from klantspoor.identity.evidence import Extra, ordered_types
from klantspoor.identity.guards import MICROSECONDS
from klantspoor.identity.kernel import IN_TURN
from klantspoor.identity.memory import Memory, made_of
from klantspoor.identity.turns import RULES, UNLIMITED, turns
from klantspoor.identity.written import identities, name_persons, write_candidates, write_sets
from klantspoor.intake.evidence import linkage_evidence
from klantspoor.intake.tombstones import read_tombstones
from klantspoor.lake import Lake, Staging, Version
from klantspoor.lake.connection import limited
from klantspoor.project.model import IdentifierType, Project

Weights = npt.NDArray[np.float64]


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

    What it decided is kept in the lake's `state/identity`, so that the next night decides only what is new; the outcome
    is the same without it.

    Raises:
        ConfigError: the file of decisions is damaged.
        LakeError: where two persons would get one id (as good as impossible: 64 bits of a keyed hash).
    """
    types = project.file.identifiers
    decisions = in_force(read_decisions(Path(project.root)))
    with limited(project.file.limits.memory_mb, staging.work("scratch")) as connection:
        memory = update(connection, lake.root, staging.work("scratch"), types, decisions)
        name_persons(connection, memory, types)
        write_sets(connection, memory, staging.work("canonical"))
        write_candidates(connection, memory, types, staging.work("canonical"))
        staging.write("identities", identities(connection, memory))
        before = _earlier(lake.current())
        pairs = pairs_of(memory, types, decisions, lake.root)
        staging.write("identity_audit", identity_audit(connection, memory, pairs, types, staging.as_of, before))
        staging.write("person_aliases", person_aliases(connection, staging.as_of, before))
    return _report(memory)


def update(
    connection: duckdb.DuckDBPyConnection,
    lake_root: Path,
    scratch: Path,
    types: dict[str, IdentifierType],
    decisions: Sequence[Decision],
) -> Memory:
    """The memory of a lake, brought up to date with its ledger: everything decided, nothing written but itself.

    Args:
        connection: to work on.
        lake_root: the lake's folder.
        scratch: for what is needed on the way.
        types: the project's identifier types.
        decisions: those in force.
    """
    files = ledger_files(lake_root)
    memory = Memory(lake_root, files, made_of(lake_root, types, decisions))
    tonight = memory.read(connection, scratch, types, decisions)
    anew = decide(memory, tonight, pairs_of(memory, types, decisions, lake_root), types)
    _turns(connection, memory, anew, files, types)
    memory.commit()
    return memory


def _earlier(before: Version | None) -> Version | None:
    """The version before, as far as it knows these tables: one of older software does not."""
    return before if before is not None and before.has("person_aliases") else None


def pairs_of(memory: Memory, types: dict[str, IdentifierType], decisions: Sequence[Decision], lake_root: Path) -> Pairs:
    """A steward's pairs and the newest linkage's, of identifiers that are known, and which of these are kept shared."""
    fuzzy = linkage_evidence(lake_root)
    shared = read_tombstones(lake_root / "ledger").shared
    shared = shared.filter(pc.equal(shared["how"], "shared"))
    kept = memory.places(types, shared["identifier_type"].combine_chunks(), shared["identifier"].combine_chunks())

    def said(verb: str) -> Extra:
        pairs = [(d.a, d.b) for d in decisions if d.verb == verb and d.b is not None]
        return known(
            pa.array([a.type for a, _ in pairs], pa.string()),
            pa.array([a.identifier for a, _ in pairs], pa.string()),
            pa.array([b.type for _, b in pairs], pa.string()),
            pa.array([b.identifier for _, b in pairs], pa.string()),
            np.zeros(len(pairs)),
        )

    def known(left_type: pa.Array, left: pa.Array, right_type: pa.Array, right: pa.Array, weight: Weights) -> Extra:
        one, other = memory.places(types, left_type, left), memory.places(types, right_type, right)
        both = (one >= 0) & (other >= 0)
        return Extra(one[both], other[both], weight[both])

    left_type, left, right_type, right = (
        fuzzy[name].combine_chunks() for name in ("left_type", "left", "right_type", "right")
    )
    likely = known(left_type, left, right_type, right, fuzzy["weight"].to_numpy())
    return Pairs(said("force"), said("forbid"), likely, np.unique(kept[kept >= 0]))


def _turns(
    connection: duckdb.DuckDBPyConnection,
    memory: Memory,
    anew: Anew,
    files: pa.Table,
    types: dict[str, IdentifierType],
) -> None:
    """Whose the identifiers were that several persons had in turn, from every event that carried one and says whose it is."""
    part, made, evidence = anew.part, anew.made, anew.part.evidence
    mine = np.flatnonzero(made.status[evidence.member] == IN_TURN)
    held = evidence.set_of_member()[mine]
    said = made.set_person[held] >= 0
    held, node = held[said], evidence.member[mine[said]]
    columns = memory.columns
    number = columns.read("number")[part.sets[held]]
    sighted = {"identifier_set": number, "node": node, "person": part.node[made.anchor[made.set_person[held]]]}
    connection.register("sighted", pa.table({"set_number": held, **sighted}))
    of_sighted = np.zeros(evidence.sets, np.bool_)
    of_sighted[held] = True
    seen = np.flatnonzero(of_sighted[evidence.observed])
    sequence = columns.read("file")[part.seen[seen]]
    listed = files["is_reference"].to_numpy()[np.searchsorted(files["sequence"].to_numpy(), sequence)]
    on_list = seen[listed]
    observed = {"first": evidence.first[on_list], "last": evidence.last[on_list]}
    connection.register("on_list", pa.table({"set_number": evidence.observed[on_list], **observed}))
    paths = files.filter(np.isin(files["sequence"].to_numpy(), sequence[~listed]))["events"].to_pylist()
    events = (
        """SELECT s.node, s.person, epoch_us(r.occurred_at) AS "at"
           FROM read_parquet($paths, union_by_name = true) r JOIN sighted s USING (identifier_set) UNION ALL"""
        if paths
        else ""
    )
    found = connection.execute(
        f"""SELECT DISTINCT node, "at", person FROM ({events}
                SELECT s.node, s.person, unnest([o.first, o.last]) AS "at" FROM on_list o JOIN sighted s USING (set_number))""",
        {"paths": paths} if paths else {},
    ).fetchnumpy()
    ordered = [kind for _, kind in ordered_types(types)]
    rule = np.array([RULES[kind.between] for kind in ordered] or [0], np.int8)
    within = [kind.turn_within for kind in ordered]
    reach = np.array([int(w.total_seconds() * MICROSECONDS) if w else UNLIMITED for w in within] or [0], np.int64)
    at_node, at, person = (found[name].astype(np.int64) for name in ("node", "at", "person"))
    took = turns(at_node, at, person, rule[evidence.kind[at_node]], reach[evidence.kind[at_node]])
    rows: dict[str, Column] = {
        "node": part.node[took.node].astype(np.int32),
        "person": took.person.astype(np.int32),
        "since": took.since,
        "until": took.until,
    }
    replace_rows(memory, "turn", anew.touched, rows)


def _report(memory: Memory) -> IdentityReport:
    columns = memory.columns
    person = columns.read("person")
    of_person = np.bincount(person[person >= 0])
    return IdentityReport(
        identifiers=len(person),
        persons=int(np.count_nonzero(of_person)),
        guarded=int((person == BY_LIST).sum()),
        shared=int(((person == OF_PERSONS) | (person == SETTLED)).sum()),
        in_turn=int((person == TURNS).sum()),
        links_left_out=columns.rows("refused_node"),
        largest=int(of_person.max(initial=0)),
    )

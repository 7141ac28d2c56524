"""What was decided, in the words of the tables and of the stages after this one: written whole every night."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from klantspoor.dictionary import TABLES
from klantspoor.errors import LakeError
from klantspoor.identity.carried import OF_PERSONS, SETTLED, TURNS
from klantspoor.identity.columns import Column
from klantspoor.identity.encode import identifiers, kinds
from klantspoor.identity.evidence import Ints, ordered_types
from klantspoor.identity.guards import MICROSECONDS
from klantspoor.identity.ids import person_id_sql
from klantspoor.identity.memory import Memory
from klantspoor.project.model import IdentifierType

MOST_HOLDERS = 8
"""What more persons share is no household's: what an event is about does not tell whose it is."""


def name_persons(connection: duckdb.DuckDBPyConnection, memory: Memory, types: dict[str, IdentifierType]) -> None:
    """`types` (kind, identifier_type), `nodes` (node, kind, identifier, person) and `persons` (person, person_id).

    A person's number is the node that anchors them, and the id is made from it, so a merge keeps the oldest, and a rebuild
    all. The pseudonym is a keyed hash, and so is what is made from it.

    Raises:
        LakeError: where two would be the same.
    """
    key, person = memory.columns.read("key"), memory.columns.read("person")
    names = [name for name, _ in ordered_types(types)]
    connection.register(
        "types",
        pa.table({"kind": pa.array(range(len(names)), pa.int16()), "identifier_type": pa.array(names, pa.string())}),
    )
    connection.register(
        "nodes",
        pa.table(
            {
                "node": np.arange(len(key), dtype=np.int32),
                "kind": kinds(key),
                "identifier": identifiers(key),
                "person": np.asarray(person),
            }
        ),
    )
    anchors = np.zeros(len(key), np.bool_)
    anchors[person[person >= 0]] = True
    anchor = np.flatnonzero(anchors)
    named = key[anchor]
    connection.register(
        "anchors",
        pa.table({"person": anchor.astype(np.int32), "kind": kinds(named), "identifier": identifiers(named)}),
    )
    connection.execute(
        f"""CREATE TEMP TABLE persons AS
           SELECT a.person, {person_id_sql("t.identifier_type", "a.identifier")} AS person_id
           FROM anchors a JOIN types t USING (kind)"""
    )
    [(clash,)] = connection.execute("SELECT count(*) - count(DISTINCT person_id) FROM persons").fetchall()
    if clash:
        raise LakeError(f"{clash} persons would share their id with another; report this with the ledger's size")


def write_sets(connection: duckdb.DuckDBPyConnection, memory: Memory, folder: Path) -> None:
    """What the events need to know: the person of each set, or whose its most trusted identifier was when."""
    columns = memory.columns
    number, of_set = columns.read("number"), columns.read("set_person")
    known = np.flatnonzero(of_set >= 0)
    connection.register("known_sets", pa.table({"identifier_set": number[known], "person": of_set[known]}))
    connection.execute(
        """COPY (SELECT k.identifier_set, p.person_id FROM known_sets k JOIN persons p USING (person))
           TO $path (FORMAT parquet, COMPRESSION zstd)""",
        {"path": str(folder / "sets.parquet")},
    )
    at, held = _held(memory, columns.read("person") == TURNS)
    first = most_trusted(columns.read("key")[at], held)
    at, held = at[first], held[first]
    nobodys = of_set[held] < 0
    connection.register("turn_sets", pa.table({"identifier_set": number[held[nobodys]], "node": at[nobodys]}))
    connection.register(
        "turns",
        pa.table({name: np.asarray(columns.read(f"turn_{name}")) for name in ("node", "person", "since", "until")}),
    )
    connection.execute(
        """COPY (SELECT s.identifier_set, t.since, t.until, p.person_id
                 FROM turn_sets s JOIN turns t USING (node) JOIN persons p USING (person))
           TO $path (FORMAT parquet, COMPRESSION zstd)""",
        {"path": str(folder / "turns.parquet")},
    )


def write_candidates(
    connection: duckdb.DuckDBPyConnection, memory: Memory, types: dict[str, IdentifierType], folder: Path
) -> None:
    """Who holds the most trusted identifier of a set that is nobody's, for types with `same_topic_within`."""
    ordered = [kind.same_topic_within for _, kind in ordered_types(types)]
    within = np.array([int(w.total_seconds() * MICROSECONDS) if w else 0 for w in ordered] or [0], np.int64)
    columns = memory.columns
    key, person, of_set = columns.read("key"), columns.read("person"), columns.read("set_person")
    shared = np.isin(person, (OF_PERSONS, TURNS, SETTLED))
    shared[shared] = within[kinds(key[shared])] > 0
    at, held = _held(memory, shared)
    known = of_set[held] >= 0
    connection.register("holdings", pa.table({"node": at[known], "person": of_set[held[known]]}))
    asked_at, asked = at[~known], held[~known]
    first = most_trusted(key[asked_at], asked)
    asked_at, asked = asked_at[first], asked[first]
    connection.register(
        "asked",
        pa.table(
            {
                "identifier_set": columns.read("number")[asked],
                "node": asked_at,
                "within": within[kinds(key[asked_at])],
            }
        ),
    )
    connection.execute(
        """COPY (WITH holders AS (
                     SELECT node, person, count(*) OVER (PARTITION BY node) AS persons
                     FROM (SELECT DISTINCT node, person FROM holdings))
                 SELECT a.identifier_set, p.person_id, a.within
                 FROM asked a JOIN holders h USING (node) JOIN persons p USING (person)
                 WHERE h.persons <= $most) TO $path (FORMAT parquet, COMPRESSION zstd)""",
        {"most": MOST_HOLDERS, "path": str(folder / "candidates.parquet")},
    )


def _held(memory: Memory, chosen: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Members that are chosen, and in which sets, set after set."""
    start, member = memory.columns.read("start"), memory.columns.read("member")
    at = np.flatnonzero(chosen[member])
    return member[at].astype(np.int64), np.searchsorted(start, at, side="right") - 1


def most_trusted(key: Column, held: Ints) -> Ints:
    """Where the most trusted member of each set is, of members whose keys are `key` and whose sets are `held`."""
    order = np.lexsort((key, held))
    held = held[order]
    return order[np.r_[True, held[1:] != held[:-1]]] if len(held) else order


def identities(connection: duckdb.DuckDBPyConnection, memory: Memory) -> pa.Table:
    """The table, from what `name_persons` and `write_sets` left on the connection."""
    connection.register("seen", _seen(memory))
    table = connection.sql(
        """WITH held AS (
               SELECT n.node, n.person, s.first AS since, s.last AS until,
                      CASE WHEN n.node = n.person THEN 'anchor' ELSE 'linked' END AS rule
               FROM nodes n JOIN seen s USING (node) WHERE n.person >= 0
               UNION ALL
               SELECT t.node, t.person, greatest(t.since, s.first), least(t.until, s.last), 'in_turn'
               FROM turns t JOIN seen s USING (node) WHERE t.since <= s.last AND t.until >= s.first)
           SELECT k.identifier_type, n.identifier, p.person_id, make_timestamptz(h.since) AS valid_from,
                  make_timestamptz(h.until) AS valid_to, h.rule,
                  s.rows || ' rows of ' || s.sources AS evidence
           FROM held h JOIN nodes n USING (node) JOIN types k USING (kind) JOIN persons p ON p.person = h.person
           JOIN seen s ON s.node = h.node
           ORDER BY p.person_id, k.identifier_type, n.identifier, h.since"""
    ).to_arrow_table()
    return table.select(list(TABLES["identities"].names))


def _seen(memory: Memory) -> pa.Table:
    """When and where each identifier was seen: node, first, last, rows, sources."""
    columns = memory.columns
    node, nodes = columns.read("seen_node"), columns.rows("key")
    first = np.full(nodes, np.iinfo(np.int64).max, np.int64)
    last = np.full(nodes, np.iinfo(np.int64).min, np.int64)
    rows = np.zeros(nodes, np.int64)
    seen_in = np.zeros((nodes, columns.read("seen_in").shape[1]), np.uint64)
    np.minimum.at(first, node, columns.read("seen_first"))
    np.maximum.at(last, node, columns.read("seen_last"))
    np.add.at(rows, node, columns.read("seen_rows"))
    for word in range(seen_in.shape[1]):
        np.bitwise_or.at(seen_in[:, word], node, columns.read("seen_in")[:, word])
    bits = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(8 * seen_in.shape[1]), nodes, [None, pa.py_buffer(seen_in)]
    ).dictionary_encode()
    known = [np.frombuffer(value, np.uint64) for value in bits.dictionary.to_pylist()]
    texts = [
        ", ".join(
            sorted(name for place, name in enumerate(memory.sources) if int(value[place // 64]) >> place % 64 & 1)
        )
        for value in known
    ]
    return pa.table(
        {
            "node": np.arange(nodes, dtype=np.int32),
            "first": first,
            "last": last,
            "rows": rows,
            "sources": pa.DictionaryArray.from_arrays(bits.indices, pa.array(texts, pa.string())),
        }
    )

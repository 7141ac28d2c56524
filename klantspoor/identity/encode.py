"""From the ledger to numbers: the identifiers, sets and observations of some of its files. Nothing is decided here."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.errors import LakeError
from klantspoor.identity.evidence import Ints, ordered_types
from klantspoor.intake.ledger import LINKS_SCHEMA, Ledger
from klantspoor.project.model import IdentifierType

Keys = npt.NDArray[np.bytes_]
"""Identifiers in order of trust: two bytes of the type's place among `ordered_types`, then the pseudonym."""
GUARDS = ("blocked", "invalid", "staff", "test", "steward")
"""Guards by number, from 1; where several guard one identifier, the last is told."""
_KIND = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """What some files say: n identifiers, m sets of them, k observations of these.

    Attributes:
        key: (n) the identifiers, ascending; `guard`: (n) the number of its guard among `GUARDS`, 0: none.
        number: (m) the sets' numbers in the ledger, ascending.
        start: (m + 1) where each set's members begin; `member`: (start[m]) positions in `key`, ascending within a set.
        observed: (k) a set; `first`, `last`: (k) when it was seen, in µs since 1970 UTC; `rows`: (k) in how many rows;
            `file`: (k) the sequence of the file.
    """

    key: Keys
    guard: npt.NDArray[np.int8]
    number: npt.NDArray[np.uint64]
    start: Ints
    member: Ints
    observed: Ints
    first: Ints
    last: Ints
    rows: Ints
    file: Ints


def ledger_files(lake_root: Path) -> pa.Table:
    """One row per file of the ledger that could be used, by sequence.

    Its sequence, its source, whether it is a list, the paths of its parts, and a digest of what the ledger says of it.
    """
    files = [file for file in Ledger(lake_root).files() if file.record.file_status == "used"]
    said = [f"{file.record.to_json()}{file.links.stat().st_size}" for file in files]
    return pa.table(
        {
            "sequence": pa.array([file.record.sequence for file in files], pa.int64()),
            "source": pa.array([file.record.source for file in files], pa.string()),
            "is_reference": pa.array([file.record.rows_reference > 0 for file in files], pa.bool_()),
            "events": pa.array([str(file.events) for file in files], pa.string()),
            "links": pa.array([str(file.links) for file in files], pa.string()),
            "digest": pa.array([sha256(text.encode()).hexdigest() for text in said], pa.string()),
        }
    )


def keys(kind: npt.NDArray[np.int16], identifier: pa.Array | pa.ChunkedArray) -> Keys:
    """(n) The keys of identifiers, as wide as the longest needs."""
    width = max(pc.max(pc.binary_length(identifier)).as_py() or 0, 1)
    padded = pc.utf8_rpad(identifier, width, padding="\0")
    padded = padded.combine_chunks() if isinstance(padded, pa.ChunkedArray) else padded
    made = np.empty((len(kind), _KIND + width), np.uint8)
    made[:, :_KIND] = kind.astype(">i2").view(np.uint8).reshape(-1, _KIND)
    if len(kind):
        data = np.frombuffer(padded.cast(pa.large_string()).buffers()[2], np.uint8)
        made[:, _KIND:] = data[: len(kind) * width].reshape(-1, width)
    return made.view(f"S{_KIND + width}").reshape(-1)


def kinds(key: Keys) -> npt.NDArray[np.int16]:
    """(n) The places of the identifiers' types among `ordered_types`."""
    if len(key) == 0:
        return np.empty(0, np.int16)
    return np.ascontiguousarray(_bytes(key)[:, :_KIND]).view(">i2").reshape(-1).astype(np.int16)


def identifiers(key: Keys) -> pa.Array:
    """(n) The pseudonyms."""
    if len(key) == 0:
        return pa.array([], pa.large_string())
    text = _bytes(key)[:, _KIND:]
    if text[:, -1].all():
        ends, data = np.arange(len(key) + 1, dtype=np.int64) * text.shape[1], np.ascontiguousarray(text)
    else:
        used = text != 0
        ends, data = np.r_[0, np.cumsum(used.sum(axis=1))].astype(np.int64), text[used]
    return pa.LargeStringArray.from_buffers(len(key), pa.py_buffer(ends), pa.py_buffer(data))


def _bytes(key: Keys) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(key).view(np.uint8).reshape(len(key), -1)


def encode(
    connection: duckdb.DuckDBPyConnection,
    files: pa.Table,
    scratch: Path,
    types: dict[str, IdentifierType],
) -> Batch:
    """The evidence of `files`.

    Args:
        connection: to work on.
        files: as `ledger_files` gives them, or some of them.
        scratch: where an empty file of links may be written.
        types: the project's identifier types; evidence of any other type is left out.

    Raises:
        LakeError: where two sets of identifiers have one number (as good as impossible), or a guard is unknown.
    """
    connection.register("encoded_files", files)
    paths = files["links"].to_pylist()
    if not paths:
        paths = [str(scratch / "no_links.parquet")]
        pq.write_table(LINKS_SCHEMA.empty_table(), paths[0])
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE evidence AS
           SELECT r.identifier_set, r.first_seen, r.last_seen, r.rows, r.file_row_number AS place, f.sequence,
                  hash(r.identifiers[1].identifier, len(r.identifiers)) AS inside
           FROM read_parquet($paths, filename = true, file_row_number = true) r
           JOIN encoded_files f ON f.links = r.filename""",
        {"paths": paths},
    )
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE set_numbers AS
           SELECT (row_number() OVER (ORDER BY identifier_set) - 1) AS set_number, identifier_set,
                  arg_min(place, (sequence, place)) AS place, min(sequence) AS sequence, min(inside) = max(inside) AS is_one
           FROM evidence GROUP BY identifier_set"""
    )
    [(twice,)] = connection.execute("SELECT count(*) FROM set_numbers WHERE NOT is_one").fetchall()
    if twice:
        raise two_sets(twice)
    _nodes(connection, paths, types)
    return _numbers(connection, paths)


def two_sets(twice: int) -> LakeError:
    """What is said where two sets of identifiers have one number."""
    return LakeError(f"{twice} sets of identifiers share their number with another; report this with the ledger's size")


def _nodes(connection: duckdb.DuckDBPyConnection, paths: list[str], types: dict[str, IdentifierType]) -> None:
    """`nodes`: every identifier, numbered by trust; `members`: which are in which set."""
    ordered = ordered_types(types)
    connection.register(
        "types",
        pa.table(
            {
                "kind": pa.array(range(len(ordered)), pa.int16()),
                "identifier_type": pa.array([name for name, _ in ordered], pa.string()),
            }
        ),
    )
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE named AS
           SELECT n.set_number, t.kind, n.i.identifier AS identifier
           FROM (SELECT s.set_number, unnest(r.identifiers) AS i
                 FROM read_parquet($paths, filename = true, file_row_number = true) r
                 JOIN encoded_files f ON f.links = r.filename
                 JOIN set_numbers s ON s.sequence = f.sequence AND s.place = r.file_row_number
                      AND s.identifier_set = r.identifier_set) n
           JOIN types t ON n.i."type" = t.identifier_type""",
        {"paths": paths},
    )
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE nodes AS
           SELECT row_number() OVER (ORDER BY kind, identifier) - 1 AS node, kind, identifier
           FROM (SELECT DISTINCT kind, identifier FROM named)"""
    )
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE members AS
           SELECT m.set_number, n.node FROM named m JOIN nodes n USING (kind, identifier)"""
    )
    connection.execute("DROP TABLE named")


def _guards(connection: duckdb.DuckDBPyConnection, paths: list[str], nodes: int) -> npt.NDArray[np.int8]:
    """(nodes) The number of each one's guard: it is nobody's whatever it is seen with.

    Raises:
        LakeError: a guard is none of `GUARDS`.
    """
    found = connection.sql(
        """SELECT n.node, s.i.guard AS guard
           FROM (SELECT unnest(identifiers) AS i FROM (
                   SELECT DISTINCT identifiers FROM read_parquet($paths)
                   WHERE len(list_filter(identifiers, lambda x: x.guard IS NOT NULL)) > 0)) s
           JOIN types t ON t.identifier_type = s.i."type" JOIN nodes n ON n.kind = t.kind AND n.identifier = s.i.identifier
           WHERE s.i.guard IS NOT NULL""",
        params={"paths": paths},
    ).to_arrow_table()
    number = pc.index_in(found["guard"], pa.array(GUARDS)).combine_chunks()
    if number.null_count:
        raise LakeError(
            "the ledger holds guards that this version does not know; use the version that wrote it, or newer"
        )
    guard = np.zeros(nodes, np.int8)
    np.maximum.at(guard, found["node"].to_numpy(), number.to_numpy().astype(np.int8) + np.int8(1))
    return guard


def _numbers(connection: duckdb.DuckDBPyConnection, paths: list[str]) -> Batch:
    named = connection.sql("SELECT kind, identifier FROM nodes ORDER BY node").to_arrow_table()
    key = keys(named["kind"].to_numpy().astype(np.int16), named["identifier"])
    guard = _guards(connection, paths, len(key))
    number = connection.execute("SELECT identifier_set FROM set_numbers ORDER BY set_number").fetchnumpy()
    members = connection.execute("SELECT set_number, node FROM members ORDER BY set_number, node").fetchnumpy()
    member = members["node"].astype(np.int64)
    sets = len(number["identifier_set"])
    start = np.searchsorted(members["set_number"].astype(np.int64), np.arange(sets + 1)).astype(np.int64)
    seen = connection.execute(
        """SELECT s.set_number, epoch_us(e.first_seen) AS first, epoch_us(e.last_seen) AS last, e.rows, e.sequence
           FROM evidence e JOIN set_numbers s USING (identifier_set) ORDER BY ALL"""
    ).fetchnumpy()
    for name in ("evidence", "set_numbers", "nodes", "members"):
        connection.execute(f"DROP TABLE {name}")
    return Batch(
        key=key,
        guard=guard,
        number=np.asarray(number["identifier_set"], np.uint64),
        start=start,
        member=member,
        observed=seen["set_number"].astype(np.int64),
        first=seen["first"].astype(np.int64),
        last=seen["last"].astype(np.int64),
        rows=seen["rows"].astype(np.int64),
        file=seen["sequence"].astype(np.int64),
    )

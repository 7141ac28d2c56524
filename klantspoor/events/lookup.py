"""Looking up settled events without reading all that is settled.

The files of this kind of state are in order of persons, and behind them, of events that are nobody's, of sets of
identifiers; those come last that a turn or a topic gave to someone. So the statistics of row groups tell which of them
hold anything of some persons. Where events are asked for by their ids, that one narrow column is looked through.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.events.base import SHARED, Base, columns_of, counts

Words = npt.NDArray[np.uint64]
NONE = "SELECT NULL"
"""SQL: no number at all."""
_BATCH = 65_536
_TYPES = {
    "VARCHAR": pa.string(), "UBIGINT": pa.uint64(), "BIGINT": pa.int64(), "SMALLINT": pa.int16(), "DOUBLE": pa.float64(),
    "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
}  # fmt: skip


def look_up(
    connection: duckdb.DuckDBPyConnection,
    base: Base,
    name: str,
    *,
    persons: str = NONE,
    nobodys: str = NONE,
    ids: str = NONE,
    shared: bool = False,
) -> None:
    """Makes the table `name` of settled events, with all that the state has of them.

    Args:
        connection: has the views of the base.
        base: tonight's.
        name: of the table.
        persons: SQL: a query of persons, as numbers, whose events it holds.
        nobodys: SQL: a query of identifier sets: events of these that are nobody's.
        ids: SQL: a query of words (the first 64 bits) of events' ids.
        shared: whether also every event that a turn or a topic gave to someone.
    """
    schema = pa.schema([(column, _TYPES[type_]) for column, type_ in columns_of("settled", base.case_keys).items()])
    if base.version is None:
        connection.register("looked_up", schema.empty_table())
    else:
        wanted = _Wanted(
            _words(connection, persons),
            _words(connection, nobodys),
            _words(connection, ids),
            np.array(SHARED if shared else (), dtype=str),
        )
        rows = _rows(base.paths("settled"), schema, wanted, _places(connection, base, wanted.ids))
        connection.register("looked_up", pa.RecordBatchReader.from_batches(schema, rows))
    connection.execute(f"CREATE TEMP TABLE {name} AS SELECT s.* FROM looked_up s WHERE {counts('settled')}")
    connection.unregister("looked_up")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for; numbers in order."""

    persons: Words
    nobodys: Words
    ids: Words
    rules: npt.NDArray[np.str_]

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a batch that are asked for."""
        is_nobodys = pc.and_(pc.is_null(batch["person"]), _among(batch["identifier_set"], self.nobodys))
        by_owner = pc.or_(_among(batch["person"], self.persons), is_nobodys)
        by_itself = pc.or_(_among(batch["id"], self.ids), _among(batch["person_rule"], self.rules))
        return batch.filter(pc.or_(by_owner, by_itself))

    def may_be_in(
        self, person: pq.Statistics | None, identifier_set: pq.Statistics | None, rule: pq.Statistics | None
    ) -> bool:
        """Whether a row group with these statistics may hold something that is asked for, but for ids."""
        return (
            _may_hold(person, self.persons)
            or ((person is None or person.null_count != 0) and _may_hold(identifier_set, self.nobodys))
            or _may_hold(rule, self.rules)
        )


def _words(connection: duckdb.DuckDBPyConnection, query: str) -> Words:
    found = connection.sql(
        f"SELECT DISTINCT word::UBIGINT AS word FROM ({query}) AS q(word) WHERE word IS NOT NULL ORDER BY word"
    )
    words: Words = found.to_arrow_table()["word"].to_numpy()
    return words


def _places(connection: duckdb.DuckDBPyConnection, base: Base, ids: Words) -> dict[str, npt.NDArray[np.int64]]:
    """In which rows of which file the ids are."""
    if not len(ids):
        return {}
    connection.register("asked_ids", pa.table({"id": ids}))
    paths = [str(path) for path in base.paths("settled")]
    found = connection.execute(
        """SELECT filename, list(file_row_number) FROM read_parquet($paths, filename = true, file_row_number = true)
           WHERE id IN (SELECT id FROM asked_ids) GROUP BY filename""",
        {"paths": paths},
    ).fetchall()
    connection.unregister("asked_ids")
    return {path: np.array(rows, dtype=np.int64) for path, rows in found}


def _rows(
    paths: list[Path], schema: pa.Schema, wanted: _Wanted, places: dict[str, npt.NDArray[np.int64]]
) -> Iterator[pa.RecordBatch]:
    for path in paths:
        file = pq.ParquetFile(path, memory_map=True)
        groups = _groups(file, wanted, places.get(str(path), np.empty(0, dtype=np.int64)))
        for batch in file.iter_batches(_BATCH, row_groups=groups, columns=schema.names, use_threads=False):
            yield wanted.of(batch).cast(schema)


def _groups(file: pq.ParquetFile, wanted: _Wanted, places: npt.NDArray[np.int64]) -> list[int]:
    """The row groups that may hold what is asked for; `places` are rows of the file that do."""
    number = {name: number for number, name in enumerate(file.schema_arrow.names)}
    groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
    ends = np.cumsum([group.num_rows for group in groups])
    chosen = set(np.searchsorted(ends, places, side="right").tolist())
    for place, group in enumerate(groups):
        told = [group.column(number[name]).statistics for name in ("person", "identifier_set", "person_rule")]
        if wanted.may_be_in(*told):
            chosen.add(place)
    return sorted(chosen)


def _among(column: pa.Array, values: npt.NDArray[np.generic]) -> pa.Array:
    return pc.is_in(column, pa.array(values, column.type))


def _may_hold(told: pq.Statistics | None, values: npt.NDArray[np.generic]) -> bool:
    """Whether any of the values, which are in order, lies between the least and the greatest one of a column."""
    if told is None or not told.has_min_max:
        return len(values) > 0 and (told is None or told.num_values > 0)
    place = int(np.searchsorted(values, values.dtype.type(told.min)))
    return place < len(values) and bool(values[place] <= values.dtype.type(told.max))

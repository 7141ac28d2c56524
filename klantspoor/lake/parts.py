"""Taking over the files of settled rows from an earlier version of a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.lake.names import A_GENERATION, part_name, parts, revision_of
from klantspoor.lake.writer import TableWriter

__all__ = ["A_GENERATION", "Gone", "by_part", "part_name", "parts", "take_over"]


Gone = Mapping[int, pa.Array]
"""By part, the ids of what leaves it."""


def by_part(rows: pa.Table, column: str) -> Gone:
    """The ids in a column of `rows`, by their `part`."""
    rows = rows.sort_by("part").combine_chunks()
    edges = pc.run_end_encode(rows["part"].combine_chunks())
    ids, begin, gone = rows[column].combine_chunks(), 0, {}
    for number, end in zip(edges.values.to_pylist(), edges.run_ends.to_pylist(), strict=True):
        gone[number] = ids.slice(begin, end - begin)
        begin = end
    return gone


def take_over(writer: TableWriter, folder: Path, column: str, gone: Gone) -> None:
    """Takes over the parts of an earlier version's table: as they are, or without rows that are `gone` by their `column`."""
    known = parts(folder)
    writer.carry(path for number, path in sorted(known.items()) if number not in gone)
    for number in sorted(known.keys() & gone.keys()):
        path = known[number]
        # Parts are small and many: threads and a look for partitions would cost more than the reading.
        rows = pq.ParquetFile(path, memory_map=True, pre_buffer=False).read(use_threads=False)
        left = rows.filter(pc.invert(pc.is_in(rows[column], gone[number])))
        if len(left):
            writer.settle(left, part_name(number, revision_of(path) + 1))

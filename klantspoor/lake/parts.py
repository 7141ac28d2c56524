"""Taking over the files of settled rows from an earlier version of a table."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.lake.names import A_GENERATION, part_name, parts, revision_of
from klantspoor.lake.writer import TableWriter

__all__ = ["A_GENERATION", "part_name", "parts", "take_over"]


def take_over(writer: TableWriter, folder: Path, hit: Collection[int], without: Callable[[pa.Table], pa.Table]) -> None:
    """Takes over the parts of an earlier version's table: as they are, or, if hit, with what `without` leaves of their rows."""
    known = parts(folder)
    writer.carry(folder, (path for number, path in sorted(known.items()) if number not in hit))
    for number in sorted(hit):
        if number not in known:
            continue
        path = Path(known[number])
        left = without(pq.read_table(folder / path, partitioning=None))
        if len(left):
            month = path.parent.name.removeprefix("month=") or None
            writer.settle(left, month, part_name(number, revision_of(path) + 1))

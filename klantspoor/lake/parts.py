"""Files of settled rows: written once, then taken over from version to version until something in them changes.

A part has a number for ever, which what is remembered of its rows names; when rows leave it, the rest is written anew as
its next revision. `settled-NUMBER-REVISION.parquet` in two versions is the same file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.lake.writer import TableWriter

_PART = re.compile(r"^settled-(\d+)-(\d+)\.parquet$")
A_GENERATION = 1_000_000
"""Parts that one night may make: its number times this is that of its first."""


def part_name(number: int, revision: int = 0) -> str:
    """How the file of a part is called."""
    return f"settled-{number:012d}-{revision}.parquet"


def parts(folder: Path) -> dict[int, str]:
    """The parts of a table by number, and where each lies below the table's folder."""
    found = {}
    for path in folder.rglob("settled-*.parquet"):
        match = _PART.match(path.name)
        if match:
            found[int(match[1])] = str(path.relative_to(folder))
    return found


def take_over(writer: TableWriter, folder: Path, hit: Collection[int], without: Callable[[pa.Table], pa.Table]) -> None:
    """Takes over the parts of an earlier version's table: as they are, or, if hit, with what `without` leaves of their rows."""
    known = parts(folder)
    writer.carry(folder, (path for number, path in sorted(known.items()) if number not in hit))
    for number in sorted(hit):
        if number not in known:
            continue
        path = Path(known[number])
        match = _PART.match(path.name)
        left = without(pq.read_table(folder / path, partitioning=None))
        if match and len(left):
            month = path.parent.name.removeprefix("month=") or None
            writer.settle(left, month, part_name(number, int(match[2]) + 1))

"""What every reader hands on: batches of raw rows, and how names of columns are made unique.

The readers themselves are `csv_reader`, `jsonl_reader` and `parquet_reader`; which one is used is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from klantspoor.project.model import CsvReader, JsonlReader, SourceFile
from klantspoor.project.sql import column_key

BATCH_ROWS = 65_536
BATCH_BYTES = 32 << 20
ROW_BYTES = 8 << 20
"""No row may be longer: a quote that is never closed would otherwise swallow the file into memory."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Rows as the file has them: `table` (a column for each raw column asked for), and `numbers`, their record numbers.

    `malformed` are the numbers of records that are no rows, with what is wrong with them (never their text).
    """

    table: pa.Table
    numbers: Numbers
    malformed: tuple[tuple[int, str], ...] = ()

    @property
    def rows(self) -> int:
        """Records in it, malformed ones included."""
        return len(self.numbers) + len(self.malformed)


class RawFile(Protocol):
    """One landing file, opened: its column names, and its rows once."""

    columns: list[str]

    def batches(self, wanted: Sequence[str] | None) -> Iterator[RawBatch]:
        """The rows with the columns `wanted` (None: all), in bounded batches.

        Raises:
            IntakeError: the file as a whole cannot be used; what was read before must not be used either.
            UnavailableError: it cannot be read to its end now; nor must that be used.
        """
        ...


def open_raw(path: Path, source: SourceFile) -> RawFile:
    """Opens a landing file with its source's reader.

    Raises:
        IntakeError: it cannot be understood, is empty, or is in another encoding.
        UnavailableError: the system cannot read it.
    """
    from klantspoor.intake.csv_reader import CsvFile
    from klantspoor.intake.jsonl_reader import JsonlFile
    from klantspoor.intake.parquet_reader import ParquetRawFile

    reader = source.reader
    if isinstance(reader, CsvReader):
        return CsvFile(path, reader)
    if isinstance(reader, JsonlReader):
        return JsonlFile(path, reader, set(source.optional_columns), with_dialects=bool(source.dialects))
    return ParquetRawFile(path)


def unique_names(header: Sequence[str]) -> list[str]:
    """Names as SQL can tell them apart: one that came before gets `_2`, `_3`, …; an empty one is `column_N`."""
    taken = {column_key(name) for name in header}
    seen: set[str] = set()
    names = []
    for number, text in enumerate(header, start=1):
        given = text.replace("\0", "\ufffd")  # no SQL can name it otherwise
        name = base = given or f"column_{number}"
        suffix = 2
        while column_key(name) in seen or (name != given and column_key(name) in taken):
            name = f"{base}_{suffix}"
            suffix += 1
        seen.add(column_key(name))
        names.append(name)
    return names


def gather(batches: Iterable[RawBatch]) -> Iterator[RawBatch]:
    """Joins small batches, so that what follows pays its fixed costs seldom; the order of rows stays."""
    waiting: list[RawBatch] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.rows
        size += batch.table.nbytes
        if rows >= BATCH_ROWS or size >= BATCH_BYTES:
            yield _joined(waiting)
            waiting, rows, size = [], 0, 0
    if rows:
        yield _joined(waiting)


def _joined(batches: list[RawBatch]) -> RawBatch:
    return RawBatch(
        pa.concat_tables([b.table for b in batches]).combine_chunks(),
        np.concatenate([b.numbers for b in batches]),
        tuple(bad for b in batches for bad in b.malformed),
    )

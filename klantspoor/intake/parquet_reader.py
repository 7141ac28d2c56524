"""Parquet: columns keep their types; read a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.errors import IntakeError, UnavailableError
from klantspoor.intake.raw import BATCH_ROWS, RawBatch, unique_names
from klantspoor.intake.streams import unavailable


class ParquetRawFile:
    """One Parquet file, opened: `columns` are its top-level columns, made unique."""

    def __init__(self, path: Path) -> None:
        try:
            if path.stat().st_size == 0:
                raise IntakeError("empty_file", "it holds nothing, not even a schema; deliver it again")
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise _stopped(error) from None
        self._names = self._file.schema_arrow.names
        self.columns = unique_names(self._names)

    def batches(self, wanted: Sequence[str] | None) -> Iterator[RawBatch]:
        """The rows, typed as in the file; see `RawFile.batches`."""
        names = list(self.columns if wanted is None else wanted)
        given = [self._names[self.columns.index(name)] for name in names]
        number = 1
        try:
            for batch in self._file.iter_batches(batch_size=BATCH_ROWS, columns=given, use_threads=False):
                # Columns come in the file's order, whatever was asked for; twins in name come both.
                columns = [batch.schema.names.index(name) for name in given]
                table = pa.table([_plain(batch.column(i)) for i in columns], names=names) if names else None
                rows = batch.num_rows
                _check_texts(table)
                yield RawBatch(
                    pa.table({"nothing": pa.nulls(rows)}) if table is None else table,
                    np.arange(number, number + rows, dtype=np.int64),
                )
                number += rows
        except (pa.ArrowException, OSError) as error:
            raise _stopped(error) from None


def _check_texts(table: pa.Table | None) -> None:
    try:
        if table is not None:
            table.validate(full=True)
    except pa.ArrowInvalid:
        raise IntakeError("wrong_encoding", "it holds text that is not UTF-8; have it written anew") from None


def _plain(column: pa.Array) -> pa.Array:
    """The column in a type that DuckDB and Arrow's own functions know."""
    if pa.types.is_dictionary(column.type):
        return _plain(column.dictionary_decode())
    if pa.types.is_string_view(column.type) or pa.types.is_decimal256(column.type):
        return column.cast(pa.string())
    return column.cast(pa.float32()) if pa.types.is_float16(column.type) else column


def _stopped(error: Exception) -> IntakeError | UnavailableError:
    """Arrow tells of content that it does not understand by errors of input and output too, but without a number."""
    if isinstance(error, OSError) and error.errno is not None:
        return unavailable(error)
    return IntakeError("unreadable_file", "it is not a whole Parquet file: cut off or corrupt; deliver it again")

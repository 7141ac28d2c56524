"""Writing one table as Parquet: aside, then moved into place as a whole.

What a batch must look like is `conform`'s matter, where tables lie is `staging`'s. Rows that every night writes anew lie
in files called `part-N`, of some tables in a folder for each month; rows that later nights leave as they are in files of
`klantspoor.lake.parts`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.dictionary import Table
from klantspoor.errors import LakeError
from klantspoor.lake.conform import conform
from klantspoor.lake.months import local_months, split

ROW_GROUP = 131_072
_HELD_ROWS = 4 * ROW_GROUP
"""Rows of all months together that wait for more: small writes would make small row groups."""
_OPEN_FILES = 48
"""Files open at once per table; a month that comes back after that goes on in its next part."""


class TableWriter:
    """Writes one table in batches; used as a context manager, which moves the table into place on success.

    On an exception, what was written is thrown away and what stood there stays.
    """

    def __init__(self, table: Table, target: Path, timezone: str) -> None:
        self.rows = 0
        self._table = table
        self._target = target
        self._timezone = timezone
        self._aside = target.parent / f".tmp-{target.name}-{uuid4().hex[:8]}"
        self._held: dict[str, list[pa.Table]] = {}
        self._open: dict[str, pq.ParquetWriter] = {}
        self._parts: dict[str, int] = {}
        self._settled = False

    def __enter__(self) -> TableWriter:
        self._aside.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            for writer in self._open.values():
                with suppress(Exception):
                    writer.close()
            shutil.rmtree(self._aside, ignore_errors=True)

    def write(self, data: pa.Table) -> None:
        """Add the rows of `data`, which must hold exactly the dictionary's columns.

        Raises:
            LakeError: where the data is not what the dictionary says.
        """
        data = conform(self._table, data)
        self.rows += len(data)
        if self._table.partition is None:
            self._hold("", data)
            return
        months = local_months(data.column(self._table.partition), self._timezone)
        names = months.dictionary.to_pylist()
        for code, piece in split(data, months.indices.to_numpy()):
            self._hold(names[code], piece)

    def settle(self, data: pa.Table, name: str) -> None:
        """Add rows as a file of their own, called `name`, that later nights may take over.

        Raises:
            LakeError: where the data is not what the dictionary says, or the table lies by month.
        """
        if self._table.partition is not None:
            raise LakeError(f"table {self._table.name} lies by month: it has no settled files")
        data = conform(self._table, data)
        self.rows += len(data)
        self._settled = True
        with _parquet(self._aside / name, self._table) as writer:
            writer.write_table(data, row_group_size=ROW_GROUP)

    def carry(self, files: Iterable[Path]) -> None:
        """Take over settled files of an earlier version as they are."""
        for path in files:
            target = self._aside / path.name
            link(path, target)
            self.rows += int(pq.read_metadata(target).num_rows)
            self._settled = True

    def _folder(self, month: str) -> Path:
        folder = self._aside / f"month={month}" if month else self._aside
        folder.mkdir(exist_ok=True)
        return folder

    def _hold(self, month: str, piece: pa.Table) -> None:
        if len(piece) == 0:
            return
        self._held.setdefault(month, []).append(piece)
        if sum(map(len, self._held[month])) >= ROW_GROUP:
            self._flush(month)
        elif sum(len(part) for pieces in self._held.values() for part in pieces) >= _HELD_ROWS:
            for waiting in list(self._held):
                self._flush(waiting)

    def _flush(self, month: str) -> None:
        pieces = self._held.pop(month)
        self._file(month).write_table(pa.concat_tables(pieces), row_group_size=ROW_GROUP)

    def _file(self, month: str) -> pq.ParquetWriter:
        writer = self._open.pop(month, None)
        if writer is None:
            if len(self._open) >= _OPEN_FILES:
                self._open.pop(next(iter(self._open))).close()
            number = self._parts.get(month, 0)
            self._parts[month] = number + 1
            folder = self._folder(month)
            writer = _parquet(folder / f"part-{number}.parquet", self._table)
        self._open[month] = writer  # put last: the first is the one longest unused
        return writer

    def _finish(self) -> None:
        for month in list(self._held):
            self._flush(month)
        if not self._parts and not self._settled:
            self._file("")  # a table without rows is one file without rows, so that globs find its schema
        while self._open:
            self._open.popitem()[1].close()
        replace_folder(self._aside, self._target)


def _parquet(path: Path, table: Table) -> pq.ParquetWriter:
    schema = table.schema
    # Identifiers hardly repeat: building dictionaries of them costs time and saves nothing.
    coded = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=coded or False, write_page_index=False)


def link(source: Path, target: Path) -> None:
    """The file again at `target`: linked, or copied where links fail. Neither is ever written in place."""
    target.unlink(missing_ok=True)  # what stands there may be a link to something published
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def replace_folder(new: Path, target: Path) -> None:
    """Put the folder `new` where `target` is or was; on failure, what was there is put back."""
    old = target.parent / f".old-{target.name}-{uuid4().hex[:8]}"
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)

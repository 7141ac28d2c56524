"""Staging: where one run puts its tables until they are published together.

Nothing here is seen by readers of the lake; publishing is in `klantspoor.lake.publishing`.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from types import TracebackType

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.dictionary import TABLES, Table
from klantspoor.errors import LakeError, did_you_mean
from klantspoor.lake.connection import create_view, limited, show_files, table_glob
from klantspoor.lake.lock import Lock
from klantspoor.lake.names import fresh
from klantspoor.lake.writer import TableWriter

EXTRAS = ("models", "pages")
STATE = "state"


def known_table(name: str) -> Table:
    """The dictionary's table called `name`.

    Raises:
        LakeError: where the dictionary has none; the message names the nearest.
    """
    if name in TABLES:
        return TABLES[name]
    raise LakeError(" ".join(filter(None, (f"there is no table {name!r}.", did_you_mean(name, list(TABLES))))))


class Staging:
    """The tables of one run. Made by `Lake.open_run`; used as a context manager it gives the lake free at the end."""

    def __init__(self, root: Path, run_id: str, as_of: datetime, *, timezone: str, memory_mb: int, lock: Lock) -> None:
        self.root = root
        self.run_id = run_id
        self.as_of = as_of
        self.timezone = timezone
        self._memory_mb = memory_mb
        self._lock: Lock | None = lock

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether this run still holds the lake's one writer's place."""
        return self._lock is not None and self._lock.is_held

    def close(self) -> None:
        """Let the next run in. What was staged stays until that run begins."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def work(self, name: str) -> Path:
        """The folder for what is not published, made when absent."""
        return _made(self.root / _plain(name))

    def extra(self, name: str) -> Path:
        """A folder that is published beside the tables ("models" or "pages"), made when absent.

        Raises:
            LakeError: for any other name.
        """
        if name not in EXTRAS:
            raise LakeError(f"{name!r} is not published beside the tables; allowed: {', '.join(EXTRAS)}")
        return _made(self.root / "extras" / name)

    def state(self, name: str, *, anew: bool = False) -> Path:
        """A folder of what the next night goes on from, published with the tables; made when absent.

        `anew` empties it: what an attempt before this one left may be links to published files.
        """
        folder = self.root / STATE / _plain(name)
        if anew:
            shutil.rmtree(folder, ignore_errors=True)
        return _made(folder)

    def writer(self, table_name: str) -> TableWriter:
        """A context manager that takes batches and moves the table into place when it ends without an error."""
        return TableWriter(known_table(table_name), self.folder(table_name), self.timezone)

    def write(self, table_name: str, data: pa.Table | pa.RecordBatchReader) -> int:
        """Write a whole table; gives its number of rows.

        Raises:
            LakeError: where the data is not what the dictionary says; what was staged before stays.
        """
        with self.writer(table_name) as writer:
            if isinstance(data, pa.RecordBatchReader):
                for batch in data:
                    writer.write(pa.Table.from_batches([batch]))
            else:
                writer.write(data)
        return writer.rows

    def has(self, table_name: str) -> bool:
        """Whether this run has written the table."""
        return self.folder(table_name).is_dir()

    def folder(self, table_name: str) -> Path:
        """Where the table's files lie, or would."""
        return self.root / "tables" / known_table(table_name).name

    def glob(self, table_name: str) -> str:
        """For `read_parquet`; right for partitioned and plain tables.

        Raises:
            LakeError: where this run has not written the table.
        """
        if not self.has(table_name):
            raise LakeError(f"this run has not made the table {table_name} yet")
        return table_glob(self.folder(table_name))

    def rows(self, table_name: str) -> int:
        """Number of rows, from the files' footers.

        Raises:
            LakeError: where this run has not written the table.
        """
        self.glob(table_name)
        return count_rows(self.folder(table_name))

    def connect(self, threads: int | None = None, tables: Collection[str] = tuple(TABLES)) -> duckdb.DuckDBPyConnection:
        """An in-memory DuckDB with a view per table this run has written, or those of `tables`; its memory is limited."""
        connection = limited(self._memory_mb, self.work("scratch"), threads)
        for name, table in TABLES.items():
            if name in tables and self.has(name):
                create_view(connection, table, self.folder(name))
        return connection

    @property
    def generation(self) -> int:
        """The number of tonight's settled parts, as `names.A_GENERATION` counts; 0 where nothing was taken over."""
        try:
            return int((self.root / "generation").read_text("utf-8"))
        except FileNotFoundError:
            return 0

    def set_generation(self, number: int) -> None:
        """Note that settled parts of lower generations were judged on earlier nights."""
        (self.root / "generation").write_text(f"{number}\n", "utf-8")

    @property
    def rules(self) -> str | None:
        """A fingerprint of the configuration that decides about events and journeys; None where none was noted."""
        try:
            return (self.root / "rules").read_text("utf-8").strip()
        except FileNotFoundError:
            return None

    def set_rules(self, fingerprint: str) -> None:
        """Note the fingerprint for the manifest."""
        (self.root / "rules").write_text(f"{fingerprint}\n", "utf-8")

    def connect_to_judge(self, tables: Collection[str]) -> duckdb.DuckDBPyConnection:
        """As `connect`, with the rows of `tables` written tonight alone; the whole table is the view `whole_TABLE`.

        Of journeys and events of which any row was written tonight, all rows were: rules that compare tables hold or fail
        among them as among all.
        """
        connection = self.connect(tables=tables)
        for name, table in TABLES.items():
            if name in tables and self.has(name):
                create_view(connection, table, self.folder(name), f"whole_{name}")
                show_files(connection, name, fresh(self.folder(name), self.generation))
        return connection


def count_rows(folder: Path) -> int:
    """Rows of all Parquet files below `folder`, from their footers."""
    return sum(int(pq.read_metadata(path).num_rows) for path in sorted(folder.rglob("*.parquet")))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _plain(name: str) -> str:
    """A name that stays one folder below the run's own.

    Raises:
        LakeError: for a path, or a folder that the lake fills itself.
    """
    if name in ("", ".", "..", "tables", "extras", STATE) or "/" in name or "\\" in name:
        raise LakeError(
            f"{name!r} cannot be a work folder: give a plain name other than 'tables', 'extras' and 'state'"
        )
    return name

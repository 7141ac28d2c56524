"""A published version, as a reader sees it: whole, and never changed.

Reading only; versions are made in `klantspoor.lake.publishing`.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import duckdb

from klantspoor.dictionary import TABLES
from klantspoor.errors import LakeError
from klantspoor.lake.connection import comment_view, create_view, limited, table_glob
from klantspoor.lake.staging import STATE, known_table


class Version:
    """One published version. A reader that holds it goes on seeing it, whatever is published meanwhile."""

    def __init__(self, root: Path, memory_mb: int) -> None:
        self.root = root
        self._memory_mb = memory_mb

    @property
    def name(self) -> str:
        """Its number, such as "000007"."""
        return self.root.name

    @property
    def state(self) -> Path:
        """The folder of what the night after it goes on from; older software made none."""
        return self.root / STATE

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What it holds.

        `version`, `run_id`, `as_of`, `published_at`, `software`, `dictionary`, `rules`, `tables` (name -> rows), `files`
        (path -> sha256, bytes, and rows of Parquet).

        Raises:
            LakeError: where the version is gone (pruned meanwhile) or damaged.
        """
        try:
            loaded = json.loads((self.root / "manifest.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise LakeError(
                f"version {self.name} cannot be read ({type(error).__name__}): ask the lake for its current one"
            ) from None
        return dict(loaded)

    def has(self, table_name: str) -> bool:
        """Whether it holds the table: a version published by older software may lack a newer table."""
        return (self.root / known_table(table_name).name).is_dir()

    def glob(self, table_name: str) -> str:
        """For `read_parquet`; right for partitioned and plain tables.

        Raises:
            LakeError: where this version does not hold the table.
        """
        if not self.has(table_name):
            raise LakeError(
                f"version {self.name} does not hold the table {table_name}: it was published by older software"
            )
        return table_glob(self.root / table_name)

    def connect(self, threads: int | None = None, *, comments: bool = False) -> duckdb.DuckDBPyConnection:
        """An in-memory DuckDB with a view per table; `comments` adds the dictionary's words, which takes a while."""
        connection = limited(self._memory_mb, Path(gettempdir()) / "klantspoor-scratch", threads)
        self.create_views(connection, comments=comments)
        return connection

    def create_views(self, connection: duckdb.DuckDBPyConnection, *, comments: bool) -> None:
        """A view per table in `connection`, with the dictionary's words as comments where they are wanted."""
        for table in TABLES.values():
            if self.has(table.name):
                create_view(connection, table, self.root / table.name)
                if comments:
                    comment_view(connection, table)

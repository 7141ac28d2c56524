"""Lakes with small versions that tell which night made them, and processes that die. Holds no test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from klantspoor.dictionary import TABLES
from klantspoor.lake import Lake, Staging, Version
from klantspoor.lake.publishing import DATABASE
from tests.lake.small_world import AS_OF, loose, row


def lake_in(root: Path, **given: Any) -> Lake:
    """A lake whose versions are pruned by number alone, unless said otherwise."""
    return Lake(root / "lake", memory_mb=300, **{"keep_for": timedelta(0)} | given)


def stage(lake: Lake, night: int) -> Staging:
    """A run with every table; quarantine tells which night it was."""
    staging = lake.open_run(f"night-{night}", AS_OF + timedelta(days=night))
    for name, table in TABLES.items():
        rows = [row(table, night)] if name == "quarantine" else []
        staging.write(name, pa.Table.from_pylist(rows, schema=loose(table)))
    return staging


def publish(lake: Lake, night: int) -> Version:
    return lake.publish(stage(lake, night))


def seen(lake: Lake) -> tuple[int, int]:
    """Which night the pointer leads to, and which the database shows."""
    current = lake.current()
    assert current is not None
    query = "SELECT right(file, 4)::INT FROM quarantine"
    with current.connect() as connection:
        [[by_pointer]] = connection.execute(query).fetchall()
    with duckdb.connect(lake.root / DATABASE, read_only=True) as connection:
        [[by_database]] = connection.execute(query).fetchall()
    return by_pointer, by_database


def states(lake: Lake) -> dict[int, str]:
    """What the list says of each version, by number."""
    return {int(one.name): one.state for one in lake.listing()}


class Killed(BaseException):
    """Stands for the process ending: nothing that handles errors may handle it."""


@contextmanager
def dying(patched: pytest.MonkeyPatch, at: int) -> Iterator[list[int]]:
    """The process ends just before its `at`-th rename or removal of a file, counted from 1; gives how many it came to."""
    count = [0]
    with patched.context() as inside:
        for name in ("rename", "replace", "unlink"):
            inside.setattr(Path, name, _counted(getattr(Path, name), count, at))
        yield count


def _counted(original: Any, count: list[int], at: int) -> Any:
    def call(*arguments: Any, **given: Any) -> Any:
        count[0] += 1
        if count[0] == at:
            raise Killed
        return original(*arguments, **given)

    return call

"""What two versions say differently: every table by its rows, and the monthly figures that people have read, one by one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Literal

import duckdb

from klantspoor.lake.comparing import (
    TableDifference,
    any_differs,
    compare_table,
    joined,
    key_of,
    side_of,
    table_names,
)
from klantspoor.lake.connection import limited, quoted, view_columns
from klantspoor.lake.staging import Staging
from klantspoor.lake.version import Version

MONTHLY = ("journey_map", "bottlenecks")
"""The tables whose rows of one month are the figures that are reported."""
_OVER = "is_provisional"
How = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class FigureChange:
    """One row of monthly figures that differs: its key, and each figure that does, before and after.

    Of a row that only one side has, all its figures are given, null on the other. `is_provisional` says whether the month
    was not over yet, on the newer side where that has the row: such figures are expected to change.
    """

    table: str
    key: dict[str, str | None]
    how: How
    is_provisional: bool
    figures: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides compared.

    `figures` are the first rows of monthly figures that differ, of months that are over first; `over` and `provisional`
    count all of them.
    """

    before: str
    after: str
    tables: tuple[TableDifference, ...]
    figures: tuple[FigureChange, ...]
    over: int
    provisional: int


def compare(
    before: Version | Staging,
    after: Version | Staging,
    memory_mb: int,
    most: int = 20,
    leave_out: Collection[str] = (),
) -> Comparison:
    """Compares two versions, or a version with what a run has staged.

    Args:
        before: the older side.
        after: the newer side.
        memory_mb: what DuckDB may use before it spills.
        most: rows of monthly figures to give.
        leave_out: tables, and columns as "table.column", not to look at.

    Raises:
        LakeError: where one of them cannot be read.
    """
    sides = side_of(before), side_of(after)
    tables: list[TableDifference] = []
    figures: list[FigureChange] = []
    over = provisional = 0
    with limited(memory_mb, Path(gettempdir()) / "klantspoor-scratch") as connection:
        for name in table_names(*sides, leave_out):
            tables.append(compare_table(connection, name, *sides, leave_out))
            if name in MONTHLY and name in sides[0].tables & sides[1].tables:
                found = _Monthly(connection, name)
                figures += found.first(most)
                over += found.count("NOT provisional")
                provisional += found.count("provisional")
    figures.sort(key=lambda change: change.is_provisional)
    return Comparison(sides[0].name, sides[1].name, tuple(tables), tuple(figures[:most]), over, provisional)


class _Monthly:
    """The rows of one table, as the views `before` and `after` show it, that are of one month and differ in a figure."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        self._connection = connection
        self._name = name
        columns = view_columns(connection, "before")
        common = [column for column in view_columns(connection, "after") if column in columns]
        self._key = key_of(name, common)
        self._figures = [column for column in common if column not in (*self._key, _OVER)]
        over = quoted(_OVER)
        provisional = (
            f"coalesce(TRY_CAST(coalesce(a.{over}, b.{over}) AS BOOLEAN), false)" if _OVER in common else "false"
        )
        keys = ", ".join(f"coalesce(a.{quoted(c)}, b.{quoted(c)}) AS {quoted(f'k.{c}')}" for c in self._key)
        pairs = ", ".join(
            f"b.{quoted(c)} AS {quoted(f'b.{c}')}, a.{quoted(c)} AS {quoted(f'a.{c}')}" for c in self._figures
        )
        shown = ", ".join(filter(None, ("b_there", "a_there", f"{provisional} AS provisional", keys, pairs)))
        self._rows = f"""SELECT {shown} FROM {joined(self._key)}
            WHERE coalesce(a."month", b."month") IS NOT NULL AND (NOT both_there OR {any_differs(self._figures)})"""

    def count(self, condition: str) -> int:
        """How many there are of which a condition holds."""
        if not self._key:
            return 0
        [[number]] = self._connection.execute(f"SELECT count(*) FROM ({self._rows}) WHERE {condition}").fetchall()
        return int(number)

    def first(self, most: int) -> list[FigureChange]:
        """The first ones by key, of months that are over before the others."""
        if not self._key:
            return []
        order = ", ".join(f"{quoted(f'k.{column}')} NULLS FIRST" for column in self._key)
        rows = self._connection.execute(f"SELECT * FROM ({self._rows}) ORDER BY provisional, {order} LIMIT {int(most)}")
        return [self._change(row) for row in rows.fetchall()]

    def _change(self, row: tuple[Any, ...]) -> FigureChange:
        was, is_, provisional, *rest = row
        keys, pairs = rest[: len(self._key)], rest[len(self._key) :]
        both = zip(self._figures, pairs[::2], pairs[1::2], strict=True)
        return FigureChange(
            self._name,
            dict(zip(self._key, keys, strict=True)),
            "changed" if was and is_ else "added" if is_ else "removed",
            bool(provisional),
            {name: (old, new) for name, old, new in both if old != new},
        )

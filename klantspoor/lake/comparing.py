"""Two versions held against each other, row by row and exactly, by the keys of the dictionary.

Files that both hold (one inode) are not read. DuckDB joins the rest and spills beyond its memory limit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from klantspoor.dictionary import TABLES
from klantspoor.lake.connection import literal, quoted, view_columns
from klantspoor.lake.staging import Staging
from klantspoor.lake.version import Version


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: its name, where its tables lie, and how many rows each has."""

    name: str
    folder: Callable[[str], Path]
    rows: Callable[[str], int]
    tables: frozenset[str]


@dataclass(frozen=True, slots=True)
class TableDifference:
    """What differs in one table.

    `before` and `after` are its rows, None on a side that lacks it. `changed` rows have their key on both sides and differ
    in a column that both have; `columns` says in which, and in how many rows. Without `by_key` (the key is not on both
    sides) rows are compared whole: one that changed counts as removed and added. `new_columns`, `gone_columns` and
    `retyped` are columns of one side, or of another type there. `files` were read, `same_files` were not.
    """

    table: str
    before: int | None
    after: int | None
    added: int = 0
    removed: int = 0
    changed: int = 0
    columns: dict[str, int] = field(default_factory=dict)
    by_key: bool = True
    new_columns: tuple[str, ...] = ()
    gone_columns: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()
    files: int = 0
    same_files: int = 0

    @property
    def is_equal(self) -> bool:
        """Whether both sides hold the table, with the same columns and rows."""
        odd = self.added + self.removed + self.changed or self.new_columns or self.gone_columns or self.retyped
        return not odd and self.before is not None and self.after is not None


def side_of(tables: Version | Staging) -> Side:
    """A published version, or what a run has staged, as one side."""
    if isinstance(tables, Staging):
        there = frozenset(name for name in TABLES if tables.has(name))
        return Side(f"run {tables.run_id}", tables.folder, tables.rows, there)
    root, counted = tables.root, dict(tables.manifest["tables"])
    there = frozenset(name for name in counted if (root / name).is_dir())
    return Side(f"version {tables.name}", lambda name: root / name, lambda name: int(counted[name]), there)


def table_names(before: Side, after: Side, leave_out: Collection[str] = ()) -> list[str]:
    """The tables that either side holds: those of the dictionary in its order, then what it does not know."""
    held = (before.tables | after.tables) - set(leave_out)
    return [*(name for name in TABLES if name in held), *sorted(held - set(TABLES))]


def compare_table(
    connection: duckdb.DuckDBPyConnection, name: str, before: Side, after: Side, leave_out: Collection[str] = ()
) -> TableDifference:
    """One table that at least one side holds.

    Args:
        connection: one that may spill. Where both sides hold the table, its views `before` and `after` show, afterwards,
            the rows that may differ, in columns of equal types.
        name: the table.
        before: the older side.
        after: the newer side.
        leave_out: columns not to look at, as "table.column"; none of a key.
    """
    if name not in before.tables or name not in after.tables:
        was, is_ = (side.rows(name) if name in side.tables else None for side in (before, after))
        return TableDifference(name, was, is_, added=is_ or 0, removed=was or 0)
    files, same = differing_files(before.folder(name), after.folder(name))
    sides = {"before": before.folder(name), "after": after.folder(name)}
    for view, folder in sides.items():
        _view(connection, view, files[view], folder)
    types = {view: view_columns(connection, view) for view in sides}
    common = [column for column in types["after"] if column in types["before"]]
    retyped = tuple(column for column in common if types["before"][column] != types["after"][column])
    for view, folder in sides.items():
        _view(connection, view, files[view], folder, as_texts=retyped)
    key = key_of(name, common)
    looked_at = [column for column in common if f"{name}.{column}" not in leave_out]
    counted = _by_key(connection, key, looked_at) if key else _whole_rows(connection, looked_at)
    return TableDifference(
        name,
        before.rows(name),
        after.rows(name),
        *counted,
        by_key=bool(key),
        new_columns=tuple(column for column in types["after"] if column not in common),
        gone_columns=tuple(column for column in types["before"] if column not in common),
        retyped=retyped,
        files=sum(map(len, files.values())),
        same_files=same,
    )


def key_of(name: str, common: Sequence[str]) -> tuple[str, ...]:
    """The key of a table, if the columns that both sides have hold it; otherwise nothing."""
    key = TABLES[name].key if name in TABLES else ()
    return key if set(key) <= set(common) else ()


def differing_files(before: Path, after: Path) -> tuple[dict[str, list[Path]], int]:
    """The Parquet files of a table that only one side holds, by side, and how many both do: rows of those are equal.

    As no key stands twice on a side, no row of a file that is left out can meet one of a file that is not.
    """
    found = {}
    for view, folder in (("before", before), ("after", after)):
        paths = sorted(folder.rglob("*.parquet"))
        found[view] = {(path.stat().st_dev, path.stat().st_ino): path for path in paths}
    same = found["before"].keys() & found["after"].keys()
    differing = {view: [path for inode, path in held.items() if inode not in same] for view, held in found.items()}
    return differing, len(same)


def _view(
    connection: duckdb.DuckDBPyConnection,
    view: str,
    paths: Sequence[Path],
    folder: Path,
    as_texts: Sequence[str] = (),
) -> None:
    """A view of some files; without any, of no row, with the columns of the table. `as_texts` are columns to cast."""
    shown = paths or sorted(folder.rglob("*.parquet"))[:1]
    files = ", ".join(literal(str(path)) for path in shown)
    casts = ", ".join(f"{quoted(column)}::VARCHAR AS {quoted(column)}" for column in as_texts)
    columns = f"* REPLACE ({casts})" if casts else "*"
    where = "" if paths else " WHERE false"
    query = f"SELECT {columns} FROM read_parquet([{files}], hive_partitioning = false){where}"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {query}")


def _by_key(
    connection: duckdb.DuckDBPyConnection, key: Sequence[str], common: Sequence[str]
) -> tuple[int, int, int, dict[str, int]]:
    """Rows added, removed and changed, and the columns in which the changed ones differ."""
    others = [column for column in common if column not in key]
    counts = ", ".join(f"count(*) FILTER (both_there AND {differs(column)})" for column in others)
    query = f"""SELECT count(*) FILTER (NOT b_there), count(*) FILTER (NOT a_there),
                       count(*) FILTER (both_there AND ({any_differs(others)})){"," if others else ""} {counts}
                FROM {joined(key)}"""
    [[added, removed, changed, *by_column]] = connection.execute(query).fetchall()
    return added, removed, changed, {name: rows for name, rows in zip(others, by_column, strict=True) if rows}


def joined(key: Sequence[str]) -> str:
    """The views `before` (b) and `after` (a) joined by a key in which nulls equal nulls; a FROM clause."""
    on = " AND ".join(f"b.{quoted(column)} IS NOT DISTINCT FROM a.{quoted(column)}" for column in key)
    return f"""(SELECT *, true AS "(there)" FROM before) b FULL OUTER JOIN (SELECT *, true AS "(there)" FROM after) a ON {on},
               LATERAL (SELECT b."(there)" IS NOT NULL AS b_there, a."(there)" IS NOT NULL AS a_there,
                               b_there AND a_there AS both_there)"""


def differs(column: str) -> str:
    """The SQL condition under which a column of a joined row differs."""
    return f"b.{quoted(column)} IS DISTINCT FROM a.{quoted(column)}"


def any_differs(columns: Sequence[str]) -> str:
    """The SQL condition under which any of some columns differs."""
    return " OR ".join(map(differs, columns)) or "false"


def _whole_rows(connection: duckdb.DuckDBPyConnection, common: Sequence[str]) -> tuple[int, int, int, dict[str, int]]:
    """Rows that one side has more often than the other, compared in the columns that both have."""
    columns = ", ".join(map(quoted, common)) or "true"
    sides = f"""SELECT {columns}, 1 AS "(times)" FROM after UNION ALL SELECT {columns}, -1 FROM before"""
    query = f"""SELECT coalesce(sum(more) FILTER (more > 0), 0)::BIGINT, coalesce(-sum(more) FILTER (more < 0), 0)::BIGINT
                FROM (SELECT sum("(times)") AS more FROM ({sides}) GROUP BY {columns})"""
    [[added, removed]] = connection.execute(query).fetchall()
    return added, removed, 0, {}

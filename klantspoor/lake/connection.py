"""DuckDB over tables that lie as Parquet: quoting, views, comments.

Views show exactly the dictionary's columns; the folder names (`month=YYYY-MM`) stay out of them.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import duckdb

from klantspoor.dictionary import Table
from klantspoor.dictionary.columns import Column


def quoted(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def table_glob(folder: Path) -> str:
    """The glob of a table's files, partitioned or not, for `read_parquet`; odd characters of the path are escaped."""
    return f"{glob.escape(str(folder))}/**/*.parquet"


def create_view(connection: duckdb.DuckDBPyConnection, table: Table, folder: Path, name: str | None = None) -> None:
    """A view called after the table with the columns its files hold: no others than the dictionary's are written."""
    source = f"read_parquet({literal(table_glob(folder))}, hive_partitioning = false)"
    connection.execute(f"CREATE OR REPLACE VIEW {quoted(name or table.name)} AS SELECT * FROM {source}")


def show_files(connection: duckdb.DuckDBPyConnection, table: str, paths: Sequence[Path]) -> None:
    """Makes the view of a table one of some of its files; without any it is the view as it was, without rows."""
    if paths:
        listed = ", ".join(literal(str(path)) for path in paths)
        source = f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false)"
    else:
        source = f"SELECT * FROM {quoted('whole_' + table)} WHERE false"
    connection.execute(f"CREATE OR REPLACE VIEW {quoted(table)} AS {source}")


def view_columns(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, str]:
    """The columns of a view or table, and their DuckDB types."""
    rows = connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE {quoted(name)})").fetchall()
    return {str(column): str(type_) for column, type_ in rows}


def comment_view(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """The dictionary's words as comments on the view and on those of its columns that it still knows."""
    text = literal(f"{table.grain}; key: {', '.join(table.key)}")
    connection.execute(f"COMMENT ON VIEW {quoted(table.name)} IS {text}")
    present = view_columns(connection, table.name)
    for column in table.columns:
        if column.name in present:
            where = f"{quoted(table.name)}.{quoted(column.name)}"
            connection.execute(
                f"COMMENT ON COLUMN {where} IS {literal(describe(column, table.nulls.get(column.name)))}"
            )


def describe(column: Column, null_means: str | None) -> str:
    """One line on a column: what it means, its unit, its values, what a null means."""
    parts = [column.description]
    if column.unit:
        parts.append(f"unit: {column.unit}")
    if column.values:
        parts.append(f"one of: {', '.join(column.values)}")
    if null_means:
        parts.append(f"null: {null_means}")
    return "; ".join(parts)


def limited(memory_mb: int, scratch: Path, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory connection that spills to `scratch` beyond `memory_mb`; instants are shown in UTC."""
    scratch.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    connection.execute(f"SET memory_limit = '{int(memory_mb)}MiB'")
    connection.execute(f"SET temp_directory = {literal(str(scratch))}")
    connection.execute("SET TimeZone = 'UTC'")
    if threads is not None:
        connection.execute(f"SET threads = {int(threads)}")
    return connection

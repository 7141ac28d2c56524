"""`klantspoor sql`: one read-only query on the published version, as a table, CSV or JSON.

The user's statement runs without network and without any file but the version's own; the connection is locked before it
is parsed. Nothing here knows the tables.
"""

from __future__ import annotations

import csv
import glob
import io
import json
import re
import sys
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

import duckdb
import typer
from rich.table import Table as Grid

from klantspoor.cli.context import (
    CommandError,
    ProjectPath,
    clean_lines,
    console,
    current_version,
    note,
    open_project,
    plain,
)

if TYPE_CHECKING:
    from klantspoor.lake import Version

_NARROWEST_COLUMN = 9
_LONGEST_CELL = 200
_SHOWN = 1000
_BATCH = 1000
# Spreadsheets take cells that begin so for formulas.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Format(StrEnum):
    """How the rows are written."""

    table = "table"
    csv = "csv"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("sql")(sql)


def sql(
    statement: Annotated[
        str, typer.Argument(help="One SELECT in DuckDB's SQL; the tables are those of `klantspoor tables`.")
    ],
    form: Annotated[Format, typer.Option("--format", "-f", help="How to write the rows.")] = Format.table,
    limit: Annotated[int, typer.Option(min=0, help="Rows at most; 0: all.")] = _SHOWN,
    project: ProjectPath = None,
) -> None:
    """Ask the published tables something; nothing can be changed by it.

    Example: klantspoor sql "SELECT journey_type, count(*) AS journeys FROM journeys GROUP BY ALL"
    """
    connection = locked(current_version(open_project(project)))
    try:
        relation = connection.sql(_checked(connection, statement))
        _write([str(name) for name in relation.columns], relation, form, limit)
    except duckdb.Error as error:
        raise CommandError(f"The query failed. {_reason(error)}") from None
    finally:
        connection.close()


def locked(version: Version) -> duckdb.DuckDBPyConnection:
    """A connection to the version that can read its files and nothing else, and whose settings can no longer change."""
    from klantspoor.lake.connection import literal

    connection = version.connect(comments=True)
    # The views name the folder with "[" written as "[[]", and permission goes by the name as written.
    folder = str(version.root)
    names = ", ".join(literal(name) for name in (folder, glob.escape(folder)))
    connection.execute(f"SET allowed_directories = [{names}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _checked(connection: duckdb.DuckDBPyConnection, statement: str) -> str:
    """The statement, if it is one query. DuckDB takes SHOW, DESCRIBE, SUMMARIZE and VALUES for queries too.

    Raises:
        CommandError: for anything else: COPY, for one, could write into the version's own folder.
    """
    found = connection.extract_statements(statement)
    if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
        raise CommandError(
            "Only one SELECT (or SHOW, DESCRIBE, SUMMARIZE) at a time is allowed: the tables cannot be changed."
        )
    return statement


def _reason(error: duckdb.Error) -> str:
    return clean_lines(str(error).strip())


def _write(names: list[str], relation: duckdb.DuckDBPyRelation, form: Format, limit: int) -> None:
    rows, more = _rows(relation, limit)
    if form is Format.csv:
        _write_csv(names, rows)
    elif form is Format.json:
        _write_json(names, rows)
    else:
        _write_table(names, rows)
    if more:
        note(f"There are more rows than the {limit:,} shown; --limit 0 gives all.")


def _rows(relation: duckdb.DuckDBPyRelation, limit: int) -> tuple[list[list[Any]], bool]:
    """At most `limit` rows (0: all) with plain values, and whether there are more."""
    table = relation.to_arrow_reader(_BATCH)
    rows: list[list[Any]] = []
    for batch in table:
        columns = [column.to_pylist() for column in batch.columns]
        rows.extend([_plain(value) for value in row] for row in zip(*columns, strict=True))
        if limit and len(rows) > limit:
            return rows[:limit], True
    return rows, False


def _plain(value: Any) -> Any:
    """What JSON can hold; instants and the like as text."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return (
        value.isoformat(" ")
        if hasattr(value, "hour")
        else value.isoformat()
        if hasattr(value, "isoformat")
        else str(value)
    )


def _write_table(names: list[str], rows: list[list[Any]]) -> None:
    if len(names) * _NARROWEST_COLUMN > console.width:
        _write_records(names, rows)
    else:
        _write_grid(names, rows)
    console.print(plain(f"{len(rows):,} row{'' if len(rows) == 1 else 's'}", "dim"))


def _write_records(names: list[str], rows: list[list[Any]]) -> None:
    """One block per row: what has more columns than the terminal is wide for reads better downwards."""
    for number, row in enumerate(rows, start=1):
        console.print(plain(f"row {number}", "bold"))
        grid = Grid(box=None, pad_edge=False, show_header=False)
        for name, value in zip(names, row, strict=True):
            grid.add_row(plain(name, "dim"), plain(_cell(value)))
        console.print(grid)


def _write_grid(names: list[str], rows: list[list[Any]]) -> None:
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(names):
        numeric = any(isinstance(row[number], int | float) for row in rows)
        grid.add_column(plain(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(plain(_cell(value)) for value in row))
    console.print(grid)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.2f}"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"


def _write_csv(names: list[str], rows: list[list[Any]]) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_guarded(name) for name in names])
    for row in rows:
        writer.writerow([_guarded(value) for value in row])
    sys.stdout.write(buffer.getvalue())


def _guarded(value: Any) -> Any:
    """A cell that no spreadsheet runs and no terminal obeys: an apostrophe before formulas, no control characters."""
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        return value
    shown = _CONTROL.sub(_escaped, value)
    return f"'{shown}" if value.startswith(_FORMULA) else shown


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


def _write_json(names: list[str], rows: list[list[Any]]) -> None:
    lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows]
    text = "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"
    # Inside JSON only strings can hold these characters, so that writing them as \uXXXX keeps the meaning.
    sys.stdout.write(
        re.sub(r"[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", lambda m: f"\\u{ord(m[0]):04x}", text)
    )

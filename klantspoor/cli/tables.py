"""`klantspoor tables`: which tables there are, and what their columns mean.

What is said comes from the dictionary; only the row counts come from the published version.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table as Grid

from klantspoor.cli.context import ProjectPath, console, note, open_project, plain
from klantspoor.dictionary import LAYERS, TABLES, Column, Table
from klantspoor.errors import NotFoundError, did_you_mean


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("tables")(tables)


def tables(
    name: Annotated[str | None, typer.Argument(help="A table, to see its columns.", show_default=False)] = None,
    project: ProjectPath = None,
) -> None:
    """List the published tables, or explain the columns of one.

    Example: klantspoor tables waits
    """
    if name is not None and name not in TABLES:
        raise NotFoundError(" ".join(filter(None, (f"There is no table {name!r}.", did_you_mean(name, list(TABLES))))))
    rows, remark = _rows(project)
    if name is None:
        _list(rows)
    else:
        _columns(TABLES[name], rows)
    note(remark)


def _rows(path: ProjectPath) -> tuple[dict[str, int], str]:
    from klantspoor.lake import open_lake

    version = open_lake(open_project(path)).current()
    if version is None:
        return {}, "Nothing has been published yet: no rows to count. Start the nightly job with: klantspoor run"
    manifest = version.manifest
    return dict(manifest["tables"]), f"Version {version.name}, as of {manifest['as_of']}."


def _list(rows: dict[str, int]) -> None:
    for layer in LAYERS:
        grid = Grid(box=None, pad_edge=False, title=layer, title_justify="left", title_style="bold")
        grid.add_column("table", width=18)
        grid.add_column("rows", justify="right", width=12)
        grid.add_column("one row is", ratio=1)
        for table in TABLES.values():
            if table.layer == layer:
                grid.add_row(table.name, f"{rows[table.name]:,}" if table.name in rows else "–", table.grain)
        console.print(grid)
        console.print()


def _columns(table: Table, rows: dict[str, int]) -> None:
    console.print(plain(table.name, "bold"))
    console.print(plain(f"One row is {table.grain}."))
    console.print(plain(f"Key: {', '.join(table.key)}. Made from: {', '.join(table.made_from)}."))
    if table.name in rows:
        console.print(plain(f"Rows: {rows[table.name]:,}."))
    console.print()
    grid = Grid(box=None, pad_edge=False)
    grid.add_column("column", no_wrap=True)
    grid.add_column("type", no_wrap=True)
    grid.add_column("meaning", ratio=1)
    for column in table.columns:
        grid.add_row(column.name, _type(column), _meaning(table, column))
    console.print(grid)


def _type(column: Column) -> str:
    name = str(column.type)
    if name.startswith(("dictionary", "string")):
        return "text"
    return {"timestamp[us, tz=UTC]": "instant", "int64": "number", "double": "decimal", "bool": "yes/no"}.get(
        name, name
    )


def _meaning(table: Table, column: Column) -> str:
    parts = [column.description]
    if column.unit and column.unit not in column.description:
        parts.append(f"in {column.unit}")
    if column.values:
        parts.append(f"one of: {', '.join(column.values)}")
    if column.name in table.nulls:
        parts.append(f"empty: {table.nulls[column.name]}")
    return "; ".join(parts)

"""How a comparison of two versions is told: a line per table that differs, then the monthly figures."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table as Grid

from klantspoor.cli.context import console, note, plain, say

if TYPE_CHECKING:
    from klantspoor.lake.comparing import TableDifference
    from klantspoor.lake.comparison import Comparison, FigureChange


def as_json(found: Comparison) -> str:
    """The whole comparison as JSON; ASCII alone, so that nothing in it is acted on by a terminal."""
    return json.dumps(asdict(found), default=str, ensure_ascii=True, indent=1)


def tell_comparison(found: Comparison) -> None:
    """Print a comparison."""
    say(f"{found.before} → {found.after}", "bold")
    differing = [table for table in found.tables if not table.is_equal]
    if not differing:
        say("No row differs.")
        return
    _tell_tables(differing)
    equal = len(found.tables) - len(differing)
    if equal:
        note(f"Equal in every row: {equal} other tables.")
    _tell_figures(found)


def _tell_tables(tables: list[TableDifference]) -> None:
    grid = Grid(box=None, pad_edge=False)
    grid.add_column("table", no_wrap=True)
    for column in ("before", "after", "added", "removed", "changed"):
        grid.add_column(column, justify="right", no_wrap=True)
    grid.add_column("columns that differ, with rows", ratio=1)
    for one in tables:
        rows = ("–" if rows is None else f"{rows:,}" for rows in (one.before, one.after))
        counts = (f"{number:,}" for number in (one.added, one.removed, one.changed))
        grid.add_row(one.table, *rows, *counts, plain(_columns(one)))
    console.print(grid)


def _columns(one: TableDifference) -> str:
    most_first = sorted(one.columns.items(), key=lambda entry: (-entry[1], entry[0]))
    parts = [f"{name} {rows:,}" for name, rows in most_first]
    for label, names in (("new", one.new_columns), ("gone", one.gone_columns), ("of another type", one.retyped)):
        if names:
            parts.append(f"{label}: {' '.join(names)}")
    if not one.by_key:
        parts.append("compared as whole rows: the key is not on both sides")
    return ", ".join(parts)


def _tell_figures(found: Comparison) -> None:
    total = found.over + found.provisional
    if not total:
        say("No monthly figure of the journey map or the bottlenecks differs.")
        return
    console.print()
    say(
        f"Monthly figures: {found.over:,} rows differ of months that are over, {found.provisional:,} of provisional ones."
    )
    for change in found.figures:
        console.print(plain(_where(change), "yellow" if not change.is_provisional else "dim"))
        console.print(plain(f"    {_what(change)}"))
    if len(found.figures) < total:
        note(f"Shown are {len(found.figures):,}; --most shows more.")


def _where(change: FigureChange) -> str:
    parts = [f"{name} {value}" for name, value in change.key.items() if value is not None]
    provisional = ", provisional" if change.is_provisional else ""
    return f"{change.table}: {', '.join(parts)}{provisional}"


def _what(change: FigureChange) -> str:
    if change.how != "changed":
        return "is new" if change.how == "added" else "is gone"
    return ", ".join(f"{name} {_pair(*figures)}" for name, figures in change.figures.items())


def _pair(before: Any, after: Any) -> str:
    short = [_short(value) for value in (before, after)]
    return " → ".join(short if short[0] != short[1] else map(repr, (before, after)))


def _short(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)

"""`klantspoor identity link`: looks for one person's records among those of the vault.

Here: the command and how its report is told. A report holds numbers and names of fields, never a value.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer
from rich.table import Table as Grid

from klantspoor.cli.context import ProjectPath, console, note, open_project, plain, say

if TYPE_CHECKING:
    from klantspoor.linkage import LinkageReport


def register(app: typer.Typer) -> None:
    """Add the command of this file to the group `identity`."""
    app.command("link")(link)


def link(project: ProjectPath = None) -> None:
    """Compare the records of persons that the sources map, and keep the probable duplicates as evidence.

    The next night reads it. Needs the extra `linkage`, and `linkage` in klantspoor.yaml.

    Example: klantspoor identity link
    """
    from klantspoor.identity.duplicates import find_duplicates
    from klantspoor.lake import open_lake

    loaded = open_project(project)
    lake = open_lake(loaded)
    found = find_duplicates(loaded, lake.root, datetime.now(UTC))
    report = found.report
    say(f"{report.records:,} records were compared by {', '.join(report.fields)}: {report.compared:,} pairs.")
    console.print(_rules(report))
    console.print(_levels(report))
    for warning in report.warnings:
        note(warning)
    if report.held_back:
        say(f"Held back, since a shared household explains them as well: {_pairs(report.held_back)}.")
    say(f"Probably one person: {_pairs(report.links)}.", "bold")
    say(f"Kept as {found.path.relative_to(lake.root)} in the lake; the next night reads it.")


def _rules(report: LinkageReport) -> Grid:
    grid = _grid("chosen by", "pairs", "records left out")
    for rule in report.rules:
        grid.add_row(plain(rule.rule), f"{rule.pairs:,}", f"{rule.left_out:,}")
    return grid


def _levels(report: LinkageReport) -> Grid:
    grid = _grid("compared", "of one person", "by chance", "weight")
    last = None
    for level in report.levels:
        if level.comparison != last:
            trained = report.trained_on.get(level.comparison, 0)
            learned = f"learned from {_pairs(trained)}" if trained else "as it comes, nothing was learned"
            grid.add_row(plain(f"{level.comparison} ({learned})", "cyan"))
            last = level.comparison
        grid.add_row(plain(f"  {level.level}"), f"{level.m:.4f}", f"{level.u:.6f}", f"{level.weight:+.1f}")
    return grid


def _grid(first: str, *numbers: str) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(first)
    for name in numbers:
        grid.add_column(name, justify="right")
    return grid


def _pairs(number: int) -> str:
    return f"{number:,} pair{'' if number == 1 else 's'}"

"""`klantspoor upgrade`: what this version of the software changes in what is published, and leave to do so.

What is compared, and when a night asks for it, is in `klantspoor.upgrade` and `klantspoor.lake.upgrading`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table as Grid

from klantspoor.cli.compared import tell_comparison
from klantspoor.cli.context import ProjectPath, console, open_project, plain, say
from klantspoor.cli.versions import writing

if TYPE_CHECKING:
    from klantspoor.upgrade import Upgrade


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("upgrade")(upgrade)


def upgrade(
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Accept what changes: the next night publishes with this software. Implies --quick."
        ),
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Tell tables and columns alone; build nothing aside.")] = False,
    most: Annotated[int, typer.Option("--most", min=0, help="Rows of monthly figures at most.")] = 20,
    project: ProjectPath = None,
) -> None:
    """Tell what this software would change in the published tables, by building them aside; with --yes, accept it.

    Example: klantspoor upgrade
    """
    from klantspoor.lake import open_lake
    from klantspoor.upgrade import accept_upgrade, look, try_out

    loaded = open_project(project)
    lake = open_lake(loaded)
    found = look(lake)
    if not found.is_needed:
        say(f"Nothing to accept: version {found.version} was made by klantspoor {found.before.software}, this is")
        say(f"{found.now.software}, and the dictionary of tables is the same. Nights go on as they did.")
        return
    _tell(found)
    with writing():
        if yes:
            accept_upgrade(lake)
            say(f"Accepted. The next night publishes what klantspoor {found.now.software} makes.", "green")
            return
        if not quick:
            with console.status("Building all tables aside"):
                comparison = try_out(loaded, lake, most)
            console.print()
            tell_comparison(comparison)
    console.print()
    say("Until it is accepted, nights refuse. To accept it: klantspoor upgrade --yes")


def _tell(found: Upgrade) -> None:
    from klantspoor.lake.forecast import told

    say(f"Version {found.version} was made by klantspoor {found.before.software}; this is {found.now.software}.")
    if found.changes:
        grid = Grid(box=None, pad_edge=False)
        for column in ("table", "column", "was", "will be"):
            grid.add_column(column, no_wrap=column != "will be")
        for change in found.changes:
            cells = (change.table, change.column or "", change.was or "–", change.will_be or "–")
            grid.add_row(*map(plain, cells))
        console.print(grid)
    elif found.before.dictionary != found.now.dictionary:
        say("The same tables and columns; keys, partitions or how columns are written are others.")
    else:
        say("The same tables and columns.")
    say(
        f"The next night builds everything anew from the ledger ({found.files:,} files; {found.rows:,} rows are published"
        f" now). It needs about {told(found.disk.whole)} of disk; {told(found.disk.free)} are free."
    )

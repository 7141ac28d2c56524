"""The command line: `klantspoor COMMAND`.

Here: the app, its help, and how errors become exit codes. Each command has its place in a file of its own.

Exit codes:
    0: done.
    1: it could not be done: nothing published yet, no such table or person, a query that fails, a night that failed
       or whose publication was stopped.
    2: the project's files hold mistakes (all are listed), or the command was given wrongly.
    3: another run is writing to this lake (`run`, `key rotate`, `forget`, `versions rollback`, `upgrade`).
    130: interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from klantspoor.cli import (
    alarming,
    backups,
    demo,
    explain,
    export,
    forgetting,
    identity,
    keys,
    linking,
    nightly,
    preview,
    project,
    query,
    report,
    restated,
    stewardship,
    tables,
    upgrading,
    verifying,
    versions,
    who,
)
from klantspoor.cli.context import tell_error, tell_problems
from klantspoor.errors import ConfigError, KlantspoorError

_EPILOG = (
    "Exit codes: 0 done · 1 it could not be done (nothing published, not found, the night failed or was stopped) · "
    "2 mistakes in the project's files, or in the command · 3 another run is writing · 130 interrupted."
)


class Commands(TyperGroup):
    """The group of all commands: turns what Klantspoor raises on purpose into a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an expected error is told in a line or a list, never as a traceback."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            tell_problems(error.problems)
            raise typer.Exit(2) from None
        except KlantspoorError as error:
            tell_error(str(error))
            raise typer.Exit(1) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            tell_error(f"{where}{error.strerror or error}")
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=Commands,
    help="Reconstructs what customers really go through, from the event logs an organisation already has.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"klantspoor {version('klantspoor')}")
        except PackageNotFoundError:
            typer.echo("klantspoor, of a version that cannot be told: it is not installed")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    del version  # its callback has done all there is to do
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets a question mark, not an error.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


for _room in (
    project,
    demo,
    nightly,
    alarming,
    report,
    preview,
    tables,
    query,
    explain,
    restated,
    who,
    export,
    identity,
    keys,
    forgetting,
    versions,
    upgrading,
    verifying,
    backups,
):
    _room.register(app)

for _part in (linking, stewardship):
    _part.register(identity.identity_app)

"""`klantspoor run`: starts the nightly Dagster job of a checkout in a process of its own and passes on what it says.

Nothing of the job is here: it lives in the checkout's `pipelines` folder, which the wheel does not hold.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from klantspoor.cli.context import CommandError, ProjectPath, checkout, open_project


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("run")(run)


def run(
    as_of: Annotated[
        str | None,
        typer.Option(
            help="The night's clock, in ISO 8601 with an offset, such as 2026-07-01T03:00+02:00.", show_default="now"
        ),
    ] = None,
    first: Annotated[
        str | None,
        typer.Option("--from", help="The first of several nights, as the day on which it begins.", metavar="DATE"),
    ] = None,
    last: Annotated[
        str | None,
        typer.Option("--to", help="The last of them: what landed after it is left for later.", metavar="DATE"),
    ] = None,
    wait: Annotated[
        str | None,
        typer.Option(help='How long to wait for another run, such as "2 hours".', show_default="not at all"),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Build everything from the ledger, as a first night would; costs as much.")
    ] = False,
    project: ProjectPath = None,
) -> None:
    """Run the nightly job: take in what landed, rebuild the tables, check them, publish them.

    Example: klantspoor run --as-of 2026-07-01T03:00+02:00
    """
    if as_of is not None and (first is not None or last is not None):
        raise typer.BadParameter("--as-of cannot be given with --from and --to: nights have their own clock.")
    folder = Path(open_project(project).root).resolve()
    options = {"--from": _day(first), "--to": _day(last), "--wait": _duration(wait)}
    given = [part for name, value in options.items() if value is not None for part in (name, value)]
    given += ["--anew"] if anew else []
    raise typer.Exit(start_night(folder, _checked(as_of) if as_of is not None else None, given))


def require_checkout() -> Path:
    """The checkout that holds the nightly job.

    Raises:
        CommandError: this is an installed wheel.
    """
    root = checkout()
    if root is None:
        raise CommandError(
            "The nightly job is not in this installation: the wheel holds the library alone. "
            "Run it from a checkout of the source, where the folder 'pipelines' is."
        )
    return root


def start_night(folder: Path, as_of: str | None = None, options: Sequence[str] = ()) -> int:
    """Run the job on the project in `folder`, with further options of `pipelines.run`, and give its exit code.

    Raises:
        CommandError: this is an installed wheel.
    """
    command = [sys.executable, "-m", "pipelines.run", *options]
    if as_of is not None:
        command += ["--as-of", as_of]
    finished = subprocess.run(  # noqa: S603 (our own module, with checked arguments)
        command, cwd=require_checkout(), env={**os.environ, "KLANTSPOOR_PROJECT": str(folder)}, check=False
    )
    # A process ended by a signal has a negative code, which no shell can show.
    return finished.returncode if finished.returncode >= 0 else 1


def _checked(as_of: str) -> str:
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError:
        raise typer.BadParameter(f"{as_of!r} is not an ISO 8601 time, such as 2026-07-01T03:00+02:00.") from None
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{as_of!r} has no offset: write {as_of}Z for UTC, or {as_of}+02:00.")
    return moment.isoformat()


def _day(text: str | None) -> str | None:
    try:
        return date.fromisoformat(text).isoformat() if text is not None else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day, such as 2026-07-01.") from None


def _duration(text: str | None) -> str | None:
    from klantspoor.project.model import parse_duration

    try:
        parse_duration(text or 0)
    except ValueError as error:
        raise typer.BadParameter(f"--wait: {error}.") from None
    return text

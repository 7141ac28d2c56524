"""`klantspoor run`: starts the nightly Dagster job of a checkout in a process of its own and passes on what it says.

Nothing of the job is here: it lives in the checkout's `pipelines` folder, which the wheel does not hold.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
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
    project: ProjectPath = None,
) -> None:
    """Run the nightly job: take in what landed, rebuild the tables, check them, publish them.

    Example: klantspoor run --as-of 2026-07-01T03:00+02:00
    """
    code = start_night(Path(open_project(project).root).resolve(), _checked(as_of) if as_of is not None else None)
    raise typer.Exit(code)


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


def start_night(folder: Path, as_of: str | None = None) -> int:
    """Run the job on the project in `folder`, and give its exit code.

    Raises:
        CommandError: this is an installed wheel.
    """
    command = [sys.executable, "-m", "pipelines.run"]
    if as_of is not None:
        command += ["--as-of", as_of]
    finished = subprocess.run(  # noqa: S603 (our own module, with a checked argument)
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

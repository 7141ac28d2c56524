"""`klantspoor alarm`: looks whether a version was published in time, and tries the alarm."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from klantspoor.cli.context import CommandError, ProjectPath, open_project, say, tell_error

if TYPE_CHECKING:
    from klantspoor.alarm import Told


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("alarm")(alarm)


def alarm(
    test: Annotated[bool, typer.Option("--test", help="Tell everybody that this is a test.")] = False,
    project: ProjectPath = None,
) -> None:
    """Tell those in `alarms` of klantspoor.yaml when no version was published in time; for timers beside `klantspoor run`.

    Ends with 1 where a version is overdue, or somebody could not be told.

    Example: klantspoor alarm --test
    """
    from klantspoor.alarm import Alarm, overdue, raise_alarm
    from klantspoor.lake import open_lake

    opened = open_project(project)
    if opened.file.alarms is None:
        raise CommandError("klantspoor.yaml has no `alarms`: name a webhook or a command there.")
    if test:
        told = raise_alarm(opened, Alarm("test"))
        _tell(told)
        raise typer.Exit(0 if all(one.failure is None for one in told) else 1)
    found = overdue(opened, open_lake(opened), datetime.now(UTC))
    if found is None:
        say("No alarm: nothing is overdue.")
        return
    say(found.text(opened.file.name).rstrip())
    _tell(raise_alarm(opened, found))
    raise typer.Exit(1)


def _tell(told: list[Told]) -> None:
    for one in told:
        (say if one.failure is None else tell_error)(str(one)[:1].upper() + str(one)[1:] + ".")

"""`klantspoor export`: the reconstructed log, or a part of it, as a file for process-mining tools.

Choosing and telling; how the formats are written is `klantspoor.mining.export`'s matter.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from klantspoor.cli.context import CommandError, ProjectPath, console, current_version, open_project, say
from klantspoor.errors import NotFoundError, did_you_mean

if TYPE_CHECKING:
    from klantspoor.project.model import Project

_XES = ".xes"
_OCEL = (".jsonocel", ".xmlocel", ".sqlite")


class Status(StrEnum):
    """Where a journey stands."""

    open = "open"
    completed = "completed"
    abandoned = "abandoned"


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("export")(export)


def export(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The file; its ending chooses: .xes, .jsonocel, .xmlocel or .sqlite.")
    ],
    journey: Annotated[list[str], typer.Option("--journey", "-j", help="A journey type; may be given several times.")],
    persona: Annotated[str | None, typer.Option(help="Only journeys of this persona.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only journeys that stand so.")] = None,
    started_from: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="Only journeys that began on this day or later."),
    ] = None,
    started_before: Annotated[
        datetime | None,
        typer.Option("--before", formats=["%Y-%m-%d"], help="Only journeys that began before this day."),
    ] = None,
    mystery_guests: Annotated[bool, typer.Option("--mystery-guests", help="Mystery guests' journeys too.")] = False,
    project: ProjectPath = None,
) -> None:
    """Write the reconstructed log as XES (a case per journey) or OCEL 2.0 (persons, accounts and journeys as objects).

    Example: klantspoor export moving.xes --journey moving --status completed --from 2026-01-01
    """
    ending = out.suffix.lower()
    if ending not in (_XES, *_OCEL):
        raise typer.BadParameter(f"{out.name!r} must end in {_XES} or {', '.join(_OCEL)}.", param_hint="OUT")
    loaded = open_project(project)
    _known(loaded, journey)
    version = current_version(loaded)
    from klantspoor.mining.export import Selection, export_ocel, export_xes

    zone = ZoneInfo(loaded.file.timezone)
    selection = Selection(
        journey_types=tuple(journey),
        persona=persona,
        started_from=started_from.replace(tzinfo=zone) if started_from else None,
        started_before=started_before.replace(tzinfo=zone) if started_before else None,
        status=status.value if status else None,
        mystery_guests=mystery_guests,
    )
    if out.is_dir():
        raise CommandError(f"{out} is a folder: name a file.")
    with console.status("Writing"):
        written = (export_xes if ending == _XES else export_ocel)(version, out, selection)
    say(f"Wrote {out}: {written.journeys:,} journeys, {written.events:,} events, of version {version.name}.")


def _known(project: Project, names: list[str]) -> None:
    for name in names:
        if name not in project.journeys:
            hint = did_you_mean(name, set(project.journeys)) or f"There are: {', '.join(sorted(project.journeys))}."
            raise NotFoundError(f"There is no journey type {name!r}. {hint}")

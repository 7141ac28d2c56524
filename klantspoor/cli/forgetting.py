"""`klantspoor forget`: asks whom, has them erased, starts the night that publishes without them, and tells the proof.

What is erased, and how, is `klantspoor.forget`'s matter. No identifier is an argument here, for arguments stay in a
shell's history and show in the list of processes: it is asked for, or read from standard input.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from klantspoor.cli.asking import ask_identifiers
from klantspoor.cli.context import CommandError, ProjectPath, current_version, note, open_project, say, tell_error
from klantspoor.cli.nightly import require_checkout, start_night

if TYPE_CHECKING:
    from klantspoor.forget import Progress, Request
    from klantspoor.lake import Lake, Version
    from klantspoor.project.model import Project

_BUSY = 3
_LISTED = 20


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("forget")(forget)


def forget(
    person: Annotated[
        str | None,
        typer.Argument(
            help="The person's id, or its beginning. Without it an identifier is asked for, or read from standard input"
            " as 'TYPE VALUE'.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what was interrupted, or is waiting for the readers' grace.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    project: ProjectPath = None,
) -> None:
    """Forget a person: erase them everywhere, publish without them, and prove it.

    It cannot be undone. Example: klantspoor forget 3f9c
    """
    from klantspoor.lake import BusyError, open_lake

    loaded = open_project(project)
    lake = open_lake(loaded)
    try:
        if resume:
            _resume(loaded, lake, person)
        else:
            _begin(loaded, lake, person, yes)
    except BusyError as error:
        tell_error(str(error))
        raise typer.Exit(_BUSY) from None


def _begin(project: Project, lake: Lake, person: str | None, yes: bool) -> None:
    from klantspoor.forget import forget as erase

    require_checkout()
    version = current_version(project)
    whom = _whom(project, version, person)
    if not yes:
        _confirm(version, whom)
    request = erase(project, lake, whom)
    _tell_erased(request, project)
    _publish(project, lake)


def _whom(project: Project, version: Version, person: str | None) -> str:
    """The person of that id, or with an identifier that is typed unseen or comes by standard input."""
    from klantspoor.forget import person_with
    from klantspoor.identity.known import find_person

    if person is None:
        [typed] = ask_identifiers(project, 1)
        return person_with(version, typed.identifier)
    with version.connect() as connection:
        return find_person(connection, person).person_id


def _confirm(version: Version, person: str) -> None:
    with version.connect() as connection:
        [(events, journeys)] = connection.execute(
            """SELECT (SELECT count(*) FROM events WHERE person_id = $person),
                      (SELECT count(*) FROM journeys WHERE person_id = $person)""",
            {"person": person},
        ).fetchall()
    say(f"Person {person}: {_many(events, 'event')}, {_many(journeys, 'journey')}. Forgetting cannot be undone.")
    if not sys.stdin.isatty():
        raise CommandError("Nobody can be asked whether it is meant: give --yes if it is. Nothing was touched.")
    if not typer.confirm("Forget this person?"):
        raise typer.Exit(1)


def _tell_erased(request: Request, project: Project) -> None:
    counts = request.counts
    say(
        f"Erased: {counts['rows']:,} rows of {counts['files']:,} files, {counts['events']:,} events. Receipt {request.id}."
    )
    if request.landing:
        say(
            f"Still in {project.file.landing}/, which Klantspoor never changes; remove these rows where you keep the files:"
        )
        for entry in request.landing[:_LISTED]:
            say(f"  {entry['file']}: {_many(entry['rows'], 'row')}")
        if len(request.landing) > _LISTED:
            say(f"  … and {len(request.landing) - _LISTED} more, in the receipt")


def _resume(project: Project, lake: Lake, person: str | None) -> None:
    from klantspoor.forget import resume_all

    if person is not None:
        raise CommandError("--resume goes on with every request there is: leave the person out.")
    found = resume_all(project, lake, elsewhere=_dagster())
    if not found:
        say("Nothing to go on with: every request is done.")
    elif any(one.state == "unpublished" for one in found):
        _publish(project, lake)
    else:
        _tell(found)


def _publish(project: Project, lake: Lake) -> None:
    from klantspoor.forget import resume_all

    code = start_night(Path(project.root).resolve())
    if code:
        tell_error(
            "The person is erased from the ledger, but no version without them is published yet, and the versions before"
            " are still there. Mend what stopped the night, then: klantspoor forget --resume"
        )
        raise typer.Exit(code)
    _tell(resume_all(project, lake, elsewhere=_dagster()))


def _tell(found: list[Progress]) -> None:
    for one in found:
        if one.scan is not None:
            say(f"Searched: {_many(one.scan.files, 'file')}; landing files are yours, and not searched.")
        if one.state == "traces" and one.scan is not None:
            tell_error(f"Request {one.request}: something of the person is left in {len(one.scan.traces)} files:")
            for trace in one.scan.traces[:_LISTED]:
                note(f"  {trace.path}")
            note("Remove them, or what they hold of the person, then: klantspoor forget --resume")
        elif one.state == "waiting" and one.until is not None:
            say(
                f"No trace in the current version. Older versions stay for their readers until {one.until:%Y-%m-%d %H:%M} UTC;"
            )
            say("the first night after that removes them, and so does: klantspoor forget --resume")
        elif one.state == "done":
            say(f"No trace is left. The receipt: {one.receipt}")
            say("Back-ups still hold the person: run `klantspoor backup` into each, which takes them out.")
    if any(one.state == "traces" for one in found):
        raise typer.Exit(1)


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _dagster() -> list[Path]:
    """Where the nightly job keeps its own log: searched too."""
    return [Path(os.environ.get("DAGSTER_HOME") or require_checkout() / ".dagster")]

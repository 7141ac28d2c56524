"""`klantspoor versions …`: which versions there are, what differs between two, going back to one, keeping one.

What each of these does is `klantspoor.lake`'s matter; how a comparison is printed is in `klantspoor.cli.compared`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from klantspoor.cli.compared import as_json, tell_comparison
from klantspoor.cli.context import CommandError, ProjectPath, console, note, open_project, plain, say, tell_error

if TYPE_CHECKING:
    from klantspoor.lake import Lake
    from klantspoor.lake.listing import Listed
    from klantspoor.project.model import Project

_BUSY = 3
_SHOWN = ("events", "journeys", "waits")

versions_app = typer.Typer(
    help="Published versions: list them, compare two, go back to one, keep one.\n\nExample: klantspoor versions",
    invoke_without_command=True,
)


class Format(StrEnum):
    """How the answer is written."""

    table = "table"
    json = "json"


FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How to write the answer.")]
Name = Annotated[str, typer.Argument(help="A version's number, such as 7 or 000007.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the group of these commands to the app."""
    app.add_typer(versions_app, name="versions")


@contextmanager
def writing() -> Iterator[None]:
    """Turns a lake that somebody else is writing to into exit code 3."""
    from klantspoor.lake import BusyError

    try:
        yield
    except BusyError as error:
        tell_error(error)
        raise typer.Exit(_BUSY) from None


@versions_app.callback()
def versions(context: typer.Context, form: FormatOption = Format.table, project: ProjectPath = None) -> None:
    """List the published versions: when and by what they were made, what they hold and take, and how long they stay.

    Example: klantspoor versions
    """
    if context.invoked_subcommand is not None:
        return
    from klantspoor.lake import open_lake

    loaded = open_project(project)
    lake = open_lake(loaded)
    found = lake.listing()
    if form is Format.json:
        typer.echo(json.dumps([asdict(one) for one in found], default=datetime.isoformat, ensure_ascii=True, indent=1))
        return
    if not found:
        note("Nothing has been published yet. Start the nightly job with: klantspoor run")
    for one in found:
        _tell(one)
    if found:
        note("Its own is what is free on disk when a version goes; shared is what other versions hold too.")
        _tell_forecast(loaded, lake)


@versions_app.command("compare")
def compare(
    before: Name,
    after: Name,
    most: Annotated[int, typer.Option("--most", min=0, help="Rows of monthly figures at most.")] = 20,
    form: FormatOption = Format.table,
    project: ProjectPath = None,
) -> None:
    """Compare two versions: rows added, removed and changed in each table, and the monthly figures that differ.

    Example: klantspoor versions compare 6 7
    """
    from klantspoor.lake import open_lake
    from klantspoor.lake.comparison import compare as compare_versions

    loaded = open_project(project)
    lake = open_lake(loaded)
    sides = lake.version(before), lake.version(after)
    with console.status("Comparing"):
        found = compare_versions(*sides, memory_mb=loaded.file.limits.memory_mb, most=most)
    if form is Format.json:
        typer.echo(as_json(found))
    else:
        tell_comparison(found)


@versions_app.command("rollback")
def rollback(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    other_dictionary: Annotated[
        bool,
        typer.Option("--other-dictionary", help="Also to a version with other tables or columns than this software's."),
    ] = False,
    project: ProjectPath = None,
) -> None:
    """Make an earlier version the current one again; newer ones are set aside. The next night goes on from it.

    Example: klantspoor versions rollback 6
    """
    from klantspoor.lake import open_lake

    lake = open_lake(open_project(project))
    version, current = lake.version(name), lake.current()
    if current is not None and not yes:
        say(f"Current is version {current.name}, as of {current.manifest['as_of']}.")
        say(f"Readers would see version {version.name} instead, as of {version.manifest['as_of']}.")
        if not sys.stdin.isatty():
            raise CommandError("Nobody can be asked whether it is meant: give --yes if it is. Nothing was touched.")
        if not typer.confirm("Roll back?"):
            raise typer.Exit(1)
    with writing():
        lake.roll_back(version.name, other_dictionary=other_dictionary)
    say(f"Version {version.name} is the current one.", "green")
    say(
        "The next night builds from all that was read, and publishes again: mend first what was wrong, or hold that night."
    )


@versions_app.command("pin")
def pin(
    name: Name,
    days: Annotated[
        int, typer.Option("--days", min=1, max=36525, help="For how many days from now.", show_default=False)
    ],
    why: Annotated[str, typer.Option("--why", help="What for, in one line; name nobody.", show_default=False)],
    project: ProjectPath = None,
) -> None:
    """Keep a version for some days, however many are published meanwhile. A pin is never shortened: unpin first.

    Example: klantspoor versions pin 7 --days 30 --why "figures of the yearly report"
    """
    from klantspoor.lake import open_lake

    lake = open_lake(open_project(project))
    version = lake.pin(name, timedelta(days=days), why)
    say(f"Version {version.name} is kept until {_moment(lake.pins()[version.name].until)} UTC.")


@versions_app.command("unpin")
def unpin(name: Name, project: ProjectPath = None) -> None:
    """No longer keep a version: it goes when its time has come.

    Example: klantspoor versions unpin 7
    """
    from klantspoor.lake import open_lake

    lake = open_lake(open_project(project))
    version = lake.version(name)
    was = lake.unpin(name)
    say(f"Version {version.name} is {'no longer' if was else 'not'} pinned.")


def _tell(one: Listed) -> None:
    from klantspoor.lake.forecast import told

    console.print(plain(f"{one.name}  {_state(one)}", "bold" if one.state == "current" else ""))
    made = one.made
    if made is None:
        say("  damaged: its manifest cannot be read", "red")
    else:
        say(f"  as of {_moment(made.as_of)}, published {_moment(made.published_at)} UTC")
        say(f"  by klantspoor {made.software}, dictionary {made.dictionary}")
        counts = ", ".join(f"{made.rows[name]:,} {name}" for name in _SHOWN if name in made.rows)
        say(f"  {counts}; {told(one.own)} its own, {told(one.shared)} shared")
    if one.pin is not None:
        say(f"  pinned until {_moment(one.pin.until)} UTC: {one.pin.why}")
    if one.goes is not None:
        say(
            f"  goes after {_moment(one.goes)} UTC: somebody in it was forgotten, or the key was rotated",
            "yellow",
        )


def _tell_forecast(project: Project, lake: Lake) -> None:
    from klantspoor.intake.waiting import ledger_bytes_waiting

    expected = lake.expect(ledger_bytes_waiting(project, lake.root, datetime.now(UTC)))
    colour = "" if expected.fits and not expected.is_near else "yellow" if expected.fits else "red"
    say(f"The next night {expected}.", colour)
    if expected.is_near:
        say("That is near: it does not fit twice, or not if everything has to be built anew.", colour)


def _state(one: Listed) -> str:
    return one.state if one.until is None else f"{one.state}, was current until {_moment(one.until)} UTC"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"

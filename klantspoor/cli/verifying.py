"""`klantspoor verify`: has everything rebuilt aside, and tells in what the published tables are not the same.

What is compared, and how, is `klantspoor.verify`'s matter.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from klantspoor.cli.context import ProjectPath, note, open_project, say, tell_error
from klantspoor.cli.stopping import ending_in_order

if TYPE_CHECKING:
    from klantspoor.verify import Difference, Report
    from klantspoor.verify.compare import Key

_BUSY = 3
_LISTED = 10


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("verify")(verify)


def verify(
    scratch: Annotated[
        Path | None,
        typer.Option(
            help="An absent or empty folder to rebuild in; removed at the end.", show_default="a folder in the lake"
        ),
    ] = None,
    project: ProjectPath = None,
) -> None:
    """Rebuild every table aside from the ledger and compare: is what is published what the ledger says?

    Changes nothing; nights may run meanwhile. Example: klantspoor verify
    """
    from klantspoor.lake import BusyError, open_lake
    from klantspoor.verify import verify as rebuild_and_compare

    loaded = open_project(project)
    lake = open_lake(loaded)
    try:
        with ending_in_order():
            report = rebuild_and_compare(loaded, lake, scratch, progress=note)
    except BusyError as error:
        tell_error(error)
        raise typer.Exit(_BUSY) from None
    tell(report)
    if report.verdict != "equal":
        raise typer.Exit(1)


def tell(report: Report) -> None:
    """What a verification came to, for people."""
    from klantspoor.verify import DIARY

    if report.is_other_software:
        note(f"Version {report.version} was made by another version of Klantspoor.")
    version = f"version {report.version}"
    if report.verdict == "changed":
        _tell_changed(report)
        return
    files = f"{report.files:,} file{'' if report.files == 1 else 's'}"
    say(f"Rebuilt {version}, the night of {report.as_of:%Y-%m-%d %H:%M} UTC, from {files} in {report.seconds:.0f} s.")
    if report.verdict == "equal":
        say(f"Equal: {len(report.rows)} tables, {sum(report.rows.values()):,} rows, every column.", "green")
    else:
        say(f"Different: {len(report.differences)} of {len(report.rows)} tables.", "red")
        for difference in report.differences:
            _tell_difference(difference, version)
        say(
            "The ledger and the configuration are what counts: these rows are published wrongly. Please report it with the"
            " lines above; docs/operations.md says how to have everything built anew."
        )
    say(f"Not compared, because only earlier nights know it: {', '.join(DIARY)}.")


def _tell_changed(report: Report) -> None:
    tell_error(
        f"Version {report.version} cannot be made again: since its night of {report.as_of:%Y-%m-%d %H:%M} UTC something was"
        " changed that it was made of."
    )
    for change in report.changed[:_LISTED]:
        note(f"  {change}")
    if len(report.changed) > _LISTED:
        note(f"  … and {len(report.changed) - _LISTED} more")
    note("Nothing was compared. Run a night, then verify.")


def _tell_difference(difference: Difference, version: str) -> None:
    say(f"  {difference.told(version, 'the rebuild')}")
    for where, keys in ((version, difference.keys_one), ("the rebuild", difference.keys_other)):
        for key in keys:
            say(f"    only in {where}: {_told(key)}")


def _told(key: Key) -> str:
    return ", ".join(f"{name} {'-' if value is None else value}" for name, value in key.items())

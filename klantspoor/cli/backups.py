"""`klantspoor backup` and `restore`: asks for them, and tells what was done and what is left to do.

What is in a back-up, and how it is made, is `klantspoor.backup`'s matter.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from klantspoor.cli.context import ProjectPath, note, open_project, say, tell_error
from klantspoor.cli.stopping import ending_in_order

if TYPE_CHECKING:
    from klantspoor.backup import BackupReport, RestoreReport

_BUSY = 3
_LISTED = 20


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the app."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    target: Annotated[Path, typer.Argument(help="An absent or empty folder, or one that holds this lake's back-up.")],
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Put the key for pseudonyms in it too. Better is to keep it elsewhere.")
    ] = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="Copy every file, whatever the back-up holds already.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Make none: read the one that is there and see that it is whole.")
    ] = False,
    project: ProjectPath = None,
) -> None:
    """Back up what cannot be made again: ledger, vault, decisions, receipts, configuration. Or check a back-up.

    Example: klantspoor backup /mnt/backup/shop
    """
    if check:
        _check(target)
        return
    from klantspoor.backup import back_up
    from klantspoor.lake import BusyError, open_lake

    loaded = open_project(project)
    try:
        with ending_in_order():
            report = back_up(loaded, open_lake(loaded), target, with_key=with_key, whole=whole, progress=note)
    except BusyError as error:
        tell_error(error)
        raise typer.Exit(_BUSY) from None
    _tell_backup(report)


def restore(
    source: Annotated[Path, typer.Argument(help="A folder that `klantspoor backup` made.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Move what lake, vault and decisions hold aside, instead of refusing.")
    ] = False,
    project: ProjectPath = None,
) -> None:
    """Restore a back-up into a project, or into a new folder; checked first, and nothing there is overwritten.

    Example: klantspoor restore /mnt/backup/shop --project /srv/shop
    """
    from klantspoor.backup import restore as put_back
    from klantspoor.lake import BusyError

    folder = (project or Path()).expanduser().absolute()
    try:
        with ending_in_order():
            report = put_back(source, folder, replace=replace, progress=note)
    except BusyError as error:
        tell_error(error)
        raise typer.Exit(_BUSY) from None
    _tell_restored(report, source, folder)


def _check(target: Path) -> None:
    from klantspoor.backup import check, told_bytes

    found = check(target)
    manifest = found.manifest
    say(
        f"The back-up of {manifest.project}, made {manifest.made_at:%Y-%m-%d %H:%M} UTC by Klantspoor {manifest.software}."
    )
    for folder in found.left_over:
        note(f"{folder} in it is of an interrupted run and counts for nothing; the next back-up removes it.")
    if not found.faults:
        say(f"Whole: {len(manifest.files):,} files, {told_bytes(manifest.bytes)}, all as they were written.", "green")
        return
    tell_error(f"Damaged: {len(found.faults):,} of {len(manifest.files):,} files.")
    for fault in found.faults[:_LISTED]:
        note(f"  {fault}")
    if len(found.faults) > _LISTED:
        note(f"  … and {len(found.faults) - _LISTED} more")
    note("Make it anew from the lake, with --whole; and look after that disk.")
    raise typer.Exit(1)


def _tell_backup(report: BackupReport) -> None:
    from klantspoor.backup import told_bytes

    say(
        f"Backed up to {report.folder}: {_many(report.ledger_files, 'file')} of the ledger, {told_bytes(report.bytes)} in all.",
        "green",
    )
    if not report.is_first:
        say(
            f"Since the back-up before: {report.new:,} new, {report.replaced:,} replaced, {report.removed:,} removed;"
            f" {told_bytes(report.copied_bytes)} copied."
        )
    if report.gone:
        say(
            f"The lake does not hold {_many(len(report.gone), 'folder')} of the ledger any more, so they are gone here too:"
        )
        for name in report.gone[:_LISTED]:
            say(f"  {name}")
    if report.lost_key:
        say("The key that was in it is removed, for --with-key was not given.")
    if report.has_key:
        say("The key is in it: who has this folder can find out whose a pseudonym is. Keep it encrypted.")
    else:
        say("The key is not in it: keep a copy elsewhere, for without it a restored lake reads no new file.")
    if report.has_vault:
        say("The vault is in it, with names and addresses as they came: keep it encrypted.")


def _tell_restored(report: RestoreReport, source: Path, folder: Path) -> None:
    say(
        f"Restored the back-up of {report.made_at:%Y-%m-%d %H:%M} UTC: {_many(report.files, 'file')} of the ledger in"
        f" {report.lake}.",
        "green",
    )
    if report.own_configuration:
        say("Files of the project that are not as the back-up has them, and were left:")
        for name in report.own_configuration[:_LISTED]:
            say(f"  {name}")
    steps = [*_key_step(report, source), *_forget_step(report)]
    if report.read_since:
        what = _many(report.read_since, "file")
        steps.append(f"See that the landing folder still has the {what} read since the back-up: they are read again.")
    steps.append(f"Run a night: nothing is published until then. klantspoor run --project {folder}")
    for path in report.aside:
        steps.append(f"Then remove {path}: it holds what was there before, people and all.")
    say("Next:")
    for number, step in enumerate(steps, start=1):
        say(f"  {number}. {step}")


def _key_step(report: RestoreReport, source: Path) -> list[str]:
    if report.key == "fits":
        return []
    if report.key == "rotated":
        return ["The key was rotated since the back-up was made. Bring the lake to it: klantspoor key rotate"]
    what = "is not there" if report.key == "absent" else "is another than the ledger was made with"
    where = f"it is in {source}" if report.key_is_in_backup else "it is not in this back-up"
    return [f"Bring the key for pseudonyms back: the project's {what}; {where}. Then: klantspoor key check"]


def _forget_step(report: RestoreReport) -> list[str]:
    if report.receipts_since:
        listed = ", ".join(report.receipts_since[:_LISTED])
        return [f"Forget those again who were forgotten since the back-up, for they are back. Receipts: {listed}"]
    if report.aside:
        return []
    made = f"{report.made_at:%Y-%m-%d %H:%M} UTC"
    return [f"Was anybody forgotten after {made}? They are back: forget them again."]


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"

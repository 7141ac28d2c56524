"""`klantspoor key check` and `key rotate`: the secret that pseudonyms are made with.

What rotation does is `klantspoor.rotation`'s matter; here it is only asked and told. No command prints a key or takes one.
"""

from __future__ import annotations

import typer

from klantspoor.cli.context import ProjectPath, note, open_project, say, tell_error

_BUSY = 3


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the app."""
    told = "The key that pseudonyms are made with: check it, rotate it.\n\nExample: klantspoor key check"
    key = typer.Typer(no_args_is_help=True, help=told)
    key.command("check")(check)
    key.command("rotate")(rotate)
    app.add_typer(key, name="key")


def check(project: ProjectPath = None) -> None:
    """Say where the key comes from and whether it is the one the ledger was made with; it is never shown.

    Example: klantspoor key check
    """
    from klantspoor.rotation import key_state

    state = key_state(open_project(project))
    say(f"The key comes from {state.place}.")
    if state.keys > 1:
        say(f"It was rotated: there are {state.keys} keys, the oldest first.")
    if state.files:
        say(f"The ledger was made with it (files: {state.files}).", "green")
    else:
        say("The ledger is empty: nothing was made with it yet.")


def rotate(project: ProjectPath = None) -> None:
    """Make a new key and bring ledger, vault and decisions to it, or finish what was interrupted; no raw file is needed.

    Example: klantspoor key rotate
    """
    from klantspoor.lake import BusyError
    from klantspoor.rotation import rotate as rotate_keys

    loaded = open_project(project)
    try:
        report = rotate_keys(loaded, progress=note)
    except BusyError as error:
        tell_error(error)
        raise typer.Exit(_BUSY) from None
    if report.outcome == "key_made":
        name = loaded.file.pseudonym_key.env
        say(f"A new key was made; the lake is as it was. To go on:\n  1. Set {name} to what is in {report.key_file}")
        say(
            "     (several keys; line ends in it may be colons), wherever nights run. Keep a copy where the lake is not."
        )
        say("  2. Run `klantspoor key rotate` again.\n  3. Delete that file. Never put it in git.")
        return
    if report.outcome == "finished":
        say("An interrupted rotation was finished.", "green")
    else:
        say(f"Rotated: the ledger (files: {report.files}) was made with {report.keys} keys, the oldest first.", "green")
    say("Next:")
    say("  1. Back up the key anew, where the lake is not: all of it, the old keys are still needed.")
    say("  2. Run a night: the published version holds the old pseudonyms until then, and person ids change with it.")
    say("  3. Older versions go after the readers' grace (limits.readers_grace); delete back-ups yourself.")

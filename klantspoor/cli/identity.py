"""`klantspoor identity …`: the group of commands on who is who. A file with such a command adds it to `identity_app`."""

from __future__ import annotations

import typer

identity_app = typer.Typer(help="Who is who.\n\nExample: klantspoor identity link", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group of these commands to the app."""
    app.add_typer(identity_app, name="identity")

"""`klantspoor identity …`: the group of commands about who is who. A file with one adds it to `identity_app`."""

from __future__ import annotations

import typer

identity_app = typer.Typer(
    help="Who is who: what stewards decided, and how well persons are told apart.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the group of these commands to the app."""
    app.add_typer(identity_app, name="identity")

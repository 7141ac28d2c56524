"""`klantspoor report`: the report of the last night, on the terminal or as a mail."""

from __future__ import annotations

from typing import Annotated

import typer

from klantspoor.cli.context import ProjectPath, note, open_project, say


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("report")(report)


def report(
    mail: Annotated[
        bool, typer.Option("--mail", help="As a mail: subject and headers, an empty line, the text.")
    ] = False,
    project: ProjectPath = None,
) -> None:
    """Say how the last night went: what came in, what was odd, what changed, and how far the data reaches.

    Example: klantspoor report --mail | sendmail data-team@example.org
    """
    from klantspoor import report as told
    from klantspoor.lake import open_lake
    from klantspoor.report.words import moment

    opened = open_project(project)
    lake = open_lake(opened)
    found, remark = told.last(lake.root, opened.file.timezone)
    if mail:
        typer.echo(told.mail(found), nl=False)
    else:
        say(f"{found.project}, the night of {moment(found.as_of, found.timezone)}")
        for line in told.terminal_lines(found, lake.root):
            say(line)
    if remark is not None:
        note(remark)

"""`klantspoor who`: whose an identifier is, which identifiers a person has, and how those are tied together.

Asking and JSON; what is told comes from `klantspoor.identity.told`, how it is printed is in `klantspoor.cli.who_text`.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from klantspoor.cli import who_text
from klantspoor.cli.asking import ask_identifiers
from klantspoor.cli.context import CommandError, ProjectPath, current_version, open_project

if TYPE_CHECKING:
    import duckdb

    from klantspoor.lake import Version
    from klantspoor.project.model import Project

_MOST = 50


class Format(StrEnum):
    """How the answer is written."""

    table = "table"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("who")(who)


def who(
    person: Annotated[
        str | None,
        typer.Argument(
            help="A person's id, now or before, or its beginning. Without it the command asks for an identifier;"
            " never give a plain identifier here.",
            show_default=False,
        ),
    ] = None,
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            help="Show the evidence between two of the person's identifiers, by their numbers in the list or the first"
            " digits of their pseudonyms.",
        ),
    ] = None,
    form: Annotated[Format, typer.Option("--format", "-f", help="How to write the answer.")] = Format.table,
    most: Annotated[int, typer.Option("--most", min=1, help="Identifiers and refusals at most.")] = _MOST,
    project: ProjectPath = None,
) -> None:
    """Show who somebody is: their identifiers, the evidence that ties these together, and what guards refused.

    Without a terminal it reads one line 'type value' from standard input. Example: klantspoor who 3f9c
    """
    loaded = open_project(project)
    version = current_version(loaded)
    connection = version.connect()
    try:
        document = _told(loaded, version, connection, person, between, most)
    finally:
        connection.close()
    if form is Format.json:
        # ASCII alone, so that nothing in it is acted on by a terminal.
        text = json.dumps(document, default=_plain, ensure_ascii=True, indent=1)
        sys.stdout.write(text.replace("\x7f", "\\u007f") + "\n")
    elif "identifiers" not in document:
        who_text.show_identifier(document, loaded.file.timezone)
    else:
        who_text.show_person(document, loaded.file.timezone, chain_only=between is not None)


def _told(
    project: Project,
    version: Version,
    connection: duckdb.DuckDBPyConnection,
    person: str | None,
    between: tuple[str, str] | None,
    most: int,
) -> dict[str, Any]:
    from klantspoor.identity.known import find_person, holders
    from klantspoor.identity.told import tell_identifier, tell_person

    if person is not None:
        found = find_person(connection, person)
        asked: dict[str, Any] = {"person_id": found.former_id or found.person_id}
        return {"asked": asked, **tell_person(project, version, connection, found.person_id, most, between)}
    [typed] = ask_identifiers(project, 1)
    persons = sorted({holder.person_id for holder in holders(connection, typed.identifier)})
    if len(persons) != 1:
        if between is not None:
            raise CommandError("It is not one person's, so there is nothing to show between two of their identifiers.")
        return tell_identifier(project, version, connection, typed, most)
    asked = {"type": typed.identifier.type, "identifier": typed.identifier.identifier}
    return {"asked": asked, **tell_person(project, version, connection, persons[0], most, between)}


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)

"""Asking for plain identifiers: at a prompt that does not show them, or as lines of standard input.

Never as an argument, which the shell would remember and every user of the machine could see. What is typed is
pseudonymised at once and repeated in no message.
"""

from __future__ import annotations

import getpass
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from klantspoor.cli.context import CommandError
from klantspoor.errors import NotFoundError

if TYPE_CHECKING:
    from klantspoor.identity.typed import Typed
    from klantspoor.project.model import Project

_LONGEST_LINE = 4096


def at_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def ask_identifiers(project: Project, count: int) -> list[Typed]:
    """`count` identifiers, asked for at the terminal, or the next lines of standard input: `type value` on each.

    Raises:
        CommandError: standard input has fewer lines, or one that is not of that form; its number is named.
        NotFoundError: a type that the project does not have, or nothing for a value.
    """
    if at_terminal():
        return [_ask(project, number, count) for number in range(1, count + 1)]
    return [_read(project, number, count) for number in range(1, count + 1)]


def _ask(project: Project, number: int, count: int) -> Typed:
    from klantspoor.identity.typed import made_of

    types = sorted(project.file.identifiers, key=lambda name: (project.file.identifiers[name].priority, name))
    which = f" {number} of {count}" if count > 1 else ""
    kind = types[0]
    if len(types) > 1:
        kind = typer.prompt(f"Type of identifier{which} ({', '.join(types)})", value_proc=_one_of(types), err=True)
    return made_of(project, kind, hidden(f"Its value as {kind} (not shown as you type): "))


def hidden(prompt: str) -> str:
    """What somebody types after the prompt, which the terminal does not show.

    Raises:
        CommandError: where the terminal would show it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            # Not typer's prompt, which writes the prompt before it turns the echo off.
            return getpass.getpass(prompt)
    except getpass.GetPassWarning:
        raise CommandError("This terminal would show what is typed. Give it on standard input: 'type value'.") from None
    except EOFError:
        raise typer.Abort from None


def _one_of(types: list[str]) -> Callable[[str], str]:
    def checked(typed: str) -> str:
        if typed.strip() not in types:
            # Not repeated: it may be the identifier, typed too early.
            raise typer.BadParameter(f"That is none of {', '.join(types)}.")
        return typed.strip()

    return checked


def _read(project: Project, number: int, count: int) -> Typed:
    from klantspoor.identity.typed import made_of

    form = "'type value', such as 'email name@example.org'"
    line = sys.stdin.readline(_LONGEST_LINE)
    kind, _, value = line.strip().partition(" ")
    if not value.strip() or (len(line) == _LONGEST_LINE and not line.endswith("\n")):
        lines = "one line" if count == 1 else f"{count} lines"
        raise CommandError(
            f"Standard input, line {number}: {'is not of the form' if line.strip() else 'is missing; expected'} {form}."
            f" Without a terminal to ask at, this command reads {lines} of that form."
        )
    try:
        return made_of(project, kind, value)
    except NotFoundError as error:
        raise NotFoundError(f"Standard input, line {number}: {error}") from None

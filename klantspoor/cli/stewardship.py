"""`klantspoor identity force | forbid | block | withdraw | decisions`: what people decide about identifiers.

Asking, showing and confirming. What a decision is, what may not stand beside what, and the file are
`klantspoor.identity.decisions`; from the next night on the decisions count as evidence.
"""

from __future__ import annotations

import getpass
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table as Grid

from klantspoor.cli.asking import ask_identifiers, at_terminal
from klantspoor.cli.context import CommandError, ProjectPath, clean, console, note, open_project, plain
from klantspoor.page import units

if TYPE_CHECKING:
    from klantspoor.identity.decisions import Decision, Identifier
    from klantspoor.identity.typed import Typed
    from klantspoor.lake import Version
    from klantspoor.project.model import Project

_SHORT = 8
_WHOLE_ID = 16
_EFFECT = {
    "force": "are one person's",
    "forbid": "are not one person's",
    "block": "is nobody's",
    "withdraw": "decision withdrawn",
}

Person = Annotated[
    str | None,
    typer.Argument(
        metavar="PERSON",
        help="A person's whole id: their oldest identifier is meant. Never a plain identifier.",
        show_default=False,
    ),
]
Why = Annotated[
    str | None, typer.Option("--why", help="Why, in one line, without personal data.", show_default="asked")
]
Who = Annotated[str | None, typer.Option("--who", help="Who decides.", show_default="asked; else the login name")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask to confirm.")]


class Format(StrEnum):
    """How the decisions are listed."""

    table = "table"
    json = "json"


def register(group: typer.Typer) -> None:
    """Add the commands of this file to the group `klantspoor identity`."""
    for command in (force, forbid, block, withdraw, decisions):
        group.command(command.__name__)(command)


def force(
    first: Person = None,
    second: Person = None,
    why: Why = None,
    who: Who = None,
    yes: Yes = False,
    project: ProjectPath = None,
) -> None:
    """Decide that two identifiers are one person's.

    Asks for what is not given as a person's id; without a terminal it reads 'type value' lines from standard input.
    Example: klantspoor identity force
    """
    _decide("force", [first, second], project, why, who, yes)


def forbid(
    first: Person = None,
    second: Person = None,
    why: Why = None,
    who: Who = None,
    yes: Yes = False,
    project: ProjectPath = None,
) -> None:
    """Decide that two identifiers are not one person's, whatever they are seen with.

    Asks as `force` does. Example: klantspoor identity forbid
    """
    _decide("forbid", [first, second], project, why, who, yes)


def block(
    person: Person = None, why: Why = None, who: Who = None, yes: Yes = False, project: ProjectPath = None
) -> None:
    """Decide that an identifier is nobody's: the desk's own telephone, an address that everybody fills in.

    Asks as `force` does. Example: klantspoor identity block
    """
    _decide("block", [person], project, why, who, yes)


def withdraw(
    number: Annotated[
        int | None,
        typer.Argument(
            min=1, help="The decision's number, as `klantspoor identity decisions` has it.", show_default="asked"
        ),
    ] = None,
    why: Why = None,
    who: Who = None,
    yes: Yes = False,
    project: ProjectPath = None,
) -> None:
    """Withdraw a decision: from the next night on it is as if it had never been taken.

    Example: klantspoor identity withdraw 4
    """
    from klantspoor.errors import NotFoundError
    from klantspoor.identity.decisions import in_force, read_decisions

    loaded = open_project(project)
    standing = {one.number: one for one in in_force(read_decisions(Path(loaded.root)))}
    if number is None:
        if not at_terminal():
            raise CommandError("Say which decision: klantspoor identity withdraw NUMBER")
        number = typer.prompt("Number of the decision", type=int, err=True)
    if number not in standing:
        numbers = ", ".join(str(one) for one in standing) or "none"
        raise NotFoundError(f"There is no decision {number} that stands. Those that do: {numbers}.")
    decision = standing[number]
    console.print(plain(f"Decision {number}: {_said(decision)}, by {decision.who}: {decision.why}"))
    _write(loaded, "withdraw", decision.a, decision.b, [], (why, who, yes))


def decisions(
    form: Annotated[Format, typer.Option("--format", "-f", help="How to list them.")] = Format.table,
    project: ProjectPath = None,
) -> None:
    """List every decision ever taken, and which of them stand.

    Example: klantspoor identity decisions
    """
    from klantspoor.identity.decisions import in_force, read_decisions

    loaded = open_project(project)
    taken = read_decisions(Path(loaded.root))
    standing = {one.number for one in in_force(taken)}
    after = _after(taken)
    if form is Format.json:
        documents = [json.loads(one.to_json()) | {"stands": one.number in standing} for one in taken]
        sys.stdout.write(json.dumps(documents, ensure_ascii=True, indent=1).replace("\x7f", "\\u007f") + "\n")
        return
    if not taken:
        note("No decisions have been taken. To take one: klantspoor identity force, forbid or block")
        return
    persons = _persons(_version(loaded), [one for decision in taken for one in (decision.a, decision.b) if one])
    grid = Grid(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("#", "day", "decision", "about", "by", "why", "stands"):
        grid.add_column(name, justify="right" if name == "#" else "left", overflow="fold")
    for one in taken:
        about = "\n".join(_named(each, persons) for each in (one.a, one.b) if each)
        stands = "yes" if one.number in standing else f"no, see {after[one.number]}" if one.number in after else "–"
        day = f"{units.local(one.decided_at, loaded.file.timezone):%Y-%m-%d}"
        who, why = plain(one.who), plain(one.why)
        grid.add_row(str(one.number), day, one.verb, about, who, why, stands)
    console.print(grid)


def _after(taken: list[Decision]) -> dict[int, int]:
    """Which later decision about the same ended each that was ended."""
    last: dict[Any, int] = {}
    after: dict[int, int] = {}
    for one in taken:
        if one.about in last:
            after[last[one.about]] = one.number
        last[one.about] = one.number
    return after


def _decide(
    verb: str, persons: list[str | None], project: Path | None, why: str | None, who: str | None, yes: bool
) -> None:
    """Finds out about what, shows what is known of it, and writes the decision once it is confirmed."""
    loaded = open_project(project)
    version = _version(loaded)
    named = [_anchor(version, person) for person in persons if person is not None]
    typed = ask_identifiers(loaded, len(persons) - len(named))
    for one in typed:
        _refuse_guarded(verb, one)
    about = [*named, *(one.identifier for one in typed)]
    if len(set(about)) < len(about):
        raise CommandError("That is twice the same identifier.")
    _show(version, about)
    _write(loaded, verb, about[0], about[1] if len(about) > 1 else None, typed, (why, who, yes))


def _version(project: Project) -> Version | None:
    from klantspoor.lake import open_lake

    return open_lake(project).current()


def _anchor(version: Version | None, person: str) -> Identifier:
    from klantspoor.errors import LakeError
    from klantspoor.identity.known import anchor_of, find_person

    if len(person.strip()) != _WHOLE_ID:
        # A beginning that happens to be somebody's would decide about the wrong person.
        raise CommandError(
            "A decision names a person by the whole id, 16 hexadecimal digits. For an identifier give no argument: the"
            " command asks for it. What was typed here is in the shell's history now; remove it there if it was somebody's."
        )
    if version is None:
        raise LakeError(
            "Nothing has been published yet, so there are no persons. Start the nightly job: klantspoor run"
        )
    with version.connect() as connection:
        return anchor_of(connection, find_person(connection, person).person_id)


def _refuse_guarded(verb: str, typed: Typed) -> None:
    """A value that its type's own rules make nobody's cannot be forced to be somebody's; more of it changes nothing."""
    if typed.guard is None:
        return
    kind = typed.identifier.type
    why = (
        f"it is no valid {kind}"
        if typed.guard == "invalid"
        else f"the {kind} rules of klantspoor.yaml list it ({typed.guard})"
    )
    if verb == "force":
        raise CommandError(f"Not written. What was typed is nobody's in any case: {why}.")
    note(f"What was typed is nobody's in any case: {why}.")


def _show(version: Version | None, about: list[Identifier]) -> None:
    """Which of the identifiers are known, and whose they are."""
    if version is None:
        note("Nothing has been published yet: whether these identifiers are known cannot be told.")
        return
    persons = _persons(version, about)
    for one in about:
        whose = persons.get(one, [])
        told = (
            f"known, person {', and in turn '.join(whose)}"
            if whose
            else f"nobody's in version {version.name}, or not known"
        )
        console.print(plain(f"{_short(one)}: {told}"))
    if len(about) > 1 and set(persons.get(about[0], [])) & set(persons.get(about[1], [])):
        console.print(plain("They are one person's in this version."))


def _persons(version: Version | None, identifiers: list[Identifier]) -> dict[Identifier, list[str]]:
    from klantspoor.identity.known import persons_of

    if version is None:
        return {}
    with version.connect() as connection:
        return persons_of(connection, identifiers)


def _write(
    project: Project, verb: str, a: Identifier, b: Identifier | None, typed: list[Typed],
    given: tuple[str | None, str | None, bool],
) -> None:  # fmt: skip
    """Asks for what was not given (why, who, whether to), and adds the decision to the file."""
    from klantspoor.identity.decisions import FILE, append

    why, who, yes = given
    if why is None:
        if not at_terminal():
            raise CommandError("Say why: --why TEXT (there is no terminal to ask at)")
        why = typer.prompt("Why, in one line and without personal data", err=True)
    if who is None:
        who = _login()
        if at_terminal():
            who = typer.prompt("Who decides", default=who, err=True)
    why, who = why.strip(), who.strip()
    _refuse_personal(why, who, typed)
    console.print(plain(f"To be written to {FILE}: {verb} {' – '.join(_short(one) for one in (a, b) if one)}", "bold"))
    console.print(plain(f"  {_EFFECT[verb]}; by {who}: {why}"))
    if not yes:
        if not at_terminal():
            raise CommandError("Not written: there is no terminal to confirm at. --yes says that it is meant.")
        typer.confirm("Write it?", abort=True, err=True)
    decision = append(Path(project.root), verb, a, b, who, why)
    console.print(plain(f"Written as decision {decision.number}. It counts from the next night on."))


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise CommandError("The login name cannot be told. Say who decides: --who NAME") from None


def _refuse_personal(why: str, who: str, typed: list[Typed]) -> None:
    from klantspoor.identity.typed import gives_away, holds_address

    for name, text in (("--why", why), ("--who", who)):
        if gives_away(text, typed):
            raise CommandError(f"Not written. {name} holds an identifier that was typed: say it without.")
    if holds_address(why):
        raise CommandError(
            "Not written. --why holds an e-mail address: the file keeps pseudonyms only, so say it without."
        )


def _said(decision: Decision) -> str:
    return f"{decision.verb} {' – '.join(_short(one) for one in (decision.a, decision.b) if one)}"


def _short(one: Identifier) -> str:
    return clean(f"{one.type} {one.identifier[:_SHORT]}…")


def _named(one: Identifier, persons: dict[Identifier, list[str]]) -> str:
    whose = ", ".join(persons.get(one, []))
    return f"{_short(one)}{f' (person {whose})' if whose else ''}"

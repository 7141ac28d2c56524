"""`klantspoor preview`: what a source's mapping and the journey files make of its newest file, row by row.

Printing, and naming the matcher that decided; intake and the journey rules do the deciding. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table as Grid
from rich.text import Text

from klantspoor.cli.context import CommandError, ProjectPath, clean, console, note, open_project, plain
from klantspoor.errors import IntakeError
from klantspoor.page import units

if TYPE_CHECKING:
    from klantspoor.intake.preview import PreviewRow
    from klantspoor.journeys.rules import Kind
    from klantspoor.project.model import ActivityMatcher, JourneyFile, Project

_LONGEST = 80
_TOLD = (
    "initiator",
    "team",
    "topic",
    "outcome",
    "persona",
    "ended_at",
    "need_started_at",
    "declared_visibility",
    "instrument",
    "score",
    "score_0_100",
    "account_id",
    "identifiers",
)
_TURNS = {
    "asks_us": "ours from here",
    "asks_customer": "the customer's from here",
    "promises": "stays whose it is (a promise)",
    "settles": "nobody's from here",
    "hands_to_partner": "the partner's from here",
    "returns_from_partner": "ours again from here",
    "chases": "ours, since the last request",
}


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("preview")(preview)


def preview(
    source: Annotated[str, typer.Argument(help="A source, as in sources/SOURCE.yaml.")],
    rows: Annotated[int, typer.Option(min=1, max=1000, help="Rows of its newest file.")] = 5,
    project: ProjectPath = None,
) -> None:
    """Show raw rows, the events they become, and where each lands in a journey, with the rule that decided.

    Personal columns are shown by their shape only. Example: klantspoor preview crm --rows 3
    """
    from klantspoor.intake.preview import preview as look

    loaded = open_project(project)
    try:
        seen = look(loaded, source, rows)
    except IntakeError as error:
        column = f" (column {error.column})" if error.column else ""
        raise CommandError(
            f"The newest file of {source} cannot be used: {error.reason}{column}: {error.detail}"
        ) from None
    if not seen:
        note("The newest file holds no rows.")
        return
    console.print(plain(f"{seen[0].file}, times in {loaded.file.timezone}", "bold"))
    for row in seen:
        _show(loaded, source, row)


def _show(project: Project, source: str, row: PreviewRow) -> None:
    console.print()
    console.print(Text.assemble((f"row {row.row_number}", "bold cyan"), f"  {row.outcome}"))
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in row.raw.items():
        grid.add_row(f"  {_short(name)}", "–" if value is None else _short(value))
    console.print(grid)
    for reason, column, detail in row.reasons:
        where = f" in {clean(column)}" if column else ""
        console.print(Text(f"  ✗ {clean(reason)}{where}: {clean(detail)}", style="red"))
    for event in row.events:
        _event(project, source, event)


def _event(project: Project, source: str, event: dict[str, Any]) -> None:
    when = units.instant(event["occurred_at"], project.file.timezone)
    channel = f"[{_short(event['channel'])}] " if event["channel"] else ""
    console.print(Text.assemble(("  → ", "green"), f"{when}  {channel}", (_short(event["activity"]), "bold")))
    told = [name for name in event if name in _TOLD or name.startswith("key_")]
    known = [f"{name}: {_value(event[name])}" for name in told if event[name] not in (None, "", [])]
    console.print(Text(f"    {' · '.join(known)}", style="dim"))
    found = list(_places(project, source, event))
    for name, place, why in found:
        console.print(Text.assemble("    ", (f"{name}: ", "cyan"), place, (f"   {why}" if why else "", "dim")))
    if not found:
        console.print(Text("    no journey type knows it: it is counted as unmapped in coverage", style="yellow"))


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_identifier(one) for one in value)
    return _short(str(value))


def _places(project: Project, source: str, event: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(journey type, what the event is in it, why), for each type that knows it; then whose turn it makes it."""
    from klantspoor.journeys.rules import NO_ROLE, NO_TURN, PHASE, ROLE_NAMES, TURN_NAMES, Kind, compile_type

    kind = Kind(source, event["activity"], event["channel"], event["declared_visibility"], event["instrument"])
    for name, journey in sorted(project.journeys.items()):
        rules = compile_type(journey, [kind])
        role = int(rules.role[0])
        if role == NO_ROLE:
            continue
        where, matcher = _matchers(journey)[int(rules.rank[0])]
        place = {"unphased": "a contact in no phase", "answer": "a survey answer", "internal": "an internal step"}.get(
            ROLE_NAMES[role], ""
        )
        if role == PHASE:
            place = _phases(journey, sorted({int(phase) for phase in rules.phase_after[0] if phase >= 0}))
        if rules.companion[0]:
            place += ", but only in the company of other events of its contact"
        declared = f"; the source declares it {kind.declared_visibility}" if kind.declared_visibility else ""
        yield name, place, f"by {where} {_said(matcher)}{declared}"
        turn = int(rules.turn[0])
        if turn != NO_TURN:
            yield f"{name} turn", _TURNS[TURN_NAMES[turn]], f"by turns.{_turn_matcher(journey, TURN_NAMES[turn], kind)}"
        elif role in (PHASE, ROLE_NAMES.index("unphased")):
            yield f"{name} turn", "as it was", "nothing is declared for it"


def _phases(journey: JourneyFile, phases: list[int]) -> str:
    """The phase; of an activity that several list, all of them."""
    names = " or ".join(f"phase {phase + 1}, {_short(journey.phases[phase].says)}" for phase in phases)
    return f"{names}: the first that is not before the phase the customer is in" if len(phases) > 1 else names


def _matchers(journey: JourneyFile) -> list[tuple[str, ActivityMatcher]]:
    """The matchers by rank, with their place in the journey file."""
    found = [
        (f"phases[{number}].activities[{place}]", matcher)
        for number, phase in enumerate(journey.phases)
        for place, matcher in enumerate(phase.activities)
    ]
    found += [(f"unphased[{place}]", matcher) for place, matcher in enumerate(journey.unphased)]
    return found + [(f"internal[{place}]", matcher) for place, matcher in enumerate(journey.internal)]


def _turn_matcher(journey: JourneyFile, turn: str, kind: Kind) -> str:
    from klantspoor.project.match import fits

    for place, matcher in enumerate(getattr(journey.turns, turn)):
        if fits(matcher, kind.source, kind.activity, kind.channel):
            return f"{turn}[{place}] {_said(matcher)}"
    return turn


def _said(matcher: ActivityMatcher) -> str:
    parts = [f"'{_short(matcher.activity)}'"]
    parts += [f"of source {matcher.source}"] if matcher.source else []
    parts += [f"in channel {_short(matcher.channel)}"] if matcher.channel else []
    return " ".join(parts)


def _short(text: str) -> str:
    return units.short(clean(text[: _LONGEST * 8]), _LONGEST)


def _identifier(one: dict[str, Any]) -> str:
    return f"{one['type']} {one['identifier'][:8]}…" + (f" ({one['guard']})" if one["guard"] else "")

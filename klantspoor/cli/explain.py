"""`klantspoor explain`: one customer's path, readable at a glance in a terminal.

Printing only; the rows come from `klantspoor.cli.paths`. Times are in the project's zone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.rule import Rule
from rich.table import Table as Grid
from rich.text import Text

from klantspoor.cli.context import ProjectPath, clean, console, current_version, open_project, plain
from klantspoor.cli.paths import Path, find, read
from klantspoor.page import units

if TYPE_CHECKING:
    from klantspoor.project.model import JourneyFile, Project

_MOST = 10
_ACTIVITY = 44
_COLOURS = {
    "organisation": "blue",
    "partner": "yellow",
    "customer": "green",
    "nobody": "dim",
    "undetermined": "magenta",
}
_TURNS = {
    "organisation": "our turn",
    "partner": "a partner's turn",
    "customer": "the customer's turn",
    "nobody": "nobody's turn",
    "undetermined": "whose turn is unknown",
}
_CAUSES = {
    "working": "someone was at work",
    "closed": "closed",
    "handover": "between two teams",
    "queueing": "in a queue",
    "unexplained": "no internal step explains it",
}
JOINED_BY = {
    "case_key": "it carries the journey's case key",
    "opening": "it opens the journey",
    "stream": "it follows in the stream the journey was cut from",
    "account_topic": "same account and topic as the journey",
    "contact": "same contact as other events of the journey",
    "topic": "same topic as the journey",
    "account": "same account as the journey",
    "recency": "the most recently active journey that knows this activity",
    "before_case": "it led up to the case: the journey's first keyed event came after it",
}


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("explain")(explain)


def explain(
    person_or_journey: Annotated[
        str, typer.Argument(metavar="PERSON_OR_JOURNEY", help="The id, or its beginning: 3f9c… or J3f9c….")
    ],
    events: Annotated[
        bool, typer.Option("--events", help="Show each event of a contact, not only the contact.")
    ] = False,
    most: Annotated[int, typer.Option("--most", min=1, help="Journeys at most: the latest.")] = _MOST,
    project: ProjectPath = None,
) -> None:
    """Show a customer's path: phases, contacts, waits and their causes, and why each event is there.

    Example: klantspoor explain J3f9c
    """
    loaded = open_project(project)
    connection = current_version(loaded).connect()
    try:
        paths, total = read(connection, *find(connection, person_or_journey), most)
    finally:
        connection.close()
    persona = paths[-1].journey["persona"]
    head = f"Person {paths[0].journey['person_id']}" + (f", persona {clean(persona)}" if persona else "")
    console.print(plain(head, "bold"))
    console.print(plain(f"Times are in {loaded.file.timezone}.", "dim"))
    if total > len(paths):
        console.print(plain(f"The latest {len(paths)} of {total} journeys; --most {total} shows all.", "dim"))
    for path in paths:
        _Timeline(loaded, path, events).show()
    _legend(paths)


class _Timeline:
    """Prints one journey from top to bottom."""

    def __init__(self, project: Project, path: Path, every_event: bool) -> None:
        self.path = path
        self.zone = project.file.timezone
        self.file: JourneyFile | None = project.journeys.get(path.journey["journey_type"])
        self.every_event = every_event

    def show(self) -> None:
        self._head()
        phase: str | None = None
        # A phase that is left and entered again is named again: the customer came back to it.
        for touchpoint in self.path.touchpoints:
            if touchpoint["phase"] is not None and touchpoint["phase"] != phase:
                phase = touchpoint["phase"]
                self._phase(phase)
            self._touchpoint(touchpoint)
            self._wait(touchpoint["touchpoint_number"])
            self._steps(touchpoint["touchpoint_number"])

    def _head(self) -> None:
        row = self.path.journey
        title = self.file.title if self.file else row["journey_type"]
        console.print()
        console.print(Rule(Text.assemble((clean(title), "bold"), f"  {row['journey_id']}"), align="left", style="dim"))
        end = units.day(row["ended_at"], self.zone) if row["ended_at"] else "now"
        status = {"completed": "completed", "abandoned": "given up", "open": "still open"}[row["status"]]
        goal = {"achieved": ", got what they came for", "failed": ", did not get what they came for"}.get(
            row["outcome"], ""
        )
        console.print(
            plain(f"{status}{goal} · {units.day(row['started_at'], self.zone)} to {end} · cycle {row['cycle']}")
        )
        if row["lead_time_seconds"] is not None:
            origin = "the need began" if row["need_started_at"] else "the first contact"
            end = "solved" if row["solved_at"] else "the end"
            console.print(plain(f"{units.seconds(row['lead_time_seconds'])} from {origin} to {end}"))
        if row["is_mystery_guest"]:
            console.print(plain("A mystery guest: in no figure.", "yellow"))
        waited = [(turn, row[f"{turn}_wait_seconds"]) for turn in _TURNS if row[f"{turn}_wait_seconds"]]
        if waited:
            parts = [Text(f"{units.seconds(time)} {_TURNS[turn]}", _COLOURS[turn]) for turn, time in waited]
            console.print(Text("waiting: ").append_text(Text(" · ").join(parts)))

    def _phase(self, phase: str) -> None:
        known = [(n, p.says) for n, p in enumerate(self.file.phases, start=1) if p.id == phase] if self.file else []
        number, says = known[0] if known else ("?", phase)
        console.print()
        console.print(Text.assemble((f"{number} ", "bold cyan"), (clean(says), "bold")))

    def _touchpoint(self, row: dict[str, Any]) -> None:
        who = {"customer": "→", "organisation": "←", "system": "←", "partner": "⇠"}.get(row["initiator"], " ")
        lasted = (row["ended_at"] - row["started_at"]).total_seconds()
        details = ([units.seconds(lasted)] if lasted else []) + [self._why(row)]
        channel = Text(f"{who} [{_short(row['channel'] or 'no channel', 12)}]", "cyan")
        what = Text.assemble((_short(row["activity"], _ACTIVITY), "bold"), (f"  {', '.join(details)}", "dim"))
        _line(Text("●", "cyan"), self._time(row["started_at"]), channel, what)
        if self.every_event:
            for event in self.path.events.get(row["touchpoint_number"], []):
                self._event(event, "·")
        for answer in self.path.answers:
            if answer["touchpoint_number"] == row["touchpoint_number"]:
                given = f"{clean(answer['instrument']).upper()} answered: {answer['score']:g}"
                _line(Text("★", "magenta"), self._time(answer["answered_at"]), Text(), Text(given, "magenta"))

    def _time(self, value: datetime) -> str:
        return f"{units.local(value, self.zone):%a %-d %b %H:%M}"

    def _why(self, row: dict[str, Any]) -> str:
        rules = Counter(event["joined_by"] for event in self.path.events.get(row["touchpoint_number"], []))
        if row["events"] == 1 or len(rules) == 1 or not rules:
            number = "" if row["events"] == 1 else f"{row['events']} events, "
            return f"{number}by {row['joined_by']}"
        return f"{row['events']} events, by " + ", ".join(f"{rule} ({number})" for rule, number in rules.most_common())

    def _event(self, event: dict[str, Any], mark: str) -> None:
        team = f" ({_short(event['team'], 20)})" if event["team"] else ""
        what = f"{_short(event['activity'], _ACTIVITY)}{team}  by {event['joined_by']}"
        _line(
            Text(mark, "dim"),
            self._time(event["occurred_at"]),
            Text("internal" if mark == "▪" else ""),
            Text(what, "dim"),
        )

    def _wait(self, after: int) -> None:
        stretches = [row for row in self.path.stretches if row["touchpoint_number"] == after]
        if not stretches:
            return
        still = " so far, still waiting" if any(row["is_open"] for row in stretches) else ""
        if len(stretches) > 1 or still:
            _waiting(f"{units.seconds(sum(row['seconds'] for row in stretches))}{still}", Text("of which:"))
        for row in stretches:
            _waiting(("  " if len(stretches) > 1 else "") + units.seconds(row["seconds"]), _stretch(row))

    def _steps(self, number: int) -> None:
        """The internal steps from this touchpoint on to the next; those before the first go with the first."""
        begins = [row["started_at"] for row in self.path.touchpoints]
        for step in self.path.steps:
            if max(1, bisect_right(begins, step["occurred_at"])) == number:
                self._event(step, "▪")


def _line(mark: Text, when: str, channel: Text, what: Text) -> None:
    """One line of the timeline; what does not fit goes on below itself."""
    grid = Grid.grid(padding=(0, 1, 0, 0), expand=True)
    grid.add_column(width=2)
    grid.add_column(width=16, no_wrap=True)
    grid.add_column(width=16, no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_row(Text(" ").append_text(mark), when, channel, what)
    console.print(grid)


def _waiting(length: str, what: Text) -> None:
    grid = Grid.grid(padding=(0, 1, 0, 0), expand=True)
    grid.add_column(width=2)
    grid.add_column(min_width=16, no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_row(" ┊", length, what)
    console.print(grid)


def _stretch(row: dict[str, Any]) -> Text:
    """Whose turn it was, and what the time went to."""
    words = [_TURNS[row["turn"]]]
    if row["cause"] in _CAUSES:
        words.append(f", {_CAUSES[row['cause']]}")
    if row["internal_activity"]:
        relation = {"working": ": ", "handover": ", before "}.get(row["cause"], ", for ")
        words.append(f"{relation}{_short(row['internal_activity'], 32)}")
    if row["team"]:
        words.append(f" ({_short(row['team'], 20)})")
    return Text("".join(words), style=_COLOURS[row["turn"]])


def _short(text: str, length: int) -> str:
    return units.short(clean(text[: length * 8]), length)


def _legend(paths: list[Path]) -> None:
    used = {touchpoint["joined_by"] for path in paths for touchpoint in path.touchpoints}
    used |= {event["joined_by"] for path in paths for group in (path.steps, *path.events.values()) for event in group}
    console.print()
    console.print(
        plain("● contact (→ by the customer, ← by us, ⇠ by a partner)  ┊ wait  ▪ internal step  ★ answer", "dim")
    )
    for rule, meaning in JOINED_BY.items():
        if rule in used:
            console.print(plain(f"by {rule}: {meaning}", "dim"))

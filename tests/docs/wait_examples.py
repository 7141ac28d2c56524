"""The examples of docs/waits.md: reading one, running the kernel on it, and drawing it.

An example is a section with a table of events, a drawing and a table of stretches; the tests compare. Whoever changes an
example copies what a failing test shows into the document.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from compare import by_kernel, from_oracle, from_tables
from documents import blocks, tables
from oracle import reconstruct
from oracle_events import Event

from klantspoor.journeys.calendar import closed_intervals
from klantspoor.project.model import Calendar, JourneyFile

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MICROSECONDS = 1_000_000
UNITS = {"s": 1, "min": 60, "h": 3600}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = dict[str, str]


@dataclass(frozen=True)
class Example:
    """One section, read: its events, the declarations, opening hours, the night's clock, and what it says comes out."""

    events: list[Event]
    journey: JourneyFile
    closed: list[tuple[int, int]]
    as_of: int
    drawing: str
    stretches: list[Row]


def read(section: str) -> Example:
    """One example from the text of its section."""
    given, stretches = tables(section)
    events = [_event(number, row) for number, row in enumerate(given)]
    (drawing,) = blocks(section, "text")
    last = max(event.until for event in events)
    night = re.search(r"The night's `as_of` is (\w{3} \d\d:\d\d)", section)
    return Example(
        events=events,
        journey=_journey(given),
        closed=_closed(section, events[0].at, last),
        as_of=_instant(night[1]) if night else last + 100 * 86400 * MICROSECONDS,
        drawing=drawing,
        stretches=stretches,
    )


def run(example: Example) -> list[dict[str, Any]]:
    """The kernel's waits of the one journey of an example; the oracle must say the same."""
    given = (example.events, {"example": example.journey}, {"docs": 0}, example.closed, example.as_of)
    found = by_kernel(*given)
    assert from_tables(found) == from_oracle(reconstruct(*given))
    assert len(found["journeys"]) == 1
    return found["waits"]


def as_rows(waits: Sequence[dict[str, Any]]) -> list[Row]:
    """Stretches as the document's table has them."""
    return [
        {
            "": str(number),
            "after contact": str(wait["touchpoint_number"]),
            "from": _clock(wait["started_at"]),
            "to": _clock(wait["ended_at"]),
            "turn": wait["turn"],
            "cause": wait["cause"],
            "seconds": str(wait["seconds"]),
            "step": wait["internal_activity"] or "",
            "team": wait["team"] or "",
        }
        for number, wait in enumerate(waits, 1)
    ]


def draw(example: Example, waits: Sequence[dict[str, Any]]) -> str:
    """The drawing: contacts, internal steps, closed hours and the numbered stretches on one line of time."""
    head = example.drawing.splitlines()[0]
    scale = re.fullmatch(r"one character: ([\d.]+) (s|min), a mark every (\d+) (s|h)", head)
    assert scale, head
    step, mark = float(scale[1]) * UNITS[scale[2]], int(scale[3]) * UNITS[scale[4]]
    start = min(event.at for event in example.events)
    end = max([event.until for event in example.events] + [_micro(wait["ended_at"]) for wait in waits])

    def column(at: int) -> int:
        return round((min(max(at, start), end) - start) / (step * MICROSECONDS))

    width = column(end) + 1
    closed, line = [" "] * width, [" "] * width
    lanes: list[tuple[str, list[str]]] = []
    for name, sign, more in (("contacts", "●", "═"), ("our steps", "▪", "▬")):
        mine = [[" "] * width]
        for event in example.events:
            if (event.team is not None) == (sign == "▪"):
                begin, stop = column(event.at), column(event.until)
                # What overlaps goes on a line of its own.
                lane = next((row for row in mine if row[begin] == " "), None)
                if lane is None:
                    mine.append(lane := [" "] * width)
                _fill(lane, begin, stop, more)
                lane[begin] = sign
        lanes += [(name if number == 0 else "", lane) for number, lane in enumerate(mine) if "".join(lane).strip()]
    for shut, opens in example.closed:
        _fill(closed, column(shut), column(opens), "░")
    for number, wait in enumerate(waits, 1):
        begin, stop = column(_micro(wait["started_at"])), column(_micro(wait["ended_at"]))
        _fill(line, begin, stop, "─")
        line[begin] = "│"
        line[stop] = "│"
        line[(begin + stop) // 2] = str(number)
    rows = [("", list(_axis(start, width, step, mark))), *lanes]
    rows += [("closed", closed)] if "░" in closed else []
    rows.append(("waiting", line))
    drawn = [head, *(f"{name:<11}{''.join(row)}" for name, row in rows)]
    return "".join(f"{text.rstrip()}\n" for text in drawn)


def _fill(row: list[str], begin: int, stop: int, sign: str) -> None:
    row[begin:stop] = [sign] * (stop - begin)


def _axis(start: int, width: int, step: float, mark: int) -> str:
    """Marks from the first event on, with their days where they are far apart."""
    text, at = "", 0
    while at < width:
        moment = EPOCH + timedelta(microseconds=start) + timedelta(seconds=at * step)
        day = f"{DAYS[moment.weekday()]} " if mark > UNITS["h"] else ""
        text = text.ljust(at) + f"{day}{moment:{'%H:%M' if mark >= UNITS['h'] else ':%S'}}"
        at += round(mark / step)
    return text


def _event(number: int, row: Row) -> Event:
    sign, _, what = row["what"].partition(" ")
    assert sign in ("●", "▪"), row
    start, _, end = row["when"].partition("–")
    at = _instant(start)
    until = _instant(end if " " in end else f"{start[:3]} {end}") if end else at
    inside = sign == "▪"
    return Event(
        person=1,
        at=at,
        until=until,
        source="docs",
        activity=what,
        initiator=None if inside else row["who"],
        team=row["who"] if inside else None,
        event_id=f"e{number}",
    )


def _journey(rows: list[Row]) -> JourneyFile:
    turns: dict[str, list[str]] = {}
    for row in rows:
        if row["declared as"]:
            turns.setdefault(row["declared as"].strip("`"), []).append(row["what"][2:])
    met = [row["what"][2:] for row in rows if row["what"].startswith("●")]
    inside = [row["what"][2:] for row in rows if row["what"].startswith("▪")]
    phases = [{"id": "all", "says": "I wait", "activities": met}]
    return JourneyFile.model_validate(
        {"journey": "example", "title": "Example", "cut": {}, "phases": phases, "internal": inside, "turns": turns}
    )


def _closed(section: str, first: int, last: int) -> list[tuple[int, int]]:
    said = re.search(r"We are open on working days from (\d\d:\d\d) to (\d\d:\d\d)", section)
    if said is None:
        assert "always open" in section
        return []
    calendar = Calendar.model_validate({"hours": {day.lower(): [f"{said[1]}-{said[2]}"] for day in DAYS[:5]}})
    found = closed_intervals(calendar, "UTC", first, last)
    return list(zip(found.start.tolist(), found.end.tolist(), strict=True))


def _instant(text: str) -> int:
    day, clock = text.split(" ")
    moment = MONDAY + timedelta(days=DAYS.index(day))
    parts = [float(part) for part in clock.split(":")]
    hour, minute, second = [*parts, 0.0][:3]
    return _micro(moment + timedelta(hours=hour, minutes=minute, seconds=second))


def _clock(moment: datetime) -> str:
    seconds = f":{moment.second:02d}.{moment.microsecond // 100_000}" if moment.second or moment.microsecond else ""
    return f"{DAYS[moment.weekday()]} {moment:%H:%M}{seconds}"


def _micro(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)

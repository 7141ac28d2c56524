"""What goes wrong between a system and its landing file: late, doubled, sent again, corrected, broken.

Belongs here: faults. All of them are additions or delays: every real event is still found whole in some file, so the
truth needs no exception for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

import numpy as np
import numpy.typing as npt

from simulation.clock import Clock
from simulation.systems.calls import iso
from simulation.systems.export import Export

LATE_SHARE = 0.022
DOUBLED_SHARE = 0.008
SENT_AGAIN_SHARE = 0.006
CORRECTED_SHARE = 0.02  # of calls
BROKEN_SHARE = 0.0008
_DAYS_LATE = (2, 10)

Lines = tuple[list[str], npt.NDArray[np.int64]]


def delay(export: Export, clock: Clock, generator: np.random.Generator) -> None:
    """Let some rows land days late (never after the period: what can still come must come)."""
    able = np.flatnonzero(export.days <= clock.days - 1 - _DAYS_LATE[0])
    count = min(len(able), round(LATE_SHARE * len(export.lines)))
    chosen = generator.choice(able, count, replace=False)
    later = export.days[chosen] + generator.integers(*_DAYS_LATE, count)
    export.days[chosen] = np.minimum(later, clock.days - 1)
    export.late[chosen] = True


def spoil(export: Export, clock: Clock, generator: np.random.Generator, rng: Random) -> Lines:
    """All lines that land, with their days: the good ones, copies of some, and broken ones."""
    lines, days = list(export.lines), [export.days]
    count = len(lines)

    def add(extra: list[str], when: npt.NDArray[np.int64]) -> None:
        lines.extend(extra)
        days.append(when)

    if not count:
        return lines, export.days
    doubled = np.sort(generator.choice(count, int(np.ceil(DOUBLED_SHARE * count)), replace=False))
    add([export.lines[i] for i in doubled.tolist()], export.days[doubled])
    again = generator.choice(count, int(np.ceil(SENT_AGAIN_SHARE * count)), replace=False)
    again = np.sort(again[export.days[again] < clock.days - 1])
    add([export.lines[i] for i in again.tolist()], export.days[again] + 1)
    if export.name == "calls":
        fixed = generator.choice(count, int(np.ceil(CORRECTED_SHARE * count)), replace=False)
        fixed = np.sort(fixed[export.days[fixed] < clock.days - 1])
        add([_corrected(export.lines[i]) for i in fixed.tolist()], export.days[fixed] + 1)
    breakers = BREAKERS[export.name]
    number = max(2 * len(breakers), round(BROKEN_SHARE * count))
    victims = np.sort(generator.integers(0, count, number))
    broken = [breakers[n % len(breakers)](export.lines[i], n, rng) for n, i in enumerate(victims.tolist())]
    add(broken, export.days[victims])
    return lines, np.concatenate(days)


def _corrected(line: str) -> str:
    """The same call once more, a day later, after the agent has finished the notes."""
    record = json.loads(line)
    ended = int(np.datetime64(record["DisconnectTimestamp"].rstrip("Z"), "s").astype(np.int64))
    record["LastUpdateTimestamp"] = iso(ended + 40_000)
    attributes = record["Attributes"]
    attributes["nabewerking"] = "ja"
    if record["Agent"] is not None:
        record["Agent"]["AfterContactWorkDuration"] = 180
    return json.dumps(record, separators=(",", ":"))


# ---- broken lines. A line that can be parsed gets an id of its own, so that it never replaces a real event.


def _cut(line: str, _number: int, rng: Random) -> str:
    """Broken off in the middle (but never inside quotes, which would swallow the lines after it)."""
    part = line[: max(8, int(len(line) * rng.uniform(0.3, 0.8)))]
    return part if line.startswith("{") or part.count('"') % 2 == 0 else part[: part.index('"')]


def _csv(separator: str, column: int, value: str) -> Callable[[str, int, Random], str]:
    """Overwrite one column, and the id (first column) with one of its own."""

    def change(line: str, number: int, _rng: Random) -> str:
        cells = line.split(separator)
        cells[0] = f"X{number:07d}"
        cells[column] = value
        return separator.join(cells)

    return change


def _crm_anonymous(line: str, number: int, _rng: Random) -> str:
    """Nobody's row: no case, customer, contract, e-mail or telephone."""
    cells = line.split(";")
    cells[0] = f"X{number:07d}"
    for column in (1, 3, 4, -4, -3):
        cells[column] = ""
    return ";".join(cells)


def _crm_test(line: str, number: int, _rng: Random) -> str:
    """A tester at work."""
    return (
        f"X{number:07d};VH-999999;Verhuizing;000000000;;In behandeling genomen;Systeem;"
        f"{_cell(line, 7)};;TEST negeren;test@voorbeeldenergie.nl;+31600000000;;systeem"
    )


def _cell(line: str, column: int) -> str:
    return line.split(";")[column]


def _too_many(separator: str) -> Callable[[str, int, Random], str]:
    """A separator too many, because somebody forgot the quotes."""

    def change(line: str, number: int, _rng: Random) -> str:
        cells = line.split(separator)
        return separator.join([f"X{number:07d}", *cells[1:4], "extra", "kolom", "te veel", *cells[4:]])

    return change


def _json(change: Callable[[dict[str, object]], None], key: str) -> Callable[[str, int, Random], str]:
    """Change a JSON record under an id of its own."""

    def broken(line: str, number: int, _rng: Random) -> str:
        record = json.loads(line)
        record[key] = f"00000000-0000-4000-a000-{number:012d}"
        change(record)
        return json.dumps(record, separators=(",", ":"))

    return broken


def _ends_before_start(record: dict[str, object]) -> None:
    record["DisconnectTimestamp"] = "2001-01-01T00:00:00Z"


def _bad_start(record: dict[str, object]) -> None:
    record["InitiationTimestamp"] = "31-02-2026 25:61"


def _empty_contact(record: dict[str, object]) -> None:
    record["ContactId"] = ""


def _script_reason(record: dict[str, object]) -> None:
    record["Attributes"] = {"reden": "<script>alert('reden')</script>"}


def _script_event(record: dict[str, object]) -> None:
    record["event"] = "<script>alert(1)</script>"


def _bad_timestamp(record: dict[str, object]) -> None:
    record["timestamp"] = "gisteren"


def _nobody(record: dict[str, object]) -> None:
    record["anonymousId"] = ""
    record["userId"] = None


BREAKERS: dict[str, list[Callable[[str, int, Random], str]]] = {
    "crm": [
        _cut, _too_many(";"), _csv(";", 7, "31-02-2026 10:00:00"), _csv(";", 0, ""), _crm_anonymous, _crm_test,
        _csv(";", 5, "<script>alert('crm')</script>"), _csv(";", 7, ""),
    ],
    "calls": [
        _cut, _json(_ends_before_start, "ContactId"), _json(_bad_start, "ContactId"),
        _json(_empty_contact, "ContactId"), _json(_script_reason, "ContactId"),
    ],
    "web": [
        _cut, _json(_script_event, "messageId"), _json(_bad_timestamp, "messageId"), _json(_nobody, "messageId"),
    ],
    "surveys": [_cut, _too_many(","), _csv(",", 4, "onbekend"), _csv(",", 2, "zeer goed"), _csv(",", 0, "")],
}  # fmt: skip

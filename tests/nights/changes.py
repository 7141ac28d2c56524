"""Whether a night says rightly which events it changed: `changes.parquet` against the tables of two versions. No test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from klantspoor.dictionary import TABLES
from klantspoor.lake import Version
from tests.nights.compare import read

_ALWAYS = ("person_id", "person_rule", "visibility", "visibility_rule", "file_sequence", "row_number", "filed")
"""What may differ for another reason than that the source says something else."""
Events = dict[str, dict[str, Any]]


def read_events(version: Version) -> Events:
    return {row["event_id"]: row for row in read(version.root / "events", TABLES["events"]).to_pylist()}


def wrongly_told(before: Events | None, now: Events, told: Path) -> str | None:
    """What a night says otherwise than the tables before and after it do; None where nothing."""
    if before is None:  # nothing was published that could have changed
        return None
    rows = pq.read_table(told).to_pylist()
    said = {row["event_id"]: row for row in rows}
    wrong = [f"  {row} is told twice" for row in rows if row is not said[row["event_id"]]]
    for event in sorted({*before, *now}):
        one, other = before.get(event), now.get(event)
        expected = _expected(one, other)
        found = said.pop(event, None)
        if found is None and expected is not None:
            wrong.append(f"  not told: {event} {expected}")
        if found is not None and not _fits(found, one, other, expected):
            wrong.append(f"  told: {found}, expected: {expected}")
    wrong += [f"  told, but never there: {row}" for row in said.values()]
    return "\n".join(wrong) or None


def _person(row: dict[str, Any] | None) -> str | None:
    return row["person_id"] if row else None


def _expected(one: dict[str, Any] | None, other: dict[str, Any] | None) -> tuple[str, ...] | None:
    """The causes that may be told; None where nothing must be."""
    if one is None or other is None:
        return ("new", "late") if one is None else ("erased", "corrected")
    if any(one[name] != other[name] for name in one if name not in _ALWAYS):
        return ("corrected",)
    if one["person_id"] != other["person_id"]:
        return ("identity", "corrected")
    return None


def _fits(
    told: dict[str, Any], one: dict[str, Any] | None, other: dict[str, Any] | None, expected: tuple[str, ...] | None
) -> bool:
    if (told["person_before"], told["person"]) != (_person(one), _person(other)):
        return False
    # What is told beyond what must be is a rule, or a row that says the same in the place of another.
    return told["cause"] in (expected or ("rule", "corrected", "identity"))

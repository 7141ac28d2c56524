"""The end of a run in a few lines: what came in, what did not arrive, what was odd, what was published.

Reads what the run noted; prints nothing itself.
"""

from collections.abc import Iterator
from typing import Any

from klantspoor.lake import Lake, Staging, Version
from klantspoor.lake.publishing import DATABASE
from klantspoor.lake.steps import Step, noted_verdicts, steps

_LISTED = 5
_WIDTH = 160
_SHOWN = ("events", "journeys", "touchpoints", "waits", "bottlenecks")


def summary(lake: Lake, staging: Staging, published: bool) -> Iterator[str]:
    """The lines to print at the end of the run."""
    facts = {step.step: step for step in steps(staging)}
    if "ledger" in facts:
        yield from _came_in(facts["ledger"])
    yield from _did_not_arrive(staging)
    yield from _odd(staging, published)
    version = lake.current()
    if published and version is not None:
        yield from _published(lake, version, sum(step.elapsed_seconds for step in facts.values()))
    else:
        stays = f"version {version.name} of {version.manifest['as_of']} stays" if version else "nothing was before"
        yield f"Not published: {stays}."


def _came_in(ledger: Step) -> Iterator[str]:
    facts = ledger.facts
    rows, events = _count(ledger.rows_in or 0, "row"), _count(facts["events"], "event")
    yield f"Came in: {_count(facts['used'], 'file')}, {rows}, {events}."
    yield from _listed("Unusable files, quarantined", facts["quarantined"])
    yield from _listed("Left for the next night", facts["left"])


def _did_not_arrive(staging: Staging) -> Iterator[str]:
    if not staging.has("freshness"):
        return
    with staging.connect() as connection:
        rows = connection.execute("SELECT source, freshness, odd FROM freshness ORDER BY source").fetchall()
    late = [": ".join(filter(None, (f"{source} is {how}", odd))) for source, how, odd in rows if how != "fresh"]
    if late:
        yield from _listed("Did not arrive as expected", late)
    else:
        yield "Did not arrive: nothing, every source is fresh."


def _odd(staging: Staging, published: bool) -> Iterator[str]:
    failed = [note for notes in noted_verdicts(staging).values() for note in notes if not note["passed"]]
    yield from _listed("Stopped by", [_told(note) for note in failed if note["severity"] == "critical"])
    odd = [_told(note) for note in failed if note["severity"] == "warning"]
    if odd:
        yield from _listed("Odd", odd)
    elif published:
        yield "Odd: nothing, every check holds."


def _told(note: dict[str, Any]) -> str:
    keys = [
        ", ".join(f"{name} {value}" for name, value in key.items() if value is not None)
        for key in note["failing_keys"][:3]
    ]
    return f"{note['says']}: {', '.join(keys)}" if keys else str(note["says"])


def _published(lake: Lake, version: Version, seconds: float) -> Iterator[str]:
    rows = version.manifest["tables"]
    shown = ", ".join(f"{rows[name]:,} {name}" for name in _SHOWN)
    yield f"Published: version {version.name} in {seconds:.0f} s: {shown}."
    yield f"Tables: {lake.root / DATABASE}"
    index = version.root / "pages" / "index.html"
    if index.is_file():
        yield f"Map: {index}"


def _listed(title: str, lines: list[str]) -> Iterator[str]:
    if not lines:
        return
    yield f"{title}: {len(lines)}"
    yield from (f"  {_short(line)}" for line in lines[:_LISTED])
    if len(lines) > _LISTED:
        yield f"  … and {len(lines) - _LISTED} more"


def _short(text: str) -> str:
    # One line each, and nothing that a terminal would obey: file names and texts come from data.
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= _WIDTH else shown[: _WIDTH - 1] + "…"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"

"""The facts of a night, from what the run staged and noted, the version before it and the diary.

Whatever a night that failed did not come to is left empty, part by part.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import duckdb

from klantspoor.dictionary import TABLES
from klantspoor.errors import KlantspoorError
from klantspoor.lake import Lake, Staging, Version
from klantspoor.lake.connection import literal, quoted
from klantspoor.lake.diary import nights
from klantspoor.lake.steps import noted_verdicts, runs_before, steps
from klantspoor.marts.paths import month_name
from klantspoor.marts.provisional import provisional_since
from klantspoor.marts.reach import of_journeys
from klantspoor.project.model import Project
from klantspoor.report.came import connected, source_facts
from klantspoor.report.facts import Before, Facts, PastNight
from klantspoor.report.kept import reports
from klantspoor.report.model import Restated
from klantspoor.report.oddities import LAST_NIGHTS, PUBLISHING

_log = logging.getLogger("klantspoor.report")
_CAUSES = ("new", "late", "corrected", "identity", "rule", "erased", "clock")
Part = Callable[[], dict[str, Any]]


def gather(project: Project, lake: Lake, staging: Staging, error: str | None = None) -> Facts:
    """The facts so far; to be called before publication, for the version before may be gone after it.

    `error` says what ended the night, where that is known beside what its steps noted.
    """
    before = lake.current()
    facts = Facts(
        project=project.file.name,
        timezone=project.file.timezone,
        run_id=staging.run_id,
        as_of=staging.as_of,
        before=_before(before),
        error=error,
    )
    parts: list[tuple[tuple[str, ...], Part]] = [
        ((), partial(_earlier, lake, staging, before)),
        ((), partial(_staged, staging)),
        (("intake", "quarantine", "events", "freshness"), partial(source_facts, project, staging, before)),
        (("intake", "events"), partial(_reach, project, staging)),
        (("person_aliases",), partial(_merged, staging, before)),
        (("restatements",), partial(_restated, staging)),
    ]
    for needed, part in parts:
        if all(name in TABLES and staging.has(name) for name in needed):
            facts = _with(facts, part)
    return with_notes(facts, staging)


def with_notes(facts: Facts, staging: Staging, version: str | None = None) -> Facts:
    """The facts with what the run has noted by now, and as what it was published."""
    return replace(facts, steps=tuple(steps(staging)), verdicts=noted_verdicts(staging), version=version)


def _with(facts: Facts, part: Part) -> Facts:
    """The facts with one part more. A night is not failed because it cannot be told in full; the log says so."""
    try:
        return replace(facts, **part())
    except (duckdb.Error, KlantspoorError, OSError) as error:
        _log.warning("the night report lacks a part: %s", type(error).__name__)
        return facts


def _before(before: Version | None) -> Before | None:
    if before is None:
        return None
    return Before(before.name, datetime.fromisoformat(before.manifest["as_of"]), dict(before.manifest["tables"]))


def _earlier(lake: Lake, staging: Staging, before: Version | None) -> dict[str, Any]:
    """The nights that the version before and the diary know, but for this one; and their reports."""
    with duckdb.connect() as con:
        con.register("runs", runs_before(before))
        rows = con.execute(
            """SELECT run_id, any_value(as_of), any_value(night_status)::VARCHAR,
                   coalesce(sum(elapsed_seconds) FILTER (step <> ?), 0), max(peak_memory_mb),
                   arg_max(step::VARCHAR, started_at)
               FROM runs GROUP BY run_id ORDER BY min(started_at)""",
            [PUBLISHING],
        ).fetchall()
    found = {row[0]: PastNight(*row[1:]) for row in rows}
    for night in nights(lake.root):
        if night.run_id != staging.run_id and night.run_id not in found:
            outcome = str((night.report or {}).get("outcome", "unfinished"))
            seconds = sum(step.elapsed_seconds or 0.0 for step in night.steps if step.step != PUBLISHING)
            memory = max((s.peak_memory_mb for s in night.steps if s.peak_memory_mb is not None), default=None)
            found[night.run_id] = PastNight(night.as_of, outcome, seconds, memory, night.last_step)
    return {"nights": tuple(found.values()), "reports": reports(lake.root, but=staging.run_id)}


def _staged(staging: Staging) -> dict[str, Any]:
    """Rows by table, and the events that differ from those of the version before, by why."""
    rows = {name: staging.rows(name) for name in TABLES if staging.has(name)}
    path = staging.root / "canonical" / "changes.parquet"
    if not path.is_file():
        return {"tables": rows}
    query = f"SELECT cause::VARCHAR, count(*) FROM read_parquet({literal(str(path))}) GROUP BY cause ORDER BY cause"
    with duckdb.connect() as con:
        return {"tables": rows, "changes": {cause: int(number) for cause, number in con.execute(query).fetchall()}}


def _reach(project: Project, staging: Staging) -> dict[str, Any]:
    """How far all that feeds the journeys reaches, and the first provisional month."""
    held_back = of_journeys(project, staging).values()
    since = provisional_since(project, staging, sorted(project.journeys))
    return {
        "reach": min(((held.complete_up_to, held.source) for held in held_back), default=None),
        "provisional_since": month_name(int(since.min())) if len(since) else None,
    }


def _merged(staging: Staging, before: Version | None) -> dict[str, Any]:
    """Persons who became one with another: tonight, and in each of the last nights."""
    if before is None:
        return {}
    with connected(staging, "person_aliases") as con:
        query = "SELECT since, count(*) FROM person_aliases WHERE why = 'merged' GROUP BY since"
        merged = {since: int(number) for since, number in con.execute(query).fetchall()}
        con.register("runs", runs_before(before))
        published = "SELECT DISTINCT as_of FROM runs WHERE night_status = 'published' ORDER BY as_of"
        clocks = [as_of for (as_of,) in con.execute(published).fetchall()]
    return {"merged": (merged.get(staging.as_of, 0), tuple(merged.get(as_of, 0) for as_of in clocks[-LAST_NIGHTS:]))}


def _restated(staging: Staging) -> dict[str, Any]:
    """Published figures of months that were over, which this night changed."""
    parts = [name for name in _CAUSES if name in TABLES["restatements"].names]
    counts = ", ".join(f"count(*) FILTER (coalesce({quoted(part)}, 0) <> 0)" for part in parts)
    with connected(staging, "restatements") as con:
        [(figures, months, *numbers)] = con.execute(
            f"""SELECT count(*), list(DISTINCT month::VARCHAR ORDER BY month::VARCHAR), {counts}
                FROM restatements WHERE run_id = ?""",
            [staging.run_id],
        ).fetchall()
    causes = {part: int(number) for part, number in zip(parts, numbers, strict=True) if number}
    return {"restated": Restated(int(figures), tuple(months or ()), causes)}

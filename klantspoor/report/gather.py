"""The facts of a night, from what the run staged and noted, the version before it and the diary.

Whatever a night that failed did not come to is left empty.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from klantspoor.dictionary import TABLES
from klantspoor.errors import KlantspoorError
from klantspoor.lake import Lake, Staging, Version
from klantspoor.lake.connection import literal
from klantspoor.lake.diary import nights
from klantspoor.lake.steps import noted_verdicts, steps
from klantspoor.marts.provisional import provisional_since
from klantspoor.marts.reach import SourceReach, load, of_journeys
from klantspoor.project.model import Project
from klantspoor.report.facts import Activity, Before, Facts, PastNight, SourceFacts
from klantspoor.report.kept import reports
from klantspoor.report.oddities import LAST_NIGHTS, PUBLISHING

_log = logging.getLogger("klantspoor.report")
_NEEDED = ("intake", "events", "coverage", "freshness", "person_aliases")


def gather(project: Project, lake: Lake, staging: Staging) -> Facts:
    """The facts so far; to be called before publication, for the version before may be gone after it."""
    before = lake.current()
    known = Facts(
        project=project.file.name,
        timezone=project.file.timezone,
        run_id=staging.run_id,
        as_of=staging.as_of,
        before=_before(before),
    )
    try:
        known = replace(known, reports=reports(lake.root, but=staging.run_id), nights=_nights(lake, staging, before))
        if all(staging.has(name) for name in _NEEDED):
            known = replace(known, **_staged(project, staging, before))
    except (duckdb.Error, KlantspoorError, OSError) as error:
        # A night is not failed because it could not be compared; the log says that it was not.
        _log.warning("the night could not be compared with those before: %s", type(error).__name__)
    return with_notes(known, staging)


def with_notes(facts: Facts, staging: Staging, version: str | None = None) -> Facts:
    """The facts with what the run has noted by now, and as what it was published."""
    return replace(facts, steps=tuple(steps(staging)), verdicts=noted_verdicts(staging), version=version)


def _before(before: Version | None) -> Before | None:
    if before is None:
        return None
    return Before(before.name, datetime.fromisoformat(before.manifest["as_of"]), dict(before.manifest["tables"]))


def _nights(lake: Lake, staging: Staging, before: Version | None) -> tuple[PastNight, ...]:
    """The nights that the version before and the diary know, but for this one."""
    found: dict[str, PastNight] = {}
    if before is not None and before.has("runs"):
        with before.connect() as con:
            names = [name for (name, *_) in con.execute("DESCRIBE runs").fetchall()]
            status = "any_value(night_status)" if "night_status" in names else "'published'"
            rows = con.execute(
                f"""SELECT run_id, any_value(as_of), {status}, coalesce(sum(elapsed_seconds) FILTER (step <> ?), 0),
                        max(peak_memory_mb), arg_max(step::VARCHAR, started_at)
                    FROM runs GROUP BY run_id ORDER BY min(started_at)""",
                [PUBLISHING],
            ).fetchall()
        found = {row[0]: PastNight(*row[1:]) for row in rows}
    for night in nights(lake.root):
        if night.run_id != staging.run_id and night.run_id not in found:
            outcome = str((night.report or {}).get("outcome", "unfinished"))
            seconds = sum(step.elapsed_seconds or 0.0 for step in night.steps if step.step != PUBLISHING)
            memory = max((s.peak_memory_mb for s in night.steps if s.peak_memory_mb is not None), default=None)
            found[night.run_id] = PastNight(night.as_of, outcome, seconds, memory, night.steps[-1].step)
    return tuple(found.values())


def _staged(project: Project, staging: Staging, before: Version | None) -> dict[str, Any]:
    """What the staged tables tell."""
    held_back = of_journeys(project, staging).values()
    since = provisional_since(project, staging, sorted(project.journeys))
    with staging.connect() as con:
        _views_before(con, before)
        return {
            "sources": tuple(_sources(con, load(project, staging))),
            "reach": min(((held.complete_up_to, held.source) for held in held_back), default=None),
            "provisional_since": f"{since.min() // 12:04d}-{since.min() % 12 + 1:02d}" if len(since) else None,
            "merged": _merged(con, staging.as_of) if before is not None else None,
            "changes": _changes(con, staging),
            "tables": _rows(staging),
        }


def _views_before(con: duckdb.DuckDBPyConnection, before: Version | None) -> None:
    """What the version before knew: `files_before` (sequence), `kinds_before` (source, activity), `nights_before` (as_of)."""
    queries = {
        "files_before": ("intake", "SELECT sequence", "0::BIGINT AS sequence"),
        "kinds_before": ("coverage", "SELECT DISTINCT source, activity", "'' AS source, '' AS activity"),
        "nights_before": ("runs", "SELECT DISTINCT as_of", "now() AS as_of"),
    }
    for name, (table, query, nothing) in queries.items():
        if before is not None and before.has(table):
            source = f"{query} FROM read_parquet({literal(before.glob(table))}, hive_partitioning = false)"
        else:
            source = f"SELECT {nothing} WHERE false"
        con.execute(f"CREATE TEMP TABLE {name} AS {source}")


def _sources(con: duckdb.DuckDBPyConnection, came: dict[str, SourceReach]) -> Iterator[SourceFacts]:
    files: dict[str, tuple[Any, ...]] = {
        row[0]: row[1:]
        for row in con.execute(
            """SELECT source::VARCHAR, count(*) FILTER (file_status = 'used'), coalesce(sum(rows_read)
                   FILTER (file_status = 'used'), 0)::BIGINT, coalesce(sum(quarantined) FILTER (file_status = 'used'), 0)::BIGINT,
                   sum(events_made)::BIGINT, max(landed_at) FILTER (file_status = 'used'),
                   list(sequence ORDER BY sequence) FILTER (file_status <> 'used')
               FROM intake ANTI JOIN files_before USING (sequence) GROUP BY source"""
        ).fetchall()
    }
    unseen: dict[str, list[Activity]] = {}
    for source, name, events, is_mapped in con.execute(
        """SELECT source::VARCHAR, activity::VARCHAR, max(events), bool_or(role <> 'unmapped')
           FROM (SELECT source, activity, role, sum(events)::BIGINT AS events
                 FROM coverage GROUP BY source, activity, journey_type, role, phase)
           SEMI JOIN (SELECT DISTINCT source FROM kinds_before) USING (source)
           ANTI JOIN kinds_before USING (source, activity) GROUP BY source, activity"""
    ).fetchall():
        unseen.setdefault(source, []).append(Activity(name, events, is_mapped))
    standing = con.execute(
        "SELECT source::VARCHAR, freshness::VARCHAR, complete_up_to, usual_rows, odd FROM freshness ORDER BY source"
    ).fetchall()
    for source, freshness, complete, usual, odd in standing:
        used, rows, quarantined, events, landed, unusable = files.get(source, (0, 0, 0, 0, None, None))
        yield SourceFacts(
            source,
            freshness,
            complete,
            usual,
            odd,
            files=used,
            rows=rows,
            quarantined=quarantined,
            events=events,
            unusable=_what_was_wrong(con, unusable or []),
            newest_landed_at=landed,
            deliveries=came[source].deliveries if source in came else (),
            new_activities=unseen.get(source, ()),
        )


def _what_was_wrong(con: duckdb.DuckDBPyConnection, sequences: list[int]) -> tuple[str, ...]:
    rows = con.execute(
        """SELECT file, coalesce(min(detail) FILTER (row_number = 0), 'nothing of it could be used')
           FROM (SELECT file, sequence FROM intake WHERE list_contains(?, sequence))
           LEFT JOIN (SELECT sequence, row_number, detail FROM quarantine) USING (sequence) GROUP BY file, sequence
           ORDER BY sequence""",
        [sequences],
    ).fetchall()
    return tuple(said if said.startswith(file) else f"{file}: {said}" for file, said in rows)


def _merged(con: duckdb.DuckDBPyConnection, as_of: datetime) -> tuple[int, tuple[int, ...]]:
    """Persons who became one with another: tonight, and in each of the last nights."""
    query = "SELECT since, count(*) FROM person_aliases WHERE why = 'merged' GROUP BY since"
    merged = {since: int(number) for since, number in con.execute(query).fetchall()}
    nights_ = [night for (night,) in con.execute("SELECT as_of FROM nights_before ORDER BY as_of").fetchall()]
    return merged.get(as_of, 0), tuple(merged.get(night, 0) for night in nights_[-LAST_NIGHTS:])


def _changes(con: duckdb.DuckDBPyConnection, staging: Staging) -> dict[str, int]:
    """Events that differ from those of the version before, by why."""
    path: Path = staging.root / "canonical" / "changes.parquet"
    if not path.is_file():
        return {}
    query = f"SELECT cause::VARCHAR, count(*) FROM read_parquet({literal(str(path))}) GROUP BY cause ORDER BY cause"
    return {cause: int(number) for cause, number in con.execute(query).fetchall()}


def _rows(staging: Staging) -> dict[str, int]:
    return {name: staging.rows(name) for name in TABLES if staging.has(name)}

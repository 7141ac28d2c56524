"""The facts of each source: what came since the version before, and what was never seen before."""

from __future__ import annotations

from typing import Any

import duckdb

from klantspoor.dictionary import TABLES
from klantspoor.lake import Staging, Version
from klantspoor.lake.connection import create_view, limited, literal
from klantspoor.marts.reach import load
from klantspoor.project.model import Project
from klantspoor.report.facts import Activity, SourceFacts

_MEMORY_MB = 400
_FILES = """
    SELECT source::VARCHAR, count(*) FILTER (file_status = 'used'),
        coalesce(sum(rows_read) FILTER (file_status = 'used'), 0)::BIGINT,
        coalesce(sum(quarantined) FILTER (file_status = 'used'), 0)::BIGINT, sum(events_made)::BIGINT,
        max(landed_at) FILTER (file_status = 'used'),
        list(sequence ORDER BY sequence) FILTER (file_status <> 'used'),
        list(file || ': ' || quarantined || ' of ' || rows_read || ' rows' ORDER BY sequence)
            FILTER (file_status = 'used' AND quarantined > $warn * rows_read)
    FROM intake ANTI JOIN files_before USING (sequence) GROUP BY source
"""
_NEW_ACTIVITIES = """
    SELECT source::VARCHAR, activity::VARCHAR, max(events), bool_or(role <> 'unmapped')
    FROM (SELECT source, activity, role, sum(events)::BIGINT AS events
          FROM coverage GROUP BY source, activity, journey_type, role, phase)
    SEMI JOIN (SELECT DISTINCT source FROM kinds_before) USING (source)
    ANTI JOIN kinds_before USING (source, activity) GROUP BY source, activity
"""
_UNUSABLE = """
    SELECT file, coalesce(min(detail) FILTER (row_number = 0), 'nothing of it could be used')
    FROM (SELECT file, sequence FROM intake WHERE list_contains($sequences, sequence))
    LEFT JOIN (SELECT sequence, row_number, detail FROM quarantine) USING (sequence)
    GROUP BY file, sequence ORDER BY sequence
"""


def connected(staging: Staging, *tables: str) -> duckdb.DuckDBPyConnection:
    """A connection with a view of each of the staged tables."""
    con = limited(_MEMORY_MB, staging.work("scratch"))
    for name in tables:
        create_view(con, TABLES[name], staging.folder(name))
    return con


def source_facts(project: Project, staging: Staging, before: Version | None) -> dict[str, Any]:
    """Every source's facts, as `sources`."""
    with connected(staging, "intake", "quarantine", "freshness") as con:
        _files_before(con, before)
        warn = project.file.limits.quarantine_warn_share
        files = {source: rest for source, *rest in con.execute(_FILES, {"warn": warn}).fetchall()}
        unseen = _new_activities(con, staging, before)
        reach = load(project, staging)
        standing = con.execute(
            "SELECT source::VARCHAR, freshness::VARCHAR, complete_up_to, usual_rows, odd FROM freshness ORDER BY source"
        ).fetchall()
        found = []
        for source, freshness, complete, usual, odd in standing:
            used, rows, quarantined, events, landed, unusable, spoilt = files.get(
                source, (0, 0, 0, 0, None, None, None)
            )
            found.append(
                SourceFacts(
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
                    spoilt=tuple(spoilt or ()),
                    newest_landed_at=landed,
                    deliveries=reach[source].deliveries if source in reach else (),
                    new_activities=unseen.get(source, ()),
                )
            )
    return {"sources": tuple(found)}


def _files_before(con: duckdb.DuckDBPyConnection, before: Version | None) -> None:
    """`files_before`: the sequences that the version before knows."""
    known = f"FROM read_parquet({literal(before.glob('intake'))})" if before is not None else "WHERE false"
    con.execute(f"CREATE TEMP TABLE files_before AS SELECT {'sequence' if before else '0::BIGINT AS sequence'} {known}")


def _new_activities(
    con: duckdb.DuckDBPyConnection, staging: Staging, before: Version | None
) -> dict[str, list[Activity]]:
    """Activities that the version before did not know, of sources that it knew."""
    found: dict[str, list[Activity]] = {}
    if before is None or not before.has("coverage") or not staging.has("coverage"):
        return found
    create_view(con, TABLES["coverage"], staging.folder("coverage"))
    con.execute(
        f"""CREATE TEMP TABLE kinds_before AS
            SELECT DISTINCT source, activity FROM read_parquet({literal(before.glob("coverage"))})"""
    )
    for source, name, events, is_mapped in con.execute(_NEW_ACTIVITIES).fetchall():
        found.setdefault(source, []).append(Activity(name, events, is_mapped))
    return found


def _what_was_wrong(con: duckdb.DuckDBPyConnection, sequences: list[int]) -> tuple[str, ...]:
    rows = con.execute(_UNUSABLE, {"sequences": sequences}).fetchall() if sequences else []
    return tuple(said if said.startswith(file) else f"{file}: {said}" for file, said in rows)

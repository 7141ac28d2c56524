"""The mart `coverage`: what the journey files make of every activity of every source, and what they leave unmapped.

An event counts once for each journey type that maps it (so that shares over types may add up to more than 1), and once,
under no journey type, where none does. It describes sources, not people: it is not suppressed, for nothing unmapped
may go unseen.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.journeys.rules import roles_table
from klantspoor.lake.staging import Staging
from klantspoor.project.model import Project

_COVERAGE = """
    WITH placed AS (
        SELECT kinds.source, kinds.activity, kinds.channel, roles.journey_type,
            coalesce(roles.role, 'unmapped') AS role, roles.phase, sum(kinds.events)::BIGINT AS events
        FROM kinds LEFT JOIN roles ON roles.kind = kinds.kind
        GROUP BY ALL
    ),
    whole AS (SELECT source, sum(events) AS events FROM kinds GROUP BY source)
    SELECT placed.*, coalesce(placed.events / nullif(whole.events, 0), 0) AS share
    FROM placed JOIN whole USING (source)
    ORDER BY source, activity, channel, journey_type, role
"""


def build(project: Project, staging: Staging) -> tuple[pa.Table, int]:
    """The mart; nothing is left out of it."""
    kinds = pq.read_table(staging.root / "canonical" / "all_kinds.parquet")
    roles = roles_table(project, kinds)
    with duckdb.connect() as con:
        con.register("kinds", kinds)
        con.register("roles", roles)
        return con.sql(_COVERAGE).to_arrow_table(), 0

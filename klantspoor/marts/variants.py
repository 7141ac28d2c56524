"""The mart `variants`: the distinct ways in which journeys went, as touchpoint activities and as phases.

Its unsuppressed form, every variant however rare, is a working file of the run that the process-mining models are
made from; it is never published. `share` is of all journeys of the type, those of suppressed variants included.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from klantspoor.lake.staging import Staging
from klantspoor.marts.frame import ordered
from klantspoor.project.model import Project

_VARIANTS = """
    WITH counted AS (
        SELECT journey_type, {variant} AS variant_id, count(*) AS journeys, count(DISTINCT person_id) AS persons,
            quantile_cont(lead_time_seconds, 0.5) / 3600 AS lead_time_median_hours,
            count(DISTINCT person_id) FILTER (WHERE lead_time_seconds IS NOT NULL) AS persons_ended,
            min(journey_id) AS example
        FROM journeys WHERE NOT is_mystery_guest GROUP BY ALL
    ),
    told AS (
        SELECT journey_id, list({step}::VARCHAR ORDER BY {number}) AS sequence
        FROM {steps} WHERE journey_id IN (SELECT example FROM counted) GROUP BY journey_id
    )
    SELECT counted.* EXCLUDE (example), '{level}' AS level, coalesce(sequence, []::VARCHAR[]) AS sequence
    FROM counted LEFT JOIN told ON journey_id = example
"""
_LEVELS = (
    {
        "level": "touchpoint",
        "variant": "variant_id",
        "step": "activity",
        "steps": "touchpoints",
        "number": "touchpoint_number",
    },
    {
        "level": "phase",
        "variant": "phase_variant_id",
        "step": "phase",
        "steps": "phase_visits",
        "number": "visit_number",
    },
)


def write_all(staging: Staging) -> Path:
    """Write every variant, unsuppressed, to the run's work folder.

    Columns: journey_type, variant_id, journeys, persons, lead_time_median_hours (null: none ended), persons_ended,
    level, sequence (list<string>; empty for a journey without any phase).
    """
    path = staging.work("mining") / "variants.parquet"
    with staging.connect() as con:
        con.sql(" UNION ALL BY NAME ".join(f"({_VARIANTS.format(**level)})" for level in _LEVELS)).write_parquet(
            str(path)
        )
    return path


def build(project: Project, staging: Staging) -> tuple[pa.Table, int]:
    """The mart, and how many rows were left out because they are about too few persons."""
    path = write_all(staging)
    limit = project.file.limits.suppress_below
    with staging.connect() as con:
        con.read_parquet(str(path)).create_view("every")
        ((rows,),) = con.execute("SELECT count(*) FROM every").fetchall()
        mart = con.sql(
            """
            SELECT journey_type, level, variant_id, sequence, journeys, persons,
                journeys / sum(journeys) OVER (PARTITION BY journey_type, level) AS share,
                CASE WHEN persons_ended >= $limit THEN lead_time_median_hours END AS lead_time_median_hours
            FROM every QUALIFY persons >= $limit
            """,
            params={"limit": limit},
        ).to_arrow_table()
    return ordered("variants", [mart]), int(rows) - len(mart)

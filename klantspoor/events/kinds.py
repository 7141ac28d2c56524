"""Kinds of events: the distinct (source, activity, channel, initiator, team, declared visibility, instrument).

There are few of them, so what the journey files say is worked out per kind and looked up by its number.
"""

from __future__ import annotations

import duckdb

from klantspoor.journeys.rules import KIND_COLUMNS, roles_table
from klantspoor.lake import Staging
from klantspoor.project.model import Project

_SAME = " AND ".join(f"f.{name} IS NOT DISTINCT FROM k.{name}" for name in KIND_COLUMNS)


def number_kinds(connection: duckdb.DuckDBPyConnection, project: Project, staging: Staging) -> None:
    """Makes the tables `kinds` and `winners` (`found` with its `kind`), and the Parquet files of the kinds.

    `kinds` has `kind`, `visibility`, `visibility_rule`, `source_number` (sources by name), and `mapped`: its number
    among the kinds that the kernel needs, null for the others. `canonical/all_kinds.parquet` counts the events of each.

    Raises:
        ConfigError: the journey files contradict themselves about a kind (R3).
    """
    columns = ", ".join(KIND_COLUMNS)
    connection.execute(
        f"""CREATE TEMP TABLE numbered_kinds AS
            SELECT (row_number() OVER (ORDER BY {columns}) - 1)::INTEGER AS kind, {columns}, events
            FROM (SELECT {columns}, count(*) AS events FROM found GROUP BY ALL)"""
    )
    everything = connection.sql("SELECT * FROM numbered_kinds ORDER BY kind").to_arrow_table()
    connection.register("roles", roles_table(project, everything))
    connection.execute(
        """CREATE TEMP TABLE kinds AS
           WITH said AS (
               SELECT kind, bool_or(role <> 'internal') AS is_visible,
                      min(role || CASE WHEN phase IS NULL THEN '' ELSE ' ' || phase END || ' of ' || journey_type)
                          FILTER (role <> 'internal') AS visible_rule,
                      min('internal in ' || journey_type) FILTER (role = 'internal') AS internal_rule
               FROM roles GROUP BY kind)
           SELECT k.*, (dense_rank() OVER (ORDER BY k.source))::SMALLINT AS source_number,
                  CASE WHEN declared_visibility IS NOT NULL THEN declared_visibility WHEN is_visible THEN 'visible'
                       WHEN said.kind IS NOT NULL THEN 'internal' ELSE 'unknown' END AS visibility,
                  CASE WHEN declared_visibility IS NOT NULL THEN 'declared by the source' WHEN is_visible THEN visible_rule
                       WHEN said.kind IS NOT NULL THEN internal_rule ELSE 'no journey type maps it' END AS visibility_rule,
                  CASE WHEN said.kind IS NOT NULL OR instrument IS NOT NULL
                       THEN (count(*) FILTER (said.kind IS NOT NULL OR instrument IS NOT NULL) OVER (ORDER BY k.kind) - 1)
                            ::INTEGER END AS mapped
           FROM numbered_kinds k LEFT JOIN said USING (kind)"""
    )
    connection.execute(f"CREATE TEMP TABLE winners AS SELECT f.*, k.kind FROM found f JOIN numbered_kinds k ON {_SAME}")
    folder = staging.work("canonical")
    needed = f"SELECT mapped AS kind, {columns} FROM kinds WHERE mapped IS NOT NULL ORDER BY mapped"
    for name, query in (("kinds", needed), ("all_kinds", f"SELECT kind, {columns}, events FROM kinds ORDER BY kind")):
        connection.execute(f"COPY ({query}) TO $path (FORMAT parquet)", {"path": str(folder / f"{name}.parquet")})

"""Kinds of events: the distinct (source, activity, channel, initiator, team, declared visibility, instrument).

There are few of them, so what the journey files say is worked out per kind and looked up by its number.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from klantspoor.events.base import Base
from klantspoor.journeys.rules import KIND_COLUMNS, reach_of, roles_table, said_of
from klantspoor.lake import Staging
from klantspoor.project.model import Project

_COLUMNS = ", ".join(KIND_COLUMNS)


def same_kind(rows: str, kinds: str = "k", beside: Mapping[str, str] | None = None) -> str:
    """SQL: whether a row of `rows` is of a kind of `kinds`; `beside` names columns that another table has."""
    has = beside or {}
    return " AND ".join(f"{has.get(name, rows)}.{name} IS NOT DISTINCT FROM {kinds}.{name}" for name in KIND_COLUMNS)


def find_kinds(connection: duckdb.DuckDBPyConnection, project: Project) -> None:
    """Makes `seen_kinds`, `stream_kinds`, and `winners` (`found` with its `kind` among them; `found` goes).

    `seen_kinds` are all kinds that tonight's or settled events have or had, in order: `kind`, the columns, what the
    journey files say (`visibility`, `visibility_rule`), whether the kernel needs them (`is_mapped`), and for how many
    microseconds after it such an event can still be joined or end a journey (`reach`), and a fingerprint of all that the
    configuration says of it (`said`). `stream_kinds` (kind,
    journey_type) says which are part of the streams of a journey type.

    Raises:
        ConfigError: the journey files contradict themselves about a kind (R3).
    """
    connection.execute(
        f"""CREATE TEMP TABLE numbered_kinds AS
            SELECT (row_number() OVER (ORDER BY {_COLUMNS}) - 1)::INTEGER AS kind, {_COLUMNS}
            FROM (SELECT {_COLUMNS} FROM found UNION SELECT {_COLUMNS} FROM base_kinds)"""
    )
    everything = connection.sql("SELECT * FROM numbered_kinds ORDER BY kind").to_arrow_table()
    connection.register("roles", roles_table(project, everything))
    connection.register("reaches", reach_of(project, everything))
    connection.register("sayings", said_of(project, everything))
    connection.execute(
        """CREATE TEMP TABLE stream_kinds AS SELECT DISTINCT kind, journey_type FROM roles WHERE role <> 'answer'"""
    )
    connection.execute(
        """CREATE TEMP TABLE seen_kinds AS
           WITH said AS (
               SELECT kind, bool_or(role <> 'internal') AS is_visible,
                      min(role || CASE WHEN phase IS NULL THEN '' ELSE ' ' || phase END || ' of ' || journey_type)
                          FILTER (role <> 'internal') AS visible_rule,
                      min('internal in ' || journey_type) FILTER (role = 'internal') AS internal_rule
               FROM roles GROUP BY kind)
           SELECT k.*, r.reach, s.said, said.kind IS NOT NULL OR instrument IS NOT NULL AS is_mapped,
                  CASE WHEN declared_visibility IS NOT NULL THEN declared_visibility WHEN is_visible THEN 'visible'
                       WHEN said.kind IS NOT NULL THEN 'internal' ELSE 'unknown' END AS visibility,
                  CASE WHEN declared_visibility IS NOT NULL THEN 'declared by the source' WHEN is_visible THEN visible_rule
                       WHEN said.kind IS NOT NULL THEN internal_rule ELSE 'no journey type maps it' END AS visibility_rule
           FROM numbered_kinds k JOIN reaches r USING (kind) JOIN sayings s USING (kind) LEFT JOIN said USING (kind)"""
    )
    connection.execute(
        f"CREATE TEMP TABLE winners AS SELECT f.*, k.kind FROM found f JOIN numbered_kinds k ON {same_kind('f')}"
    )
    connection.execute("DROP TABLE found")


def count_kinds(connection: duckdb.DuckDBPyConnection, staging: Staging) -> None:
    """Makes `kinds`, those of `seen_kinds` that there are events of, and the Parquet files of the kinds.

    Beside the columns of `seen_kinds`: `events` of all the ledger, `source_number` (sources by name), and `mapped`: its
    number among the kinds that the kernel needs, null for the others. The files number kinds anew, from 0 without gaps.
    """
    connection.execute(
        f"""CREATE TEMP TABLE kinds AS
            WITH counted AS (
                SELECT kind, sum(events)::BIGINT AS events FROM (
                    SELECT kind, count(*) AS events FROM winners GROUP BY kind
                    UNION ALL SELECT k.kind, b.events FROM base_kinds b JOIN seen_kinds k ON {same_kind("b")}
                    UNION ALL SELECT k.kind, -count(*) FROM leaving l JOIN seen_kinds k ON {same_kind("l")} GROUP BY k.kind)
                GROUP BY kind HAVING sum(events) > 0)
            SELECT k.*, c.events, (dense_rank() OVER (ORDER BY k.source))::SMALLINT AS source_number,
                   (row_number() OVER (ORDER BY k.kind) - 1)::INTEGER AS number,
                   CASE WHEN is_mapped THEN (count(*) FILTER (is_mapped) OVER (ORDER BY k.kind) - 1)::INTEGER END AS mapped
            FROM seen_kinds k JOIN counted c USING (kind)"""
    )
    folder = staging.work("canonical")
    needed = f"SELECT mapped AS kind, {_COLUMNS} FROM kinds WHERE mapped IS NOT NULL ORDER BY mapped"
    every = f"SELECT number AS kind, {_COLUMNS}, events FROM kinds ORDER BY number"
    for name, query in (("kinds", needed), ("all_kinds", every)):
        connection.execute(f"COPY ({query}) TO $path (FORMAT parquet)", {"path": str(folder / f"{name}.parquet")})


def remember_kinds(connection: duckdb.DuckDBPyConnection, base: Base, staging: Staging) -> None:
    """Keeps how many settled events there are of each kind: those of the base, without those that left, with tonight's."""
    base.replace(
        connection,
        staging,
        "kinds",
        f"""SELECT {", ".join(f"k.{name}" for name in KIND_COLUMNS)}, k.said, sum(c.events)::BIGINT AS events
            FROM (SELECT k.kind, b.events FROM base_kinds b JOIN seen_kinds k ON {same_kind("b")}
                  UNION ALL SELECT k.kind, -count(*) FROM leaving l JOIN seen_kinds k ON {same_kind("l")} GROUP BY k.kind
                  UNION ALL SELECT kind, count(*) FROM winners SEMI JOIN settling USING (event_id) GROUP BY kind) c
            JOIN seen_kinds k USING (kind) GROUP BY ALL HAVING sum(c.events) > 0""",
    )

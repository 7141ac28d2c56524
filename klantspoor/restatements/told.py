"""The rows of the table: every published figure of a month that was over and that is another one tonight.

What is told is decided here too (docs/privacy.md): figures are those that were published, and what is told beside them
says nothing about too few persons, nor of somebody who was forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb
import pyarrow as pa

from klantspoor.dictionary import TABLES
from klantspoor.lake import Staging, Version
from klantspoor.lake.connection import literal, view_columns
from klantspoor.restatements.figures import CAUSES, MARTS, Mart, unit
from klantspoor.restatements.parts import KEY, placed


def restated(
    con: duckdb.DuckDBPyConnection, before: Version, staging: Staging, *, month: str, limit: int, rules: bool
) -> pa.Table:
    """Tonight's rows, as the dictionary has them.

    Args:
        con: holds `parts` and `behind`.
        before: the version before.
        staging: tonight's marts.
        month: the first month that was not over in the version before ("YYYY-MM").
        limit: fewer persons than these are too few.
        rules: whether the configuration changed: what nothing else explains is then its doing.
    """
    for mart in MARTS:
        for side, glob in (("was", before.glob(mart.name)), ("became", staging.glob(mart.name))):
            con.execute(
                f"CREATE VIEW {side}_{mart.name} AS SELECT * FROM read_parquet({literal(glob)}, hive_partitioning = false)"
                f" WHERE month < {literal(month)}"
            )
    con.execute(f"CREATE TABLE split AS {_split()}")
    con.execute(f"CREATE TABLE published AS {' UNION ALL BY NAME '.join(_published(con, mart) for mart in MARTS)}")
    con.execute(f"CREATE TABLE judged AS {_judged(limit, rules)}")
    table = TABLES["restatements"]
    return con.sql(
        f"SELECT {_quoted(table.names)} FROM ({_disclosed(limit)}) ORDER BY {_quoted(table.order)}",
        params={"run_id": staging.run_id, "as_of": staging.as_of},
    ).to_arrow_table()


def _split() -> str:
    """SQL: `parts` in columns: of each cause the amount (CAUSE) and the persons it is about (CAUSE_people)."""
    columns = ", ".join(
        f'coalesce(sum(amount) FILTER (cause = {place}), 0)::BIGINT AS "{cause}",'
        f" coalesce(sum(people) FILTER (cause = {place}), 0)::BIGINT AS {cause}_people"
        for place, cause in enumerate(CAUSES)
    )
    return f"SELECT {', '.join(KEY)}, figure, {columns} FROM parts GROUP BY ALL"


def _published(con: duckdb.DuckDBPyConnection, mart: Mart) -> str:
    """SQL: the figures, sums of hours in whole seconds, of every row that differs or that changed journeys are in."""
    known = view_columns(con, f"was_{mart.name}")
    figures = [name for name in (*mart.sums, *mart.others) if name in known]
    cell, listed = ", ".join(mart.cell), ", ".join(figures)
    amounts = ", ".join(_figure(mart, name) for name in figures)
    was, became = (f"(SELECT {cell}, {amounts} FROM {side}_{mart.name})" for side in ("was", "became"))
    looked_at = f"""SELECT {cell} FROM (({was} EXCEPT ALL {became}) UNION ALL ({became} EXCEPT ALL {was}))
        UNION SELECT {cell} FROM parts WHERE mart = {literal(mart.name)}"""
    sides = " UNION ALL ".join(
        f"""SELECT {cell}, figure, value, {literal(side)} AS side FROM (
                SELECT t.* FROM {rows} AS t SEMI JOIN ({looked_at}) AS k ON {_same("t", "k", mart.cell)})
            UNPIVOT INCLUDE NULLS (value FOR figure IN ({listed}))"""
        for side, rows in (("was", was), ("became", became))
    )
    units = ", ".join(f"({literal(name)}, {literal(unit(mart, name))}, {name in mart.sums})" for name in figures)
    return f"""SELECT {literal(mart.name)} AS mart, {placed(mart)}, figure, unit, adds_up,
            max(value) FILTER (side = 'was') AS was, max(value) FILTER (side = 'became') AS became
        FROM ({sides}) JOIN (VALUES {units}) AS u(figure, unit, adds_up) USING (figure) GROUP BY ALL"""


def _figure(mart: Mart, name: str) -> str:
    # The mart's hours are whole seconds divided by 3600: rounded, they are these seconds again.
    return f"round({name} * 3600) AS {name}" if unit(mart, name) == "seconds" else f"{name}::DOUBLE AS {name}"


def _judged(limit: int, rules: bool) -> str:
    """SQL: what changed, with parts and persons; `is_hidden`: too few people were forgotten for the difference to be told.

    A figure that did not change although its parts say so is kept: the check of the table shall see it.
    """
    parts = ", ".join(f'coalesce(s."{cause}", 0) AS "{cause}"' for cause in CAUSES if cause != "rule")
    rest = " - ".join(f'coalesce(s."{cause}", 0)' for cause in CAUSES if cause != "rule")
    rule = f"coalesce((became - was)::BIGINT - {rest}, 0)" if rules else "coalesce(s.rule, 0)"
    people = ", ".join(f"coalesce(s.{cause}_people, 0) AS {cause}_people" for cause in CAUSES)
    places = [name for name in KEY if name != "persona"]
    few = f"""SELECT {", ".join(places)}, figure, bool_or(erased_people BETWEEN 1 AND {limit - 1}) AS few
        FROM split GROUP BY ALL"""
    return f"""
        SELECT p.*, became - was AS change, {parts}, {rule} AS rule, {people}, coalesce(b.people, 0) AS people,
            CASE WHEN NOT adds_up THEN e.month IS NOT NULL
            -- Who knows all personas but one knows that one too.
            WHEN p.persona IS NULL THEN coalesce(f.few, false)
            ELSE coalesce(s.erased_people, 0) BETWEEN 1 AND {limit - 1} END AS is_hidden
        FROM published AS p
        LEFT JOIN split AS s ON {_same("p", "s", (*KEY, "figure"))}
        LEFT JOIN behind AS b ON {_same("p", "b", KEY)} AND b.figure IS NOT DISTINCT FROM CASE WHEN adds_up THEN p.figure END
        LEFT JOIN ({few}) AS f ON {_same("p", "f", (*places, "figure"))}
        LEFT JOIN (SELECT DISTINCT journey_type, month FROM split WHERE erased_people > 0) AS e
            ON e.journey_type = p.journey_type AND e.month = p.month
        WHERE was IS DISTINCT FROM became
            OR adds_up AND was IS NOT NULL AND {" + ".join(f'coalesce(s."{cause}", 0)' for cause in CAUSES)} <> 0"""


def _disclosed(limit: int) -> str:
    """SQL: the rows with what may be told of them.

    The split is told where one cause alone is behind the change, or enough persons are behind each of its causes; who
    was forgotten is never alone. A split that does not add up is told in any case: the check stops the night.
    """
    causes = " + ".join(f'("{cause}" <> 0)::INTEGER' for cause in CAUSES)
    fewest = " AND ".join(f'("{cause}" = 0 OR {cause}_people >= {limit})' for cause in CAUSES)
    explained = " + ".join(f'"{cause}"' for cause in CAUSES)
    is_split = f"""adds_up AND change IS NOT NULL AND ({explained} <> change
        OR NOT is_hidden AND ({causes} = 1 AND erased = 0 OR {fewest}))"""
    parts = ", ".join(f'CASE WHEN {is_split} THEN "{cause}" END AS "{cause}"' for cause in CAUSES)
    return f"""
        SELECT $run_id AS run_id, $as_of AS as_of, {", ".join(KEY)}, figure, unit,
            CASE WHEN NOT is_hidden THEN was END AS before, became AS after,
            CASE WHEN NOT is_hidden THEN change END AS change, {parts},
            CASE WHEN people >= {limit} THEN people END AS persons_changed
        FROM judged WHERE became IS NOT NULL OR NOT is_hidden"""


def _same(left: str, right: str, columns: Iterable[str]) -> str:
    """SQL: whether the columns are the same in both, nulls too."""
    return " AND ".join(f"{left}.{name} IS NOT DISTINCT FROM {right}.{name}" for name in columns)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)

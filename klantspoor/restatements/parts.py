"""By how much each figure changed, by cause, and how many persons are behind it: from what journeys contribute.

Counts and sums add up over journeys. Persons are counted once in a cell, however many journeys they have there: they
are told by who came into the cell, and who left it.
"""

from __future__ import annotations

import duckdb

from klantspoor.lake.connection import literal
from klantspoor.restatements.figures import CELL, MARTS, PLACE, Mart

KEY = ("mart", *CELL, *PLACE)
"""The columns that tell the cells of all marts apart; what a mart has not is null."""


def find_differing(con: duckdb.DuckDBPyConnection) -> None:
    """Makes `differing_MART`, the rows of `amounts_MART` that have no equal on the other side, and `moving`.

    `moving` (person_id, journey_type, month) are the persons who may have come into a cell of that type and month, or
    left it. Whether they did depends on what did not change: `standing_MART` gets what the amounts know of that.
    """
    for mart in MARTS:
        name = mart.name
        con.execute(
            f"""CREATE TABLE differing_{name} AS SELECT * FROM amounts_{name}
                SEMI JOIN (SELECT mark FROM amounts_{name} GROUP BY mark HAVING count(*) = 1) USING (mark)"""
        )
    both = " UNION ALL ".join(
        f"SELECT person_id, journey_type, month FROM ({_comings_and_goings(mart)})" for mart in MARTS
    )
    con.execute(f"CREATE TABLE moving AS SELECT DISTINCT * FROM ({both})")
    for mart in MARTS:
        con.execute(
            f"""INSERT INTO standing_{mart.name} SELECT * FROM amounts_{mart.name}
                SEMI JOIN moving USING (person_id, journey_type, month) ANTI JOIN differing_{mart.name} USING (mark)"""
        )


def find_parts(con: duckdb.DuckDBPyConnection) -> None:
    """Makes `parts` and `behind` of `differing_MART`, `standing_MART` and `why`.

    `parts` has a row per cell, figure and cause: `amount` (whole) and `people`, the persons it is about. `behind` has a
    row per cell and figure: `people`; and one per cell without a figure, about all its figures together.
    """
    for table in (f"{prefix}_{mart.name}" for mart in MARTS for prefix in ("differing", "standing")):
        con.execute(f"INSERT INTO {table} SELECT * REPLACE (NULL AS persona) FROM {table}")
    key = ", ".join(KEY)
    con.execute(f"CREATE TABLE moved AS {' UNION ALL BY NAME '.join(_moved(mart) for mart in MARTS)}")
    con.execute(
        f"""CREATE TABLE parts AS SELECT {key}, figure, cause, sum(amount)::BIGINT AS amount,
            count(DISTINCT person_id) AS people FROM moved GROUP BY ALL"""
    )
    con.execute(
        f"""CREATE TABLE behind AS SELECT {key}, figure, count(DISTINCT person_id) AS people
            FROM (SELECT * FROM moved UNION ALL SELECT * REPLACE (NULL AS figure) FROM moved) GROUP BY ALL"""
    )


def _comings_and_goings(mart: Mart) -> str:
    """SQL: who is in a cell on one side only, as far as the journeys tell that differ there."""
    cell = ", ".join(mart.cell)
    return f"""SELECT person_id, {cell}, min(cause) AS cause,
            CASE WHEN bool_or(side = 'tonight') THEN 1 ELSE -1 END AS amount
        FROM differing_{mart.name} JOIN why USING (journey_id) WHERE journeys > 0
        GROUP BY person_id, {cell} HAVING bool_or(side = 'tonight') <> bool_or(side = 'before')"""


def _moved(mart: Mart) -> str:
    """SQL: who is behind which change of which figure, by how much and why."""
    cell, place = ", ".join(mart.cell), placed(mart)
    figures = ", ".join(mart.parts)
    deltas = ", ".join(
        f"sum(CASE side WHEN 'tonight' THEN {name} ELSE -{name} END)::BIGINT AS {name}" for name in mart.parts
    )
    same = " AND ".join(f"s.{name} IS NOT DISTINCT FROM p.{name}" for name in ("person_id", *mart.cell))
    return f"""
        SELECT {literal(mart.name)} AS mart, {place}, person_id, cause, figure, amount FROM (
            SELECT journey_id, cause, {cell}, {deltas},
                coalesce(max(person_id) FILTER (side = 'tonight'), max(person_id)) AS person_id
            FROM differing_{mart.name} JOIN why USING (journey_id) GROUP BY journey_id, cause, {cell})
        UNPIVOT (amount FOR figure IN ({figures})) WHERE amount <> 0
        UNION ALL BY NAME
        SELECT {literal(mart.name)} AS mart, {place}, p.person_id, p.cause, 'persons' AS figure, p.amount::BIGINT AS amount
        FROM ({_comings_and_goings(mart)}) AS p
        ANTI JOIN (SELECT DISTINCT person_id, {cell} FROM standing_{mart.name} WHERE journeys > 0) AS s ON {same}"""


def placed(mart: Mart) -> str:
    """SQL: the columns of `KEY` but the first, of rows that have the mart's own."""
    named = [name if name in mart.place else f"NULL::VARCHAR AS {name}" for name in PLACE]
    return ", ".join((*CELL, *named))

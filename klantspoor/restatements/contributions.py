"""What every journey contributes to every cell of the marts, by the marts' own account of what they tell.

A cell is a mart's row of one month: a phase, or a transition at one level. All amounts are whole numbers, sums of hours
in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pyarrow as pa

from klantspoor.marts import bottlenecks, frame, journey_map
from klantspoor.marts.cube import Flags, Floats, Groups, Ints, counts, grouped, totals
from klantspoor.marts.paths import UNKNOWN, Paths, make, month_name
from klantspoor.restatements.figures import BOTTLENECKS, JOURNEY_MAP, MARTS, Mart

_NEEDS = ("journeys", "touchpoints", "phase_visits", "waits")


def create_tables(con: duckdb.DuckDBPyConnection, prefix: str) -> None:
    """Empty tables PREFIX_MART: side, journey_id, person_id, the mart's cell (all personas apart), its sums, `mark`.

    Rows that are alike in all but their side have one mark.
    """
    for mart in MARTS:
        texts = ", ".join(f"{name} VARCHAR" for name in ("side", "journey_id", "person_id", *mart.cell))
        amounts = ", ".join(f"{name} BIGINT" for name in mart.parts)
        con.execute(f"CREATE TABLE {prefix}_{mart.name} ({texts}, {amounts}, mark UBIGINT)")


def contribute(
    con: duckdb.DuckDBPyConnection,
    side: str,
    chosen: str,
    *,
    zone: str,
    months: tuple[int, int],
    work: Path,
    into: str = "amounts",
) -> None:
    """Adds to INTO_MART what the journeys of one side contribute to the months that are over.

    Args:
        con: holds the tables SIDE_journeys, SIDE_touchpoints, …
        side: whose rows are taken.
        chosen: SQL of the ids (journey_id) of the journeys that are.
        zone: the project's time zone.
        months: the number of the side's current month, in which what is open is told, and that of the first month that
            was not over yet.
        work: a folder for working files.
        into: prefix of the tables.
    """
    this_month, first_open = months
    # Names and types that the marts' columns need are this cursor's own.
    with con.cursor() as own, TemporaryDirectory(dir=work) as folder:
        own.execute(f"CREATE TEMP TABLE chosen AS {chosen}")
        for table in _NEEDS:
            own.execute(
                f"CREATE TEMP VIEW {table} AS SELECT * FROM main.{side}_{table} SEMI JOIN chosen USING (journey_id)"
            )
        paths = make(own, zone, this_month, Path(folder))
        for mart, table in (
            (JOURNEY_MAP, _of_journey_map(paths, first_open)),
            *((BOTTLENECKS, _of_bottlenecks(paths, level, first_open)) for level in ("touchpoint", "phase")),
        ):
            _add(own, mart, table, side, into)


def _add(own: duckdb.DuckDBPyConnection, mart: Mart, table: pa.Table, side: str, into: str) -> None:
    own.register("contributions", table)
    told = ", ".join(("journey_id", "person_id", *mart.cell, *mart.parts))
    own.execute(
        f"""INSERT INTO main.{into}_{mart.name} SELECT $side, {told}, hash({told})
        FROM (SELECT c.*, n.journey_id, j.person_id, j.journey_type, coalesce(j.persona, $unknown) AS persona
              FROM contributions c JOIN numbered n USING (journey) JOIN journeys j ON j.journey_id = n.journey_id)""",
        {"side": side, "unknown": UNKNOWN},
    )
    own.unregister("contributions")


def _of_journey_map(paths: Paths, first_open: int) -> pa.Table:
    columns, waits, visits = journey_map.told(paths)
    groups = grouped(columns)
    stays, waited, size = groups.code[:visits], groups.code[visits:], groups.size
    (visit,) = paths.read("steps", "visit")
    visited = counts(stays, size)
    amounts: dict[str, Ints | Floats] = {
        # A journey that only waited is none of the cell's: the mart counts who visited.
        "journeys": np.minimum(visited, 1),
        "visits": visited,
        "touchpoints": counts(stays[visit[visit >= 0]], size),
        **journey_map.turns_of(paths, waits, waited, size),
    }
    names = {"phase": frame.texts(groups.values["phase"], paths.names["phase"])}
    return _table(groups, names, amounts, groups.values["month"] < first_open)


def _of_bottlenecks(paths: Paths, level: str, first_open: int) -> pa.Table:
    waits = bottlenecks.told(paths, level)
    groups = grouped(
        {"journey": waits.journey, "month": waits.month, "from_step": waits.from_step, "to_step": waits.to_step}
    )
    size, closed = groups.size, ~waits.is_open
    amounts: dict[str, Ints | Floats] = {
        "journeys": np.ones(size, dtype=np.int64),
        "waits": counts(groups.code[closed], size),
        "wait_total_hours": totals(groups.code[closed], waits.seconds[closed], size),
        **bottlenecks.split_of(paths, waits.at, groups.code, size),
    }
    steps = {name: frame.texts(groups.values[name], paths.names[waits.kind]) for name in ("from_step", "to_step")}
    names = {"level": pa.repeat(level, size), **steps}
    return _table(groups, names, amounts, groups.values["month"] < first_open)


def _table(groups: Groups, names: dict[str, pa.Array], amounts: Mapping[str, Ints | Floats], keep: Flags) -> pa.Table:
    numbers, code = np.unique(groups.values["month"], return_inverse=True)
    months = frame.texts(code, [month_name(int(number)) for number in numbers])
    columns = {"journey": pa.array(groups.values["journey"], pa.int64()), "month": months, **names}
    # Seconds come as float64, and whole: exact below 2**53.
    columns |= {name: pa.array(np.asarray(amount).astype(np.int64)) for name, amount in amounts.items()}
    return pa.table(columns).filter(pa.array(keep))

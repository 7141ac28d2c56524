"""The journeys that did not change, of persons who may have come into a cell or left it: do they hold them there?

Only these persons' journeys are read that were under way in the months in question: from the files of what is live, and
from the parts that hold settled ones of these.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from klantspoor.lake import Staging
from klantspoor.lake.connection import literal
from klantspoor.lake.parts import parts
from klantspoor.restatements.changed import READ, create_view, files_of


def find_standing(con: duckdb.DuckDBPyConnection, staging: Staging, zone: str) -> int:
    """Makes the tables unchanged_journeys, unchanged_touchpoints, …; gives the number of journeys.

    Args:
        con: holds `moving` and `changed`.
        staging: tonight's tables: what did not change is there as it was.
        zone: the project's time zone.
    """
    con.execute(
        """CREATE TEMP TABLE spans AS
           SELECT person_id, journey_type, timezone($zone, min(begins)) AS since,
                  timezone($zone, max(begins) + INTERVAL 1 MONTH) AS until
           FROM (SELECT person_id, journey_type, (month || '-01')::TIMESTAMP AS begins FROM moving) GROUP BY ALL""",
        {"zone": zone},
    )
    numbers = _parts_of_moving(con, staging)
    _show(con, staging.folder("journeys"), numbers)
    con.execute(
        f"""CREATE TABLE unchanged_journeys AS SELECT {READ["journeys"]} FROM unchanged_files
            JOIN spans USING (person_id, journey_type) ANTI JOIN changed USING (journey_id)
            WHERE started_at < until AND (ended_at IS NULL OR ended_at >= since)"""
    )
    for table in ("touchpoints", "phase_visits", "waits"):
        _show(con, staging.folder(table), numbers)
        con.execute(
            f"CREATE TABLE unchanged_{table} AS SELECT {READ[table]} FROM unchanged_files"
            " SEMI JOIN unchanged_journeys USING (journey_id)"
        )
    return int(con.execute("SELECT count(*) FROM unchanged_journeys").fetchall()[0][0])


def _parts_of_moving(con: duckdb.DuckDBPyConnection, staging: Staging) -> set[int]:
    """The parts that may hold such journeys: what is noted of every settled journey says so."""
    if not any(staging.state("journeys").glob("*.parquet")):
        return set()
    noted = literal(str(staging.state("journeys") / "*.parquet"))
    rows = con.execute(
        f"""SELECT DISTINCT part FROM read_parquet({noted}) j
            JOIN (SELECT TRY_CAST('0x' || person_id AS UBIGINT) AS person, * FROM spans) m USING (person, journey_type)
            WHERE started < epoch_us(until) AND (ended IS NULL OR ended >= epoch_us(since))"""
    ).fetchall()
    return {int(part) for (part,) in rows}


def _show(con: duckdb.DuckDBPyConnection, folder: Path, numbers: set[int]) -> None:
    """The view `unchanged_files`: what is live in a table, and some of its parts."""
    there = files_of(folder)
    out = {path for number, path in parts(folder).items() if number not in numbers}
    create_view(con, "unchanged_files", [path for path in there if path not in out], like=there)

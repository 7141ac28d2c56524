"""The journeys that did not change, of persons who may have come into a cell or left it: do they hold them there?

Only these persons' journeys are read that were under way in the months in question: from the files of what is live, and
from the parts that hold settled journeys of theirs.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

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
    first = con.execute("SELECT min(month) FROM moving").fetchall()[0][0]
    numbers = _parts_of_moving(con, staging)
    _show(con, staging.folder("journeys"), numbers if first else None)
    con.execute(
        f"""CREATE TABLE unchanged_journeys AS SELECT {READ["journeys"]} FROM unchanged_files
            SEMI JOIN moving USING (person_id, journey_type) ANTI JOIN changed USING (journey_id)
            WHERE ended_at IS NULL OR ended_at >= $since""",
        {"since": _begins(first, zone) if first else datetime.max.replace(tzinfo=UTC)},
    )
    [(found,)] = con.execute("SELECT count(*) FROM unchanged_journeys").fetchall()
    for table in ("touchpoints", "phase_visits", "waits"):
        _show(con, staging.folder(table), numbers if found else None)
        con.execute(
            f"CREATE TABLE unchanged_{table} AS SELECT {READ[table]} FROM unchanged_files"
            " SEMI JOIN unchanged_journeys USING (journey_id)"
        )
    return int(found)


def _parts_of_moving(con: duckdb.DuckDBPyConnection, staging: Staging) -> set[int]:
    """The parts that may hold settled journeys of `moving`: what is noted of every settled journey says so."""
    if not any(staging.state("journeys").glob("*.parquet")):
        return set()
    noted = literal(str(staging.state("journeys") / "*.parquet"))
    rows = con.execute(
        f"""SELECT DISTINCT part FROM read_parquet({noted})
            WHERE person IN (SELECT TRY_CAST('0x' || person_id AS UBIGINT) FROM moving)"""
    ).fetchall()
    return {int(part) for (part,) in rows}


def _show(con: duckdb.DuckDBPyConnection, folder: Path, numbers: set[int] | None) -> None:
    """The view `unchanged_files`: what is live in a table, and some of its parts; without `numbers` no row."""
    there, settled = files_of(folder), parts(folder)
    out = {path for number, path in settled.items() if number not in (numbers or ())}
    files = [path for path in there if path not in out] if numbers is not None else []
    create_view(con, "unchanged_files", files, like=there)


def _begins(month: str, zone: str) -> datetime:
    return datetime.fromisoformat(f"{month}-01").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)

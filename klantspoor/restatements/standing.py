"""The journeys that did not change, of persons who may have come into a cell or left it: do they hold them there?

Only these persons' journeys that were under way in the months in question are read, from the files of the months in
which these journeys began.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from klantspoor.lake import Staging
from klantspoor.restatements.changed import READ, create_view, files_of


def find_standing(con: duckdb.DuckDBPyConnection, staging: Staging, zone: str) -> int:
    """Makes the tables unchanged_journeys, unchanged_touchpoints, …; gives the number of journeys.

    Args:
        con: holds `moving` and `changed`.
        staging: tonight's tables: what did not change is there as it was.
        zone: the project's time zone.
    """
    first, last = con.execute("SELECT min(month), max(month) FROM moving").fetchall()[0]
    files = [path for path in files_of(staging.folder("journeys")) if last is not None and _month(path) <= last]
    create_view(con, "unchanged_files", files, like=files_of(staging.folder("journeys")))
    con.execute(
        f"""CREATE TABLE unchanged_journeys AS SELECT {READ["journeys"]} FROM unchanged_files
            SEMI JOIN moving USING (person_id, journey_type) ANTI JOIN changed USING (journey_id)
            WHERE ended_at IS NULL OR ended_at >= $since""",
        {"since": _begins(first, zone) if first else datetime.max.replace(tzinfo=UTC)},
    )
    begun = {
        str(month)
        for (month,) in con.execute(
            "SELECT DISTINCT strftime(timezone($zone, started_at), '%Y-%m') FROM unchanged_journeys", {"zone": zone}
        ).fetchall()
    }
    for table in ("touchpoints", "phase_visits", "waits"):
        there = files_of(staging.folder(table))
        create_view(con, "unchanged_files", [path for path in there if _month(path) in begun], like=there)
        con.execute(
            f"CREATE TABLE unchanged_{table} AS SELECT {READ[table]} FROM unchanged_files"
            " SEMI JOIN unchanged_journeys USING (journey_id)"
        )
    return int(con.execute("SELECT count(*) FROM unchanged_journeys").fetchall()[0][0])


def _month(path: Path) -> str:
    """The month that a file is filed under; of a table without rows it is none."""
    return path.parent.name.removeprefix("month=") if path.parent.name.startswith("month=") else ""


def _begins(month: str, zone: str) -> datetime:
    return datetime.fromisoformat(f"{month}-01").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)

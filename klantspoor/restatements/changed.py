"""Which journeys differ between the version before and tonight, and their rows on both sides.

Only files that are not the very same file on both sides are read: what was settled and is not touched costs nothing.
What open journeys wait so far grows by the clock alone and counts for a provisional month: it makes no difference.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from klantspoor.lake import Staging, Version
from klantspoor.lake.connection import literal

SIDES = ("before", "tonight")
READ = {
    "journeys": "journey_id, person_id, journey_type, persona, status, outcome, started_at, is_mystery_guest",
    "touchpoints": "journey_id, touchpoint_number, activity, phase, channel, started_at, wait_before_seconds",
    "phase_visits": "journey_id, visit_number, phase, phase_number, left_at, dwell_seconds, is_last",
    "waits": "journey_id, touchpoint_number, turn, cause, seconds, is_open",
}
"""What the narrow columns of the marts are made from."""
_TELLS = {
    "journeys": "person_id, journey_type, persona, status = 'open', is_mystery_guest",
    "touchpoints": "touchpoint_number, activity, phase, started_at",
    "phase_visits": "visit_number, phase, left_at, is_last",
    "waits": "touchpoint_number, turn, cause, seconds",
}
"""What of it decides counts and sums: journeys alike in this are told alike."""


def find_changed(con: duckdb.DuckDBPyConnection, before: Version, staging: Staging, *, every: bool) -> int:
    """Makes the table `changed` (journey_id), and for either side the rows of these journeys and maybe of others.

    The tables are called SIDE_TABLE, such as `before_waits`; `members` says which events their journeys hold.

    Args:
        con: holds `persons` (person_id), whose events changed.
        before: the version before.
        staging: tonight's tables.
        every: whether any journey may have changed, as after a change of configuration; else only those of `persons`
            and those whose own row differs are looked at.

    Returns:
        How many journeys differ.
    """
    for table in (*READ, "touchpoint_events"):
        files = differing(before.root / table, staging.folder(table))
        for side, (mine, other) in zip(SIDES, (files, files[::-1]), strict=True):
            create_view(con, f"{side}_{table}_files", mine, like=mine or other or files_of(staging.folder(table)))
    con.execute(f"CREATE TABLE touched AS {_EVERY if every else _TOUCHED}")
    for side in SIDES:
        for table, columns in READ.items():
            con.execute(
                f"CREATE TABLE {side}_{table} AS SELECT {columns} FROM {side}_{table}_files SEMI JOIN touched"
                " USING (journey_id)"
            )
    con.execute(
        f"""CREATE TABLE changed AS SELECT journey_id FROM (
            {" UNION ALL ".join(_marks(side, table) for side in SIDES for table in READ)})
            GROUP BY journey_id HAVING sum(mark) <> 0"""
    )
    con.execute(
        " UNION ALL ".join(
            f"""{"CREATE TABLE members AS " if side == SIDES[0] else ""}
            SELECT {literal(side)} AS side, journey_id, event_id
            FROM {side}_touchpoint_events_files SEMI JOIN changed USING (journey_id)"""
            for side in SIDES
        )
    )
    return int(con.execute("SELECT count(*) FROM changed").fetchall()[0][0])


def _marks(side: str, table: str, rows: str = "") -> str:
    """SQL: a number for every row, such that those of equal rows of the two sides cancel.

    Two different journeys whose 64-bit hashes have the same sum would go unseen; the figures would then not add up, and
    the check of the table says so.
    """
    sign = "-" if side == SIDES[0] else ""
    where = "WHERE NOT is_open" if table == "waits" else ""
    return (
        f"SELECT journey_id, {sign}(hash({literal(table)}, {_TELLS[table]})::HUGEINT) AS mark"
        f" FROM {rows or f'{side}_{table}'} {where}"
    )


_TOUCHED = f"""
    SELECT journey_id FROM (
        {" UNION ALL ".join(_marks(side, "journeys", f"{side}_journeys_files") for side in SIDES)})
    GROUP BY journey_id HAVING sum(mark) <> 0
    UNION SELECT journey_id FROM before_journeys_files SEMI JOIN persons USING (person_id)
    UNION SELECT journey_id FROM tonight_journeys_files SEMI JOIN persons USING (person_id)"""
_EVERY = "SELECT journey_id FROM before_journeys_files UNION SELECT journey_id FROM tonight_journeys_files"


def differing(before: Path, tonight: Path) -> tuple[list[Path], list[Path]]:
    """The files of two folders that are not one and the same file under the same name."""
    left, right = ({path.relative_to(root): path for path in files_of(root)} for root in (before, tonight))
    same = {name for name in left.keys() & right.keys() if left[name].samefile(right[name])}
    return (
        [path for name, path in left.items() if name not in same],
        [path for name, path in right.items() if name not in same],
    )


def create_view(con: duckdb.DuckDBPyConnection, name: str, files: list[Path], like: list[Path]) -> None:
    """A view of the rows of `files`; without any it has the columns of `like` and no row."""
    listed = ", ".join(literal(str(path)) for path in files or like[:1])
    con.execute(
        f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM read_parquet([{listed}], hive_partitioning = false)"
        + ("" if files else " WHERE false")
    )


def files_of(folder: Path) -> list[Path]:
    """The Parquet files below a folder, sorted."""
    return sorted(folder.rglob("*.parquet"))

"""The stage `restatements`: which figures that were published last night changed, by how much, and why.

It compares the version before with tonight's tables, journey by journey, and reads only what differs. The first night
restates nothing.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from klantspoor.dictionary import TABLES
from klantspoor.lake import Lake, Staging, Version
from klantspoor.lake.connection import limited
from klantspoor.marts.paths import month_name, month_number
from klantspoor.project.model import Project
from klantspoor.restatements import diary
from klantspoor.restatements.causes import find_causes, read_changes, rules_changed
from klantspoor.restatements.changed import SIDES, find_changed
from klantspoor.restatements.contributions import contribute, create_tables
from klantspoor.restatements.parts import find_differing, find_parts
from klantspoor.restatements.standing import find_standing
from klantspoor.restatements.told import restated

_TOGETHER = 200_000
"""Changed journeys whose narrow columns are in memory at a time."""


def build(project: Project, lake: Lake, staging: Staging) -> int:
    """Builds and stages the table `restatements`; gives its number of rows.

    Needs all tables of journeys, the marts `journey_map` and `bottlenecks`, `intake`, and `canonical/changes.parquet`
    and `changed.json` of the events stage.

    Raises:
        LakeError: where one of these is not there.
    """
    before = lake.current()
    work = staging.work("restatements")
    with limited(project.file.limits.memory_mb, work) as con:
        if before is None:
            rows = diary.write(con, staging, None, TABLES["restatements"].schema.empty_table(), forgotten=False)
        else:
            tonight = _tonight(con, project, before, staging, work)
            forgotten = diary.was_forgotten(con, staging, before)
            rows = diary.write(con, staging, before, tonight, forgotten=forgotten)
    # It names events of whoever was forgotten, and has served.
    (staging.work("canonical") / "changes.parquet").unlink(missing_ok=True)
    return rows


def _tonight(
    con: duckdb.DuckDBPyConnection, project: Project, before: Version, staging: Staging, work: Path
) -> pa.Table:
    zone = project.file.timezone
    clocks = {"before": datetime.fromisoformat(before.manifest["as_of"]), "tonight": staging.as_of}
    current = {side: month_number(clock, zone) for side, clock in clocks.items()}
    first_open = min(current.values())
    rules = rules_changed(staging, before)
    read_changes(con, staging)
    number = find_changed(con, before, staging, every=rules)
    find_causes(con, rules=rules)
    create_tables(con, "amounts")
    create_tables(con, "standing")
    parts = -(-number // _TOGETHER)
    for part in range(parts):
        chosen = f"SELECT journey_id FROM main.changed WHERE hash(journey_id) % {parts} = {part}"
        for side in SIDES:
            contribute(con, side, chosen, zone=zone, months=(current[side], first_open), work=work)
    find_differing(con)
    if find_standing(con, staging, zone):
        chosen = "SELECT journey_id FROM main.unchanged_journeys"
        months = (current["tonight"], first_open)
        contribute(con, "unchanged", chosen, zone=zone, months=months, work=work, into="standing")
    find_parts(con)
    limit = project.file.limits.suppress_below
    return restated(con, before, staging, month=month_name(first_open), limit=limit, rules=rules)

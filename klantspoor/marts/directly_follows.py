"""The mart `directly_follows`: which touchpoint activity follows which, how often, and after how long a wait.

Over all personas and months. A pair counts as often as it occurs; its wait is null-free: 0 where contacts overlap.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from klantspoor.lake.staging import Staging
from klantspoor.marts import frame
from klantspoor.marts.cube import Percentiles, arranged, counts, distinct, grouped
from klantspoor.marts.paths import load
from klantspoor.project.model import Project


def build(project: Project, staging: Staging) -> tuple[pa.Table, int]:
    """The mart, and how many rows were left out because they are about too few persons."""
    paths = load(project, staging)
    journey, activity, wait = paths.read("steps", "journey", "activity", "wait_before")
    journey_type, person = paths.read("journeys", "journey_type", "person")
    second = np.flatnonzero(journey[1:] == journey[:-1]) + 1
    journey, wait = journey[second], wait[second]
    groups = grouped(
        {"journey_type": journey_type[journey], "from": activity[second - 1], "to": activity[second]},
    )
    median, p90 = Percentiles(wait).of(groups.code, groups.size, (0.5, 0.9))
    order = arranged(groups.code, groups.size)
    code, journey = groups.code[order], journey[order]
    persons = distinct(code, person[journey], groups.size)
    columns: dict[str, object] = {
        "journey_type": frame.texts(groups.values["journey_type"], paths.names["journey_type"]),
        "from_step": frame.texts(groups.values["from"], paths.names["activity"]),
        "to_step": frame.texts(groups.values["to"], paths.names["activity"]),
        "occurrences": counts(groups.code, groups.size),
        "journeys": distinct(code, journey, groups.size),
        "persons": persons,
        "wait_median_hours": frame.hours(median),
        "wait_p90_hours": frame.hours(p90),
    }
    keep = persons >= project.file.limits.suppress_below
    return frame.ordered("directly_follows", [frame.table("directly_follows", columns, keep)]), int(
        np.count_nonzero(~keep)
    )

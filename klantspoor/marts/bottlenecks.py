"""The mart `bottlenecks`: every transition that customers waited in, and what we and our partners cost them there.

One row per transition, level, journey type, persona and month, and the roll-ups over persona and month (null: all
together). A transition is told at two levels:

- *touchpoint*: from one touchpoint's activity to the next one's;
- *phase*: from the phase to the phase of the next touchpoint. A touchpoint without a phase has the last one known
  before it, so that waiting within a phase is that phase to itself; waits before any phase is known are in no row of
  this level.

Percentiles and `wait_total_hours` are those of closed waits. A wait still running has no next step: it is in the row
with `to_step` null, of the month of `as_of`, whose split over turns and causes is of the time so far
(`open_wait_total_hours`). The splits of a row so always add up to `wait_total_hours + open_wait_total_hours`, and
`blame_share` counts both: among those who still wait are those who wait longest. It is of the whole, transitions
about too few persons to be shown included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from klantspoor.lake.staging import Staging
from klantspoor.marts import frame
from klantspoor.marts.cube import (
    Flags,
    Floats,
    Groups,
    Ints,
    Percentiles,
    arranged,
    counts,
    distinct,
    grouped,
    rollups,
    totals,
)
from klantspoor.marts.paths import CAUSES, TURNS, Paths, load
from klantspoor.marts.provisional import Months, provisional_since
from klantspoor.project.model import Project

_CAUSE_COLUMNS = {
    "partner": "partner_cause_hours",
    "working": "working_hours",
    "closed": "closed_hours",
    "handover": "handover_hours",
    "queueing": "queueing_hours",
    "unexplained": "unexplained_hours",
}


def build(project: Project, staging: Staging) -> tuple[pa.Table, int]:
    """The mart, and how many rows were left out because they are about too few persons."""
    paths = load(project, staging)
    since = provisional_since(project, staging, paths.names["journey_type"])
    levels = [_level(paths, level, project.file.limits.suppress_below, since) for level in ("touchpoint", "phase")]
    parts = [part for level, _ in levels for part in level]
    return frame.ordered("bottlenecks", parts), sum(left_out for _, left_out in levels)


def _level(paths: Paths, level: str, limit: int, since: Months) -> tuple[list[pa.Table], int]:
    waits = told(paths, level)
    journey, wait, is_open, kind = waits.journey, waits.seconds, waits.is_open, waits.kind
    groups = _grouped(paths, waits)
    split = split_of(paths, waits.at, groups.code, groups.size)
    (person,) = paths.read("journeys", "person")
    closed = Percentiles(wait[~is_open])
    result, left_out = [], 0
    for coarse, of_group in rollups(groups, ("persona", "month")):
        figures = {name: totals(of_group, amounts, coarse.size) for name, amounts in split.items()}
        columns, persons = _figures(coarse, closed, journey, person, wait, is_open, figures)
        keep = persons >= limit
        left_out += int(np.count_nonzero(~keep))
        month = coarse.values["month"]
        columns |= {
            "journey_type": frame.texts(coarse.values["journey_type"], paths.names["journey_type"]),
            "persona": frame.texts(coarse.values["persona"], paths.names["persona"]),
            "month": frame.months(month),
            "is_provisional": month >= since[coarse.values["journey_type"]],
            "level": pa.repeat(level, coarse.size),
            "from_step": frame.texts(coarse.values["from"], paths.names[kind]),
            "to_step": frame.texts(coarse.values["to"], paths.names[kind]),
        }
        result.append(frame.table("bottlenecks", columns, keep))
    return result, left_out


@dataclass(frozen=True, slots=True)
class Told:
    """The waits that one level tells of, a row each: journey, month and steps (of `kind`) as codes, seconds, openness.

    `to` is -1 for a wait that is open. `at` has a row for every touchpoint: the place of the wait after it among these
    (-1: it has none).
    """

    kind: str
    journey: Ints
    month: Ints
    from_step: Ints
    to_step: Ints
    seconds: Ints
    is_open: Flags
    at: Ints


def told(paths: Paths, level: str) -> Told:
    """The waits of which `level` ("touchpoint" or "phase") knows the steps."""
    kind, step_column = ("activity", "activity") if level == "touchpoint" else ("phase", "known")
    journey, step, wait, is_open, month = paths.read("steps", "journey", step_column, "wait", "wait_open", "wait_month")
    after = np.where(is_open, -1, np.roll(step, -1))
    chosen = np.flatnonzero((wait >= 0) & (step >= 0))
    at = np.full(len(journey), -1, dtype=np.int32)
    at[chosen] = np.arange(len(chosen), dtype=np.int32)
    return Told(
        kind,
        journey=journey[chosen],
        month=month[chosen],
        from_step=step[chosen],
        to_step=after[chosen],
        seconds=wait[chosen],
        is_open=is_open[chosen],
        at=at,
    )


def _grouped(paths: Paths, waits: Told) -> Groups:
    journey_type, persona = paths.read("journeys", "journey_type", "persona")
    return grouped(
        {
            "journey_type": journey_type[waits.journey],
            "persona": persona[waits.journey],
            "month": waits.month,
            "from": waits.from_step,
            "to": waits.to_step,
        }
    )


def split_of(paths: Paths, at: Ints, code: Ints, size: int) -> dict[str, Floats]:
    """Seconds of every group by turn and by cause: `code` gives the group of each wait, `at` is that of `Told`."""
    turns, causes = (size, len(TURNS)), (size, len(CAUSES))
    by_turn, by_cause = np.zeros(turns), np.zeros(causes)
    for step, turn, cause, seconds in paths.blocks("stretches", "step", "turn", "cause", "seconds"):
        place = at[step]
        known = place >= 0
        group = code[place[known]].astype(np.int64)
        by_turn += totals(group * len(TURNS) + turn[known], seconds[known], size * len(TURNS)).reshape(turns)
        by_cause += totals(group * len(CAUSES) + cause[known], seconds[known], size * len(CAUSES)).reshape(causes)
    split = {f"{name}_wait_hours": by_turn[:, number] for number, name in enumerate(TURNS)}
    return split | {column: by_cause[:, CAUSES.index(name)] for name, column in _CAUSE_COLUMNS.items()}


def _figures(
    groups: Groups,
    closed: Percentiles,
    journey: Ints,
    person: Ints,
    wait: Ints,
    is_open: Flags,
    split: dict[str, Floats],
) -> tuple[dict[str, object], Ints]:
    """Every figure of every group, and the persons each is about."""
    size, code = groups.size, groups.code
    closed_code, closed_wait = code[~is_open], wait[~is_open]
    median, p90 = closed.of(closed_code, size, (0.5, 0.9))
    order = arranged(code, size)
    in_order, journey = code[order], journey[order]
    persons = distinct(in_order, person[journey], size)
    ours = split["organisation_wait_hours"] + split["partner_wait_hours"]
    whole = grouped({name: groups.values[name] for name in ("journey_type", "persona", "month")})
    all_ours = totals(whole.code, ours, whole.size)[whole.code]
    columns: dict[str, object] = {name: frame.hours(seconds) for name, seconds in split.items()}
    columns |= {
        "journeys": distinct(in_order, journey, size),
        "persons": persons,
        "waits": counts(closed_code, size),
        "wait_median_hours": frame.hours(median),
        "wait_p90_hours": frame.hours(p90),
        "wait_total_hours": frame.hours(totals(closed_code, closed_wait, size)),
        "blame_share": np.divide(ours, all_ours, out=np.zeros(size), where=all_ours > 0),
        "open_waits": counts(code[is_open], size),
        "open_wait_total_hours": frame.hours(totals(code[is_open], wait[is_open], size)),
    }
    return columns, persons

"""The mart `journey_map`: what a phase of a journey type takes and costs, per persona and month.

One row per phase, and the roll-ups over persona and month (null: all together). A row is about the visits that left
the phase in that month (of open journeys, the last visit is not left: it is in the month of `as_of`, its dwell the
stay so far):

- `journeys`, `persons`, `visits`, `touchpoints` and the dwell are those of the visits;
- the wait figures are of closed waits that began in the phase and ended in the month. A wait belongs to the phase of
  the touchpoint before it, or, if that has none, to the last phase known before. Waits still running are in
  `bottlenecks`. A month in which waits of a phase ended but no visit left it has no row: those waits are in the row
  of all months;
- `channel_mix` is the share of the touchpoints of the phase per channel ("unknown": the source names none). Channels
  that too few persons used are left out of it, so that it may add up to less than 1;
- `drop_off_share`: of the settled journeys among them, those for which this was the last phase and which were
  abandoned or failed.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from klantspoor.lake.staging import Staging
from klantspoor.marts import frame
from klantspoor.marts.cube import (
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
from klantspoor.marts.paths import TURNS, UNKNOWN, Paths, load
from klantspoor.marts.provisional import Months, provisional_since
from klantspoor.marts.suppression import hidden
from klantspoor.project.model import Project


def build(project: Project, staging: Staging) -> tuple[pa.Table, int]:
    """The mart, and how many rows were left out because they are about too few persons."""
    paths = load(project, staging)
    limit = project.file.limits.suppress_below
    since = provisional_since(project, staging, paths.names["journey_type"])
    groups, waits, visits = _groups(paths)
    turns = turns_of(paths, waits, groups.code[visits:], groups.size)
    dwells = Percentiles(paths.read("visits", "dwell")[0])
    journey, wait = paths.read("steps", "journey", "wait")
    lengths = Percentiles(wait[waits])
    waiting = paths.read("journeys", "person")[0][journey[waits]]
    parts, left_out = [], 0
    for coarse, of_group in rollups(groups, ("persona", "month")):
        by_turn = {name: totals(of_group, seconds, coarse.size) for name, seconds in turns.items()}
        columns, persons = _stays(paths, coarse, dwells, visits, limit)
        columns |= _waiting(coarse, lengths, waiting, by_turn, limit)
        columns |= _contacts(paths, coarse, visits, limit)
        columns |= _labels(paths, coarse, since)
        keep = persons >= limit
        # Groups of waits alone are not rows, and so not left out of any.
        left_out += int(np.count_nonzero((persons > 0) & ~keep))
        parts.append(frame.table("journey_map", columns, keep))
    return frame.ordered("journey_map", parts), left_out


def told(paths: Paths) -> tuple[dict[str, Ints], Ints, int]:
    """What the mart tells of: visits, then closed waits, each as the journey, month and phase it counts for.

    Beside them the touchpoints before those waits (their places), and the number of visits.
    """
    visits = paths.read("visits", "journey", "month", "phase")
    journey, known, wait, is_open, month = paths.read("steps", "journey", "known", "wait", "wait_open", "wait_month")
    waits = np.flatnonzero((wait >= 0) & ~is_open & (known >= 0))
    both = zip(visits, (journey[waits], month[waits], known[waits]), strict=True)
    columns = [np.concatenate(pair) for pair in both]
    return dict(zip(("journey", "month", "phase"), columns, strict=True)), waits, len(visits[0])


def _groups(paths: Paths) -> tuple[Groups, Ints, int]:
    """Visits, then closed waits, put into the same groups; the touchpoints before those waits; the number of visits."""
    columns, waits, visits = told(paths)
    journeys = columns.pop("journey")
    journey_type, persona = paths.read("journeys", "journey_type", "persona")
    return grouped({"journey_type": journey_type[journeys], "persona": persona[journeys], **columns}), waits, visits


def turns_of(paths: Paths, waits: Ints, code: Ints, size: int) -> dict[str, Floats]:
    """Seconds waited in every group by turn: `code` gives the group of each of `waits`, `size` how many there are."""
    (journey,) = paths.read("steps", "journey")
    group = np.full(len(journey), -1, dtype=np.int64)
    group[waits] = code
    shape = (size, len(TURNS))
    by_turn = np.zeros(shape)
    for step, turn, seconds in paths.blocks("stretches", "step", "turn", "seconds"):
        cell = group[step]
        mine = cell >= 0
        by_turn += totals(cell[mine] * len(TURNS) + turn[mine], seconds[mine], size * len(TURNS)).reshape(shape)
    return {f"{name}_wait_hours": by_turn[:, number] for number, name in enumerate(TURNS)}


def _stays(
    paths: Paths, groups: Groups, dwells: Percentiles, visits: int, limit: int
) -> tuple[dict[str, object], Ints]:
    """What is about the visits, and the persons it is about."""
    code, size = groups.code[:visits], groups.size
    journey, is_last = paths.read("visits", "journey", "is_last")
    person, is_open, is_lost = paths.read("journeys", "person", "is_open", "is_lost")
    median, p90 = dwells.of(code, size, (0.5, 0.9))
    lost = counts(code[is_last & is_lost[journey]], size)
    order = arranged(code, size)
    code, journey = code[order], journey[order]
    persons = distinct(code, person[journey], size)
    columns: dict[str, object] = {
        "journeys": distinct(code, journey, size),
        "persons": persons,
        "visits": counts(code, size),
        "dwell_median_hours": frame.hours(median),
        "dwell_p90_hours": frame.hours(p90),
    }
    settled = ~is_open[journey]
    code, journey = code[settled], journey[settled]
    settled_journeys = distinct(code, journey, size)
    share = np.divide(lost, settled_journeys, out=np.full(size, np.nan), where=settled_journeys > 0)
    share = hidden(share, distinct(code, person[journey], size), limit)
    return columns | {"drop_off_share": pa.array(share, pa.float64(), from_pandas=True)}, persons


def _waiting(
    groups: Groups, lengths: Percentiles, persons_of: Ints, by_turn: dict[str, Floats], limit: int
) -> dict[str, object]:
    """What is about the waits that began in the phase; hidden where too few persons waited."""
    size = groups.size
    code = groups.code[len(groups.code) - len(persons_of) :]
    order = arranged(code, size)
    persons = distinct(code[order], persons_of[order], size)
    median, p90 = lengths.of(code, size, (0.5, 0.9))
    seconds = {"wait_median_hours": median, "wait_p90_hours": p90} | by_turn
    return {name: frame.hours(hidden(amounts, persons, limit)) for name, amounts in seconds.items()}


def _contacts(paths: Paths, groups: Groups, visits: int, limit: int) -> dict[str, object]:
    """The touchpoints of the phase, and the JSON object of their shares per channel, largest first."""
    journey, channel, visit = paths.read("steps", "journey", "channel", "visit")
    (person,) = paths.read("journeys", "person")
    phased = np.flatnonzero(visit >= 0)
    cells = grouped({"group": groups.code[:visits][visit[phased]], "channel": channel[phased]})
    touchpoints = counts(cells.code, cells.size)
    order = arranged(cells.code, cells.size)
    told = distinct(cells.code[order], person[journey[phased[order]]], cells.size) >= limit
    group = cells.values["group"]
    together = totals(group, touchpoints, groups.size).astype(np.int64)
    share = touchpoints / together[group]
    names = [*paths.names["channel"], UNKNOWN]  # -1, no channel, is the last
    mixes: list[dict[str, float]] = [{} for _ in range(groups.size)]
    for cell in np.lexsort((cells.values["channel"], -share)):
        if told[cell]:
            name = names[int(cells.values["channel"][cell])]
            mix = mixes[int(group[cell])]
            mix[name] = round(mix.get(name, 0.0) + float(share[cell]), 6)
    texts = pa.array([json.dumps(mix, ensure_ascii=False) for mix in mixes], pa.string())
    return {"touchpoints": together, "channel_mix": texts}


def _labels(paths: Paths, groups: Groups, since: Months) -> dict[str, object]:
    visits = grouped(dict(zip(("type", "phase", "number"), _phases(paths), strict=True)))
    places = {
        (int(t), int(p)): int(n)
        for t, p, n in zip(visits.values["type"], visits.values["phase"], visits.values["number"], strict=True)
    }
    month, types, phases = groups.values["month"], groups.values["journey_type"], groups.values["phase"]
    return {
        "journey_type": frame.texts(types, paths.names["journey_type"]),
        "persona": frame.texts(groups.values["persona"], paths.names["persona"]),
        "month": frame.months(month),
        "phase": frame.texts(phases, paths.names["phase"]),
        "phase_number": pa.array([places[int(t), int(p)] for t, p in zip(types, phases, strict=True)], pa.int64()),
        "is_provisional": month >= since[types],
    }


def _phases(paths: Paths) -> tuple[Ints, Ints, Ints]:
    journey, phase, number = paths.read("visits", "journey", "phase", "phase_number")
    (journey_type,) = paths.read("journeys", "journey_type")
    return journey_type[journey], phase, number

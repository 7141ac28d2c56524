"""The figures that PM4Py and pandas can reckon too, three ways, from the same staged touchpoints.

Per journey type: which activity follows which, how often and after which median wait (from start to start, as PM4Py
reckons it, where the others are told to); which activities journeys start and end with; every distinct sequence with
its number of journeys. Each way prints a digest of its counts, which must be the same for all.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

Told = dict[str, Any]
Pairs = dict[tuple[str, str, str], int]
_COLUMNS = ["journey_id", "journey_type", "touchpoint_number", "activity", "started_at"]


def _digest(
    pairs: Iterable[tuple[str, ...]], variants: Iterable[tuple[str, int]], ends: Iterable[tuple[str, ...]]
) -> str:
    return sha256(repr((sorted(pairs), sorted(variants), sorted(ends))).encode()).hexdigest()[:16]


def ours(root: Path) -> Told:
    """The marts directly_follows and variants, nothing suppressed; they also count persons, p90 waits and lead times."""
    import shutil

    import pyarrow.parquet as pq

    from bench.tasks import Parts
    from bench.world import open_bench, project
    from klantspoor.marts import directly_follows, variants

    parts = Parts()
    limits = project().file.limits.model_copy(update={"suppress_below": 1})
    everything = project().model_copy(update={"file": project().file.model_copy(update={"limits": limits})})
    with open_bench(root) as staging:
        # The night makes the narrow columns once for three marts: here they are made for this one alone.
        shutil.rmtree(staging.work("marts"))
        follows, _ = directly_follows.build(everything, staging)
        parts.done("directly follows, waits")
        rows = [row for row in pq.read_table(variants.write_all(staging)).to_pylist() if row["level"] == "touchpoint"]
        parts.done("variants, starts, ends")
    columns = (follows[name].to_pylist() for name in ("journey_type", "from_step", "to_step", "occurrences"))
    counted = [(row["journey_type"], row["sequence"], row["journeys"]) for row in rows]
    return {"parts": parts.seconds, "digest": _told(zip(*columns, strict=True), counted)}


def with_queries(root: Path) -> Told:
    """Two queries on our tables, which hold the activity before, the wait before and the variant already."""
    from bench.tasks import Parts
    from bench.world import open_bench

    with open_bench(root) as staging, staging.connect() as connection:
        parts = Parts()
        pairs = connection.execute(
            """SELECT journey_type, previous_activity, activity, count(*), median(wait_before_seconds)
               FROM touchpoints WHERE previous_activity IS NOT NULL GROUP BY ALL"""
        ).fetchall()
        parts.done("directly follows, waits")
        counted = connection.execute(
            """WITH v AS (SELECT journey_type, count(*) AS n, min(journey_id) AS journey_id
                          FROM journeys GROUP BY journey_type, variant_id)
               SELECT v.journey_type, list(activity ORDER BY touchpoint_number), any_value(n)
               FROM touchpoints t JOIN v USING (journey_id) GROUP BY v.journey_type, journey_id"""
        ).fetchall()
        parts.done("variants, starts, ends")
    return {"parts": parts.seconds, "digest": _told([pair[:4] for pair in pairs], counted)}


def _told(pairs: Iterable[tuple[Any, ...]], variants: list[tuple[str, Any, int]]) -> str:
    follows = [(str(t), str(a), str(b), int(n)) for t, a, b, n in pairs]
    return _digest(follows, [(" > ".join([t, *steps]), int(n)) for t, steps, n in variants], _ends(variants))


def _ends(variants: Iterable[tuple[str, Any, int]]) -> list[tuple[str, ...]]:
    """(type, "start" or "end", activity, journeys) from distinct sequences."""
    counted: dict[tuple[str, str, str], int] = {}
    for journey_type, sequence, journeys in variants:
        for side, place in (("start", 0), ("end", -1)):
            key = (journey_type, side, str(sequence[place]))
            counted[key] = counted.get(key, 0) + int(journeys)
    return [(*key, str(journeys)) for key, journeys in counted.items()]


def _frame(root: Path) -> Any:
    """The touchpoints as pandas and PM4Py users would load them."""
    import pandas as pd

    folder = root / "work" / "bench" / "tables" / "touchpoints"
    return pd.read_parquet(sorted(folder.rglob("*.parquet")), columns=_COLUMNS)


def with_pandas(root: Path) -> Told:
    """Vectorised pandas: one sort, shifted columns, group-bys; sequences told apart by a hash summed over their steps."""
    import numpy as np
    import pandas as pd

    from bench.tasks import Parts

    parts = Parts()
    frame = _frame(root)
    parts.done("read")
    frame = frame.sort_values(["journey_id", "touchpoint_number"], ignore_index=True)
    for name in ("journey_type", "activity"):
        frame[name] = frame[name].astype("category")
    journey = (frame["journey_id"] != frame["journey_id"].shift()).cumsum()
    follows = journey == journey.shift()
    steps = pd.DataFrame(
        {
            "type": frame["journey_type"],
            "before": frame["activity"].shift(),
            "after": frame["activity"],
            "wait": frame["started_at"] - frame["started_at"].shift(),
        }
    )[follows]
    groups = steps.groupby(["type", "before", "after"], observed=True)["wait"]
    pairs = pd.DataFrame({"n": groups.size(), "median": groups.median()}).reset_index()
    parts.done("directly follows, waits")
    place = frame["touchpoint_number"].to_numpy().astype(np.uint64)
    code = frame["activity"].cat.codes.to_numpy().astype(np.uint64)
    frame["word"] = pd.util.hash_array(code * np.uint64(1_000_003) + place)
    first = ~follows
    heads = pd.DataFrame(
        {
            "type": frame["journey_type"][first].to_numpy(),
            "start": frame["activity"][first].to_numpy(),
            "end": frame["activity"][first.shift(-1, fill_value=True)].to_numpy(),
            "row": np.flatnonzero(first),
            "word": frame.groupby(journey)["word"].sum().to_numpy(),
        }
    )
    found = heads.groupby(["type", "word"], observed=True)["row"].agg(["size", "first"]).reset_index()
    lengths = heads["row"].shift(-1, fill_value=len(frame)) - heads["row"]
    length = dict(zip(heads["row"], lengths, strict=True))
    activity = frame["activity"].astype(object).to_numpy()
    counted = [
        (" > ".join([t, *activity[row : row + length[row]]]), int(n))
        for t, n, row in zip(found["type"], found["size"], found["first"], strict=True)
    ]
    ends = [
        (str(t), side, str(a), str(n))
        for side in ("start", "end")
        for (t, a), n in heads.groupby(["type", side], observed=True).size().items()
    ]
    parts.done("variants, starts, ends")
    told = [(str(r.type), str(r.before), str(r.after), int(r.n)) for r in pairs.itertuples()]
    return {"parts": parts.seconds, "digest": _digest(told, counted, ends)}


def with_pm4py(root: Path) -> Told:
    """PM4Py's own functions, on one journey type at a time as its users do."""
    sys_banner_off()
    import pm4py

    from bench.tasks import Parts

    parts = Parts()
    frame = _frame(root)
    parts.done("read")
    names = {"case_id_key": "case:concept:name", "activity_key": "concept:name", "timestamp_key": "time:timestamp"}
    frame = frame.sort_values(["journey_id", "touchpoint_number"], ignore_index=True).rename(
        columns={"journey_id": "case:concept:name", "activity": "concept:name", "started_at": "time:timestamp"}
    )
    frame["concept:name"] = frame["concept:name"].astype(str)
    parts.done("sort")
    pairs: list[tuple[str, ...]] = []
    counted: list[tuple[str, int]] = []
    ends: list[tuple[str, ...]] = []
    spent = dict.fromkeys(("directly follows", "waits", "variants, starts, ends"), 0.0)
    for journey_type, log in frame.groupby("journey_type", observed=True):
        type_ = str(journey_type)
        dfg, _, _ = pm4py.discover_dfg(log, **names)
        pairs += [(type_, a, b, int(n)) for (a, b), n in dfg.items()]
        _book(parts, spent, "directly follows")
        pm4py.discover_performance_dfg(log, **names)
        _book(parts, spent, "waits")
        found = pm4py.get_variants(log, **names)
        counted += [(" > ".join([type_, *variant]), int(n)) for variant, n in found.items()]
        for side, get in (("start", pm4py.get_start_activities), ("end", pm4py.get_end_activities)):
            ends += [(type_, side, str(a), str(n)) for a, n in get(log, **names).items()]
        _book(parts, spent, "variants, starts, ends")
    return {"parts": parts.seconds | spent, "digest": _digest(pairs, counted, ends)}


def _book(parts: Any, spent: dict[str, float], part: str) -> None:
    parts.done(part)
    spent[part] = round(spent[part] + parts.seconds.pop(part), 2)


def sys_banner_off() -> None:
    """PM4Py prints a banner when imported, unless told not to."""
    import sys

    sys._pm4py_welcome_shown = True  # type: ignore[attr-defined]

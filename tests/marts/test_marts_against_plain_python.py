"""The marts against a recomputation in plain Python that shares nothing with them."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from mart_world import AS_OF, NOTHING_CAME, ZONE, Rows, journey_rows, project, stage, stage_kinds

from klantspoor.lake import Staging
from klantspoor.marts import build, suppressed

Row = dict[str, Any]
NOW = AS_OF.astimezone(ZoneInfo(ZONE)).strftime("%Y-%m")
TURNS = ["organisation", "partner", "customer", "nobody", "undetermined"]
CAUSES = {"partner": "partner_cause", "working": "working", "closed": "closed", "handover": "handover"}
CAUSES |= {"queueing": "queueing", "unexplained": "unexplained"}


@pytest.fixture(params=[(1, 1), (2, 3)], ids=["all shown", "fewer than 3 left out"], scope="module")
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterable[tuple[Rows, Staging, int]]:
    seed, limit = request.param
    rows = journey_rows(seed, journeys=220)
    with stage(tmp_path_factory.mktemp("world"), rows | NOTHING_CAME) as staging:
        stage_kinds(staging, [])
        for mart in ("journey_map", "bottlenecks", "directly_follows", "variants"):
            build(mart, project(staging.root, suppress_below=limit), staging)
        yield rows, staging, limit


def read(staging: Staging, mart: str) -> list[Row]:
    with staging.connect() as con:
        return con.sql(f"SELECT * FROM {mart}").to_arrow_table().to_pylist()


def month_of(instant: Any) -> str:
    return instant.astimezone(ZoneInfo(ZONE)).strftime("%Y-%m")


def percentile(seconds: list[int], share: float) -> float | None:
    return float(np.percentile(seconds, share * 100)) / 3600 if seconds else None


def told(rows: Rows) -> list[Row]:
    """Journeys that count, each with its touchpoints, visits and whole waits."""
    journeys = {j["journey_id"]: j | {"steps": [], "visits": [], "waits": defaultdict(list)} for j in rows["journeys"]}
    for t in rows["touchpoints"]:
        journeys[t["journey_id"]]["steps"].append(t)
    for v in rows["phase_visits"]:
        journeys[v["journey_id"]]["visits"].append(v)
    for w in rows["waits"]:
        journeys[w["journey_id"]]["waits"][w["touchpoint_number"]].append(w)
    for journey in journeys.values():
        known = None
        for step in journey["steps"]:
            known = step["known"] = step["phase"] or known
    return [j for j in journeys.values() if not j["is_mystery_guest"]]


def all_rollups(facts: Iterable[tuple[Row, str, tuple[Any, ...]]]) -> dict[tuple[Any, ...], list[Row]]:
    """Facts (fact with its journey, month, what else it is grouped by) under every key they count for."""
    result: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for fact, month, rest in facts:
        for persona in (fact["journey"]["persona"] or "unknown", None):
            for when in (month, None):
                result[fact["journey"]["journey_type"], persona, when, *rest].append(fact)
    return result


def whole_waits(journeys: list[Row]) -> Iterable[Row]:
    for journey in journeys:
        for number, stretches in journey["waits"].items():
            is_open = stretches[0]["is_open"]
            yield {
                "journey": journey,
                "seconds": sum(s["seconds"] for s in stretches),
                "stretches": stretches,
                "is_open": is_open,
                "month": NOW if is_open else month_of(max(s["ended_at"] for s in stretches)),
                "from": journey["steps"][number - 1],
                "to": None if is_open else journey["steps"][number],
            }


def people(facts: Iterable[Row]) -> int:
    return len({f["journey"]["person_id"] for f in facts})


def hours(stretches: Iterable[Row], **where: str) -> float:
    return sum(s["seconds"] for s in stretches if all(s[k] == v for k, v in where.items())) / 3600


def agree(found: list[Row], expected: dict[tuple[Any, ...], Row], key: Callable[[Row], tuple[Any, ...]]) -> None:
    by_key = {key(row): row for row in found}
    assert len(by_key) == len(found)
    assert by_key.keys() == expected.keys()
    for k, row in expected.items():
        for name, value in row.items():
            actual = by_key[k][name]
            same = (
                math.isclose(actual, value, abs_tol=1e-9)
                if isinstance(value, float) and actual is not None
                else actual == value
            )
            assert same, (k, name, actual, value)


def test_bottlenecks(world: tuple[Rows, Staging, int]) -> None:
    rows, staging, limit = world
    waits = list(whole_waits(told(rows)))
    facts = [(w, w["month"], ("touchpoint", w["from"]["activity"], w["to"] and w["to"]["activity"])) for w in waits]
    facts += [
        (w, w["month"], ("phase", w["from"]["known"], w["to"] and w["to"]["known"]))
        for w in waits
        if w["from"]["known"]
    ]
    groups = all_rollups(facts)
    blamed: dict[tuple[Any, ...], float] = defaultdict(float)
    ours = {k: sum(hours(w["stretches"], turn=t) for w in g for t in TURNS[:2]) for k, g in groups.items()}
    for k in groups:
        blamed[k[:4]] += ours[k]
    expected = {}
    for k, group in groups.items():
        if people(group) < limit:
            continue
        closed = [w["seconds"] for w in group if not w["is_open"]]
        opened = [w["seconds"] for w in group if w["is_open"]]
        stretches = [s for w in group for s in w["stretches"]]
        expected[k] = {
            "is_provisional": k[2] == NOW,
            "journeys": len({w["journey"]["journey_id"] for w in group}),
            "persons": people(group),
            "waits": len(closed),
            "wait_median_hours": percentile(closed, 0.5),
            "wait_p90_hours": percentile(closed, 0.9),
            "wait_total_hours": sum(closed) / 3600,
            "blame_share": ours[k] / blamed[k[:4]] if blamed[k[:4]] else 0.0,
            "open_waits": len(opened),
            "open_wait_total_hours": sum(opened) / 3600,
            **{f"{turn}_wait_hours": hours(stretches, turn=turn) for turn in TURNS},
            **{f"{name}_hours": hours(stretches, cause=cause) for cause, name in CAUSES.items()},
        }
    assert any(k[5] is None for k in expected)
    names = ("journey_type", "persona", "month", "level", "from_step", "to_step")
    agree(read(staging, "bottlenecks"), expected, lambda row: tuple(row[n] for n in names))
    assert suppressed(staging, "bottlenecks") == len(groups) - len(expected)


def test_journey_map(world: tuple[Rows, Staging, int]) -> None:
    rows, staging, limit = world
    journeys = told(rows)
    visits = all_rollups(
        (v | {"journey": j}, NOW if v["is_last"] and j["status"] == "open" else month_of(v["left_at"]), (v["phase"],))
        for j in journeys
        for v in j["visits"]
    )
    waits = all_rollups(
        (w, w["month"], (w["from"]["known"],)) for w in whole_waits(journeys) if w["from"]["known"] and not w["is_open"]
    )
    expected = {}
    for k, group in visits.items():
        if people(group) < limit:
            continue
        mine = waits.get(k, [])
        shown = not 0 < people(mine) < limit
        lengths = [w["seconds"] for w in mine]
        settled = [v for v in group if v["journey"]["status"] != "open"]
        ids = {v["journey"]["journey_id"] for v in settled}
        lost = {v["journey"]["journey_id"] for v in settled if v["is_last"] and is_lost(v["journey"])}
        dwell = [v["dwell_seconds"] for v in group]
        expected[k] = {
            "phase_number": group[0]["phase_number"],
            "is_provisional": k[2] == NOW,
            "journeys": len({v["journey"]["journey_id"] for v in group}),
            "persons": people(group),
            "visits": len(group),
            "touchpoints": sum(v["touchpoints"] for v in group),
            "dwell_median_hours": percentile(dwell, 0.5),
            "dwell_p90_hours": percentile(dwell, 0.9),
            "wait_median_hours": percentile(lengths, 0.5) if shown else None,
            "wait_p90_hours": percentile(lengths, 0.9) if shown else None,
            "drop_off_share": len(lost) / len(ids) if ids and people(settled) >= limit else None,
            **{
                f"{turn}_wait_hours": hours((s for w in mine for s in w["stretches"]), turn=turn) if shown else None
                for turn in TURNS
            },
        }
    found = read(staging, "journey_map")
    agree(found, expected, lambda row: tuple(row[n] for n in ("journey_type", "persona", "month", "phase")))
    for row in found:
        group = visits[row["journey_type"], row["persona"], row["month"], row["phase"]]
        assert json.loads(row["channel_mix"]) == pytest.approx(channel_mix(group, limit), abs=1e-6)
    assert suppressed(staging, "journey_map") == len(visits) - len(expected)


def is_lost(journey: Row) -> bool:
    return journey["outcome"] != "achieved" and (journey["status"] == "abandoned" or journey["outcome"] == "failed")


def channel_mix(visits: list[Row], limit: int) -> dict[str, float]:
    """Shares of the touchpoints of these visits by channel; those of too few people left out."""
    used: dict[str, list[str]] = defaultdict(list)
    for visit in visits:
        steps = [t for t in visit["journey"]["steps"] if t["phase"]]
        numbered = 0
        for before, step in pairwise([None, *steps]):
            numbered += before is None or before["phase"] != step["phase"]
            if numbered == visit["visit_number"]:
                used[step["channel"] or "unknown"].append(visit["journey"]["person_id"])
    whole = sum(map(len, used.values()))
    return {channel: len(persons) / whole for channel, persons in used.items() if len(set(persons)) >= limit}


def test_directly_follows(world: tuple[Rows, Staging, int]) -> None:
    rows, staging, limit = world
    pairs: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for journey in told(rows):
        for step in journey["steps"][1:]:
            pairs[journey["journey_type"], step["previous_activity"], step["activity"]].append(
                step | {"journey": journey}
            )
    expected = {
        k: {
            "occurrences": len(group),
            "journeys": len({s["journey_id"] for s in group}),
            "persons": people(group),
            "wait_median_hours": percentile([s["wait_before_seconds"] for s in group], 0.5),
            "wait_p90_hours": percentile([s["wait_before_seconds"] for s in group], 0.9),
        }
        for k, group in pairs.items()
        if people(group) >= limit
    }
    names = ("journey_type", "from_step", "to_step")
    agree(read(staging, "directly_follows"), expected, lambda row: tuple(row[n] for n in names))
    assert suppressed(staging, "directly_follows") == len(pairs) - len(expected)


def test_variants(world: tuple[Rows, Staging, int]) -> None:
    rows, staging, limit = world
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    whole: dict[tuple[str, str], int] = defaultdict(int)
    for j in told(rows):
        for level, steps in (
            ("touchpoint", [s["activity"] for s in j["steps"]]),
            ("phase", [v["phase"] for v in j["visits"]]),
        ):
            groups[j["journey_type"], level, tuple(steps)].append({"journey": j})
            whole[j["journey_type"], level] += 1
    expected = {}
    for k, group in groups.items():
        if people(group) < limit:
            continue
        ended = [f for f in group if f["journey"]["lead_time_seconds"] is not None]
        lengths = [f["journey"]["lead_time_seconds"] for f in ended]
        expected[k] = {
            "journeys": len(group),
            "persons": people(group),
            "share": len(group) / whole[k[:2]],
            "lead_time_median_hours": percentile(lengths, 0.5) if people(ended) >= limit else None,
        }
    assert ("buy", "phase", ()) in expected
    found = read(staging, "variants")
    agree(found, expected, lambda row: (row["journey_type"], row["level"], tuple(row["sequence"])))
    assert len({(row["journey_type"], row["level"], row["variant_id"]) for row in found}) == len(found)
    assert suppressed(staging, "variants") == len(groups) - len(expected)


def test_a_table_written_again_is_read_again(tmp_path: Path) -> None:
    rows = journey_rows(3, journeys=20)
    for count in (20, 10):
        kept = {r["journey_id"] for r in rows["journeys"][:count]}
        some = {name: [r for r in table if r["journey_id"] in kept] for name, table in rows.items()}
        with stage(tmp_path, some) as staging:
            build("directly_follows", project(tmp_path), staging)
            expected = sum(len(j["steps"]) - 1 for j in told(rows) if j["journey_id"] in kept)
            assert sum(row["occurrences"] for row in read(staging, "directly_follows")) == expected


def test_no_journeys_at_all_make_empty_marts(tmp_path: Path) -> None:
    with stage(
        tmp_path, {"journeys": [], "touchpoints": [], "phase_visits": [], "waits": []} | NOTHING_CAME
    ) as staging:
        stage_kinds(staging, [])
        for mart in ("journey_map", "bottlenecks", "directly_follows", "variants"):
            assert build(mart, project(tmp_path), staging) == 0

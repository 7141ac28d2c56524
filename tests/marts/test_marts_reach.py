"""How far a source reaches: against a search that tries every minute, and what must not move it; and provisional months."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mart_world import AS_OF, NOTHING_CAME, ZONE, journey_rows, project, stage, stage_kinds
from test_marts_coverage_and_freshness import event_row, file_row, source

from klantspoor.lake import Staging
from klantspoor.marts import build
from klantspoor.marts.deliveries import Missed, margin
from klantspoor.marts.reach import HeldBack, SourceReach, load, of_journeys

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
Row = dict[str, Any]


def reach(root: Path, files: list[Row], events: list[Row], **limits: Any) -> dict[str, SourceReach]:
    with stage(root, {"intake": files, "events": events}) as staging:
        return load(project(root, limits=limits), staging)


def nights(number: int, at_hour: float = 1.0) -> list[Row]:
    """A file a night for so many nights; the newest landed `at_hour` hours before the night's clock."""
    return [file_row(n + 1, "crm", 24 * (number - 1 - n) + at_hour) for n in range(number)]


def event(number: int, file: Row, before_landing: timedelta) -> Row:
    row = event_row(number, "crm", 0)
    return row | {
        "occurred_at": file["landed_at"] - before_landing,
        "received_at": file["landed_at"],
        "file_sequence": file["sequence"],
    }


def days_of_events(files: list[Row], rng: random.Random, late_share: float = 0.0, a_night: int = 60) -> list[Row]:
    """Events of the day before each file lands, up to two hours before it; some come one to five days later."""
    events = []
    for file in files:
        for _ in range(a_night):
            age = timedelta(hours=rng.uniform(2, 26))
            if rng.random() < late_share:
                age += timedelta(days=rng.uniform(1, 5))
            events.append(event(len(events), file, age))
    return events


def delivery_age(landed_at: datetime) -> int:
    """Days back from the night's clock, by the clock on the wall."""
    now, then = (at.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None) for at in (AS_OF, landed_at))
    return math.floor((now - then) / timedelta(days=1))


def by_search(files: list[Row], events: list[Row], share: float) -> datetime:
    """The definition, naively: the least whole number of minutes that will do, tried one after another."""
    days: dict[int, list[Row]] = defaultdict(list)
    for file in files:
        days[delivery_age(file["landed_at"])].append(file)
    landed = {age: max(file["landed_at"] for file in of_day) for age, of_day in days.items()}
    order = sorted(days, reverse=True)
    before = {age: landed[earlier] for earlier, age in pairwise(order)}
    brought = {age: [e for e in events if e["file_sequence"] in {f["sequence"] for f in days[age]}] for age in order}
    counted = [age for age in order if age in before and brought[age]]

    def missed(least: int) -> float:
        shares = sorted(
            sum(before[age] - e["occurred_at"] > least * MINUTE for e in brought[age]) / len(brought[age])
            for age in counted
        )
        kept = shares[: len(shares) - math.ceil(len(shares) / 10)]
        return sum(kept) / len(kept)

    allowed = next(least for least in range(10**7) if missed(least) <= share + 1e-12)
    newest, gaps, moved = None, [], 0
    for age in order:
        reached = sorted(e["occurred_at"] for e in brought[age] if e["occurred_at"] <= landed[age])[-2:]
        best = max([*reached[:1], *([newest] if newest else [])], default=None)
        if best is not None:
            gaps.append(landed[age] - best)
            moved = len(gaps) if best != newest else moved
        newest = best
    assert newest is not None
    gaps = sorted(gaps[:moved])
    return min(landed[order[-1]] - max(allowed * MINUTE, gaps[0]), newest + gaps[math.floor(len(gaps) * 0.75)])


@pytest.mark.parametrize("seed", range(12))
def test_it_is_the_least_margin_that_will_do(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    files = [f for f in nights(rng.randrange(6, 14), rng.uniform(0, 20)) if rng.random() < 0.85 or f["sequence"] == 1]
    files += [file_row(100 + n, "crm", rng.uniform(0, 24 * 5)) for n in range(rng.randrange(4))]
    events = [
        event(n, rng.choice(files), timedelta(hours=rng.choice([rng.uniform(-1, 30), rng.uniform(0, 200)])))
        for n in range(rng.choice([40, 300]))
    ]
    share = rng.choice([0.7, 0.9, 0.95])
    found = reach(tmp_path, files, events, complete_share=share)["crm"]
    assert found.complete_up_to == by_search(files, events, 1 - share)


def test_a_source_that_is_always_in_time_is_complete_to_its_newest_event_but_one(tmp_path: Path) -> None:
    files = nights(10)
    events = [
        event(n, file, timedelta(hours=age)) for n, (file, age) in enumerate((f, a) for f in files for a in (2, 3, 9))
    ]
    assert reach(tmp_path, files, events)["crm"].complete_up_to == files[-1]["landed_at"] - 3 * HOUR


def test_few_late_events_do_not_move_it_and_many_do(tmp_path: Path) -> None:
    files = nights(30)
    few = reach(tmp_path / "few", files, days_of_events(files, random.Random(1), 0.02))["crm"]
    many = reach(tmp_path / "many", files, days_of_events(files, random.Random(1), 0.2))["crm"]
    assert few.complete_up_to is not None
    assert many.complete_up_to is not None
    assert files[-1]["landed_at"] - few.complete_up_to < 4 * HOUR
    assert timedelta(days=1) < files[-1]["landed_at"] - many.complete_up_to < timedelta(days=6)


@pytest.mark.parametrize(
    "odd",
    [timedelta(days=-400), timedelta(hours=-1), timedelta(0), timedelta(days=4000)],
    ids=["far future", "future", "as it lands", "long ago"],
)
def test_a_single_wrong_time_does_not_move_it(tmp_path: Path, odd: timedelta) -> None:
    files = nights(30)
    events = days_of_events(files, random.Random(2), 0.02)
    plain = reach(tmp_path / "plain", files, events)["crm"].complete_up_to
    moved = reach(tmp_path / "odd", files, [*events, event(10**6, files[-1], odd)])["crm"].complete_up_to
    assert plain is not None
    assert moved is not None
    assert abs(moved - plain) < HOUR


def test_one_delivery_of_old_rows_does_not_move_it(tmp_path: Path) -> None:
    files = nights(12)
    events = days_of_events(files, random.Random(3))
    history = [event(10**6 + n, files[-2], timedelta(days=30, hours=n)) for n in range(3000)]
    plain, with_history = (
        reach(tmp_path / name, files, some)["crm"].complete_up_to
        for name, some in (("plain", events), ("history", [*events, *history]))
    )
    assert plain == with_history


def test_files_with_nothing_new_do_not_carry_it_on(tmp_path: Path) -> None:
    files = nights(40)
    events = days_of_events(files[:25], random.Random(4))
    found = reach(tmp_path, files, events)["crm"].complete_up_to
    assert found is not None
    assert abs(found - files[24]["landed_at"]) < 4 * HOUR


def test_a_source_whose_recent_files_bring_nothing_at_all_reaches_as_far_as_it_did(tmp_path: Path) -> None:
    files = [file_row(1, "crm", 24 * 200), *nights(70)[1:]]
    events = [event(n, files[0], timedelta(hours=n)) for n in range(5)]
    assert reach(tmp_path, files, events)["crm"].complete_up_to == files[0]["landed_at"] - HOUR


def test_deliveries_are_counted_by_day_and_channel(tmp_path: Path) -> None:
    files = [file_row(1, "crm", 30), file_row(2, "crm", 5, rows=10, quarantined=2), file_row(3, "crm", 2, rows=5)]
    files.append(file_row(4, "crm", 1, rows=0, file_status="quarantined"))
    events = [
        event(1, files[0], HOUR),
        event(2, files[1], HOUR) | {"channel": "web"},
        event(3, files[2], 30 * HOUR) | {"channel": "web", "visibility": "unknown"},
        event(4, files[2], HOUR),
    ]
    first, now = reach(tmp_path, files, events)["crm"].deliveries
    assert (first.is_first, first.age, first.files, first.events) == (True, 1, 1, 1)
    assert (now.is_first, now.age, now.files, now.rows, now.quarantined) == (False, 0, 2, 15, 2)
    assert (now.events, now.late, now.unmapped, now.channels) == (3, 1, 1, {"web": 2})
    assert now.landed_at == files[2]["landed_at"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 500), st.integers(1, 9)), max_size=30),
    st.dictionaries(st.integers(0, 9), st.integers(20, 300), min_size=1),
    st.floats(0, 1),
)
def test_the_margin_is_one_that_will_do_and_no_smaller_one_does(
    missed: list[tuple[int, int, int]], events: dict[int, int], share: float
) -> None:
    columns = [np.array([row[place] for row in missed], np.int64) for place in range(3)]
    found = margin(Missed(*columns), events, share)

    def beyond(least: int) -> float:
        shares = sorted(
            sum(n for a, minutes, n in missed if a == age and minutes > least) / whole for age, whole in events.items()
        )
        kept = shares[: len(shares) - math.ceil(len(shares) / 10)]
        return sum(kept) / len(kept) if kept else 0.0

    assert beyond(found) <= share + 1e-9
    assert found == 0 or beyond(found - 1) > share - 1e-9


def staged(root: Path, complete: dict[str, datetime], expected: dict[str, str]) -> Staging:
    """Journeys of both types, and sources that reach so far; `crm` and `history` feed moving, `web` feeds both."""
    files, events = [], []
    for number, (name, moment) in enumerate(complete.items(), start=1):
        files.append(file_row(number, name, 1))
        events += [event_row(10 * number + n, name, 0, file=number) | {"occurred_at": moment} for n in range(2)]
    rows = journey_rows(5, journeys=200) | {"events": events, "intake": files}
    staging = stage(root, rows)
    of = {"crm": "plan", "history": "plan", "web": "look", "other": "nobody maps it"}
    kinds = [(name, of[name], None, None, None, None, None, 2) for name in complete]
    kinds += [("web", "plan", None, None, None, None, None, 1)]
    stage_kinds(staging, kinds)
    sources = {name: source(name, every=every) for name, every in expected.items()}
    for mart in ("journey_map", "bottlenecks"):
        build(mart, project(root, sources=sources), staging)
    assert of_journeys(project(root, sources=sources), staging)
    return staging


def provisional(staging: Staging, mart: str) -> dict[str, set[str]]:
    query = f"SELECT DISTINCT journey_type, month FROM {mart} WHERE is_provisional"
    found: dict[str, set[str]] = defaultdict(set)
    with staging.connect() as con:
        for journey_type, month in con.execute(query).fetchall():
            found[journey_type].add(month)
    return found


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC)


@pytest.mark.parametrize(
    ("crm", "web", "moving", "buy"),
    [
        ("2024-06-01T00:00", "2024-06-01T00:00", {"2024-06"}, {"2024-06"}),
        ("2024-05-31T23:59", "2024-06-01T00:00", {"2024-05", "2024-06"}, {"2024-06"}),
        ("2024-06-01T00:00", "2024-04-30T12:00", {"2024-04", "2024-05", "2024-06"}, {"2024-04", "2024-05", "2024-06"}),
    ],
)
def test_a_month_is_provisional_until_all_that_feeds_the_type_reaches_its_end(
    tmp_path: Path, crm: str, web: str, moving: set[str], buy: set[str]
) -> None:
    long_ago = local("2020-01-01T00:00")
    complete = {"crm": local(crm), "web": local(web), "history": long_ago, "other": long_ago}
    expected = {"crm": "night", "web": "week", "history": "never", "other": "night"}
    with staged(tmp_path, complete, expected) as staging:
        for mart in ("journey_map", "bottlenecks"):
            assert provisional(staging, mart) == {"moving": moving, "buy": buy}, mart


def test_sources_that_come_once_count_where_there_is_no_other(tmp_path: Path) -> None:
    complete = {"web": local("2024-05-20T00:00"), "crm": local("2024-05-10T00:00")}
    with staged(tmp_path, complete, {"web": "never", "crm": "never"}) as staging:
        found = of_journeys(project(tmp_path), staging)
        assert found == {"moving": HeldBack(complete["crm"], "crm"), "buy": HeldBack(complete["web"], "web")}
        assert provisional(staging, "journey_map")["buy"] == {"2024-05", "2024-06"}


def test_without_sources_the_running_month_alone_is_provisional(tmp_path: Path) -> None:
    with stage(tmp_path, journey_rows(5, journeys=200) | NOTHING_CAME) as staging:
        stage_kinds(staging, [])
        build("bottlenecks", project(tmp_path), staging)
        assert provisional(staging, "bottlenecks") == {"moving": {"2024-06"}, "buy": {"2024-06"}}

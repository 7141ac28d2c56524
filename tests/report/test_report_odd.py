"""What is odd against the usual: hand-counted scores, few false alarms on days that are all alike, and planted oddities."""

from __future__ import annotations

from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_world import delivery, facts, nights, simulated, source, step, up_to

from klantspoor.marts.deliveries import Delivery
from klantspoor.report.facts import Activity
from klantspoor.report.oddities import Odd, oddities
from klantspoor.report.usual import of_amount, of_count, of_share


def rules(found: list[Odd]) -> list[str]:
    return [odd.rule for odd in found]


def of_source(deliveries: list[Delivery], **more: object) -> list[Odd]:
    return oddities(facts(sources=[source("crm", deliveries, **more)], steps=[]))


def test_the_modified_z_score_by_hand() -> None:
    # Seconds 1, 2, 4, 8, 16, 32, 64: logarithms 0 to 6 (in units of log 2), each held against the median of the others
    # (3.5, 3.5, 3.5, 3, 2.5, 2.5, 2.5), so off by 3.5, 2.5, 1.5, 0, 1.5, 2.5, 3.5: the MAD is 2.5. 8 192 is 2^13, so 10 from
    # the median: 0.6745 * 10 / 2.5.
    usual = of_amount(8192, [1, 2, 4, 8, 16, 32, 64])
    assert usual is not None
    assert (usual.median, usual.number) == (8, 7)
    assert usual.score == pytest.approx(0.6745 * 10 / 2.5)
    assert not usual.is_high


def test_a_count_must_be_more_than_chance_and_more_than_days_differ() -> None:
    alike = [(0, 100)] * 10
    usual = of_count(60, alike, 0)
    assert usual is not None
    chance = 2 * sqrt(60.375) - 2 * sqrt(100.375)
    assert usual.score == pytest.approx(chance), "days that never differ: chance alone counts"
    wild = [(0, count) for count in (20, 40, 80, 100, 120, 160, 320)]
    usual = of_count(10, wild, 0)
    assert usual is not None
    assert -3.5 < usual.score < 0, "far beyond chance, and less than a day differs from the others"


def test_a_count_is_held_against_its_weekday_where_that_is_known() -> None:
    weeks = [(day, count) for _ in range(5) for day, count in enumerate((100, 100, 100, 100, 100, 20, 10))]
    monday, sunday = of_count(10, weeks, 0), of_count(10, weeks, 6)
    assert monday is not None
    assert sunday is not None
    assert monday.is_low
    assert (monday.median, monday.number, monday.is_weekday) == (100, 5, True)
    assert (sunday.score, sunday.median) == (0.0, 10)
    first = of_count(9, weeks[:14], 6)
    assert first is not None
    assert not first.is_low, "with two Sundays known, a Sunday a little below the lowest day is none to speak of"


def test_a_share_by_hand() -> None:
    usual = of_share(20, 100, [(2, 100)] * 8)
    assert usual is not None
    assert usual.median == 0.02
    expected = np.arcsin(sqrt(20.375 / 100.75)) - np.arcsin(sqrt(2.375 / 100.75))
    assert usual.score == pytest.approx(min(float(expected) * sqrt(402), float(expected) / 0.02)), "days are all alike"


@pytest.mark.parametrize("known", [0, 6])
def test_too_little_is_known(known: int) -> None:
    assert of_count(5, [(0, 100)] * known, 0) is None
    assert of_share(5, 10, [(0, 100)] * known + [(0, 0)] * 9) is None
    assert of_amount(5, [1.0] * known) is None


@given(
    st.integers(0, 10**9),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 10**9)), min_size=7, max_size=60),
    st.integers(0, 6),
)
def test_a_higher_count_never_scores_lower(value: int, before: list[tuple[int, int]], weekday: int) -> None:
    low, high = of_count(value, before, weekday), of_count(value + 1 + value // 2, before, weekday)
    assert low is not None
    assert high is not None
    assert low.score <= high.score + 1e-9


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=60), st.integers(0, 50), st.integers(0, 50))
def test_shares_of_anything_are_judged(before: list[tuple[int, int]], part: int, more: int) -> None:
    told = [(k, k + n) for k, n in before]
    usual = of_share(part, part + more, told)
    assert usual is None or usual.score == 0 or (usual.score > 0) == (part / (part + more) > usual.median)


@pytest.mark.parametrize(("level", "spread"), [(8, 0.0), (200, 0.1), (200, 0.3), (20_000, 0.2)])
def test_days_that_are_all_alike_raise_few_alarms(level: float, spread: float) -> None:
    rng = np.random.default_rng(int(level))
    alarms: list[Odd] = []
    looked = 0
    for _ in range(2):
        days = simulated(rng, level, spread, 130)
        for night in range(7, len(days)):
            alarms += of_source(up_to(days, night))
            looked += 1
    # Six figures a night; one false alarm in fifty nights of a source at most.
    assert len(alarms) <= looked / 50, alarms


def spoil(rows: float = 1, quarantined: float = 0, late: float = 0, unmapped: float = 0) -> Delivery:
    """A last delivery of a source of 300 rows a day: so many times the rows, and so large shares."""
    number = round(300 * rows)
    return delivery(
        0, number, late=round(late * number), unmapped=round(unmapped * number), quarantined=round(quarantined * number),
        channels={"phone": number // 3, "web": number - number // 3},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("last", "rule"),
    [
        (spoil(rows=0.3), "rows"),
        (spoil(rows=3), "rows"),
        (spoil(quarantined=0.3), "quarantined"),
        (spoil(late=0.4), "late"),
        (spoil(unmapped=0.3), "unmapped"),
        (replace(spoil(), channels={"web": 300}), "channels"),
    ],
)
def test_what_is_planted_is_found(last: Delivery, rule: str) -> None:
    for seed in range(15):
        days = simulated(np.random.default_rng(seed), 300, 0.1, 60)[:-1]
        found = of_source([*days, last])
        assert rule in rules(found), (seed, found)
        assert all(odd.subject == "crm" and odd.step == "ledger" for odd in found)


def test_each_says_the_number_and_the_usual() -> None:
    days = [delivery(age) for age in range(56, 0, -1)]
    low, late, gone = of_source([*days, delivery(0, 40, late=20, channels={"phone": 40})])
    assert low.says == "40 rows came; usual: 100 (last 8 of this weekday)"
    assert late.says == "50% of its events came more than a day late; usual: 0% (last 56 deliveries)"
    assert gone.says == "nothing came through web (usual: 100 events)"


def test_what_did_not_come_tonight_is_not_judged_again() -> None:
    days = [delivery(age) for age in range(56, 0, -1)]
    assert of_source([*days, delivery(0, 5)], newest_landed_at=None, files=0) == []


def test_a_file_far_too_small_is_the_matter_of_freshness() -> None:
    days = [delivery(age) for age in range(56, 0, -1)]
    assert "rows" not in rules(of_source([*days, delivery(0, 5)], freshness="small"))


def test_activities_never_seen_before_are_named_those_that_nobody_maps_first() -> None:
    new = [
        Activity("Quote sent", 12, True),
        Activity("A\x1b[2J", 1, False),
        Activity("B", 3, False),
        Activity("C", 2, False),
    ]
    (odd,) = of_source([], new_activities=new)
    assert odd.rule == "new_activities"
    assert odd.says.startswith("4 activities never seen before: B (3 events, unmapped), C (2 events, unmapped), A")
    assert odd.says.endswith("and 1 more")


def test_a_long_night_and_much_memory_are_odd_and_the_step_is_named() -> None:
    steps = [step("ledger", 8), step("events", 140, 900.0), step("publication", 500)]
    time, memory = oddities(facts(steps=steps, nights=nights(10)))
    assert (time.rule, time.step) == ("time", "events")
    assert time.says == "it took 2 min; usual: 30 s (last 10 nights); events took 2 min"
    assert (memory.rule, memory.step) == ("memory", "events")
    assert memory.says == "events held 900 MiB of memory; usual at most: 500 (last 10 nights)"


@pytest.mark.parametrize("steps", [[step("events", 80)], [step("events", 30, 590.0)], [step("events", 0.1, 10.0)]])
def test_a_little_longer_is_not_worth_telling(steps: list[object]) -> None:
    assert oddities(facts(steps=steps, nights=nights(10))) == []


def test_nights_that_failed_are_not_what_is_usual() -> None:
    failed = [replace(night, status="failed", seconds=1.0) for night in nights(20)]
    assert oddities(facts(steps=[step("events", 140)], nights=[*failed, *nights(6)])) == []


@pytest.mark.parametrize(("merged", "is_odd"), [(9, False), (12, False), (40, True)])
def test_many_persons_merged_at_once_are_odd(merged: int, is_odd: bool) -> None:
    found = oddities(facts(merged=(merged, [3, 2, 4, 3, 2, 5, 3, 3]), sources=[]))
    assert rules(found) == (["merged"] if is_odd else [])
    if is_odd:
        assert found[0].says == "40 persons merged into others; usual: 3 (last 8 nights)"
        assert found[0].step == "identity"


def test_logarithms_of_counts_are_as_documented() -> None:
    # One day of a hundred among days of ten: off by log(100.375 / 10.375), days differ by nothing, chance decides.
    usual = of_count(100, [(0, 10)] * 9, 0)
    assert usual is not None
    assert usual.score == pytest.approx(min(2 * sqrt(100.375) - 2 * sqrt(10.375), log(100.375 / 10.375) / 0.02))

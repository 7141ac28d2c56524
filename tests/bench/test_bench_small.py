"""The benchmark runs whole at a tiny size: what it makes is sound, and the ways that it compares agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import figures, tasks
from bench.__main__ import size
from bench.generate import blocks, generate
from bench.measure import Run, Series, rounds
from bench.report import put, tables
from bench.world import MARTS_COPIED, TABLES_COPIED, open_bench
from klantspoor.dictionary import TABLES

EVENTS = 20_000


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    patch = pytest.MonkeyPatch()
    patch.setenv("BENCH_KEY", "a key of the tests, long enough to be one")
    root = tmp_path_factory.mktemp("bench") / "lake"
    generate(root, EVENTS)
    told = tasks.ours(root)
    assert told["rows"]["touchpoint_events"] > EVENTS * 0.9
    patch.undo()
    return root


def test_the_events_are_the_same_every_time_and_as_many_as_asked() -> None:
    first, again = (next(blocks(EVENTS)) for _ in range(2))
    assert first.equals(again)
    assert sum(len(block) for block in blocks(EVENTS)) == EVENTS


def test_the_events_are_like_real_ones() -> None:
    events = next(blocks(EVENTS)).to_pandas()
    keyed = (events[[name for name in events if name.startswith("key_")]] > 0).any(axis=1).mean()
    assert 0.5 < keyed < 0.7
    assert 0.005 < events["score"].notna().mean() < 0.03
    assert events.duplicated(["person", "at"]).any(), "no ties in time"
    assert events["event_id"].is_unique


def test_it_makes_every_table_and_overlapping_journeys(lake: Path) -> None:
    with open_bench(lake) as staging:
        for name in (*TABLES_COPIED, *MARTS_COPIED):
            assert staging.rows(name) > 0, name
        with staging.connect() as connection:
            ((types, overlaps),) = connection.execute(
                """SELECT count(DISTINCT a.journey_type), count(*) FILTER (b.started_at < a.last_activity_at)
                   FROM journeys a JOIN journeys b ON b.person_id = a.person_id AND b.started_at > a.started_at"""
            ).fetchall()
    assert types == 4
    assert overlaps > 0
    assert set(TABLES_COPIED) | set(MARTS_COPIED) <= set(TABLES)


def test_all_ways_reckon_the_same_figures(lake: Path) -> None:
    ways = (figures.ours, figures.with_queries, figures.with_pandas, figures.with_pm4py)
    assert len({way(lake)["digest"] for way in ways}) == 1


def test_the_floor_is_measured_in_a_process_of_its_own(lake: Path) -> None:
    (series,) = rounds(("floor",), lake, EVENTS, 1)
    assert series.runs[0].cpu > sum(series.parts().values()) * 0.9
    assert 20 < series.peak_mb() < 4096
    assert (lake / "floor" / "sorted.parquet").stat().st_size > 0


def test_the_report_stands_between_its_markers(tmp_path: Path) -> None:
    def series(task: str, *seconds: float) -> Series:
        return Series(task, EVENTS, [Run(cpu, 100.0, {"parts": {"start": 0.5, "work": cpu - 0.5}}) for cpu in seconds])

    text = tables([series("floor", 2, 1, 3), series("ours", 4, 3, 5)], "python -m bench 20k")
    assert "| 20k | 2.0 (1.0-3.0) | 4.0 (3.0-5.0) | 2.00 | 100 | 100 |" in text
    file = tmp_path / "benchmarks.md"
    begin, end = "<!-- measured: begin -->", "<!-- measured: end -->"
    file.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    put(file, text)
    assert file.read_text() == f"before\n{begin}\n{text}{end}\nafter\n"


def test_a_report_is_refused_where_the_ways_do_not_agree() -> None:
    done = [
        Series(task, EVENTS, [Run(1.0, 1.0, {"parts": {"start": 0.1}, "digest": task})])
        for task in ("figures_ours", "figures_sql", "figures_pandas", "figures_pm4py")
    ]
    with pytest.raises(RuntimeError, match="do not agree"):
        tables(done, "")


@pytest.mark.parametrize(("text", "events"), [("20k", 20_000), ("2.5M", 2_500_000), ("7", 7)])
def test_sizes_are_written_short(text: str, events: int) -> None:
    assert size(text) == events

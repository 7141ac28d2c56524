"""Nights as partitions: which moments each holds, also when the clock is changed; which are due; what a run of them goes by."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from klantspoor.dictionary import TABLES
from klantspoor.errors import NotFoundError
from klantspoor.intake import take_in
from klantspoor.lake import Lake, open_lake
from klantspoor.project.load import load_project
from klantspoor.project.model import Project
from pipelines.nights import (
    AS_OF_TAG,
    FIRST_TAG,
    LANDED_BEFORE_TAG,
    LAST_TAG,
    ONE_TAG,
    Clock,
    clock,
    due,
    named,
    nights,
    range_tags,
)
from tests.lake.small_world import world
from tests.pipelines.staged_night import make_project, stage

ZONE = ZoneInfo("Europe/Amsterdam")


def local(day: str, time: str = "02:30", fold: int = 0) -> datetime:
    return datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=ZONE, fold=fold).astimezone(UTC)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Nights begin at 02:30 in Amsterdam; the first file landed at 01:00 on the fourth of March, so in the night of the third."""
    root = make_project(tmp_path / "project")
    land(root, "first.csv", local("2024-03-04", "01:00"))
    return load_project(root)


def land(root: Path | str, name: str, at: datetime) -> None:
    path = Path(root) / "landing" / "crm" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{name}\n", "utf-8")
    os.utime(path, (at.timestamp(), at.timestamp()))


def publish(project: Project, as_of: datetime) -> Lake:
    lake = open_lake(project)
    staging = lake.open_run(f"r{as_of:%Y%m%d%H%M}", as_of)
    stage(staging, world(), *TABLES)
    lake.publish(staging)
    return lake


def span(found: dg.PartitionKeyRange | None) -> tuple[str, str] | None:
    return (found.start, found.end) if found is not None else None


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2024-03-04", 24), ("2024-03-30", 23.5), ("2024-03-31", 23.5), ("2024-10-26", 25), ("2024-10-27", 24)],
)
def test_a_night_lasts_until_the_next_also_when_the_clock_changes(project: Project, day: str, hours: float) -> None:
    # In spring 02:30 does not exist and the night begins when the clock says 03:00; in autumn it begins at the second 02:30.
    window = nights(project).time_window_for_partition_key(day)
    # Within one zone Python subtracts what the clocks say: real time needs UTC.
    assert window.end.astimezone(UTC) - window.start.astimezone(UTC) == timedelta(hours=hours)
    following = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
    assert nights(project).time_window_for_partition_key(following).start == window.end


def test_the_schedule_fires_when_a_night_ends(project: Project) -> None:
    for day in ("2024-03-28", "2024-10-24"):
        ticks = schedule_execution_time_iterator(local(day, "12:00").timestamp(), "30 2 * * *", "Europe/Amsterdam")
        for tick, number in zip(ticks, range(6), strict=False):
            key = (datetime.fromisoformat(day) + timedelta(days=number)).date().isoformat()
            assert nights(project).time_window_for_partition_key(key).end == tick


def test_nights_begin_with_the_first_landing(project: Project) -> None:
    assert nights(project).get_first_partition_key() == "2024-03-03"
    land(project.root, "older.csv", local("2024-02-01", "02:30"))
    assert nights(project).get_first_partition_key() == "2024-02-01"
    land(project.root, "future.csv", datetime(2099, 1, 1, tzinfo=UTC))
    assert nights(project).get_first_partition_key() == "2024-02-01"


def test_what_the_ledger_read_first_counts_before_what_still_lies_there(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "k" * 64)
    land(project.root, "older.csv", local("2024-02-10", "12:00"))
    take_in(project, open_lake(project).root, local("2024-03-05"))
    (Path(project.root) / "landing" / "crm" / "older.csv").unlink()
    assert nights(project).get_first_partition_key() == "2024-02-10"


def test_before_anything_landed_there_is_the_night_that_goes_on(tmp_path: Path) -> None:
    project = load_project(make_project(tmp_path))
    (key,) = nights(project).get_partition_keys()
    window = nights(project).time_window_for_partition_key(key)
    assert window.start <= datetime.now(UTC) < window.end


@pytest.mark.parametrize(
    ("published", "as_of", "wanted"),
    [
        (None, local("2024-03-05"), ("2024-03-03", "2024-03-04")),
        (None, local("2024-03-05", "02:29"), ("2024-03-03", "2024-03-03")),
        (None, local("2024-03-04", "01:30"), ("2024-03-03", "2024-03-03")),
        (local("2024-03-04"), local("2024-03-05"), ("2024-03-04", "2024-03-04")),
        (local("2024-03-04", "02:31"), local("2024-03-05", "02:31"), ("2024-03-04", "2024-03-04")),
        (local("2024-03-04"), local("2024-03-12"), ("2024-03-04", "2024-03-11")),
        (local("2024-03-04", "14:00"), local("2024-03-06"), ("2024-03-04", "2024-03-05")),
        (local("2024-03-05"), local("2024-03-05", "14:00"), ("2024-03-05", "2024-03-05")),
        (local("2023-01-01"), local("2024-03-05"), ("2024-03-03", "2024-03-04")),
    ],
    ids=[
        "first", "not over", "only the one going on", "next", "a minute late", "a missed week", "once by day", "by day",
        "published before the first landing",
    ],
)  # fmt: skip
def test_due_are_the_nights_that_are_over_and_not_published(
    project: Project, published: datetime | None, as_of: datetime, wanted: tuple[str, str]
) -> None:
    lake = publish(project, published) if published is not None else open_lake(project)
    assert span(due(project, lake, as_of)) == wanted


def test_nothing_is_due_before_anything_landed(project: Project) -> None:
    assert due(project, open_lake(project), local("2024-03-01")) is None


NOW = local("2024-03-20", "15:00")


@pytest.mark.parametrize(
    ("tags", "published", "wanted"),
    [
        ({}, None, Clock(NOW)),
        ({AS_OF_TAG: "2024-03-05T02:00:00+00:00"}, None, Clock(datetime(2024, 3, 5, 2, tzinfo=UTC))),
        ({ONE_TAG: "2024-03-05"}, None, Clock(local("2024-03-06"), local("2024-03-06"))),
        ({FIRST_TAG: "2024-03-05", LAST_TAG: "2024-03-11"}, None, Clock(local("2024-03-12"), local("2024-03-12"))),
        ({ONE_TAG: "2024-03-20"}, None, Clock(NOW)),
        ({ONE_TAG: "2024-03-05"}, local("2024-03-05"), Clock(local("2024-03-06"), local("2024-03-06"))),
        ({ONE_TAG: "2024-03-05"}, local("2024-03-19"), Clock(local("2024-03-19"), local("2024-03-19"))),
    ],
    ids=["no nights", "a given clock", "one night", "a range", "the one going on", "the next one", "one of the past"],
)
def test_a_run_goes_by_the_end_of_its_nights_and_never_back(
    project: Project, tags: dict[str, str], published: datetime | None, wanted: Clock
) -> None:
    lake = publish(project, published) if published is not None else open_lake(project)
    found = clock(tags, NOW, project, lake)
    assert (found.as_of, found.landed_before) == (wanted.as_of, wanted.landed_before)


def test_a_clock_is_the_same_after_it_went_through_tags(project: Project) -> None:
    lake = open_lake(project)
    for tags in ({ONE_TAG: "2024-03-05"}, range_tags(dg.PartitionKeyRange("2024-03-05", "2024-03-20")), {}):
        first = clock(tags, NOW, project, lake)
        later = clock(first.tags, NOW + timedelta(hours=1), project, lake)
        assert (later.as_of, later.landed_before) == (first.as_of, first.landed_before)
        assert span(later.nights) == span(first.nights)
    assert LANDED_BEFORE_TAG not in Clock(NOW).tags


@pytest.mark.parametrize(
    ("first", "last", "wanted"),
    [
        ("2024-03-04", "2024-03-06", ("2024-03-04", "2024-03-06")),
        (None, "2024-03-06", ("2024-03-03", "2024-03-06")),
        ("2024-03-04", None, ("2024-03-04", "2024-03-19")),
        ("2024-03-20", "2024-03-20", ("2024-03-20", "2024-03-20")),
    ],
)
def test_nights_are_asked_for_by_name(
    project: Project, first: str | None, last: str | None, wanted: Sequence[str]
) -> None:
    found = named(first, last, project, open_lake(project), NOW)
    assert span(found) == wanted


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ("2024-03-02", None, "2024-03-02 is no night of this project: they go from 2024-03-03 to "),
        (None, "2999-01-01", "2999-01-01 is no night"),
        ("2024-03-06", "2024-03-04", "the nights end on 2024-03-04, before they begin on 2024-03-06"),
    ],
)
def test_nights_that_are_none_are_refused(project: Project, first: str | None, last: str | None, told: str) -> None:
    with pytest.raises(NotFoundError, match=told):
        named(first, last, project, open_lake(project), NOW)

"""Runs for nights: what they take in, what Dagster is told of them, and when the schedule and the command ask for which."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from klantspoor.dictionary import TABLES
from klantspoor.intake import Ledger
from klantspoor.lake import Lake
from klantspoor.lake.checks import run_queries
from pipelines import run
from pipelines.definitions import defs
from pipelines.nights import AS_OF_TAG, BACKFILL_TAG, FIRST_TAG, LAST_TAG, ONE_TAG
from pipelines.schedules import request
from tests.lake.small_world import world
from tests.pipelines.staged_night import make_project, patch_stages, stage

# Nights of the project begin at 02:30 in Amsterdam, which is 00:30 UTC in June.
JUNE = {day: datetime(2024, 6, day, 0, 30, tzinfo=UTC) for day in range(1, 12)}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    project = make_project(tmp_path / "project")
    monkeypatch.setenv("KLANTSPOOR_PROJECT", str(project))
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "k" * 64)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setattr("expectations.bridge.run_expectations", lambda *arguments: run_queries(*arguments[:3]))
    from klantspoor import intake

    works = intake.take_in
    patch_stages(monkeypatch)
    monkeypatch.setattr("klantspoor.intake.take_in", works)  # files are really read; the tables are ready-made
    for day in range(3, 10):
        land(project, f"{day}.csv", datetime(2024, 6, day, 22, 0, tzinfo=UTC))  # lands in the night called by that day
    return project


def land(project: Path, name: str, at: datetime) -> None:
    path = project / "landing" / "crm" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"moment,what,customer\n2024-05-01 10:00:00,looked,{name}\n", "utf-8")
    os.utime(path, (at.timestamp(), at.timestamp()))


def whole(**tags: str) -> dg.ExecuteInProcessResult:
    """The whole job."""
    with dg.DagsterInstance.ephemeral() as instance:
        return defs.resolve_job_def("nightly").execute_in_process(instance=instance, raise_on_error=False, tags=tags)


def night(publishes: bool = True, **tags: str) -> None:
    """The part of the job that reads, for nights or a clock; then ready-made tables are published by the clock it had."""
    with dg.DagsterInstance.ephemeral() as instance:
        job, alone = defs.resolve_job_def("nightly"), [dg.AssetKey("ledger")]
        result = job.execute_in_process(instance=instance, tags=tags, asset_selection=alone)
    if publishes:
        told = result.asset_materializations_for_node("ledger")[-1].metadata["as of"].value
        lake = Lake(os.environ["KLANTSPOOR_PROJECT"] + "/lake")
        staging = lake.open_run(uuid4().hex, datetime.fromisoformat(str(told)))
        stage(staging, world(), *TABLES)
        lake.publish(staging)


def nights(first: int, last: int, publishes: bool = True) -> None:
    night(publishes, **{FIRST_TAG: f"2024-06-{first:02d}", LAST_TAG: f"2024-06-{last:02d}"})


def read(project: Path) -> list[int]:
    return [int(Path(file.record.file).stem) for file in Ledger(project / "lake").files()]


def as_of(project: Path) -> datetime | None:
    version = Lake(project / "lake").current()
    return datetime.fromisoformat(version.manifest["as_of"]) if version is not None else None


def told(result: dg.ExecuteInProcessResult, asset: str) -> list[str | None]:
    return [event.partition for event in result.asset_materializations_for_node(asset)]


def test_a_range_is_one_run_that_takes_in_what_landed_in_it(root: Path) -> None:
    result = whole(**{FIRST_TAG: "2024-06-03", LAST_TAG: "2024-06-05"})
    assert result.success
    assert read(root) == [3, 4, 5]
    assert as_of(root) == JUNE[6]
    assert told(result, "ledger") == ["2024-06-03", "2024-06-04", "2024-06-05"]
    assert told(result, "identity") == [None] * 3, "tables are made as a whole, whatever the nights"


def test_history_is_replayed_night_by_night_or_at_once(root: Path) -> None:
    for day in (3, 4):
        night(**{ONE_TAG: f"2024-06-{day:02d}"})
        assert (read(root)[-1], as_of(root)) == (day, JUNE[day + 1])
    nights(5, 9)
    assert (read(root), as_of(root)) == ([3, 4, 5, 6, 7, 8, 9], JUNE[10])
    landed = [file.record.landed_at for file in Ledger(root / "lake").files()]
    assert landed == [JUNE[day] + timedelta(hours=21, minutes=30) for day in range(3, 10)]


def test_what_earlier_nights_never_read_is_not_lost(root: Path) -> None:
    nights(7, 7)
    assert read(root) == [3, 4, 5, 6, 7]


def test_a_night_of_the_past_reads_nothing_twice_and_does_not_set_the_clock_back(root: Path) -> None:
    nights(3, 8)
    land(root, "10.csv", JUNE[4])  # delivered late, with the time of its export: it is in that night
    nights(4, 4)
    assert read(root) == [3, 4, 5, 6, 7, 8, 10]
    assert as_of(root) == JUNE[9]


def test_a_file_dated_in_the_future_is_not_left_for_ever(root: Path) -> None:
    land(root, "99.csv", datetime(2099, 1, 1, tzinfo=UTC))
    nights(3, 9)
    assert 99 not in read(root), "it was put there today, so it is of the night that goes on"
    night(**{ONE_TAG: (datetime.now(UTC).date() - timedelta(days=2)).isoformat()})
    assert 99 not in read(root)
    night(**{AS_OF_TAG: datetime.now(UTC).isoformat()})
    assert read(root)[-1] == 99


def test_a_night_that_was_read_and_not_published_is_due_again(root: Path) -> None:
    nights(3, 3)
    nights(4, 4, publishes=False)
    assert (read(root), as_of(root)) == ([3, 4], JUNE[4])
    asked = request(JUNE[6], JUNE[6])
    assert isinstance(asked, dg.RunRequest)
    assert (asked.tags[FIRST_TAG], asked.tags[LAST_TAG]) == ("2024-06-04", "2024-06-05")


def test_a_backfill_of_assets_makes_the_tables_of_its_nights(root: Path) -> None:
    job, nightly = defs.resolve_implicit_global_asset_job_def(), defs.resolve_job_def("nightly")
    tables = [key for key in nightly.asset_layer.executable_asset_keys if key != dg.AssetKey("ledger")]
    with dg.DagsterInstance.ephemeral() as instance:
        for asked, tags in (
            ([dg.AssetKey("ledger")], {FIRST_TAG: "2024-06-03", LAST_TAG: "2024-06-05"}),
            (tables, {}),
        ):
            given = {"asset_selection": asked, "tags": {BACKFILL_TAG: "abc", **tags}, "instance": instance}
            assert job.execute_in_process(raise_on_error=False, **given).success
    assert (read(root), as_of(root)) == ([3, 4, 5], JUNE[6])


def test_the_schedule_asks_for_the_night_that_ends(root: Path) -> None:
    nights(3, 4)
    asked = request(JUNE[6], JUNE[6] + timedelta(seconds=20))
    assert isinstance(asked, dg.RunRequest)
    assert asked.run_key == JUNE[6].isoformat()
    night(**dict(asked.tags))
    assert as_of(root) == JUNE[6]


def test_a_missed_week_is_caught_up_in_one_go(root: Path) -> None:
    nights(3, 3)
    now = JUNE[10] + timedelta(hours=6)
    asked = [request(JUNE[day], now) for day in range(5, 11)]
    assert [type(one) for one in asked] == [dg.SkipReason] * 5 + [dg.RunRequest]
    assert isinstance(asked[-1], dg.RunRequest)
    assert (asked[-1].tags[FIRST_TAG], asked[-1].tags[LAST_TAG]) == ("2024-06-04", "2024-06-09")
    night(**dict(asked[-1].tags))
    assert (read(root), as_of(root)) == ([3, 4, 5, 6, 7, 8, 9], JUNE[10])


def test_what_is_published_is_not_asked_for_again(root: Path) -> None:
    nights(3, 5)
    assert isinstance(request(JUNE[6], JUNE[6]), dg.SkipReason)
    assert isinstance(request(JUNE[5], JUNE[5]), dg.SkipReason)


def test_the_command_takes_the_nights_it_is_given(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--to", "2024-06-05"]) == run.PUBLISHED
    assert "Test: the nights 2024-06-03 to 2024-06-05, as of 2024-06-06T00:30+00:00" in capfd.readouterr().out
    assert read(root) == [3, 4, 5]
    assert run.main(["--from", "2024-06-06", "--to", "2024-06-06"]) == run.PUBLISHED
    assert "Test: the night 2024-06-06, as of 2024-06-07T00:30+00:00" in capfd.readouterr().out
    assert (read(root), as_of(root)) == ([3, 4, 5, 6], JUNE[7])


def test_the_command_alone_takes_everything_and_tells_dagster_its_nights(root: Path) -> None:
    assert run.main(["--as-of", JUNE[6].isoformat()]) == run.PUBLISHED
    assert read(root) == [3, 4, 5, 6, 7, 8, 9], "what is there is read, whatever the clock"
    with dg.DagsterInstance.get() as instance:
        (made,) = instance.get_runs()
        done = instance.get_materialized_partitions(dg.AssetKey("ledger"))
    assert (made.tags[FIRST_TAG], made.tags[LAST_TAG]) == ("2024-06-03", "2024-06-05")
    assert done == {"2024-06-03", "2024-06-04", "2024-06-05"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from", "2024-06-09", "--to", "2024-06-03"], "before they begin"),
        (["--to", "2019-01-01"], "no night of this project"),
    ],
)
def test_nights_that_are_none_are_mistakes(
    root: Path, arguments: list[str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run.main(arguments) == run.MISTAKES
    assert told in capfd.readouterr().err
    assert as_of(root) is None


@pytest.mark.parametrize(
    "arguments",
    [["--to", "june"], ["--wait", "2"], ["--as-of", "2024-06-01T03:00Z", "--to", "2024-06-01"]],
)
def test_a_command_that_means_nothing_is_a_mistake(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run.main(arguments)
    assert stopped.value.code == run.MISTAKES

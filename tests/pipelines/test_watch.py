"""What watches over the nights: alarms of failed runs, of versions that are overdue, and of runs left behind by a crash."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from klantspoor.alarm import Alarm
from klantspoor.lake import Lake
from klantspoor.lake.checks import run_queries
from klantspoor.lake.publishing import POINTER
from pipelines import run
from pipelines.crashed import COMMAND_TAG, PROCESS_TAG
from pipelines.definitions import defs
from pipelines.nights import AS_OF_TAG
from pipelines.watch import alarm_of, crashed_runs, failure_alarm, fresh, overdue_alarm
from tests.lake.small_world import AS_OF, Row
from tests.pipelines.staged_night import FILES, make_project, patch_stages, publish_before

RUNNING = dg.DefaultSensorStatus.RUNNING


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """The file in which the alarm's program writes what it is told."""
    return tmp_path / "told"


@pytest.fixture
def lake(tmp_path: Path, told: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    program = tmp_path / "tell"
    program.write_text(f"#!{sys.executable}\nimport sys\nopen({str(told)!r}, 'a').write(sys.stdin.read())\n", "utf-8")
    program.chmod(0o755)
    alarms = f"        alarms: {{command: ['{program}'], published_within: 2 hours}}\n"
    project = make_project(tmp_path / "project", klantspoor=FILES["klantspoor.yaml"].rstrip(" ") + alarms)
    monkeypatch.setenv("KLANTSPOOR_PROJECT", str(project))
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "k" * 64)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setattr("expectations.bridge.run_expectations", lambda *arguments: run_queries(*arguments[:3]))
    return Lake(project / "lake")


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Row]]:
    return patch_stages(monkeypatch)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def said(told: Path) -> list[str]:
    return told.read_text("utf-8").splitlines() if told.exists() else []


def night(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    tags = {AS_OF_TAG: AS_OF.isoformat()}
    return defs.resolve_job_def("nightly").execute_in_process(instance=instance, raise_on_error=False, tags=tags)


def test_the_watch_runs_without_being_switched_on() -> None:
    for sensor in (failure_alarm, overdue_alarm, crashed_runs):
        assert defs.resolve_sensor_def(sensor.name).default_status == RUNNING


def test_a_failed_run_is_told_with_its_steps_and_critical_checks(
    lake: Lake, rows: dict[str, list[Row]], told: Path, instance: dg.DagsterInstance
) -> None:
    rows["waits"][1]["seconds"] = 3599
    rows["coverage"][1]["events"] = 100  # a warning, in a stage that is not reached
    result = night(instance)
    context = dg.build_run_status_sensor_context(
        sensor_name="failure_alarm",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=next(event for event in result.all_events if event.is_run_failure),
    ).for_run_failure()
    failure_alarm(context)
    heading, steps, checks, _ = said(told)
    when = AS_OF.isoformat(timespec="minutes")
    assert heading == f"Klantspoor, Test: the run {result.run_id} of nightly of {when} failed."
    assert steps == "Steps: journeys_checks"
    assert checks == "Checks: waits.add_up, waits.in_order"


def test_an_error_nobody_foresaw_is_told_without_its_text(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, told: Path, instance: dg.DagsterInstance, rows: dict[str, list[Row]]
) -> None:
    def breaks(*arguments: object) -> None:
        raise ValueError("cannot cast 'j.jansen@example.test' to a number")

    monkeypatch.setattr("klantspoor.events.build", breaks)
    alarm = alarm_of(instance, night(instance).dagster_run)
    assert alarm.steps == ("events",)
    assert "jansen" not in json.dumps(alarm.payload("Test"))


def test_the_command_raises_the_alarm_itself(
    lake: Lake, rows: dict[str, list[Row]], told: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows["freshness"][0] |= {"freshness": "missing"}
    assert run.main([]) == run.FAILED
    assert "Alarm: told the command" in capfd.readouterr().err
    assert "Checks: freshness.must_come" in said(told)


def test_a_published_night_raises_none(lake: Lake, rows: dict[str, list[Row]], told: Path) -> None:
    rows["coverage"][1]["events"] = 100
    assert run.main([]) == run.PUBLISHED
    assert said(told) == []


def test_an_alarm_that_cannot_be_told_changes_nothing(
    lake: Lake, rows: dict[str, list[Row]], told: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (told.parent / "tell").unlink()
    publish_before(lake)
    rows["freshness"][0] |= {"freshness": "missing"}
    assert run.main([]) == run.FAILED
    assert "Alarm: could not tell the command" in capfd.readouterr().err
    assert (lake.root / POINTER).read_text("utf-8").strip() == "000001"
    lake.open_run("next", AS_OF).close()


def test_a_night_that_never_came_to_its_steps_is_told(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, told: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KLANTSPOOR_TEST_KEY")
    assert run.main([]) == run.MISTAKES
    assert len(said(told)) == 2
    (lake.root / "foreign").mkdir(parents=True)
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "k" * 64)
    assert run.main([]) == run.FAILED
    assert len(said(told)) == 4


def test_only_a_command_that_waits_tells_that_it_waited_in_vain(lake: Lake, told: Path) -> None:
    with lake.open_run("first", AS_OF):
        assert run.main([]) == run.BUSY
        assert said(told) == []
        assert run.main(["--wait", "0.1 seconds"]) == run.BUSY
    assert len(said(told)) == 2


def look(cursor: str | None, instance: dg.DagsterInstance) -> str | None:
    context = dg.build_sensor_context(cursor=cursor, instance=instance)
    assert overdue_alarm.evaluate_tick(context).run_requests in (None, [])
    return context.cursor


def test_an_overdue_version_is_told_once_in_its_time(
    lake: Lake, told: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(datetime):
        by = timedelta(0)

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + cls.by

    monkeypatch.setattr("pipelines.watch.datetime", Later)
    assert look(None, instance) in (None, ""), "no lake yet"
    publish_before(lake)
    cursor = look(None, instance)
    assert said(told) == []
    Later.by = timedelta(hours=2, minutes=1)
    cursor = look(cursor, instance)
    assert len(said(told)) == 1
    Later.by = timedelta(hours=3, minutes=59)
    cursor = look(cursor, instance)
    assert len(said(told)) == 1, "it is known"
    Later.by = timedelta(hours=4, minutes=2)
    cursor = look(cursor, instance)
    assert len(said(told)) == 2, "it is still overdue"
    Later.by = timedelta(0)
    assert look(cursor, instance) == ""


def test_an_alarm_that_did_not_arrive_is_tried_again(
    lake: Lake, told: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.watch.overdue", lambda *_: Alarm("not_published", within=timedelta(hours=2)))
    (told.parent / "tell").chmod(0o644)
    cursor = look(None, instance)
    assert cursor in (None, "")
    (told.parent / "tell").chmod(0o755)
    cursor = look(cursor, instance)
    assert len(said(told)) == 1
    assert cursor is not None
    assert cursor.startswith("none ")


def test_what_a_command_left_behind_is_marked_and_told(lake: Lake, told: Path, instance: dg.DagsterInstance) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    tags = {COMMAND_TAG: "command", PROCESS_TAG: f"{socket.gethostname()} {process.pid} 1@x"}
    left = instance.add_run(dg.DagsterRun(job_name="nightly", status=DagsterRunStatus.STARTED, tags=tags))
    data = crashed_runs.evaluate_tick(dg.build_sensor_context(instance=instance))
    assert data.skip_message == f"marked as failed: {left.run_id}"
    assert said(told)[0] == f"Klantspoor, Test: the run {left.run_id} of nightly failed."
    assert (
        crashed_runs.evaluate_tick(dg.build_sensor_context(instance=instance)).skip_message == "nothing was left behind"
    )


def test_without_a_project_the_watch_is_quiet(monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> None:
    monkeypatch.delenv("KLANTSPOOR_PROJECT", raising=False)
    for sensor in (overdue_alarm, crashed_runs):
        assert sensor.evaluate_tick(dg.build_sensor_context(instance=instance)).skip_message


def test_the_pages_call_the_publication_stale_when_the_alarm_is_raised(lake: Lake) -> None:
    from assets import publication

    asset = fresh(publication.publication)
    policies = {spec.key.to_user_string(): spec.freshness_policy for spec in asset.specs}
    assert policies["runs"] is None
    assert policies["publication"] == dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=2))
    assert {spec.name for spec in asset.check_specs} == {spec.name for spec in publication.publication.check_specs}

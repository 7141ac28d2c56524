"""Runs that a crash left behind: told from live ones by their process, and marked so that the queue goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from klantspoor.lake import Lake
from klantspoor.lake.checks import run_queries
from pipelines import run
from pipelines.crashed import PROCESS_TAG, is_left_behind, mark_crashed, this_process
from tests.lake.small_world import AS_OF
from tests.pipelines.staged_night import make_project, patch_stages

ROOT = Path(__file__).resolve().parents[2]
LAUNCHED = {".dagster/grpc_info": json.dumps({"host": "localhost", "socket": "/run/klantspoor/code.sock"})}
# A night that stands still for ever in the middle of a step, as the command runs it.
HANGING = """
    import sys, time
    import pytest
    from pipelines import run
    from tests.pipelines.staged_night import patch_stages

    def hang(*arguments):
        print("hanging", flush=True)
        time.sleep(600)

    with pytest.MonkeyPatch.context() as patched:
        patch_stages(patched)
        patched.setattr("klantspoor.events.build", hang)
        run.main(["--as-of", sys.argv[1]])
"""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def started(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    made = dg.DagsterRun(job_name="nightly", status=DagsterRunStatus.STARTED, tags=tags)
    return instance.add_run(made)


def gone() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_live_run_of_a_command_is_left_alone(instance: dg.DagsterInstance) -> None:
    live = started(instance, **this_process())
    assert not is_left_behind(instance, live)
    assert mark_crashed(instance) == []


def test_another_process_with_the_same_number_is_not_the_runs(instance: dg.DagsterInstance) -> None:
    host, pid, began = this_process()[PROCESS_TAG].rsplit(" ", 2)
    ticks, _, boot = began.partition("@")
    assert is_left_behind(instance, started(instance, **{PROCESS_TAG: f"{host} {pid} {int(ticks) - 1}@{boot}"}))
    assert is_left_behind(instance, started(instance, **{PROCESS_TAG: f"{host} {pid} {ticks}@another-start"}))


def test_runs_of_other_machines_are_left_alone(instance: dg.DagsterInstance) -> None:
    elsewhere = this_process()[PROCESS_TAG].replace(socket.gethostname(), "elsewhere") + "1"
    assert not is_left_behind(instance, started(instance, **{PROCESS_TAG: elsewhere}))
    far = {".dagster/grpc_info": json.dumps({"host": "10.0.0.7", "port": 4000})}
    run_elsewhere = started(instance, **far)
    say_started(instance, run_elsewhere, gone())
    assert not is_left_behind(instance, run_elsewhere)


def say_started(instance: dg.DagsterInstance, made: dg.DagsterRun, pid: int) -> None:
    """What the code server writes down as it starts a run."""
    from dagster._core.events import EngineEventData

    instance.report_engine_event(f"Started process for run (pid: {pid}).", made, EngineEventData.in_process(pid))


def test_a_run_that_dagster_launched_is_told_by_what_the_code_server_wrote(instance: dg.DagsterInstance) -> None:
    live, dead, unknown = (started(instance, **LAUNCHED) for _ in range(3))
    say_started(instance, live, os.getpid())
    say_started(instance, dead, gone())
    assert [made.run_id for made in mark_crashed(instance)] == [dead.run_id]
    status = {made.run_id: made.status for made in instance.get_runs()}
    assert status == {
        live.run_id: DagsterRunStatus.STARTED,
        dead.run_id: DagsterRunStatus.FAILURE,
        unknown.run_id: DagsterRunStatus.STARTED,
    }
    (event,) = [log for log in instance.all_logs(dead.run_id) if "gone without a word" in (log.message or "")]
    assert event.dagster_event is not None
    assert event.dagster_event.is_failure


def test_a_younger_process_with_the_number_of_a_launched_run_is_another(instance: dg.DagsterInstance) -> None:
    made = started(instance, **LAUNCHED)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        say_started(instance, made, process.pid)
        assert not is_left_behind(instance, made)
        (record,) = instance.all_logs(made.run_id)
        early = record._replace(timestamp=time.time() - 3600)  # type: ignore[attr-defined]
        patched = pytest.MonkeyPatch()
        patched.setattr(instance, "all_logs", lambda *_, **__: [early])
        assert is_left_behind(instance, made)
        patched.undo()
        process.communicate(b"\n")


def test_finished_runs_are_no_concern(instance: dg.DagsterInstance) -> None:
    dead = {PROCESS_TAG: f"{socket.gethostname()} {gone()} 1@x"}
    for status in (DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS, DagsterRunStatus.CANCELED):
        instance.add_run(dg.DagsterRun(job_name="nightly", status=status, tags=dead))
    assert mark_crashed(instance) == []


def test_the_next_night_marks_one_that_was_killed_and_publishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    project = make_project(tmp_path / "project")
    monkeypatch.setenv("KLANTSPOOR_PROJECT", str(project))
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "k" * 64)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setattr("expectations.bridge.run_expectations", lambda *arguments: run_queries(*arguments[:3]))
    command = [sys.executable, "-c", textwrap.dedent(HANGING), AS_OF.isoformat()]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [line for line in iter(process.stdout.readline, "hanging\n") if line]
        assert any("night of" in line for line in said)
        with dg.DagsterInstance.get() as instance:
            assert mark_crashed(instance) == [], "it hangs, but it is there"
        process.send_signal(signal.SIGKILL)
        process.wait()
    with dg.DagsterInstance.get() as instance:
        (killed,) = instance.get_runs()
        assert killed.status == DagsterRunStatus.STARTED, "nobody told Dagster"
    patch_stages(monkeypatch)
    assert run.main(["--as-of", AS_OF.isoformat()]) == run.PUBLISHED
    assert f"Run {killed.run_id} of nightly was left behind by a crash" in capfd.readouterr().out
    with dg.DagsterInstance.get() as instance:
        assert sorted(made.status.value for made in instance.get_runs()) == ["FAILURE", "SUCCESS"]
    assert Lake(project / "lake").current() is not None

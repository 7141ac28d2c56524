"""Waiting for the lake: a run that Dagster started waits for one that writes, a command only when it is told to."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from klantspoor.lake import BusyError, Lake
from klantspoor.lake.checks import run_queries
from pipelines import run, waiting
from pipelines.definitions import defs
from pipelines.nights import AS_OF_TAG, Clock
from pipelines.waiting import open_when_free
from tests.lake.small_world import AS_OF
from tests.pipelines.staged_night import make_project, patch_stages

ROOT = Path(__file__).resolve().parents[2]
HOLDING = """
    import sys
    from datetime import UTC, datetime
    from klantspoor.lake import Lake

    with Lake(sys.argv[1]).open_run("other", datetime.now(UTC)):
        print("held", flush=True)
        sys.stdin.readline()
"""


@contextmanager
def held(lake: Lake) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes to the lake until a line is written to it."""
    command = [sys.executable, "-c", textwrap.dedent(HOLDING), str(lake.root)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, env=dict(os.environ), **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            let_go(process)


def let_go(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.communicate("\n")


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    project = make_project(tmp_path / "project")
    monkeypatch.setenv("KLANTSPOOR_PROJECT", str(project))
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "k" * 64)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setattr("expectations.bridge.run_expectations", lambda *arguments: run_queries(*arguments[:3]))
    patch_stages(monkeypatch)
    return Lake(project / "lake")


def test_it_opens_when_the_other_lets_go_with_the_clock_of_then(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    asked: list[int] = []

    def clock() -> Clock:
        asked.append(1)
        return Clock(AS_OF + timedelta(minutes=len(asked)))

    with held(lake) as other:
        monkeypatch.setattr("pipelines.waiting.time.sleep", lambda _: let_go(other))
        staging, opened = open_when_free(lake, "mine", clock, timedelta(hours=1), told.append)
    with staging:
        assert len(asked) == 2
        assert opened.as_of == staging.as_of == AS_OF + timedelta(minutes=2)
    (line,) = told
    assert "run other" in line
    assert "Waiting for at most 1:00:00" in line


def test_it_gives_up_after_its_time(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.05)
    told: list[str] = []
    with held(lake), pytest.raises(BusyError, match="run other"):
        open_when_free(lake, "mine", lambda: Clock(AS_OF), timedelta(seconds=0.3), told.append)
    assert len(told) == 1


def test_without_a_time_it_tries_once(lake: Lake) -> None:
    told: list[str] = []
    with held(lake), pytest.raises(BusyError):
        open_when_free(lake, "mine", lambda: Clock(AS_OF), timedelta(0), told.append)
    assert told == []


def test_a_run_of_dagster_waits_rather_than_fails(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(lake) as other, dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setattr("pipelines.waiting.time.sleep", lambda _: let_go(other))
        tags = {AS_OF_TAG: AS_OF.isoformat()}
        job = defs.resolve_job_def("nightly")
        assert job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).success


def test_a_command_waits_when_it_is_told_to(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with held(lake) as other:
        assert run.main([]) == run.BUSY
        assert "Waiting" not in capfd.readouterr().out
        monkeypatch.setattr("pipelines.waiting.time.sleep", lambda _: let_go(other))
        assert run.main(["--wait", "1 hour"]) == run.PUBLISHED
    assert "Waiting for at most 1:00:00" in capfd.readouterr().out

"""A second run waits for the first, for as long as it was told and no longer, and says for whom."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from klantspoor.lake import BusyError, Lake, lock
from tests.lake.small_world import AS_OF


class Clock:
    """Time that passes only while somebody waits; `at` says what happens when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.at: dict[float, Callable[[], object]] = {}

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        for moment in [moment for moment in self.at if moment <= self.now]:
            self.at.pop(moment)()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lock.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(lock.time, "sleep", clock.sleep)
    return clock


def test_it_begins_when_the_other_has_ended(tmp_path: Path, clock: Clock) -> None:
    lake, told = Lake(tmp_path / "lake"), list[str]()
    first = lake.open_run("first", AS_OF)
    clock.at[600.0] = first.close
    with lake.open_run("second", AS_OF, wait=timedelta(hours=2), tell=told.append) as staging:
        assert staging.is_open
    assert 600 <= clock.now < 605, "it looks again within seconds"
    assert len(clock.slept) < 400, "and not without a pause"
    [line] = told
    assert line.startswith("waiting for at most 120 minutes: ")
    assert "first" in line


def test_it_gives_up_when_its_time_is_over(tmp_path: Path, clock: Clock) -> None:
    lake = Lake(tmp_path / "lake")
    with lake.open_run("first", AS_OF):
        with pytest.raises(BusyError, match=r"already running first.*It was waited for 90 seconds"):
            lake.open_run("second", AS_OF, wait=timedelta(seconds=90))
        assert clock.now == 90
        with pytest.raises(BusyError) as refused:
            lake.open_run("second", AS_OF)
        assert clock.now == 90, "unless it was told to, it does not wait"
        assert "waited" not in str(refused.value)


def test_it_says_when_it_waits_for_another(tmp_path: Path, clock: Clock) -> None:
    lake, told = Lake(tmp_path / "lake"), list[str]()
    holding = [lake.open_run("run-a", AS_OF)]

    def change() -> None:
        holding[0].close()
        holding[0] = lake.open_run("run-b", AS_OF)

    clock.at = {10.0: change, 20.0: lambda: holding[0].close()}  # noqa: PLW0108 - which one is decided then
    lake.open_run("mine", AS_OF, wait=timedelta(minutes=1), tell=told.append).close()
    assert [word for line in told for word in ("run-a", "run-b") if word in line] == ["run-a", "run-b"]


def hold(root: str, ready: threading.Event, stop: threading.Event) -> None:
    """Run in another process: hold the lake until told to stop."""
    with Lake(root).open_run("other", AS_OF):
        ready.set()
        stop.wait(60)


def test_it_waits_for_another_process(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    other = context.Process(target=hold, args=(str(tmp_path / "lake"), ready, stop))
    other.start()
    assert ready.wait(60)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        stop.set()

    with Lake(tmp_path / "lake").open_run("mine", AS_OF, wait=timedelta(minutes=1), tell=tell) as staging:
        assert staging.is_open
    other.join(60)
    assert f"process {other.pid}, run other" in told[0]

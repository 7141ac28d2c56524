"""A first night and one that goes on from it, each disturbed at every call by which it changes the disk.

The spread of calls that runs every time is the same every time; all of them are the matter of `make soak`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.faults import faults_checks as checks
from tests.faults.faults_server import Server
from tests.faults.faults_shim import Armed, ArmedReading, Mode, Reading
from tests.faults.faults_trials import SCENARIOS, Trials

SOME = {
    "first night": {Mode.KILL: 2, Mode.FULL: 2},
    "second night": {Mode.KILL: 5, Mode.FULL: 4, Mode.TORN: 2, Mode.READONLY: 2, Mode.ERROR: 3},
}
MODES = [Mode.KILL, Mode.FULL, Mode.TORN, Mode.READONLY, Mode.ERROR]
STATES = 8
Note = Callable[[str, object], None]


@pytest.fixture(scope="module", params=SOME)
def trials(request: pytest.FixtureRequest, server: Server) -> Trials:
    return Trials(server, SCENARIOS[request.param])


def test_no_call_is_missed(trials: Trials, record_property: Note) -> None:
    record_property("faults", checks.check_log(trials))
    checks.check_one_death(trials, len(trials.calls) // 2)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_disturbed_at_some_calls(trials: Trials, mode: Mode, record_property: Note) -> None:
    most = SOME[trials.scenario.name].get(mode)
    if most is None:
        pytest.skip("the night that goes on from another one stands for it; make soak has both")
    record_property("faults", checks.check_calls(trials, mode, checks.spread(trials.calls, most)))


def test_the_power_fails(trials: Trials, record_property: Note) -> None:
    record_property("faults", checks.check_power(trials, STATES))


def test_what_is_published_outlasts_a_power_failure(trials: Trials) -> None:
    checks.check_end(trials)


def test_two_nights_at_once(trials: Trials) -> None:
    """The first is stopped as it writes here and there; the second is told so at once, and the first comes to its end."""
    for number in checks.spread(trials.calls, 5):
        trials.reset(f"two at once, at {number}")
        first = trials.start(Armed(trials.server.home, Mode.PAUSE, number))
        first.wait_until_stopped()
        second = trials.act()
        assert (second.code, second.error) == (1, "BusyError"), second.trace
        assert f"process {first.pid}, run disturbed" in second.trace
        first.go_on()
        first.wait().must()
        trials.examine(f"two at once, at {number}", published=True)


@pytest.mark.parametrize("part", ["lake", "lake/ledger", "lake/versions", "lake/work", "vault"])
def test_a_folder_is_read_only(trials: Trials, part: str) -> None:
    with trials.readers():
        ended = trials.go_wrong(Mode.READONLY, 1, part)
    assert ended.error == "OSError"
    assert "Read-only file system" in ended.trace


@pytest.mark.parametrize("mode", [Reading.TRUNCATE, Reading.ERROR, Reading.DELETE], ids=lambda mode: mode.name)
def test_a_landing_file_is_spoilt_as_it_is_read(trials: Trials, mode: Reading) -> None:
    """The night goes on without it; delivered again, it comes to what it would have come to."""
    last = sorted((trials.base / "landing").iterdir(), key=lambda path: path.stat().st_mtime)[-1]
    path = trials.project / "landing" / last.name
    trials.reset(f"without {last.name}")
    path.unlink()
    trials.act().must()
    trials.whole.append(trials.read())
    with trials.readers():
        trials.reset(f"{last.name}, {mode.name}")
        trials.act(ArmedReading(path, mode, 3)).must()
        assert trials.read() == trials.whole[-1]
        shutil.copy2(last, path)
        trials.examine(f"{last.name}, {mode.name}", published=None)
    trials.whole.pop()


def test_the_disk_is_full_indeed(trials: Trials, record_property: Note) -> None:
    """Not by way of the library that injects faults: on a disk of a few pages more than the project takes."""
    need = trials.small_disk(room=1 << 26)
    if need is None:
        pytest.skip("needs to be allowed to mount a disk in memory")
    assert need["code"] == 0
    rooms = [need["took"] * part // 4 for part in (1, 3, 5)]
    codes = [trials.small_disk(room)["code"] for room in rooms]
    assert 1 in codes
    record_property("faults", f"{trials.scenario.name}: a disk with {rooms} bytes left: exit codes {codes}")


@pytest.mark.soak
def test_killed_at_every_call(trials: Trials, record_property: Note) -> None:
    record_property("faults", checks.check_deaths(trials))


@pytest.mark.soak
@pytest.mark.parametrize("mode", checks.SURVIVED, ids=lambda mode: mode.name)
def test_disturbed_at_every_call(trials: Trials, mode: Mode, record_property: Note) -> None:
    record_property("faults", checks.check_calls(trials, mode, checks.that_tell(trials.calls, mode)))


@pytest.mark.soak
def test_the_power_fails_after_every_call(trials: Trials, record_property: Note) -> None:
    record_property("faults", checks.check_power(trials))

"""A first night and one that goes on from it, each disturbed at every call by which it changes the disk.

The spread of calls that runs every time is the same every time; all of them are the matter of `make soak`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.faults_checks import check_calls, check_end, check_log, check_power, spread
from tests.faults.faults_server import Server
from tests.faults.faults_shim import Armed, Mode
from tests.faults.faults_trials import SCENARIOS, Trials

SOME = {
    "first night": {Mode.KILL: 4, Mode.FULL: 4},
    "second night": {Mode.KILL: 8, Mode.FULL: 7, Mode.TORN: 3, Mode.READONLY: 4, Mode.ERROR: 6},
}
MODES = [Mode.KILL, Mode.FULL, Mode.TORN, Mode.READONLY, Mode.ERROR]
STATES = 8
Note = Callable[[str, object], None]


@pytest.fixture(scope="module", params=SOME)
def trials(request: pytest.FixtureRequest, server: Server) -> Trials:
    return Trials(server, SCENARIOS[request.param])


def test_no_call_is_missed(trials: Trials, record_property: Note) -> None:
    record_property("faults", check_log(trials))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_disturbed_at_some_calls(trials: Trials, mode: Mode, record_property: Note) -> None:
    most = SOME[trials.scenario.name].get(mode)
    if most is None:
        pytest.skip("the night that goes on from another one stands for it; make soak has both")
    record_property("faults", check_calls(trials, mode, spread(trials.calls, most)))


def test_the_power_fails(trials: Trials, record_property: Note) -> None:
    record_property("faults", check_power(trials, STATES))


def test_what_is_published_outlasts_a_power_failure(trials: Trials) -> None:
    check_end(trials)


def test_two_nights_at_once(trials: Trials) -> None:
    """The first is stopped as it writes here and there; the second is told so at once, and the first comes to its end."""
    for number in spread(trials.calls, 5):
        trials.reset(f"two at once, at {number}")
        first = trials.start(Armed(trials.server.home, Mode.PAUSE, number))
        first.wait_until_stopped()
        second = trials.act()
        assert (second.code, second.error) == (1, "BusyError"), second.trace
        assert f"process {first.pid}, run disturbed" in second.trace
        first.go_on()
        first.wait().must()
        trials.examine(f"two at once, at {number}", published=True)


@pytest.mark.soak
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_disturbed_at_every_call(trials: Trials, mode: Mode, record_property: Note) -> None:
    record_property("faults", check_calls(trials, mode, range(1, len(trials.calls) + 1)))


@pytest.mark.soak
def test_the_power_fails_after_every_call(trials: Trials, record_property: Note) -> None:
    record_property("faults", check_power(trials))

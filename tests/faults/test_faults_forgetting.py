"""Forgetting a person and rotating the key, each with the night that ends it, disturbed as nights are in `test_faults_nights`.

Here versions are dropped that somebody may just be reading; who does is told that it is gone, and never finds half of one.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults import faults_checks as checks
from tests.faults.faults_server import Server
from tests.faults.faults_shim import Mode
from tests.faults.faults_trials import SCENARIOS, Trials

SOME = {Mode.KILL: 4, Mode.FULL: 2}
STATES = 8
Note = Callable[[str, object], None]


@pytest.fixture(scope="module", params=["forgetting", "rotation"])
def trials(request: pytest.FixtureRequest, server: Server) -> Trials:
    return Trials(server, SCENARIOS[request.param])


def test_no_call_is_missed(trials: Trials, record_property: Note) -> None:
    record_property("faults", checks.check_log(trials))
    checks.check_one_death(trials, len(trials.calls) // 2)


@pytest.mark.parametrize("mode", SOME, ids=lambda mode: mode.name)
def test_disturbed_at_some_calls(trials: Trials, mode: Mode, record_property: Note) -> None:
    record_property("faults", checks.check_calls(trials, mode, checks.spread(trials.calls, SOME[mode])))


def test_the_power_fails(trials: Trials, record_property: Note) -> None:
    record_property("faults", checks.check_power(trials, STATES))


def test_what_is_done_outlasts_a_power_failure(trials: Trials) -> None:
    checks.check_end(trials)


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

"""The hostile project's nights, each once per test run."""

from __future__ import annotations

import pytest

from tests.hostile import hostile_landing as landing
from tests.hostile.hostile_canaries import KEY
from tests.hostile.hostile_nights import Night, first_night, once, run, second_night
from tests.hostile.hostile_project import KEY_VARIABLE


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)


@pytest.fixture(scope="session")
def good_night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    night = once(tmp_path_factory, "good", first_night)
    assert night.code == 0, night.out + night.err
    return night


@pytest.fixture(scope="session")
def bad_night(good_night: Night, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The second night, before which everything bad has landed."""
    night = once(tmp_path_factory, "bad", lambda home: run(second_night(good_night, home), landing.SECOND))
    assert night.code == 0, night.out + night.err
    return night

"""Whole nights after a roll-back: they go on from the version that is current, and who is forgotten is forgotten everywhere."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from klantspoor import night
from klantspoor.errors import LakeError
from klantspoor.lake.comparison import compare
from klantspoor.upgrade import DIARY
from tests.forget.forget_world import FIRST, KEY, World

NIGHTS = [FIRST + timedelta(days=days, hours=1) for days in range(3)]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two nights: in the second somebody's laptop turns out to be Dia's."""
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", KEY)
    world = World(tmp_path).land_all()
    world.land(
        "web", [("2026-03-05 08:00:00", "looked", "", "a new laptop", "dia")], "1b", NIGHTS[0] - timedelta(minutes=9)
    )
    tonight(world, 0)
    rows = [("2026-03-06 08:00:00", "looked", "dia@away.example", "a new laptop", "dia")]
    world.land("web", rows, "2", NIGHTS[1])
    tonight(world, 1)
    return world


def tonight(world: World, number: int) -> str:
    return night.night(world.project, world.lake, NIGHTS[number], with_pages=False).name


def differing(world: World, before: str, after: str) -> list[str]:
    lake = world.lake
    found = compare(lake.version(before), lake.version(after), 300, leave_out=DIARY)
    return [one.table for one in found.tables if not one.is_equal]


def test_the_next_night_makes_of_all_that_was_read_what_it_is(world: World) -> None:
    assert "journeys" in differing(world, "1", "2")
    world.lake.roll_back("1")
    assert tonight(world, 1) == "000003"
    assert differing(world, "2", "3") == []
    assert world.rows("SELECT DISTINCT as_of FROM runs ORDER BY 1") == [{"as_of": NIGHTS[0]}, {"as_of": NIGHTS[1]}]


def test_who_is_forgotten_after_a_roll_back_is_in_no_version(world: World) -> None:
    anna = world.person("customer", "K1")
    world.lake.roll_back("1")
    with pytest.raises(LakeError, match="files were taken in since version 000001"):
        world.forget(anna)
    tonight(world, 1)
    world.forget(anna, now=NIGHTS[1] + timedelta(hours=9))
    with pytest.raises(LakeError, match="holds a person who was forgotten"):
        world.lake.roll_back("2")
    assert tonight(world, 2) == "000004"
    [found] = world.resume()
    assert found.state == "done"
    assert world.lake.version_names() == ["000004"], "what was set aside is gone too"
    assert world.traces() == []

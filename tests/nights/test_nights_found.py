"""Small histories at which nights once went wrong, or nearly did; and that nights do leave alone what is settled."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest

from klantspoor.lake import Lake
from klantspoor.lake.forecast import Forecast
from klantspoor.lake.parts import A_GENERATION
from tests.nights.history import DAY, HOUR, Configure, History, Land, Night, Row
from tests.nights.shrink import lives
from tests.nights.world import World, hurried

FOUND: dict[str, History] = {
    "a second account, far from the first, that goes away again": (
        Land(
            (
                Row("desk", DAY, "called", id="i1", customer="K1", contract="A"),
                Row("desk", DAY + HOUR, "complained", id="i2", customer="K1"),
                Row("desk", 95 * DAY, "called", id="i3", customer="K1", contract="B"),
            )
        ),
        Night(100 * DAY),
        Land((Row("desk", 95 * DAY, "called", id="i3", customer="K1"),)),
        Night(101 * DAY),
    ),
    "a night that is published, fails, and is run again": (
        Land((Row("web", 0, "looked", customer="K1"),)),
        Night(50 * DAY),
        Night(51 * DAY, fails="after move_pointer", again=True),
    ),
    "a settled visit that becomes somebody's who has settled its case long before": (
        Land(
            (
                Row("shop", DAY, "ordered", id="i1", order="O1", customer="K1"),
                Row("shop", 200 * DAY, "ordered", id="i2", order="O1", cookie="c1"),
            )
        ),
        Night(400 * DAY),
        Land((Row("clients", 400 * DAY, customer="K1", cookie="c1"),)),
        Night(401 * DAY),
    ),
    "answers stay when the file of their source is taken away": (
        Land(
            (
                Row("desk", DAY, "called", id="i1", customer="K1"),
                Row("voice", 2 * DAY, "rated", id="r1", customer="K1", score=8),
            )
        ),
        Night(3 * DAY),
        Configure("voice", 1),
        Night(4 * DAY),
    ),
}


@pytest.mark.parametrize("history", FOUND.values(), ids=FOUND.keys())
def test_it_is_as_if_all_had_been_built_at_once(history: History) -> None:
    lives(history)


def settled_files(lake: Lake) -> set[Path]:
    version = lake.current()
    assert version is not None
    return {path.relative_to(version.root) for path in version.root.rglob("settled-*.parquet")}


def test_what_is_settled_is_taken_over() -> None:
    """Were everything built anew each night, all that is asked here would hold, and prove nothing."""
    with hurried(), tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        old = [Row("desk", day * DAY, "called", id=f"i{day}", customer="K1") for day in (1, 90)]
        world.live((Land(tuple(old)), Night(200 * DAY)))
        before = settled_files(world.lake)
        assert {path.parts[0] for path in before} >= {"events", "journeys", "touchpoints"}
        world.live((Land((Row("desk", 201 * DAY, "called", id="i201", customer="K1"),)), Night(202 * DAY)))
        assert settled_files(world.lake) == before
        one, other = (world.lake.versions / name for name in world.lake.version_names())
        assert all((one / path).samefile(other / path) for path in before)
        # Close to the call of day 90, far from that of day 1: that one stays alone in its part.
        world.live((Land((Row("desk", 91 * DAY, "solved", id="i91", customer="K1"),)), Night(203 * DAY)))
        after = settled_files(world.lake)
        assert {path.name for path in before} == {"settled-000001000000-0.parquet"}
        assert {path.name for path in after} == {"settled-000001000000-1.parquet", "settled-000003000000-0.parquet"}
        version = world.lake.current()
        assert version is not None
        left = pq.ParquetFile(version.root / "events" / "settled-000001000000-1.parquet").read()
        assert len(left) == 1


@pytest.mark.parametrize(
    ("is_room", "expected"), [(True, [[1], [1, 2], [1], [1, 2]]), (False, [[1], [1, 2], [1, 2, 3], [1, 2, 3, 4]])]
)
def test_after_many_nights_that_settled_all_is_built_anew(is_room: bool, expected: list[list[int]]) -> None:
    """Else whoever is merged would have rows in more parts with every year; without the room it waits for another night."""
    whole = 1000 * 2**20
    forecast = Forecast(taken_in=0, built=0, spilled=0, whole=whole, free=whole if is_room else whole - 1)
    with (
        hurried(),
        tempfile.TemporaryDirectory() as folder,
        patch("klantspoor.events.base.MOST_GENERATIONS", 2),
        patch.object(Lake, "expect", lambda lake, landed: forecast),
    ):
        world = World(Path(folder))
        seen = []
        for number, day in enumerate((1, 300, 600, 900)):
            call = Row("desk", day * DAY, "called", id=f"i{number}", customer="K1")
            world.live((Land((call,)), Night((day + 200) * DAY)))
            names = [path.name for path in settled_files(world.lake) if path.parts[0] == "events"]
            seen.append(sorted({int(name.split("-")[1]) // A_GENERATION for name in names}))
        assert seen == expected

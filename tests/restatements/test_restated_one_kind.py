"""Nights that change the figures of March in one way alone, counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from restated_world import World, at, order, restatements, row

Row = dict[str, Any]
CAUSES = ("new", "late", "corrected", "identity", "rule", "erased", "clock")
DAY = 86_400


def six_orders(world: World) -> None:
    """Six customers who looked on 1 March, ordered on the 2nd, and got it on the 4th; published on 2 April."""
    world.night(at(2), [line for number in range(1, 7) for line in order(number)])


def only(rows: list[Row], cause: str) -> None:
    """Every count and sum that was published before changed for one reason; nothing else has parts."""
    assert [found for found in rows if found[cause]]
    for found in rows:
        if found["change"] is None:
            assert found["before"] is None or found["after"] is None
        else:
            assert found["after"] - found["before"] == found["change"] != 0
        if found["unit"] in ("count", "seconds") and found["change"] is not None:
            assert [found[name] for name in CAUSES] == [found["change"] if name == cause else 0 for name in CAUSES]
        else:
            assert [found[name] for name in CAUSES] == [None] * 7


def phase(rows: list[Row], name: str, month: str = "2026-03") -> dict[str, tuple[float, float]]:
    """Before and after of the figures of one phase, all personas together."""
    return {
        found["figure"]: (found["before"], found["after"])
        for found in rows
        if found["phase"] == name and found["persona"] is None and found["month"] == month
    }


def step(rows: list[Row], level: str, from_step: str, to_step: str) -> dict[str, tuple[float, float]]:
    return {
        found["figure"]: (found["before"], found["after"])
        for found in rows
        if (found["level"], found["from_step"], found["to_step"]) == (level, from_step, to_step)
        and found["persona"] is None
    }


def test_the_first_night_restates_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    six_orders(world)
    version = world.lake.current()
    assert version is not None
    assert restatements(version) == []


def test_a_night_that_brings_nothing_restates_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    six_orders(world)
    assert restatements(world.night(at(3))) == []


def test_events_after_what_was_complete_are_new(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.night(at(1), [*order(1), row("looked2", "2026-03-31 21:00:00", "looked", 2)])
    # The first night knew of nothing after the evening of 31 March, though that month was over for its clock.
    rows = restatements(
        world.night(
            at(2),
            [row("ordered2", "2026-03-31 22:00:00", "ordered", 2), row("del2", "2026-03-31 23:00:00", "delivered", 2)],
        )
    )
    only(rows, "new")
    assert phase(rows, "ordering") == {
        "journeys": (1, 2),
        "persons": (1, 2),
        "visits": (1, 2),
        "touchpoints": (1, 2),
        "wait_median_hours": (48, 24.5),
        "wait_p90_hours": (48, 43.3),
        "organisation_wait_hours": (2 * DAY, 2 * DAY + 3600),
    }
    # What was open on 1 April stood in April; it was left in March.
    assert phase(rows, "looking")["visits"] == (1, 2)


def test_an_event_from_before_is_late(tmp_path: Path) -> None:
    world = World(tmp_path)
    six_orders(world)
    rows = restatements(world.night(at(3), [row("asked1", "2026-03-01 22:00:00", "asked", 1)]))
    only(rows, "late")
    told = phase(rows, "looking")
    assert told["touchpoints"] == (6, 7)
    assert "visits" not in told
    # One wait of 24 hours became two of 12: as much waiting, and one median of seven waits instead of six.
    assert "nobody_wait_hours" not in told
    appeared = step(rows, "touchpoint", "asked", "ordered")
    assert appeared["waits"] == (None, 1), "there was no such step in March"
    assert step(rows, "touchpoint", "looked", "ordered")["waits"] == (6, 5)
    assert step(rows, "touchpoint", "looked", "ordered")["wait_total_hours"] == (6 * DAY, 5 * DAY)


def test_another_version_of_an_event_is_a_correction(tmp_path: Path) -> None:
    world = World(tmp_path)
    six_orders(world)
    rows = restatements(world.night(at(3), [row("delivered1", "2026-03-05 10:00:00", "delivered", 1, version=2)]))
    only(rows, "corrected")
    assert phase(rows, "ordering")["organisation_wait_hours"] == (12 * DAY, 13 * DAY)
    assert step(rows, "phase", "ordering", "using")["wait_total_hours"] == (12 * DAY, 13 * DAY)
    assert "visits" not in phase(rows, "using")


def test_two_who_are_found_to_be_one_are_identity(tmp_path: Path) -> None:
    world = World(tmp_path)
    mine = [line for number in (1, 2) for line in order(number)]
    by_mail = [(*line[:4], "", "second@home.example", line[6]) for line in order(3)]
    world.night(at(2), [*mine, *by_mail])
    rows = restatements(world.night(at(3), clients=[("K1", "second@home.example", "")]))
    only(rows, "identity")
    assert {found["figure"] for found in rows} == {"persons"}
    assert phase(rows, "looking") == phase(rows, "ordering") == phase(rows, "using") == {"persons": (3, 2)}
    assert {(found["change"], found["identity"]) for found in rows} == {(-1, -1)}


def test_another_persona_is_identity(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.night(at(2), [*order(1), *order(2)], [("K1", "", "young"), ("K2", "", "young")])
    rows = restatements(world.night(at(3), clients=[("K2", "", "old")]))
    young = [found for found in rows if found["persona"] == "young" and found["figure"] == "visits"]
    assert [(found["before"], found["after"], found["identity"]) for found in young] == [(2, 1, -1)] * 3
    # Old people were not in March before: there was nothing to change, but something appeared.
    old = [found for found in rows if found["persona"] == "old" and found["figure"] == "visits"]
    assert [(found["before"], found["after"], found["change"], found["identity"]) for found in old] == [
        (None, 1, None, None)
    ] * 3
    assert not [found for found in rows if found["persona"] is None]


def test_another_phase_map_is_a_rule(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.night(at(2), [*order(1), *order(2), row("asked1", "2026-03-03 10:00:00", "asked", 1)])
    phases = world.journeys["buying"]["phases"]
    phases[0]["activities"], phases[1]["activities"] = ["looked"], ["asked", "ordered"]
    rows = restatements(world.night(at(3)))
    only(rows, "rule")
    assert phase(rows, "looking")["visits"] == (3, 2)
    assert "visits" not in phase(rows, "ordering")
    assert phase(rows, "ordering")["touchpoints"] == (2, 3)


def test_somebody_who_is_forgotten_is_erased(tmp_path: Path) -> None:
    world = World(tmp_path)
    six_orders(world)
    world.forget("K3", at(2))
    rows = [found for found in restatements(world.night(at(3))) if found["unit"] in ("count", "seconds")]
    only(rows, "erased")
    assert phase(rows, "looking")["visits"] == (6, 5)
    assert phase(rows, "looking")["persons"] == (6, 5)
    assert phase(rows, "looking")["nobody_wait_hours"] == (6 * DAY, 5 * DAY)


def test_who_is_silent_too_long_gives_up_by_the_clock(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.night(at(2), [*order(1), row("looked2", "2026-03-20 10:00:00", "looked", 2)])
    assert restatements(world.night(at(3))) == [], "still looking, in the current month"
    rows = restatements(world.night(at(12)))
    only(rows, "clock")
    assert phase(rows, "looking")["visits"] == (1, 2)
    assert phase(rows, "looking")["persons"] == (1, 2)


def test_other_months_are_a_rule(tmp_path: Path) -> None:
    world = World(tmp_path)
    night_owl = row("looked2", "2026-03-01 00:30:00", "looked", 2)
    world.night(at(2), [*order(1), night_owl, *order(2)[1:]])
    world.timezone = "UTC"
    rows = restatements(world.night(at(3)))
    only(rows, "rule")
    assert phase(rows, "looking")["visits"] == (2, 1)
    assert phase(rows, "looking", "2026-02")["visits"] == (None, 1)

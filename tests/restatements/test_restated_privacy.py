"""What the table must not say: figures about fewer than five people, and anything of somebody who was forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from restated_world import World, at, order, restatements, row

Found = dict[str, Any]
CAUSES = ("new", "late", "corrected", "identity", "rule", "erased", "clock")


def orders(world: World, number: int) -> World:
    world.night(at(2), [line for one in range(1, number + 1) for line in order(one)])
    return world


def of(rows: list[Found], figure: str) -> Found:
    """The figure of the phase `looking` in March, all personas together."""
    wanted = {"figure": figure, "phase": "looking", "month": "2026-03", "persona": None}
    (found,) = [one for one in rows if wanted.items() <= one.items()]
    return found


def parts(found: Found) -> dict[str, int]:
    return {cause: found[cause] for cause in CAUSES if found[cause]}


def question(number: int) -> tuple[str, ...]:
    return row(f"asked{number}", "2026-03-01 22:00:00", "asked", number)


def test_one_cause_alone_is_told_whoever_is_behind_it(tmp_path: Path) -> None:
    found = of(restatements(orders(World(tmp_path, suppress_below=5), 6).night(at(3), [question(1)])), "touchpoints")
    assert (found["before"], found["after"], parts(found)) == (6, 7, {"late": 1})
    assert found["persons_changed"] is None, "fewer than five"


def test_several_causes_are_told_apart_where_enough_people_are_behind_each(tmp_path: Path) -> None:
    world = orders(World(tmp_path, suppress_below=5), 12)
    many = [question(number) for number in range(2, 8)]
    moved = [row(f"looked{number}", "2026-02-20 10:00:00", "looked", number, version=2) for number in range(8, 13)]
    found = of(restatements(world.night(at(3), [*many, *moved])), "touchpoints")
    assert (found["after"] - found["before"], parts(found)) == (1, {"late": 6, "corrected": -5})
    assert found["persons_changed"] == 11


def test_causes_of_too_few_people_are_not_told_apart(tmp_path: Path) -> None:
    world = orders(World(tmp_path, suppress_below=5), 12)
    late = [question(number) for number in range(1, 7)]
    rows = restatements(world.night(at(3), [*late, row("looked7", "2026-02-20 10:00:00", "looked", 7, version=2)]))
    found = of(rows, "touchpoints")
    assert (found["before"], found["after"], found["change"]) == (12, 17, 5)
    assert [found[cause] for cause in CAUSES] == [None] * 7
    assert found["persons_changed"] == 7


def test_a_figure_that_was_about_too_few_appears_without_one_before(tmp_path: Path) -> None:
    world = orders(World(tmp_path, suppress_below=5), 4)
    rows = restatements(world.night(at(3), order(5)))
    found = of(rows, "visits")
    assert (found["before"], found["after"], found["change"], parts(found)) == (None, 5, None, {})
    rows = restatements(world.night(at(4), [row("looked1", "2026-02-20 10:00:00", "looked", 1, version=2)]), at(4))
    found = of(rows, "visits")
    assert (found["before"], found["after"], found["change"], parts(found)) == (5, None, None, {})


def test_one_who_is_forgotten_cannot_be_reckoned(tmp_path: Path) -> None:
    world = orders(World(tmp_path, suppress_below=5), 7)
    world.forget("K3", at(2))
    rows = restatements(world.night(at(3)))
    assert of(rows, "visits")["after"] == 6
    told = {
        name for found in rows for name in ("before", "change", "persons_changed", *CAUSES) if found[name] is not None
    }
    assert told == set()


def test_enough_who_are_forgotten_are_a_part(tmp_path: Path) -> None:
    world = orders(World(tmp_path, suppress_below=5), 12)
    for number in range(1, 6):
        world.forget(f"K{number}", at(2))
    found = of(restatements(world.night(at(3))), "visits")
    assert (found["before"], found["after"], parts(found), found["persons_changed"]) == (12, 7, {"erased": -5}, 5)


def test_all_personas_do_not_say_what_one_must_not(tmp_path: Path) -> None:
    world = World(tmp_path, suppress_below=5)
    segments = [(f"K{number}", "", "young" if number < 13 else "old") for number in range(1, 25)]
    world.night(at(2), [line for one in range(1, 25) for line in order(one)], segments)
    for number in (*range(1, 6), 13):
        world.forget(f"K{number}", at(2))
    rows = [
        found
        for found in restatements(world.night(at(3)))
        if (found["figure"], found["phase"]) == ("visits", "looking")
    ]
    assert {found["persona"]: (found["before"], found["after"]) for found in rows} == {
        "young": (12, 7),
        "old": (None, 11),
        None: (None, 18),
    }


def test_earlier_nights_go_as_far_as_they_speak_of_few(tmp_path: Path) -> None:
    world = orders(World(tmp_path, suppress_below=5), 12)
    world.night(at(3), [question(1)])
    several = world.night(at(4), [question(number) for number in range(2, 8)])
    assert {found["as_of"] for found in restatements(several)} == {at(3), at(4)}
    assert of(restatements(several, at(4)), "touchpoints")["before"] == 13
    world.forget("K9", at(4))
    rows = restatements(world.night(at(5)))
    assert {found["as_of"] for found in rows} == {at(4), at(5)}
    earlier = of([found for found in rows if found["as_of"] == at(4)], "touchpoints")
    assert (earlier["before"], earlier["after"], earlier["change"], parts(earlier)) == (None, None, 6, {"late": 6})
    assert all((found["persons_changed"] or 0) >= 5 for found in rows if found["as_of"] == at(4))

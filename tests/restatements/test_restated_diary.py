"""The table over many nights: what it keeps, in which files, and what a night reads."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import pytest
from restated_world import World, at, order, restatements, row

from klantspoor.errors import LakeError, PublicationStoppedError
from klantspoor.lake import Version
from klantspoor.restatements.changed import differing

stage = import_module("klantspoor.restatements.build")  # the package's own `build` is the function in it


def files(version: Version) -> dict[str, int]:
    """Name and inode of every file of the table."""
    root = version.root / "restatements"
    return {str(path.relative_to(root)): path.stat().st_ino for path in root.rglob("*.parquet")}


def question(number: int) -> tuple[str, ...]:
    return row(f"asked{number}", "2026-03-01 22:00:00", "asked", number)


def test_earlier_nights_are_kept_in_files_that_are_linked_to(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.night(at(2), [line for number in range(1, 7) for line in order(number)])
    third = world.night(at(3), [question(1)])
    fourth = world.night(at(4), [question(2)])
    assert {found["as_of"] for found in restatements(fourth)} == {at(3), at(4)}
    assert files(third).items() <= files(fourth).items()
    assert len(files(fourth)) == 2
    quiet = world.night(at(5))
    assert files(quiet) == files(fourth)
    # The nights of April are one file as soon as April is over.
    after = world.night(at(2, month=5))
    assert [Path(name).parent.name for name in files(after)] == ["month=2026-04"]
    assert [found for found in restatements(after) if found["as_of"] < at(5)] == restatements(fourth)
    assert files(world.night(at(3, month=5))) == files(after)


def test_only_files_that_are_not_the_same_are_read(tmp_path: Path) -> None:
    before, tonight = tmp_path / "before", tmp_path / "tonight"
    for name, there in (("a", "both"), ("b", "before"), ("c", "tonight"), ("m/d", "copied")):
        for side in (before, tonight):
            (side / name).parent.mkdir(parents=True, exist_ok=True)
            if there in ("both", "copied", side.name):
                (side / f"{name}.parquet").write_text(name)
    (tonight / "a.parquet").unlink()
    os.link(before / "a.parquet", tonight / "a.parquet")
    assert differing(before, tonight) == (
        [before / "b.parquet", before / "m" / "d.parquet"],
        [tonight / "c.parquet", tonight / "m" / "d.parquet"],
    )


def test_a_person_who_stays_in_a_phase_by_a_journey_that_did_not_change_is_not_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    again = [(*line[:6], "P1") for line in order(1, day=10)]
    again = [(f"again{line[0]}", *line[1:]) for line in again]
    world.night(at(2), [*order(1), *again, *order(2)])
    rows = restatements(world.night(at(3), [row("looked1", "2026-02-20 10:00:00", "looked", 1, version=2)]))
    told = {found["figure"]: (found["before"], found["after"]) for found in rows if found["phase"] == "looking"
            and found["persona"] is None and found["month"] == "2026-03"}  # fmt: skip
    assert told["visits"] == (3, 2)
    assert told["journeys"] == (3, 2)
    assert "persons" not in told


def test_many_journeys_are_counted_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for together in (2, 100):
        monkeypatch.setattr(stage, "_TOGETHER", together)
        world = World(tmp_path / str(together))
        world.night(at(2), [line for number in range(1, 8) for line in order(number)])
        version = world.night(at(3), [question(number) for number in range(1, 8)])
        told.append(restatements(version))
    assert told[0] == told[1] != []


def test_a_change_that_nothing_explains_stops_the_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    owl = row("looked2", "2026-03-01 00:30:00", "looked", 2)
    world.night(at(2), [*order(1), owl, *order(2)[1:]])
    world.timezone = "UTC"
    monkeypatch.setattr(stage, "rules_changed", lambda *_: False)
    with pytest.raises(PublicationStoppedError, match=r"restatements\.adds_up"):
        world.night(at(3))


def test_a_night_that_was_not_told_what_changed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    world.night(at(2), order(1))
    lake = world.lake
    with lake.open_run("again", at(3)) as staging, pytest.raises(LakeError, match=r"changed\.json"):
        stage.build(world.project, lake, staging)

"""Going back to a version: whole at every moment, nothing swept that was published, no number twice, nobody comes back."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from klantspoor.errors import LakeError, NotFoundError
from klantspoor.lake import BusyError, Lake
from klantspoor.lake.history import NOTE
from klantspoor.lake.publishing import build_version
from tests.lake.small_world import AS_OF
from tests.lake.versions_world import Killed, dying, lake_in, publish, seen, stage, states


@pytest.fixture(autouse=True)
def unforced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forcing to disk takes most of the time, and is tested elsewhere."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = lake_in(tmp_path)
    for night in (1, 2, 3):
        publish(lake, night)
    return lake


def test_an_earlier_version_becomes_current_and_newer_ones_are_set_aside(lake: Lake) -> None:
    assert lake.roll_back("1").name == "000001"
    assert seen(lake) == (1, 1)
    assert states(lake) == {1: "current", 2: "set aside", 3: "set aside"}


def test_the_next_night_takes_a_number_above_all_and_sweeps_nothing_published(lake: Lake) -> None:
    lake.roll_back("000002")
    assert publish(lake, 4).name == "000004"
    assert states(lake) == {1: "earlier", 2: "earlier", 3: "set aside", 4: "current"}
    assert seen(lake) == (4, 4)


def test_a_number_is_not_used_again_when_its_version_is_gone(lake: Lake) -> None:
    lake.roll_back("1")
    lake.drop_versions(["000002", "000003"], datetime.now(UTC) - timedelta(hours=1))
    assert lake.drop_due() == []
    assert lake.version_names() == ["000001"]
    assert publish(lake, 4).name == "000004"


def test_a_roll_back_is_taken_back(lake: Lake) -> None:
    lake.roll_back("1")
    lake.roll_back("3")
    assert seen(lake) == (3, 3)
    assert states(lake) == {1: "earlier", 2: "earlier", 3: "current"}


def test_what_was_never_published_is_swept_and_cannot_be_gone_back_to(lake: Lake) -> None:
    lake.roll_back("2")
    with stage(lake, 4) as staging:
        build_version(staging, lake.versions, "000004")
    assert lake.version_names()[-1] == "000004"
    assert 4 not in states(lake)
    with pytest.raises(NotFoundError, match="000001, 000002, 000003"):
        lake.roll_back("4")
    with lake.open_run("next", AS_OF):
        assert lake.version_names() == ["000001", "000002", "000003"]


def test_whenever_the_process_dies_the_next_one_finishes_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    at, was = 0, 3
    while True:
        at, back = at + 1, 2 if was == 3 else 3
        with dying(monkeypatch, at) as count:
            try:
                lake.roll_back(str(back))
            except Killed:
                pass
            else:
                break
        assert set(seen(lake)) <= {was, back}, "readers see whole versions"
        listed = states(lake)
        assert set(listed) == {1, 2, 3}
        with lake.open_run("sweeper", AS_OF):
            by_pointer, by_database = seen(lake)
            assert by_pointer == by_database
            assert listed[by_pointer] == "current", "the list told the truth before anybody mended it"
            assert states(lake) == listed
            assert lake.version_names() == ["000001", "000002", "000003"]
            assert not list(lake.root.glob(".tmp-*"))
        was = by_pointer
    assert count[0] >= 3, "the pointer, the database and the history are each a rename"
    assert publish(lake, 4).name == "000004"


def test_whenever_the_process_dies_while_it_publishes_nothing_published_is_lost(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.roll_back("2")
    at, night = 0, 3
    while True:
        at, night, before = at + 1, night + 1, lake.current()
        staging = stage(lake, night)
        known = set(states(lake))
        with dying(monkeypatch, at):
            try:
                lake.publish(staging)
            except Killed:
                staging.close()
            else:
                break
        current = lake.current()
        assert current is not None
        assert before is not None
        if current.name != before.name:
            # Before anybody mends it, somebody may go back.
            lake.roll_back(before.name)
            assert states(lake)[int(current.name)] == "set aside"
            lake.roll_back(current.name)
        with lake.open_run("sweeper", AS_OF):
            assert known | {int(current.name)} <= set(states(lake))
            assert {int(name) for name in lake.version_names()} == set(states(lake))
        assert lake.current().name == current.name  # type: ignore[union-attr]
    assert at > 4


def test_who_is_forgotten_does_not_come_back(lake: Lake) -> None:
    lake.drop_versions(["000001"], datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(LakeError, match="000001 holds a person who was forgotten"):
        lake.roll_back("1")
    folder = lake.ledger / "forgetting"
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps({"versions": ["000002"]}))
    with pytest.raises(LakeError, match="000002 holds a person who was forgotten"):
        lake.roll_back("2")
    (folder / "request.json").write_text("half a requ")
    with pytest.raises(LakeError, match="forget --resume"):
        lake.roll_back("2")
    assert seen(lake) == (3, 3)


def test_what_cannot_be_gone_back_to(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LakeError, match="current one already"):
        lake.roll_back("3")
    with pytest.raises(NotFoundError, match=r"There is no version '\.\./3'"):
        lake.roll_back("../3")
    (lake.versions / "000001" / "quarantine" / "part-0.parquet").unlink()
    with pytest.raises(LakeError, match=r"damaged: quarantine/part-0\.parquet is missing"):
        lake.roll_back("1")
    monkeypatch.setattr("klantspoor.lake.upgrading.dictionary_fingerprint", lambda: "another")
    with pytest.raises(LakeError, match="another dictionary of tables"):
        lake.roll_back("2")
    assert lake.roll_back("2", other_dictionary=True).name == "000002"


def test_nobody_goes_back_while_a_run_is_writing(lake: Lake) -> None:
    with lake.open_run("night", AS_OF), pytest.raises(BusyError, match="night"):
        lake.roll_back("1")
    assert seen(lake) == (3, 3)


def test_a_lake_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There are: none"):
        lake_in(tmp_path).roll_back("1")
    assert not (tmp_path / "lake").exists()


def test_a_lake_of_software_without_a_history(lake: Lake) -> None:
    (lake.root / NOTE).unlink()
    shutil.copytree(lake.versions / "000003", lake.versions / "000004")
    assert states(lake) == {1: "earlier", 2: "earlier", 3: "current"}
    with lake.open_run("night", AS_OF):
        assert lake.version_names() == ["000001", "000002", "000003"]
    lake.roll_back("1")
    assert states(lake) == {1: "current", 2: "set aside", 3: "set aside"}


def test_a_history_that_cannot_be_read_stops_the_night_and_says_what_to_do(lake: Lake) -> None:
    (lake.root / NOTE).write_text("[1, 2")
    with pytest.raises(LakeError, match=r"history.json in the lake cannot be read.*remove it"):
        lake.open_run("night", AS_OF)
    assert lake.version_names() == ["000001", "000002", "000003"]
    assert seen(lake) == (3, 3)

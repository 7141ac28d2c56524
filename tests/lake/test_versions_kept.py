"""What keeps a version: readers of a while ago, pins; and what no pin withstands."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from klantspoor.errors import LakeError, NotFoundError
from klantspoor.lake import Lake
from klantspoor.lake.pins import looking
from tests.lake.small_world import AS_OF
from tests.lake.versions_world import lake_in, publish

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def unforced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return lake_in(tmp_path, keep_versions=1)


def numbers(lake: Lake) -> list[int]:
    return [int(name) for name in lake.version_names()]


def test_who_opened_a_version_keeps_it_for_a_while(tmp_path: Path) -> None:
    patient = lake_in(tmp_path, keep_versions=1, keep_for=DAY)
    with publish(patient, 1).connect() as reader:
        publish(patient, 2)
        publish(patient, 3)
        assert numbers(patient) == [1, 2, 3]
        assert reader.execute("SELECT right(file, 4)::INT FROM quarantine").fetchall() == [(1,)]
    with lake_in(tmp_path, keep_versions=1).open_run("impatient", AS_OF):
        assert numbers(patient) == [3]


def test_a_pinned_version_outlives_others_until_it_is_unpinned(lake: Lake) -> None:
    publish(lake, 1)
    assert lake.pin("1", 30 * DAY, "the yearly report").name == "000001"
    for night in (2, 3):
        publish(lake, night)
    assert numbers(lake) == [1, 3]
    [_, pinned] = lake.listing()
    assert pinned.pin is not None
    assert pinned.pin.why == "the yearly report"
    assert timedelta(0) <= datetime.now(UTC) + 30 * DAY - pinned.pin.until < timedelta(minutes=5)
    assert lake.unpin("000001")
    assert not lake.unpin("000001")
    publish(lake, 4)
    assert numbers(lake) == [4]


def test_a_pin_ends(lake: Lake) -> None:
    publish(lake, 1)
    lake.pin("1", timedelta(microseconds=1), "a look")
    assert lake.pins() == {}
    publish(lake, 2)
    assert numbers(lake) == [2]
    assert list((lake.root / "pins").iterdir()) == []


def test_a_pin_is_never_shortened(lake: Lake) -> None:
    publish(lake, 1)
    lake.pin("1", 30 * DAY, "the yearly report")
    lake.pin("1", 3 * DAY, "a look")
    assert lake.pins()["000001"].why == "the yearly report"
    lake.pin("1", 60 * DAY, "the audit")
    assert lake.pins()["000001"].why == "the audit"


def test_no_pin_keeps_who_is_forgotten(lake: Lake) -> None:
    publish(lake, 1)
    lake.pin("1", 30 * DAY, "the yearly report")
    publish(lake, 2)
    lake.drop_versions(["000001"], datetime.now(UTC) + DAY)
    assert lake.listing()[1].goes is not None
    with pytest.raises(LakeError, match="no pin keeps it"):
        lake.pin("1", 60 * DAY, "the audit")
    assert lake.drop_due(datetime.now(UTC) + 2 * DAY) == []
    assert numbers(lake) == [2]
    publish(lake, 3)
    assert lake.pins() == {}


@pytest.mark.parametrize(
    ("keep", "why"),
    [(timedelta(0), "x"), (-DAY, "x"), (40_000 * DAY, "x"), (DAY, " "), (DAY, "x" * 201), (DAY, "two\nlines")],
)
def test_a_pin_that_makes_no_sense(lake: Lake, keep: timedelta, why: str) -> None:
    publish(lake, 1)
    with pytest.raises(LakeError):
        lake.pin("1", keep, why)
    assert lake.pins() == {}


def test_what_is_not_there_cannot_be_pinned(lake: Lake) -> None:
    with pytest.raises(NotFoundError, match="There are: none"):
        lake.pin("1", DAY, "x")
    publish(lake, 1)
    with pytest.raises(NotFoundError, match="There are: 000001"):
        lake.unpin("2")


def test_a_pin_that_cannot_be_read_keeps_its_version(lake: Lake) -> None:
    publish(lake, 1)
    lake.pin("1", DAY, "x")
    (lake.root / "pins" / "000001.json").write_text("{")
    publish(lake, 2)
    assert numbers(lake) == [1, 2]
    assert "cannot be read" in lake.pins()["000001"].why
    lake.unpin("1")
    publish(lake, 3)
    assert numbers(lake) == [3]


def test_a_reader_who_is_pinning_never_holds_up_a_night(lake: Lake) -> None:
    publish(lake, 1)
    with looking(lake.root, wait=True) as still:
        assert still
        publish(lake, 2)
    assert numbers(lake) == [1, 2], "pruned another night"
    publish(lake, 3)
    assert numbers(lake) == [3]


def test_pins_and_nights_at_once(lake: Lake) -> None:
    """Each pin that was granted keeps its version, however nights prune meanwhile."""
    publish(lake, 1)
    granted: set[str] = set()
    done = threading.Event()

    def pin() -> None:
        while not done.is_set():
            current = Lake(lake.root).current()
            assert current is not None
            try:
                granted.add(lake.pin(current.name, DAY, "x").name)
            except NotFoundError:
                continue  # pruned between the two

    reader = threading.Thread(target=pin)
    reader.start()
    for night in range(2, 7):
        publish(lake, night)
    done.set()
    reader.join()
    assert len(granted) > 1
    assert granted <= set(lake.version_names())

"""Other software publishes only what was accepted: when a night asks, what is told before, and figures tried out aside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from klantspoor import night, upgrade
from klantspoor.errors import LakeError
from klantspoor.lake import BusyError, Lake, publishing, upgrading
from klantspoor.lake.upgrading import Maker, SchemaChange, accept, is_same, maker_of, schema_changes, this_code
from tests.forget.forget_world import FIRST, KEY, World
from tests.lake.small_world import AS_OF
from tests.lake.versions_world import lake_in, publish, stage

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def unforced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@contextmanager
def made_by(monkeypatch: pytest.MonkeyPatch, software: str, dictionary: str | None = None) -> Iterator[None]:
    """Other code is running."""
    with monkeypatch.context() as patched:
        for module in (publishing, upgrading):
            patched.setattr(module, "software", lambda: software)
            if dictionary is not None:
                patched.setattr(module, "dictionary_fingerprint", lambda: dictionary)
        yield


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        (("1.2.0", "d"), ("1.2.0", "d"), True),
        (("1.2.0", "d"), ("1.2.9", "d"), True),
        (("1.2.0", "d"), ("1.3.0", "d"), False),
        (("1.2.0", "d"), ("2.2.0", "d"), False),
        (("1.2.0", "d"), ("1.1.0", "d"), False),
        (("1.2", "d"), ("1.20", "d"), False),
        (("1.2.0", "d"), ("1.2.0", "e"), False),
        (("1.2.0", "d"), ("1.2.1", "e"), False),
        (("unknown", "d"), ("1.2.1", "d"), True),
        (("unknown", "d"), ("1.2.1", "e"), False),
    ],
)
def test_which_software_goes_on_where_another_ended(before: tuple[str, str], now: tuple[str, str], same: bool) -> None:
    assert is_same(Maker(*before), Maker(*now)) is same


def test_a_patch_of_the_software_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_in(tmp_path)
    with made_by(monkeypatch, "1.2.0"):
        publish(lake, 1)
    with made_by(monkeypatch, "1.2.1"):
        assert publish(lake, 2).manifest["software"] == "1.2.1"


def test_another_release_publishes_once_it_was_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_in(tmp_path)
    with made_by(monkeypatch, "1.2.0"):
        publish(lake, 1)
    with made_by(monkeypatch, "1.3.0"):
        with pytest.raises(
            LakeError, match=r"version 000001 was made by klantspoor 1\.2\.0, this is 1\.3\.0.*upgrade --yes"
        ):
            lake.open_run("night", AS_OF)
        assert upgrade.accept_upgrade(lake).is_needed
        assert publish(lake, 2).name == "000002"
        assert not (lake.root / upgrading.NOTE).exists(), "used up"
        publish(lake, 3)
    with made_by(monkeypatch, "1.2.0"), pytest.raises(LakeError, match=r"this is 1\.2\.0"):
        lake.open_run("night", AS_OF)


def test_another_dictionary_asks_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_in(tmp_path)
    publish(lake, 1)
    elsewhere = made_by(monkeypatch, this_code().software, "another")
    with elsewhere, pytest.raises(LakeError, match="another dictionary of tables"):
        lake.open_run("night", AS_OF)


def test_only_what_was_accepted_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_in(tmp_path)
    with made_by(monkeypatch, "1.2.0"):
        version = publish(lake, 1)
    accept(lake.root, maker_of(version), Maker("1.3.0", maker_of(version).dictionary), NOW)
    with made_by(monkeypatch, "1.4.0"), pytest.raises(LakeError, match=r"this is 1\.4\.0"):
        lake.open_run("night", AS_OF)
    (lake.root / upgrading.NOTE).write_text("{")
    with made_by(monkeypatch, "1.3.0"), pytest.raises(LakeError, match=r"this is 1\.3\.0"):
        lake.open_run("night", AS_OF)


def test_a_note_that_a_crash_left_is_used_up_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_in(tmp_path)
    with made_by(monkeypatch, "1.2.0"):
        publish(lake, 1)
    with made_by(monkeypatch, "1.3.0"):
        upgrade.accept_upgrade(lake)
        with monkeypatch.context() as patched:
            patched.setattr(upgrading, "consume", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt), stage(lake, 2) as staging:
                lake.publish(staging)
        assert (lake.root / upgrading.NOTE).exists()
        with lake.open_run("next", AS_OF):
            assert not (lake.root / upgrading.NOTE).exists()
        lake.roll_back("1")
        with pytest.raises(LakeError, match="upgrade --yes"):
            lake.open_run("night", AS_OF)


def test_a_first_night_asks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with made_by(monkeypatch, "9.9.9", "another"):
        assert publish(lake_in(tmp_path), 1).name == "000001"
    with pytest.raises(LakeError, match="Nothing has been published yet"):
        upgrade.look(Lake(tmp_path / "empty"))


def test_tables_and_columns_that_change(tmp_path: Path) -> None:
    version = publish(lake_in(tmp_path), 1)
    assert schema_changes(version) == []
    path = version.root / "quarantine" / "part-0.parquet"
    data = pq.read_table(path)
    at = data.column_names.index("file")
    data = data.set_column(at, pa.field("file", pa.int64(), nullable=False), pa.array([1])).drop_columns(["detail"])
    path.unlink()
    pq.write_table(data.append_column("mood", pa.array(["good"])), path)
    shutil.rmtree(version.root / "waits")
    (version.root / "moods").mkdir()
    version.manifest["tables"]["moods"] = 3
    assert schema_changes(version) == [
        SchemaChange("moods", None, "table", None),
        SchemaChange("quarantine", "file", "int64, never null", "string, never null"),
        SchemaChange("quarantine", "mood", "string", None),
        SchemaChange("quarantine", "detail", None, "string, never null"),
        SchemaChange("waits", None, None, "table"),
    ]


# --- trying it out ---


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two nights, the second with late rows; and a file that came after them."""
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", KEY)
    world = World(tmp_path).land_all()
    for days, name in ((0, "2"), (1, "3")):
        as_of = FIRST + timedelta(days=days, hours=1)
        night.night(world.project, world.lake, as_of, with_pages=False)
        late = [(f"2026-03-0{days + 3} 08:00:00", "looked", "dia@away.example", f"a new one {days}", "dia")]
        world.land("web", late, name, as_of + timedelta(hours=2))
    return world


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_software_that_makes_the_same_changes_nothing(world: World) -> None:
    before = everything(world.lake.ledger) | everything(world.lake.versions)
    found = upgrade.try_out(world.project, world.lake)
    assert [one.table for one in found.tables if not one.is_equal] == []
    assert {one.table for one in found.tables} >= {"events", "identities", "journeys", "waits", "journey_map", "intake"}
    assert sum(one.after or 0 for one in found.tables) > 100
    assert (found.figures, found.over, found.provisional) == ((), 0, 0)
    assert everything(world.lake.ledger) | everything(world.lake.versions) == before
    assert not (world.lake.root / "work" / upgrade.HOLDER).exists()


def test_figures_that_would_change_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    build = night.build_mart

    def other(name: str, project: Any, staging: Any) -> Any:
        made = build(name, project, staging)
        if name == "journey_map":
            data = pq.read_table(staging.folder(name))
            at = data.column_names.index("touchpoints")
            staging.write(name, data.set_column(at, "touchpoints", pc.add(data["touchpoints"], 1)))
        return made

    monkeypatch.setattr(night, "build_mart", other)
    found = upgrade.try_out(world.project, world.lake)
    [differing] = [one for one in found.tables if not one.is_equal]
    assert differing.table == "journey_map"
    assert differing.columns == {"touchpoints": differing.after}
    assert found.over + found.provisional > 0
    for change in found.figures:
        [(column, (before, after))] = change.figures.items()
        assert (column, after) == ("touchpoints", before + 1)


def test_it_leaves_nothing_behind_when_it_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(night, "build", lambda *_: (_ for _ in ()).throw(LakeError("no")))
    with pytest.raises(LakeError, match="no"):
        upgrade.try_out(world.project, world.lake)
    assert not (world.lake.root / "work" / upgrade.HOLDER).exists()
    world.lake.open_run("free", AS_OF).close()


def test_it_needs_the_writers_place_and_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.lake.open_run("night", AS_OF), pytest.raises(BusyError, match="night"):
        upgrade.try_out(world.project, world.lake)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, 10**6))  # type: ignore[attr-defined]
    with pytest.raises(LakeError, match=r"1\.0 MB are free: nothing was built"):
        upgrade.try_out(world.project, world.lake)

"""The disk a night needs: the formula by hand, from what earlier nights wrote, and a night that finds no room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from klantspoor import night
from klantspoor.errors import LakeError
from klantspoor.intake import Ledger
from klantspoor.intake.waiting import PER_FILE, ledger_bytes_waiting
from klantspoor.lake import Lake, disk
from klantspoor.lake.forecast import FIRST_NIGHT, SPARE, SPILL, forecast, told
from klantspoor.lake.history import History, Past
from tests.forget.forget_world import FIRST, KEY, World
from tests.lake.small_world import AS_OF
from tests.lake.versions_world import lake_in, publish

MB = 1_000_000
DAY = timedelta(days=1)


def test_a_usual_night_by_hand() -> None:
    found = forecast(landed=10 * MB, ledger=1000 * MB, written=20 * MB, whole=2000 * MB, free=10_000 * MB)
    assert found.built == 40 * MB, "20 as usual, and one in a hundred more of everything"
    assert found.spilled == 40 * MB * SPILL
    assert found.needed == 10 * MB + found.built + found.spilled + SPARE
    assert found.whole == 10 * MB + (1 + SPILL) * 2020 * MB + SPARE
    assert found.fits
    assert not found.is_near


def test_more_than_everything_is_never_built() -> None:
    found = forecast(landed=0, ledger=100, written=500, whole=300, free=0)
    assert found.built == 300
    backlog = forecast(landed=50 * MB, ledger=10 * MB, written=90 * MB, whole=100 * MB, free=0)
    assert backlog.built == 590 * MB, "90 as usual and five times everything"


def test_a_first_night_by_hand() -> None:
    found = forecast(landed=100 * MB, ledger=0, written=None, whole=None, free=400 * MB)
    assert found.built == FIRST_NIGHT * 100 * MB
    assert found.needed == found.whole
    assert forecast(landed=MB, ledger=9 * MB, written=None, whole=None, free=0).built == FIRST_NIGHT * 10 * MB


def test_near_is_not_twice_or_not_everything() -> None:
    given = {"landed": 0, "ledger": MB, "written": 100 * MB, "whole": 1000 * MB}
    least = 150 * MB + SPARE
    everything = 1500 * MB + SPARE
    cases = {least - 1: (False, False), least: (True, True), everything - 1: (True, True), everything: (True, False)}
    for free, expected in cases.items():
        found = forecast(**given, free=free)
        assert (found.fits, found.is_near) == expected


def test_bytes_in_words() -> None:
    words = {0: "0.0 MB", 1_400_000: "1.4 MB", 812 * MB: "812 MB", 4_200 * MB: "4.2 GB", 3_000_000 * MB: "3.0 TB"}
    assert {number: told(number) for number in words} == words


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is free on every disk, to be changed."""
    found = [10**12]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 0, found[0]))  # type: ignore[attr-defined]
    return found


@pytest.mark.usefixtures("free")
def test_the_median_of_the_last_nights_counts(tmp_path: Path) -> None:
    pasts = {f"{n:06d}": Past(written=written, whole=900 + n) for n, written in enumerate((800, 10, 30, 20), start=1)}
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "events").write_bytes(b"x" * 100)
    assert disk.expect(tmp_path, History(4, pasts), landed=0).built == 20
    assert disk.expect(tmp_path, History(4, pasts), landed=50).built == 20 + 904 // 2
    assert disk.expect(tmp_path, History(1, {"000001": Past()}), landed=0).built == FIRST_NIGHT * 100


def content(*folders: Path) -> int:
    """Bytes below some folders, each inode once, told by another program."""
    found = subprocess.run(
        ["find", *map(str, folders), "-type", "f", "-printf", "%i %s\n"], capture_output=True, text=True, check=True
    )
    return sum(dict(tuple(map(int, line.split())) for line in found.stdout.splitlines()).values())


def test_what_a_night_wrote_is_noted(tmp_path: Path) -> None:
    lake = lake_in(tmp_path)
    first = publish(lake, 1)
    written = content(lake.root / "work" / "night-1", first.root)
    [past] = lake._history().versions.values()
    assert (past.written, past.whole) == (written, written)
    with lake.open_run("night-2", AS_OF) as staging:
        for folder in first.root.iterdir():
            if folder.is_dir():
                shutil.copytree(folder, staging.root / "tables" / folder.name, copy_function=os.link)
        again = tmp_path / "again"
        shutil.copy(staging.folder("quarantine") / "part-0.parquet", again)
        again.replace(staging.folder("quarantine") / "part-0.parquet")
        second = lake.publish(staging)
    past = lake._history().versions["000002"]
    rewritten = [second.root / "manifest.json", second.root / "quarantine", lake.root / "work" / "night-2" / "run.json"]
    assert past.written == content(*rewritten)
    assert past.whole == content(second.root, lake.root / "work" / "night-2")
    listed = {one.name: one for one in lake.listing()}
    assert listed["000002"].own == content(*rewritten[:2])
    assert listed["000001"].own == content(first.root / "manifest.json", first.root / "quarantine")
    assert listed["000001"].own + listed["000001"].shared == content(first.root)


# --- what has landed ---


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", KEY)
    return World(tmp_path).land_all()


def test_what_waits_is_what_was_not_read(world: World) -> None:
    as_of = FIRST + timedelta(hours=1)
    sizes = sum(path.stat().st_size for path in (world.root / "landing").iterdir())
    assert ledger_bytes_waiting(world.project, world.lake.root, as_of) == sizes + 4 * PER_FILE
    world.night(as_of)
    assert ledger_bytes_waiting(world.project, world.lake.root, as_of + DAY) == 0
    late = world.land("web", [("2026-03-11 08:00:00", "looked", "", "a new one", "eve")], "2", as_of + DAY)
    assert ledger_bytes_waiting(world.project, world.lake.root, as_of + DAY) == late.stat().st_size + PER_FILE


def test_a_night_that_does_not_fit_is_not_begun(world: World, free: list[int]) -> None:
    as_of = FIRST + timedelta(hours=1)
    night.night(world.project, world.lake, as_of, with_pages=False)
    world.land("web", [("2026-03-11 08:00:00", "looked", "", "a new one", "eve")], "2", as_of + DAY)
    before = {file.path.name for file in Ledger(world.lake.root).files()}
    free[0] = 50 * MB
    with pytest.raises(LakeError, match=r"needs about \d+ MB .*where 50 MB are free: nothing was read or written"):
        night.night(world.project, world.lake, as_of + DAY, with_pages=False)
    assert {file.path.name for file in Ledger(world.lake.root).files()} == before
    assert world.lake.version_names() == ["000001"]
    free[0] = 500 * MB
    assert night.night(world.project, world.lake, as_of + DAY, with_pages=False).name == "000002"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 80 MiB."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=80m", "tmpfs", mounted], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no file system can be mounted here")
    yield mounted
    subprocess.run(["umount", mounted], check=True)


def test_on_a_real_small_disk(small_disk: Path) -> None:
    lake = Lake(small_disk / "lake")
    with lake.open_run("night", AS_OF):
        assert lake.require_disk(MB).is_near
        (small_disk / "something else").write_bytes(b"x" * 20 * MB)
        with pytest.raises(LakeError, match=r"needs about 7\d MB .*where 6\d MB are free"):
            lake.require_disk(MB)

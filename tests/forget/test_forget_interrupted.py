"""Interrupted at any moment, forgetting can be gone on with, and comes to the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.forget.forget_leftovers import plant
from tests.forget.forget_world import FILES, REQUESTED, World, law_holds, make, read_ledger

LATER = REQUESTED + timedelta(hours=15)
# Everything by which forgetting changes the disk.
OPERATIONS: list[tuple[Any, str]] = [
    (Path, "rename"),
    (Path, "replace"),
    (Path, "unlink"),
    (Path, "mkdir"),
    (Path, "rmdir"),
    (shutil, "rmtree"),
    (os, "fsync"),
    (pq, "write_table"),
]


class Killed(BaseException):
    """The process ends here."""


class Fuse:
    """Counts operations, and ends the process before the one numbered `at` (0: never)."""

    def __init__(self) -> None:
        self.at = self.done = 0

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def counted(*given: Any, **named: Any) -> Any:
            if self.at and self.done >= self.at:
                raise Killed  # what runs on while the error rises changes nothing any more
            self.done += 1
            return call(*given, **named)

        return counted


@pytest.fixture
def fuse(monkeypatch: pytest.MonkeyPatch) -> Fuse:
    made = Fuse()
    for owner, name in OPERATIONS:
        monkeypatch.setattr(owner, name, made.wrap(getattr(owner, name)))
    return made


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world with its first night, and all that may be kept beside the ledger."""
    with pytest.MonkeyPatch.context() as patched:
        from tests.forget.forget_world import KEY

        patched.setenv("KLANTSPOOR_TEST_KEY", KEY)
        world = make(tmp_path_factory.mktemp("published"))
        world.night()
        plant(world, world.person("customer", "K1"))
        return world.root


def state(world: World) -> dict[str, Any]:
    """All that a cleaned project is made of."""
    parts: dict[str, Any] = {part: read_ledger(world, part) for part in ("events", "links", "quarantine")}
    parts["records"] = [file.record for file in world.ledger.files()]
    for path in (
        *world.root.glob("vault/*"),
        *world.lake.ledger.glob("linkage/*"),
        world.lake.ledger / "shared.parquet",
    ):
        parts[path.name] = pq.read_table(path).to_pylist()
    graves = pq.read_table(world.lake.ledger / "tombstones.parquet")
    parts["tombstones"] = graves.drop_columns(["receipt"]).to_pylist()
    parts["decisions"] = (world.root / "identity-decisions.jsonl").read_text("utf-8")
    parts["state"] = (world.lake.root / "state").exists()
    return parts


def copy(published: Path, root: Path) -> World:
    shutil.copytree(published, root)
    return World(root)


@pytest.mark.parametrize("stride", [19, pytest.param(1, marks=pytest.mark.soak)])
def test_killed_before_any_change_to_the_disk(stride: int, published: Path, tmp_path: Path, fuse: Fuse) -> None:
    whole = copy(published, tmp_path / "whole")
    anna = whole.person("customer", "K1")
    before = fuse.done
    whole.forget(anna)
    steps, wanted = fuse.done - before, state(whole)
    assert steps > 100
    begun = 0
    for at in sorted({*range(1, steps, stride), steps - 1}):
        world = copy(published, tmp_path / "killed")
        fuse.done, fuse.at = 0, at
        with pytest.raises(Killed):
            world.forget(anna)
        fuse.at = 0
        if list(world.lake.ledger.glob("forgetting/*.json")):
            begun += 1
            [progress] = world.resume(now=REQUESTED)
            assert progress.state == "unpublished"
            assert state(world) == wanted, f"killed at {at} of {steps}"
        else:
            assert world.person("customer", "K1") == anna
            world.forget(anna)
            assert state(world) == wanted, f"killed at {at} of {steps}, before it began"
        shutil.rmtree(world.root)
    assert begun > 3


def test_killed_while_it_is_concluded(published: Path, tmp_path: Path, fuse: Fuse) -> None:
    base = copy(published, tmp_path / "base")
    request = base.forget(base.person("customer", "K1"))
    base.night(LATER)
    for at in range(1, 200, 2):
        world = copy(base.root, tmp_path / "killed")
        world.request = request
        fuse.done, fuse.at = 0, at
        try:
            world.resume()
        except Killed:
            fuse.at = 0
            states = [progress.state for progress in world.resume()]
            assert states in (["done"], []), f"killed at {at}"
        else:
            break
        assert world.traces() == []
        assert world.lake.version_names() == ["000002"]
        assert [path.stem for path in world.lake.root.glob("receipts/*.json")] == [request.id]
        assert not (world.lake.ledger / "forgetting").exists() or not list((world.lake.ledger / "forgetting").iterdir())
        shutil.rmtree(world.root)
    fuse.at = 0
    assert at > 5


def test_a_night_goes_on_with_it_before_it_reads_files(published: Path, tmp_path: Path, fuse: Fuse) -> None:
    world = copy(published, tmp_path / "world")
    anna = world.person("customer", "K1")
    fuse.done, fuse.at = 0, 60
    with pytest.raises(Killed):
        world.forget(anna)
    fuse.at = 0
    world.land_all({"calls": [row for row in FILES["calls"] if row[-1] == "anna"]}, "2", LATER)
    world.night(LATER)
    assert law_holds(world)
    assert world.rows("SELECT erased FROM intake WHERE file = 'calls-2.csv'") == [{"erased": 2}]
    assert [one.state for one in world.resume()] == ["done"]


def test_an_exchange_cut_in_two_is_mended_by_whoever_opens_the_ledger(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = copy(published, tmp_path / "world")
    rename = Path.rename

    def cut(self: Path, target: Path) -> Path:
        if self.name.startswith(".new-"):
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Path, "rename", cut)
        world.forget(world.person("customer", "K1"))
    assert len(world.ledger.files()) == len(FILES) - 1, "one folder is away"
    with world.ledger.writing():
        assert len(world.ledger.files()) == len(FILES)
    assert not list(world.lake.ledger.glob(".new-*")) + list(world.lake.ledger.glob(".old-*"))

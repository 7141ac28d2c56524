"""Whatever stops a rotation, at whatever moment: running it again ends where an undisturbed one does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from klantspoor.errors import ConfigError, LakeError
from klantspoor.lake import Lake
from klantspoor.lake.rotating import JOURNAL
from klantspoor.project.key import load_key
from klantspoor.rotation import rotate
from tests.rotation.rotation_world import FIRST, NIGHT, SECOND, build, everything, use, with_key_file

OPERATIONS = (
    (os, "replace"), (os, "rename"), (os, "unlink"), (os, "mkdir"), (os, "rmdir"), (os, "fsync"), (shutil, "rmtree"),
    (shutil, "copymode"), (pq.ParquetWriter, "__init__"),
)  # fmt: skip


class Stopped(BaseException):
    """As a process ends that is killed: nothing catches it."""


def _stop(_: object) -> None:
    raise Stopped


@contextmanager
def stopping(at: int) -> Iterator[list[str]]:
    """Every file operation is counted; the one of that number, and each after it, is never done."""
    seen: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in OPERATIONS:
            patch.setattr(owner, name, _counted(getattr(owner, name), name, seen, at))
        yield seen


def _counted(operation: Callable[..., Any], name: str, seen: list[str], at: int) -> Callable[..., Any]:
    def counted(*arguments: Any, **keys: Any) -> Any:
        seen.append(name)
        if len(seen) >= at:
            raise Stopped
        return operation(*arguments, **keys)

    return counted


def nothing_left(root: Path) -> bool:
    return not [path for path in root.rglob("*") if ".tmp-" in path.name or path.name == JOURNAL]


def test_stopped_anywhere_and_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = build(tmp_path / "old", monkeypatch, FIRST, only=("twice", "list"))
    before = everything(old.root)
    use(monkeypatch, FIRST, SECOND)
    shutil.copytree(old.root, tmp_path / "whole")
    world = type(old)(tmp_path / "whole", old.sources)
    with stopping(1_000_000) as operations:
        rotate(world.project)
    after = everything(world.root)
    assert after != before
    assert {"replace", "fsync", "unlink", "rmdir", "mkdir", "copymode", "__init__"} <= set(operations)
    undone = finished = 0
    for at in range(1, len(operations) + 1):
        root = tmp_path / f"stopped-{at}"
        shutil.copytree(old.root, root)
        world.root = root
        with stopping(at), pytest.raises(Stopped):
            rotate(world.project)
        if (root / "lake" / JOURNAL).exists():
            finished += 1
            _refuses(world)
        else:
            undone += everything_without_leftovers(root) == before
        if everything(root) != after:  # else it was stopped when there was nothing left to do
            rotate(world.project)
        assert everything(root) == after, f"stopped at {at}, {operations[at - 1]}"
        assert nothing_left(root)
        shutil.rmtree(root)
    assert undone > 20
    assert finished > 20


def everything_without_leftovers(root: Path) -> dict[str, Any]:
    for path in [*root.rglob("*.tmp-rotating"), *root.rglob(".tmp-*")]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return everything(root)


def _refuses(world: Any) -> None:
    """No night mixes keys while part of the lake is changed."""
    with pytest.raises(LakeError, match="key rotate"):
        world.night()
    with pytest.raises(LakeError, match="key rotate"):
        Lake(world.root / "lake").open_run("night", NIGHT)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.9, 0.97])
def test_a_key_file_is_never_without_the_key_of_the_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    world = build(tmp_path / "one", monkeypatch, FIRST)
    shutil.copytree(world.root, tmp_path / "two")
    with stopping(1_000_000) as operations:
        rotate(with_key_file(world, FIRST))
    world.root = tmp_path / "two"
    project = with_key_file(world, FIRST)
    with stopping(int(len(operations) * share)), pytest.raises(Stopped):
        rotate(project)
    report = rotate(project)
    keys = load_key(project)
    assert len(keys) == report.keys == 2
    assert {file.record.key_check for file in world.ledger} == {keys.check}
    assert nothing_left(world.root)
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", keys.text().decode())
    expected = everything(build(tmp_path / "three", monkeypatch, *(key.decode() for key in keys.chain)).root)
    kept = {name: value for name, value in everything(world.root).items() if name != "pseudonym.key"}
    assert kept == {name: value for name, value in expected.items() if not name.startswith(("lake/state", "lake/work"))}


def test_files_taken_away_while_it_was_stopped_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    use(monkeypatch, FIRST, SECOND)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr("klantspoor.rotation.swap._move", _stop)
        rotate(world.project)
    assert (tmp_path / "lake" / JOURNAL).exists()
    shutil.rmtree(tmp_path / "lake/ledger/.tmp-rotating")
    with pytest.raises(LakeError, match="not there any more"):
        rotate(world.project)
    (tmp_path / "lake" / JOURNAL).write_text("{")
    with pytest.raises(LakeError, match=r"rotation\.json in the lake cannot be read"):
        rotate(world.project)


def test_a_lake_of_two_keys_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path / "one", monkeypatch, FIRST)
    other = build(tmp_path / "two", monkeypatch, FIRST, SECOND)
    shutil.rmtree(world.ledger[0].path)
    shutil.copytree(other.ledger[0].path, world.root / "lake/ledger" / other.ledger[0].path.name)
    with pytest.raises(LakeError, match="different keys"):
        rotate(world.project)
    with pytest.raises(ConfigError, match="the first 1 alone"):
        world.night()

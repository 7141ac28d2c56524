"""The folder in which a verification rebuilds: one at a time, gone at its end, and removed where its process died.

It holds what versions are made of, so whoever erases from the lake erases there too.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from klantspoor.errors import LakeError
from klantspoor.lake.lock import BusyError

VERIFYING = "verifying"
"""Its name in the lake."""
_MARK = ".klantspoor-verifying"
"""Held as long as the verification's process lives; tells our folder from others."""


@contextmanager
def verification_folder(folder: Path) -> Iterator[Path]:
    """Makes the folder, empty and ours, and removes it at the end, however that comes.

    Raises:
        BusyError: another verification is using it.
        LakeError: it holds something that no verification left there.
    """
    handle = _take(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def sweep_verification(lake_root: Path) -> None:
    """Removes what a verification left whose process died; one that lives keeps its folder."""
    folder = lake_root / VERIFYING
    try:
        handle = os.open(folder / _MARK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if _lock(handle):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def drop_verification(lake_root: Path) -> None:
    """Removes the folder under a living verification too, which then ends and says so."""
    aside = lake_root / f".tmp-{VERIFYING}-dropped"
    shutil.rmtree(aside, ignore_errors=True)
    with suppress(FileNotFoundError):
        (lake_root / VERIFYING).rename(aside)  # first, so that nothing more is written where it was
        shutil.rmtree(aside)


def is_dropped(folder: Path) -> bool:
    """Whether somebody removed the folder of a verification that was not done."""
    return not (folder / _MARK).exists()


def _take(folder: Path) -> int:
    """The lock of the folder, which is empty but for it."""
    handle = None
    while handle is None:
        with suppress(FileNotFoundError):  # another may end, and remove its folder, between any two of these looks
            handle = _try(folder)
    for path in folder.iterdir():
        if path.name != _MARK:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return handle


def _try(folder: Path) -> int | None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark = folder / _MARK
    foreign = sorted(path.name for path in folder.iterdir() if path.name != _MARK)
    if foreign and not mark.exists():
        raise LakeError(f"{folder} holds {foreign[0]!r}: give a new or empty folder, which is removed at the end")
    handle = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _lock(handle):
        os.close(handle)
        raise BusyError(f"another verification is at work in {folder}: wait until it ends")
    if mark.exists() and mark.stat().st_ino == os.fstat(handle).st_ino:
        return handle
    os.close(handle)
    return None


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

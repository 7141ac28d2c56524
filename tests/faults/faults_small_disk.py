"""A disk that is really full: a file system in memory of a given size, in a mount namespace of its own. Holds no test."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

from klantspoor.lake import Lake
from tests.faults.faults_readers import outcome, read
from tests.faults.faults_world import night

_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000
_PRIVATE, _RECURSIVE, _REMOUNT = 1 << 18, 1 << 14, 1 << 5
_LARGE = 256 << 20


def on_small_disk(project: str, base: str, day: int, room: int) -> dict[str, Any] | None:
    """A night on a disk with `room` bytes left beside the project, then with more; None where there can be none.

    Gives whether the first night published, what readers saw after it, the outcome after the second, and how much more the disk
    held then than at the beginning. Nothing of it is left behind: the disk goes with this process.
    """
    if not _may_mount():
        return None
    disk = Path(project)
    disk.mkdir(exist_ok=True)
    _mount(disk, _LARGE)
    shutil.copytree(base, disk, dirs_exist_ok=True)
    before = _used(disk)
    _mount(disk, before + room, _REMOUNT)
    first = os.fork()
    if first == 0:
        try:
            # A night that knows beforehand that it has no room does not begin, and would show nothing.
            with patch.object(Lake, "require_disk", Lake.expect):
                night(project, day, "disturbed")
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    seen = read(project)
    _mount(disk, _LARGE, _REMOUNT)
    night(project, day, "again")
    return {"code": code, "seen": seen, "outcome": outcome(project), "took": _used(disk) - before}


def _used(disk: Path) -> int:
    room = os.statvfs(disk)
    return (room.f_blocks - room.f_bfree) * room.f_frsize


def _may_mount() -> bool:
    """Moves this process into a mount namespace of its own, as nobody else's root where it is not root."""
    library = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if library.unshare(_NEW_MOUNTS | (_NEW_USER if user else 0)):
        return False
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    return not library.mount(b"none", b"/", None, _PRIVATE | _RECURSIVE, None)


def _mount(disk: Path, size: int, flags: int = 0) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.mount(b"tmpfs", str(disk).encode(), b"tmpfs", flags, f"size={size}".encode()):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(disk))

"""One writer per lake: an advisory lock on `.lock`, which the system frees when the process ends, however it ends.

Readers need no lock.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from weakref import WeakValueDictionary

from klantspoor.errors import LakeError


class BusyError(LakeError):
    """Another run is writing to this lake."""


class Lock:
    """Held from `acquire` until `release`, or until nobody refers to it any more."""

    def __init__(self, path: Path, run_id: str, handle: int) -> None:
        self.run_id = run_id
        self._path = path
        self._handle: int | None = handle

    @property
    def is_held(self) -> bool:
        """Whether it is still ours."""
        return self._handle is not None

    def release(self) -> None:
        """Let others in; harmless when done before."""
        if self._handle is not None:
            _held.pop(self._path, None)
            os.close(self._handle)
            self._handle = None

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None and self._handle is not None:
            os.close(self._handle)


_held: WeakValueDictionary[Path, Lock] = WeakValueDictionary()
"""Locks of this process: a second opening of the file would lock this process out of its own run."""


def acquire(path: Path, run_id: str) -> tuple[Lock, bool]:
    """The lock for the run, and whether it was taken just now (False: this process holds it for the same run already).

    Args:
        path: the file that is locked; made where it is not there.
        run_id: names the run, for others who find it locked.

    Raises:
        BusyError: where another run holds it; the message names its process and run.
    """
    path = path.resolve()
    mine = _held.get(path)
    if mine is not None:
        if mine.run_id == run_id:
            return mine, False
        raise BusyError(f"this process is already running {mine.run_id} on this lake: publish or close that run first")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(handle, 200).decode("utf-8", "replace").strip() or "an unknown process"
        os.close(handle)
        raise BusyError(
            f"another run is writing to this lake ({holder}): wait until it ends. If that process hangs,"
            " stop it; the lock ends with it"
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()}, run {run_id}\n".encode(), 0)
    lock = Lock(path, run_id, handle)
    _held[path] = lock
    return lock, True

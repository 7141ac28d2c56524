"""One writer per lake: an advisory lock on `.lock`, which the system frees when the process ends, however it ends.

Readers need no lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from weakref import WeakValueDictionary

from klantspoor.errors import LakeError

_FIRST_LOOK, _LONGEST_LOOK = 0.05, 2.0
"""Seconds between two looks at a lock that is waited for: soon at first, then seldom."""


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


def acquire(
    path: Path, run_id: str, wait: timedelta | None = None, tell: Callable[[str], None] | None = None
) -> tuple[Lock, bool]:
    """The lock for the run, and whether it was taken just now (False: this process holds it for the same run already).

    Args:
        path: the file that is locked; made where it is not there.
        run_id: names the run, for others who find it locked.
        wait: how long to wait for another run to end; None or 0: not at all.
        tell: is told in a line for whom it waits, again whenever that is another.

    Raises:
        BusyError: where another run holds it, still after `wait`; the message names its process and run.
    """
    path = path.resolve()
    began = time.monotonic()
    patience = wait.total_seconds() if wait is not None else 0.0
    look, told = _FIRST_LOOK, ""
    while True:
        try:
            return _take(path, run_id)
        except BusyError as error:
            waited = time.monotonic() - began
            if waited >= patience:
                raise BusyError(_gave_up(str(error), patience)) from None
            if tell is not None and str(error) != told:
                told = str(error)
                tell(f"waiting for at most {_words(patience - waited)}: {told}")
            time.sleep(min(look, patience - waited))
            look = min(2 * look, _LONGEST_LOOK)


def _take(path: Path, run_id: str) -> tuple[Lock, bool]:
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


def _gave_up(why: str, patience: float) -> str:
    return f"{why}. It was waited for {_words(patience)}" if patience > 0 else why


def _words(seconds: float) -> str:
    """A stretch of time for a message: "45 seconds", "90 minutes"."""
    number, unit = (seconds, "second") if seconds < 120 else (seconds / 60, "minute")
    return f"{number:.0f} {unit}{'' if round(number) == 1 else 's'}"

"""The highest memory of this process over a stretch of time.

The system keeps only the highest since the process began. Having it forget that (`/proc/self/clear_refs`) would spoil
what others measure of the same process; so it is taken where it rose during the stretch, and else we look ourselves.
"""

from __future__ import annotations

import resource
import threading
from pathlib import Path
from types import TracebackType

_EVERY_SECONDS = 0.02
_STATM = Path("/proc/self/statm")


class PeakMemory:
    """A context manager; `mib` tells the peak of the stretch that it spans."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._look, name="peak-memory", daemon=True)
        self._before = _highest()
        self._seen = _resident()

    def __enter__(self) -> PeakMemory:
        if self._seen is not None:
            self._looking.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._looking.is_alive():
            self._looking.join()
        self._see()

    @property
    def mib(self) -> float | None:
        """MiB; None where the stretch stayed below an earlier peak and the system does not tell what it held meanwhile."""
        highest = _highest()
        if highest > self._before:
            return highest / 1024
        return None if self._seen is None else self._seen / 1024

    def _look(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            self._see()

    def _see(self) -> None:
        now = _resident()
        if now is not None and self._seen is not None:
            self._seen = max(self._seen, now)


def _highest() -> int:
    """KiB, since the process began (Linux gives KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _resident() -> int | None:
    """KiB held now; None where the system has no such file."""
    try:
        pages = int(_STATM.read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize() // 1024

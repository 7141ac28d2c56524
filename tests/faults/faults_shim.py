"""The preloaded library `faults_shim.c`: compiling it, arming it in a process that has it, and reading its log. Holds no test."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from os.path import normpath
from pathlib import Path

SOURCE = Path(__file__).with_name("faults_shim.c")


class Mode(IntEnum):
    """What happens at the chosen call. The calls that are counted are the same in every mode."""

    OFF = 0
    COUNT = 1
    """Nothing."""
    KILL = 2
    """The process is killed as it is about to make the call."""
    TORN = 3
    """It is killed when half of what it writes is written; where it writes nothing, before the call."""
    FULL = 4
    """From now on nothing fits on the disk; half of what is just being written still does."""
    READONLY = 5
    """From now on the disk is read-only."""
    ERROR = 6
    """This one call fails with an input/output error."""
    PAUSE = 7
    """The process is stopped, until it is told to go on."""


class Reading(IntEnum):
    """What happens to a file as it is about to be read the chosen time."""

    OFF = 0
    COUNT = 1
    ERROR = 2
    """From now on it cannot be read."""
    ERROR_ONCE = 3
    TRUNCATE = 4
    """Its second half goes."""
    APPEND = 5
    REPLACE = 6
    """Another file is renamed over it."""
    DELETE = 7


def why_not() -> str | None:
    """Why faults cannot be injected on this machine; None where they can."""
    if sys.platform != "linux":
        return "needs Linux: the library that injects faults speaks to its kernel"
    if shutil.which("cc") is None:
        return "needs a C compiler called cc"
    return None


def compile_to(folder: Path) -> Path:
    """The library, made anew."""
    library = folder / "faults_shim.so"
    options = ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-pthread"]
    subprocess.run(["cc", *options, "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return library


@cache
def loaded() -> ctypes.CDLL:
    """The library, in a process that was started with it."""
    library = ctypes.CDLL(None)
    library.faults_arm.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
    library.faults_arm.restype = None
    library.faults_arm_reading.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
    library.faults_arm_reading.restype = None
    library.faults_done.restype = library.faults_reads.restype = ctypes.c_long
    return library


@dataclass(frozen=True)
class Armed:
    """What is to go wrong: at the call numbered `at` (from 1; 0: never) of those that change something below `root`."""

    root: Path
    mode: Mode
    at: int = 0
    log: Path | None = None

    def arm(self) -> None:
        log = str(self.log).encode() if self.log else None
        loaded().faults_arm(str(self.root).encode(), self.mode, self.at, log)


@dataclass(frozen=True)
class ArmedReading:
    """What is to go wrong with a file that is being read; `other` is what is renamed over it."""

    path: Path
    mode: Reading
    at: int = 0
    other: Path | None = None

    def arm(self) -> None:
        other = str(self.other).encode() if self.other else None
        loaded().faults_arm_reading(str(self.path).encode(), self.mode, self.at, other)


def disarm() -> tuple[int, int]:
    """Lets everything go right again; how many changes and how many reads were counted."""
    library = loaded()
    counted = int(library.faults_done()), int(library.faults_reads())
    library.faults_arm(b"", Mode.OFF, 0, None)
    library.faults_arm_reading(b"", Reading.OFF, 0, None)
    return counted


@dataclass(frozen=True)
class Call:
    """One call of the log: `number` from 1, `offset` (or mode, or length), the bytes that were written, what it returned."""

    number: int
    kind: str
    path: str
    other: str
    offset: int
    data: bytes
    result: int

    @property
    def changes_names(self) -> bool:
        """Whether it makes, moves or removes a name."""
        return self.result >= 0 and self.kind in ("create", "mkdir", "unlink", "rmdir", "rename", "link", "symlink")


def read_log(path: Path) -> list[Call]:
    return list(_calls(path.read_bytes()))


def _calls(log: bytes) -> Iterator[Call]:
    place = number = 0
    while place < len(log):
        end = log.index(b"\n", place)
        kind, path, other, offset, size, result = log[place:end].decode("utf-8", "surrogateescape").split("\t")
        path, other = normpath(path), normpath(other) if other else ""
        place = end + 1 + int(size)
        number += 1
        yield Call(number, kind, path, other, int(offset), log[end + 1 : place], int(result))


def told(calls: list[Call]) -> str:
    """How many calls of each kind there are, in a line."""
    kinds = Counter(call.kind for call in calls)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())

"""The shape in which every system hands over its lines, and the writing of landing files.

Belongs here: what all systems share. No system's own format.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from simulation.clock import HOUR, Clock


@dataclass
class Export:
    """The lines of one system: line i holds event ids[i], happened at times_us[i], lands in the file of day[i]."""

    name: str
    lines: list[str]
    ids: list[str]
    times_us: npt.NDArray[np.int64]
    days: npt.NDArray[np.int64]
    keyed: npt.NDArray[np.bool_]  # whether the line carries a case key
    late: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FileKind:
    """How the landing files of a system look: name, encoding, header (by day)."""

    folder: str
    suffix: str
    encoding: str
    header: Callable[[date], str]
    finish: Callable[[str, date], str]


def no_header(_day: date) -> str:
    """For formats without a header line."""
    return ""


def as_is(line: str, _day: date) -> str:
    """For formats that do not change over time."""
    return line


def make_ids(seed: int, system: str, count: int) -> list[str]:
    """Random-looking ids in the shape of a UUID."""
    stream = hashlib.shake_128(f"{seed}/{system}".encode()).hexdigest(16 * count)
    parts = (stream[i : i + 32] for i in range(0, 32 * count, 32))
    return [f"{p[:8]}-{p[8:12]}-4{p[13:16]}-a{p[17:20]}-{p[20:]}" for p in parts]


def write_days(root: Path, clock: Clock, kind: FileKind, lines: list[str], days: npt.NDArray[np.int64]) -> int:
    """Write one file per day of the period, also for days without a line; returns the number of lines."""
    folder = root / kind.folder
    folder.mkdir(parents=True, exist_ok=True)
    order = np.argsort(days, kind="stable")
    bounds = np.searchsorted(days[order], np.arange(clock.days + 1))
    for index in range(clock.days):
        day = clock.day(index)
        chosen = [kind.finish(lines[i], day) for i in order[bounds[index] : bounds[index + 1]].tolist()]
        header = kind.header(day)
        text = "\n".join([header, *chosen] if header else chosen)
        write_file(folder / f"{kind.folder}_{day}{kind.suffix}", f"{text}\n" if text else "", kind.encoding)
        set_landing_time(folder / f"{kind.folder}_{day}{kind.suffix}", clock, day)
    return len(lines)


def write_file(path: Path, text: str, encoding: str) -> None:
    """Write text, compressed if the name says so (always the same bytes for the same text)."""
    data = text.encode(encoding)
    if path.suffix == ".gz":
        data = gzip.compress(data, compresslevel=4, mtime=0)
    path.write_bytes(data)


def set_landing_time(path: Path, clock: Clock, day: date) -> None:
    """The file landed in the night after its day, at about 02:00 local time."""
    seconds = clock.at(day + timedelta(days=1), 2) + (day.toordinal() * 37) % (HOUR // 3)
    os.utime(path, (seconds, seconds))

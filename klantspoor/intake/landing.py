"""Finding a source's files in the landing folder, and telling whether one changed.

Nothing is opened but to be hashed; what a file holds is for the readers.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class LandingFile:
    """One file of one source: its path, its name below the landing folder, and when it landed (never after `as_of`).

    `there_since` is the same for choosing what a night may see: the file's own time, but never later than when it was put
    there (ctime), so that a file dated in the future is not left for ever.
    """

    source: str
    path: Path
    file: str
    landed_at: datetime
    there_since: datetime


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that a glob found but that is not taken in, and why."""

    source: str
    file: str
    why: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells one state of a file from another: SHA-256 of its bytes (hex), size in bytes, mtime in nanoseconds."""

    content_hash: str
    size: int
    mtime_ns: int


def fingerprint(path: Path) -> Fingerprint:
    """Hashes a file as a stream.

    Raises:
        OSError: it cannot be read, or is gone.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        stat = os.fstat(file.fileno())
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return Fingerprint(digest.hexdigest(), stat.st_size, stat.st_mtime_ns)


def find(landing: Path, source: str, globs: list[str], as_of: datetime) -> tuple[list[LandingFile], list[Refused]]:
    """A source's files, oldest landing first, then by name; and the ones that are refused.

    A glob never leaves the landing folder: one with ".." or an absolute path is refused itself, and so is a match that
    a symbolic link leads out. Names that begin with a dot are files still being delivered: not seen.
    """
    found: dict[str, LandingFile] = {}
    refused: dict[str, Refused] = {}
    home = landing.resolve()
    for glob in globs:
        pure = PurePosixPath(glob)
        if pure.is_absolute() or ".." in pure.parts:
            refused[glob] = Refused(source, glob, "the glob leaves the landing folder; name files below it")
            continue
        for path in landing.glob(glob):
            relative = path.relative_to(landing)
            name = printable(relative.as_posix())
            if any(part.startswith(".") for part in relative.parts):
                continue
            if not _stays_in(path, home):
                refused[name] = Refused(
                    source, name, "a symbolic link leads out of the landing folder; copy the file into it"
                )
            elif path.is_file():
                stat = path.stat()
                written = datetime.fromtimestamp(stat.st_mtime, UTC)
                there_since = min(written, datetime.fromtimestamp(stat.st_ctime, UTC))
                found[name] = LandingFile(source, path, name, min(written, as_of), there_since)
    return sorted(found.values(), key=lambda f: (f.landed_at, f.file)), list(refused.values())


def _stays_in(path: Path, home: Path) -> bool:
    try:
        return path.resolve().is_relative_to(home)
    except (OSError, RuntimeError):  # a symbolic link that leads to itself
        return False


def printable(name: str) -> str:
    """A file name as valid text: bytes that are none are shown as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")

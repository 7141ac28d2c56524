"""The published versions of a lake, as those who read and keep them see them, and the notes on which are to go.

What publishes one, goes back to one and removes the others is in `klantspoor.lake.lake`; what became of each in `history`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from klantspoor.errors import LakeError, NotFoundError
from klantspoor.lake.dropping import drop_due, read_note, write_note
from klantspoor.lake.history import History, read_history, settled
from klantspoor.lake.listing import Listed, listing
from klantspoor.lake.pins import Pin, looking, new_pin, read_pins, remove_pin, write_pin
from klantspoor.lake.publishing import POINTER
from klantspoor.lake.version import Version

_VERSION = re.compile(r"^\d{6}$")
_NUMBER = re.compile(r"^[0-9]{1,6}$")


class Shelf:
    """The versions below `root`.

    `memory_mb` is what DuckDB may use to read one before it spills, `keep_versions` how many stay on disk, `keep_for` how
    long each stays at least after it was the current one.
    """

    def __init__(self, root: Path, memory_mb: int, keep_versions: int, keep_for: timedelta) -> None:
        self.root = root
        self._memory_mb = memory_mb
        self._keep_versions = keep_versions
        self._keep_for = keep_for

    @property
    def versions(self) -> Path:
        """The folder of the published versions; it may not exist yet."""
        return self.root / "versions"

    def current(self) -> Version | None:
        """The published version, or None where nothing was published yet. Ask once, then read: it stays whole.

        Raises:
            LakeError: where the pointer names no version.
        """
        try:
            name = (self.root / POINTER).read_text("utf-8").strip()
        except FileNotFoundError:
            return None
        root = self.versions / name
        if not _VERSION.match(name) or not root.is_dir():
            raise LakeError(f"the pointer {POINTER!r} names {name[:20]!r}, which is not a version of this lake")
        return Version(root, self._memory_mb)

    def version_names(self) -> list[str]:
        """The names of the versions on disk, oldest first; among them, until it is swept, one never published."""
        found = self.versions.glob("*") if self.versions.is_dir() else ()
        return sorted(path.name for path in found if _VERSION.match(path.name))

    def version(self, name: str) -> Version:
        """The published version of that name ("7" will do for "000007"): current, earlier or set aside.

        Raises:
            NotFoundError: where there is none; the message names those there are.
        """
        wanted = f"{int(name):06d}" if _NUMBER.match(name) else name
        published = self._history().versions
        if wanted not in published:
            there = ", ".join(published) or "none"
            raise NotFoundError(f"There is no version {name[:20]!r}. There are: {there}.")
        return Version(self.versions / wanted, self._memory_mb)

    def listing(self) -> list[Listed]:
        """All published versions on disk, newest first."""
        pasts = self._history().versions
        versions = {name: Version(self.versions / name, self._memory_mb) for name in pasts}
        return listing(versions, pasts, read_pins(self.root, datetime.now(UTC)), read_note(self.root))

    def pin(self, name: str, keep: timedelta, why: str) -> Version:
        """Have a version stay for that long, whatever `keep_versions` says, and give it; a pin is never shortened.

        Raises:
            NotFoundError: where there is no such version.
            LakeError: where it is to go because of a forgotten person or a rotated key, or the pin makes no sense.
        """
        now = datetime.now(UTC)
        pin = new_pin(keep, why, now)
        self.version(name)
        with looking(self.root, wait=True):
            version = self.version(name)
            due = read_note(self.root).get(version.name)
            if due is not None:
                raise LakeError(
                    f"version {version.name} goes after {due:%Y-%m-%d %H:%M} UTC, for it holds a person who was forgotten"
                    " since, or pseudonyms of an earlier key: no pin keeps it"
                )
            held = read_pins(self.root, now).get(version.name)
            if held is None or held.until < pin.until:
                write_pin(self.root, version.name, pin)
        return version

    def unpin(self, name: str) -> bool:
        """Take a version's pin away; gives whether it had one.

        Raises:
            NotFoundError: where there is no such version.
        """
        version = self.version(name)
        with looking(self.root, wait=True):
            return remove_pin(self.root, version.name)

    def pins(self) -> dict[str, Pin]:
        """The pins that hold now, by the names of their versions."""
        return read_pins(self.root, datetime.now(UTC))

    def drop_versions(self, names: Iterable[str], due: datetime) -> None:
        """Have versions removed after the moment `due`, whatever `keep_versions` says; never the current one.

        Of two moments for one version the earlier counts, so that a shorter grace holds at once.
        """
        noted = read_note(self.root)
        write_note(self.root, noted | {name: min(noted.get(name, due), due) for name in names})

    def drop_due(self, now: datetime | None = None) -> list[str]:
        """Removes the versions whose moment to go has come (by the wall clock); gives those that still wait for it.

        Raises:
            LakeError: where the note of them, or the pointer, cannot be read.
        """
        current = self.current()
        return drop_due(self.root, current.name if current else "", now or datetime.now(UTC))

    def due(self, names: Iterable[str]) -> datetime | None:
        """The moment after which all of these versions may be removed; None where none of them is to go."""
        noted = read_note(self.root)
        return max((noted[name] for name in names if name in noted), default=None)

    def _history(self) -> History:
        current = self.current()
        name = current.name if current is not None else None
        return settled(read_history(self.root), name, self.version_names(), datetime.now(UTC))

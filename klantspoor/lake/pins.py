"""Pins: versions that somebody wants kept for a while, whatever `keep_versions` says.

Readers set them, so they need not wait for the writer: a lock of their own is held for the moment in which pins and
versions are looked at together. Only forgetting a person, or a rotation of the key, removes a pinned version.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from klantspoor.errors import LakeError
from klantspoor.lake.durable import replace_text

FOLDER = "pins"
_LONGEST_WHY = 200
_LONGEST = timedelta(days=36525)
_FOR_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pin:
    """Until when a version is kept, by the wall clock, and what for."""

    until: datetime
    why: str


@contextmanager
def looking(root: Path, *, wait: bool) -> Iterator[bool]:
    """Holds pins and versions still: nobody pins a version, or takes one away, meanwhile.

    Gives whether it does: without `wait`, not where somebody else holds them.
    """
    with (root / ".pins.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def read_pins(root: Path, now: datetime) -> dict[str, Pin]:
    """The pins that hold at `now`, by the names of their versions. One that cannot be read holds until it is removed."""
    pins = {path.stem: _read(path) for path in sorted((root / FOLDER).glob("[0-9]*.json"))}
    return {name: pin for name, pin in pins.items() if pin.until > now}


def write_pin(root: Path, name: str, pin: Pin) -> None:
    """Keeps a pin, in the place of one the version has."""
    (root / FOLDER).mkdir(exist_ok=True)
    said = {"until": pin.until.isoformat(), "why": pin.why}
    replace_text(root / FOLDER / f"{name}.json", json.dumps(said, indent=1) + "\n")


def remove_pin(root: Path, name: str) -> bool:
    """Takes the pin of a version away; gives whether there was one."""
    path = root / FOLDER / f"{name}.json"
    was = path.exists()
    path.unlink(missing_ok=True)
    return was


def new_pin(keep: timedelta, why: str, now: datetime) -> Pin:
    """A pin for that long from `now` on.

    Raises:
        LakeError: for no time or more than a century, or for a reason that is empty, long, or of several lines.
    """
    why = why.strip()
    if not why or len(why) > _LONGEST_WHY or not why.isprintable():
        raise LakeError(
            f"say in one line of at most {_LONGEST_WHY} characters what the version is kept for, without names"
        )
    if not timedelta(0) < keep <= _LONGEST:
        raise LakeError("a version is pinned for some time, at most 36525 days")
    return Pin(now + keep, why)


def sweep_pins(root: Path, on_disk: list[str], now: datetime) -> None:
    """Removes pins that are over, or whose version is gone, and what a crash left of one."""
    held = read_pins(root, now)
    for path in (root / FOLDER).glob("*"):
        if path.stem not in held or path.stem not in on_disk:
            path.unlink(missing_ok=True)


def _read(path: Path) -> Pin:
    try:
        said = json.loads(path.read_text("utf-8"))
        return Pin(datetime.fromisoformat(said["until"]).astimezone(UTC), str(said["why"]))
    except (OSError, ValueError, TypeError, KeyError):
        return Pin(_FOR_EVER, "the note of this pin cannot be read: unpin the version, or pin it again")

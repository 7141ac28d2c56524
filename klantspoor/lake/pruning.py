"""Which old versions are no longer kept, and taking a version away without a reader ever finding half of one."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

from klantspoor.lake.history import History


def outlived(
    history: History, pinned: Collection[str], keep_versions: int, keep_for: timedelta, now: datetime
) -> list[str]:
    """The names of the versions that may go at `now`.

    The newest `keep_versions` that no roll-back set aside stay, the current one among them, and whatever is newer than the
    oldest of these. Any version stays for `keep_for` after it was the current one, and while it is pinned.
    """
    in_line = [name for name, past in history.versions.items() if past.set_aside is None]
    oldest = min(sorted(in_line)[-keep_versions:], default="")
    return [
        name
        for name, past in sorted(history.versions.items())
        if name < oldest and name not in pinned and past.until is not None and past.until + keep_for <= now
    ]


def take_away(versions: Path, name: str) -> Path:
    """Moves a version out of sight in one rename; what is left of it is to be removed, and is swept after a crash."""
    aside = versions / f".tmp-dropped-{name}"
    if aside.exists():
        shutil.rmtree(aside)
    if (versions / name).is_dir():
        (versions / name).rename(aside)
    return aside


def remove_version(versions: Path, name: str) -> None:
    """Removes a version from disk, as far as it is there."""
    aside = take_away(versions, name)
    if aside.exists():
        shutil.rmtree(aside)

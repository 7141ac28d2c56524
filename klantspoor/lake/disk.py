"""What folders take on disk, each file counted once however often it is linked.

Sizes are those of the files' content, not of the blocks they lie in.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from statistics import median_low

from klantspoor.lake.forecast import Forecast, forecast
from klantspoor.lake.history import History

Sizes = dict[tuple[int, int], int]
"""Bytes by device and inode."""
_LAST_NIGHTS = 3


def sizes(*folders: Path) -> Sizes:
    """The files below some folders; one that vanishes meanwhile, or a folder that is not there, counts as nothing."""
    found: Sizes = {}
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                try:
                    stat = Path(place, name).stat(follow_symlinks=False)
                except OSError:
                    continue
                found[stat.st_dev, stat.st_ino] = stat.st_size
    return found


def total(*folders: Path) -> int:
    """Bytes of the files below some folders."""
    return sum(sizes(*folders).values())


def own_and_shared(versions: Mapping[str, Path]) -> dict[str, tuple[int, int]]:
    """By version: bytes of the files that are its alone, freed when it goes, and of those that others hold too."""
    held = {name: sizes(folder) for name, folder in versions.items()}
    times: dict[tuple[int, int], int] = {}
    for found in held.values():
        for inode in found:
            times[inode] = times.get(inode, 0) + 1
    split = {}
    for name, found in held.items():
        own = sum(size for inode, size in found.items() if times[inode] == 1)
        split[name] = (own, sum(found.values()) - own)
    return split


def written_and_whole(staging: Path, published: Path, before: Path | None) -> tuple[int, int]:
    """Bytes that a night added to the disk, and those it would have added without links to the version before."""
    made = sizes(staging, published)
    linked = sizes(before) if before is not None else {}
    return sum(size for inode, size in made.items() if inode not in linked), sum(made.values())


def expect(root: Path, history: History, landed: int) -> Forecast:
    """What the next night of a lake needs, if the ledger grows by `landed` bytes; `written` is the median of its last ones."""
    pasts = [past for _, past in sorted(history.versions.items()) if past.written is not None]
    wholes = [past.whole for past in pasts if past.whole is not None]
    return forecast(
        landed=landed,
        ledger=total(root / "ledger"),
        written=median_low(past.written or 0 for past in pasts[-_LAST_NIGHTS:]) if pasts else None,
        whole=max(wholes) if wholes else None,
        free=shutil.disk_usage(root).free,
    )

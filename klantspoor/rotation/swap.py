"""Putting new files in the place of old ones, so that an interruption at any moment is undone or finished.

What is new lies aside, in folders and files called `.tmp-rotating`, until all of it is on the disk. Then a journal is written
into the lake: before it, the old files are the truth and what lies aside is thrown away; from then on the new files are,
and each is renamed over its old one, however often that is begun. While there is a journal, nights refuse the lake
(`klantspoor.lake.rotating`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from klantspoor.errors import LakeError
from klantspoor.intake.ledger import Ledger
from klantspoor.lake.rotating import JOURNAL

ASIDE = ".tmp-rotating"
"""A name that nights sweep away, as what lies aside counts for nothing without a journal."""
_CACHES = ("state", "work")
"""Folders of the lake that hold what was made of the old pseudonyms, and are made again when needed."""


@dataclass(frozen=True, slots=True)
class Swap:
    """New files and their place: `aside` is a folder whose files replace those of the folder `place`, or a file."""

    aside: Path
    place: Path


def is_interrupted(lake_root: Path) -> bool:
    """Whether a rotation began to change this lake and did not end."""
    return (lake_root / JOURNAL).exists()


def throw_away(swaps: Sequence[Swap]) -> None:
    """Removes what lies aside; only where there is no journal."""
    for swap in swaps:
        if swap.aside.is_dir():
            shutil.rmtree(swap.aside)
        else:
            swap.aside.unlink(missing_ok=True)


def begin(lake_root: Path, swaps: Sequence[Swap], check: str) -> None:
    """Sees that all that lies aside is on the disk, and writes the journal; `check` is that of the new keys."""
    made = [swap for swap in swaps if swap.aside.exists()]
    for swap in made:
        for path in [swap.aside.parent, swap.aside, *swap.aside.rglob("*")]:
            _sync(path)
    pairs = [[os.path.relpath(path, lake_root) for path in (swap.aside, swap.place)] for swap in made]
    draft = lake_root / f".tmp-{JOURNAL}"
    draft.write_text(json.dumps({"key_check": check, "swaps": pairs}), "utf-8")
    _sync(draft)
    draft.replace(lake_root / JOURNAL)
    _sync(lake_root)


def finish(lake_root: Path) -> None:
    """Renames every new file over its old one, drops what is made again, and takes the journal away.

    Raises:
        LakeError: the journal cannot be read, or the ledger is not wholly new at the end.
    """
    journal = lake_root / JOURNAL
    try:
        noted = json.loads(journal.read_text("utf-8"))
        swaps = [Swap(lake_root / aside, lake_root / place) for aside, place in noted["swaps"]]
        check = noted["key_check"]
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f"{JOURNAL} in the lake cannot be read ({type(error).__name__}): restore the lake") from None
    for swap in swaps:
        _move(swap)
    if any(file.record.key_check != check for file in Ledger(lake_root).files()):
        raise LakeError("files that the rotation wrote are not there any more: restore lake, vault and decisions")
    for name in _CACHES:
        if (lake_root / name).exists():
            shutil.rmtree(lake_root / name)
    journal.unlink()
    _sync(lake_root)


def _move(swap: Swap) -> None:
    """What is not aside any more is in its place already."""
    if swap.aside.is_dir():
        moved = sorted(path for path in swap.aside.rglob("*") if path.is_file())
        for path in moved:
            path.replace(swap.place / path.relative_to(swap.aside))
        for folder in sorted({swap.place / path.relative_to(swap.aside).parent for path in moved}):
            _sync(folder)
        shutil.rmtree(swap.aside)
        _sync(swap.aside.parent)
    elif swap.aside.exists():
        swap.aside.replace(swap.place)
        _sync(swap.place.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

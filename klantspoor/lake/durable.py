"""What outlasts a power failure: a small file replaced as a whole (aside, forced to disk, renamed), a folder made.

A crash leaves the file as it was or as it should be, and beside it at most something that begins with ".tmp-".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.lake.publishing import force

OWNER_ONLY = 0o600
EVERYONE = 0o644


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Makes a folder, and those above it that are missing, and forces their names to disk; harmless where it is there.

    Without it, what is forced to disk within the folder could be lost with the folder's name.
    """
    missing = [folder for folder in path.parents if not folder.exists()]
    path.mkdir(mode, parents=True, exist_ok=True)
    for made in (path, *missing):
        force(made.parent)


def replace_file(path: Path, write: Callable[[Path], object], mode: int = EVERYONE) -> None:
    """Puts what `write` writes to the path it is given in the place of `path`, with that mode from its first byte on."""
    aside = path.parent / f".tmp-{path.name}"
    aside.unlink(missing_ok=True)
    os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    write(aside)
    force(aside)
    aside.replace(path)
    force(path.parent)


def replace_text(path: Path, text: str, mode: int = EVERYONE) -> None:
    """Puts a text in the place of `path`."""
    replace_file(path, lambda aside: aside.write_text(text, "utf-8"), mode)


def replace_table(path: Path, table: pa.Table, mode: int = EVERYONE) -> None:
    """Puts a table, as Parquet, in the place of `path`."""
    replace_file(path, lambda aside: pq.write_table(table, aside, compression="zstd"), mode)

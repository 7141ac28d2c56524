"""How files of settled rows are called: written once, then taken over from version to version until something changes.

A part has a number for ever, which what is remembered of its rows names; when rows leave it, the rest is written anew as
its next revision. `settled-NUMBER-REVISION.parquet` in two versions is the same file.
"""

from __future__ import annotations

import re
from pathlib import Path

_PART = re.compile(r"^settled-(\d+)-(\d+)\.parquet$")
A_GENERATION = 1_000_000
"""Parts that one night may make: its number times this is that of its first."""


def part_name(number: int, revision: int = 0) -> str:
    """How the file of a part is called."""
    return f"settled-{number:012d}-{revision}.parquet"


def parts(folder: Path) -> dict[int, Path]:
    """The files of a table's parts, by number."""
    found = {}
    for path in folder.glob("settled-*.parquet"):
        match = _PART.match(path.name)
        if match:
            found[int(match[1])] = path
    return found


def revision_of(path: Path) -> int:
    """The revision that a part's file is."""
    match = _PART.match(path.name)
    return int(match[2]) if match else 0


def fresh(folder: Path, generation: int) -> list[Path]:
    """The files of a table that this night wrote: all but parts of earlier generations, whole or revised."""
    first = generation * A_GENERATION
    old = {path for number, path in parts(folder).items() if number < first}
    return [path for path in sorted(folder.rglob("*.parquet")) if path not in old]

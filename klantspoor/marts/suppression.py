"""Leaving out of the marts what is about too few persons to be told (`limits.suppress_below`, 5 unless configured).

**What this does.** A row about fewer persons than the limit is left out, and a figure inside a row that rests on fewer
(the waits of a phase, its drop-off, a channel's share, a lead time) is null or left out. How many rows were left out
is kept per mart.

**What it does not do.** Figures by difference can still leak: where one persona, or one month, of a total is left
out, its counts and sums are the total less the others. Percentiles do not subtract, counts and sums do; and two
versions of the tables, a night apart, differ by the journeys of that night. Nor is a figure about five persons who
all did the same thing a secret about any of them. Who may read the marts is therefore still a matter of access, not
of arithmetic; complementary suppression (hiding a second cell so that the first cannot be computed) is not done, for
it would hide figures that are asked for every day.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from klantspoor.lake.staging import Staging
from klantspoor.marts.cube import Floats, Ints


def hidden(amounts: Floats, persons: Ints, limit: int) -> Floats:
    """`amounts` with NaN where they rest on some persons, but too few."""
    return np.where((persons > 0) & (persons < limit), np.nan, amounts)


def note(staging: Staging, mart: str, rows: int) -> None:
    """Keep how many rows of `mart` were left out."""
    _file(staging, mart).write_text(f"{rows}\n", encoding="utf-8")


def noted(staging: Staging, mart: str) -> int:
    """How many rows of `mart` were left out; 0 where it was not built or leaves none out."""
    file = _file(staging, mart)
    return int(file.read_text(encoding="utf-8")) if file.exists() else 0


def _file(staging: Staging, mart: str) -> Path:
    folder = staging.work("marts") / "suppressed"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / mart

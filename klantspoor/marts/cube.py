"""Counting along several dimensions at once: groups, roll-ups, distinct counts, sums and exact percentiles.

Plain NumPy over columns of whole numbers; it knows nothing of journeys. Every figure costs at most one sort of one
column of 64-bit integers, which is several times less than the same in SQL (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Ints = npt.NDArray[np.integer[Any]]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
ALL = -2
"""What a rolled-up dimension holds; codes are 0 and up, and -1 where there is none."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows put into groups.

    `code` (n,) gives the group of every row, 0 to `size` - 1; `values` gives, per dimension, what it is in every
    group (size,).
    """

    code: Ints
    values: dict[str, Ints]

    @property
    def size(self) -> int:
        """The number of groups."""
        return len(next(iter(self.values.values())))


def grouped(dimensions: dict[str, Ints]) -> Groups:
    """Group rows by several dimensions: (n,) integer columns of -1 and up (or `ALL`)."""
    keys = _mixed(list(dimensions.values()))
    code, _ = pd.factorize(keys)
    first = np.zeros(int(code.max()) + 1 if len(code) else 0, dtype=np.int64)
    # Written backwards, so that each group keeps its first row.
    first[code[::-1]] = np.arange(len(code) - 1, -1, -1)
    return Groups(code.astype(np.int32), {name: column[first].astype(np.int64) for name, column in dimensions.items()})


def _mixed(columns: Sequence[Ints]) -> Ints:
    """One 64-bit key per row that tells rows apart exactly as `columns` together do."""
    key = np.zeros(len(columns[0]), dtype=np.int64)
    span = 1
    for column in columns:
        width = int(column.max(initial=0)) - ALL + 1
        if span * width >= 2**62:  # too many combinations to number: renumber those that occur
            key, found = pd.factorize(key)
            span = len(found)
        key = key * width + (column.astype(np.int64) - ALL)
        span *= width
    return key


def rollups(groups: Groups, over: Sequence[str]) -> Iterator[tuple[Groups, Ints]]:
    """The groups themselves, then with each combination of the dimensions in `over` rolled up to `ALL`.

    Yields the coarser groups (with the code of every row) and the coarser group of each finer one.
    """
    for count in range(len(over) + 1):
        for dropped in combinations(over, count):
            values = {name: np.full_like(v, ALL) if name in dropped else v for name, v in groups.values.items()}
            coarse = grouped(values)
            yield Groups(coarse.code[groups.code], coarse.values), coarse.code


def counts(code: Ints, size: int) -> Ints:
    """Rows per group."""
    return np.bincount(code, minlength=size)


def totals(code: Ints, amounts: Ints | Floats, size: int) -> Floats:
    """The sum of `amounts` per group: exact for whole numbers below 2**53."""
    return np.bincount(code, weights=amounts, minlength=size).astype(np.float64, copy=False)


def arranged(code: Ints, size: int) -> Ints:
    """The places of rows by group, in each group in the order of the rows: (n,).

    A counting sort in steps of 16 bits: several times faster than sorting by comparison.
    """
    if size <= 1 << 16:
        return np.argsort(code.astype(np.uint16), kind="stable")
    low = np.argsort((code & 0xFFFF).astype(np.uint16), kind="stable")
    return low[arranged(code[low] >> 16, (size >> 16) + 1)]


def distinct(code: Ints, ids: Ints, size: int) -> Ints:
    """Distinct `ids` per group.

    Both are in the order of `arranged`: the rows of one group lie together, and within it those of one id.
    """
    if not len(code):
        return np.zeros(size, dtype=np.int64)
    fresh = np.concatenate(([True], (ids[1:] != ids[:-1]) | (code[1:] != code[:-1])))
    return np.bincount(code[fresh], minlength=size)


class Percentiles:
    """Exact continuous percentiles of one column of whole numbers from 0, for any grouping of its rows: sorted once."""

    def __init__(self, amounts: Ints) -> None:
        rows = len(amounts)
        if int(amounts.max(initial=0)) < 2**62 // max(rows, 1):
            packed = amounts.astype(np.int64) * rows + np.arange(rows)
            packed.sort()
            self._amounts, self._order = np.divmod(packed, max(rows, 1))
        else:
            self._order = np.argsort(amounts)
            self._amounts = amounts[self._order]

    def of(self, code: Ints, size: int, wanted: Sequence[float]) -> list[Floats]:
        """One column (size,) for each of `wanted`: linear between neighbours, as `quantile_cont`; NaN without rows."""
        count = np.bincount(code, minlength=size)
        start = np.cumsum(count) - count
        ordered = self._amounts[arranged(code[self._order], size)]
        return [_at(ordered, start, count, share) for share in wanted]


def _at(ordered: Ints, start: Ints, count: Ints, share: float) -> Floats:
    result = np.full(len(count), np.nan)
    has = count > 0
    place = (count[has] - 1) * share
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, count[has] - 1)
    low, high = ordered[start[has] + below], ordered[start[has] + above]
    result[has] = low + (high - low) * (place - below)
    return result

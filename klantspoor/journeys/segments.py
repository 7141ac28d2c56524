"""Linear passes over sorted columns: what a journey needs, without a loop per person.

A *segment* is a run of rows that belong together (a person, a journey, a wait). Segments are given as `first`, a boolean
column that is True where a new one begins (the first row always does). Pure NumPy; nothing here knows what a journey is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]
Column = npt.NDArray[Any]

_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype="S2")


def changes(*columns: Column) -> Bools:
    """True where any column differs from the row before; True on the first row."""
    first = np.ones(len(columns[0]), dtype=bool)
    if len(first):
        first[1:] = False
        for column in columns:
            first[1:] |= column[1:] != column[:-1]
    return first


def starts_of(first: Bools) -> Ints:
    """Index of each segment's first row."""
    return np.flatnonzero(first)


def ends_of(first: Bools) -> Ints:
    """One past each segment's last row."""
    starts = starts_of(first)
    return np.append(starts[1:], len(first)) if len(starts) else starts


def numbers(first: Bools) -> Ints:
    """For each row its segment's number, from 0."""
    return np.cumsum(first, dtype=np.int64) - 1


def within(first: Bools) -> Ints:
    """For each row its place in its segment, from 0."""
    starts = starts_of(first)
    return np.arange(len(first), dtype=np.int64) - (starts[numbers(first)] if len(starts) else 0)


def lengths(first: Bools) -> Ints:
    """Number of rows of each segment."""
    return ends_of(first) - starts_of(first)


def running_max(values: Ints, first: Bools) -> Ints:
    """The largest value of the segment so far, by doubling: log2(longest segment) passes.

    A running maximum over the whole column cannot be used, since segments' values overlap.
    """
    result = values.copy()
    if len(values) < 2:
        return result
    place = within(first)
    if bool(np.all((values[1:] >= values[:-1]) | first[1:])):
        return result
    longest = int(place.max()) + 1
    step = 1
    while step < longest:
        reach = np.flatnonzero(place >= step)
        result[reach] = np.maximum(result[reach], result[reach - step])
        step *= 2
    return result


def last_index_where(mask: Bools, first: Bools) -> Ints:
    """For each row the index of the latest row of its segment, itself included, where `mask` holds; -1 where none does."""
    index = np.where(mask, np.arange(len(mask), dtype=np.int64), -1)
    # A row's own segment start floors the carry, so that nothing leaks from the segment before.
    carried = np.maximum.accumulate(index) if len(index) else index
    segment_start = starts_of(first)[numbers(first)] if len(index) else index
    return np.where(carried >= segment_start, carried, -1)


def first_index_where(mask: Bools, first: Bools) -> Ints:
    """For each segment the index of its first row where `mask` holds; the number of rows where none does."""
    size = len(mask)
    if not size:
        return np.empty(0, dtype=np.int64)
    index = np.where(mask, np.arange(size, dtype=np.int64), size)
    return np.asarray(np.minimum.reduceat(index, starts_of(first)), dtype=np.int64)


def expand(begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """All pairs (row, index) with begin[row] <= index < end[row], ordered by row, then index."""
    counts = np.maximum(end - begin, 0)
    rows = np.repeat(np.arange(len(begin), dtype=np.int64), counts)
    offsets = np.cumsum(counts) - counts
    return rows, np.arange(len(rows), dtype=np.int64) - offsets[rows] + begin[rows]


class Keys:
    """Turns (segment, instant) into one sortable int64, for instants among those given here.

    Microseconds since the earliest instant take 45 bits for a year, which leaves 18 for the segment. Where that does not
    do, instants are replaced by their ranks.
    """

    def __init__(self, segments: int, *instants: Ints) -> None:
        """Knows `segments` segments, numbered from 0, and the instants given here; no others may be asked for."""
        known = [column for column in instants if len(column)]
        self._sorted: Ints | None = None
        self._origin = np.int64(min((int(column.min()) for column in known), default=0))
        span = max((int(column.max()) for column in known), default=0) - int(self._origin) + 1
        if segments * span >= 2**63:
            self._sorted = np.sort(np.concatenate(known))
            span = len(self._sorted)
        self._scale = np.int64(span)

    def key(self, segment: Ints, instants: Ints) -> Ints:
        """One int64 for each (segment, instant), in their order."""
        if self._sorted is None:
            return segment * self._scale + (instants - self._origin)
        return segment * self._scale + np.searchsorted(self._sorted, instants)


def mix(words: Words) -> Words:
    """SplitMix64's finaliser: spreads each word's bits over all 64. (Steele, Lea, Flood, "Fast splittable PRNGs", 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def hex_text(*words: Words) -> pa.StringArray:
    """Each row's words as hexadecimal text, 16 digits a word."""
    count = len(words[0])
    width = 16 * len(words)
    raw = np.empty((count, len(words)), dtype=">u8")
    for place, word in enumerate(words):
        raw[:, place] = word
    digits = _HEX[raw.view(np.uint8).reshape(-1)]
    offsets = np.arange(count + 1, dtype=np.int64) * width
    return pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(digits.tobytes())).cast(
        pa.string()
    )


def coded(codes: Column, names: pa.Array, missing: int = -1) -> pa.DictionaryArray:
    """A dictionary-encoded column from integer codes; `missing` becomes null."""
    mask = codes == missing
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32), mask=mask if bool(mask.any()) else None), names, safe=False
    )

"""What of a person's history nothing new can change any more: docs/journeys.md, "What is settled".

Pure columns in and out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from klantspoor.journeys.segments import Bools, Ints, changes, ends_of, numbers, running_max, starts_of


def settled(
    person: npt.NDArray[np.uint64], at: Ints, deadline: Ints, keys: list[npt.NDArray[np.uint64]], as_of: int | Ints
) -> Bools:
    """Which events of whole persons are settled: those before a person's last cut that holds.

    A cut lies before an event that begins after the deadlines of all events before it, and after the last event. It holds
    if those deadlines have passed, and no case has events on both sides of it.

    Args:
        person: by event, in the order of docs/journeys.md.
        at: when each begins, in microseconds.
        deadline: until when later events, or silence, can matter to what it is part of.
        keys: the case keys, 0 where an event has none.
        as_of: the night's clock; or by event a moment of its person, before which deadlines have to lie.
    """
    size = len(at)
    if not size:
        return np.zeros(0, dtype=bool)
    first = changes(person)
    latest = running_max(deadline, first)
    # Cuts by the position after them: 1 to `size`.
    quiet = np.ones(size, dtype=bool)
    quiet[:-1] = first[1:] | (at[1:] > latest[:-1])
    holds = quiet & (latest < as_of) & ~_straddled(person, keys)
    place = np.where(holds, np.arange(1, size + 1), 0)
    last = np.maximum.reduceat(place, starts_of(first))[numbers(first)]
    return np.asarray(np.arange(size) < last)


def _straddled(person: npt.NDArray[np.uint64], keys: list[npt.NDArray[np.uint64]]) -> Bools:
    """Whether a case has events both up to and after each position."""
    depth = np.zeros(len(person) + 1, dtype=np.int64)
    for key in keys:
        rows = np.flatnonzero(key)
        if not len(rows):
            continue
        rows = rows[np.lexsort((rows, key[rows], person[rows]))]
        case = changes(person[rows], key[rows])
        low, high = rows[starts_of(case)], rows[ends_of(case) - 1]
        np.add.at(depth, low, 1)
        np.add.at(depth, high, -1)
    return np.asarray(np.cumsum(depth[:-1]) > 0)

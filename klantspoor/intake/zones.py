"""Local times to UTC for whole columns, and which local times do not exist or exist twice.

From Python's zoneinfo (so that a machine without a time zone database needs only the tzdata package), by one look-up
in a sorted table of the zone's changes. Times are int64 microseconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Micros = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
SECOND = 1_000_000
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LocalTimes:
    """What n local times mean: `earlier` and `later` in UTC, equal but where a time exists twice.

    Where a time does not exist, both are the instant of the change: the first moment that does.
    """

    earlier: Micros
    later: Micros
    nonexistent: Mask
    ambiguous: Mask


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone's changes within some years: `at` in UTC, the offsets `before` and `after` each (k; microseconds)."""

    at: Micros
    before: Micros
    after: Micros
    first_offset: int

    def to_utc(self, local: Micros) -> LocalTimes:
        """Local times (n) to UTC; before and after the zone's years the nearest offset holds."""
        none = np.zeros(len(local), np.bool_)
        if len(self.at) == 0:
            utc = local - self.first_offset
            return LocalTimes(utc, utc, none, none)
        change = np.searchsorted(self.at + np.minimum(self.before, self.after), local, side="right") - 1
        known = np.maximum(change, 0)
        odd = (change >= 0) & (local < (self.at + np.maximum(self.before, self.after))[known])
        gap = odd & (self.after > self.before)[known]
        twice = odd & ~gap
        plain = local - np.where(change >= 0, self.after[known], self.first_offset)
        later = np.where(gap, self.at[known], plain)
        earlier = np.where(twice, local - self.before[known], later)
        return LocalTimes(earlier, later, gap, twice)


@lru_cache(maxsize=64)
def zone(name: str, first_year: int, last_year: int) -> Zone:
    """The zone called `name` with its changes from `first_year` through `last_year`."""
    info = ZoneInfo(name)
    moment, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(min(last_year, 9998) + 1, 1, 1, tzinfo=UTC)
    offset = first = _offset(info, moment)
    changes = []
    while moment < end:
        following = moment + _DAY
        new = _offset(info, following)
        if new != offset:
            changes.append((_change(info, moment, following, offset), offset, new))
            offset = new
        moment = following
    table = np.array(changes, np.int64).reshape(-1, 3)
    return Zone(table[:, 0], table[:, 1], table[:, 2], first)


def _offset(info: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(info).utcoffset() or timedelta(0)
    return offset // timedelta(microseconds=1)


def _change(info: ZoneInfo, low: datetime, high: datetime, offset: int) -> int:
    """The second, in UTC microseconds, from which `offset` no longer holds."""
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low).total_seconds() // 2)
        low, high = (middle, high) if _offset(info, middle) == offset else (low, middle)
    return int(high.timestamp()) * SECOND


def to_micros(moment: datetime) -> int:
    """An aware datetime as microseconds since 1970 UTC."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

"""Time in the simulated world: the period, Dutch local time, opening hours and holidays.

Belongs here: everything about *when* something can happen. Instants are whole seconds UTC since 1970. What happens
at those instants, and how a system writes them down, does not belong here.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

ZONE = ZoneInfo("Europe/Amsterdam")
HOUR = 3600
DAY = 86400
_EPOCH = date(1970, 1, 1)


class Hours(NamedTuple):
    """Opening hours: local seconds of the day for Monday..Friday and for Saturday (None: closed). Sunday closed."""

    weekday: tuple[int, int]
    saturday: tuple[int, int] | None


CALL_CENTRE = Hours((8 * HOUR, 20 * HOUR), (9 * HOUR, 17 * HOUR))
BACK_OFFICE = Hours((8 * HOUR + 1800, 17 * HOUR), None)
OUTAGE_DESK = Hours((0, DAY), (0, DAY))  # the outage line and desk never close, Sundays neither


def _easter(year: int) -> date:
    """Easter Sunday (Gregorian, Butcher's method)."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    week = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * week) // 451
    month, day = divmod(h + week - 7 * m + 114, 31)
    return date(year, month, day + 1)


def holidays(year: int) -> list[date]:
    """Days on which the call centre and the back office are closed."""
    easter = _easter(year)
    moving = [easter + timedelta(days=n) for n in (1, 39, 50)]
    return [date(year, 1, 1), date(year, 4, 27), date(year, 12, 25), date(year, 12, 26), *moving]


class Clock:
    """The simulated period in local days [first_day, last_day] and the conversions that belong to it."""

    def __init__(self, end: date, days: int) -> None:
        self.last_day = end
        self.first_day = end - timedelta(days=days - 1)
        self.days = days
        self._switches, self._offsets = self._transitions()
        self.start = self.local_midnight(self.first_day)
        self.end = self.local_midnight(end + timedelta(days=1))
        years = range(self.first_day.year, end.year + 2)
        self._closed = {(day - _EPOCH).days for year in years for day in holidays(year)}

    def _transitions(self) -> tuple[list[int], list[int]]:
        """Every change of the UTC offset around the period, found hour by hour on the days of change."""
        t = int(datetime(self.first_day.year - 1, 1, 1, tzinfo=UTC).timestamp())
        stop = int(datetime(self.last_day.year + 2, 1, 1, tzinfo=UTC).timestamp())
        switches, offsets = [], [HOUR]
        while t < stop:
            if (before := _zone_offset(t)) != _zone_offset(t + DAY):
                switch = next(h for h in range(t, t + DAY + 1, HOUR) if _zone_offset(h) != before)
                switches.append(switch)
                offsets.append(_zone_offset(switch))
            t += DAY
        return switches, offsets

    @property
    def switches(self) -> list[int]:
        """The instants in the period at which summer time begins or ends."""
        return [switch for switch in self._switches if self.start < switch < self.end - DAY]

    @property
    def schema_change(self) -> date:
        """The day on which the CRM changes its columns: half-way."""
        return self.first_day + timedelta(days=self.days // 2)

    @property
    def billing_speedup(self) -> int:
        """The instant from which recalculating a bill takes less than half as long: at two thirds of the period."""
        return self.start + (self.end - self.start) * 2 // 3

    def offset(self, t: int) -> int:
        """Seconds that local time is ahead of UTC at t."""
        return self._offsets[bisect_right(self._switches, t)]

    def local_midnight(self, day: date) -> int:
        """The instant at which a local day begins."""
        return int(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp())

    def at(self, day: date, hour: int, minute: int = 0) -> int:
        """The instant of a local clock reading."""
        return int(datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZONE).timestamp())

    def next_open(self, t: int, hours: Hours) -> int:
        """The first instant from t on at which those hours are open."""
        if hours is OUTAGE_DESK:
            return t
        while True:
            offset = self.offset(t)
            day, second = divmod(t + offset, DAY)
            weekday = (day + 3) % 7
            span = hours.weekday if weekday < 5 else hours.saturday if weekday == 5 else None
            if span is not None and day not in self._closed and second < span[1]:
                return t if second >= span[0] else t + span[0] - second
            t += DAY - second + (offset - self.offset(t + DAY - second))

    def next_waking(self, t: int) -> int:
        """The first instant from t on at which people are up (07:00 to 23:00 local)."""
        second = (t + self.offset(t)) % DAY
        if second < 7 * HOUR:
            return t + 7 * HOUR - second + (second * 7919) % (10 * HOUR)
        if second > 23 * HOUR:
            return t + DAY - second + 7 * HOUR + (second * 7919) % (10 * HOUR)
        return t

    def local_seconds(self, t: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Local clock readings of many instants, as seconds since 1970 on that clock."""
        offsets = np.asarray(self._offsets, dtype=np.int64)
        return t + offsets[np.searchsorted(np.asarray(self._switches, dtype=np.int64), t, side="right")]

    def day_index(self, t: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The local day of many instants, counted from the first day of the period."""
        return self.local_seconds(t) // DAY - (self.first_day - _EPOCH).days

    def day(self, index: int) -> date:
        """The local day with that index."""
        return self.first_day + timedelta(days=index)


def _zone_offset(t: int) -> int:
    return int(datetime.fromtimestamp(t, ZONE).strftime("%z")[:3]) * HOUR

"""The business calendar as closed intervals, for any stretch of time. Opening hours are local; results are UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from klantspoor.journeys.segments import Ints
from klantspoor.journeys.waits import Calendar
from klantspoor.project.model import Calendar as CalendarFile

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NEVER = np.empty(0, dtype=np.int64)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 UTC of an aware datetime."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def closed_intervals(calendar: CalendarFile | None, timezone: str, first: int, last: int) -> Calendar:
    """When the organisation is closed between two instants.

    Args:
        calendar: opening hours and holidays; None means always open.
        timezone: IANA name of the zone the hours are in.
        first: first instant that matters, in microseconds since 1970 UTC.
        last: last instant that matters.

    Returns:
        Disjoint closed intervals [start, end) in order, covering all closed time from `first` to `last` and maybe beyond.
    """
    if calendar is None or first > last:
        return Calendar(_NEVER, _NEVER)
    zone = ZoneInfo(timezone)
    day = _local_date(first, zone) - timedelta(days=1)
    final = _local_date(last, zone) + timedelta(days=1)
    opened: list[tuple[int, int]] = []
    before = _instant(day, time(0), zone)
    while day <= final:
        if day not in calendar.holidays:
            hours = calendar.hours.get(_WEEKDAYS[day.weekday()], [])  # type: ignore[call-overload]
            opened += sorted(_opening(day, text, zone) for text in hours)
        day += timedelta(days=1)
    after = _instant(day, time(0), zone)
    starts = [before, *(end for _, end in opened)]
    ends = [*(start for start, _ in opened), after]
    closed: list[tuple[int, int]] = [(s, e) for s, e in zip(starts, ends, strict=True) if s < e]
    return Calendar(_column([s for s, _ in closed]), _column([e for _, e in closed]))


def _column(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _local_date(instant: int, zone: ZoneInfo) -> date:
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(zone).date()


def _instant(day: date, clock: time, zone: ZoneInfo) -> int:
    return microseconds(datetime.combine(day, clock, tzinfo=zone))


def _opening(day: date, text: str, zone: ZoneInfo) -> tuple[int, int]:
    start, end = text.split("-")
    # 24:00 is the next midnight, which time.fromisoformat does not know.
    until = (day + timedelta(days=1), time(0)) if end == "24:00" else (day, time.fromisoformat(end))
    return _instant(day, time.fromisoformat(start), zone), _instant(*until, zone)

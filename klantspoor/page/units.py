"""Numbers as people read them: durations, shares, counts, instants, and text cut to a readable length.

Formatting only: nothing here knows what a figure means. Also used by the command line.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

NOTHING = "–"
_MINUTES_UP_TO = 1.0
_HOURS_UP_TO = 48.0
_WHOLE_FROM = 10.0


def hours(value: float | None) -> str:
    """A duration given in hours: "12 min", "5.3 hours" or "3.2 days"; an en dash where there is none."""
    if value is None:
        return NOTHING
    if value < _MINUTES_UP_TO:
        minutes = round(value * 60)
        return "0" if value == 0 else f"{minutes} min" if minutes else "under a minute"
    if value < _HOURS_UP_TO:
        return _amount(value, "hour")
    return _amount(value / 24, "day")


def seconds(value: float | None) -> str:
    """A duration given in seconds, as `hours` says it."""
    return hours(None if value is None else value / 3600)


def _amount(value: float, unit: str) -> str:
    number = f"{value:.0f}" if value >= _WHOLE_FROM else f"{value:.1f}".removesuffix(".0")
    return f"{number.replace(',', ' ')} {unit}{'' if number == '1' else 's'}"


def share(value: float | None) -> str:
    """A share between 0 and 1 as a whole percentage; small ones as "under 1 %"."""
    if value is None:
        return NOTHING
    if 0 < value < 0.005:
        return "under 1 %"
    if 0.995 <= value < 1:
        return "over 99 %"
    return f"{value * 100:.0f} %"


def count(value: int | None) -> str:
    """A count with thousands set apart by a thin space."""
    return NOTHING if value is None else f"{value:,}".replace(",", "\u2009")


def plural(number: int, word: str) -> str:
    """A count and its word: "1 journey", "1 204 journeys"."""
    return f"{count(number)} {word}{'' if number == 1 else 's'}"


def instant(value: datetime, zone: str) -> str:
    """An instant in the zone given: "Thu 12 Mar 2026, 09:14"."""
    return f"{local(value, zone):%a %-d %b %Y, %H:%M}"


def day(value: datetime, zone: str) -> str:
    """The day of an instant in the zone given: "12 March 2026"."""
    return f"{local(value, zone):%-d %B %Y}"


def month(value: str) -> str:
    """The month "2026-03" as "March 2026"; anything else as it is."""
    try:
        return f"{datetime.strptime(value, '%Y-%m'):%B %Y}"
    except ValueError:
        return value


def local(value: datetime, zone: str) -> datetime:
    """An aware instant in the zone given."""
    return value.astimezone(ZoneInfo(zone))


def span(value: timedelta) -> str:
    """A timedelta, as `hours` says it."""
    return seconds(value.total_seconds())


def short(text: str, length: int = 60) -> str:
    """The text on one line, or its beginning and an ellipsis where it is longer than `length`."""
    flat = " ".join(text[: 4 * length].split())
    return flat if len(flat) <= length and len(text) <= 4 * length else flat[: length - 1].rstrip() + "…"

"""Numbers, moments and texts as people read them in a report; and texts from data made harmless."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

_LISTED = 3
_LONGEST = 60
# Not strftime's names: those are the machine's language.
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# What mail programs turn into something to click on.
_LINKS = re.compile(r"(?i)(://|www(?=\.)|mailto(?=:)|javascript(?=:)|@)")


def counted(number: int, what: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """`7%`; a share that is small but not nothing is not shown as nothing, and below all not as all."""
    if 0 < share < 0.01:
        return f"{share:.1%}" if share >= 0.001 else "<0.1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"


def span(seconds: float) -> str:
    """`26 s`, `4 min`, `1.5 hours`."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def moment(at: datetime, timezone: str) -> str:
    """`Wed 25 Nov 2026 03:00`, in the zone."""
    local = at.astimezone(ZoneInfo(timezone))
    return f"{_DAYS[local.weekday()]} {day(at, timezone)} {local:%H:%M}"


def day(at: datetime, timezone: str) -> str:
    """`25 Nov 2026`, in the zone."""
    local = at.astimezone(ZoneInfo(timezone))
    return f"{local.day} {_MONTHS[local.month - 1][:3]} {local.year}"


def month(name: str) -> str:
    """`November 2026` of `2026-11`."""
    return f"{_MONTHS[int(name[5:]) - 1]} {name[:4]}"


def listed(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    shown = ", ".join(shortened(name, _LONGEST) for name in names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"


def harmless(text: str) -> str:
    """On one line, and nothing that a terminal would obey or that turns text round."""
    return "".join(character if character.isprintable() else "?" for character in text)


def unlinked(text: str) -> str:
    """Harmless, and nothing that a mail program would make a link of because it looks like an address."""
    return _LINKS.sub(lambda found: f"{found[0]} ", harmless(text))


def shortened(text: str, width: int) -> str:
    """At most `width` characters."""
    return text if len(text) <= width else text[: width - 1] + "…"

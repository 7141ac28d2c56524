"""Rules for `klantspoor.yaml` beyond its single fields: zones, opening hours, identifier types, folders, key, alarms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from pathlib import PurePath
from zoneinfo import available_timezones

from klantspoor.errors import Problem, did_you_mean
from klantspoor.project.model import Alarms, Calendar, IdentifierType, ProjectFile
from klantspoor.project.scope import Scope

FILE = "klantspoor.yaml"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_file(scope: Scope) -> Iterator[Problem]:
    """Every problem of the project file."""
    file = scope.file
    if file is None:
        return
    yield from check_timezone(FILE, file.timezone)
    if _minute(file.nightly_at) is None or file.nightly_at == "24:00":
        yield Problem(FILE, "nightly_at", "is no time of day", repr(file.nightly_at), "00:00 to 23:59")
    yield from _calendar(file.calendar)
    yield from _key(file)
    yield from _folders(file)
    yield from _alarms(file.alarms)
    if not file.identifiers:
        yield Problem(FILE, "identifiers", "is empty", expected="an identifier type such as customer: {priority: 1}")
    for name, kind in file.identifiers.items():
        yield from _identifier(name, kind)
        for other in kind.at_most:
            place = f"identifiers.{name}.at_most.{other}"
            if other == name:
                yield Problem(FILE, place, "limits a type by itself", repr(other), "another identifier type")
            elif other not in file.identifiers:
                yield unknown(
                    FILE, place, "names an identifier type that is not declared", other, set(file.identifiers)
                )


def _identifier(name: str, kind: IdentifierType) -> Iterator[Problem]:
    place = f"identifiers.{name}"
    if kind.country is not None and kind.normalise != "phone":
        yield Problem(FILE, f"{place}.country", "is for telephone numbers", expected="normalise: phone beside it")
    if kind.country is not None and kind.country not in _countries():
        yield unknown(FILE, f"{place}.country", "is no country with telephone numbers", kind.country, set(_countries()))
    yield from _windows(place, kind)
    limit, is_split = kind.at_most_persons, kind.when_shared == "split"
    if kind.same_topic_within is not None and limit is None and not kind.at_most:
        hint = "without a limit none of them counts as shared"
        expected = "at_most_persons or at_most beside it"
        yield Problem(FILE, f"{place}.same_topic_within", "needs a limit", expected=expected, hint=hint)
    if not is_split and kind.between == "nobody" and kind.turn_within is None:
        return
    key = "when_shared" if is_split else "between" if kind.between != "nobody" else "turn_within"
    if limit is None or limit.most > 1:
        hint = "an identifier is divided among persons only where it is one person's at a time"
        yield Problem(FILE, f"{place}.{key}", "needs a limit", expected="at_most_persons: 1 beside it", hint=hint)
    elif not is_split and limit.within is None:
        hint = "without either, one that several persons had is nobody's at any time"
        expected = "when_shared: split, or at_most_persons with within"
        yield Problem(FILE, f"{place}.{key}", "says nothing here", expected=expected, hint=hint)


def _windows(place: str, kind: IdentifierType) -> Iterator[Problem]:
    """Evidence is kept by day, its first and last moment: in a shorter window, who was seen depends on how files come."""
    limits = {f"at_most.{other}": limit for other, limit in kind.at_most.items()}
    if kind.at_most_persons is not None:
        limits["at_most_persons"] = kind.at_most_persons
    for key, limit in limits.items():
        if limit.within is not None and limit.within < timedelta(days=1):
            hint = "of each day only when something was first and last seen is kept"
            yield Problem(FILE, f"{place}.{key}.within", "is less than a day", expected="1 day or more", hint=hint)


@lru_cache(maxsize=1)
def _countries() -> frozenset[str]:
    import phonenumbers

    return frozenset(phonenumbers.SUPPORTED_REGIONS)


def check_timezone(file: str, name: str) -> Iterator[Problem]:
    """A problem where the name is no IANA time zone."""
    if name not in _zones():
        cased = {zone.lower(): zone for zone in _zones()}.get(name.lower())
        hint = f"Did you mean '{cased}'?" if cased else did_you_mean(name, set(_zones()))
        yield Problem(file, "timezone", "is no time zone", repr(name), "an IANA name such as Europe/Amsterdam", hint)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    # Without a slash only UTC: abbreviations such as CET mean different things in different places and years.
    return frozenset(zone for zone in available_timezones() if "/" in zone or zone == "UTC")


def unknown(file: str, place: str, message: str, name: str, known: set[str]) -> Problem:
    """The problem that a name is not among those that are known."""
    expected = "one of " + ", ".join(sorted(known)) if known else "none is known"
    return Problem(file, place, message, repr(name), expected, did_you_mean(name, known))


def _minute(text: str) -> int | None:
    hour, minute = int(text[:2]), int(text[3:])
    inside = hour < 24 or (hour == 24 and minute == 0)
    return hour * 60 + minute if inside and minute < 60 else None


def _calendar(calendar: Calendar | None) -> Iterator[Problem]:
    if calendar is None:
        return
    if not any(calendar.hours.values()):
        yield Problem(FILE, "calendar.hours", "has no hours: always closed", hint="leave out calendar for always open")
    for day, spans in calendar.hours.items():
        until = -1
        read = []
        for number, span in enumerate(spans):
            place = f"calendar.hours.{day}[{number}]"
            start, end = (_minute(part) for part in span.split("-"))
            if start is None or end is None:
                yield Problem(FILE, place, "holds no time of day", repr(span), "00:00 to 24:00")
            elif start >= end:
                hint = "hours after midnight belong to the next day" if start > end else None
                yield Problem(
                    FILE, place, "ends before it begins", repr(span), "an opening before a closing time", hint
                )
            else:
                read.append((start, end, place, span))
        for start, end, place, span in sorted(read):
            if start < until:
                yield Problem(FILE, place, "overlaps other hours of that day", repr(span), "hours that do not overlap")
            until = max(until, end)


def _key(file: ProjectFile) -> Iterator[Problem]:
    key = file.pseudonym_key
    if (key.env is None) == (key.file is None):
        message = "names neither a variable nor a file" if key.env is None else "names a variable and a file"
        yield Problem(FILE, "pseudonym_key", message, expected="either env: NAME or file: PATH")
    elif key.env is not None and not _VARIABLE.fullmatch(key.env):
        # The text is not repeated: whoever writes the key itself here should not find it in a log.
        yield Problem(
            FILE,
            "pseudonym_key.env",
            "is no name of an environment variable",
            expected="a name such as KLANTSPOOR_KEY",
            hint="the key itself does not belong in this file",
        )
    elif key.file is not None and not key.file.strip():
        yield Problem(FILE, "pseudonym_key.file", "is empty", expected="the path of a file")


def _alarms(alarms: Alarms | None) -> Iterator[Problem]:
    if alarms is None:
        return
    if alarms.webhook is None and alarms.command is None:
        yield Problem(FILE, "alarms", "tells nobody", expected="webhook: {env: NAME}, or command: [/path/of/a/program]")
    if alarms.webhook is not None and not _VARIABLE.fullmatch(alarms.webhook.env):
        # The text is not repeated: an address of a webhook is a secret.
        yield Problem(
            FILE,
            "alarms.webhook.env",
            "is no name of an environment variable",
            expected="a name such as KLANTSPOOR_WEBHOOK",
            hint="the address itself does not belong in this file",
        )
    if alarms.command is not None and not PurePath(alarms.command[0]).is_absolute():
        hint = "a service has another PATH than your shell, and no shell is started"
        expected = "the full path of a program"
        yield Problem(FILE, "alarms.command[0]", "is no full path", repr(alarms.command[0]), expected, hint)
    if alarms.published_within < timedelta(hours=1):
        yield Problem(FILE, "alarms.published_within", "is less than an hour", expected="an hour or more")
    if not timedelta(seconds=1) <= alarms.timeout <= timedelta(minutes=5):
        yield Problem(FILE, "alarms.timeout", "is out of range", expected="1 second to 5 minutes")


def _folders(file: ProjectFile) -> Iterator[Problem]:
    lake, landing, vault = PurePath(file.lake), PurePath(file.landing), PurePath(file.vault)
    for key, folder in (("lake", lake), ("landing", landing), ("vault", vault)):
        if str(folder) == ".":
            yield Problem(FILE, key, "is the project's own folder", expected="a folder of its own")
    if _overlap(lake, landing):
        yield Problem(FILE, "landing", "lies in the lake, or the lake in it", repr(str(landing)), "two folders apart")
    for name, folder in (("lake", lake), ("landing folder", landing)):
        if str(vault) != "." and _overlap(vault, folder):
            hint = "plain personal data is kept there"
            message = f"lies in the {name}, or that in it"
            yield Problem(FILE, "vault", message, repr(str(vault)), "a folder apart", hint)


def _overlap(one: PurePath, other: PurePath) -> bool:
    return one == other or one in other.parents or other in one.parents

"""The naive oracle's events: what one is, how a person's are ordered, and the role each has in a journey type.

Sections "Order of events" and "Roles" of docs/journeys.md, nothing else. Shares no code with `klantspoor.journeys`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from klantspoor.project.model import ActivityMatcher, JourneyFile


@dataclass(frozen=True)
class Event:
    """One canonical event; `at` and `until` in whole microseconds, account 0 is none, an absent key is none."""

    person: int
    at: int
    until: int
    source: str
    activity: str
    channel: str | None = None
    initiator: str | None = None
    team: str | None = None
    declared_visibility: str | None = None
    instrument: str | None = None
    tie_order: int = 0
    position: int = 0
    account: int = 0
    topic: str | None = None
    keys: dict[str, int] = field(default_factory=dict)
    need: int | None = None
    event_id: str = ""
    score: float | None = None


@dataclass(frozen=True)
class Role:
    """What an event is to a journey type: kind is `phase`, `unphased`, `answer` or `internal`."""

    kind: str
    phase: str | None
    rank: int
    phases: tuple[str, ...] = ()

    @property
    def visible(self) -> bool:
        return self.kind in ("phase", "unphased")


def microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def in_order(events: Iterable[Event]) -> list[Event]:
    """The events of one person, in the order everything else is counted by."""
    return sorted(events, key=lambda e: (e.at, e.tie_order, e.position, e.source, e.event_id))


def fits(matcher: ActivityMatcher, event: Event) -> bool:
    if matcher.source is not None and matcher.source != event.source:
        return False
    # An event without channel fits no matcher that names one.
    if matcher.channel is not None and matcher.channel != event.channel:
        return False
    kind = name_kind(matcher)
    if kind == "regular expression":
        return re.fullmatch(matcher.activity[1:-1], event.activity) is not None
    if kind == "glob":
        pattern = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in matcher.activity)
        return re.fullmatch(pattern, event.activity, re.DOTALL) is not None
    return matcher.activity == event.activity


def fits_any(matchers: Iterable[ActivityMatcher], event: Event) -> bool:
    return any(fits(matcher, event) for matcher in matchers)


def name_kind(matcher: ActivityMatcher) -> str:
    text = matcher.activity
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        return "regular expression"
    return "glob" if "*" in text or "?" in text else "exact"


def vagueness(matcher: ActivityMatcher) -> tuple[int, int]:
    """Smaller is more specific: exact, glob, regular expression; then the more of source and channel it names."""
    named = (matcher.source is not None) + (matcher.channel is not None)
    return ("exact", "glob", "regular expression").index(name_kind(matcher)), -named


def role_of(event: Event, journey: JourneyFile) -> Role | None:
    """The event's role in the journey type, None where nothing fits.

    Raises:
        ValueError: an internal and a visible matcher, equally specific, both fit best (R3).
    """
    listed: list[tuple[str, str | None, ActivityMatcher]] = []
    for chapter in journey.phases:
        listed += [("phase", chapter.id, matcher) for matcher in chapter.activities]
    listed += [("unphased", None, matcher) for matcher in journey.unphased]
    listed += [("internal", None, matcher) for matcher in journey.internal]

    fitting = [(vagueness(m), rank, part, phase) for rank, (part, phase, m) in enumerate(listed) if fits(m, event)]
    if not fitting:
        return None
    if event.declared_visibility == "internal":
        return Role("internal", None, min(fitting)[1])
    if event.declared_visibility == "visible":
        # The declaration overrides the journey file: internal matchers count only where no visible one fits, and the
        # event is then an unphased contact.
        visible = [entry for entry in fitting if entry[2] != "internal"]
        fitting = visible or [(how, rank, "unphased", None) for how, rank, _, _ in fitting]
    how, rank, part, phase = min(fitting, key=lambda entry: (entry[0], entry[1]))
    if {"internal"} < {entry[2] for entry in fitting if entry[0] == how}:
        raise ValueError(f"{event.activity}: visible and internal matchers of {journey.journey} are equally specific")
    if part == "unphased" and event.score is not None:
        part = "answer"
    phases = []
    for entry in fitting:
        if entry[0] == how and entry[2] == "phase" and entry[3] is not None and entry[3] not in phases:
            phases.append(entry[3])
    return Role(part, phase, rank, tuple(phases) if part == "phase" else ())


def in_context(members: list[Event], roles: dict[str, Role], journey: JourneyFile) -> dict[str, Role]:
    """The members' roles, with one phase for each activity that belongs to several; members in order."""
    order = [phase.id for phase in journey.phases]
    result = {}
    current: str | None = None
    for event in members:
        role = roles[event.event_id]
        if len(role.phases) == 1:
            current = role.phase
        elif len(role.phases) > 1:
            choices = sorted(role.phases, key=order.index)
            phase = choices[0]
            if current in choices:
                phase = current
            elif current is not None:
                later = [choice for choice in choices if order.index(choice) > order.index(current)]
                phase = later[0] if later else choices[-1]
            role = replace(role, phase=phase)
        result[event.event_id] = role
    return result

"""The naive oracle's person: contacts, and rules (1) to (3) by which events found journeys and join them.

Sections "Contacts" and "Cutting" of docs/journeys.md. The other rules, and the order of all, are in `oracle_cutting`.
Shares no code with `klantspoor.journeys`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from oracle_events import Event, Role, fits_any, microseconds

from klantspoor.project.model import JourneyFile

CONTACT_CLAIMS = ("case_key", "opening", "stream", "account_topic")


@dataclass
class Draft:
    """A journey while it is being cut. `direct` are its members of (1), (2) and (4), in order."""

    type: str
    first: Event
    direct: list[Event] = field(default_factory=list)
    joined_by: dict[str, str] = field(default_factory=dict)


@dataclass
class Person:
    """One person's events in order, and what each is to each journey type."""

    events: list[Event]
    place: dict[str, int]
    files: dict[str, JourneyFile]
    roles: dict[str, dict[str, Role]]
    contact: dict[str, int]
    drafts: list[Draft] = field(default_factory=list)

    def gap(self, name: str) -> int:
        return microseconds(self.files[name].cut.gap)

    def closes(self, name: str, event: Event) -> bool:
        return fits_any(self.files[name].cut.closes, event)

    def accompanies(self, name: str, event: Event) -> bool:
        return fits_any(self.files[name].companions, event)

    def opens(self, name: str, event: Event) -> bool:
        return fits_any(self.files[name].cut.opens, event)

    def solves(self, name: str, event: Event) -> bool:
        return fits_any([*self.files[name].completes, *self.files[name].fails], event)

    def partakers(self, name: str) -> list[Event]:
        """The events with a role in the type other than answer, in order."""
        roles = self.roles[name]
        return [e for e in self.events if e.event_id in roles and roles[e.event_id].kind != "answer"]

    def runs(self, name: str) -> list[list[Event]]:
        """The partakers, apart where one starts more than the type's gap after the one before it."""
        runs: list[list[Event]] = []
        for event in self.partakers(name):
            if not runs or event.at - runs[-1][-1].at > self.gap(name):
                runs.append([])
            runs[-1].append(event)
        return runs

    def answers(self, event: Event) -> list[str]:
        """The types in which the event is an answer."""
        return [n for n in sorted(self.files) if (r := self.roles[n].get(event.event_id)) and r.kind == "answer"]

    def of_type(self, name: str) -> list[Draft]:
        return [draft for draft in self.drafts if draft.type == name]


def contacts(ordered: list[Event], roles: dict[str, dict[str, Role]], contact_gaps: dict[str, int]) -> dict[str, int]:
    """Event id -> number of its contact, for the events that are visible in any type."""
    number = 0
    current: dict[tuple[str, str | None], int] = {}
    latest_end: dict[tuple[str, str | None], int] = {}
    result: dict[str, int] = {}
    for event in ordered:
        mine = [roles[name].get(event.event_id) for name in roles]
        if not any(role is not None and role.visible for role in mine):
            continue
        line, gap = (event.source, event.channel), contact_gaps[event.source]
        if line not in current or gap == 0 or event.at > latest_end[line] + gap:
            number += 1
            current[line] = number
        latest_end[line] = max(latest_end.get(line, event.until), event.until)
        result[event.event_id] = current[line]
    return result


# --- (1) and (2) -----------------------------------------------------------------------------------------------------


def by_case_key(person: Person, name: str) -> list[Event]:
    """(1): a journey for each value of the key; returns the events that carry none."""
    key = person.files[name].cut.case_key or ""
    cases: dict[int, Draft] = {}
    left = []
    for event in person.partakers(name):
        if key not in event.keys:
            if not person.accompanies(name, event):
                left.append(event)
            continue
        if event.keys[key] not in cases:
            cases[event.keys[key]] = Draft(name, event)
        draft = cases[event.keys[key]]
        draft.direct.append(event)
        draft.joined_by[event.event_id] = "case_key"
    person.drafts += cases.values()
    return left


def by_streams(person: Person, name: str) -> list[Event]:
    """(2): journeys cut from one stream of each run, or one for each account; returns the events left loose."""
    streams, left = [], []
    for run in person.runs(name):
        accounts = sorted({event.account for event in run if event.account})
        if len(accounts) <= 1:
            streams.append(run)
        else:
            streams += [[event for event in run if event.account == account] for account in accounts]
            left += [event for event in run if not event.account and not person.accompanies(name, event)]
    for whole in streams:
        stream = [event for event in whole if not person.accompanies(name, event)]
        for segment in segments(person, name, stream, []):
            begin(person, name, from_beginning(person, name, segment))
    return left


def segments(person: Person, name: str, stream: list[Event], starts: list[Event]) -> list[list[Event]]:
    """The stream cut at its resets; in (4) the `starts` of the type's cases are resets too."""
    result: list[list[Event]] = []
    before: Event | None = None
    solved = False
    for event in stream:
        reset = before is None or event.at - before.at > person.gap(name) or person.closes(name, before)
        reset = reset or (solved and person.opens(name, event))  # the goal was reached: the next journey (R5)
        if before is not None:
            here, there = person.place[before.event_id], person.place[event.event_id]
            reset = reset or any(here < person.place[start.event_id] < there for start in starts)
        if reset:
            result.append([])
        result[-1].append(event)
        before = event
        if person.solves(name, event):
            solved = True
        elif person.opens(name, event):
            solved = False
    return result


def from_beginning(person: Person, name: str, segment: list[Event]) -> list[Event]:
    """The segment from its first visible event that opens, on; empty where none does."""
    opens = person.files[name].cut.opens
    for number, event in enumerate(segment):
        if person.roles[name][event.event_id].visible and (not opens or fits_any(opens, event)):
            return segment[number:]
    return []


def begin(person: Person, name: str, held: list[Event]) -> None:
    needs = person.files[name].cut.needs
    if held and (not needs or any(fits_any(needs, event) for event in held)):
        joined = {event.event_id: "stream" for event in held} | {held[0].event_id: "opening"}
        person.drafts.append(Draft(name, held[0], list(held), joined))


# --- (3) -------------------------------------------------------------------------------------------------------------


def known_account(draft: Draft) -> int:
    return next((event.account for event in draft.direct if event.account), 0)


def known_topic(draft: Draft) -> str | None:
    return next((event.topic for event in draft.direct if event.topic is not None), None)


def conflict(one: int, other: int) -> bool:
    return bool(one and other and one != other)


def latest_direct(person: Person, draft: Draft, event: Event) -> Event | None:
    """The draft's latest direct event before the event, in order."""
    here = person.place[event.event_id]
    return next((d for d in reversed(draft.direct) if person.place[d.event_id] < here), None)


def candidates(person: Person, event: Event, drafts: list[Draft], closes_matter: bool) -> list[Draft]:
    """The drafts that are open at the event and whose account does not conflict with its."""
    result = []
    for draft in drafts:
        latest = latest_direct(person, draft, event)
        if latest is None or event.at - latest.at > person.gap(draft.type):
            continue
        before = draft.direct[: draft.direct.index(latest) + 1]
        if closes_matter and any(person.closes(draft.type, direct) for direct in before):
            continue
        cut = person.files[draft.type].cut
        deciding = [*person.files[draft.type].completes, *person.files[draft.type].fails]
        if closes_matter and fits_any(cut.opens, event) and any(fits_any(deciding, direct) for direct in before):
            continue  # the goal was reached: this is the next journey's beginning
        if not conflict(event.account, known_account(draft)):
            result.append(draft)
    return result


def follows_rule(rule: str, event: Event, draft: Draft) -> bool:
    same_account = event.account != 0 and event.account == known_account(draft)
    same_topic = event.topic is not None and event.topic == known_topic(draft)
    return {
        "account_topic": same_account and same_topic,
        "topic": same_topic,  # with one account unknown: the same would be account_topic, others conflict
        "account": same_account,
        "recency": True,
    }[rule]


def most_recent(person: Person, event: Event, drafts: list[Draft]) -> Draft:
    """The draft with the latest direct event before; then the first type; then the one that started last."""
    by_start = sorted(drafts, key=lambda draft: -person.place[draft.direct[0].event_id])
    by_type = sorted(by_start, key=lambda draft: draft.type)

    def recency(draft: Draft) -> int:
        latest = latest_direct(person, draft, event)
        return -1 if latest is None else person.place[latest.event_id]

    return max(by_type, key=recency)  # max keeps the first of equals


def join_by_rules(person: Person, event: Event, open_ones: list[Draft], rules: Iterable[str]) -> bool:
    """Joins the event by the first rule that finds a candidate."""
    for rule in rules:
        found = [draft for draft in open_ones if follows_rule(rule, event, draft)]
        if found:
            most_recent(person, event, found).joined_by[event.event_id] = rule
            return True
    return False


def join_loose(person: Person, loose: dict[str, set[str]], founders: list[Draft]) -> set[str]:
    """(3): every loose event joins at most one journey of the types in which it is loose; returns those that did.

    Three rounds over all events, since `contact` looks at what others joined by account and topic, later ones included.
    """
    joined: set[str] = set()
    for rules in (("account_topic",), ("contact",), ("topic", "account", "recency")):
        for event in person.events:
            if event.event_id in joined or not loose[event.event_id]:
                continue
            eligible = [draft for draft in founders if draft.type in loose[event.event_id]]
            if rules == ("contact",):
                offered = [(d, [e for e, how in d.joined_by.items() if how in CONTACT_CLAIMS]) for d in eligible]
                done = join_by_contact(person, event, offered)
            else:
                done = join_by_rules(person, event, candidates(person, event, eligible, True), rules)
            if done:
                joined.add(event.event_id)
    return joined


def join_by_contact(person: Person, event: Event, offered: list[tuple[Draft, list[str]]]) -> bool:
    """Joins the event to the journey that others of its contact joined; whether that one is open is not asked.

    `offered` are drafts of the types in question, each with the members whose contact counts.
    """
    if event.event_id not in person.contact:
        return False
    here = person.place[event.event_id]
    offers: list[tuple[int, int, str, Draft]] = []
    for name in sorted({draft.type for draft, _ in offered}):
        claims: list[tuple[int, int, Draft]] = []
        for draft, members in offered:
            for event_id in members:
                there = person.place[event_id]
                same = person.contact.get(event_id) == person.contact[event.event_id]
                if draft.type == name and same and there != here:
                    claims.append((0 if there < here else 1, abs(there - here), draft))
        if claims:
            side, distance, draft = min(claims, key=lambda claim: claim[:2])  # one before first, then the nearest
            if not conflict(event.account, known_account(draft)):
                offers.append((side, distance, name, draft))
    if not offers:
        return False
    min(offers, key=lambda offer: offer[:3])[3].joined_by[event.event_id] = "contact"
    return True

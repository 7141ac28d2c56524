"""The naive oracle's cutting: which journey each event of one person joins, and by which rule.

Section "Cutting" of docs/journeys.md: the order of its rules, and the last of them. (1) to (3) are in `oracle_joining`;
what happens within a journey is in `oracle`. Shares no code with `klantspoor.journeys`.
"""

from __future__ import annotations

from collections.abc import Iterable

from oracle_events import Event, Role, in_order, role_of
from oracle_joining import (
    Draft,
    Person,
    begin,
    by_case_key,
    by_streams,
    candidates,
    conflict,
    contacts,
    from_beginning,
    join_by_contact,
    join_by_rules,
    join_loose,
    known_account,
    segments,
)

from klantspoor.project.model import JourneyFile


def cut(events: Iterable[Event], files: dict[str, JourneyFile], contact_gaps: dict[str, int]) -> Person:
    """One person's events, cut into `drafts` of journeys of every type."""
    ordered = in_order(events)
    roles: dict[str, dict[str, Role]] = {}
    for name, file in files.items():
        found = {event.event_id: role_of(event, file) for event in ordered}
        roles[name] = {event_id: role for event_id, role in found.items() if role is not None}
    place = {event.event_id: number for number, event in enumerate(ordered)}
    person = Person(ordered, place, files, roles, contacts(ordered, roles, contact_gaps))

    loose: dict[str, set[str]] = {event.event_id: set() for event in ordered}
    for name in sorted(files):
        left = by_case_key(person, name) if files[name].cut.case_key else by_streams(person, name)
        for event in left:
            loose[event.event_id].add(name)
    founders = list(person.drafts)
    for draft in founders:
        for event_id, rule in draft.joined_by.items():
            if rule == "case_key":  # an event that names its case is not looking for another journey
                loose[event_id] = set()
    joined = join_loose(person, loose, founders)
    for name in sorted(files):
        still = [e for e in ordered if name in loose[e.event_id] and e.event_id not in joined]
        openings_without_key(person, name, still, [draft for draft in founders if draft.type == name])
    place_companions(person, joined)
    place_answers(person)
    return person


# --- (4) to (6) -----------------------------------------------------------------------------------------------------


def openings_without_key(person: Person, name: str, still: list[Event], cases: list[Draft]) -> None:
    """(4): what joined nothing makes journeys of its own, or is adopted by the case that follows."""
    keyed = person.files[name].cut.case_key is not None
    if not keyed:
        cases = []
    elif not person.files[name].cut.opens:
        return  # none begins, so there is nothing to adopt either
    # Reading: a stream is checked against the case as (1) made it, whatever another stream has brought in since.
    made = [(draft, draft.direct[0], known_account(draft)) for draft in cases]
    for stream in streams_of(person, name, still):
        known = next((event.account for event in stream if event.account), 0)
        for segment in segments(person, name, stream, [start for _, start, _ in made]):
            held = from_beginning(person, name, segment)
            if not held:
                continue
            last = held[-1]
            adopters = [
                (person.place[start.event_id], draft)
                for draft, start, of_case in made
                if person.place[start.event_id] > person.place[last.event_id]
                and start.at - last.at <= person.gap(name)
                and not conflict(known, of_case)
            ]
            if adopters and not person.closes(name, last):
                adopter = min(adopters, key=lambda entry: entry[0])[1]
                adopter.direct = in_order([*adopter.direct, *held])
                adopter.joined_by |= {event.event_id: "before_case" for event in held}
            else:
                begin(person, name, held)


def streams_of(person: Person, name: str, still: list[Event]) -> list[list[Event]]:
    """What is still loose of each run: one stream, or one for each account, unknown ones together."""
    streams = []
    for run in person.runs(name):
        left = [event for event in run if event in still]
        one_stream = len({event.account for event in run if event.account}) <= 1
        accounts = [0] if one_stream else sorted({event.account for event in left})
        streams += [left if one_stream else [e for e in left if e.account == account] for account in accounts]
    return streams


def place_companions(person: Person, joined: set[str]) -> None:
    """(5): what says nothing by itself goes with the others of its contact, whatever rule those joined by."""
    made = [(draft, list(draft.joined_by)) for draft in person.drafts]  # companions do not draw companions
    keyed = {event_id for draft in person.drafts for event_id, how in draft.joined_by.items() if how == "case_key"}
    for event in person.events:
        if event.event_id not in joined | keyed:
            names = [n for n in person.files if event in person.partakers(n) and person.accompanies(n, event)]
            join_by_contact(person, event, [(draft, members) for draft, members in made if draft.type in names])


def place_answers(person: Person) -> None:
    """(6): answers go where their key says; those that carry none join by the rules of (3)."""
    made = list(person.drafts)
    for event in person.events:
        names = person.answers(event)
        keyed = [name for name in names if person.files[name].cut.case_key in event.keys]
        if keyed:
            for draft in made:
                key = person.files[draft.type].cut.case_key
                # Direct events of (1) carry the key; those adopted in (4) do not, nor does any of an opening's own.
                if draft.type in keyed and draft.first.keys.get(key or "") == event.keys[key or ""]:
                    draft.joined_by[event.event_id] = "case_key"
        elif names:
            eligible = [draft for draft in made if draft.type in names]
            open_ones = candidates(person, event, eligible, False)
            join_by_rules(person, event, open_ones, ("account_topic", "topic", "account", "recency"))

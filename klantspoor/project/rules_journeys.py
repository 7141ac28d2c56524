"""Rules for `journeys/*.yaml` beyond single fields: seven phases, their names and words, what is mapped (R1-R4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from klantspoor.errors import Problem, did_you_mean
from klantspoor.project.match import EXACT, REGEX, activity_test, fits, pattern_kind, specificity
from klantspoor.project.model import ActivityMatcher, JourneyFile
from klantspoor.project.rules_file import unknown
from klantspoor.project.scope import Made, Scope, matchers_of
from klantspoor.project.wording import NEVER_A_PHASE, folded, is_first_person

MOST_PHASES = 7
Placed = tuple[str, ActivityMatcher]


def check_journeys(scope: Scope) -> Iterator[Problem]:
    """Every problem of every journey file."""
    names = _names_of_other_things(scope)
    for name, journey in scope.journeys.items():
        file = f"journeys/{name}.yaml"
        yield from _phases(file, journey, names)
        yield from _case_key(file, journey, scope)
        sound = []
        for place, matcher in matchers_of(journey):
            problems = list(_matcher(file, place, matcher, scope))
            yield from problems
            if not problems:
                sound.append((place, matcher))
        yield from _internal_in_a_phase(file, sound, scope)
        yield from _never_made(file, sound, scope)


# --- phases ----------------------------------------------------------------------------------------------------------


def _phases(file: str, journey: JourneyFile, names: dict[str, str]) -> Iterator[Problem]:
    phases = journey.phases
    if len(phases) > MOST_PHASES:
        hint = "a phase is a chapter of the customer's story: join those that belong together"
        place, found = f"phases[{MOST_PHASES}]", f"{len(phases)} phases"
        yield Problem(file, place, "is one phase too many", found, f"at most {MOST_PHASES}", hint, rule="R2")
    seen: dict[str, int] = {}
    for number, phase in enumerate(phases):
        if phase.id in seen:
            message = f"stands twice, first as phases[{seen[phase.id]}]"
            yield Problem(file, f"phases[{number}].id", message, repr(phase.id), "each id once")
        seen.setdefault(phase.id, number)
        for key, text in (("id", phase.id), ("says", phase.says)):
            other = names.get(folded(text))
            if other is not None:
                yield Problem(
                    file,
                    f"phases[{number}].{key}",
                    f"is named like {other}",
                    repr(text),
                    'what the customer goes through, in their words: "I compare offers"',
                    "a phase has channels and touchpoints, it is none",
                    "R4" if "channel" in other else "R1",
                )
        yield from _first_person(file, number, phase.says, journey.language)


def _first_person(file: str, number: int, says: str, language: str) -> Iterator[Problem]:
    own = is_first_person(says, language)
    place = f"phases[{number}].says"
    if own is None and number == 0:
        message = "cannot be checked for the first person: only English (en) and Dutch (nl) can"
        yield Problem(file, "language", message, repr(language), rule="R1", level="warning")
    elif own is False:
        expected = 'the first person, as in "I look around" or "Ik kijk rond"'
        yield Problem(file, place, "is not in the customer's words", repr(says), expected, rule="R1", level="warning")


def _names_of_other_things(scope: Scope) -> dict[str, str]:
    """Folded names that no phase may have, each with what it is the name of."""
    names = {key: f"a channel or department ({name})" for key, name in NEVER_A_PHASE.items()}
    matchers = [matcher for journey in scope.journeys.values() for _, matcher in matchers_of(journey)]
    activities: set[str | None] = {m.activity for m in matchers if pattern_kind(m.activity) == EXACT}
    groups: list[tuple[str, set[str | None]]] = [
        ("the touchpoint or activity", activities | {a for made in scope.made for a in made.activities.known}),
        ("the team", {team for made in scope.made for team in made.teams.known}),
        ("the source", set(scope.source_names)),
        ("the channel", {m.channel for m in matchers} | {c for made in scope.made for c in made.channels.known}),
    ]
    for kind, found in groups:
        names |= {folded(name): f"{kind} {name!r}" for name in found if name and folded(name)}
    return names


# --- cut and matchers ------------------------------------------------------------------------------------------------


def _case_key(file: str, journey: JourneyFile, scope: Scope) -> Iterator[Problem]:
    key = journey.cut.case_key
    if key is None or key in scope.case_keys or (scope.unread and key != "account"):
        return
    if key == "account":
        hint = "cut by opens, closes and gap: accounts are kept apart by themselves"
        yield Problem(file, "cut.case_key", "is the account, which is no case key", repr(key), "a case key", hint)
    else:
        yield unknown(file, "cut.case_key", "is a case key that no source maps", key, set(scope.case_keys))


def _matcher(file: str, place: str, matcher: ActivityMatcher, scope: Scope) -> Iterator[Problem]:
    if matcher.source is not None and matcher.source not in scope.source_names:
        yield unknown(file, f"{place}.source", "is no source", matcher.source, set(scope.source_names))
    if not matcher.activity:
        yield Problem(file, place, "is empty", expected="an activity, a glob or a /regular expression/")
    if pattern_kind(matcher.activity) == REGEX:
        try:
            activity_test(matcher.activity)
        except (re.error, OverflowError, RecursionError) as error:
            shown = repr(matcher.activity)[:120]
            yield Problem(file, place, "is no regular expression", shown, "Python's syntax", str(error)[:200])


# --- internal steps (R3) ---------------------------------------------------------------------------------------------


def _internal_in_a_phase(file: str, placed: list[Placed], scope: Scope) -> Iterator[Problem]:
    """Activities that an internal and a visible matcher claim equally, and phases of what a source says is internal."""
    visible = [entry for entry in placed if entry[0].startswith(("phases", "unphased"))]
    internal = [entry for entry in placed if entry[0].startswith("internal")]
    told: set[tuple[str, str]] = set()
    for source, activity, channel in _kinds(visible + internal, scope):
        fitting = [(place, m) for place, m in visible + internal if fits(m, source, activity, channel)]
        if not fitting:
            continue
        best = max(specificity(m) for _, m in fitting)
        top = [place for place, m in fitting if specificity(m) == best]
        inside = [place for place in top if place.startswith("internal")]
        outside = [place for place in top if not place.startswith("internal")]
        if inside and outside and (inside[0], outside[0]) not in told:
            told.add((inside[0], outside[0]))
            yield _both(file, outside[0], inside[0], activity)
    for place, matcher in visible:
        for other, hidden in internal:
            same = matcher.activity == hidden.activity and specificity(matcher) == specificity(hidden)
            if same and _overlap(matcher, hidden) and not any(pair[1] == place for pair in told):
                told.add((other, place))
                yield _both(file, place, other, matcher.activity)
    yield from _declared_internal(file, visible, scope)


def _both(file: str, place: str, internal: str, activity: str) -> Problem:
    return Problem(
        file,
        place,
        f"maps an internal step: {internal} fits as well, and is as specific",
        repr(activity)[:120],
        "an activity is an internal step or a contact of the customer's",
        "leave it out of one of the two, or name it exactly in the one that is meant",
        "R3",
    )


def _overlap(one: ActivityMatcher, other: ActivityMatcher) -> bool:
    sources, channels = {one.source, other.source} - {None}, {one.channel, other.channel} - {None}
    return len(sources) < 2 and len(channels) < 2


def _kinds(placed: list[Placed], scope: Scope) -> Iterator[tuple[str, str, str | None]]:
    """(source, activity, channel) that may come and whose visibility the source leaves to the journey files."""
    named = {m.activity for _, m in placed if pattern_kind(m.activity) == EXACT}
    channels = {m.channel for _, m in placed}
    kinds: set[tuple[str, str, str | None]] = set()
    for made in scope.made:
        if made.visibility is None:
            activities = made.activities.known if made.activities.are_all else made.activities.known | named
            through = made.channels.known if made.channels.are_all else made.channels.known | channels | {None}
            kinds |= {(made.source, a, c) for a, c in product(activities, through) if a is not None}
    return iter(sorted(kinds, key=str))


def _declared_internal(file: str, visible: list[Placed], scope: Scope) -> Iterator[Problem]:
    """A phase that names exactly an activity which its sources only ever make as an internal step."""
    if scope.unread or not all(made.activities.are_all for made in scope.made):
        return
    for place, matcher in visible:
        if pattern_kind(matcher.activity) != EXACT:
            continue
        makers = [made for made in scope.made if _can_make(made, matcher)]
        if makers and all(made.visibility == "internal" for made in makers):
            message = f"maps an internal step: sources/{makers[0].source}.yaml declares it internal"
            expected = "contacts of the customer's only; internal steps go under internal"
            yield Problem(file, place, message, repr(matcher.activity), expected, rule="R3")


# --- what nothing makes ----------------------------------------------------------------------------------------------


def _can_make(made: Made, matcher: ActivityMatcher) -> bool:
    if matcher.source not in (None, made.source):
        return False
    if matcher.channel is not None and made.channels.are_all and matcher.channel not in made.channels.known:
        return False
    test = activity_test(matcher.activity)
    return not made.activities.are_all or any(test(activity) for activity in made.activities.known if activity)


def _never_made(file: str, placed: list[Placed], scope: Scope) -> Iterator[Problem]:
    """Warnings for matchers, and for a whole journey type, that no event of any source can fit."""
    if scope.unread:
        return
    dead = {place for place, m in placed if not any(_can_make(made, m) for made in scope.made)}
    for place, matcher in placed:
        if place not in dead:
            continue
        made_here = [made for made in scope.made if matcher.source in (None, made.source)]
        channels = {channel for made in made_here for channel in made.channels.known if channel}
        if matcher.channel is not None and matcher.channel not in channels:
            key, value, known = f"{place}.channel", matcher.channel, channels
        else:
            key, value = place, matcher.activity
            known = {activity for made in made_here for activity in made.activities.known if activity}
        hint = did_you_mean(value, known)
        yield Problem(file, key, "fits nothing that a source makes", repr(value)[:120], hint=hint, level="warning")
    mapped = {place for place, _ in placed if place.startswith("phases")}
    if mapped and mapped <= dead:
        yield Problem(file, "phases", "has nothing mapped: no source makes any of it", level="warning")

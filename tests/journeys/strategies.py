"""Input for the oracle and the kernel: small histories as awkward as the rules allow, and journey files to cut them by.

Few distinct times, accounts, topics and keys, so that ties and conflicts are the rule. Only generation here, no checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from random import Random
from typing import Any, NamedTuple, Protocol, TypeVar

from hypothesis import strategies as st
from oracle_events import Event, role_of

from klantspoor.project.model import JourneyFile

T = TypeVar("T")
MINUTE = 60_000_000
START = 1_700_000_000_000_000
ACTIVITIES = ("alpha", "alpine", "beta", "bold", "call", "calm", "done")
SOURCES = ("crm", "web")
CHANNELS = (None, "phone", "site")
INITIATORS = (None, "customer", "customer", "organisation", "system", "partner")
KEYS = ("order", "claim")
TYPES = ("ant", "bee", "cat")
PHASES = ("one", "two", "three")
DECLARATIONS = ("asks_us", "asks_customer", "promises", "settles", "hands_to_partner", "returns_from_partner", "chases")
ODD = (0, 0, 0, 0, 1, 999_999, 1_000_000, 1_500_000)
"""Microseconds added to whole minutes, so that gaps are missed by one and seconds are not whole."""


class Mood(NamedTuple):
    """What the values of events are drawn from, and what the journey files are held to."""

    keys: tuple[int, ...] = (0, 0, 0, 1, 2)
    accounts: tuple[int, ...] = (0, 0, 0, 1, 1, 2)
    teams: tuple[str | None, ...] = (None, None, "north", "south")
    lasts: tuple[int, ...] = (0, 0, 0, 1, 5, 20)
    parts: tuple[str, ...] = (*PHASES, "unphased", "internal", "internal", "nowhere")
    case_keys: tuple[str | None, ...] = (None, None, *KEYS, *KEYS)
    gaps: tuple[int, ...] = (1, 3, 10, 60)
    opens: tuple[int, ...] = (0, 0, 1, 2)
    contact_gaps: tuple[int, ...] = (0, 1, 3, 30)
    declarations: tuple[str, ...] = DECLARATIONS


ANYTHING = Mood()
WAITING = Mood(
    keys=(0,),
    accounts=(0, 0, 1),
    teams=("north", "south", "east", None),
    lasts=(0, 0, 1, 2, 5),
    parts=("one", "unphased", "internal", "internal", "internal"),
    case_keys=(None,),
    gaps=(60,),
    opens=(0,),
    contact_gaps=(0, 0, 1),
    declarations=("asks_us", "promises", "chases"),
)
ADOPTING = Mood(
    keys=(0, 0, 0, 0, 0, 1, 2), case_keys=("order",), gaps=(3, 10, 60), opens=(2, 3, 4), contact_gaps=(0, 0, 1)
)


class Kind(NamedTuple):
    """What events of one kind share: a history has a handful of kinds."""

    source: str
    activity: str
    channel: str | None
    initiator: str | None
    team: str | None
    declared_visibility: str | None


class History(NamedTuple):
    """What `reconstruct` takes, in its order."""

    events: list[Event]
    journeys: dict[str, JourneyFile]
    contact_gaps: dict[str, int]
    closed: list[tuple[int, int]]
    as_of: int


class Pick(Protocol):
    """Picks one of the options: `draw` of Hypothesis, which shrinks, or a seeded generator, which is even and quick."""

    def __call__(self, options: Sequence[T], /) -> T: ...


def some(pick: Pick, options: Sequence[T], at_least: int = 0, at_most: int = 2) -> list[T]:
    """Up to so many different options; fewer where the same was picked twice."""
    return list(dict.fromkeys(pick(options) for _ in range(pick(range(at_least, at_most + 1)))))


# --- journey files ---------------------------------------------------------------------------------------------------


def a_matcher(pick: Pick, activity: str) -> Any:
    """One way to name the activity: mostly alone, else by source or channel or both."""
    narrowed = [{"source": "crm"}, {"source": "web"}, {"channel": "site"}, {"source": "crm", "channel": "phone"}]
    return pick([activity] * 5 + [{"activity": activity, **narrow} for narrow in narrowed])


def some_turns(pick: Pick, mood: Mood) -> dict[str, list[str]]:
    pairs = list(product(mood.declarations, (*ACTIVITIES, "al*", "/b.*/")))
    result: dict[str, list[str]] = {}
    for declaration, name in some(pick, pairs, at_most=8):
        result.setdefault(declaration, []).append(name)
    return result


def a_cut(pick: Pick, mood: Mood) -> dict[str, Any]:
    opening = pick(mood.opens)
    return {
        "case_key": pick(mood.case_keys),
        "opens": some(pick, ACTIVITIES, opening, opening),
        "needs": some(pick, ACTIVITIES, at_most=pick((0, 0, 2))),
        "closes": some(pick, ACTIVITIES, at_most=pick((0, 1))),
        "gap": f"{pick(mood.gaps)} minutes",
    }


def is_sound(file: JourneyFile) -> bool:
    """Whether no event could be equally well visible and internal."""
    for activity, source, channel in product(ACTIVITIES, SOURCES, CHANNELS):
        try:
            role_of(Event(1, 0, 0, source, activity, channel), file)
        except ValueError:
            return False
    return True


def a_journey_file(pick: Pick, name: str, mood: Mood) -> JourneyFile:
    """A journey type that most activities have some role in; patterns overlap wherever that is no mistake."""
    parts: dict[str, list[Any]] = {part: [] for part in (*PHASES, "unphased", "internal")}
    for activity in ACTIVITIES:
        part, again = pick(mood.parts), pick((*["nowhere"] * 9, *parts))
        if part != "nowhere":
            parts[part].append(a_matcher(pick, activity))
        if again in PHASES and part in PHASES:
            parts[again].append(activity)  # an activity of several phases
        elif again != "nowhere":
            # The same activity elsewhere too: the more specific, else the first, decides.
            parts[again].append({"activity": activity, "source": pick(SOURCES)})
    for pattern in some(pick, ("al*", "?al?", "/b.*/", "/.*a/")):
        parts[pick(tuple(parts))].append(pattern)
    described: dict[str, Any] = {
        "journey": name,
        "title": name,
        "cut": a_cut(pick, mood),
        "phases": [{"id": part, "says": "I go on", "activities": parts[part] or ["never"]} for part in PHASES],
        "unphased": parts["unphased"],
        "companions": some(pick, (*ACTIVITIES, "al*")) if pick(range(3)) == 0 else [],
        "internal": parts["internal"],
        "turns": some_turns(pick, mood),
        "completes": some(pick, ACTIVITIES, at_most=1),
        "fails": some(pick, ACTIVITIES, at_most=1),
        "abandoned_after": pick((None, "2 minutes", "30 minutes", "1 day")),
    }
    file = JourneyFile.model_validate(described)
    if not is_sound(file):
        # Repaired rather than thrown away: internal is only what nothing visible names.
        visible = {m if isinstance(m, str) else m["activity"] for p in parts if p != "internal" for m in parts[p]}
        named = [m if isinstance(m, str) else m["activity"] for m in described["internal"]]
        described["internal"] = [name for name in named if name in ACTIVITIES and name not in visible]
        file = JourneyFile.model_validate(described)
    return file


# --- events ----------------------------------------------------------------------------------------------------------


def a_kind(pick: Pick, mood: Mood) -> Kind:
    return Kind(
        source=pick(SOURCES),
        activity=pick(ACTIVITIES),
        channel=pick(CHANNELS),
        initiator=pick(INITIATORS),
        team=pick(mood.teams),
        declared_visibility=pick((*[None] * 8, "visible", "internal")),
    )


def an_event(pick: Pick, number: int, persons: int, moments: Sequence[int], kind: Kind, mood: Mood) -> Event:
    """One event at one of few moments; a sixth carry a score."""
    at = START + pick(moments) * MINUTE + pick(ODD)
    lasts = pick(mood.lasts) * MINUTE
    score = pick((*[None] * 5, 7.0))
    values = pick(list(product(mood.keys, repeat=len(KEYS))))
    tie_order, position = pick(((0, 0), (0, 0), (0, 0), (1, 0), (0, 1), (1, 1)))
    needed = pick((None, None, None, None, -30, 0, 3))
    return Event(
        person=pick(range(1, persons + 1)),
        at=at,
        until=at + lasts + (pick(ODD) if lasts else 0),
        **kind._asdict(),
        instrument=None if score is None else "nps",
        tie_order=tie_order,
        position=position,
        account=pick(mood.accounts),
        topic=pick((None, None, "t", "u")),
        keys={key: value for key, value in zip(KEYS, values, strict=True) if value},
        need=None if needed is None else at + needed * MINUTE,
        event_id=f"{number * 7919 % 10_007:024x}",
        score=score,
    )


def closed_hours(pick: Pick) -> list[tuple[int, int]]:
    """Sorted, disjoint intervals; often none."""
    odd = pick(ODD)
    edges = some(pick, range(-10, 91), at_most=pick((0, 0, 8)))
    instants = [START + edge * MINUTE + odd for edge in sorted(edges)]
    return [interval for number, interval in enumerate(pairwise(instants)) if number % 2 == 0]


# --- histories -------------------------------------------------------------------------------------------------------


def a_history(pick: Pick, most_events: int = 25) -> History:
    """A history and everything it takes to reconstruct it."""
    mood = pick((ANYTHING, ANYTHING, WAITING, ADOPTING))
    persons = pick((1, 1, 1, 2, 3))
    pool = [a_kind(pick, mood) for _ in range(pick(range(3, 15)))]
    moments = some(pick, range(71), 1, 20)
    size = pick(range(most_events + 1))
    return History(
        events=[an_event(pick, number, persons, moments, pick(pool), mood) for number in range(1, size + 1)],
        journeys={name: a_journey_file(pick, name, mood) for name in TYPES[: pick(range(1, len(TYPES) + 1))]},
        contact_gaps={source: pick(mood.contact_gaps) * MINUTE for source in SOURCES},
        closed=closed_hours(pick),
        as_of=START + pick((0, 20, 60, 80, 200)) * MINUTE + pick(ODD),
    )


@st.composite
def histories(draw: st.DrawFn, most_events: int = 25) -> History:
    """Histories that Hypothesis makes, and makes smaller where one fails."""
    return a_history(lambda options: draw(st.sampled_from(options)), most_events)


def seeded_history(seed: int, most_events: int = 25) -> History:
    """The history of that seed: some ten times quicker than Hypothesis, and all options are equally likely."""
    return a_history(Random(seed).choice, most_events)

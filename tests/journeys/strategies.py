"""Hypothesis strategies: small histories that are as awkward as the rules allow, and the journey files to cut them by.

Few distinct times, accounts, topics and keys, so that ties and conflicts are the rule. Only generation here, no checks.
"""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any, NamedTuple

from hypothesis import strategies as st
from oracle_events import Event, role_of

from klantspoor.project.model import JourneyFile

MINUTE = 60_000_000
START = 1_700_000_000_000_000
ACTIVITIES = ("alpha", "alpine", "beta", "bold", "call", "calm", "done")
SOURCES = ("crm", "web")
CHANNELS = (None, "phone", "site")
INITIATORS = (None, "customer", "customer", "organisation", "system", "partner")
KEYS = ("order", "claim")
TYPES = ("ant", "bee", "cat")
DECLARATIONS = ("asks_us", "asks_customer", "promises", "settles", "hands_to_partner", "returns_from_partner", "chases")
ODD = (0, 0, 0, 0, 1, 999_999, 1_000_000, 1_500_000)
"""Microseconds added to whole minutes, so that gaps are missed by one and seconds are not whole."""


class Mood(NamedTuple):
    """What the values of events are drawn from, and what the journey files are held to."""

    keys: tuple[int, ...] = (0, 0, 0, 1, 2)
    accounts: tuple[int, ...] = (0, 0, 0, 1, 1, 2)
    teams: tuple[str | None, ...] = (None, None, "north", "south")
    lasts: tuple[int, ...] = (0, 0, 0, 1, 5, 20)
    parts: tuple[str, ...] = ("one", "two", "three", "unphased", "internal", "internal", "nowhere")
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


def some(values: tuple[str, ...], at_most: int = 2) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), max_size=at_most, unique=True)


def matchers(activity: str) -> st.SearchStrategy[Any]:
    """One way to name the activity: mostly alone, else by source or channel or both."""
    narrowed = [{"source": "crm"}, {"source": "web"}, {"channel": "site"}, {"source": "crm", "channel": "phone"}]
    return st.sampled_from([activity] * 5 + [{"activity": activity, **narrow} for narrow in narrowed])


@st.composite
def declarations(draw: st.DrawFn, mood: Mood) -> dict[str, list[str]]:
    names = (*ACTIVITIES, "al*", "/b.*/")
    pairs = st.tuples(st.sampled_from(mood.declarations), st.sampled_from(names))
    result: dict[str, list[str]] = {}
    for declaration, name in draw(st.lists(pairs, max_size=8, unique=True)):
        result.setdefault(declaration, []).append(name)
    return result


@st.composite
def cuts(draw: st.DrawFn, mood: Mood) -> dict[str, Any]:
    opening = draw(st.sampled_from(mood.opens))
    return {
        "case_key": draw(st.sampled_from(mood.case_keys)),
        "opens": draw(st.lists(st.sampled_from(ACTIVITIES), min_size=opening, max_size=opening, unique=True)),
        "closes": draw(st.just([]) | some(ACTIVITIES, 1)),
        "gap": f"{draw(st.sampled_from(mood.gaps))} minutes",
    }


def is_sound(file: JourneyFile) -> bool:
    """Whether no event could be equally well visible and internal."""
    for activity, source, channel in product(ACTIVITIES, SOURCES, CHANNELS):
        try:
            role_of(Event(1, 0, 0, source, activity, channel), file)
        except ValueError:
            return False
    return True


@st.composite
def journey_files(draw: st.DrawFn, name: str, mood: Mood) -> JourneyFile:
    """A journey type that most activities have some role in; patterns overlap wherever that is no mistake."""
    parts: dict[str, list[Any]] = {part: [] for part in ("one", "two", "three", "unphased", "internal")}
    for activity in ACTIVITIES:
        part = draw(st.sampled_from(mood.parts))
        if part != "nowhere":
            parts[part].append(draw(matchers(activity)))
            again = draw(st.sampled_from((*["nowhere"] * 12, *parts)))
            if again != "nowhere":  # the same activity elsewhere too: the more specific, else the first, decides
                parts[again].append({"activity": activity, "source": draw(st.sampled_from(SOURCES))})
    patterns = draw(some(("al*", "?al?", "/b.*/", "/.*a/"), 2))
    for pattern in patterns:
        parts[draw(st.sampled_from(tuple(parts)))].append(pattern)
    described: dict[str, Any] = {
        "journey": name,
        "title": name,
        "cut": draw(cuts(mood)),
        "phases": [
            {"id": part, "says": "I go on", "activities": parts[part] or ["never"]} for part in ("one", "two", "three")
        ],
        "unphased": parts["unphased"],
        "internal": parts["internal"],
        "turns": draw(declarations(mood)),
        "completes": draw(some(ACTIVITIES, 1)),
        "fails": draw(some(ACTIVITIES, 1)),
        "abandoned_after": draw(st.sampled_from((None, "2 minutes", "30 minutes", "1 day"))),
    }
    file = JourneyFile.model_validate(described)
    if not is_sound(file):
        # Repaired rather than thrown away: what is internal stays so by exact name and both source and channel unnamed.
        visible = {m if isinstance(m, str) else m["activity"] for p in parts if p != "internal" for m in parts[p]}
        named = [m if isinstance(m, str) else m["activity"] for m in described["internal"]]
        described["internal"] = [name for name in named if name in ACTIVITIES and name not in visible]
        file = JourneyFile.model_validate(described)
    return file


@st.composite
def kinds(draw: st.DrawFn, mood: Mood) -> Kind:
    return Kind(
        source=draw(st.sampled_from(SOURCES)),
        activity=draw(st.sampled_from(ACTIVITIES)),
        channel=draw(st.sampled_from(CHANNELS)),
        initiator=draw(st.sampled_from(INITIATORS)),
        team=draw(st.sampled_from(mood.teams)),
        declared_visibility=draw(st.sampled_from((None,) * 8 + ("visible", "internal"))),
    )


@st.composite
def events(draw: st.DrawFn, number: int, persons: int, moments: tuple[int, ...], pool: list[Kind], mood: Mood) -> Event:
    """One event of the pool's kinds at one of few moments; a sixth carry a score."""
    kind = draw(st.sampled_from(pool))
    at = START + draw(st.sampled_from(moments)) * MINUTE + draw(st.sampled_from(ODD))
    lasts = draw(st.sampled_from(mood.lasts)) * MINUTE
    score = draw(st.sampled_from((None,) * 5 + (7.0,)))
    values = draw(st.sampled_from(list(product(mood.keys, repeat=len(KEYS)))))
    tie_order, position = draw(st.sampled_from(((0, 0), (0, 0), (0, 0), (1, 0), (0, 1), (1, 1))))
    needed = draw(st.sampled_from((None, None, None, None, -30, 0, 3)))
    return Event(
        person=draw(st.integers(1, persons)),
        at=at,
        until=at + lasts + (draw(st.sampled_from(ODD)) if lasts else 0),
        **kind._asdict(),
        instrument=None if score is None else "nps",
        tie_order=tie_order,
        position=position,
        account=draw(st.sampled_from(mood.accounts)),
        topic=draw(st.sampled_from((None, None, "t", "u"))),
        keys={key: value for key, value in zip(KEYS, values, strict=True) if value},
        need=None if needed is None else at + needed * MINUTE,
        event_id=f"{number * 7919 % 10_007:024x}",
        score=score,
    )


@st.composite
def closed_hours(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Sorted, disjoint intervals; often none."""
    edges = draw(st.just([]) | st.lists(st.integers(-10, 90), max_size=8, unique=True))
    odd = draw(st.sampled_from(ODD))
    instants = [START + edge * MINUTE + odd for edge in sorted(edges)]
    return [interval for number, interval in enumerate(pairwise(instants)) if number % 2 == 0]


@st.composite
def histories(draw: st.DrawFn, most_events: int = 25) -> History:
    """A history and everything it takes to reconstruct it."""
    mood = draw(st.sampled_from((ANYTHING, ANYTHING, WAITING, ADOPTING)))
    names = TYPES[: draw(st.integers(1, len(TYPES)))]
    persons = draw(st.sampled_from((1, 1, 1, 2, 3)))
    pool = draw(st.lists(kinds(mood), min_size=1, max_size=14))
    moments = tuple(draw(st.lists(st.integers(0, 70), min_size=1, max_size=12, unique=True)))
    size = draw(st.integers(0, most_events))
    minutes = draw(st.sampled_from((0, 20, 60, 80, 200)))
    return History(
        events=[draw(events(number, persons, moments, pool, mood)) for number in range(1, size + 1)],
        journeys={name: draw(journey_files(name, mood)) for name in names},
        contact_gaps={source: draw(st.sampled_from(mood.contact_gaps)) * MINUTE for source in SOURCES},
        closed=draw(closed_hours()),
        as_of=START + minutes * MINUTE + draw(st.sampled_from(ODD)),
    )

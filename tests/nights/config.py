"""A small project whose journey types get in each other's way, and the knobs by which it changes. Holds no test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from klantspoor.project.model import Project
from tests.nights.history import COLUMNS, DAY, HOUR, IDENTIFIERS, MINUTE

KEY = "KLANTSPOOR_NIGHTS_KEY"
SOURCES = ("clients", "desk", "shop", "voice", "web", "work")
ACTIVITIES: dict[str, tuple[str, ...]] = {
    "desk": ("called", "complained", "promised", "answered", "solved", "renewed", "claimed", "refused", "hello"),
    "shop": ("ordered", "paid", "cancelled", "returned"),
    "voice": ("rated",),
    "web": ("looked", "carted", "logged in", "read", "quoted"),
    "work": ("packed", "checked", "repaired", "sent out"),
}
GAPS = (30 * MINUTE, HOUR, 2 * HOUR, 12 * HOUR, 3 * DAY, 10 * DAY, 30 * DAY, 45 * DAY, 400 * DAY)
"""The stretches of time at which something changes: gaps, patience, contacts, turns."""
MADE_OF: dict[str, tuple[str, ...]] = {
    "asking": ("called", "read", "complained", "answered", "solved", "logged in", "rated", "checked", "repaired"),
    "buying": ("looked", "carted", "ordered", "paid", "called", "returned", "rated", "logged in", "packed", "sent out"),
    "claiming": ("claimed", "answered", "refused", "paid", "complained", "rated", "called", "checked"),
    "looking": ("looked", "carted", "quoted", "logged in", "read"),
    "renewing": ("quoted", "renewed", "called", "rated", "checked"),
}
"""The activities that have a part in a journey type."""
Settings = Mapping[str, int]


def _journeys() -> dict[str, Any]:
    return {
        # Streams with accounts: calls and what was read before, closed by the solution.
        "asking": {
            "cut": {"opens": ["called", "read", "complained"], "closes": ["solved"], "gap": "3 days"},
            "phases": [
                _phase("wondering", ["read", "called"]),
                _phase("asking", ["called", "complained", "answered"]),
                _phase("helped", ["solved"]),
            ],
            "unphased": ["logged in", "rated", "promised"],
            "companions": ["logged in"],
            "internal": ["checked", "repaired"],
            "turns": {
                "asks_us": ["called"],
                "chases": ["complained"],
                "promises": ["promised"],
                "asks_customer": ["answered"],
                "settles": ["solved"],
            },
            "completes": ["solved"],
            "fails": ["refused"],
            "abandoned_after": "10 days",
        },
        # A case key, and openings without one that a case adopts.
        "buying": {
            "cut": {"case_key": "order", "opens": ["looked", "carted"], "gap": "30 days"},
            "phases": [_phase("looking", ["looked", "carted"]), _phase("waiting", ["ordered", "paid", "delivered"])],
            "unphased": ["called", "complained", "returned", "rated", "logged in"],
            "companions": ["logged in"],
            "internal": ["packed", "sent out"],
            "turns": {
                "asks_us": ["ordered"],
                "hands_to_partner": ["sent out"],
                "settles": ["delivered"],
                "returns_from_partner": ["returned"],
            },
            "completes": ["delivered"],
            "fails": ["cancelled"],
            "abandoned_after": "45 days",
        },
        # A case key and nothing that opens; impatient, with a long gap.
        "claiming": {
            "cut": {"case_key": "claim", "closes": ["refused"], "gap": "45 days"},
            "phases": [_phase("claiming", ["claimed"]), _phase("hearing", ["answered", "refused", "paid"])],
            "unphased": ["complained", "rated", "called"],
            "internal": ["checked"],
            "turns": {"asks_us": ["claimed"], "settles": ["paid", "refused"]},
            "completes": [{"activity": "paid", "source": "shop"}],
            "fails": ["refused"],
            "abandoned_after": "12 hours",
        },
        # Visits: short, without patience of their own.
        "looking": {
            "cut": {"needs": ["quoted", "carted"], "gap": "2 hours"},
            "phases": [_phase("around", [{"activity": "*", "source": "web"}])],
        },
    }


def _renewing(gap: str, patience: str) -> dict[str, Any]:
    """A journey of months and years. It is not always there: with it, nothing of the others is old for long."""
    return {
        "cut": {"opens": ["quoted"], "needs": ["quoted", "renewed"], "gap": gap},
        "phases": [_phase("comparing", ["quoted"]), _phase("renewing", ["renewed"])],
        "unphased": ["called", "rated"],
        "internal": ["checked"],
        "turns": {"asks_us": ["quoted"], "settles": ["renewed"]},
        "completes": ["renewed"],
        "abandoned_after": patience,
    }


def _phase(name: str, activities: list[Any]) -> dict[str, Any]:
    return {"id": name, "says": f"I am {name}", "activities": activities}


def _sources() -> dict[str, Any]:
    said = {name: name for name in ("activity", "channel", "initiator", "topic", "persona")}
    common: dict[str, Any] = said | {
        "id": "id",
        "occurred_at": '"at"',
        "account": "contract",
        "case_keys": {"order": '"order"', "claim": "claim"},
        "identifiers": [{"type": kind, "value": kind} for kind in IDENTIFIERS],
    }
    lasts = {"ended_at": '"until"', "team": "team"}
    delivered = {"activity": "'delivered'", "occurred_at": '"until"', "when": '"until" IS NOT NULL'}
    score = {"instrument": "nps", "score": "score", "lowest": 0, "highest": 10}
    made: dict[str, Any] = {
        "clients": {"kind": "reference", "defaults": {k: common[k] for k in ("occurred_at", "persona", "identifiers")}},
        # Of two rows with one id the later file wins.
        "desk": {"contact_gap": "1 hour", "defaults": common | lasts | {"need_started_at": "need"}},
        # The higher version wins, and a row may hold two events.
        "shop": {
            "contact_gap": 0,
            "defaults": common | {"version": "version", "tie_order": "tie"},
            "events": [{"activity": "activity"}, delivered],
        },
        "voice": {"defaults": common | {"version": "version", "survey": score}},
        # The whole row is the event.
        "web": {"contact_gap": "30 minutes", "defaults": common | {"id": None}},
        "work": {"defaults": common | lasts | {"visibility": "internal"}},
    }
    personal = {*IDENTIFIERS, "contract", "order", "claim"}
    for name, source in made.items():
        source |= {
            "source": name,
            "title": name,
            "files": [f"{name}-*.csv"],
            "reader": {"format": "csv"},
            "time": {"epoch": "us", "max_future": "40 days"},
            "not_personal": [column for column in COLUMNS if column not in personal],
        }
    return made


def _plain() -> dict[str, Any]:
    identifiers: dict[str, Any] = {
        "customer": {"priority": 1},
        "email": {"priority": 2, "at_most": {"customer": 1}},
        "phone": {"priority": 3, "at_most": {"customer": 1}, "same_topic_within": "3 days"},
        "tablet": {"priority": 4, "at_most_persons": 1, "when_shared": "split", "between": "next"},
        "cookie": {"priority": 5},
    }
    file = {
        "name": "Nights",
        "timezone": "Europe/Amsterdam",
        "pseudonym_key": {"env": KEY},
        "identifiers": identifiers,
        "limits": {"suppress_below": 1, "memory_mb": 400, "readers_grace": 0},
    }
    return {"file": file, "sources": _sources(), "journeys": _journeys()}


Turn = Callable[[dict[str, Any]], object]


def _cut(name: str, **keys: Any) -> Turn:
    return lambda made: made["journeys"][name]["cut"].update(keys)


def _journey(name: str, **keys: Any) -> Turn:
    return lambda made: made["journeys"][name].update(keys)


def _source(name: str, **keys: Any) -> Turn:
    return lambda made: made["sources"][name].update(keys)


def _mapping(name: str, **keys: Any) -> Turn:
    return lambda made: made["sources"][name]["defaults"].update(keys)


def _kind(name: str, **keys: Any) -> Turn:
    return lambda made: made["file"]["identifiers"][name].update(keys)


def _limits(**keys: Any) -> Turn:
    return lambda made: made["file"]["limits"].update(keys)


def _file(**keys: Any) -> Turn:
    return lambda made: made["file"].update(keys)


def _with(name: str, journey: dict[str, Any]) -> Turn:
    return lambda made: made["journeys"].update({name: journey})


def _without(part: str, name: str) -> Turn:
    return lambda made: made[part].pop(name)


def _without_key(name: str) -> Turn:
    def turn(made: dict[str, Any]) -> None:
        for source in made["sources"].values():
            source["defaults"]["case_keys"] = None
        made["journeys"][name]["cut"]["case_key"] = None

    return turn


_OFFICE = {
    "hours": {day: ["08:30-12:00", "13:00-17:30"] for day in ("mon", "tue", "wed", "thu", "fri")},
    "holidays": ["2024-05-01", "2024-12-25"],
}
_OTHER_PHASES = [_phase("wondering", ["read"]), _phase("helped", ["called", "solved", "answered"])]

KNOBS: dict[str, tuple[Turn, ...]] = {
    "asking gap": (_cut("asking", gap="12 hours"), _cut("asking", gap="45 days")),
    "asking patience": (_journey("asking", abandoned_after=None), _journey("asking", abandoned_after="2 hours")),
    "asking phases": (_journey("asking", phases=_OTHER_PHASES),),
    "asking opens": (_cut("asking", opens=[]), _cut("asking", opens=["called"], closes=[])),
    "asking turns": (_journey("asking", turns={}),),
    "buying gap": (_cut("buying", gap="3 days"), _cut("buying", gap="400 days")),
    "buying key": (_cut("buying", case_key=None), _cut("buying", opens=[])),
    "buying completes": (_journey("buying", completes=["paid"]), _journey("buying", completes=[], fails=[])),
    "buying companions": (_journey("buying", companions=[]), _journey("buying", companions=["logged in", "called"])),
    "claiming gap": (_cut("claiming", gap="12 hours"), _cut("claiming", gap="400 days")),
    "claiming patience": (_journey("claiming", abandoned_after="45 days"),),
    "claiming guests": (
        _journey("claiming", mystery_guests={"personas": ["gold"]}),
        _journey("claiming", mystery_guests={"activities": ["called"]}),
    ),
    "looking": (_without("journeys", "looking"), _cut("looking", needs=[]), _cut("looking", gap="3 days")),
    "renewing": (
        _with("renewing", _renewing("400 days", "500 days")),
        _with("renewing", _renewing("30 days", "1 hour")),
    ),
    "keys": (_without_key("buying"),),
    "web contact": (_source("web", contact_gap=0), _source("web", contact_gap="3 days")),
    "desk contact": (_source("desk", contact_gap="30 minutes"), _source("desk", contact_gap="12 hours")),
    "voice": (_without("sources", "voice"),),
    "desk mapping": (_mapping("desk", topic="'t'"), _mapping("desk", team="upper(team)")),
    "expected": (_source("desk", expected={"every": "week"}),),
    "customer": (_kind("customer", one_per_person=True),),
    "email": (_kind("email", at_most={}), _kind("email", at_most={}, one_per_person=True)),
    "phone": (
        _kind("phone", at_most={"customer": {"most": 1, "within": "3 days"}}),
        _kind("phone", at_most={}),
        _kind("phone", at_most={"customer": 2}, same_topic_within=None),
        _kind("phone", at_most={}, at_most_persons={"most": 1, "within": "10 days"}, same_topic_within="30 days"),
    ),
    "tablet": (
        _kind("tablet", between="nobody"),
        _kind("tablet", between="previous", turn_within="12 hours"),
        _kind("tablet", when_shared="nobody", same_topic_within="10 days"),
        _kind("tablet", at_most_persons=None),
    ),
    "cookie": (_kind("cookie", at_most={"customer": 1}), _kind("cookie", at_most_persons=1, when_shared="split")),
    "trust": (_kind("cookie", priority=1),),
    "calendar": (_file(calendar=_OFFICE),),
    "zone": (_file(timezone="Pacific/Auckland"), _file(timezone="UTC", calendar=_OFFICE)),
    "slices": (_limits(slice_rows=2),),
    "suppression": (_limits(suppress_below=2),),
    "versions": (_limits(keep_versions=1),),
    "grace": (_limits(readers_grace="30 days"),),
}
"""By name what each option but 0 does; option 0 leaves everything as it is."""


def project_of(root: Path, settings: Settings) -> Project:
    """The project in that folder, with the knobs as they stand."""
    return _project(str(root), tuple(sorted((knob, option) for knob, option in settings.items() if option)))


@lru_cache(maxsize=64)
def _project(root: str, settings: tuple[tuple[str, int], ...]) -> Project:
    made = _plain()
    for knob, option in settings:
        KNOBS[knob][option - 1](made)
    for name, journey in made["journeys"].items():
        journey |= {"journey": name, "title": name}
    return Project.model_validate({"root": root, **made})

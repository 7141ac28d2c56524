"""`same_topic_within`: what is known by a shared identifier alone is the one holder's who was about the topic then.

Hand-counted, and against a naive rule in plain Python on random histories of people who share telephones and tablets.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from klantspoor.identity.written import MOST_HOLDERS
from tests.identity.whole_world import Row, Shop, person_id

EXAMPLES = int(os.environ.get("KLANTSPOOR_EXAMPLES", "25"))
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
WITHIN = 2
"""Hours; moments are whole hours, so that the window's ends are hit."""
TYPES: dict[str, dict[str, Any]] = {
    "login": {"priority": 1},
    "phone": {"priority": 2, "at_most": {"login": 1}, "same_topic_within": f"{WITHIN} hours"},
    "tablet": {
        "priority": 3,
        "at_most_persons": 1,
        "when_shared": "split",
        "same_topic_within": f"{WITHIN} hours",
    },
}
Seen = tuple[int, str | None, str | None, str | None, str | None]
"""Hour, login, phone, tablet, topic."""


def found(folder: Path, seen: Sequence[Seen], types: dict[str, dict[str, Any]] = TYPES) -> list[tuple[Any, Any]]:
    """(person_id, person_rule) of each."""
    shop = Shop(folder, types)
    shop.land(
        "log",
        [
            Row(
                str(n),
                BEGAN + timedelta(hours=hour),
                {k: v for k, v in (("login", login), ("phone", phone), ("tablet", tablet)) if v is not None},
                topic,
            )
            for n, (hour, login, phone, tablet, topic) in enumerate(seen)
        ],
    )
    by_event = {int(row["source_event_id"]): row for row in shop.rehearse("events")["events"]}
    return [(by_event[n]["person_id"], by_event[n]["person_rule"]) for n in range(len(seen))]


def person(login: str) -> str:
    return person_id("login", login)


SHARED: list[Seen] = [(0, "a", "p", None, None), (0, "b", "p", None, None)]
NOBODY = (None, None)


@pytest.mark.parametrize(
    ("others", "asked", "whose"),
    [
        pytest.param([(9, "a", None, None, "bill")], "bill", "a", id="one holder, about it"),
        pytest.param([(12, "a", None, None, "bill")], "bill", "a", id="afterwards, and at the window's very end"),
        pytest.param([(8, "a", None, None, "bill")], "bill", "a", id="at the window's very beginning"),
        pytest.param([(7, "a", None, None, "bill")], "bill", None, id="before the window"),
        pytest.param([(13, "a", None, None, "bill")], "bill", None, id="after the window"),
        pytest.param([(9, "a", None, None, "bill"), (11, "b", None, None, "bill")], "bill", None, id="two holders"),
        pytest.param(
            [(9, "a", None, None, "bill"), (7, "b", None, None, "bill")], "bill", "a", id="the other too early"
        ),
        pytest.param(
            [(9, "a", None, None, "bill"), (9, "b", None, None, "move")], "bill", "a", id="the other, not of it"
        ),
        pytest.param([(9, "a", None, None, "bill")] * 3, "bill", "a", id="three events of one holder"),
        pytest.param([(9, "a", None, None, "move")], "bill", None, id="about something else"),
        pytest.param([(9, "a", None, None, None)], None, None, id="about nothing"),
        pytest.param([(9, "c", None, None, "bill")], "bill", None, id="somebody who does not hold it"),
        pytest.param([], "bill", None, id="nobody about it"),
    ],
)
def test_whose_a_call_from_a_shared_telephone_is(
    others: list[Seen], asked: str | None, whose: str | None, tmp_path: Path
) -> None:
    told = found(tmp_path, [*SHARED, *others, (10, None, "p", None, asked)])
    assert told[-1] == ((person(whose), "same_topic") if whose else NOBODY)
    assert {rule for _, rule in told[:-1]} == {"identifier"}


def test_without_the_key_it_is_nobodys(tmp_path: Path) -> None:
    types = TYPES | {"phone": {"priority": 2, "at_most": {"login": 1}}}
    told = found(tmp_path, [*SHARED, (9, "a", None, None, "bill"), (10, None, "p", None, "bill")], types)
    assert told[-1] == NOBODY


@pytest.mark.parametrize(("holders", "is_known"), [(MOST_HOLDERS, True), (MOST_HOLDERS + 1, False)])
def test_what_very_many_hold_tells_nothing(holders: int, is_known: bool, tmp_path: Path) -> None:
    """A switchboard's number is no household's."""
    seen: list[Seen] = [(0, f"holder {n}", "p", None, None) for n in range(holders)]
    told = found(tmp_path, [*seen, (9, "holder 3", None, None, "bill"), (10, None, "p", None, "bill")])
    assert told[-1] == ((person("holder 3"), "same_topic") if is_known else NOBODY)


def test_what_was_found_by_topic_finds_nothing_further(tmp_path: Path) -> None:
    """At 9 by a's at 8; the one at 11 is near that at 9 only, and that was a guess itself."""
    told = found(
        tmp_path,
        [*SHARED, (8, "a", None, None, "bill"), (9, None, "p", None, "bill"), (11, None, "p", None, "bill")],
    )
    assert told[-2:] == [(person("a"), "same_topic"), NOBODY]


def test_a_tablets_turn_comes_before_the_topic(tmp_path: Path) -> None:
    seen: list[Seen] = [
        (0, "a", None, "t", None),
        (4, "a", None, "t", None),
        (9, "b", None, "t", None),
        (6, "b", None, None, "bill"),
        (3, None, None, "t", "bill"),
        (7, None, None, "t", "bill"),
        (2, None, None, "t", "move"),
    ]
    told = found(tmp_path, seen)
    assert told[-3:] == [(person("a"), "in_turn"), (person("b"), "same_topic"), (person("a"), "in_turn")]


# --- the naive rule


def naive(seen: Sequence[Seen]) -> list[tuple[str | None, str | None]]:
    """(login, rule) of each, where each row has at most one of telephone and tablet, and both may be anybody's."""
    first = [by_identifier(seen, one) for one in seen]
    return [
        told if told != NOBODY or one[4] is None else by_topic(seen, first, one)
        for one, told in zip(seen, first, strict=True)
    ]


def logins(seen: Sequence[Seen], place: int, value: str) -> set[str]:
    return {one[1] for one in seen if one[place] == value and one[1] is not None}


def by_identifier(seen: Sequence[Seen], one: Seen) -> tuple[str | None, str | None]:
    hour, login, phone, tablet, _ = one
    if login is not None:
        return login, "identifier"
    place, value = (2, phone) if phone is not None else (3, tablet)
    assert value is not None
    owners = logins(seen, place, value)
    if len(owners) < 2:
        return (next(iter(owners)) if owners else value), "identifier"
    if place == 2:
        return NOBODY
    # A tablet: whoever was the last before and the first after, if they are one.
    sightings = [(other[0], other[1]) for other in seen if other[3] == value and other[1] is not None]
    before, after = [h for h, _ in sightings if h <= hour], [h for h, _ in sightings if h >= hour]
    if not before or not after:
        return NOBODY
    around = {who for h, who in sightings if h in (max(before), min(after))}
    return (around.pop(), "in_turn") if len(around) == 1 else NOBODY


def by_topic(
    seen: Sequence[Seen], first: Sequence[tuple[str | None, str | None]], one: Seen
) -> tuple[str | None, str | None]:
    hour, _, phone, tablet, topic = one
    owners = logins(seen, 2, phone) if phone is not None else logins(seen, 3, tablet or "")
    about = {
        who
        for other, (who, _) in zip(seen, first, strict=True)
        if who in owners and other[4] == topic and abs(other[0] - hour) <= WITHIN
    }
    return (about.pop(), "same_topic") if len(about) == 1 and len(owners) <= MOST_HOLDERS else NOBODY


DEVICES = (*(("p", None), ("q", None)), *((None, "t"), (None, "u")))


def history(dice: random.Random) -> list[Seen]:
    """By dice: few people and devices, and little time, so that much of it is shared and much meets."""
    return [
        (
            dice.randint(0, 14),
            dice.choice(["a", "b", "c", None, None]),
            *dice.choice(DEVICES),
            dice.choice(["bill", "move", None]),
        )
        for _ in range(dice.randint(5, 30))
    ]


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.reuse, Phase.generate),
)
@given(st.integers(0, 2**32))
def test_persons_are_those_of_the_naive_rule(seed: int) -> None:
    seen = history(random.Random(seed))
    with tempfile.TemporaryDirectory() as folder:
        told = found(Path(folder), seen)
    kinds = {"p": "phone", "q": "phone", "t": "tablet", "u": "tablet"}
    wanted = [
        (person_id(kinds.get(who, "login"), who), rule) if who is not None else NOBODY for who, rule in naive(seen)
    ]
    assert told == wanted

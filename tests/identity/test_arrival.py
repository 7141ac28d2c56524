"""Arrival order does not matter: whatever the order of rows, files and nights, the same persons come out.

Their ids too, where the ledger is the same, which holds the files in their order; else up to renaming, so persons are
compared as the events and the identifiers that are theirs.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.identity.whole_world import Row, Rows, Shop, person_id, tables_of

EXAMPLES = int(os.environ.get("KLANTSPOOR_EXAMPLES", "12"))
QUICK: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.reuse, Phase.generate),  # a world by dice does not get simpler, and each costs a second
}
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("identities", "identity_audit", "events")
GUARDED: dict[str, dict[str, Any]] = {
    "login": {"priority": 1, "one_per_person": True},
    "mail": {"priority": 2, "at_most": {"login": {"most": 2, "within": "2 days"}}},
    "phone": {
        "priority": 3,
        "at_most_persons": {"most": 1, "within": "1 day"},
        "same_topic_within": "12 hours",
    },
    "tablet": {"priority": 4, "at_most_persons": 1, "when_shared": "split", "same_topic_within": "1 day"},
    "cookie": {"priority": 5, "at_most_persons": {"most": 2, "within": "1 day"}},
}


@dataclass(frozen=True)
class World:
    """Events, and the rules that may differ from world to world."""

    rows: tuple[Row, ...]
    between: str
    one_login: bool

    def shop(self, folder: str) -> Shop:
        rules = {name: dict(rule) for name, rule in GUARDED.items()}
        rules["tablet"]["between"] = self.between
        rules["login"]["one_per_person"] = self.one_login
        return Shop(Path(folder), rules)


TOGETHER = (
    *(("login", "mail"), ("login", "phone"), ("login", "tablet"), ("login", "cookie"), ("login", "mail", "tablet")),
    *(("mail", "phone"), ("mail", "cookie"), ("mail",), ("phone",), ("phone",), ("tablet",), ("tablet",), ("cookie",)),
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """By dice, so that worlds are unlike: few values, much of which is shared, and much that happens at once."""
    dice = random.Random(draw(st.integers(0, 2**32)))
    rows = []
    for number in range(dice.randint(10, 30)):
        values = {"login": dice.choice("abc"), "phone": dice.choice("pq")}
        held = {kind: values.get(kind) or dice.choice("xy") for kind in dice.choice(TOGETHER)}
        moment = BEGAN + timedelta(hours=6 * dice.randrange(14))
        rows.append(Row(str(number), moment, held, dice.choice(["bill", "move", None])))
    return World(tuple(rows), dice.choice(["nobody", "next", "previous"]), dice.random() < 0.85)


def dealt(draw: st.DrawFn, rows: Sequence[Row], most: int) -> list[list[Row]]:
    """The rows in any order, over at most so many files; none is empty."""
    dice, files = random.Random(draw(st.integers(0, 2**32))), list[list[Row]]([] for _ in range(most))
    for row in dice.sample(rows, len(rows)):
        dice.choice(files).append(row)
    return [rows for rows in files if rows]


@st.composite
def rearranged(draw: st.DrawFn) -> tuple[World, list[list[Row]], list[list[Row]]]:
    world = draw(worlds())
    return world, dealt(draw, world.rows, 3), dealt(draw, world.rows, 12)


Persons = tuple[set[frozenset[str]], set[str], set[frozenset[tuple[Any, ...]]], set[tuple[Any, ...]]]


def persons(tables: dict[str, Rows]) -> Persons:
    """What must not depend on arrival: whose events are whose, which are nobody's, the same of identifiers, the refusals."""
    by_person: dict[str | None, set[str]] = {}
    for row in tables["events"]:
        by_person.setdefault(row["person_id"], set()).add(f"{row['source_event_id']} {row['person_rule']}")
    nobodys = by_person.pop(None, set())
    holding: dict[str, set[tuple[Any, ...]]] = {}
    for row in tables["identities"]:
        stretch = (row["valid_from"], row["valid_to"]) if row["rule"] == "in_turn" else ()
        holding.setdefault(row["person_id"], set()).add((row["identifier_type"], row["identifier"], *stretch))
    told = ("guard", "identifier_type", "identifier", "other_type", "other_identifier", "decision", "reason")
    refused = {tuple(row[name] for name in told) for row in tables["identity_audit"]}
    return set(map(frozenset, by_person.values())), nobodys, set(map(frozenset, holding.values())), refused


def by_id(tables: dict[str, Rows]) -> tuple[dict[str, Any], set[tuple[Any, ...]]]:
    """The same with ids: the person of each event, and of each identifier by which rule and when."""
    held = ("identifier_type", "identifier", "person_id", "rule", "valid_from", "valid_to")
    return (
        {row["source_event_id"]: (row["person_id"], row["person_rule"]) for row in tables["events"]},
        {tuple(row[name] for name in held) for row in tables["identities"]},
    )


def at_once(world: World, files: Sequence[Sequence[Row]]) -> dict[str, Rows]:
    """All files in one night."""
    with tempfile.TemporaryDirectory() as folder:
        shop = world.shop(folder)
        for rows in files:
            shop.land("log", rows)
        return shop.rehearse(*NAMES)


def over_nights(world: World, nights: Sequence[Sequence[Sequence[Row]]]) -> dict[str, Rows]:
    """The files of each night, and a version published after each; what the last one holds."""
    with tempfile.TemporaryDirectory() as folder:
        shop = world.shop(folder)
        for files in nights:
            for rows in files:
                shop.land("log", rows)
            version = shop.night()
        return tables_of(version, *NAMES)


@settings(max_examples=EXAMPLES, **QUICK)
@given(rearranged())
def test_events_in_other_files_and_orders(given: tuple[World, list[list[Row]], list[list[Row]]]) -> None:
    world, one, other = given
    assert persons(at_once(world, one)) == persons(at_once(world, other))


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[World, list[list[Row]], list[list[Row]]]:
    world = draw(worlds())
    files = dealt(draw, world.rows, 3)
    return world, files, [draw(st.permutations(rows)) for rows in files]


@settings(max_examples=EXAMPLES, **QUICK)
@given(shuffled())
def test_rows_in_another_order_keep_the_ids(given: tuple[World, list[list[Row]], list[list[Row]]]) -> None:
    world, files, other = given
    assert by_id(at_once(world, files)) == by_id(at_once(world, other))


@st.composite
def nightly(draw: st.DrawFn) -> tuple[World, list[list[Row]], list[list[list[Row]]]]:
    """Files, and the same files in the same order over two or three nights, some of them without any."""
    world = draw(worlds())
    files = dealt(draw, world.rows, 4)
    ends = sorted(draw(st.lists(st.integers(0, len(files)), min_size=1, max_size=2)))
    nights = [files[begin:end] for begin, end in zip([0, *ends], [*ends, len(files)], strict=True)]
    return world, files, nights


@settings(max_examples=max(EXAMPLES // 3, 1), **QUICK)
@given(nightly())
def test_files_over_several_nights_keep_the_ids(given: tuple[World, list[list[Row]], list[list[list[Row]]]]) -> None:
    """What was published in between leaves no trace in who is who."""
    world, files, nights = given
    assert by_id(over_nights(world, nights)) == by_id(at_once(world, files))


@st.composite
def reordered_nights(draw: st.DrawFn) -> tuple[World, list[list[Row]], list[list[Row]]]:
    world = draw(worlds())
    files = dealt(draw, world.rows, 3)
    return world, files, draw(st.permutations(files))


@settings(max_examples=max(EXAMPLES // 3, 1), **QUICK)
@given(reordered_nights())
def test_nights_in_another_order(given: tuple[World, list[list[Row]], list[list[Row]]]) -> None:
    world, files, other = given
    one, two = (over_nights(world, [[rows] for rows in order]) for order in (files, other))
    assert persons(one) == persons(two)


def test_an_example_by_hand(tmp_path: Path) -> None:
    """So that what is compared says something: a merge, a refusal, a tablet in turn, a shared telephone, one by topic."""
    one, two = {"login": "a", "tablet": "t"}, {"login": "b", "tablet": "t"}
    lines: list[tuple[int, dict[str, str], str | None]] = [
        (0, one, None),
        (2, {"tablet": "t"}, None),
        (3, one, None),
        (9, two, None),
        (10, {"login": "a", "mail": "m"}, None),
        (11, {"login": "b", "mail": "m"}, None),
        (12, {"login": "a", "phone": "p"}, "bill"),
        (12, {"login": "b", "phone": "p"}, "move"),
        (13, {"phone": "p"}, "bill"),
        (13, {"phone": "p"}, None),
        (6, {"tablet": "t"}, None),
        (14, {"mail": "m"}, None),
    ]
    rows = tuple(Row(str(n), BEGAN + timedelta(hours=6 * q), held, topic) for n, (q, held, topic) in enumerate(lines))
    world = World(rows, "nobody", one_login=True)
    wanted = {
        **dict.fromkeys(("0", "2", "4", "6"), ("a", "identifier")),
        **dict.fromkeys(("3", "5", "7"), ("b", "identifier")),
        "1": ("a", "in_turn"),
        "8": ("a", "same_topic"),
        "9": (None, None),
        "10": (None, None),
        "11": ("a", "identifier"),
    }
    one_file = {person_id("login", login): login for login in "ab"} | {None: None}
    # What came first names a person: where every row is a file of its own, the last one's e-mail address does.
    reversed_files = one_file | {person_id("mail", "m"): "a"}
    for files, names in (
        ([list(rows)], one_file),
        ([list(rows[::-1])], one_file),
        ([[row] for row in rows[::-1]], reversed_files),
    ):
        tables = at_once(world, files)
        assert {event: (names[person], rule) for event, (person, rule) in by_id(tables)[0].items()} == wanted
        assert {row["guard"] for row in tables["identity_audit"]} == {"one_per_person", "at_most_persons"}

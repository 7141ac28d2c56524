"""Identifiers as they are read: cleaned, guarded, put together in sets, counted by set and day, and kept with bad rows."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_world import KEY, SIMPLE, World, take_csv

from klantspoor.intake.identifiers import IdentifierColumn, IdentifierMaker, together
from klantspoor.intake.ledger import LINKS_SCHEMA, QUARANTINE_SCHEMA
from klantspoor.intake.normalise import clean
from klantspoor.intake.pseudonyms import Pseudonymiser
from klantspoor.intake.sandbox import locked_connection
from klantspoor.project.key import Keys
from klantspoor.project.model import IdentifierType

HEAD = "id,moment,activity,customer,mail,tel\n"
THREE = [
    {"type": "customer", "value": "customer"},
    {"type": "email", "value": "mail"},
    {"type": "phone", "value": "tel"},
]


def cleaned(text: str, **rules: Any) -> tuple[str | None, bool]:
    values, invalid = clean(pa.array([text]), IdentifierType(priority=1, **rules))
    return values[0].as_py(), invalid[0].as_py()


# --- cleaning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "country", "number"),
    [
        ("+31612345678", None, "+31612345678"),
        (" +31 6 12 34 56 78 ", None, "+31612345678"),
        ("+31 (0)6 12345678", "NL", "+31612345678"),
        ("+31 (0)6-12345678", None, "+31612345678"),
        ("0031612345678", "NL", "+31612345678"),
        ("06-12345678", "NL", "+31612345678"),
        ("(020) 123 45 67", "NL", "+31201234567"),
        ("020-1234567 ext. 12", "NL", "+31201234567"),
        ("020-1234567 x12", "NL", "+31201234567"),
        ("tel:+31-6-12345678", None, "+31612345678"),
        ("\uff10\uff16\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18", "NL", "+31612345678"),
        ("0470 12 34 56", "BE", "+32470123456"),
        ("+31612345678", "BE", "+31612345678"),
        ("(212) 555-0123", "US", "+12125550123"),
    ],
)
def test_telephone_numbers_become_e164(written: str, country: str | None, number: str) -> None:
    assert cleaned(written, normalise="phone", country=country) == (number, False)


@pytest.mark.parametrize(
    ("written", "country"),
    [
        ("no telephone", "NL"),
        ("112", "NL"),
        ("0612", "NL"),
        ("06123456789012345", "NL"),
        ("06-12345678 / 020-1234567", "NL"),
        ("0612345678", None),
        ("0031612345678", None),
        ("+999 12345678", "NL"),
        ("+", "NL"),
        ("ann@example.org", "NL"),
        ("1" * 300, "NL"),
    ],
)
def test_what_no_plan_allows_is_kept_and_invalid(written: str, country: str | None) -> None:
    assert cleaned(written, normalise="phone", country=country) == (written, True)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("Ann@Example.ORG", "ann@example.org"),
        ("  ann@example.org\t", "ann@example.org"),
        ("mailto:ann@example.org", "ann@example.org"),
        ("MAILTO:Ann@example.org", "ann@example.org"),
        ("<ann@example.org>", "ann@example.org"),
        ("mailto:<ann@example.org>", "ann@example.org"),
        ("< ann@example.org >", "ann@example.org"),
        ("\uff41nn\uff20example.org", "ann@example.org"),
        ("e\u0301va@example.org", "\u00e9va@example.org"),
        ("ann+shop@mail.example.org", "ann+shop@mail.example.org"),
    ],
)
def test_addresses_are_compared_bare(written: str, address: str) -> None:
    assert cleaned(written, normalise="email") == (address, False)


@pytest.mark.parametrize(
    "written", ["ann", "ann@", "@example.org", "ann@example", "ann@example.org.", "ann@b@example.org", "ann at x.nl",
                "ann@example.org, bo@example.org", "ann <ann@example.org>"],
)  # fmt: skip
def test_what_is_no_address_is_invalid(written: str) -> None:
    assert cleaned(written, normalise="email")[1]


@pytest.mark.parametrize("kind", ["none", "lower", "digits", "email", "phone"])
@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u00a0"])
def test_blank_is_nothing_and_not_invalid(kind: str, blank: str) -> None:
    assert cleaned(blank, normalise=kind) == (None, False)


def test_the_other_rules() -> None:
    assert cleaned(" Ab 1 ", normalise="lower") == ("ab 1", False)
    assert cleaned("C-12 34", normalise="digits") == ("1234", False)
    assert cleaned("none here", normalise="digits") == (None, False)
    assert cleaned(" Ab 1 ") == ("Ab 1", False)


@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), max_size=6), st.sampled_from(["email", "phone"]))
def test_cleaning_twice_is_cleaning_once(texts: list[str | None], kind: str) -> None:
    rules = IdentifierType(priority=1, normalise=kind, country="NL" if kind == "phone" else None)
    once, invalid = clean(pa.array(texts, pa.string()), rules)
    again, _ = clean(once, rules)
    fine = [not bad and text is not None for bad, text in zip(invalid.to_pylist(), once.to_pylist(), strict=True)]
    assert [t for t, f in zip(again.to_pylist(), fine, strict=True) if f] == [
        t for t, f in zip(once.to_pylist(), fine, strict=True) if f
    ]


# --- guards ----------------------------------------------------------------------------------------------------------


def guards(rules: dict[str, Any], *values: str) -> list[str | None]:
    con = locked_connection()
    maker = IdentifierMaker(con, Pseudonymiser(con, Keys((b"k" * 16,))), {"x": IdentifierType(priority=1, **rules)})
    found: list[str | None] = maker.column("x", pa.array(values)).guards.to_pylist()
    return found


def test_each_guard() -> None:
    rules = {"normalise": "email", "block": ["noreply@*"], "staff": ["*@shop.example"], "test": ["test@*", "t[0-9]@*"]}
    values = ("NoReply@x.nl", "bo@SHOP.example", "TEST@x.nl", "t1@x.nl", "not an address", "ann@x.nl")
    assert guards(rules, *values) == ["blocked", "staff", "test", "test", "invalid", None]


def test_the_first_guard_counts() -> None:
    every = {"block": ["a*"], "staff": ["ab*"], "test": ["abc*", "x*"], "normalise": "email"}
    assert guards(every, "abcd") == ["blocked"]
    assert guards(every | {"block": []}, "abcd") == ["staff"]
    assert guards(every | {"block": [], "staff": []}, "abcd") == ["test"]
    assert guards(every | {"block": [], "staff": [], "test": []}, "abcd") == ["invalid"]
    assert guards(every, "xyz") == ["test"]


@pytest.mark.parametrize(
    "value", ["0", "000000000", "-", "---", "000-00", "-1", "NULL", "none", "Anonymous", "unknown", "n/a"]
)
@pytest.mark.parametrize("kind", ["none", "email", "phone"])
def test_what_is_always_nobodys(value: str, kind: str) -> None:
    assert guards({"normalise": kind}, value) == ["blocked"]


def test_zeros_that_look_like_a_telephone_number_are_nobodys() -> None:
    assert guards({"normalise": "phone", "country": "NL"}, "0000000000", "0600000000") == ["blocked", None]


def test_globs_see_the_cleaned_value() -> None:
    phone = {"normalise": "phone", "country": "NL", "test": ["+3160000*"], "staff": ["+3120*"]}
    assert guards(phone, "06 0000 0001", "020-1234567", "+31 6 12345678") == ["test", "staff", None]


def test_a_guarded_identifier_is_nobodys_but_kept(world: World) -> None:
    world.identifiers |= {"email": {"priority": 2, "normalise": "email", "test": ["test@*"], "staff": ["*@shop.nl"]}}
    rows = "1,2024-05-01 10:00:00,call,,test@x.nl,\n2,2024-05-01 10:00:00,call,,bo@shop.nl,\n3,2024-05-01 10:00:00,call,,bo,\n"
    take_csv(world, HEAD + rows, defaults=SIMPLE | {"identifiers": THREE})
    assert [[i["guard"] for i in e["identifiers"]] for e in world.events()] == [["test"], ["staff"], ["invalid"]]
    assert world.ledger[0].record.anonymous_events == 3


# --- sets ------------------------------------------------------------------------------------------------------------

PSEUDONYM = st.sampled_from([f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}{n:08x}" for n in range(12)])
ROW = st.lists(st.tuples(st.sampled_from(["customer", "email"]), PSEUDONYM), max_size=4)


def columns(row: list[tuple[str, str]]) -> list[IdentifierColumn]:
    return [IdentifierColumn(kind, pa.array([value]), pa.nulls(1, pa.string())) for kind, value in row]


@given(ROW, ROW, st.randoms())
def test_a_set_has_one_number_in_any_order_and_another_for_another_set(
    one: list[tuple[str, str]], two: list[tuple[str, str]], random: Any
) -> None:
    mixed = [*one, *one[:1]]
    random.shuffle(mixed)
    first, second, third = (int(together(columns(row), 1).sets[0]) for row in (one, mixed, two))
    assert first == second
    assert (first == third) == (set(one) == set(two))
    assert (first == 0) == (not one)


@given(st.lists(st.lists(st.one_of(st.none(), PSEUDONYM), min_size=3, max_size=3), max_size=8))
def test_rows_are_put_together_each_for_itself(rows: list[list[str | None]]) -> None:
    kinds = ("customer", "email", "email")
    made = together(
        [
            IdentifierColumn(kind, pa.array([row[i] for row in rows], pa.string()), pa.nulls(len(rows), pa.string()))
            for i, kind in enumerate(kinds)
        ],
        len(rows),
    )
    lists = [[(i["type"], i["identifier"]) for i in held] for held in made.lists.to_pylist()]
    for row, held, number, usable in zip(rows, lists, made.sets.tolist(), made.usable.tolist(), strict=True):
        expected = [(kind, value) for kind, value in zip(kinds, row, strict=True) if value is not None]
        assert held == list(dict.fromkeys(expected))
        assert number == int(together(columns(expected), 1).sets[0])
        assert usable == bool(expected)


# --- links -----------------------------------------------------------------------------------------------------------

CELL = st.sampled_from(["", "1", "2", "3"])
LINE = st.tuples(CELL, CELL, st.datetimes(datetime(2024, 5, 1), datetime(2024, 5, 3, 23, 59, 59)), CELL)


@settings(deadline=None, max_examples=30)
@given(st.lists(LINE, max_size=25))
def test_links_are_the_rows_by_set_mapping_and_day(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str, datetime, str]]
) -> None:
    world = World(tmp_path_factory.mktemp("links"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KLANTSPOOR_TEST_KEY", KEY)
        rows = [f"{c},{m},{at:%Y-%m-%d %H:%M:%S},{p}" for c, m, at, p in lines]
        mapping = {"occurred_at": "moment", "activity": "'seen'", "identifiers": THREE[:2], "persona": "persona"}
        events: list[dict[str, Any]] = [{}, {"when": "persona <> ''", "activity": "'told'", "identifiers": THREE[:1]}]
        take_csv(
            world,
            "customer,mail,moment,persona\n" + "".join(row + "\n" for row in rows),
            defaults=mapping,
            events=events,
            not_personal=["persona"],
        )
    expected: dict[tuple[Any, ...], list[tuple[datetime, int, str]]] = defaultdict(list)
    for number, (customer, mail, moment, persona) in enumerate(lines):
        at = moment.replace(microsecond=0, tzinfo=UTC)
        both = frozenset({("customer", customer), ("email", mail)} - {("customer", ""), ("email", "")})
        for position, held in ((1, both), (2, frozenset({("customer", customer)} - {("customer", "")}))):
            if held and (position == 1 or persona):
                expected[position, held, at.date()].append((at, number, persona))
    names = {
        (kind, made(world, kind, value)): (kind, value) for kind in ("customer", "email") for value in ("1", "2", "3")
    }
    found = {
        (
            link["position"],
            frozenset(names[i["type"], i["identifier"]] for i in link["identifiers"]),
            link["first_seen"].date(),
        ): (link["first_seen"], link["last_seen"], link["rows"], link["persona"])
        for link in world.links()
    }
    assert len(found) == len(world.links())
    assert found == {
        key: (min(said)[0], max(said)[0], len(said), max([s for s in said if s[2]], default=(0, 0, None))[2])
        for key, said in expected.items()
    }


def made(world: World, kind: str, value: str) -> str:
    """The pseudonym of a value by the world's key."""
    con = locked_connection()
    types = {name: IdentifierType(**rules) for name, rules in world.identifiers.items()}
    maker = IdentifierMaker(con, Pseudonymiser(con, Keys((KEY.encode(),))), types)
    return str(maker.column(kind, pa.array([value])).pseudonyms[0])


def test_events_name_their_set(world: World) -> None:
    rows = (
        "1,2024-05-01 10:00:00,call,C1,A@x.nl,\n2,2024-05-09 10:00:00,call,C1,a@X.nl,\n3,2024-05-01 10:00:00,call,,,\n"
    )
    take_csv(world, HEAD + rows, defaults=SIMPLE | {"identifiers": THREE})
    numbers = [event["identifier_set"] for event in world.events()]
    assert numbers[0] == numbers[1]
    assert numbers[2] == 0
    assert [link["identifier_set"] for link in world.links()] == numbers[:2]  # one set, two days
    assert world.links()[0].keys() == set(LINKS_SCHEMA.names)


# --- bad rows and counts ---------------------------------------------------------------------------------------------


def test_bad_rows_keep_whom_they_are_about(world: World) -> None:
    rows = (
        "1,soon,call,C1,ann@x.nl,\n2,2024-05-01 10:00:00,,C1,,0612345678\n3,later,call,,,\n4,too few\n"
        "5,2024-05-01 10:00:00,call,C1,,\n"
    )
    take_csv(world, HEAD + rows, defaults=SIMPLE | {"identifiers": THREE})
    customer = made(world, "customer", "C1")
    held = {row["row_number"]: row["identifiers"] for row in world.quarantine()}
    assert {n: sorted(i["type"] for i in found) for n, found in held.items()} == {
        1: ["customer", "email"], 2: ["customer", "phone"], 3: [], 4: [],
    }  # fmt: skip
    assert {i["identifier"] for n in (1, 2) for i in held[n] if i["type"] == "customer"} == {customer}
    assert world.quarantine()[0].keys() == set(QUARANTINE_SCHEMA.names)


def test_a_bad_row_keeps_the_identifiers_of_all_its_events_once(world: World) -> None:
    events: list[dict[str, Any]] = [
        {"identifiers": THREE[:1]},
        {"identifiers": THREE[:2], "occurred_at": "tel"},
        {"identifiers": THREE[1:2], "activity": "tel"},
    ]
    take_csv(world, HEAD + "1,2024-05-01 10:00:00,call,C1,a@x.nl,soon\n", events=events, not_personal=["id", "tel"])
    (row,) = world.quarantine()
    assert sorted(i["type"] for i in row["identifiers"]) == ["customer", "email"]
    assert len(world.events()) == 2


@pytest.mark.parametrize("anonymous", ["keep", "quarantine"])
def test_every_row_is_accounted_for(world: World, anonymous: str) -> None:
    rows = [
        "1,2024-05-01 10:00:00,call,C1,,", "2,soon,call,C1,,", "3", "4,2024-05-01 10:00:00,noise,C2,,",
        "5,2024-05-01 10:00:00,call,,,", "6,2024-05-01 10:00:00,only once,C1,,", "7,2024-05-01 10:00:00,call,0000,,",
    ]  # fmt: skip
    events = [{}, {"when": "activity <> 'only once'", "occurred_at": "coalesce(nullif(tel, ''), moment)"}]
    take_csv(world, HEAD + "\n".join(rows) + "\n", ignore_when="activity = 'noise'", events=events, anonymous=anonymous)
    record = world.ledger[0].record
    held = {event["row_number"] for event in world.events()} - {row["row_number"] for row in world.quarantine()}
    assert record.rows_read == 7
    assert record.rows_erased == 0
    assert record.rows_read == (
        record.rows_ignored + record.rows_reference + record.rows_quarantined + record.rows_erased + len(held)
    )
    assert record.rows_quarantined == len({row["row_number"] for row in world.quarantine()})


# --- marks -----------------------------------------------------------------------------------------------------------


def test_pseudonyms_among_plain_values_are_marked(world: World) -> None:
    mapping = SIMPLE | {"attributes": {"plain": "activity", "hidden": "tel"}, "identifiers": THREE}
    row = "~7,2024-05-01 10:00:00,call,C1,,0612345678\n"
    take_csv(world, HEAD + row, defaults=mapping, not_personal=["id", "activity", "moment"])
    (event,) = world.events()
    assert event["source_event_id"] == "~7"  # not personal: as it is
    assert re.fullmatch(r'\{"plain":"call","hidden":"~[0-9a-f]{24}"\}', event["attributes"])
    take_csv(world, HEAD + row + "8,2024-05-01 10:00:00,call,C1,,\n", defaults=mapping, not_personal=["activity"])
    assert all(re.fullmatch("~[0-9a-f]{24}", event["source_event_id"]) for event in world.events())
    assert world.events()[1]["attributes"] == '{"plain":"call"}'

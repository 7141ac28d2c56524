"""Published examples with known answers, through intake, identity and events: Adobe's stitching, Segment's limits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from klantspoor.lake import Version
from tests.identity.whole_world import Row, Shop, person_id, pseudonym, tables_of

# --- Adobe Customer Journey Analytics, "Field based stitching": all on 2023-05-12

#: event: (time, device, login, known that day, after replay)
STITCHED = {
    1: ("12:01", "246", None, "246", "Bob"),
    2: ("12:02", "246", "Bob", "Bob", "Bob"),
    3: ("12:03", "246", "Bob", "Bob", "Bob"),
    4: ("12:04", "246", None, "Bob", "Bob"),
    5: ("12:05", "246", "Bob", "Bob", "Bob"),
    6: ("12:06", "246", None, "Bob", "Bob"),
    7: ("12:07", "246", "Bob", "Bob", "Bob"),
    8: ("12:03", "3579", None, "3579", "3579"),
    9: ("12:09", "3579", None, "3579", "3579"),
    10: ("12:02", "81911", None, "81911", "Bob"),
    11: ("12:05", "81911", "Bob", "Bob", "Bob"),
    12: ("12:12", "81911", None, "Bob", "Bob"),
}
KNOWN = {str(n): known for n, (_, _, _, known, _) in STITCHED.items()}
REPLAYED = {str(n): replayed for n, (_, _, _, _, replayed) in STITCHED.items()}
DEVICES = {"login": {"priority": 1}, "device": {"priority": 2}}
PLAIN = [("login", "Bob"), ("device", "246"), ("device", "3579"), ("device", "81911")]
#: Events that share their time come in any order: each pair the one way round or the other. Two of these hold each pair
#: both ways; with KLANTSPOOR_EXAMPLES all are tried.
ORDERS = [
    sorted(STITCHED, key=lambda n: (STITCHED[n][0], -n if STITCHED[n][0] in turned else n))
    for turned in (
        {moment for moment, is_turned in zip(("12:02", "12:03", "12:05"), choice, strict=True) if is_turned}
        for choice in product((False, True), repeat=3)
    )
]


def line(number: int) -> Row:
    moment, device, login, _, _ = STITCHED[number]
    held = {"device": device} | ({"login": login} if login else {})
    return Row(str(number), datetime.fromisoformat(f"2023-05-12T{moment}:00").replace(tzinfo=UTC), held)


def persons(version: Version) -> dict[str, str]:
    """person_id -> which identifier the person stands for in this version: their login, else their device."""
    named = {(kind, pseudonym(kind, value)): (kind, value) for kind, value in PLAIN}
    held: dict[str, list[tuple[str, str]]] = {}
    for row in tables_of(version, "identities")["identities"]:
        held.setdefault(row["person_id"], []).append(named[row["identifier_type"], row["identifier"]])
    found = {}
    for person, identifiers in held.items():
        logins = [value for kind, value in identifiers if kind == "login"]
        [found[person]] = logins or [value for _, value in identifiers]
    return found


def of_events(version: Version, column: str) -> dict[str, Any]:
    return {row["source_event_id"]: row[column] for row in tables_of(version, "events")["events"]}


def night_by_night(shop: Shop, order: Sequence[int]) -> tuple[dict[str, str], Version]:
    """One event a night: whom each was known to belong to in the night that brought it, and the last version."""
    known: dict[str, str] = {}
    ids: dict[str, str] = {}
    for number in order:
        shop.land("log", [line(number)])
        version = shop.night()
        first_known = of_events(version, "known_person_id")
        known[str(number)] = persons(version)[first_known[str(number)]]
        ids[str(number)] = first_known[str(number)]
        assert first_known == ids, "what was known of earlier events is carried over"
    return known, version


@pytest.mark.parametrize(
    "order",
    ORDERS if "KLANTSPOOR_EXAMPLES" in os.environ else (ORDERS[0], ORDERS[-1]),
    ids=lambda order: "-".join(map(str, order)),
)
def test_stitching_one_event_a_night(order: list[int], tmp_path: Path) -> None:
    known, last = night_by_night(Shop(tmp_path, DEVICES), order)
    assert known == KNOWN
    assert len(set(known.values())) == 4
    names = persons(last)
    replayed = {event: names[person] for event, person in of_events(last, "person_id").items()}
    assert replayed == REPLAYED
    assert len(names) == len(set(replayed.values())) == 2
    assert len({device for _, device, *_ in STITCHED.values()}) == 3


def test_stitching_keeps_the_oldest_id_and_says_what_became_of_the_other(tmp_path: Path) -> None:
    """Bob's person is named by what was seen first of him, his device 246; that of 81911 was another's until he logged in."""
    _, last = night_by_night(Shop(tmp_path, DEVICES), ORDERS[0])
    bob, other, third = (person_id("device", device) for device in ("246", "3579", "81911"))
    known = of_events(last, "known_person_id")
    assert [event for event, person in known.items() if person == third] == ["10"]
    assert {event for event, person in known.items() if person == other} == {"8", "9"}
    assert {person for event, person in known.items() if event not in {"8", "9", "10"}} == {bob}
    [alias] = tables_of(last, "person_aliases")["person_aliases"]
    assert (alias["former_person_id"], alias["person_id"], alias["why"]) == (third, bob, "merged")


def test_stitching_where_logins_are_known_beforehand(tmp_path: Path) -> None:
    """With a list of logins the ids themselves tell the four persons of the published table apart."""
    shop = Shop(tmp_path, DEVICES)
    shop.land("list", [Row("", datetime(2023, 5, 11, tzinfo=UTC), {"login": "Bob"})])
    known, last = night_by_night(shop, ORDERS[0])
    ids = {value: person_id(kind, value) for kind, value in PLAIN}
    assert known == KNOWN
    assert of_events(last, "known_person_id") == {event: ids[name] for event, name in KNOWN.items()}
    assert of_events(last, "person_id") == {event: ids[name] for event, name in REPLAYED.items()}
    aliases = tables_of(last, "person_aliases")["person_aliases"]
    assert {row["former_person_id"]: row["person_id"] for row in aliases} == {
        ids["246"]: ids["Bob"],
        ids["81911"]: ids["Bob"],
    }


def test_stitching_the_whole_at_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path, DEVICES)
    shop.land("log", [line(number) for number in STITCHED])
    version = shop.night()
    names = persons(version)
    for column in ("person_id", "known_person_id"):
        assert {event: names[person] for event, person in of_events(version, column).items()} == REPLAYED


# --- Segment, identity resolution settings: limits and blocked values

LIMITED = {"user_id": {"priority": 1, "one_per_person": True}, "email": {"priority": 2, "normalise": "lower"}}
JANE = "jane@example1.com"
MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROFILE = Row("1", MOMENT, {"user_id": "abc123", "email": JANE})
SECOND_USER = Row("2", MOMENT.replace(hour=13), {"user_id": "abc456", "email": JANE})


@pytest.mark.parametrize("nights", [[[PROFILE], [SECOND_USER]], [[PROFILE, SECOND_USER]]], ids=["two", "one"])
def test_a_merge_that_would_give_a_profile_two_user_ids_is_refused(nights: list[list[Row]], tmp_path: Path) -> None:
    shop = Shop(tmp_path, LIMITED)
    for rows in nights:
        shop.land("log", rows)
        version = shop.night()
    jane, new = person_id("user_id", "abc123"), person_id("user_id", "abc456")
    held = tables_of(version, "identities")["identities"]
    assert {(r["identifier_type"], r["identifier"]): r["person_id"] for r in held} == {
        ("user_id", pseudonym("user_id", "abc123")): jane,
        ("email", pseudonym("email", JANE)): jane,
        ("user_id", pseudonym("user_id", "abc456")): new,
    }
    assert of_events(version, "person_id") == of_events(version, "known_person_id") == {"1": jane, "2": new}
    [told] = tables_of(version, "identity_audit")["identity_audit"]
    assert (
        told.items()
        >= {
            "guard": "one_per_person",
            "identifier_type": "email",
            "identifier": pseudonym("email", JANE),
            "other_type": "user_id",
            "other_identifier": pseudonym("user_id", "abc456"),
            "decision": "link left out",
            "reason": "it would give one person two identifiers of type user_id",
        }.items()
    )


def test_without_the_limit_they_would_merge(tmp_path: Path) -> None:
    """So that it is the limit that keeps them apart."""
    shop = Shop(tmp_path, LIMITED | {"user_id": {"priority": 1}})
    shop.land("log", [PROFILE, SECOND_USER])
    assert of_events(shop.night(), "person_id") == dict.fromkeys("12", person_id("user_id", "abc123"))


def test_the_limit_is_no_block_an_email_alone_is_the_profiles(tmp_path: Path) -> None:
    shop = Shop(tmp_path, LIMITED)
    shop.land("log", [SECOND_USER, PROFILE, Row("3", MOMENT.replace(hour=14), {"email": JANE.upper()})])
    assert of_events(shop.night(), "person_id") == {
        # The link seen first is kept: by the time of the event, not by its place in the file.
        "1": person_id("user_id", "abc123"),
        "2": person_id("user_id", "abc456"),
        "3": person_id("user_id", "abc123"),
    }


NOBODYS = [
    "0", "0000000000", "00000000-0000-0000-0000-000000000000", "-", "-----", "-0-", "-1", "null", "NULL", "anonymous",
    "Anonymous", " null ",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["user_id", "email"])
@pytest.mark.parametrize("value", NOBODYS)
def test_blocked_values_link_nobody(value: str, kind: str, tmp_path: Path) -> None:
    """Two strangers and an event that has nothing but the value."""
    shop = Shop(tmp_path, {"device": {"priority": 3}, "user_id": {"priority": 1}, "email": {"priority": 2}})
    held = ({"device": "d1", kind: value}, {"device": "d2", kind: value}, {kind: value})
    shop.land("log", [Row(str(n), MOMENT.replace(minute=n), one) for n, one in enumerate(held)])
    version = shop.night()
    assert of_events(version, "person_id") == {
        "0": person_id("device", "d1"),
        "1": person_id("device", "d2"),
        "2": None,
    }
    [told] = tables_of(version, "identity_audit")["identity_audit"]
    found = (told["guard"], told["identifier_type"], told["identifier"])
    assert found == ("blocked", kind, pseudonym(kind, value.strip()))


@pytest.mark.parametrize("value", ["10", "0a", "-10", "-2", "nullable", "anonymous@example.com", "0-0-1"])
def test_values_that_only_look_blocked_link(value: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path, {"device": {"priority": 2}, "user_id": {"priority": 1}})
    held = ({"device": "d1", "user_id": value}, {"device": "d2", "user_id": value})
    shop.land("log", [Row(str(n), MOMENT.replace(minute=n), one) for n, one in enumerate(held)])
    assert set(of_events(shop.night(), "person_id").values()) == {person_id("user_id", value)}

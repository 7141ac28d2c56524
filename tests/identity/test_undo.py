"""Undoing: what a steward forbids, or takes back, leaves every table as if it had never been.

Two persons, Ann (a login) and Mia (an e-mail address), with histories and journeys of their own; a list says that they
are one. Every lake has the same three nights: theirs; the list, where there is one; and the night that is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from klantspoor.dictionary import TABLES
from klantspoor.identity.decisions import append
from tests.identity.whole_world import Row, Rows, Shop, identifier, person_id, pseudonym, tables_of

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
TYPES: dict[str, dict[str, Any]] = {
    "login": {"priority": 1},
    "mail": {"priority": 2},
    "tablet": {"priority": 3, "at_most_persons": 1, "when_shared": "split"},
}
ANN, MIA, TABLET = {"login": "ann"}, {"mail": "mia@x.example"}, {"tablet": "t"}
TIES = [Row("", BEGAN, ANN | MIA)]
APART = [Row("", BEGAN, ANN), Row("", BEGAN, MIA)]
LOGIN, MAIL = identifier("login", "ann"), identifier("mail", "mia@x.example")
Lake = dict[str, Rows]
Decide = Callable[[Path], object]


def line(number: int, hours: int, *held: dict[str, str]) -> Row:
    return Row(str(number), BEGAN + timedelta(hours=hours), {k: v for one in held for k, v in one.items()}, "bill")


HISTORY = {
    "log": [
        line(1, 0, ANN, TABLET),
        line(2, 2, ANN),
        line(3, 5, MIA, TABLET),
        line(4, 6, TABLET),
        line(5, 7, MIA, TABLET),
        line(6, 3, TABLET),
        line(7, 24 * 12, ANN),
    ],
    "desk": [line(8, 4, MIA), line(9, 30, ANN), line(10, 26, MIA), line(11, 24 * 13, MIA)],
}


def lake(folder: Path, named: list[Row] | None = None, decided: Decide | None = None) -> Lake:
    """The tables after the third night; the list lands before the second, and decisions are taken after it."""
    shop = Shop(folder, TYPES)
    for source, rows in HISTORY.items():
        shop.land(source, rows)
    shop.night(whole=True)
    if named is not None:
        shop.land("list", named)
    shop.night(whole=True)
    if decided is not None:
        decided(folder)
    return tables_of(shop.night(whole=True))


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lake(tmp_path_factory.mktemp("merged"), TIES)


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The list names both, and ties nobody."""
    return lake(tmp_path_factory.mktemp("apart"), APART)


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lake(tmp_path_factory.mktemp("without"))


@pytest.fixture(scope="module")
def forbidden(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lake(tmp_path_factory.mktemp("forbidden"), TIES, lambda root: append(root, "forbid", LOGIN, MAIL, "a", "b"))


def told(tables: Lake, name: str) -> Rows:
    """A table without what tells of the list as a file, and of the nights in which something was first decided."""
    nights = {"identity_audit": "decided_at", "person_aliases": "since"}
    return [
        {column: value for column, value in row.items() if column != nights.get(name)}
        for row in tables[name]
        if name not in ("intake", "freshness") or row["source"] != "list"
    ]


def differing(one: Lake, other: Lake) -> set[str]:
    """The tables that do not tell the same; what a night notes of its own time and memory apart."""
    return {name for name in TABLES if name != "runs" and told(one, name) != told(other, name)}


def test_the_merge_changes_what_is_compared(merged: Lake, apart: Lake) -> None:
    """So that nothing here is the same for want of a difference."""
    assert {row["person_id"] for row in apart["events"]} == {
        person_id("login", "ann"),
        person_id("mail", "mia@x.example"),
        None,
    }
    assert {row["person_id"] for row in merged["events"]} == {person_id("login", "ann")}
    changed = differing(merged, apart)
    assert changed >= {
        "events",
        "identities",
        "identity_audit",
        "person_aliases",
        "journeys",
        "touchpoints",
        "touchpoint_events",
        "phase_visits",
        "journey_map",
    }
    assert {row["journey_id"] for row in merged["journeys"]} != {row["journey_id"] for row in apart["journeys"]}


def test_forbidding_a_link_undoes_it(forbidden: Lake, apart: Lake) -> None:
    """The list still names both, as if on lines of their own: it is the link alone that is gone."""
    assert differing(forbidden, apart) == {"identity_audit"}
    assert forbidden["person_aliases"] == []
    [refused] = [row for row in told(forbidden, "identity_audit") if row not in told(apart, "identity_audit")]
    assert (refused["guard"], refused["identifier"]) == ("forbidden", pseudonym("mail", "mia@x.example"))
    assert (refused["other_type"], refused["other_identifier"]) == ("login", pseudonym("login", "ann"))
    assert [row for row in told(apart, "identity_audit") if row not in told(forbidden, "identity_audit")] == []


def test_forbidding_a_link_gives_the_tables_of_a_lake_without_the_file(forbidden: Lake, without: Lake) -> None:
    assert differing(forbidden, without) == {"identity_audit", "identities"}
    rest = [row for row in told(forbidden, "identity_audit") if row["guard"] != "forbidden"]
    assert rest == told(without, "identity_audit")
    # The list was one more sighting of each.
    held = ("identifier_type", "identifier", "person_id", "valid_from", "rule")
    one, other = ([[row[name] for name in held] for row in tables["identities"]] for tables in (forbidden, without))
    assert one == other


def forbid_and_withdraw(root: Path) -> None:
    append(root, "forbid", LOGIN, MAIL, "a", "b")
    append(root, "withdraw", MAIL, LOGIN, "a", "c")


def force_and_withdraw(root: Path) -> None:
    append(root, "force", LOGIN, MAIL, "a", "b")
    append(root, "withdraw", MAIL, LOGIN, "a", "c")


def block_and_withdraw(root: Path) -> None:
    append(root, "block", LOGIN, None, "a", "b")
    append(root, "withdraw", LOGIN, None, "a", "c")


@pytest.mark.parametrize("decided", [forbid_and_withdraw, block_and_withdraw])
def test_what_is_withdrawn_before_a_night_was_never_said(decided: Decide, merged: Lake, tmp_path: Path) -> None:
    assert differing(lake(tmp_path, TIES, decided), merged) == set()


def test_a_withdrawn_force_was_never_said(apart: Lake, tmp_path: Path) -> None:
    assert differing(lake(tmp_path, APART, force_and_withdraw), apart) == set()


@pytest.mark.parametrize(
    ("verb", "named"), [("forbid", TIES), ("block", TIES), ("force", APART)], ids=["forbid", "block", "force"]
)
def test_what_stood_for_a_night_is_undone_by_its_withdrawal(
    verb: str, named: list[Row], merged: Lake, apart: Lake, tmp_path: Path
) -> None:
    """Said after the first night, published by the second, withdrawn before the third."""
    shop = Shop(tmp_path, TYPES)
    for source, rows in HISTORY.items():
        shop.land(source, rows)
    shop.night(whole=True)
    shop.land("list", named)
    other = None if verb == "block" else MAIL
    append(tmp_path, verb, LOGIN, other, "a", "b")
    between = tables_of(shop.night(whole=True))
    wanted = merged if named is TIES else apart
    assert {row["person_id"] for row in between["events"]} != {row["person_id"] for row in wanted["events"]}
    append(tmp_path, "withdraw", LOGIN, other, "a", "c")
    found = tables_of(shop.night(whole=True))
    assert differing(found, wanted) == set()


def test_a_forced_link_is_as_one_that_was_seen(merged: Lake, tmp_path: Path) -> None:
    """Forcing two persons into one gives the journeys of the file that ties them."""
    forced = lake(tmp_path, APART, lambda root: append(root, "force", LOGIN, MAIL, "a", "b"))
    assert differing(forced, merged) == set()
    assert {row["person_id"] for row in forced["events"]} == {person_id("login", "ann")}

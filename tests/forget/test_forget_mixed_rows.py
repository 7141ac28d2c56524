"""Rows in which the forgotten person and somebody else meet: whoever's the row is, it goes or stays, and is stripped.

Links that a guard cut, or a steward forbade, lead to such rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from klantspoor import events
from klantspoor.identity.decisions import append
from klantspoor.identity.ids import person_id
from klantspoor.identity.typed import made_of
from klantspoor.lake import Lake, Staging
from klantspoor.project.model import Project
from tests.forget.forget_world import CALLS, CLIENTS, ORDERS, REQUESTED, WEB, Row, World, law_holds, make, read_ledger

LATER = REQUESTED + timedelta(hours=15)
# Ben ordered, and is in a list, with Anna's address; the visit on the tablet is his by some better knowledge.
ORDER: Row = ("B1", "1", "2026-03-07 10:00:00", "2026-03-08 10:00:00", "K2", "anna@home.example", "C1", "", "ben")
BAD: Row = ("B2", "1", "sometime", "", "K2", "anna@home.example", "C1", "", "ben")
LISTED: Row = ("K2", "anna@home.example", "", "old", "ben")
FILES = {
    "clients": [*CLIENTS, LISTED],
    "orders": [*ORDERS, ORDER, BAD],
    "calls": CALLS,
    "web": [*WEB, ("2026-03-09 09:40:00", "looked", "anna@home.example", "tablet", "ben")],
}
VISIT = "SELECT * FROM events WHERE source = 'web' AND row_number = 7"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = make(tmp_path / "world", files=FILES)
    anna, ben = (made_of(made.project, "customer", number).identifier for number in ("K1", "K2"))
    append(
        Path(made.project.root), "forbid", anna, ben, who="a steward", why="they are two people", decided_at=REQUESTED
    )
    build = events.build
    known_as = person_id(ben.type, ben.identifier)

    def known(project: Project, lake: Lake, staging: Staging) -> None:
        """As if the tablet had told whose the visit was."""
        build(project, lake, staging)
        with staging.connect() as connection:
            rows = connection.sql(
                f"""SELECT * REPLACE (CASE WHEN source = 'web' AND row_number = 7 THEN '{known_as}' ELSE person_id END
                                      AS person_id) FROM events"""
            ).to_arrow_table()
        staging.write("events", rows)

    with monkeypatch.context() as patched:
        patched.setattr(events, "build", known)
        made.night()
    assert made.person("customer", "K2") == known_as != made.person("customer", "K1")
    assert {row["person_id"] for row in made.rows(VISIT)} == {known_as}
    yield made


def test_somebody_elses_rows_stay_without_the_persons_identifiers(world: World) -> None:
    before = world.person("customer", "K2")
    kept = world.rows(f"SELECT event_id FROM events WHERE person_id = '{before}' ORDER BY ALL")
    request = world.forget(world.person("customer", "K1"))
    assert [(row, sequence) for sequence, row, _ in request.spared] == [(7, 4)]
    world.night(LATER)
    ben = world.person("customer", "K2")
    assert world.person("email", "ben@home.example") == ben
    still = {row["event_id"] for row in world.rows("SELECT event_id FROM events")}
    assert {row["event_id"] for row in kept} <= still
    assert world.traces() == [] or [one.state for one in world.resume()] == ["done"]
    assert world.traces() == []
    assert law_holds(world)


def test_the_ledger_keeps_their_rows_and_numbers_the_sets_anew(world: World) -> None:
    before = {part: read_ledger(world, part) for part in ("events", "links", "quarantine")}
    request = world.forget(world.person("customer", "K1"))
    links = read_ledger(world, "links")
    assert not [one for row in links for one in row["identifiers"] if one["identifier"] in request.pseudonyms]
    sets = {(row["sequence"], row["identifier_set"]) for row in links}
    after = read_ledger(world, "events")
    assert {(row["sequence"], row["identifier_set"]) for row in after if row["identifier_set"]} <= sets
    of_ben = [(row["sequence"], row["row_number"]) for row in after]
    assert {(2, 9), (4, 7)} <= set(of_ben)
    assert of_ben.count((2, 9)) == 2, "ordered and delivered"
    # His row with a bad time stays in quarantine, without her address.
    [bad] = [row for row in read_ledger(world, "quarantine") if row["row_number"] == 10]
    assert [one["type"] for one in bad["identifiers"]] == ["customer"]
    assert len(before["quarantine"]) - len(read_ledger(world, "quarantine")) == 2
    listed = [row for row in links if row["sequence"] == 1]
    assert sum(row["rows"] for row in listed) == 4, "Ben's two rows, Cas's and Dia's"
    assert sorted(len(row["identifiers"]) for row in listed) == [1, 3, 3, 3]


def test_at_the_gate_it_is_the_same(world: World) -> None:
    world.forget(world.person("customer", "K1"))
    world.night(LATER)
    known = {row["event_id"]: row["person_id"] for row in world.rows("SELECT event_id, person_id FROM events")}
    more = ("B3", "1", *ORDER[2:])
    world.land("orders", [ORDER, BAD, more], "2", LATER)
    world.land("clients", [LISTED], "2", LATER - timedelta(days=9))
    world.night(LATER + timedelta(days=1))
    counts = world.rows(
        "SELECT used, duplicates, quarantined, erased, reference FROM intake WHERE file LIKE '%-2.csv' ORDER BY ALL"
    )
    assert counts == [
        {"used": 0, "duplicates": 0, "quarantined": 0, "erased": 0, "reference": 1},
        {"used": 1, "duplicates": 1, "quarantined": 1, "erased": 0, "reference": 0},
    ]
    now = {row["event_id"]: row["person_id"] for row in world.rows("SELECT event_id, person_id FROM events")}
    assert now.items() >= known.items()
    assert {now[event] for event in now.keys() - known.keys()} == {world.person("customer", "K2")}
    assert world.traces() == []

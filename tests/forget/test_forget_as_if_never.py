"""Forgetting is as if the person had never been there: every table equals that of a world without them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from tests.forget.forget_world import FILES, REQUESTED, World, law_holds, make, read_ledger

LATER = REQUESTED + timedelta(hours=15)


def differing(one: dict[str, pa.Table], other: dict[str, pa.Table]) -> list[str]:
    assert set(one) == set(other)
    return [name for name in one if not one[name].equals(other[name])]


def forgotten(root: Path, person: str = "anna@home.example") -> World:
    world = make(root)
    world.night(full=True)
    world.forget(world.person("email", person))
    world.night(LATER, full=True)
    return world


def never(root: Path, person: str = "anna") -> World:
    world = make(root, skips=person)
    world.night(LATER, full=True)
    return world


def test_all_tables_are_those_of_a_world_without_the_person(tmp_path: Path) -> None:
    with_her, without = forgotten(tmp_path / "a"), never(tmp_path / "b")
    assert len(without.tables()["journeys"]) >= 3
    assert differing(with_her.tables(), without.tables()) == []
    assert law_holds(with_her)


def test_so_it_is_for_everybody(tmp_path: Path) -> None:
    for name, email in (("dia", "dia@away.example"), ("cas", "cas@home.example")):
        with_them, without = forgotten(tmp_path / name, email), never(tmp_path / f"without {name}", name)
        # Two are left at the telephone and on the tablet: it is shared still, and known to have been.
        assert differing(with_them.tables(), without.tables()) == [], name


def test_the_ledger_is_that_of_a_world_without_the_person(tmp_path: Path) -> None:
    with_her, without = forgotten(tmp_path / "a"), never(tmp_path / "b")
    for part in ("links", "events", "quarantine"):
        assert read_ledger(with_her, part) == read_ledger(without, part), part
    for mine, hers in zip(without.ledger.files(), with_her.ledger.files(), strict=True):
        assert hers.record.rows_erased == mine.record.rows_ignored
        assert hers.record.events_made == mine.record.events_made
        assert hers.record.rows_quarantined == mine.record.rows_quarantined
        assert hers.record.rows_reference == mine.record.rows_reference


def test_a_person_of_whom_all_is_known_leaves_an_empty_lake(tmp_path: Path) -> None:
    hers = {name: [row for row in rows if row[-1] == "anna"] for name, rows in FILES.items()}
    world = make(tmp_path, files=hers)
    world.night(full=True)
    world.forget(world.person("customer", "K1"))
    world.night(LATER, full=True)
    tables = world.tables()
    assert {name: len(table) for name, table in tables.items() if len(table) and name != "coverage"} == {}
    assert world.rows("SELECT sum(erased)::BIGINT AS n FROM intake") == [{"n": 1 + 4 + 2 + 3}]
    assert [one.state for one in world.resume()] == ["done"]


def test_everybody_can_be_forgotten_one_after_the_other(tmp_path: Path) -> None:
    world = make(tmp_path)
    world.night()
    for number, email in enumerate(("anna", "ben", "cas")):
        world.forget(world.person("email", f"{email}@home.example"), REQUESTED + timedelta(hours=number))
        world.night(LATER + timedelta(hours=number))
    assert {one.state for one in world.resume()} == {"done"}
    people = world.rows("SELECT DISTINCT person_id FROM identities")
    assert people == [{"person_id": world.person("customer", "K4")}]
    # The last one at the shared telephone takes with them what nobody could be told by.
    assert world.rows("SELECT count(*) AS n FROM events WHERE person_id IS NULL") == [{"n": 0}]


def test_a_housemate_is_untouched_though_nobody_else_is_left_at_the_telephone(tmp_path: Path) -> None:
    two = {name: [row for row in rows if row[-1] != "cas"] for name, rows in FILES.items()}
    world = make(tmp_path, files=two)
    before = world.night(LATER, full=True)
    ben, anna = world.person("customer", "K2"), world.person("customer", "K1")
    of_ben = {name: _of(world, name, ben) for name in ("events", "journeys", "touchpoints", "waits", "identities")}
    call = "SELECT event_id, person_id FROM events WHERE activity = 'complained' AND person_id IS NULL"
    anonymous = world.rows(call)
    assert len(anonymous) == 1
    world.forget(anna)
    after = world.night(LATER, full=True)
    assert after.name != before.name
    assert {name: _of(world, name, ben) for name in of_ben} == of_ben
    assert world.rows(call) == anonymous, "an unknown housemate's call does not become the other's"
    guards = world.rows("SELECT guard, identifier_type FROM identity_audit WHERE reason LIKE '%forgotten%'")
    assert {(row["guard"], row["identifier_type"]) for row in guards} == {
        ("at_most_persons", "phone"), ("at_most_persons", "cookie"),
    }  # fmt: skip


def _of(world: World, table: str, person: str) -> list[dict[str, object]]:
    key = "person_id" if table in ("events", "journeys", "identities") else "journey_id"
    of = f"SELECT {key} FROM journeys WHERE person_id = '{person}'"
    where = f"person_id = '{person}'" if key == "person_id" else f"journey_id IN ({of})"
    return world.rows(f"SELECT * FROM {table} WHERE {where} ORDER BY ALL")


def test_rows_are_counted_once(tmp_path: Path) -> None:
    world = forgotten(tmp_path)
    erased = {row["source"]: row["erased"] for row in world.rows("SELECT source, erased FROM intake")}
    assert erased == {"clients": 1, "orders": 4, "calls": 2, "web": 3}
    assert world.rows("SELECT count(*) AS n FROM quarantine") == [{"n": 1}]

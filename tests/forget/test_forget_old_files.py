"""Tombstones: old files bring nobody back, and whoever comes later with the same number is somebody new."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.forget.forget_world import (
    CALLS,
    CLIENTS,
    COLUMNS,
    FILES,
    ORDERS,
    REQUESTED,
    WEB,
    World,
    law_holds,
    make,
    read_ledger,
)

LATER = REQUESTED + timedelta(hours=15)
NEXT = LATER + timedelta(days=1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Anna was forgotten, and a night was published."""
    made = make(tmp_path)
    made.night()
    made.forget(made.person("email", "anna@home.example"))
    made.night(LATER)
    return made


def people(world: World) -> set[str]:
    return {row["person_id"] for row in world.rows("SELECT DISTINCT person_id FROM identities")}


def erased(world: World) -> dict[str, int]:
    rows = world.rows("SELECT file, erased FROM intake WHERE file LIKE '%-2.csv'")
    return {row["file"].removesuffix("-2.csv"): row["erased"] for row in rows}


def test_old_rows_delivered_again_bring_nothing_back(world: World) -> None:
    before = world.tables()
    # New content, so that the files are read: a row of nobody's is added to each.
    again = {name: [*rows, (*[""] * (len(COLUMNS[name]) - 1), "skipped")] for name, rows in FILES.items()}
    world.land_all(again, "2", LATER)
    world.night(NEXT)
    assert erased(world) == {"clients": 1, "orders": 4, "calls": 2, "web": 3}
    assert law_holds(world)
    after = world.tables()
    assert after["events"].equals(before["events"])
    assert after["identity_audit"].equals(before["identity_audit"])
    owners = ("identifier_type", "identifier", "person_id")
    assert after["identities"].select(owners).equals(before["identities"].select(owners))
    assert world.traces() == []


def test_what_is_erased_while_reading_leaves_nothing_in_the_ledger(world: World) -> None:
    world.land("orders", [row for row in ORDERS if row[-1] == "anna"], "2", LATER)
    world.land("web", [row for row in WEB if row[-1] == "anna"], "2", LATER)
    world.night(NEXT)
    for file in world.ledger.files()[-2:]:
        assert file.record.rows_erased == file.record.rows_read > 0
        assert [pq.read_metadata(path).num_rows for path in (file.events, file.links, file.quarantine)] == [0, 0, 0]


def test_who_comes_after_the_request_is_somebody_new(tmp_path: Path) -> None:
    world = make(tmp_path)
    world.night()
    world.forget(world.person("email", "anna@home.example"))
    moment = f"{REQUESTED + timedelta(hours=2):%Y-%m-%d %H:%M:%S}"
    world.land("orders", [("O9", "1", moment, "", "K1", "anna@home.example", "C9", "", "anna")], "2", LATER)
    world.land("clients", [("K1", "anna@home.example", "0699999999", "old", "anna")], "2", LATER)
    world.night(LATER)
    anna = world.person("customer", "K1")
    rows = world.rows(f"SELECT activity FROM events WHERE person_id = '{anna}'")
    assert rows == [{"activity": "ordered"}], "of her time before nothing is known"
    assert world.person("phone", "0699999999") == anna
    assert [one.state for one in world.resume()] == ["done"], "what came after the request is no trace"


def test_an_old_list_does_not_bring_her_back_however_late_it_lands(world: World) -> None:
    known = people(world)
    world.land("clients", [row for row in CLIENTS if row[-1] == "anna"], "2", NEXT - timedelta(hours=2))
    world.night(NEXT)
    assert people(world) == known
    assert erased(world) == {"clients": 1}


def test_the_next_owner_of_a_number_is_untouched(tmp_path: Path) -> None:
    """The telephone was Dia's alone; Eve has it now, and some of her rows are from before the request."""
    world = make(tmp_path)
    world.night()
    world.forget(world.person("customer", "K4"))
    world.night(LATER)
    world.land("clients", [("K5", "eve@far.example", "0622222222", "old", "eve")], "2", LATER)
    early, late = f"{REQUESTED - timedelta(days=1):%F %T}", f"{REQUESTED + timedelta(days=1):%F %T}"
    rows = [(moment, "asked", "customer", who, "0622222222", "eve") for moment in (early, late) for who in ("K5", "")]
    world.land("calls", rows, "2", LATER)
    world.night(NEXT)
    eve = world.person("customer", "K5")
    assert world.person("phone", "0622222222") == eve
    found = world.rows(f"SELECT occurred_at FROM events WHERE person_id = '{eve}' ORDER BY ALL")
    # Her call under her own number stays, though it was before; the other one before may well have been Dia's.
    assert [row["occurred_at"] >= REQUESTED for row in found] == [False, True, True]
    assert erased(world) == {"clients": 0, "calls": 1}


def test_an_event_is_kept_out_by_its_id_whoever_it_is_said_to_be_of(world: World) -> None:
    """An order of hers, now said to be of a customer whom nobody knows."""
    rows = read_ledger(world, "events")
    known = {row["event_id"] for row in rows}
    world.land("orders", [("O1", "3", *ORDERS[0][2:4], "K77", "", "C1", "", "anna")], "2", LATER)
    world.night(NEXT)
    assert {row["event_id"] for row in read_ledger(world, "events")} == known, "the order is known to be hers"
    assert erased(world) == {"orders": 1}


def test_a_row_with_a_bad_time_is_not_kept_for_that(world: World) -> None:
    bad = [("O5", "1", "2026-13-01 10:00:00", "", "K1", "anna@home.example", "C1", "again", "anna")]
    world.land("orders", bad, "2", LATER)
    world.night(NEXT)
    assert world.rows("SELECT reason FROM quarantine WHERE file = 'orders-2.csv'") == []
    assert erased(world) == {"orders": 1}


def test_nobody_forgotten_nothing_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from klantspoor.intake import tombstones

    def never(*given: object) -> None:
        raise AssertionError("no tombstone may be made where there are none")

    monkeypatch.setattr(tombstones, "make_tombstones", never)
    world = make(tmp_path)
    world.night()
    assert len(world.ledger.files()) == len(FILES)
    assert not (world.lake.ledger / "tombstones.parquet").exists()


def test_damaged_tombstones_stop_the_intake(world: World) -> None:
    from klantspoor.errors import LakeError

    (world.lake.ledger / "tombstones.parquet").write_bytes(b"PAR1 but no more")
    world.land("calls", CALLS[1:2], "2", LATER)
    with pytest.raises(LakeError, match=r"tombstones\.parquet .* come back"):
        world.night(NEXT)
    assert len(world.ledger.files()) == len(FILES)


def test_a_later_request_holds_for_longer(world: World) -> None:
    after = REQUESTED + timedelta(hours=5)
    row = (f"{after:%F %T}", "asked", "customer", "K1", "", "anna")
    world.land("calls", [row], "2", LATER)
    world.night(NEXT)
    second = after + timedelta(days=3)
    world.forget(world.person("customer", "K1"), second)
    world.night(NEXT + timedelta(days=3))
    world.land("calls", [row, row], "3", second)
    world.night(NEXT + timedelta(days=4))
    assert world.rows("SELECT erased FROM intake WHERE file = 'calls-3.csv'") == [{"erased": 2}]
    graves = pq.read_table(world.lake.ledger / "tombstones.parquet")
    assert len(set(graves["tombstone"].to_pylist())) == len(graves)
    assert max(graves["effective_before"].to_pylist()) == datetime.fromisoformat(second.isoformat())

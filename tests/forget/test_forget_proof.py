"""The search finds what is there, the receipt names nobody, and versions go when their readers had their time."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from klantspoor.errors import LakeError, NotFoundError
from klantspoor.forget import Needles, forget, pending, scan
from klantspoor.lake import BusyError
from tests.forget.forget_leftovers import plant
from tests.forget.forget_world import REQUESTED, World, make

LATER = REQUESTED + timedelta(hours=15)
PERSON, IDENTIFIER = "00c0ffee00c0ffee", "0123456789abcdef01234567"
NEEDLES = Needles([PERSON, IDENTIFIER])


def _sqlite(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (v)")
        connection.execute("INSERT INTO t VALUES (?)", ["x" * 4070 + IDENTIFIER])


def _duckdb(path: Path) -> None:
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE t (v VARCHAR)")
        connection.execute(f"COMMENT ON TABLE t IS 'of {IDENTIFIER}'")


def _nested(path: Path) -> None:
    lists = pa.array([[{"who": "a"}], [{"who": "b"}, {"who": IDENTIFIER}]] * 500)
    pq.write_table(pa.table({"v": lists}).slice(1), path, compression="zstd")


PLANTS: dict[str, Callable[[Path], object]] = {
    "text.html": lambda path: path.write_text(f"<p title='J3f9c{IDENTIFIER}'>"),
    "upper.json": lambda path: path.write_text(json.dumps({"v": PERSON.upper()})),
    "whole.parquet": lambda path: pq.write_table(pa.table({"v": ["x", IDENTIFIER]}), path, compression="zstd"),
    "inside.parquet": lambda path: pq.write_table(pa.table({"v": ['{"a":"~' + IDENTIFIER + '"}'] * 99}), path),
    "code.parquet": lambda path: pq.write_table(pa.table({"v": pa.array([IDENTIFIER, "y"]).dictionary_encode()}), path),
    "nested.parquet": _nested,
    "number.parquet": lambda path: pq.write_table(pa.table({"v": pa.array([7, int(PERSON, 16)], pa.uint64())}), path),
    "signed.parquet": lambda path: pq.write_table(pa.table({"v": pa.array([int(PERSON, 16)], pa.int64())}), path),
    "bytes.parquet": lambda path: pq.write_table(pa.table({"v": [IDENTIFIER.encode()]}), path, compression="zstd"),
    "packed.gz": lambda path: path.write_bytes(gzip.compress(IDENTIFIER.encode())),
    "long.bin": lambda path: path.write_bytes(b"\xff" * ((1 << 20) - 9) + IDENTIFIER.encode() + b"\xff" * 9),
    "store.sqlite": _sqlite,
    "views.duckdb": _duckdb,
    f"{IDENTIFIER}.txt": lambda path: path.write_text("its name says it"),
}


@pytest.mark.parametrize("name", PLANTS)
def test_the_search_finds_what_is_planted(name: str, tmp_path: Path) -> None:
    PLANTS[name](tmp_path / name)
    (tmp_path / "innocent.json").write_text(json.dumps({"v": IDENTIFIER[::-1]}))
    found = scan(NEEDLES, [tmp_path])
    assert found.files == 2
    assert [(Path(one.path).name, one.found) for one in found.traces] == [(name, 1)]


def test_the_search_leaves_out_what_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "a").write_text(IDENTIFIER)
    assert scan(NEEDLES, [tmp_path], [tmp_path / "landing"]).files == 0
    assert scan(NEEDLES, [tmp_path / "not there"]).traces == ()


def test_a_damaged_file_is_searched_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + IDENTIFIER.encode())
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"x" * 9000)[:20])
    assert [Path(one.path).name for one in scan(NEEDLES, [tmp_path]).traces] == ["a.parquet"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make(tmp_path)
    made.night()
    plant(made, made.person("customer", "K1"))
    return made


def test_everything_goes_and_the_receipt_names_nobody(world: World) -> None:
    anna = world.person("customer", "K1")
    vault = [record for path in world.root.glob("vault/*") for record in pq.read_table(path)["record"].to_pylist()]
    request = world.forget(anna)
    assert len(world.traces()) > 2, "the request itself, and the version before"
    assert [one.state for one in world.resume()] == ["unpublished"]
    world.night(LATER)
    [done] = world.resume()
    assert (done.state, world.traces(), pending(world.lake.root)) == ("done", [], [])
    assert world.lake.version_names() == ["000002"]
    with duckdb.connect(world.lake.root / "klantspoor.duckdb", read_only=True) as connection:
        [(events,)] = connection.execute("SELECT count(*) FROM events").fetchall()
    assert events == world.version.manifest["tables"]["events"] > 0, "the views show the version that is left"
    text = done.receipt.read_text("utf-8")
    assert not [one for one in (anna, *request.pseudonyms, *request.events, *request.accounts) if one in text]
    said = json.loads(text)
    # anna@, anna.new@, K1 and her laptop; the telephone and the tablet are not hers alone.
    counted = {"files": 4, "rows": 10, "events": 5 + 1 + 3, "quarantined_rows": 2, "identifiers": 4, "journeys": 0}
    left = {"vault_rows": sum(one in request.pseudonyms for one in vault), "linkage_pairs": 2, "steward_decisions": 2}
    assert said["erased"] == counted | left | {"tombstones": 4 + len(request.events)}
    assert said["versions_dropped"] == ["000001"]
    assert said["scan"]["traces"] == []
    assert {one["file"]: one["rows"] for one in said["landing_files"]} == {
        "clients-1.csv": 1, "orders-1.csv": 4, "calls-1.csv": 2, "web-1.csv": 3,
    }  # fmt: skip


def test_what_is_others_stays(world: World) -> None:
    vault = {path.name: pq.read_table(path) for path in world.root.glob("vault/*")}
    request = world.forget(world.person("customer", "K1"))
    for path in world.root.glob("vault/*"):
        assert path.stat().st_mode & 0o777 == 0o600
        before = vault[path.name].to_pylist()
        kept = [row for row in before if row["record"] not in request.pseudonyms]
        assert pq.read_table(path).to_pylist() == kept
        assert len(kept) < len(before)
    assert pq.read_metadata(world.lake.ledger / "linkage" / "000001.parquet").num_rows == 1
    lines = (world.root / "identity-decisions.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["verb"] for line in lines] == ["forbid"]
    assert not (world.lake.root / "state").exists()
    assert not list((world.lake.root / "work").iterdir())


def test_readers_keep_their_version_for_the_grace(tmp_path: Path) -> None:
    world = make(tmp_path, grace="2 hours")
    first = world.night()
    world.forget(world.person("customer", "K1"))
    world.night(LATER)
    [waiting] = world.resume()
    assert waiting.state == "waiting"
    assert waiting.scan is not None and waiting.scan.traces == ()
    assert first.root.is_dir()
    assert json.loads(waiting.receipt.read_text())["versions_waiting"] == ["000001"]
    assert waiting.until is not None and abs(waiting.until - datetime.now(UTC) - timedelta(hours=2)) < timedelta(
        minutes=2
    )
    assert [one.state for one in world.resume(now=waiting.until - timedelta(seconds=1))] == ["waiting"]
    assert [one.state for one in world.resume(now=waiting.until)] == ["done"]
    assert not first.root.exists()
    assert world.traces() == []
    assert not (world.lake.root / "dropping.json").exists()


def test_a_night_drops_versions_whose_time_has_come(tmp_path: Path) -> None:
    world = make(tmp_path)
    world.night()
    world.lake.drop_versions(["000001"], datetime.now(UTC) - timedelta(days=1))
    assert world.lake.drop_due() == ["000001"], "the current one is never removed"
    world.night(LATER)
    assert world.lake.version_names() == ["000002"]
    assert world.lake.drop_due() == []


def test_a_trace_that_is_left_is_told_and_the_request_stays(world: World) -> None:
    anna = world.person("customer", "K1")
    world.forget(anna)
    world.night(LATER)
    left = world.lake.root / "notes.txt"
    left.write_text(f"about {anna}")
    [progress] = world.resume()
    assert progress.state == "traces"
    assert progress.scan is not None and [Path(one.path) for one in progress.scan.traces] == [left]
    left.unlink()
    assert [one.state for one in world.resume()] == ["done"]


def test_other_places_are_searched_too(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    anna = world.person("customer", "K1")
    elsewhere = tmp_path_factory.mktemp("dagster")
    (elsewhere / "log").write_text(anna)
    world.forget(anna)
    world.night(LATER)
    assert [one.state for one in world.resume(elsewhere=[elsewhere])] == ["traces"]


def test_nothing_is_begun_that_cannot_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make(tmp_path)
    with pytest.raises(LakeError, match="Nothing has been published"):
        forget(world.project, world.lake, "0" * 16)
    world.night()
    anna = world.person("customer", "K1")
    with pytest.raises(NotFoundError, match="does not know the person"):
        forget(world.project, world.lake, "0" * 16)
    with world.lake.open_run("other", LATER), pytest.raises(BusyError):
        world.forget(anna)
    world.land("calls", [("2026-03-09 09:00:00", "asked", "customer", "K1", "", "anna")], "2")
    from klantspoor.intake import take_in

    with monkeypatch.context() as patched:
        patched.setenv("KLANTSPOOR_TEST_KEY", "another secret of many characters")
        with pytest.raises(LakeError, match="the key"):
            world.forget(anna)
    take_in(world.project, world.lake.root, LATER)
    with pytest.raises(LakeError, match="since version 000001"):
        world.forget(anna)
    assert pending(world.lake.root) == []
    assert not (world.lake.ledger / "tombstones.parquet").exists()
    world.night(LATER)
    world.forget(anna)
    with pytest.raises(LakeError, match="already"):
        world.forget(anna)


def test_nobody_is_found_by_what_is_nobodys(world: World) -> None:
    for kind, value, words in (
        ("phone", "0611111111", "Nobody"), ("email", "info@home.example", "Nobody"), ("e-mail", "x", "type"),
        ("customer", "", "Nothing was given"), ("customer", "K999", "Nobody"),
    ):  # fmt: skip
        with pytest.raises(NotFoundError, match=words) as told:
            world.person(kind, value)
        assert not value or value not in str(told.value).split()

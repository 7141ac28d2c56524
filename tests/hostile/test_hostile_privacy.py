"""Nothing raw: no planted personal value, and not the key, in any byte that a night or a command leaves behind."""

from __future__ import annotations

import gzip
import json
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from klantspoor.cli.main import app
from tests.hostile.hostile_canaries import IBAN, KEY, PEOPLE, Person, found_in, found_in_bytes
from tests.hostile.hostile_nights import Night

PLANTED = {IBAN} | {value for person in PEOPLE for value in person.values}


def _sqlite(path: Path, person: Person) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (v)")
        connection.execute("INSERT INTO t VALUES (?)", ["x" * 5000 + person.email])


HIDDEN: dict[str, Callable[[Path, Person], object]] = {
    "a.parquet": lambda path, person: pq.write_table(
        pa.table({"v": [[{"who": person.email}]] * 1000}), path, compression="zstd"
    ),
    "a.gz": lambda path, person: path.write_bytes(gzip.compress(person.email.upper().encode())),
    "a.sqlite": _sqlite,
    "a.json": lambda path, person: path.write_text(json.dumps(person.email)),
    "a.utf16": lambda path, person: path.write_text(person.email, "utf-16"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_the_search_opens_what_hides_values(name: str, tmp_path: Path) -> None:
    HIDDEN[name](tmp_path / name, PEOPLE[1])
    assert found_in(tmp_path) == {name: {PEOPLE[1].email}}


def test_the_search_finds_what_was_planted(bad_night: Night) -> None:
    found = found_in(bad_night.project / "landing")
    assert set().union(*found.values()) == PLANTED


def test_a_night_leaves_nothing_raw(good_night: Night, bad_night: Night) -> None:
    left = [bad_night.project / "lake"]  # it holds the first night's version too
    left += [night.home / name for night in (good_night, bad_night) for name in ("dagster", "scratch")]
    assert len([path for folder in left for path in folder.rglob("*") if path.is_file()]) > 100
    assert found_in(*left) == {}
    for night in (good_night, bad_night):
        assert found_in_bytes((night.out + night.err).encode()) == set()


def test_the_project_does_not_hold_the_key(bad_night: Night) -> None:
    found = found_in(bad_night.project)
    assert {file for file, values in found.items() if KEY in values} == set()
    assert all(file.startswith(("landing/", "vault/")) for file in found)


def test_the_vault_holds_what_it_is_for_and_shuts_everybody_out(bad_night: Night) -> None:
    vault = bad_night.project / "vault"
    values = set().union(*found_in(vault).values())
    assert any(person.name in values for person in PEOPLE)
    assert stat.S_IMODE(vault.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in vault.iterdir()} == {0o600}


def test_what_commands_say_holds_nothing_raw(bad_night: Night, tmp_path: Path) -> None:
    (person, *_) = bad_night.rows("SELECT person_id FROM events WHERE source_event_id = 'T2000'")
    exports = [f"log{ending}" for ending in (".xes", ".jsonocel", ".xmlocel", ".sqlite")]
    commands = [
        *(["preview", source, "--rows", "50"] for source in ("tickets", "chats", "orders", "claims", "clients")),
        ["preview", PEOPLE[0].customer],
        ["explain", person["person_id"], "--events"],
        ["explain", PEOPLE[0].customer],
        ["explain", PEOPLE[0].email],
        ["tables", "quarantine"],
        *(["sql", f"SELECT * FROM {name}", "-f", "json", "--limit", "0"] for name in ("quarantine", "identities")),
        *(["export", str(tmp_path / name), "--journey", "help"] for name in exports),
    ]
    for command in commands:
        result = CliRunner().invoke(app, [*command, "--project", str(bad_night.project)])
        said = result.output + repr(result.exception)
        # What the user typed may come back; nothing else.
        assert found_in_bytes(said.encode()) <= {PEOPLE[0].customer} & set(command), command
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(exports)
    assert found_in(tmp_path) == {}

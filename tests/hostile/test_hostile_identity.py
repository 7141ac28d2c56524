"""Nothing raw in who is who: the vault, the linkage of records, what stewards type, truths, and a change of the key.

The vault alone may hold the fields by which records are compared. Everything else that these commands read, write, say
or complain of is searched for the planted values.
"""

from __future__ import annotations

import csv
import getpass
import io
import random
import re
import shutil
import stat
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from klantspoor.cli.main import app
from klantspoor.identity.decisions import FILE
from klantspoor.intake import take_in
from klantspoor.lake import open_lake
from klantspoor.project.load import load_project
from tests.hostile import hostile_landing as landing
from tests.hostile.hostile_canaries import KEY, PEOPLE, found_in, found_in_bytes
from tests.hostile.hostile_nights import Night, mend_database, once, run
from tests.hostile.hostile_project import KEY_VARIABLE
from tests.linkage.linkage_world import stranger

Ask = Callable[..., str]
ONE, TWO, THREE = PEOPLE
GIVEN = ("--why", "seen at the desk", "--who", "Steward", "--yes")


def _clients() -> bytes:
    """The planted people once more, mistyped, under other customer numbers, among enough strangers to learn chance from."""
    dice, text = random.Random(3), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("customer", "email", "phone", "name"))
    for number in range(500):
        one = stranger(dice)
        name = f"{one['first_name']} {one['last_name']}"
        writer.writerow((f"S-{number}", one["email"], one["phone"], name))
        if number % 5 == 0:
            writer.writerow((f"S-{number}-again", one["email"], one["phone"], name[:-1]))
    for number, person in enumerate(PEOPLE):
        writer.writerow((f"AGAIN-{number}", person.email, person.phone, person.name))
    return text.getvalue().encode()


def _told(project: Path, *words: object, typed: str = "") -> tuple[int, str]:
    """A command's exit code, and all that it said: output, complaints, and what a traceback would show."""
    result = CliRunner().invoke(app, [*map(str, words), "--project", str(project)], input=typed)
    raised = "".join(traceback.format_exception(result.exception)) if result.exception else ""
    return result.exit_code, result.output + result.stderr + raised


def _linked(good: Night, home: Path) -> Night:
    """A night after the linkage of records has run on a vault that holds the planted people."""
    shutil.copytree(good.project, home / "project")
    mend_database(home / "project")
    payments = landing.second_night()["payments/day-5.csv"]  # without which nothing would be published
    landing.land(
        home / "project" / "landing", {"clients/more.csv": _clients(), "payments/day-5.csv": payments}, landing.SECOND
    )
    project = load_project(home / "project")
    take_in(project, open_lake(project).root, landing.SECOND)
    code, said = _told(home / "project", "identity", "link")
    night = run(home, landing.SECOND)
    return Night(home, max(code, night.code), said + night.out, night.err)


@pytest.fixture(scope="module")
def linked(good_night: Night, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(KEY_VARIABLE, KEY)
        yield once(tmp_path_factory, "identity", lambda home: _linked(good_night, home))


@pytest.fixture
def ask(linked: Night, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs a command that nothing typed may come back from, and gives what it said."""
    monkeypatch.setattr(tempfile, "tempdir", str(linked.home / "scratch"))

    def asked(*words: object, typed: str = "", code: int = 0) -> str:
        found, said = _told(linked.project, *words, typed=typed)
        assert found_in_bytes(said.encode()) == set(), words
        assert found == code, said
        return said

    return asked


def clean(night: Night) -> None:
    """Nothing raw but in the landing folder and the vault."""
    found = found_in(night.project)
    assert all(file.startswith(("landing/", "vault/")) for file in found), found
    assert found_in(*(night.home / name for name in ("dagster", "scratch") if (night.home / name).exists())) == {}


def vault_is_shut(project: Path) -> None:
    vault = project / "vault"
    assert set().union(*found_in(vault).values()) >= {person.name for person in PEOPLE}
    assert stat.S_IMODE(vault.stat().st_mode) == 0o700
    inside = sorted(vault.iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in inside} == {0o600}
    assert [path.name for path in inside if not re.fullmatch(r"\d{8}-[0-9a-f]{12}\.parquet", path.name)] == []
    assert not (project / "lake" / "vault").exists()


def test_the_linkage_of_records_tells_and_keeps_nothing_raw(linked: Night) -> None:
    assert linked.code == 0, linked.out + linked.err
    assert found_in_bytes((linked.out + linked.err).encode()) == set()
    [(evidence,)] = linked.connection.execute(
        f"SELECT count(*) FROM '{linked.project}/lake/ledger/linkage/*.parquet'"
    ).fetchall()
    assert evidence > 0
    clean(linked)
    vault_is_shut(linked.project)


BY_INPUT = {
    "customer": (ONE.customer, TWO.customer, THREE.customer),
    "email": (ONE.email, TWO.email, THREE.email),
    "phone": (ONE.phone, TWO.phone, THREE.phone),
}


def test_who_says_nothing_raw(linked: Night, ask: Ask) -> None:
    known = 0
    for kind, values in BY_INPUT.items():
        for value in values:
            for form in ("table", "json"):
                said = ask("who", "-f", form, typed=f"{kind} {value}\n")
                known += "evidence" in said
    assert known > 0
    (row, *_) = linked.rows(
        "SELECT person_id FROM identities SEMI JOIN events USING (person_id) GROUP BY 1 HAVING count(*) > 1 ORDER BY 1"
    )
    ask("who", row["person_id"])
    ask("who", row["person_id"], "--between", "1", "2")
    ask("explain", row["person_id"])


@pytest.mark.parametrize("value", [ONE.customer, ONE.email, TWO.phone, THREE.name])
def test_a_plain_identifier_as_an_argument_is_refused_and_not_repeated(ask: Ask, value: str) -> None:
    assert "shell's history" in " ".join(ask("who", value, code=1).split())
    for verb in ("force", "forbid", "block"):
        ask("identity", verb, value, *GIVEN, typed=f"customer {TWO.customer}\n", code=1)


@pytest.mark.parametrize(
    "typed",
    [
        ONE.email,
        f"{ONE.email} {TWO.email}",
        f"{ONE.customer} customer",
        f"mail {ONE.email}",
        f"email {ONE.email}\n{TWO.email}",
        f"email {ONE.email}\nemail {ONE.email.upper()}",
        f"phone {ONE.phone}",
        f"customer {'x' * 5000}{ONE.customer}",
        "",
    ],
)
@pytest.mark.parametrize("verb", ["force", "forbid"])
def test_what_is_typed_wrongly_is_not_repeated(ask: Ask, linked: Night, verb: str, typed: str) -> None:
    before = _decided(linked)
    ask("identity", verb, *GIVEN, typed=typed, code=1)
    assert _decided(linked) == before


def _decided(night: Night) -> bytes:
    path = night.project / FILE
    return path.read_bytes() if path.exists() else b""


@pytest.mark.parametrize("option", ["--why", "--who"])
@pytest.mark.parametrize("value", [ONE.email, ONE.phone, ONE.customer])
def test_a_reason_that_gives_somebody_away_is_refused(ask: Ask, linked: Night, option: str, value: str) -> None:
    other = "--who" if option == "--why" else "--why"
    kind = next(kind for kind, values in BY_INPUT.items() if value in values)
    before = _decided(linked)
    ask("identity", "block", option, f"it is {value}", other, "x", "--yes", typed=f"{kind} {value}\n", code=1)
    assert _decided(linked) == before


def test_decisions_hold_pseudonyms_only(ask: Ask, linked: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    (linked.project / FILE).unlink(missing_ok=True)
    ask("identity", "force", *GIVEN, typed=f"customer {ONE.customer}\nemail {TWO.email}\n")
    ask("identity", "forbid", *GIVEN, typed=f"customer {ONE.customer}\nemail {TWO.email}\n")
    ask("identity", "forbid", *GIVEN, typed=f"email {TWO.email}\ncustomer {ONE.customer}\n", code=1)
    ask("identity", "block", *GIVEN, typed=f"phone {THREE.phone}\n")
    ask("identity", "force", *GIVEN, typed=f"phone {THREE.phone}\ncustomer {THREE.customer}\n", code=1)
    ask("identity", "withdraw", "3", *GIVEN)
    # At a terminal, where what is typed is not shown.
    for module in ("asking", "stewardship"):
        monkeypatch.setattr(f"klantspoor.cli.{module}.at_terminal", lambda: True)
    monkeypatch.setattr(getpass, "getpass", lambda _: TWO.phone)
    ask("identity", "block", typed="phone\nStolen\nSteward\ny\n")
    ask("who", typed="phone\n")
    for form in ("table", "json"):
        assert "block" in ask("identity", "decisions", "-f", form)
    assert stat.S_IMODE((linked.project / FILE).stat().st_mode) == 0o600
    assert len(_decided(linked).splitlines()) == 5
    clean(linked)


TRUTHS = {
    "identifiers": (
        "identifier_type,raw_value,true_person\n" + "".join(f"customer,{p.customer},{p.name}\n" for p in PEOPLE),
        0,
    ),
    "unknown_ones": (
        "identifier_type,raw_value,true_person\n" + f"customer,X-1,{ONE.name}\nmail,{ONE.email},{ONE.name}\n",
        1,
    ),
    "events": (
        f"source,source_event_id,true_person\ntickets,T1000,{ONE.name}\norders,{ONE.customer}-1,{ONE.name}\n",
        0,
    ),
    "no_such_column": (f"source,{ONE.email},true_person\n{ONE.customer},{ONE.phone},{ONE.name}\n", 1),
    "unclosed": (f'identifier_type,raw_value,true_person\ncustomer,"{ONE.customer},{ONE.name}\n', 1),
    "an_empty_field": (f"identifier_type,raw_value,true_person\ncustomer,{ONE.customer},\n", 1),
    "too_many": (f"identifier_type,raw_value,true_person\ncustomer,{ONE.customer},{ONE.name},{ONE.email}\n", 1),
}


@pytest.mark.parametrize("name", TRUTHS)
def test_a_truth_of_raw_values_is_not_repeated(ask: Ask, linked: Night, tmp_path: Path, name: str) -> None:
    text, code = TRUTHS[name]
    path = tmp_path / "truth.csv"
    path.write_text(text, encoding="utf-8")
    ask("identity", "score", "--truth", path, code=code)
    clean(linked)


def test_a_change_of_the_key_tells_neither_key_nor_values(
    linked: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Night(tmp_path, 0, "", "")
    shutil.copytree(linked.project, home.project)
    mend_database(home.project)
    said = _told(home.project, "identity", "block", *GIVEN, typed=f"email {ONE.email}\n")[1]
    said += _told(home.project, "key", "check")[1] + _told(home.project, "key", "rotate")[1]
    [made] = [path for path in home.project.iterdir() if path.is_file() and KEY.encode() in path.read_bytes()]
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    keys = made.read_text("ascii").split()
    monkeypatch.setenv(KEY_VARIABLE, ":".join(keys))
    made.unlink()
    code, more = _told(home.project, "key", "rotate")
    assert code == 0, more
    said += more + _told(home.project, "key", "check")[1] + _told(home.project, "identity", "decisions")[1]
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    for words in (("key", "check"), ("key", "rotate"), ("who",)):
        code, more = _told(home.project, *words, typed=f"email {ONE.email}\n")
        assert code != 0, more
        said += more
    assert found_in_bytes(said.encode()) == set()
    assert [key for key in keys if key in said] == []
    clean(home)
    vault_is_shut(home.project)

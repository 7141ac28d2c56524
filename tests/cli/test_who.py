"""`klantspoor who` as a newcomer meets it, and that it shows no plain identifier."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from klantspoor.cli.context import console, errors
from klantspoor.identity.decisions import Identifier, append
from klantspoor.lake import Version
from tests.cli import who_world as world
from tests.cli.conftest import Said

Ask = Callable[..., Said]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> world.World:
    return world.build(tmp_path_factory.mktemp("who") / "project")


@pytest.fixture(autouse=True)
def _newer_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = Version.connect

    def connected(self: Version, threads: int | None = None) -> duckdb.DuckDBPyConnection:
        connection = connect(self, threads)
        world.as_published_from_now_on(connection)
        return connection

    monkeypatch.setattr(Version, "connect", connected)


@pytest.fixture
def ask(people: world.World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Runs a command on the project with standard input; nothing it says may hold a plain identifier."""
    from klantspoor.cli.main import app

    monkeypatch.setattr(console, "width", 160)
    monkeypatch.setattr(errors, "width", 160)
    (people.root / "identity-decisions.jsonl").unlink(missing_ok=True)

    def run(*arguments: object, typed: str = "") -> Said:
        words = [str(argument) for argument in arguments]
        result = CliRunner().invoke(app, [*words, "--project", str(people.root)], input=typed)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        said = (result.stdout + result.stderr).lower()
        assert [value for value in world.PLAIN if value.lower() in said] == []
        return Said(result.exit_code, result.stdout, result.stderr)

    yield run


def answer(ask: Ask, *arguments: object, typed: str = "") -> dict[str, Any]:
    said = ask("who", *arguments, "--format", "json", typed=typed)
    assert said.code == 0, said.err
    assert said.out.isascii()
    document: dict[str, Any] = json.loads(said.out)
    return document


def short(value: str) -> str:
    return f"{world.pseudonym(value)[:8]}…"


def test_a_person_by_id(ask: Ask) -> None:
    said = ask("who", world.JAN)
    assert said.code == 0, said.err
    assert f"Person {world.JAN}" in said.words
    assert f"Until 2026-03-01 also known as {world.FORMER} (merged)" in said.words
    for number, value in enumerate((world.CUSTOMER, world.EMAIL, world.PHONE, world.COOKIE, world.TABLET), start=1):
        assert f"{number} {world.TYPE[value]} {short(value)}" in said.words
    assert "4 1 –crm, 14 rows→ 2 –crm, 7 rows→ 3 –crm, 7 rows→ 4" in said.words
    assert "5 1 –crm, 7 rows→ 5" in said.words
    assert f"one_per_person: email {short(world.EMAIL)}, with email {short(world.STRANGER)} links nobody" in said.words
    assert f"at_most_persons: phone {short(world.SHARED)} links nobody: seen with 2 persons, at most 1" in said.words
    assert world.pseudonym(world.CUSTOMER) not in said.out, "shortened"


def test_the_beginning_or_a_former_id_will_do(ask: Ask) -> None:
    assert answer(ask, world.JAN[:6])["person_id"] == world.JAN
    document = answer(ask, world.FORMER)
    assert (document["person_id"], document["asked"]) == (world.JAN, {"person_id": world.FORMER})
    assert "it is this person's former id" in ask("who", world.FORMER).words
    assert "is nobody's id since 2026-03-01" in ask("who", world.NOBODYS).complaint


@pytest.mark.parametrize("value", [world.CUSTOMER, world.EMAIL, world.PHONE, world.COOKIE])
def test_a_person_by_an_identifier_as_the_sources_may_write_it(ask: Ask, value: str) -> None:
    spelling = {world.EMAIL: " <JAN.jansen@voorbeeld.EXAMPLE>", world.PHONE: "0031 6 1234 5678"}.get(value, value)
    document = answer(ask, typed=f"{world.TYPE[value]} {spelling}\n")
    assert document["person_id"] == world.JAN
    assert document["asked"] == {"type": world.TYPE[value], "identifier": world.pseudonym(value)}


def test_the_document_holds_what_is_shown(ask: Ask) -> None:
    document = answer(ask, world.JAN)
    assert [(one["number"], one["identifier"], one["rule"], one["rows"]) for one in document["identifiers"]] == [
        (1, world.pseudonym(world.CUSTOMER), "anchor", 28), (2, world.pseudonym(world.EMAIL), "linked", 21),
        (3, world.pseudonym(world.PHONE), "linked", 14), (4, world.pseudonym(world.COOKIE), "linked", 7),
        (5, world.pseudonym(world.TABLET), "in_turn", 7),
    ]  # fmt: skip
    assert document["former_ids"] == [
        {"former_person_id": world.FORMER, "since": "2026-03-01T09:00:00+00:00", "why": "merged"}
    ]
    first = document["chains"][0]
    assert (first["from"], first["to"]) == (1, 2)
    assert first["hops"][0]["seen_together"] == [
        {"source": "crm", "mapping": "sources/crm.yaml, defaults", "first_seen": "2026-03-11T09:00:00+00:00",
         "last_seen": "2026-03-21T10:00:00+00:00", "rows": 14}
    ]  # fmt: skip
    assert [(one["guard"], one["other"]["identifier"]) for one in document["refused"]] == [
        ("one_per_person", world.pseudonym(world.STRANGER))
    ]
    assert [one["identifier"] for one in document["refused_beside"]] == [world.pseudonym(world.SHARED)]


def test_between_two_identifiers(ask: Ask) -> None:
    said = ask("who", world.JAN, "--between", "4", short(world.CUSTOMER))
    assert said.code == 0, said.err
    assert "From 4 to 1: 3 steps" in said.words
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    at = lines.index("From 4 to 1: 3 steps")
    assert lines[at + 1 : at + 8] == [
        f"4 cookie {short(world.COOKIE)}",
        "│ together in 7 rows of crm (sources/crm.yaml, defaults), 2026-03-21 10:00 to 2026-03-21 11:00",
        f"3 phone {short(world.PHONE)}",
        "│ together in 7 rows of crm (sources/crm.yaml, defaults), 2026-03-11 10:00 to 2026-03-11 11:00",
        f"2 email {short(world.EMAIL)}",
        "│ together in 14 rows of crm (sources/crm.yaml, defaults), 2026-03-11 10:00 to 2026-03-21 11:00",
        f"1 customer {short(world.CUSTOMER)}",
    ]
    [chain] = answer(ask, world.JAN, "--between", "2", "4")["chains"]
    assert [hop["to"] for hop in chain["hops"]] == [3, 4]
    assert ask("who", world.JAN, "--between", "1", "9").code == 1


def test_the_tablet_leads_nowhere(ask: Ask) -> None:
    """It was seen with both; the way from it to the telephone still begins with the log-in it was seen with."""
    [chain] = answer(ask, world.JAN, "--between", "5", "3")["chains"]
    assert [hop["to"] for hop in chain["hops"]] == [1, 2, 3]


def test_an_identifier_of_several_in_turn(ask: Ask) -> None:
    document = answer(ask, typed=f"cookie {world.TABLET}")
    assert [one["person_id"] for one in document["persons"]] == [world.JAN, world.MATE]
    said = ask("who", typed=f"cookie {world.TABLET}")
    assert f"cookie {short(world.TABLET)}: several persons' in turn" in said.words
    assert f"2026-03-05 10:00 to 2026-03-16 10:00 person {world.JAN}" in said.words
    assert ask("who", "--between", "1", "2", typed=f"cookie {world.TABLET}").code == 1


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (f"phone {world.SHARED}", "at_most_persons: phone"),
        (f"email {world.STRANGER}", "7 rows with it were taken in after this version was made"),
        ("email noreply@voorbeeld.example", "The email rules of klantspoor.yaml list it as blocked."),
        ("phone 12", "It is no valid phone."),
        ("customer K-000000", "It was never seen in a file that was taken in."),
    ],
)
def test_whoever_is_nobodys_is_told_why(ask: Ask, typed: str, why: str) -> None:
    said = ask("who", typed=typed)
    assert said.code == 0, said.err
    assert "is nobody's" in said.words
    assert why in said.words
    assert typed.split(" ", 1)[1] not in said.out + said.err


def test_decisions_are_steps_once_a_version_was_made_with_them(ask: Ask, people: world.World) -> None:
    cookie, customer = (Identifier(world.TYPE[v], world.pseudonym(v)) for v in (world.COOKIE, world.CUSTOMER))
    append(people.root, "force", cookie, customer, "anna", "seen \u200b[2J the papers",
           datetime(2026, 6, 1, tzinfo=UTC))  # fmt: skip
    later = Identifier("email", world.pseudonym(world.STRANGER))
    append(people.root, "force", later, customer, "bert", "asked them", datetime(2999, 1, 1, tzinfo=UTC))
    said = ask("who", world.JAN)
    assert "4 1 –decision 1→ 4" in said.words
    assert "2 email" in said.words and "counts from the next night on" in said.words
    detail = ask("who", world.JAN, "--between", "1", "4")
    assert "decision 1: anna decided on 2026-06-01 that they are one person's: seen [2J the papers" in detail.words
    assert [(one["number"], one["counted"]) for one in answer(ask, world.JAN)["decisions"]] == [(1, True), (2, False)]
    nobody = ask("who", typed=f"email {world.STRANGER}")
    assert "(bert, 2999-01-01: asked them)" in nobody.words


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        ([world.EMAIL], ""), ([world.CUSTOMER], ""), ([world.PHONE], ""), (["0612345678"], ""), ([], world.EMAIL),
        ([], f"mail {world.EMAIL}"), ([], f"{world.EMAIL} email"), ([], ""), ([], "email \n"),
        ([], f"email {world.EMAIL}{'x' * 5000}"),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_up_is_not_repeated(ask: Ask, arguments: list[str], typed: str) -> None:
    said = ask("who", *arguments, typed=typed)
    assert said.code == 1
    assert said.out == ""
    assert "0612345678" not in said.err


def test_another_key_is_noticed(ask: Ask, people: world.World) -> None:
    key = people.root / "key"
    kept = key.read_bytes()
    key.write_bytes(b"cd" * 32)
    try:
        said = ask("who", typed=f"email {world.EMAIL}")
    finally:
        key.write_bytes(kept)
    assert said.code == 1
    assert "the key is not the one" in said.complaint


def test_at_a_terminal_it_prompts(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klantspoor.cli.asking.at_terminal", lambda: True)
    monkeypatch.setattr("klantspoor.cli.asking.hidden", lambda _: sys.stdin.readline().removesuffix("\n"))
    said = ask("who", typed=f"mail\nemail\n{world.EMAIL}\n")
    assert said.code == 0
    assert "That is none of customer, email, phone, cookie." in said.complaint
    assert f"Person {world.JAN}" in said.words


def test_nothing_published_is_said(bare: Ask, tmp_path: Path) -> None:
    from tests.page.tiny_lake import write_project

    said = bare("who", "abc", "--project", write_project(tmp_path / "project"))
    assert said.code == 1
    assert "Nothing has been published yet" in said.complaint

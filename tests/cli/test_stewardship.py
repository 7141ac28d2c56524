"""`klantspoor identity force | forbid | block | withdraw | decisions`: what they ask, write and refuse."""

from __future__ import annotations

import getpass
import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from klantspoor.cli.context import console, errors
from klantspoor.identity.decisions import FILE, Decision, read_decisions
from tests.cli import who_world as world
from tests.cli.conftest import Said

Ask = Callable[..., Said]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> world.World:
    return world.build(tmp_path_factory.mktemp("steward") / "project")


@pytest.fixture
def people(built: world.World) -> world.World:
    (built.root / FILE).unlink(missing_ok=True)
    return built


@pytest.fixture
def ask(people: world.World, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs `klantspoor identity …` with standard input; neither output nor files may hold a plain identifier."""
    from klantspoor.cli.main import app

    monkeypatch.setattr(console, "width", 160)
    monkeypatch.setattr(errors, "width", 160)

    def run(*arguments: object, typed: str = "") -> Said:
        words = ["identity", *(str(argument) for argument in arguments), "--project", str(people.root)]
        result = CliRunner().invoke(app, words, input=typed)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        left = (result.stdout + result.stderr + people.text_of_everything()).lower()
        assert [value for value in world.PLAIN if value.lower() in left] == []
        return Said(result.exit_code, result.stdout, result.stderr)

    return run


def taken(people: world.World) -> list[Decision]:
    return read_decisions(people.root)


def about(decision: Decision) -> list[tuple[str, str]]:
    return [(one.type, one.identifier) for one in (decision.a, decision.b) if one]


def known(value: str) -> tuple[str, str]:
    return world.TYPE[value], world.pseudonym(value)


TWO = f"customer {world.CUSTOMER}\n  email   {world.STRANGER.upper()} \n"
GIVEN = ("--why", "saw the passport", "--yes")


@pytest.mark.parametrize("verb", ["force", "forbid"])
def test_two_identifiers_from_standard_input(ask: Ask, people: world.World, verb: str) -> None:
    said = ask(verb, *GIVEN, typed=TWO)
    assert said.code == 0, said.err
    [decision] = taken(people)
    assert (decision.verb, decision.who, decision.why) == (verb, getpass.getuser(), "saw the passport")
    assert about(decision) == [known(world.CUSTOMER), known(world.STRANGER)]
    assert f"customer {world.pseudonym(world.CUSTOMER)[:8]}…: known, person {world.JAN}" in said.words
    assert "nobody's in version 000001, or not known" in said.words
    assert "Written as decision 1. It counts from the next night on." in said.words
    assert (people.root / FILE).stat().st_mode & 0o777 == 0o600


def test_a_person_stands_for_their_anchor(ask: Ask, people: world.World) -> None:
    said = ask("force", world.JAN, world.MATE, *GIVEN, "--who", "Anna de Vries")
    assert said.code == 0, said.err
    [decision] = taken(people)
    assert (about(decision), decision.who) == ([known(world.CUSTOMER), known(world.HOUSEMATE)], "Anna de Vries")
    assert ask("block", world.MATE, *GIVEN).code == 1, "blocked and forced is a contradiction"
    assert ask("withdraw", "1", *GIVEN).code == 0
    assert ask("block", world.MATE, *GIVEN).code == 0
    assert [one.verb for one in taken(people)] == ["force", "withdraw", "block"]


def test_a_person_and_an_identifier(ask: Ask, people: world.World) -> None:
    said = ask("forbid", world.JAN, *GIVEN, typed=f"phone {world.PHONE}")
    assert said.code == 0, said.err
    assert about(taken(people)[0]) == [known(world.CUSTOMER), known(world.PHONE)]
    assert "They are one person's in this version." in said.words


def test_contradictions_are_refused_and_named(ask: Ask, people: world.World) -> None:
    ask("force", *GIVEN, typed=f"customer {world.CUSTOMER}\nemail {world.STRANGER}")
    ask("force", *GIVEN, typed=f"email {world.STRANGER}\ncookie {world.COOKIE}")
    before = (people.root / FILE).read_bytes()
    said = ask("forbid", "--why", "they told us", "--yes", typed=f"cookie {world.COOKIE}\ncustomer {world.CUSTOMER}")
    assert said.code == 1
    assert "1 (force" in said.complaint and "2 (force" in said.complaint and "3 (forbid" in said.complaint
    assert "klantspoor identity withdraw NUMBER" in said.complaint
    assert (people.root / FILE).read_bytes() == before


@pytest.mark.parametrize("option", ["--why", "--who"])
@pytest.mark.parametrize(
    ("typed", "text"),
    [
        (f"email {world.EMAIL}", "he is JAN.JANSEN@voorbeeld.example indeed"),
        (f"phone {world.PHONE}", "called +31 6 1234-5678 twice"),
        (f"phone {world.PHONE}", "called (06)12345678 twice"),
        (f"customer {world.CUSTOMER}", "see k-770042"),
        (f"customer {world.CUSTOMER}", "see xk-770042x"),
        ("customer 12", "is number 12, they say"),
    ],
)
def test_what_was_typed_may_not_be_in_the_text(
    ask: Ask, people: world.World, option: str, typed: str, text: str
) -> None:
    given = {"--why": "so", "--who": "anna"} | {option: text}
    said = ask("block", *(word for pair in given.items() for word in pair), "--yes", typed=typed)
    assert said.code == 1
    assert f"{option} holds an identifier that was typed" in said.complaint
    assert text not in said.out + said.err
    assert taken(people) == []


def test_the_text_may_hold_numbers_but_no_address(ask: Ask, people: world.World) -> None:
    assert ask("block", "--why", "ask piet@example.org", "--yes", typed=f"phone {world.SHARED}").code == 1
    assert taken(people) == []
    said = ask("block", "--why", "ticket 20261125-12, see 1234", "--yes", typed="customer 123")
    assert said.code == 0, said.err


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("email noreply@voorbeeld.example", "list it (blocked)"),
        ("phone 12", "it is no valid phone"),
        ("customer none", "list it (blocked)"),
    ],
)
def test_what_its_own_rules_make_nobodys_is_not_forced(ask: Ask, people: world.World, typed: str, why: str) -> None:
    said = ask("force", world.JAN, *GIVEN, typed=typed)
    assert said.code == 1
    assert why in said.complaint
    assert taken(people) == []
    forbidden = ask("forbid", world.JAN, *GIVEN, typed=typed)
    assert forbidden.code == 0
    assert why in forbidden.complaint


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        (["force", *GIVEN], ""),
        (["force", *GIVEN], f"customer {world.CUSTOMER}\n"),
        (["force", *GIVEN], f"customer {world.CUSTOMER}\n{world.EMAIL}\n"),
        (["force", *GIVEN], f"customer {world.CUSTOMER}\ncustomer {world.CUSTOMER}\n"),
        (["force", *GIVEN], f"customer {world.CUSTOMER}\n{world.EMAIL} email\n"),
        (["block", *GIVEN], f"email {world.EMAIL}{'x' * 5000}"),
        (["block", world.EMAIL, *GIVEN], ""),
        (["block", world.PHONE, *GIVEN], ""),
        (["block", world.JAN[:8], *GIVEN], ""),
        (["block", "0" * 16, *GIVEN], ""),
        (["block", "--yes"], f"email {world.EMAIL}"),
        (["block", "--why", "so"], f"email {world.EMAIL}"),
        (["withdraw", *GIVEN], ""),
        (["withdraw", "3", *GIVEN], ""),
    ],
)
def test_what_is_missing_or_not_as_it_should_be_writes_nothing(
    ask: Ask, people: world.World, arguments: list[str], typed: str
) -> None:
    said = ask(*arguments, typed=typed)
    assert said.code == 1
    assert said.err
    assert taken(people) == []


def test_a_text_of_two_lines_is_a_mistake(ask: Ask, people: world.World) -> None:
    said = ask("block", "--why", "one\ntwo", "--yes", typed=f"phone {world.SHARED}")
    assert said.code == 2
    assert "one line of text" in said.complaint
    assert taken(people) == []


def test_the_list_says_what_stands(ask: Ask, people: world.World) -> None:
    assert "No decisions have been taken" in ask("decisions").complaint
    ask("force", *GIVEN, typed=TWO)
    ask("block", "--why", "[bold]the desk's[/bold]", "--yes", typed=f"phone {world.SHARED}")
    ask("withdraw", "1", "--why", "was a namesake", "--yes")
    said = ask("decisions")
    assert said.code == 0
    assert f"customer {world.pseudonym(world.CUSTOMER)[:8]}… (person {world.JAN})" in said.words
    assert "no, see 3" in said.words and "[bold]the desk's[/bold] yes" in said.words
    listed = json.loads(ask("decisions", "--format", "json").out)
    assert [(one["number"], one["verb"], one["stands"]) for one in listed] == [
        (1, "force", False), (2, "block", True), (3, "withdraw", False),
    ]  # fmt: skip
    assert ask("withdraw", "1", *GIVEN).code == 1, "it stands no longer"


def test_a_damaged_file_is_told_and_left_alone(ask: Ask, people: world.World) -> None:
    (people.root / FILE).write_text("{\n", encoding="ascii")
    for command in (["decisions"], ["withdraw", "1", *GIVEN], ["block", world.JAN, *GIVEN]):
        said = ask(*command)
        assert said.code == 2
        assert f"{FILE}:1" in said.complaint
    assert (people.root / FILE).read_text(encoding="ascii") == "{\n"


@pytest.mark.parametrize("command", ["force", "forbid", "block", "withdraw", "decisions"])
def test_each_command_has_an_example_and_its_place_in_the_docs(ask: Ask, command: str) -> None:
    assert f"Example: klantspoor identity {command}" in ask(command, "--help").words
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    assert f"## `klantspoor identity {command}" in text


def test_at_a_terminal_everything_is_asked(ask: Ask, people: world.World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klantspoor.cli.asking.at_terminal", lambda: True)
    monkeypatch.setattr("klantspoor.cli.asking.hidden", lambda _: sys.stdin.readline().removesuffix("\n"))
    monkeypatch.setattr("klantspoor.cli.stewardship.at_terminal", lambda: True)
    answers = ["email", world.EMAIL, "email", world.STRANGER, "seen together", "Anna"]
    refused = ask("force", typed="\n".join([*answers, "n", ""]))
    assert refused.code == 1
    assert taken(people) == []
    said = ask("force", typed="\n".join([*answers, "y", ""]))
    assert said.code == 0, said.err
    [decision] = taken(people)
    assert (about(decision), decision.who) == ([known(world.EMAIL), known(world.STRANGER)], "Anna")
    assert ask("withdraw", typed="1\nmistaken\n\ny\n").code == 0
    assert taken(people)[1].who == getpass.getuser()


def test_a_real_terminal_never_shows_the_value(people: world.World) -> None:
    """On a pseudo-terminal, where whatever is typed would be echoed if the prompt did not hide it."""
    script = "from klantspoor.cli.main import app; app()"
    command = [sys.executable, "-c", script, "identity", "block", "--project", str(people.root)]
    ours, theirs = pty.openpty()
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=root, start_new_session=True)
    os.close(theirs)
    shown = ""
    try:
        for prompt, typed in (
            ("Type of identifier", "email"), ("Its value", world.STRANGER), ("Why", "an old one"), ("Who", "anna"),
            ("Write it?", "y"),
        ):  # fmt: skip
            shown = _until(ours, prompt, shown)
            os.write(ours, f"{typed}\n".encode())
        shown = _until(ours, "Written as decision 1", shown)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        os.close(ours)
    assert world.STRANGER not in shown
    assert "an old one" in shown, "what is not hidden is echoed"
    assert about(taken(people)[0]) == [known(world.STRANGER)]


def _until(terminal: int, text: str, shown: str) -> str:
    """What the terminal has shown, once it shows `text` after what it had shown before."""
    before, end = len(shown), time.monotonic() + 60
    while text not in shown[before:]:
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 4096).decode("utf-8", "replace")
    return shown

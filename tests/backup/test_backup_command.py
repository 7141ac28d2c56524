"""`klantspoor backup` and `restore`: what they say, and their exit codes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from klantspoor.cli.context import console, errors
from klantspoor.cli.main import app
from klantspoor.forget import forget, person_with, resume_all
from klantspoor.identity.typed import made_of
from tests.verify.verify_world import DAY, FIRST_NIGHT, Company

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    for stream in (console, errors):
        monkeypatch.setattr(stream, "width", 300)

    def run(*given: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, [str(one) for one in given])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, " ".join(result.output.split())

    return run


def test_a_back_up_and_the_one_after(company: Company, target: Path, command: Command) -> None:
    code, said = command("backup", target, "-p", company.root)
    assert code == 0
    assert f"Backed up to {target}: 3 files of the ledger, " in said
    assert "The key is not in it: keep a copy elsewhere" in said
    assert "The vault is in it" in said
    assert "Since" not in said
    shutil.rmtree(next(company.lake.ledger.glob("00000002-*")))
    code, said = command("backup", target, "-p", company.root, "--with-key")
    assert code == 0
    assert "Since the back-up before: 1 new, 0 replaced, 4 removed; 0 bytes copied." in said
    assert "does not hold 1 folder of the ledger any more, so they are gone here too: 00000002-" in said
    assert "The key is in it" in said
    assert "The key that was in it is removed" in command("backup", target, "-p", company.root)[1]


def test_checking(company: Company, target: Path, command: Command) -> None:
    assert command("backup", target, "--check")[0] == 1
    command("backup", target, "-p", company.root)
    (target / ".tmp-000002").mkdir()
    code, said = command("backup", target, "--check")
    assert code == 0
    assert "The back-up of Telephone company, made 20" in said
    assert ".tmp-000002 in it is of an interrupted run and counts for nothing" in said
    assert "Whole: " in said
    path = next(target.glob("*/ledger/*/events.parquet"))
    path.write_bytes(path.read_bytes() + b"x")
    code, said = command("backup", target, "--check")
    assert code == 1
    assert "Damaged: 1 of " in said
    assert "bytes instead of" in said


def test_what_is_refused(company: Company, target: Path, command: Command) -> None:
    assert command("backup", company.root / "in", "-p", company.root)[0] == 1
    with company.lake.open_run("night", FIRST_NIGHT + DAY):
        assert command("backup", target, "-p", company.root)[0] == 3
    command("backup", target, "-p", company.root)
    code, said = command("restore", target, "-p", company.root)
    assert code == 1
    assert "With --replace what is there is moved aside" in said
    with company.lake.open_run("night", FIRST_NIGHT + DAY):
        assert command("restore", target, "--replace", "-p", company.root)[0] == 3


def test_restoring_says_what_is_next(company: Company, target: Path, tmp_path: Path, command: Command) -> None:
    command("backup", target, "-p", company.root)
    new = tmp_path / "new"
    code, said = command("restore", target, "-p", new)
    assert code == 0
    assert f"3 files of the ledger in {new}/lake." in said
    for step in (
        "1. Bring the key for pseudonyms back: the project's is not there; it is not in this back-up.",
        "2. Was anybody forgotten after 20",
        f"3. Run a night: nothing is published until then. klantspoor run --project {new}",
    ):
        assert step in said
    assert "4." not in said


def test_restoring_over_what_is_there(company: Company, target: Path, command: Command) -> None:
    command("backup", target, "-p", company.root)
    person = person_with(company.version, made_of(company.project, "customer", "K7").identifier)
    receipt = forget(company.project, company.lake, person).id
    company.land_calls(40, 45, FIRST_NIGHT + DAY / 2)
    company.night(FIRST_NIGHT + DAY)
    resume_all(company.project, company.lake)
    (company.root / "journeys/moving.yaml").write_text((company.root / "journeys/moving.yaml").read_text() + "# new\n")
    code, said = command("restore", target, "-p", company.root, "--replace")
    assert code == 0, said
    assert "Files of the project that are not as the back-up has them, and were left: journeys/moving.yaml" in said
    assert f"1. Forget those again who were forgotten since the back-up, for they are back. Receipts: {receipt}" in said
    assert "2. See that the landing folder still has the 1 file read since the back-up" in said
    assert "3. Run a night" in said
    assert "4. Then remove " in said
    assert "Bring the key" not in said


@pytest.mark.parametrize("name", ["backup", "restore", "verify"])
def test_each_has_an_example_and_is_in_the_docs(name: str, command: Command) -> None:
    assert f"Example: klantspoor {name}" in command(name, "--help")[1]
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
    assert f"\n## `klantspoor {name}" in text


def test_a_key_of_another_ledger_is_told(company: Company, target: Path, command: Command) -> None:
    command("backup", target, "-p", company.root, "--with-key")
    (company.root / "pseudonym.key").write_text("another key, of sixteen bytes or more")
    code, said = command("restore", target, "-p", company.root, "--replace")
    assert code == 0
    assert f"the project's is another than the ledger was made with; it is in {target}" in said
    assert command("backup", target, "-p", company.root, "--with-key")[0] == 2


def test_an_interruption_is_told_by_nights(company: Company, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (company.root / "lake/restoring.json").write_text("{}")
    code, said = command("verify", "-p", company.root)
    assert code == 1
    assert "run the same `klantspoor restore` again" in said


def test_nothing_plain_is_said(company: Company, target: Path, tmp_path: Path, command: Command) -> None:
    calls: list[tuple[Any, ...]] = [
        ("backup", target, "-p", company.root, "--with-key"),
        ("backup", target, "--check"),
        ("restore", target, "-p", tmp_path / "new"),
    ]
    said = " ".join(command(*call)[1] for call in calls)
    assert not [word for word in ("K7", "example.org", "Name7", "5c5c") if word in said]

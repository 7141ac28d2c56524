"""`klantspoor verify`: what it says, its exit codes, and that it ends in order when it is asked to."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from klantspoor.cli.context import console, errors
from klantspoor.cli.main import app
from klantspoor.verify import rebuild
from tests.verify.test_verify import rewrite, set_cell
from tests.verify.verify_world import Company, found

Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return found(tmp_path_factory.mktemp("verify_command") / "company").root


@pytest.fixture
def company(first: Path, tmp_path: Path) -> Company:
    return Company(shutil.copytree(first, tmp_path / "company"))


@pytest.fixture
def command(company: Company, monkeypatch: pytest.MonkeyPatch) -> Command:
    for stream in (console, errors):
        monkeypatch.setattr(stream, "width", 200)

    def run(*given: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["verify", "--project", str(company.root), *given])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, " ".join(result.output.split())

    return run


def test_equal(command: Command) -> None:
    code, said = command()
    assert code == 0
    assert "Rebuilt version 000001, the night of 2026-04-01 02:00 UTC, from 3 files in " in said
    assert "Equal: 17 tables, " in said
    assert "events.known_person_id" in said


def test_different(company: Company, command: Command) -> None:
    rewrite(company, "waits", lambda rows: set_cell(rows, "seconds", 1))
    code, said = command()
    assert code == 1
    assert "Different: 1 of 17 tables." in said
    assert "waits: 1 row only in version 000001, 1 only in the rebuild; columns that differ: seconds (1)" in said
    assert "only in version 000001: journey_id " in said
    assert "only in the rebuild: journey_id " in said


def test_changed(company: Company, command: Command) -> None:
    (company.root / "sources/calls.yaml").touch()
    code, said = command()
    assert code == 1
    assert "Version 000001 cannot be made again" in said
    assert "sources/calls.yaml was changed" in said
    assert "Run a night, then verify." in said


def test_mistakes_in_the_project(company: Company, command: Command) -> None:
    (company.root / "klantspoor.yaml").write_text("name: [")
    assert command()[0] == 2


def test_a_folder_that_is_not_empty(company: Company, command: Command) -> None:
    code, said = command("--scratch", str(company.root))
    assert code == 1
    assert "give a new or empty folder" in said
    assert company.version.name == "000001"


@pytest.mark.parametrize("swallowed", [False, True])
def test_it_ends_in_order_when_it_is_asked_to(
    company: Company, command: Command, monkeypatch: pytest.MonkeyPatch, swallowed: bool
) -> None:
    """DuckDB, stopped in the middle of a query, makes an error of its own of it."""

    def killed(*given: Any) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except SystemExit:
            if swallowed:
                raise RuntimeError("Query interrupted") from None
            raise

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(rebuild, "build", killed)
    assert command()[0] == 128 + signal.SIGTERM
    assert not (company.lake.root / "verifying").exists()
    assert signal.getsignal(signal.SIGTERM) is before

"""A published tiny project, and the command line run on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from klantspoor.cli.context import console, errors
from tests.page.tiny_lake import publish


class Said:
    """What a command answered; white space of the wrapped output is single spaces in `words`."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        self.words = " ".join(out.split())
        self.complaint = " ".join(err.split())


Run = Callable[..., Said]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("cli") / "project")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command with nothing but its arguments."""
    from klantspoor.cli.main import app

    monkeypatch.delenv("KLANTSPOOR_PROJECT", raising=False)
    monkeypatch.setattr(console, "width", 120)
    monkeypatch.setattr(errors, "width", 120)

    def run(*arguments: object) -> Said:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def run(bare: Run, project: Path) -> Run:
    """Runs a command on the published project."""
    return lambda *arguments: bare(*arguments, "--project", project)

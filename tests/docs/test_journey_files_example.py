"""The worked example of docs/journey-files.md: it lints, a night makes of it what is shown, and mistakes are told as shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import example_project
import pytest
from documents import blocks, text
from typer.testing import CliRunner

from klantspoor.cli.context import console, errors
from klantspoor.cli.main import app
from klantspoor.project.load import load_project

PERSON = re.compile(r"\b[0-9a-f]{16}\b")
Say = Callable[..., str]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    """What a command says, without the spaces at the ends of lines."""
    for each in (console, errors):
        monkeypatch.setattr(each, "width", 110)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        return "\n".join(line.rstrip() for line in (result.stdout + result.stderr).strip().splitlines())

    return run


def shown(command: str) -> str:
    """The block that shows a command and what it says, without the command."""
    (block,) = [block for block in blocks(text("journey-files.md"), "") if block.startswith(f"$ klantspoor {command}")]
    return block.partition("\n")[2].strip()


def test_a_night_makes_of_it_what_is_shown(tmp_path: Path, say: Say) -> None:
    shop = example_project.write(tmp_path / "shop", without=("journeys/broken.yaml",))
    example_project.publish(load_project(shop))
    said = say("explain", "J23daf", "--project", str(shop))
    assert PERSON.sub("", said) == PERSON.sub("", shown("explain"))


def test_mistakes_are_told_as_shown(tmp_path: Path, say: Say) -> None:
    shop = example_project.write(tmp_path / "shop")
    assert say("lint", "--project", str(shop)) == shown("lint")

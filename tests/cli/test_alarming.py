"""`klantspoor alarm`: tries the alarm, and raises it when a version is overdue."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., object]


@pytest.fixture
def asked(project: Path, tmp_path: Path) -> Path:
    """A copy of the published project whose alarms a program writes into the file `told`."""
    copy = Path(shutil.copytree(project, tmp_path / "project", symlinks=True))
    program = tmp_path / "tell"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nopen({str(tmp_path / 'told')!r}, 'a').write(sys.stdin.read())\n"
    )
    program.chmod(0o755)
    with (copy / "klantspoor.yaml").open("a", encoding="utf-8") as file:
        file.write(f"\nalarms: {{command: ['{program}'], published_within: 2 hours}}\n")
    return copy


def told(asked: Path) -> str:
    path = asked.parent / "told"
    return path.read_text("utf-8") if path.exists() else ""


def test_it_tries_the_alarm(bare: Run, asked: Path) -> None:
    said = bare("alarm", "--test", "--project", str(asked))
    assert said.code == 0
    assert said.words == f"Told the command {asked.parent / 'tell'}."
    assert "this is a test of the alarm. Nothing is wrong." in told(asked)


def test_one_that_does_not_arrive_is_an_error(bare: Run, asked: Path) -> None:
    (asked.parent / "tell").unlink()
    said = bare("alarm", "--test", "--project", str(asked))
    assert said.code == 1
    assert "Could not tell the command" in said.complaint
    assert "No such file or directory" in said.complaint


def test_a_version_in_time_raises_none(bare: Run, asked: Path) -> None:
    said = bare("alarm", "--project", str(asked))
    assert (said.code, said.words) == (0, "No alarm: nothing is overdue.")
    assert told(asked) == ""


def test_a_version_that_is_overdue_raises_it(bare: Run, asked: Path) -> None:
    (manifest,) = (asked / "lake" / "versions").glob("*/manifest.json")
    text = manifest.read_text("utf-8")
    year = text.partition('"published_at": "')[2][:4]
    manifest.chmod(0o644)
    manifest.write_text(text.replace(f'"published_at": "{year}', '"published_at": "2020'), "utf-8")
    os.utime(manifest)
    said = bare("alarm", "--project", str(asked))
    assert said.code == 1
    assert "no version was published for 2 hours; the last is version 000001, published 2020-" in said.words
    assert "the last is version 000001" in told(asked)


def test_without_alarms_it_says_what_to_write(bare: Run, project: Path) -> None:
    said = bare("alarm", "--project", str(project))
    assert said.code == 1
    assert "has no `alarms`" in said.complaint

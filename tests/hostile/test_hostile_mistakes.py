"""A project file with any mistake: all mistakes at once, exit code 2, nothing touched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile import hostile_landing as landing
from tests.hostile.hostile_nights import ROOT, environment
from tests.hostile.hostile_project import write_project

JOB = [sys.executable, "-m", "pipelines.run"]
COMMANDS = {
    "job": JOB,
    "run": [sys.executable, "-c", "from klantspoor.cli.main import app; app()", "run"],
    "lint": [sys.executable, "-c", "from klantspoor.cli.main import app; app()", "lint"],
}


def make_spoilt(home: Path) -> None:
    """One mistake of each kind of file, and then some."""
    project = write_project(home / "project")
    landing.land(project / "landing", {"payments/day.csv": b"customer,paid_at,what\n"}, landing.FIRST)

    def change(name: str, old: str, new: str) -> None:
        text = (project / name).read_text("utf-8")
        assert old in text
        (project / name).write_text(text.replace(old, new, 1), "utf-8")

    change("klantspoor.yaml", "Europe/Amsterdam", "Europe/Amsterdm")
    change("sources/tickets.yaml", "contact_gap:", "contact_gapp:")
    change("sources/chats.yaml", "activity: what", "activity: whta")
    change("sources/orders.yaml", "customer || '-' || number", "(SELECT 1)")
    change("journeys/help.yaml", "id: asking", "id: tickets")
    (project / "sources" / "letters.yaml").write_text("source: [letters\n", "utf-8")
    # Text of a file that is put into messages must not act on a terminal.
    (project / "journeys" / "evil.yaml").write_text(
        'journey: "\\e[31mevil [red]x[/red]"\ntitle: Evil\nphases: []\n', "utf-8"
    )


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_all_mistakes_are_told_at_once_and_nothing_is_touched(command: list[str], tmp_path: Path) -> None:
    make_spoilt(tmp_path)
    env = environment(tmp_path) | {"COLUMNS": "200"}
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 2, done.stderr
    said = " ".join(done.stderr.split())
    for file, value in {
        "klantspoor.yaml": "Europe/Amsterdam",
        "sources/tickets.yaml": "contact_gap",
        "sources/chats.yaml": "what",
        "sources/orders.yaml": "subquery",
        "sources/letters.yaml": "",
        "journeys/help.yaml": "R1",
        "journeys/evil.yaml": "phases",
    }.items():
        assert file in said
        assert value in said, f"{file}: {said}"
    assert "\x1b" not in done.stderr + done.stdout
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert not (tmp_path / "project" / "lake").exists()
    assert not (tmp_path / "dagster").exists()


def _no_key(home: Path, env: dict[str, str]) -> None:
    del env["KLANTSPOOR_HOSTILE_KEY"]


def _no_project(home: Path, env: dict[str, str]) -> None:
    env["KLANTSPOOR_PROJECT"] = str(home / "nowhere")


@pytest.mark.parametrize("spoil", [_no_key, _no_project])
def test_what_the_night_needs_from_outside_is_looked_at_before_anything_is_touched(
    spoil: Callable[[Path, dict[str, str]], None], tmp_path: Path
) -> None:
    write_project(tmp_path / "project")
    env = dict(environment(tmp_path))
    spoil(tmp_path, env)
    done = subprocess.run(JOB, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert not os.path.lexists(tmp_path / "project" / "lake")

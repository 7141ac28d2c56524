"""Every command as a newcomer meets it: what it says, what it refuses, and with which exit code."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.page.tiny_lake import write_project

COMMANDS = (
    "init", "lint", "schemas", "demo", "run", "preview", "tables", "sql", "explain", "who", "export", "identity", "key",
    "versions", "upgrade",
)  # fmt: skip


def test_help_names_every_command_and_the_exit_codes(bare: Run) -> None:
    said = bare("--help")
    assert said.code == 0
    for command in COMMANDS:
        assert re.search(rf"│ {command} ", said.out), command
    assert "Exit codes: 0 done" in said.words


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_an_example(bare: Run, command: str) -> None:
    said = bare(command, "--help")
    assert said.code == 0
    example = "klantspoor " + command
    assert example in said.words or command == "schemas"


def test_the_docs_tell_of_every_command() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"## `klantspoor {command}" in text, command


def test_version(bare: Run) -> None:
    said = bare("--version")
    assert said.code == 0
    assert said.out.startswith("klantspoor")


def test_a_wrong_option_is_a_usage_error(bare: Run) -> None:
    assert bare("tables", "--nonsense").code == 2


def test_importing_the_command_line_is_light() -> None:
    heavy = ("pandas", "pm4py", "great_expectations", "dagster", "jinja2", "scipy")
    script = f"import sys, klantspoor.cli.main; print([m for m in {heavy!r} if m in sys.modules])"
    root = Path(__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# --- a project's own files ---


def test_init_makes_a_project_that_lints(bare: Run, tmp_path: Path) -> None:
    said = bare("init", tmp_path / "new")
    assert said.code == 0
    assert "klantspoor.yaml" in said.out
    assert "klantspoor lint --project" in said.words
    assert bare("lint", "--strict", "--project", tmp_path / "new").code == 0


def test_init_leaves_what_is_there_alone(bare: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    said = bare("init", tmp_path)
    assert said.code == 2
    assert "is not empty" in said.complaint
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_all_mistakes_are_told_at_once(bare: Run, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "project")
    journey = folder / "journeys" / "moving.yaml"
    text = journey.read_text(encoding="utf-8")
    journey.write_text(
        text.replace("gap: 60 days", "gap: 60").replace("Ik regel alles", "Call centre"), encoding="utf-8"
    )
    for command in (("lint",), ("tables",), ("sql", "select 1"), ("explain", "J123"), ("preview", "crm"), ("run",)):
        said = bare(*command, "--project", folder)
        assert said.code == 2, command
        assert "2 mistakes in the project's files" in said.complaint
        assert "cut.gap" in said.complaint and "phases[2].says" in said.complaint
        assert "Traceback" not in said.err


def test_warnings_fail_only_when_strict(bare: Run, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "project")
    journey = folder / "journeys" / "outage.yaml"
    text = journey.read_text(encoding="utf-8")
    journey.write_text(text.replace("I get it repaired", "Repairing the fault"), encoding="utf-8")
    said = bare("lint", "--project", folder)
    assert said.code == 0
    assert "1 warning" in said.words
    assert "warning: journeys/outage.yaml" in said.complaint
    assert bare("lint", "--strict", "--project", folder).code == 2


def test_without_a_project_the_way_out_is_named(bare: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = bare("tables")
    assert said.code == 2
    assert "klantspoor init DIR" in said.complaint


def test_schemas(bare: Run, tmp_path: Path) -> None:
    assert bare("schemas", tmp_path / "schemas").code == 0
    assert len(list((tmp_path / "schemas").glob("*.json"))) == 3


# --- nights and demos ---


def test_the_wheel_says_what_it_lacks(
    bare: Run, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klantspoor.cli.nightly.checkout", lambda: None)
    monkeypatch.setattr("klantspoor.cli.demo.checkout", lambda: None)
    for command in (("run", "--project", project), ("demo", tmp_path / "demo")):
        said = bare(*command)
        assert said.code == 1
        assert "the wheel holds the library alone" in said.complaint
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (3, 3), (-9, 1)])
def test_run_starts_the_job_of_the_checkout(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, expected: int
) -> None:
    started = {}

    def start(command: list[str], **more: object) -> subprocess.CompletedProcess[str]:
        started.update(more, command=command)
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr("klantspoor.cli.nightly.checkout", lambda: tmp_path)
    monkeypatch.setattr("klantspoor.cli.nightly.subprocess.run", start)
    job = [sys.executable, "-m", "pipelines.run"]
    assert run("run", "--anew").code == expected
    assert started["command"] == [*job, "--anew"]
    assert run("run", "--as-of", "2026-07-01T03:00+02:00").code == expected
    assert started["command"] == [*job, "--as-of", "2026-07-01T03:00:00+02:00"]
    assert started["cwd"] == tmp_path
    assert started["env"]["KLANTSPOOR_PROJECT"] == str(project)


@pytest.mark.parametrize("moment", ["yesterday", "2026-07-01T03:00"])
def test_run_wants_a_time_with_its_offset(run: Run, moment: str) -> None:
    said = run("run", "--as-of", moment)
    assert said.code == 2
    assert "ISO 8601" in said.complaint or "offset" in said.complaint


def test_demo_copies_its_configuration_and_simulates(
    bare: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "checkout"
    shutil.copytree(write_project(tmp_path / "source"), root / "simulation" / "project")
    (root / "simulation" / "project" / "key").unlink()
    (root / "simulation" / "__init__.py").write_text(
        "from types import SimpleNamespace\n"
        "def generate(out, *, customers, days, seed, end):\n"
        "    (out / 'truth').mkdir()\n"
        "    (out / 'truth' / 'asked').write_text(f'{customers} {days} {seed} {end}')\n"
        "    return SimpleNamespace(seconds=1.0)\n",
        encoding="utf-8",
    )
    monkeypatch.setattr("klantspoor.cli.demo.checkout", lambda: root)
    kept = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "simulation"}
    for name in kept:
        monkeypatch.delitem(sys.modules, name)
    try:
        said = bare("demo", tmp_path / "demo", "--customers", "7", "--days", "9", "--seed", "3", "--end", "2026-06-30")
    finally:
        sys.modules.pop("simulation", None)
        sys.modules.update(kept)
    assert said.code == 0, said.err
    assert (tmp_path / "demo" / "truth" / "asked").read_text() == "7 9 3 2026-06-30"
    assert (tmp_path / "demo" / "key").stat().st_mode & 0o777 == 0o600
    assert f"klantspoor run --project {tmp_path / 'demo'} --as-of 2026-07-01T03:00+02:00" in said.words
    again = bare("demo", tmp_path / "demo")
    assert again.code == 1
    assert "not empty" in again.complaint


# --- preview and export ---


def test_preview_shows_rows_events_and_the_rules_that_decided(run: Run) -> None:
    said = run("preview", "crm", "--rows", "6")
    assert said.code == 0, said.err
    assert "1001" not in said.out, "a personal value: only its shape"
    assert "customer 9999" in said.words
    assert "moving: phase 1, Ik kijk rond by phases[0].activities[0] 'Page viewed'" in said.words
    assert "moving turn: ours from here by turns.asks_us[0] 'Move reported'" in said.words
    assert "moving: an internal step by internal[0] 'Address checked'" in said.words
    assert "no journey type knows it" in said.words
    assert "phase 3, Ik regel alles or phase 4, Ik woon er: the first that is not before" in said.words
    assert "row 6 quarantined" in said.words and "unparsable_time in happened_at" in said.words


def test_preview_of_an_unknown_source(run: Run) -> None:
    said = run("preview", "crn")
    assert said.code == 1
    assert "Did you mean 'crm'?" in said.complaint


def test_export_writes_what_is_chosen(run: Run, tmp_path: Path) -> None:
    said = run("export", tmp_path / "moving.xes", "--journey", "moving", "--status", "completed", "--persona", "owner")
    assert said.code == 0, said.err
    assert re.search(r"Wrote .*moving.xes: \d+ journeys, \d+ events, of version 000001", said.words)
    assert (tmp_path / "moving.xes").read_text(encoding="utf-8").count("<trace>") == int(
        re.search(r"(\d+) journeys", said.words)[1]
    )


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("log.csv", "--journey", "moving"), 2, "must end in"),
        (("log.xes", "--journey", "movin"), 1, "Did you mean 'moving'?"),
        (("log.xes", "--journey", "moving", "--from", "soon"), 2, "soon"),
        (("log.xes", "--journey", "moving", "--from", "2031-01-01"), 1, "no journey"),
    ],
)
def test_export_refuses_clearly(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    said = run("export", tmp_path / arguments[0], *arguments[1:])
    assert said.code == code
    assert complaint in said.complaint
    assert list(tmp_path.iterdir()) == []

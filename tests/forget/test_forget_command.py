"""`klantspoor forget`: whom it takes, what it asks, and what it says; the night itself is a stand-in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from klantspoor.cli import forgetting
from klantspoor.cli.context import console, errors
from klantspoor.cli.main import app
from klantspoor.forget import pending
from tests.forget.forget_world import KEY, REQUESTED, World, make

LATER = REQUESTED + timedelta(hours=15)


class Desk:
    """Runs the command on a world; `night` is what the nightly job's exit code will be."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.night = 0
        self.nights = 0

    def start_night(self, folder: Path) -> int:
        assert folder == self.world.root
        self.nights += 1
        if self.night == 0:
            self.world.night(LATER + timedelta(hours=self.nights))
        return self.night

    def __call__(self, *arguments: str, typed: str | None = None) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["forget", *arguments, "--project", str(self.world.root)], input=typed)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, " ".join(result.output.split())


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    world = make(tmp_path)
    project = world.project
    for name, part in (("klantspoor", project.file), *((f"sources/{n}", s) for n, s in project.sources.items())):
        _write(tmp_path / f"{name}.yaml", part.model_dump(mode="json", exclude_none=True, exclude_defaults=True))
    for name, journey in project.journeys.items():
        _write(
            tmp_path / f"journeys/{name}.yaml",
            journey.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
        )
    world.night()
    made = Desk(world)
    monkeypatch.setattr(forgetting, "start_night", made.start_night)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    for stream in (console, errors):
        monkeypatch.setattr(stream, "width", 200)
    yield made


def _write(path: Path, values: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(values), "utf-8")


def test_by_the_beginning_of_an_id(desk: Desk) -> None:
    anna = desk.world.person("customer", "K1")
    code, said = desk(anna[:6], "--yes")
    assert code == 0, said
    assert "Erased: 10 rows of 4 files, 9 events." in said
    assert "orders-1.csv: 4 rows" in said
    assert "No trace is left. The receipt:" in said
    assert pending(desk.world.lake.root) == []
    assert desk(anna[:6], "--yes")[0] == 1


@pytest.mark.parametrize("typed", ["email anna@home.example\n", "customer  K1 \n", "email Anna@Home.example"])
def test_by_an_identifier_on_standard_input(desk: Desk, typed: str) -> None:
    code, said = desk("--yes", typed=typed)
    assert code == 0, said
    assert "anna@" not in said.lower()
    assert desk.world.rows("SELECT count(DISTINCT person_id) AS n FROM identities") == [{"n": 3}]


@pytest.mark.parametrize(
    ("arguments", "typed", "words"),
    [
        ([], "customer K1\n", "give --yes"),
        (["--yes"], "", "reads one line of"),
        (["--yes"], "K1\n", "reads one line of"),
        (["--yes"], "costumer K1\n", "not a type of identifier"),
        (["--yes"], "phone 0611111111\n", "Nobody in version 000001 has that phone"),
        (["anna@home.example", "--yes"], None, "not a person's id"),
        (["ffff", "--yes"], None, "No person has an id"),
        (["3f9c", "--resume"], None, "leave the person out"),
    ],
)
def test_what_cannot_be_done_changes_nothing(desk: Desk, arguments: list[str], typed: str | None, words: str) -> None:
    code, said = desk(*arguments, typed=typed)
    assert code == 1
    assert words in said
    assert not {"K1", "anna@home.example", "0611111111"} & set(said.replace("'", " ").split())
    assert desk.nights == 0
    assert not (desk.world.lake.ledger / "tombstones.parquet").exists()


def test_it_asks_before_it_begins(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    anna = desk.world.person("customer", "K1")
    terminal = type("Terminal", (), {"isatty": staticmethod(lambda: True)})
    monkeypatch.setattr(forgetting, "sys", type("System", (), {"stdin": terminal}))
    monkeypatch.setattr("klantspoor.cli.asking.at_terminal", lambda: True)
    monkeypatch.setattr("klantspoor.cli.asking.hidden", lambda _: sys.stdin.readline().removesuffix("\n"))
    code, said = desk(anna, typed="n\n")
    assert (code, desk.nights) == (1, 0)
    assert "9 events" not in said or "cannot be undone" in said
    assert "cannot be undone" in said
    code, said = desk(typed="email\nanna@home.example\ny\n")
    assert (code, desk.nights) == (0, 1), said
    assert "anna@home.example" not in said, "it is typed unseen"


def test_a_night_that_fails_can_be_mended(desk: Desk) -> None:
    desk.night = 1
    code, said = desk(desk.world.person("customer", "K1"), "--yes")
    assert code == 1
    assert "no version without them is published yet" in said
    assert len(pending(desk.world.lake.root)) == 1
    desk.night = 0
    code, said = desk("--resume")
    assert code == 0
    assert "No trace is left" in said
    assert desk("--resume")[1] == "Nothing to go on with: every request is done."


def test_traces_elsewhere_are_told(desk: Desk, tmp_path: Path) -> None:
    anna = desk.world.person("customer", "K1")
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "old.log").write_text(f"about {anna}")
    code, said = desk(anna, "--yes")
    assert code == 1
    assert "old.log" in said


def test_another_writer_is_waited_for(desk: Desk) -> None:
    anna = desk.world.person("customer", "K1")
    with desk.world.lake.open_run("other", LATER):
        assert desk(anna, "--yes")[0] == 3
    assert KEY not in desk(anna, "--yes")[1]

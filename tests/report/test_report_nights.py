"""Whole nights of a small project, one after another: what the report, the table `runs` and the command say of them."""

from __future__ import annotations

import email
import email.policy
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from klantspoor.cli.context import console, errors
from klantspoor.cli.main import app
from klantspoor.errors import LakeError
from klantspoor.lake import Version, open_lake
from klantspoor.lake.steps import measured
from klantspoor.night import night
from klantspoor.report import NightReport, last, terminal_lines
from tests.identity.whole_world import Row, Shop

FIRST = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)


class Nights:
    """A shop whose sources deliver every night: `log` 30 events of ten customers, all of the day before."""

    def __init__(self, folder: Path) -> None:
        self.shop = Shop(folder, {"customer": {"priority": 1}, "email": {"priority": 2}})
        self.as_of = FIRST
        self._landed = 0

    @property
    def project(self) -> Any:
        return self.shop.project

    def land(self, events: int = 30, source: str = "log") -> None:
        """A file for the coming night, landed an hour before it."""
        rows = [
            Row(f"{source}-{self._landed}-{n}", self.as_of - timedelta(hours=4, minutes=n), {"customer": f"10{n % 10}"})
            for n in range(events)
        ]
        self._landed += 1
        path = self.shop.land(source, rows)
        at = (self.as_of - timedelta(hours=1)).timestamp()
        os.utime(path, (at, at))

    def night(self) -> Version:
        """The coming night, and on to the next."""
        self.as_of += DAY
        lake = open_lake(self.project)
        return night(
            self.project, lake, self.as_of - DAY, run_id=f"night-{self._landed}-{self.as_of:%d}", with_pages=False
        )

    @property
    def report(self) -> NightReport:
        return last(open_lake(self.project).root, "UTC")[0]

    @property
    def lines(self) -> list[str]:
        return list(terminal_lines(self.report))


@pytest.fixture(scope="module")
def nine_nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    made = Nights(tmp_path_factory.mktemp("nine") / "shop")
    for _ in range(9):
        made.land()
        made.night()
    return made


@pytest.fixture
def nights(nine_nights: Nights, tmp_path: Path) -> Nights:
    """Nine nights that all were alike, to go on from."""
    copy = Nights(tmp_path / "shop")
    shutil.copytree(nine_nights.shop.folder, copy.shop.folder)
    copy.as_of, copy._landed, copy.shop.landed = nine_nights.as_of, nine_nights._landed, nine_nights.shop.landed
    return copy


@pytest.fixture
def command(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(console, "width", 200)
    monkeypatch.setattr(errors, "width", 200)
    return lambda *arguments: CliRunner().invoke(app, ["report", *arguments, "--project", str(nights.shop.folder)])


def runs(version: Version, query: str) -> list[tuple[Any, ...]]:
    with version.connect() as con:
        return con.execute(query).fetchall()


def test_a_night_like_those_before(nights: Nights) -> None:
    nights.land()
    version = nights.night()
    report = nights.report
    assert (report.outcome, report.version, report.before) == ("published", version.name, "000009")
    assert (report.files, report.rows, report.events) == (1, 30, 30)
    assert [finding.rule for finding in report.findings] == []
    assert report.complete_up_to == nights.as_of - DAY - timedelta(hours=4, minutes=1), "the newest event but one"
    assert report.held_back_by == "log"
    assert report.provisional_since == "2026-03"
    assert report.tables["events"] - report.tables_before["events"] == 30
    assert {step.step for step in report.steps} >= {
        "ledger",
        "identity",
        "events",
        "journeys",
        "freshness",
        "publication",
    }
    assert all(step.seconds is not None and step.memory_mb for step in report.steps)
    with version.connect() as con:
        (complete,) = con.execute("SELECT complete_up_to FROM freshness WHERE source = 'log'").fetchone() or ()
    assert complete == report.complete_up_to


def test_a_delivery_unlike_the_others_is_odd_in_the_report_and_in_the_table(nights: Nights) -> None:
    nights.land(events=90)
    version = nights.night()
    said = "log: 90 rows came; usual: 30 (last 8 deliveries)"
    assert f"  {said}" in nights.lines
    ((odd,),) = runs(version, "SELECT odd FROM runs WHERE step = 'ledger' ORDER BY started_at DESC LIMIT 1")
    assert odd == said
    nights.land(events=270)
    nights.night()
    since = f"{nights.as_of - 2 * DAY:%-d %b %Y}"
    assert f"  log: 270 rows came; usual: 30 (last 9 deliveries); since {since}" in nights.lines


def test_a_night_that_failed_is_reported_and_in_the_table_of_the_next(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: object) -> None:
        raise LakeError("the journey file contradicts itself")

    nights.land()
    with monkeypatch.context() as patched, pytest.raises(LakeError):
        patched.setattr("klantspoor.night.build_journeys", failing)
        nights.night()
    lines = nights.lines
    assert "Failed in step journeys: the journey file contradicts itself" in lines
    assert any(
        line.startswith("Not published: version 000009 of ") and "stays, complete up to" in line for line in lines
    )
    assert "Came in: 1 file, 30 rows, 30 events." in lines
    nights.land()
    version = nights.night()
    report = nights.report
    assert report.files == 2, "what came in since the version before"
    assert report.unfinished == (f"{nights.as_of - 2 * DAY:%a %-d %b %Y} 02:00 failed in journeys",)
    told = runs(
        version,
        """SELECT step::VARCHAR, step_status::VARCHAR, failure, rows_in, files_used FROM runs
           WHERE night_status = 'failed' ORDER BY started_at""",
    )
    assert told[0] == ("ledger", "done", None, 30, 1)
    assert told[-1] == ("journeys", "failed", "the journey file contradicts itself", None, None)


def test_a_night_that_failed_before_its_first_step_is_told(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise LakeError("the disk is too small")

    nights.land()
    with monkeypatch.context() as patched, pytest.raises(LakeError):
        patched.setattr("klantspoor.night._published", full)
        nights.night()
    assert "Failed: the disk is too small." in nights.lines
    nights.night()
    assert nights.report.unfinished == (f"{nights.as_of - 2 * DAY:%a %-d %b %Y} 02:00 failed in its beginning",)


def test_files_that_cannot_be_used_are_named(nights: Nights) -> None:
    nights.land()
    path = nights.shop.folder / "landing" / "desk" / "x.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("", "utf-8")
    os.utime(path, (nights.as_of.timestamp() - 60,) * 2)
    nights.night()
    assert [said for said in nights.report.unusable if said.startswith("desk/x.csv: ")]
    nights.land()
    nights.night()
    assert nights.report.unusable == (), "of tonight's files alone"


def test_activities_never_seen_before_are_told_once(nights: Nights) -> None:
    nights.land(events=4, source="desk")
    nights.night()
    assert nights.report.findings == (), "all of a source that is new is new"
    path = nights.shop.folder / "sources" / "desk.yaml"
    path.write_text(path.read_text("utf-8").replace("activity: '''seen'''", "activity: '''rung'''"), "utf-8")
    again = Nights(nights.shop.folder)
    again.as_of, again._landed, again.shop.landed = nights.as_of, nights._landed, nights.shop.landed
    again.shop._project = None
    from klantspoor.project.load import load_project

    again.shop._project = load_project(nights.shop.folder)
    again.land(events=4, source="desk")
    again.night()
    assert "  desk: an activity never seen before: rung (4 events)" in again.lines
    again.land(events=4, source="desk")
    again.night()
    assert "new_activities" not in [finding.rule for finding in again.report.findings]


def test_a_part_that_cannot_be_told_fails_no_night(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*arguments: object) -> None:
        raise OSError("the disk is odd")

    monkeypatch.setattr("klantspoor.report.gather.source_facts", damaged)
    nights.land()
    assert nights.night().name == "000010"
    assert nights.report.sources == ()
    assert nights.report.complete_up_to is not None


def test_the_command_tells_the_last_night(nights: Nights, command: Callable[..., Any]) -> None:
    said = command()
    assert said.exit_code == 0
    assert said.stdout.splitlines()[0] == f"Shop, the night of {nights.as_of - DAY:%a %-d %b %Y} 02:00"
    assert [line for line in said.stdout.splitlines() if line.startswith("Published: version 000009")]
    assert [line for line in said.stdout.splitlines() if line.startswith("Tables: ")]


def test_the_command_writes_a_mail(command: Callable[..., Any]) -> None:
    said = command("--mail")
    told = email.message_from_bytes(said.stdout_bytes, policy=email.policy.default)
    assert str(told["Subject"]).startswith("Shop: night of ")
    assert told.get_content_type() == "text/plain"
    assert told.get_content().startswith("The night of ")


def test_a_night_that_is_on_or_was_killed_is_said(nights: Nights, command: Callable[..., Any]) -> None:
    with open_lake(nights.project).open_run("killed", nights.as_of) as staging, measured(staging, "ledger"):
        said = command()
    assert "Published: version 000009" in said.stdout
    assert "is still on, or was stopped during ledger." in said.stderr


def test_before_the_first_night_there_is_nothing_to_tell(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "new", {"customer": {"priority": 1}})
    assert shop.project
    said = CliRunner().invoke(app, ["report", "--project", str(shop.folder)])
    assert said.exit_code == 1
    assert "no night has been reported yet" in " ".join(said.stderr.split())

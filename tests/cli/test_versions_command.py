"""`klantspoor versions` and `klantspoor upgrade`, as one sees them."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from klantspoor.dictionary import TABLES
from klantspoor.lake import Lake, open_lake
from klantspoor.lake.comparing import TableDifference
from klantspoor.lake.comparison import Comparison, FigureChange
from klantspoor.project.load import load_project
from tests.cli.conftest import Run, Said
from tests.page import tiny_tables as tiny

LATER = tiny.AS_OF + timedelta(days=1)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """The tiny project with a second version, in which one contact of one month is one more."""
    folder = tmp_path_factory.mktemp("versions") / "project"
    shutil.copytree(project, folder)
    tables = tiny.make_tables()
    rows = tables["journey_map"].to_pylist()
    changed = min(
        (row for row in rows if row["month"]), key=lambda row: [str(row[name]) for name in TABLES["journey_map"].key]
    )
    changed["touchpoints"] += 1
    tables["journey_map"] = pa.Table.from_pylist(rows, tables["journey_map"].schema)
    lake = Lake(folder / "lake", timezone="Europe/Amsterdam", memory_mb=300)
    with lake.open_run("second", LATER) as staging:
        for name, table in tables.items():
            staging.write(name, table)
        lake.publish(staging)
    return folder


@pytest.fixture
def folder(tmp_path: Path, two: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(two, tmp_path / "project"))


def call(bare: Run, folder: Path, *arguments: object) -> Said:
    return bare(*arguments, "--project", folder)


def test_the_list(bare: Run, two: Path) -> None:
    said = call(bare, two, "versions")
    assert said.code == 0
    newest, oldest = said.words.split("000001")
    assert newest.startswith(f"000002 current as of {LATER.astimezone(UTC):%Y-%m-%d %H:%M}, published")
    assert "40 journeys" not in newest
    assert "43 journeys" in newest
    assert oldest.startswith(" earlier, was current until")
    assert "its own" in oldest
    assert "free on disk when a version goes" in said.complaint


@pytest.mark.parametrize(
    ("free", "told"), [(10**12, "1.0 TB are free."), (90 * 10**6, "That is near"), (10**6, "1.0 MB are free.")]
)
def test_the_list_tells_what_the_next_night_needs(
    bare: Run, two: Path, monkeypatch: pytest.MonkeyPatch, free: int, told: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 0, free))  # type: ignore[attr-defined]
    said = call(bare, two, "versions")
    assert re.search(r"The next night needs about \d+ MB on the disk of the lake", said.words)
    assert told in said.words
    assert ("near" in said.words) == (told == "That is near")


def test_the_list_as_json(bare: Run, two: Path) -> None:
    found = json.loads(call(bare, two, "versions", "--format", "json").out)
    told = [(one["name"], one["state"], one["pin"]) for one in found]
    assert told == [("000002", "current", None), ("000001", "earlier", None)]
    assert found[0]["made"]["rows"]["journeys"] == 43
    assert found[0]["own"] > 0
    assert datetime.fromisoformat(found[1]["until"]).tzinfo is not None


def test_before_anything_is_published(bare: Run, folder: Path) -> None:
    shutil.rmtree(folder / "lake")
    said = call(bare, folder, "versions")
    assert (said.code, said.out) == (0, "")
    assert "Nothing has been published yet" in said.complaint
    assert json.loads(call(bare, folder, "versions", "-f", "json").out) == []
    for command in (("versions", "compare", "1", "2"), ("versions", "rollback", "1", "--yes"), ("upgrade",)):
        assert call(bare, folder, *command).code == 1
    assert not (folder / "lake").exists()


def test_a_damaged_version_is_listed(bare: Run, folder: Path) -> None:
    (folder / "lake" / "versions" / "000001" / "manifest.json").write_text("{")
    said = call(bare, folder, "versions")
    assert said.code == 0
    assert "damaged: its manifest cannot be read" in said.words


def test_what_differs(bare: Run, two: Path) -> None:
    said = call(bare, two, "versions", "compare", "1", "000002")
    assert said.code == 0
    rows = len(tiny.make_tables()["journey_map"])
    assert f"journey_map {rows} {rows} 0 0 1 touchpoints 1" in said.words
    assert f"{len(TABLES) - 1} other tables" in said.complaint
    assert "1 rows differ of months that are over, 0 of provisional ones" in said.words
    [change] = json.loads(call(bare, two, "versions", "compare", "1", "2", "-f", "json").out)["figures"]
    before, after = change["figures"]["touchpoints"]
    assert after == before + 1
    assert f"month {change['key']['month']}" in said.words
    assert f"touchpoints {before} → {after}" in said.words
    assert "No row differs." in call(bare, two, "versions", "compare", "2", "2").words
    assert "Did you" not in call(bare, two, "versions", "compare", "1", "7").complaint


def test_going_back(bare: Run, folder: Path) -> None:
    asked = call(bare, folder, "versions", "rollback", "1")
    assert asked.code == 1
    assert "Nobody can be asked" in asked.complaint
    assert f"Current is version 000002, as of {LATER.astimezone(UTC).isoformat()}." in asked.words
    said = call(bare, folder, "versions", "rollback", "1", "--yes")
    assert said.code == 0
    assert "Version 000001 is the current one." in said.words
    assert "000002 set aside" in call(bare, folder, "versions").words
    assert "already" in call(bare, folder, "versions", "rollback", "1", "--yes").complaint


def test_going_back_while_a_night_runs(bare: Run, folder: Path) -> None:
    with open_lake(load_project(folder)).open_run("night", LATER):
        for command in (("versions", "rollback", "1", "--yes"),):
            said = call(bare, folder, *command)
            assert said.code == 3
            assert "night" in said.complaint


def test_a_pin_shows_and_cannot_drive_the_terminal(bare: Run, folder: Path) -> None:
    said = call(bare, folder, "versions", "pin", "1", "--days", "30", "--why", "the [bold]yearly[/bold] report")
    assert said.code == 0
    until = datetime.now(UTC) + timedelta(days=30)
    assert f"Version 000001 is kept until {until:%Y-%m-%d}" in said.words
    assert "the [bold]yearly[/bold] report" in call(bare, folder, "versions").words
    assert call(bare, folder, "versions", "pin", "1", "--days", "3", "--why", "\x1b[31mred").code == 1
    assert "no longer pinned" in call(bare, folder, "versions", "unpin", "1").words
    assert "is not pinned" in call(bare, folder, "versions", "unpin", "1").words
    assert call(bare, folder, "versions", "pin", "1", "--days", "0", "--why", "x").code == 2


def test_a_version_that_is_to_go_says_so(bare: Run, folder: Path) -> None:
    open_lake(load_project(folder)).drop_versions(["000001"], datetime(2030, 1, 1, tzinfo=UTC))
    assert "goes after 2030-01-01 00:00 UTC" in call(bare, folder, "versions").words


# --- upgrade ---


def test_nothing_to_accept(bare: Run, two: Path) -> None:
    said = call(bare, two, "upgrade")
    assert said.code == 0
    assert "Nothing to accept: version 000002 was made by klantspoor" in said.words


@pytest.fixture
def other_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klantspoor.lake.upgrading.software", lambda: "7.0.0")


@pytest.mark.usefixtures("other_release")
def test_an_upgrade_is_told_tried_out_and_accepted(bare: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = {"journey_type": "moving", "persona": None, "month": "2026-03", "phase": "reporting"}
    change = FigureChange(
        "journey_map", key, "changed", False, {"wait_median_hours": (1.5, 1.5000000001), "visits": (None, 3)}
    )
    table = TableDifference("journey_map", 5, 6, added=1, changed=1, columns={"visits": 1}, new_columns=("mood",))
    found = Comparison("version 000002", "run upgrade", (table,), (change,), 1, 4)
    monkeypatch.setattr("klantspoor.upgrade.try_out", lambda *_: found)
    said = call(bare, folder, "upgrade")
    assert said.code == 0
    assert "this is 7.0.0" in said.words
    assert "The same tables and columns." in said.words
    assert "journey_map 5 6 1 0 1 visits 1, new: mood" in said.words
    assert "journey_map: journey_type moving, month 2026-03, phase reporting" in said.words
    assert "wait_median_hours 1.5 → 1.5000000001, visits – → 3" in said.words
    assert said.words.endswith("Until it is accepted, nights refuse. To accept it: klantspoor upgrade --yes")
    quick = call(bare, folder, "upgrade", "--quick")
    assert "journey_map" not in quick.words
    assert "Accepted." in call(bare, folder, "upgrade", "--yes").words
    with open_lake(load_project(folder)).open_run("night", LATER) as staging:
        assert staging.is_open


@pytest.mark.usefixtures("other_release")
def test_an_upgrade_waits_for_no_night(bare: Run, folder: Path) -> None:
    with open_lake(load_project(folder)).writing("night"):
        said = call(bare, folder, "upgrade", "--yes")
    assert said.code == 3
    assert "night" in said.complaint


def test_columns_that_change_are_listed(bare: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folder / "lake" / "versions" / "000002" / "waits")
    monkeypatch.setattr("klantspoor.lake.upgrading.dictionary_fingerprint", lambda: "another")
    said = call(bare, folder, "upgrade", "--quick")
    assert said.code == 0
    assert "waits – table" in said.words

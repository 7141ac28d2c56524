"""The house's own rules, as tests, so that nobody has to remember them."""

from __future__ import annotations

import ast
import re
import subprocess
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from klantspoor.dictionary import COLUMNS, LAYERS, TABLES
from klantspoor.dictionary.docs import page

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = sorted((ROOT / "klantspoor").rglob("*.py"))
APPLICATION = ("assets", "pipelines", "expectations", "simulation", "notebooks", "bench")

# A room may import the rooms listed with it: data flows one way.
ROOMS = {
    "errors": set(),
    "dictionary": set(),
    "project": {"errors"},
    "lake": {"errors", "dictionary", "project"},
    "intake": {"errors", "dictionary", "project", "lake"},
    "identity": {"errors", "dictionary", "project", "lake", "intake", "linkage"},
    "linkage": {"errors", "dictionary", "project", "lake"},
    "rotation": {"errors", "dictionary", "project", "lake", "intake", "identity"},
    "journeys": {"errors", "dictionary", "project", "lake"},
    "events": {"errors", "dictionary", "project", "lake", "intake", "identity", "journeys"},
    "forget": {"errors", "dictionary", "project", "lake", "intake", "identity"},
    "marts": {"errors", "dictionary", "project", "lake", "journeys"},
    "restatements": {"errors", "dictionary", "project", "lake", "marts"},
    "mining": {"errors", "dictionary", "project", "lake", "marts"},
    "page": {"errors", "dictionary", "project", "lake", "marts"},
    "alarm": {"errors", "project", "lake"},
    "report": {"errors", "dictionary", "project", "lake", "intake", "marts"},
    "night": {
        "errors", "dictionary", "project", "lake", "intake", "identity", "events", "forget", "journeys", "marts", "mining",
        "page", "report",
        "restatements",
    },
    "verify": {"errors", "dictionary", "project", "lake", "intake", "identity", "night"},
    "upgrade": {"errors", "dictionary", "project", "lake", "intake", "night", "verify"},
    "backup": {"errors", "dictionary", "project", "lake", "intake", "forget"},
}  # fmt: skip


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def tracked() -> list[Path]:
    found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in found.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_knows_no_orchestrator_and_no_application(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & {"dagster", "great_expectations", "pickle", *APPLICATION}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_knows_only_the_rooms_before_it(room: str) -> None:
    home = ROOT / "klantspoor" / room
    files = home.rglob("*.py") if home.is_dir() else [home.with_suffix(".py")]
    known = {
        name.split(".")[1] for path in files for name in imports(path) if name.startswith("klantspoor.")
    } - {room}  # fmt: skip
    assert known <= ROOMS[room]


def test_every_room_is_listed() -> None:
    there = {p.stem for p in (ROOT / "klantspoor").iterdir() if p.name != "__pycache__" and p.stem != "__init__"}
    assert there == {*ROOMS, "cli"}


def test_the_simulation_knows_nothing_of_the_library() -> None:
    files = (ROOT / "simulation").rglob("*.py")
    assert not [p for p in files if any(name.split(".")[0] == "klantspoor" for name in imports(p))]


def test_every_column_is_used_and_described() -> None:
    used = {column.description for table in TABLES.values() for column in table.columns}
    assert [name for name, column in COLUMNS.items() if column.description not in used] == []
    assert all(column.description for column in COLUMNS.values())


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_a_grain_a_key_and_meaningful_nulls(name: str) -> None:
    table = TABLES[name]
    assert table.layer in LAYERS
    assert table.grain.startswith("one ")
    assert table.key
    assert {*table.key, *table.order, *table.nulls} <= set(table.names)
    assert max(Counter(table.names).values()) == 1
    assert all(table.nulls.values())
    # What a mart rolls up is null in its key, and says so; nothing else in a key is.
    assert table.layer == "marts" or not set(table.key) & set(table.nulls)


def test_the_tables_page_is_made_from_the_dictionary() -> None:
    assert (ROOT / "docs" / "tables.md").read_text(encoding="utf-8") == page(), "run `make docs`"


def test_the_lock_names_no_host_and_pins_everything() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if "://" in line or line.startswith("--")]
    pinned = [line for line in lines if re.match(r"^[a-z0-9]", line)]
    assert len(pinned) > 100
    assert all(re.match(r"^[a-z0-9._-]+(\[[a-z0-9,-]+\])?==[^ ]+ (; .* )?\\$", line) for line in pinned)


def test_no_tracked_file_names_a_machine_path_or_an_index() -> None:
    # Put together here, so that this file does not name what it looks for.
    folders, options = "|".join(("work", "root", "home")), "|".join(("index-url", "extra-index-url", "find-links"))
    wanted = re.compile(rf"(^|[\s\"'=(])/({folders})/|--({options})\b")
    named = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".yml", ".lock", ".ipynb", ""} and path.name != "LICENSE"
        and wanted.search(path.read_text(encoding="utf-8", errors="replace"))
    ]  # fmt: skip
    assert named == []


def test_the_wheel_holds_the_library_alone(tmp_path: Path) -> None:
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"klantspoor"}
    assert any(name.startswith("klantspoor/page/templates/") for name in names)
    assert any(name.startswith("klantspoor/project/templates/") for name in names)

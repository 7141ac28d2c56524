"""Hostile texts in every field that is carried as it is: text everywhere, harmless everywhere."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

from klantspoor.cli.context import console
from klantspoor.cli.main import app
from klantspoor.dictionary import TABLES
from klantspoor.marts import MARTS
from tests.hostile.hostile_landing import EVIL_NAME, SECOND, land, second_night
from tests.hostile.hostile_nights import Night, environment
from tests.hostile.hostile_project import write_project
from tests.hostile.hostile_rows import HOSTILE, LONG

# What a terminal obeys, or what turns text round; a line end is none.
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
TEXTS = sorted({*HOSTILE, "nul \x00 inside", "pair \U0001f9e8", "tab\tand \x1b[2J"})
Ask = Callable[..., str]


@pytest.fixture
def ask(bad_night: Night, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """A command on the published project; what it said, on both streams."""
    monkeypatch.setattr(console, "width", 160)

    def run(*arguments: object, project: Path = bad_night.project) -> str:
        result: Result = CliRunner().invoke(app, [*map(str, arguments), "--project", str(project)])
        assert result.exit_code == 0, result.output
        return result.output

    return run


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:16]))
def test_tables_carry_the_text_unchanged(text: str, bad_night: Night) -> None:
    def count(sql: str) -> int:
        return int(bad_night.connection.execute(sql, [text]).fetchall()[0][0])

    assert count("SELECT count(*) FROM events WHERE activity = ?") == 1
    assert count("SELECT count(*) FROM touchpoints WHERE activity = ? AND phase IN ('asking', 'talking')") == 1
    assert count("SELECT count(*) FROM coverage WHERE activity = ? AND role = 'phase'") == 1
    assert count('SELECT count(*) FROM variants WHERE list_contains("sequence", ?)') >= 1
    if text in HOSTILE:
        assert count("SELECT count(*) FROM directly_follows WHERE from_step = ? AND to_step = 'Answered'") == 1
        assert count("SELECT count(*) FROM bottlenecks WHERE from_step = ? AND to_step = 'Answered'") >= 1
        everywhere = "channel = $1 AND team = $1 AND topic = $1 AND attributes->>'$.happy' = $1"
        assert count(f"SELECT count(*) FROM events WHERE {everywhere}") == 1
        assert count("SELECT count(*) FROM journeys WHERE persona = ?") == 1
        assert count("SELECT count(*) FROM journey_map WHERE persona = ?") >= 1


def test_half_a_character_is_quarantined_not_mangled(bad_night: Night) -> None:
    rows = bad_night.rows("SELECT row_number, reason FROM quarantine WHERE file = 'chats/escapes.jsonl'")
    assert rows == [{"row_number": 2, "reason": "malformed_row"}]


class Page(HTMLParser):
    """Tags with their attributes, and the text outside style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.styles: list[str] = []
        self._in_style = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        (self.styles if self._in_style else self.texts).append(data)

    def handle_decl(self, decl: str) -> None:
        assert decl.lower() == "doctype html"


ACTIVE = {"script", "iframe", "object", "embed", "img", "image", "form", "input", "link", "base", "video", "audio"}


@pytest.mark.parametrize("name", ["help.html", "index.html"])
def test_pages_hold_no_active_content_and_reach_for_nothing(name: str, bad_night: Night) -> None:
    page = Page((bad_night.version.root / "pages" / name).read_text("utf-8"))
    assert not {tag for tag, _ in page.tags} & ACTIVE
    for tag, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on")], tag
        for key in ("href", "src", "action", "xlink:href", "data", "srcset"):
            assert re.fullmatch(r"(#[\w-]+|[\w-]+\.html)?", attributes.get(key) or ""), attributes
        assert "url(" not in (attributes.get("style") or "")
        assert (tag, attributes.get("http-equiv")) != ("meta", "refresh")
    assert not re.search(r"@import|url\((?!#\w+\))", "".join(page.styles))
    said = "".join(page.texts)
    assert not OBEYED.search(said), "what reorders or hides is not in the page as it is"
    if name == "help.html":
        shown = [text for text in HOSTILE if text in said]
        assert {"<script>alert(1)</script>", "{{7*7}}{% raw %}", '"><img src=x onerror=alert(1)>'} <= set(shown)
        assert LONG not in said, "long texts are shortened"


def test_models_are_well_formed_xml(bad_night: Night) -> None:
    files = sorted((bad_night.version.root / "models").rglob("*.*"))
    xml = [path for path in files if path.suffix in {".bpmn", ".pnml"}]
    assert {path.suffix for path in xml} == {".bpmn", ".pnml"}
    labels = set()
    for path in xml:
        assert b"<!DOCTYPE" not in path.read_bytes()
        root = ET.fromstring(path.read_text("utf-8"))  # noqa: S314 - our own file, without a document type
        labels |= {name for element in root.iter() for name in (element.get("name"), element.text) if name}
    assert "<script>alert(1)</script>" in labels
    assert {path.name for path in files} == {path.name for path in files if re.fullmatch(r"[\w.-]+", path.name)}


def test_the_exported_log_is_read_back_with_the_same_counts(ask: Ask, bad_night: Night, tmp_path: Path) -> None:
    counts = bad_night.rows("SELECT count(*) AS n, count(DISTINCT journey_id) AS journeys FROM touchpoints")[0]
    said = ask("export", tmp_path / "log.xes", "--journey", "help")
    assert f"{counts['journeys']} journeys" in said
    root = ET.parse(tmp_path / "log.xes").getroot()  # noqa: S314 - our own file
    local = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert local.count("trace") == counts["journeys"]
    assert local.count("event") >= counts["n"]
    values = {element.get("value") for element in root.iter()}
    for text in TEXTS:
        shown = text.translate({code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421})
        assert shown in values, repr(text[:40])


@pytest.mark.parametrize("ending", ["jsonocel", "xmlocel", "sqlite"])
def test_object_logs_are_well_formed(ending: str, ask: Ask, tmp_path: Path) -> None:
    out = tmp_path / f"log.{ending}"
    ask("export", out, "--journey", "help")
    if ending == "jsonocel":
        assert json.loads(out.read_text("utf-8"))["events"]
    elif ending == "xmlocel":
        assert b"<!DOCTYPE" not in out.read_bytes()
        assert ET.parse(out).getroot().find("events") is not None  # noqa: S314 - our own file
    else:
        with sqlite3.connect(out) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("SELECT count(*) FROM event").fetchall()[0][0] > 0


def test_csv_cells_are_no_formulas(ask: Ask, bad_night: Night) -> None:
    said = ask(
        "sql", "SELECT activity, channel, attributes FROM events ORDER BY event_id", "--format", "csv", "--limit", "0"
    )
    cells = list(csv.reader(io.StringIO(said, newline="")))
    assert len(cells) == 1 + bad_night.version.manifest["tables"]["events"]
    for row in cells:
        assert len(row) == 3
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    activities = {row[0] for row in cells}
    for text in HOSTILE:
        guarded = f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
        if not OBEYED.search(text):
            assert guarded in activities, repr(text[:40])
    assert not OBEYED.search(said)


@pytest.mark.parametrize("form", ["table", "json"])
def test_what_sql_prints_is_obeyed_by_no_terminal(form: str, ask: Ask) -> None:
    said = ask("sql", "SELECT activity FROM events ORDER BY event_id", "--format", form, "--limit", "0")
    assert not OBEYED.search(said)
    assert "[red]markup[/red]" in said, "not read as markup"
    if form == "json":
        assert set(HOSTILE) <= {row["activity"] for row in json.loads(said)}


def test_an_sql_fragment_reaches_no_statement(ask: Ask, bad_night: Night) -> None:
    assert bad_night.version.manifest["tables"]["events"] > 0
    said = ask("sql", "SELECT count(*) FROM events WHERE activity = '''; DROP TABLE events;--'", "--format", "csv")
    assert said.splitlines()[1] == "1"


def test_explain_shows_every_customers_path_harmlessly(ask: Ask, bad_night: Night) -> None:
    telling = (
        "<script>alert(1)</script>",
        "{{7*7}}{% raw %}",
        LONG,
        *(text for text in HOSTILE if "[" in text or OBEYED.search(text)),
    )
    marks = ", ".join("?" * len(telling))
    query = f"SELECT DISTINCT person_id FROM events WHERE activity IN ({marks})"
    people = bad_night.connection.execute(query, telling).fetchall()
    assert len(people) == len(telling)
    said = "".join(ask("explain", person, "--events") for (person,) in people)
    assert not OBEYED.search(said)
    assert "<script>alert(1)</script>" in said
    assert "[red]markup" in said
    assert "{{7*7}}" in said
    assert LONG not in said


@pytest.mark.parametrize(
    ("source", "file"), [("tickets", "tickets/hostile.csv"), ("chats", "chats/escapes.jsonl")], ids=["csv", "jsonl"]
)
def test_preview_shows_rows_harmlessly(source: str, file: str, ask: Ask, tmp_path: Path) -> None:
    write_project(tmp_path)
    land(tmp_path / "landing", {file: second_night()[file]}, SECOND)
    said = ask("preview", source, "--rows", 50, project=tmp_path)
    assert not OBEYED.search(said)
    if source == "tickets":
        assert "<script>alert(1)</script>" in said
        assert "[red]markup" in said
    else:
        assert "malformed_row" in said
    assert not (tmp_path / "lake").exists(), "preview writes nothing"


def test_tables_lists_what_was_published(ask: Ask) -> None:
    said = ask("tables")
    assert all(name in said for name in TABLES)
    assert not OBEYED.search(said)


def test_dagsters_metadata_is_harmless(bad_night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(bad_night.home).items():
        monkeypatch.setenv(name, value)
    told: list[Any] = []
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        for record in instance.get_records_for_run(run.run_id).records:
            event = record.event_log_entry.dagster_event
            if event is not None and event.is_step_materialization:
                told.append(
                    (event.asset_key.to_user_string(), event.step_materialization_data.materialization.metadata)
                )
    previews = {asset: metadata["preview"].value for asset, metadata in told if "preview" in metadata}
    assert set(previews) == set(MARTS)
    for asset, text in previews.items():
        assert not set("<`[\x1b") & set(text), f"{asset}: what Markdown or HTML would act on"
        columns = len(TABLES[asset].names)
        assert all(line.count("|") == columns + 1 for line in text.splitlines()), asset
    assert "&#91;2J" in previews["coverage"], "an escape code without its escape, and as text"
    files = next(metadata for asset, metadata in told if asset == "ledger")["quarantined files"].value
    assert any("onerror" in file for file in files), "lists are shown as JSON, which is text"


def test_a_hostile_file_name_is_text_too(bad_night: Night) -> None:
    query = "SELECT count(*) FROM intake WHERE file = ?"
    found = bad_night.connection.execute(query, [f"tickets/{EVIL_NAME}"]).fetchall()
    assert found == [(1,)]
    assert "\x1b" not in bad_night.out
    # The end of a run lists but the first few unusable files, by source.
    named = [line for line in bad_night.summary if "evil" in line]
    assert all("?[2J?'; DROP" in line for line in named), "one line, and nothing that a terminal obeys"

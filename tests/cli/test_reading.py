"""`tables`, `sql` and `explain` on a published version: right, harmless, and readable."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from klantspoor.cli.explain import _CAUSES, _TURNS, JOINED_BY
from klantspoor.dictionary import TABLES
from klantspoor.dictionary import columns as values
from tests.cli.conftest import Run
from tests.page import tiny_project as config
from tests.page import tiny_tables as tiny
from tests.page.tiny_lake import write_project


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return tiny.make_tables()


@pytest.fixture(scope="module")
def journeys(tables: dict[str, pa.Table]) -> list[dict[str, Any]]:
    rows = [row for row in tables["journeys"].to_pylist() if row["journey_type"] == "moving"]
    return sorted(rows, key=lambda row: row["started_at"])


# --- tables ---


def test_tables_lists_all_with_their_grain_and_rows(run: Run, tables: dict[str, pa.Table]) -> None:
    said = run("tables")
    assert said.code == 0
    for name, table in TABLES.items():
        assert re.search(rf"^{name} +{len(tables[name])} ", said.out, re.MULTILINE), name
        assert " ".join(table.grain.split()[:6]) in said.words
    assert "Version 000001" in said.complaint


def test_tables_explains_every_column_of_one(run: Run) -> None:
    said = run("tables", "waits")
    assert said.code == 0
    for column in TABLES["waits"].columns:
        assert column.name in said.out
    assert "one of: organisation, partner, customer, nobody, undetermined" in said.words
    assert "empty: no internal step explains it" in said.words


def test_tables_names_the_nearest(run: Run) -> None:
    said = run("tables", "wait")
    assert said.code == 1
    assert "Did you mean 'waits'?" in said.complaint


def test_before_anything_is_published(bare: Run, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "project")
    listed = bare("tables", "--project", folder)
    assert listed.code == 0
    assert "Nothing has been published yet" in listed.complaint
    for command in (("sql", "select 1"), ("explain", "J123"), ("export", tmp_path / "a.xes", "-j", "moving")):
        said = bare(*command, "--project", folder)
        assert said.code == 1
        assert said.complaint == "Error: Nothing has been published yet. Start the nightly job with: klantspoor run"


# --- sql ---


def test_sql_gives_the_same_rows_in_every_form(run: Run) -> None:
    query = "SELECT journey_type, count(*) AS journeys FROM journeys GROUP BY ALL ORDER BY 1"
    assert "moving 40 outage 3 2 rows" in run("sql", query).words
    assert list(csv.reader(io.StringIO(run("sql", query, "--format", "csv").out))) == [
        ["journey_type", "journeys"],
        ["moving", "40"],
        ["outage", "3"],
    ]
    assert json.loads(run("sql", query, "--format", "json").out) == [
        {"journey_type": "moving", "journeys": 40},
        {"journey_type": "outage", "journeys": 3},
    ]


def test_sql_stops_at_the_limit_and_says_so(run: Run) -> None:
    said = run("sql", "FROM range(5)", "--limit", "2", "--format", "csv")
    assert said.out.split() == ["range", "0", "1"]
    assert "--limit 0 gives all" in said.complaint
    everything = run("sql", "FROM range(2500)", "--limit", "0", "--format", "csv")
    assert len(everything.out.split()) == 2501
    assert everything.err == ""
    assert run("sql", "FROM range(2)", "--limit", "2").err == ""


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO 'FOLDER/stolen.parquet'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'FOLDER/stolen.parquet'",
        "SELECT 1; DROP VIEW journeys",
        "CREATE TABLE t AS SELECT 1",
        "ATTACH 'FOLDER/stolen.db'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM read_text('FOLDER/../../../klantspoor.yaml')",
        "SELECT * FROM read_csv('FOLDER/../../../key')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "FROM '/etc/passwd'",
        "SELECT * FROM read_csv('https://example.org/a.csv')",
        "SELECT getenv('HOME')",
        "SELEC 1",
        "",
    ],
)
def test_sql_reads_the_version_and_nothing_else(run: Run, project: Path, statement: str) -> None:
    version = project / "lake" / "versions" / "000001"
    before = sorted(version.rglob("*"))
    said = run("sql", statement.replace("FOLDER", str(version)))
    assert said.code == 1
    assert said.out == ""
    assert said.err.startswith("Error: ")
    assert sorted(version.rglob("*")) == before


@pytest.mark.parametrize("statement", ["DESCRIBE journeys", "SUMMARIZE journeys", "SHOW TABLES", "VALUES (1)"])
def test_sql_takes_what_only_reads(run: Run, statement: str) -> None:
    assert run("sql", statement).code == 0


def test_sql_csv_is_safe_to_open_in_a_spreadsheet(run: Run) -> None:
    said = run(
        "sql", r"SELECT * FROM (VALUES ('=1+1'), ('@x'), ('-2'), (e'a\x1b[31mred'), ('it''s')) t(v)", "-f", "csv"
    )
    assert [row[0] for row in csv.reader(io.StringIO(said.out))] == [
        "v",
        "'=1+1",
        "'@x",
        "'-2",
        r"a\x1b[31mred",
        "it's",
    ]
    assert run("sql", "SELECT -2 AS v", "-f", "csv").out.split() == ["v", "-2"]


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_sql_never_lets_data_drive_the_terminal(run: Run, form: str) -> None:
    odd = r"e'\x1b]0;owned\x07 ' || chr(155) || '31m ' || chr(8238) || 'gnp [red]bold[/red]'"
    said = run("sql", f"SELECT {odd} AS v", "--format", form)
    assert said.code == 0
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", said.out)
    assert "[red]bold[/red]" in said.out


def test_sql_json_keeps_every_character(run: Run) -> None:
    odd = "chr(27) || ' ' || chr(155) || ' é ' || chr(8238)"
    said = run("sql", f"SELECT {odd} AS v, NULL AS n, 'nan'::DOUBLE AS d, [1, 2] AS l", "-f", "json")
    assert json.loads(said.out) == [{"v": "\x1b \x9b é \u202e", "n": None, "d": "nan", "l": [1, 2]}]


def test_sql_works_wherever_the_project_lies(bare: Run, project: Path, tmp_path: Path) -> None:
    odd = tmp_path / "o'dd [project] {x}"
    shutil.copytree(project, odd)
    assert run_count(bare, odd) == "43"


def run_count(bare: Run, folder: Path) -> str:
    return bare("sql", "SELECT count(*) AS n FROM journeys", "-f", "csv", "--project", folder).out.split()[-1]


# --- explain ---


def test_explain_tells_the_path_in_the_customers_words(run: Run, journeys: list[dict[str, Any]]) -> None:
    said = run("explain", journeys[4]["journey_id"])
    assert said.code == 0
    places = [
        said.out.index(f"{number} {phase['says']}") for number, phase in enumerate(config.MOVING["phases"], start=1)
    ]
    assert places == sorted(places)
    assert "completed, got what they came for · 20 March 2026 to 9 April 2026" in said.words
    # 12:15 UTC is 13:15 in Amsterdam before the clocks went forward, and an hour later still after it
    assert "● Fri 20 Mar 13:15 → [web] Page viewed 12 min, by before_case" in said.words
    assert "our turn, in a queue, for Address checked (Intake)" in said.words
    assert "our turn, someone was at work: Address checked (Intake)" in said.words
    assert "our turn, between two teams, before Grid operator answered (Back office)" in said.words
    assert re.search(r"▪ Wed 25 Mar 01:06 internal Address checked \(Intake\) by case_key", said.words)
    assert "by before_case: it led up to the case" in said.words


def test_explain_counts_to_the_daylight_saving_night(run: Run, journeys: list[dict[str, Any]]) -> None:
    first = min(tiny.make_tables()["touchpoints"].to_pylist(), key=lambda row: row["started_at"])
    assert first["started_at"] == datetime(2026, 3, 12, 8, 15, tzinfo=UTC)
    assert "Thu 12 Mar 09:15" in run("explain", journeys[0]["journey_id"]).out


def test_explain_takes_a_person_or_the_beginning_of_an_id(run: Run, journeys: list[dict[str, Any]]) -> None:
    row = journeys[7]
    whole = run("explain", row["journey_id"])
    assert run("explain", row["journey_id"][:9]).out == whole.out
    person = run("explain", row["person_id"])
    assert row["journey_id"] in person.out
    assert f"Person {row['person_id']}, persona owner" in person.words


def test_explain_shows_waits_that_are_still_running(run: Run, journeys: list[dict[str, Any]]) -> None:
    still_open = next(row for row in journeys if row["status"] == "open")
    said = run("explain", still_open["journey_id"])
    assert "so far, still waiting" in said.words
    assert "still open" in said.words


def test_explain_shows_answers_and_each_event(run: Run, journeys: list[dict[str, Any]]) -> None:
    said = run("explain", journeys[33]["journey_id"], "--events")
    assert "★" in said.out and "NPS answered: 0" in said.words
    assert re.search(r"· Fri 22 May 13:27 Move reported by case_key", said.words)


def test_explain_is_not_driven_by_data(run: Run, journeys: list[dict[str, Any]]) -> None:
    said = run("explain", journeys[4]["journey_id"])
    assert '<script>alert("x")</script>' in said.out
    long = run("explain", journeys[3]["journey_id"])
    assert "Lange activiteit x" in long.out
    assert "x" * 100 not in long.out.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ("J", "could be more than one journey"),
        ("fff0000000000000", "The nearest: "),
        ("jan@example.org", "That is not an id"),
    ],
)
def test_explain_helps_when_it_finds_nothing(run: Run, wanted: str, complaint: str) -> None:
    said = run("explain", wanted)
    assert said.code == 1
    assert complaint in said.complaint
    assert "@" not in said.err


def test_every_value_of_the_dictionary_has_words() -> None:
    assert set(_TURNS) == set(values.TURNS)
    assert set(_TURNS) | set(_CAUSES) >= set(values.CAUSES)
    assert set(JOINED_BY) == set(values.JOINED_BY)

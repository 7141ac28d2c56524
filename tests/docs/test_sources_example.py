"""The worked example of docs/sources.md: it lints, previews as shown, and is read into what the tables there say."""

from __future__ import annotations

import re
from pathlib import Path

import example_project
import pytest
from documents import blocks, sections, tables, text
from typer.testing import CliRunner

from klantspoor.cli.context import console, errors
from klantspoor.cli.main import app
from klantspoor.lake import Staging
from klantspoor.project.load import check_project, load_project

PSEUDONYM = re.compile(r"\b[0-9a-f]{8}(…|[0-9a-f]{8}\b)")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return example_project.write(tmp_path_factory.mktemp("docs") / "shop", without=("journeys/broken.yaml",))


@pytest.fixture(scope="module")
def staging(shop: Path) -> Staging:
    return example_project.take(load_project(shop))


def test_it_lints_without_a_word(shop: Path) -> None:
    project, problems = check_project(shop)
    assert problems == []
    assert project is not None
    assert {"orders", "web"} == set(project.sources)


def test_the_preview_is_as_shown(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (console, errors):
        monkeypatch.setattr(each, "width", 130)
    (shown,) = [block for block in blocks(text("sources.md"), "") if block.startswith("$ klantspoor preview")]
    said = CliRunner().invoke(app, ["preview", "orders", "--project", str(shop)]).stdout
    lines = [line.rstrip() for line in said.splitlines()]
    expected = shown.splitlines()[1:]
    assert [PSEUDONYM.sub("", line) for line in lines[: len(expected)]] == [
        PSEUDONYM.sub("", line) for line in expected
    ]


def test_the_night_makes_of_it_what_the_tables_say(staging: Staging) -> None:
    intake, quarantine = tables(sections(text("sources.md"))["What a night makes of it"])
    with staging.connect() as connection:
        for name, told in (("intake", intake), ("quarantine", quarantine)):
            columns = ", ".join(f'"{column}"' for column in told[0])
            rows = connection.execute(f"SELECT {columns} FROM {name} ORDER BY sequence").fetchall()
            assert [tuple(map(str, row)) for row in rows] == [tuple(row.values()) for row in told]


def test_the_queries_at_the_end_run(staging: Staging) -> None:
    queries = re.findall(r'klantspoor sql "(.*)"`', text("sources.md"))
    assert len(queries) == 3
    with staging.connect() as connection:
        for query in queries[1:]:  # coverage is a mart, made later in the night
            connection.execute(query.replace('\\"', '"'))

"""`klantspoor identity link`: what it tells, and how it fails."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from klantspoor.cli import linking
from klantspoor.errors import LinkageError, MissingExtraError
from klantspoor.identity.duplicates import DuplicatesFound
from klantspoor.linkage import LevelReport, LinkageReport, RuleReport
from tests.cli.conftest import Run

REPORT = LinkageReport(
    records=1234, fields=("first_name", "last_name"), compared=56789, links=1, held_back=2, prior=0.001,
    rules=(RuleReport("same [b]e-mail", 4000, 500, 7),),
    levels=(LevelReport("first_name", "exact", 0.9, 0.01, 6.5), LevelReport("first_name", "else", 0.1, 0.99, -3.3),
            LevelReport("last_name", "exact", 0.8, 0.001, 9.6)),
    trained_on={"first_name": 300, "last_name": 0}, warnings=("few pairs to learn from",),
)  # fmt: skip


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch, project: Path) -> list[Any]:
    """Puts a ready answer, or an error, in the place of the run itself."""
    answers: list[Any] = [DuplicatesFound(project / "lake" / "ledger" / "linkage" / "000003.parquet", REPORT)]

    def run(_project: Any, lake_root: Path, found_at: datetime) -> DuplicatesFound:
        assert lake_root.name == "lake"
        assert found_at.tzinfo is not None
        if isinstance(answers[0], Exception):
            raise answers[0]
        found: DuplicatesFound = answers[0]
        return found

    monkeypatch.setattr("klantspoor.identity.duplicates.find_duplicates", run)
    return answers


def test_it_tells_how_and_what_was_found(run: Run, answer: list[Any]) -> None:
    said = run("identity", "link")
    assert said.code == 0
    assert "1,234 records were compared by first_name, last_name: 56,789 pairs." in said.words
    assert "same [b]e-mail 4,000 7" in said.words
    assert "first_name (learned from 300 pairs) exact 0.9000 0.010000 +6.5 else 0.1000 0.990000 -3.3" in said.words
    assert "last_name (as it comes, nothing was learned) exact 0.8000 0.001000 +9.6" in said.words
    assert "shared household explains them as well: 2 pairs." in said.words
    assert "Probably one person: 1 pair." in said.words
    assert "Kept as ledger/linkage/000003.parquet in the lake" in said.words
    assert "few pairs to learn from" in said.complaint


def test_it_says_what_it_lacks(run: Run, answer: list[Any]) -> None:
    answer[0] = MissingExtraError("linkage")
    assert run("identity", "link").code == 1
    assert "klantspoor[linkage]" in run("identity", "link").complaint
    answer[0] = LinkageError("the vault holds 0 record(s)")
    assert "0 record(s)" in run("identity", "link").complaint


def test_a_project_without_linkage_is_a_mistake_in_its_file(run: Run) -> None:
    said = run("identity", "link")
    assert said.code == 2
    assert "linkage" in said.complaint
    assert "record" in said.complaint


def test_the_group_and_the_command_have_an_example(bare: Run) -> None:
    assert "klantspoor identity" in bare("identity", "--help").words
    assert "klantspoor identity link" in bare("identity", "link", "--help").words
    assert "identity link" in (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    assert linking.link.__doc__

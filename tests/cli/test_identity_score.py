"""`klantspoor identity score`: what it prints, in both forms, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.identity import scored_project


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("identity") / "project"
    scored_project.publish(folder)
    return folder


def test_scores_are_printed_in_two_readings(bare: Run, folder: Path) -> None:
    said = bare("identity", "score", "--truth", folder / "events.csv", "--project", folder)
    assert said.code == 0, said.err
    assert "12 events of version 000001" in said.words
    of_all, tied = said.words.split("Of what the data could tie together")
    assert "pairs of records 0.8889 0.3200 0.4706" in of_all
    assert "records (B-cubed) 0.9167 0.4722 0.6233" in of_all
    assert "whole persons 0.0000 0.0000 0.0000" in of_all
    assert "pairs of records 0.8889 1.0000 0.9412" in tied
    assert (
        "5 persons were found; 1 of them hold events of more than one true person, 1 of these of one household" in tied
    )
    assert "3 true persons; 3 of them are split over several persons found, where the data tell 7 apart" in tied
    assert "Events that were given no person: 1;" in tied
    assert said.complaint == "Left out: 1 of the truth's rows are no events of the published version."


def test_the_same_as_json(bare: Run, folder: Path) -> None:
    said = bare("identity", "score", "--truth", folder / "events.csv", "-f", "json", "--project", folder)
    answer = json.loads(said.out)
    assert answer["all"]["pairwise"] == {"precision": 8 / 9, "recall": 8 / 25, "f1": pytest.approx(8 / 17)}
    assert answer["tied"]["cluster"]["recall"] == 5 / 7
    assert (answer["tied"]["true_persons"], answer["tied"]["split_persons"]) == (7, 0)
    assert (answer["merged_persons"], answer["merged_in_household"]) == (1, 1)
    assert answer["left_out"] == {"not_published": 1}


def test_identifiers_are_never_printed(bare: Run, folder: Path) -> None:
    said = bare("identity", "score", "--truth", folder / "identifiers.csv", "--project", folder)
    assert said.code == 0, said.err
    assert "10 identifiers of version 000001" in said.words
    assert "pairs of records 1.0000 0.6000 0.7500" in said.words
    assert "Left out: 2 of the truth's rows are shared by several true persons." in said.complaint
    assert "x.nl" not in (said.out + said.err).lower()


@pytest.mark.parametrize(
    ("text", "code", "complaint"),
    [
        (None, 1, "is no file"),
        ("source,source_event_id,who\nweb,w1,ann\n", 1, "no column 'true_person'"),
        ("source,source_event_id,true_person\nweb,w404,ann\n", 1, "none of its 1 rows can be scored"),
    ],
)
def test_a_wrong_truth_is_told(bare: Run, folder: Path, tmp_path: Path, text: str, code: int, complaint: str) -> None:
    if text is not None:
        (tmp_path / "truth.csv").write_text(text, encoding="utf-8")
    said = bare("identity", "score", "--truth", tmp_path / "truth.csv", "--project", folder)
    assert said.code == code
    assert complaint in said.complaint


def test_a_truth_is_needed(bare: Run, folder: Path) -> None:
    assert bare("identity", "score", "--project", folder).code == 2

"""A published version held against a truth: what is matched, what is left out, and what a truth may not be."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from klantspoor.errors import ConfigError, TruthError
from klantspoor.identity.judged import Judged, judge
from klantspoor.identity.score import Measure
from klantspoor.identity.truth import read_truth
from klantspoor.lake import open_lake
from klantspoor.project.model import Project
from tests.identity import scored_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return scored_project.publish(tmp_path_factory.mktemp("scored"))


def held(project: Project, text: str, folder: Path) -> Judged:
    path = folder / "truth.csv"
    path.write_text(text, encoding="utf-8")
    lake = open_lake(project)
    version = lake.current()
    assert version is not None
    return judge(project, lake, version, read_truth(path))


# --- events ---


def test_events_are_scored_by_hand(project: Project, tmp_path: Path) -> None:
    """Found: ann {w1, w2, opened, closed}, {w3, w4}; bob {w5, w7 (carl's)}, {w6}; carl {w8, ticket}; nobody {w9}."""
    judged = held(project, scored_project.EVENTS, tmp_path)
    whole, tied = judged.scores()
    assert (whole.records, whole.without_person, whole.predicted_persons, whole.true_persons) == (12, 1, 5, 3)
    assert whole.pairwise == Measure(8 / 9, 8 / 25)
    assert (whole.bcubed.precision, whole.bcubed.recall) == pytest.approx((11 / 12, 17 / 36))
    assert whole.cluster == Measure(0.0, 0.0)
    assert (whole.merged_persons, whole.merged_in_household, whole.split_persons) == (1, 1, 3)
    # The data tie ann {w1, w2, ticket}, {w3, w4}, {w9}; bob {w5}, {w6}; carl {w7}, {w8, ticket by way of the list}.
    assert tied.true_persons == 7
    assert tied.pairwise == Measure(8 / 9, 1.0)
    assert tied.cluster == Measure(5 / 6, 5 / 7)
    assert judged.left_out == {"not_published": 1}


def test_a_personal_id_is_known_by_its_pseudonym_too(project: Project, tmp_path: Path) -> None:
    """As the table `events` shows it: of one of the row's two events with its number, of both without."""
    with open_lake(project).current().connect() as connection:  # type: ignore[union-attr]
        [(shown,)] = connection.execute(
            "SELECT source_event_id FROM events WHERE source = 'tickets' AND activity = 'closed'"
        ).fetchall()
    assert "ann" not in shown
    header = "source,source_event_id,true_person\n"
    assert len(held(project, f"{header}tickets,{shown},ann\n", tmp_path).truth) == 1
    assert len(held(project, f"{header}tickets,{shown.split('#')[0]},ann\n", tmp_path).truth) == 2
    assert len(held(project, f"{header}tickets,ann-1,ann\n", tmp_path).truth) == 2


def test_the_same_in_parquet_with_households_beside_it(project: Project, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(scored_project.EVENTS, encoding="utf-8")
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT source, source_event_id, true_person FROM '{tmp_path}/events.csv')
                TO '{tmp_path}/events.parquet' (FORMAT parquet)"""
        )
        connection.execute(
            f"""COPY (SELECT * FROM (VALUES ('bob', 7), ('carl', 7), ('ann', 8)) p(true_person, household))
                TO '{tmp_path}/persons.parquet' (FORMAT parquet)"""
        )
    lake = open_lake(project)
    version = lake.current()
    assert version is not None
    alone = judge(project, lake, version, read_truth(tmp_path / "events.parquet"))
    assert alone.household is None
    assert alone.scores()[0].merged_in_household is None
    both = judge(project, lake, version, read_truth(tmp_path / "events.parquet", tmp_path / "persons.parquet"))
    text = held(project, scored_project.EVENTS, tmp_path)
    assert both.scores() == text.scores()
    apart = text.household
    assert apart is not None
    assert len(np.unique(apart)) == 2


# --- identifiers ---


def test_identifiers_are_scored_by_hand(project: Project, tmp_path: Path) -> None:
    """Scored: ann's 1, address, c1 and c9; bob's 2 and c5; carl's 3, address and c4; dave's 4, who never did anything."""
    judged = held(project, scored_project.IDENTIFIERS, tmp_path)
    whole, tied = judged.scores()
    assert (whole.records, whole.true_persons, whole.predicted_persons) == (10, 4, 6)
    assert whole.pairwise == Measure(1.0, 6 / 10)
    assert whole.cluster == Measure(2 / 6, 2 / 4)
    assert tied.pairwise == Measure(1.0, 1.0)
    assert tied.cluster == Measure(1.0, 1.0)
    assert judged.left_out == {"no_such_type": 1, "guarded": 1, "never_seen": 1, "shared": 2, "divided": 0}


# --- what a truth may not be ---


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("source,event_id,true_person\nweb,w1,ann\n", "no column 'source_event_id'. Did you mean 'event_id'?"),
        ("type,raw_value,person\ncookie,c1,ann\n", "no column 'identifier_type'"),
        ("source,source_event_id,true_person\n", "holds no rows"),
        ("source,source_event_id,true_person\nweb,w1,ann\nweb,w2, \n", "1 of 2 rows have an empty true_person"),
        ("source,source_event_id,true_person\nweb,w1,ann\nweb,w2,x\nweb,w1,bob\n", "rows 1 and 3 give one event two"),
        ("source,source_event_id,true_person\nwww,w1,ann\n", "none of its 1 rows can be scored: 1 are no events"),
        ("identifier_type,raw_value,true_person\ntelegram,@ann,ann\n", "1 are of a type that klantspoor.yaml does not"),
        (
            "source,source_event_id,identifier_type,raw_value,true_person\nweb,w1,cookie,c1,ann\n",
            "holds the columns of both forms",
        ),
        ("source,source_event_id,true_person\nweb,w1,ann\nweb,s3cret\n", "cannot be read as CSV"),
    ],
)
def test_a_wrong_truth_is_told_without_repeating_it(
    project: Project, tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(TruthError) as error:
        held(project, text, tmp_path)
    assert complaint in str(error.value)
    assert "truth.csv" in str(error.value)
    assert not {"@ann", "s3cret"} & set(str(error.value).split())


def test_a_truth_that_is_no_file_or_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "truth.parquet").write_bytes(b"not parquet")
    with pytest.raises(TruthError, match="cannot be read as Parquet"):
        read_truth(tmp_path / "truth.parquet")
    with pytest.raises(TruthError, match="is no file"):
        read_truth(tmp_path)
    (tmp_path / "truth[1].csv").write_text(scored_project.EVENTS, encoding="utf-8")
    (tmp_path / "truth1.csv").write_text("another\n1\n", encoding="utf-8")
    assert len(read_truth(tmp_path / "truth[1].csv").rows) == 12
    with pytest.raises(TruthError, match="no column 'true_person'"):
        read_truth(tmp_path / "truth[1].csv", tmp_path / "truth1.csv")


def test_without_its_key_a_project_cannot_be_held_against_raw_ids(tmp_path: Path) -> None:
    project = scored_project.publish(tmp_path / "project")
    (tmp_path / "project" / "key").unlink()
    with pytest.raises(ConfigError, match="key"):
        held(project, scored_project.EVENTS, tmp_path)

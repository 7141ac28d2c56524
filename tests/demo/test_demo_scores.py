"""The reconstruction of a small demo stays as good as it was, and its figures are reckoned as they say."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

import simulation
from klantspoor import events, identity, journeys, marts, restatements
from klantspoor.identity.score import Scores
from klantspoor.intake import take_in
from klantspoor.lake import open_lake
from klantspoor.lake.steps import runs_table
from klantspoor.project.key import make_key
from klantspoor.project.load import load_project
from tests.demo.known_persons import rebuild
from tests.demo.scoring import JourneyFigures, identity_scores, journey_figures, lines

ROOT = Path(__file__).resolve().parents[2]
END = date(2026, 6, 30)
AS_OF = datetime(2026, 7, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Reached:
    whole: Scores
    tied: Scores
    journeys: JourneyFigures
    known: JourneyFigures


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> Reached:
    """A demo of 400 customers and 120 days, its night by library calls, and its figures."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    shutil.copytree(ROOT / "simulation" / "project", folder)
    simulation.generate(folder, customers=400, days=120, seed=3, end=END)
    name = load_project(folder).file.pseudonym_key.file
    assert name is not None
    make_key(folder / name)
    project = load_project(folder)
    lake = open_lake(project)
    take_in(project, lake.root, AS_OF)
    staging = lake.open_run("demo", AS_OF)
    identity.resolve(project, lake, staging)
    events.build(project, lake, staging)
    journeys.build(project, staging)
    for name in marts.MARTS:
        marts.build(name, project, staging)
    restatements.build(project, lake, staging)
    staging.write("runs", runs_table(staging, None))
    version = lake.publish(staging)
    truth = folder / "truth"
    with version.connect() as connection:
        figures = journey_figures(connection, truth)
    with rebuild(project, lake, truth, folder.parent / "known", AS_OF) as again, again.connect() as connection:
        known = journey_figures(connection, truth)
    return Reached(*identity_scores(project, lake, version, truth), figures, known)


def test_identity_keeps_its_floors(reached: Reached) -> None:
    assert reached.whole.pairwise.precision > 0.98
    assert reached.whole.pairwise.f1 > 0.94
    assert reached.tied.pairwise.f1 > 0.96
    assert reached.tied.bcubed.f1 > 0.97
    assert reached.whole.merged_persons == reached.whole.merged_in_household, "strangers are never one person"


def test_journeys_keep_their_floors(reached: Reached) -> None:
    figures = reached.journeys
    assert figures.found > 0.97 * figures.true
    assert figures.membership.f1 > 0.94
    assert figures.phase_accuracy > 0.98
    assert figures.right_turn_of_matched > 0.95
    assert figures.right_turn_of_all > 0.9


def test_knowing_everybody_helps(reached: Reached) -> None:
    assert reached.known.membership.f1 > max(0.97, reached.journeys.membership.f1)
    assert reached.known.right_turn_of_all > reached.journeys.right_turn_of_all
    assert reached.known.true == reached.journeys.true


def test_every_figure_is_told(reached: Reached) -> None:
    told = lines((reached.whole, reached.tied), reached.journeys, reached.known)
    assert len(told) == 11
    assert all(figure and value for figure, value, _ in told)
    assert f"{reached.journeys.found:,} of {reached.journeys.true:,}" in [value for _, value, _ in told]


# --- how they are reckoned, counted by hand ---


def instant(hour: float) -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hour)


@pytest.fixture
def by_hand(tmp_path: Path) -> JourneyFigures:
    """True: A (e1 to e5), B (e6, e7, e10); found: F (e1, e2, e3, and e6 wrongly), G (e7, e10), and H, of another type (e1).

    e5 was never published; e8 is in no journey, but F has it; e4, a survey, was not tied to anything.
    """
    connection = duckdb.connect()
    true = [
        ("e1", "web", "A", "one", False), ("e2", "crm", "A", "one", True), ("e3", "web", "A", "two", False),
        ("e4", "surveys", "A", "two", False), ("e5", "web", "A", "two", False), ("e6", "web", "B", "one", False),
        ("e7", "web", "B", "one", False), ("e8", "web", None, None, False), ("e10", "web", "B", "one", False),
    ]  # fmt: skip
    tables = {
        "truth_events": (
            "source_event_id VARCHAR, source VARCHAR, true_journey VARCHAR, true_phase VARCHAR, is_internal BOOL", true,
        ),
        "truth_journeys": ("true_journey VARCHAR, journey_type VARCHAR", [("A", "moving"), ("B", "moving")]),
        "truth_waits": (
            "true_journey VARCHAR, started_at TIMESTAMPTZ, ended_at TIMESTAMPTZ, turn VARCHAR",
            [("A", instant(0), instant(6), "customer"), ("B", instant(0), instant(4), "nobody")],
        ),
        "events": (
            "event_id VARCHAR, source VARCHAR, source_event_id VARCHAR",
            [(row[0], row[1], row[0]) for row in true if row[0] != "e5"] + [("e9", "web", "made up")],
        ),
        "journeys": ("journey_id VARCHAR, journey_type VARCHAR", [("F", "moving"), ("G", "moving"), ("H", "billing")]),
        "touchpoint_events": (
            "journey_id VARCHAR, touchpoint_number INT, event_id VARCHAR",
            [("F", 1, "e1"), ("F", 0, "e2"), ("F", 2, "e3"), ("F", 2, "e6"), ("F", 3, "e8"), ("F", 3, "e9"), ("G", 1, "e7"),
             ("G", 1, "e10"), ("H", 1, "e1")],
        ),
        "touchpoints": (
            "journey_id VARCHAR, touchpoint_number INT, phase VARCHAR",
            [("F", 1, "one"), ("F", 2, None), ("F", 3, "one"), ("G", 1, "one"), ("H", 1, "one")],
        ),
        "experiences": ("event_id VARCHAR, journey_id VARCHAR", [("e4", None)]),
        "waits": (
            "journey_id VARCHAR, started_at TIMESTAMPTZ, ended_at TIMESTAMPTZ, turn VARCHAR",
            [("F", instant(1), instant(3), "customer"), ("F", instant(3), instant(9), "organisation"),
             ("H", instant(0), instant(6), "customer")],
        ),
    }  # fmt: skip
    for name, (columns, rows) in tables.items():
        connection.execute(f"CREATE TABLE {name} ({columns})")
        connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        if name.startswith("truth_"):
            file = tmp_path / f"{name.removeprefix('truth_')}.parquet"
            connection.execute(f"COPY {name} TO '{file}' (FORMAT parquet)")
            connection.execute(f"DROP TABLE {name}")
    return journey_figures(connection, tmp_path)


def test_figures_by_hand(by_hand: JourneyFigures) -> None:
    assert (by_hand.found, by_hand.true) == (2, 2)  # F is A's and G is B's, though F shares e6 with B
    assert by_hand.membership.precision == 5 / 8  # e1, e2, e3 in F and e7, e10 in G; not e6 and e8 in F, nor e1 in H
    assert by_hand.membership.recall == 5 / 7  # of e1 to e4, e6, e7 and e10
    assert by_hand.phase_accuracy == 3 / 4  # e1, e7 and e10 of those and e3
    assert by_hand.right_turn_of_matched == 2 / 5  # from 1 to 3 of 1 to 6
    assert by_hand.right_turn_of_all == 2 / 10

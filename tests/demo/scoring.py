"""How well the reconstruction of the demo agrees with what its people really did (`truth/`). How each figure is reckoned:

**Identity.** `klantspoor.identity.score` over the events that the truth knows, in both of its readings: of all, and of what
the data could tie together. An event without a person is a person of its own.

The other figures look at the events that were published and that the truth knows; what was never written down, and what
broken lines made up, count nowhere. Surveys that were not answered are no events.

**Journeys found.** A journey found and a true one of the same type are *matched* if each shares more events with the other than
with any other of that type (of equals, the one whose id comes first). The figure is matched true journeys of all.

**Journey membership.** A membership is an event in a journey: of the reconstruction its touchpoints' events, its internal
steps and the answers tied to it; of the truth each event's one true journey. Right are the memberships of a journey found that
are those of the true journey it is matched with. Precision is right of all found, recall right of all true.

**Phase accuracy.** Of the right memberships of contacts (no internal steps, no surveys) whose true phase is known: the share
whose touchpoint has that phase. A touchpoint without a phase is wrong.

**Waiting given to the right turn.** The waits of matched journeys, both reconstructed and true, are laid over one another. *Of
the matched*: the seconds in which both say the same turn, of the seconds in which both are waiting. *Of all true waiting*: the
same seconds, of all that true journeys waited. `undetermined` is never right.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from klantspoor.identity.judged import judge
from klantspoor.identity.score import Measure, Scores
from klantspoor.identity.truth import read_truth
from klantspoor.lake import Lake, Version
from klantspoor.project.model import Project


@dataclass(frozen=True, slots=True)
class JourneyFigures:
    """What the head of this file explains. Shares are 0 to 1."""

    found: int
    true: int
    membership: Measure
    phase_accuracy: float
    right_turn_of_matched: float
    right_turn_of_all: float


def identity_scores(project: Project, lake: Lake, version: Version, truth: Path) -> tuple[Scores, Scores]:
    """Identity over events: of all, and of what the data could tie together; `truth` is the folder."""
    given = read_truth(truth / "events.parquet", truth / "persons.parquet")
    return judge(project, lake, version, given).scores()


def journey_figures(connection: duckdb.DuckDBPyConnection, truth: Path) -> JourneyFigures:
    """The figures about journeys; `connection` has a view for each table of a version or of a run's staging."""
    for name in ("events", "journeys", "waits"):
        path = str(truth / f"{name}.parquet").replace("'", "''")
        connection.execute(f"CREATE OR REPLACE TEMP VIEW truth_{name} AS SELECT * FROM read_parquet('{path}')")
    _known(connection)
    _members(connection)
    _match(connection)
    right, found, true = _one(
        connection,
        """SELECT (SELECT count(*) FROM rights), (SELECT count(*) FROM members),
                  (SELECT count(*) FROM known WHERE true_journey IS NOT NULL)""",
    )
    phases, right_phases = _one(
        connection,
        """SELECT count(*), count(*) FILTER (t.phase = r.true_phase) FROM rights r
           LEFT JOIN touchpoints t USING (journey_id, touchpoint_number)
           WHERE r.true_phase IS NOT NULL AND NOT r.is_internal AND r.source <> 'surveys'""",
    )
    agreed, together, waited = _waiting(connection)
    matched, journeys = _one(connection, "SELECT count(*), (SELECT count(*) FROM truth_journeys) FROM matched")
    return JourneyFigures(
        found=matched,
        true=journeys,
        membership=Measure(right / found, right / true),
        phase_accuracy=right_phases / phases,
        right_turn_of_matched=agreed / together,
        right_turn_of_all=agreed / waited,
    )


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    return tuple(int(value or 0) for value in connection.execute(sql).fetchall()[0])


def _known(connection: duckdb.DuckDBPyConnection) -> None:
    """`known`: the published events that the truth knows, with what is true of them."""
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE known AS
           SELECT e.event_id, source, t.true_journey, t.true_phase, t.is_internal
           FROM events e JOIN truth_events t USING (source, source_event_id)"""
    )


def _members(connection: duckdb.DuckDBPyConnection) -> None:
    """`members`: each known event in each journey that the reconstruction has it in."""
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE members AS
           SELECT k.*, m.journey_id, m.touchpoint_number, j.journey_type FROM (
               SELECT event_id, journey_id, max(touchpoint_number) AS touchpoint_number FROM (
                   SELECT event_id, journey_id, touchpoint_number FROM touchpoint_events
                   UNION ALL SELECT event_id, journey_id, 0 FROM experiences WHERE journey_id IS NOT NULL)
               GROUP BY ALL) m JOIN journeys j USING (journey_id) JOIN known k USING (event_id)"""
    )


def _match(connection: duckdb.DuckDBPyConnection) -> None:
    """`matched`: pairs of journeys; `rights`: the right memberships."""
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE matched AS
           WITH shared AS (
               SELECT m.journey_id, m.true_journey, count(*) AS events
               FROM members m JOIN truth_journeys t USING (true_journey) WHERE m.journey_type = t.journey_type GROUP BY ALL),
           ranked AS (
               SELECT *, row_number() OVER (PARTITION BY journey_id ORDER BY events DESC, true_journey) AS of_found,
                      row_number() OVER (PARTITION BY true_journey ORDER BY events DESC, journey_id) AS of_true FROM shared)
           SELECT journey_id, true_journey FROM ranked WHERE of_found = 1 AND of_true = 1"""
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE rights AS SELECT m.* FROM members m SEMI JOIN matched USING (journey_id, true_journey)"
    )


def _waiting(connection: duckdb.DuckDBPyConnection) -> tuple[int, int, int]:
    """Seconds in which found and true waits agree on the turn, in which both wait, and in which true journeys wait."""
    [waited] = _one(connection, "SELECT sum(epoch_us(ended_at) - epoch_us(started_at)) // 1000000 FROM truth_waits")
    agreed, together = _one(
        connection,
        """WITH laid AS (
               SELECT f.turn = t.turn AS agreed, epoch_us(least(f.ended_at, t.ended_at))
                      - epoch_us(greatest(f.started_at, t.started_at)) AS length
               FROM matched m JOIN waits f USING (journey_id) JOIN truth_waits t USING (true_journey)
               WHERE f.started_at < t.ended_at AND t.started_at < f.ended_at)
           SELECT sum(length) FILTER (agreed) // 1000000, sum(length) // 1000000 FROM laid""",
    )
    return agreed, together, waited


def lines(scores: tuple[Scores, Scores], figures: JourneyFigures, known: JourneyFigures) -> list[tuple[str, str, str]]:
    """Figure, reached, and with all persons known, as docs/demo.md tells them."""
    whole, tied = scores

    def measure(of: Measure) -> str:
        return f"{of.f1:.3f} (precision {of.precision:.3f}, recall {of.recall:.3f})"

    def both(name: str) -> tuple[str, str]:
        return f"{getattr(figures, name):.3f}", f"{getattr(known, name):.3f}"

    return [
        ("pairwise identity F1, over events", measure(whole.pairwise), ""),
        ("the same, of what the data could tie together", measure(tied.pairwise), ""),
        ("B-cubed identity F1, over events", measure(whole.bcubed), ""),
        ("the same, of what the data could tie together", measure(tied.bcubed), ""),
        ("persons found that hold several true ones", f"{whole.merged_persons:,}", ""),
        ("true persons split over several found", f"{whole.split_persons:,}", ""),
        ("journey membership F1", measure(figures.membership), measure(known.membership)),
        ("phase accuracy", *both("phase_accuracy")),
        ("waiting given to the right turn", *both("right_turn_of_matched")),
        ("the same, of all true waiting, seen or not", *both("right_turn_of_all")),
        ("journeys found", f"{figures.found:,} of {figures.true:,}", f"{known.found:,}"),
    ]

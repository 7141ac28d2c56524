"""Splink's model, trained on the project's own data without a label.

Fellegi and Sunter's m and u (A Theory for Record Linkage, 1969): u is counted on random pairs, m comes from expectation
maximisation on pairs that agree on one thing. Two steps keep that honest on data that is full of duplicates or has hardly
any:

- In the second round, persons as the first round found them are counted once. Counting records instead calls a
  rare name frequent because its one owner stands there ten times.
- m starts from `klantspoor.linkage.comparisons` and counts for as many pairs as `_BELIEF`: what is learned from four pairs
  changes little, what is learned from four thousand replaces it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from klantspoor.linkage.blocking import Rule
from klantspoor.linkage.comparisons import Comparison, Level
from klantspoor.linkage.report import LevelReport, RuleReport

_BELIEF = 50.0
_ITERATIONS = 50
_SAMPLED_PAIRS = 2e6


@dataclass(slots=True)
class Model:
    """What is believed of the data: `m` and `u` by comparison and level, and the chance `prior` of a match."""

    comparisons: list[Comparison]
    u: dict[str, list[float]]
    prior: float
    trained_on: dict[str, int] = field(default_factory=dict)
    warnings: set[str] = field(default_factory=set)

    def settings(self, rules: Sequence[Rule]) -> dict[str, Any]:
        """As Splink's settings spell it."""
        spelled = []
        for comparison in self.comparisons:
            settings = comparison.settings()
            if comparison.name in self.u:
                for level, u in zip(settings["comparison_levels"][1:], self.u[comparison.name], strict=True):
                    level["u_probability"] = u
            spelled.append(settings)
        return {
            "link_type": "dedupe_only",
            "unique_id_column_name": "id",
            "comparisons": spelled,
            "blocking_rules_to_generate_predictions": [f"l.{rule.column} = r.{rule.column}" for rule in rules],
            "probability_two_random_records_match": self.prior,
            "retain_matching_columns": False,
            "em_convergence": 0.001,
            "max_iterations": _ITERATIONS,
        }

    def levels(self) -> tuple[LevelReport, ...]:
        """Every level's m and u, as a report tells them."""
        return tuple(
            LevelReport(comparison.name, level.name, level.m, u, math.log2(level.m / u))
            for comparison in self.comparisons
            for level, u in zip(comparison.levels, self.u[comparison.name], strict=True)
        )


def persons(rows: int, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """The person of each of `rows` records, numbered from 0, where `left` and `right` (ids from 1) are linked."""
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left - 1, right - 1)), shape=(rows, rows))
    return np.asarray(connected_components(graph, directed=False)[1])


def count_persons(connection: duckdb.DuckDBPyConnection, person: npt.NDArray[np.int32]) -> None:
    """Makes the tables `person` (id, person) and `counted` (one record of every person)."""
    known = pa.table({"id": np.arange(1, len(person) + 1), "person": person})
    connection.register("known", known)
    connection.execute("CREATE OR REPLACE TABLE person AS SELECT * FROM known")
    connection.unregister("known")
    connection.execute(
        "CREATE OR REPLACE TABLE counted AS SELECT * FROM people"
        " WHERE id IN (SELECT min(id) FROM person GROUP BY person) ORDER BY id"
    )


def count_chances(connection: duckdb.DuckDBPyConnection, model: Model, seed: int) -> None:
    """Counts u on random pairs of `counted`, and the share of persons that bear each value that may be rare."""
    from splink import DuckDBAPI, Linker

    blank = Model(model.comparisons, {}, model.prior)
    linker = Linker(DuckDBAPI(connection).register("counted"), blank.settings([]), log_level=None)
    linker.training.estimate_u_using_random_sampling(
        max_pairs=_SAMPLED_PAIRS, seed=seed, min_count_per_level=None, num_chunks=1
    )
    [(rows,)] = connection.execute("SELECT count(*) FROM counted").fetchall()
    # A degree that no pair showed is at most about as frequent as one pair in all that were looked at.
    least = 1 / max(1.0, min(_SAMPLED_PAIRS, rows * (rows - 1) / 2))
    for comparison in linker.misc.save_model_to_json()["comparisons"]:
        found = [level.get("u_probability", 0.0) for level in comparison["comparison_levels"][1:]]
        model.u[comparison["output_column_name"]] = [min(1.0, max(float(u), least)) for u in found]
    for column in rare_columns(model.comparisons):
        connection.execute(f"""
            CREATE OR REPLACE TABLE tf_{column} AS
            SELECT {column}, count(DISTINCT person) / sum(count(DISTINCT person)) OVER () AS tf_{column}
            FROM people JOIN person USING (id) WHERE {column} IS NOT NULL GROUP BY {column} ORDER BY {column}""")


def rare_columns(comparisons: Sequence[Comparison]) -> list[str]:
    """The columns whose rare values weigh more than their frequent ones."""
    return sorted({level.rare for comparison in comparisons for level in comparison.levels if level.rare})


def linker_for(connection: duckdb.DuckDBPyConnection, model: Model, rules: Sequence[Rule]) -> Any:
    """A Splink linker over `people` that believes the model."""
    from splink import DuckDBAPI, Linker

    api = DuckDBAPI(connection)
    linker = Linker(api.register("people"), model.settings(rules), log_level=None)
    for column in rare_columns(model.comparisons):
        linker.table_management.register_term_frequency_lookup(api.register(f"tf_{column}"), column)
    return linker


def learn(
    connection: duckdb.DuckDBPyConnection,
    model: Model,
    first: Sequence[Comparison],
    rules: Sequence[tuple[Rule, RuleReport]],
) -> None:
    """Learns m from the pairs of each training rule and gives the model what they and the first m say together."""
    told: dict[str, list[tuple[float, list[float]]]] = defaultdict(list)
    model.comparisons = list(first)
    linker = linker_for(connection, model, [])
    # One thread: sums of probabilities come out the same whoever adds them first.
    [(threads,)] = connection.execute("SELECT current_setting('threads')").fetchall()
    connection.execute("SET threads = 1")
    for rule, report in rules:
        if report.pairs == 0:
            continue
        same = " AND ".join(f"l.{c} = r.{c}" for c in (rule.column, *sorted(rule.needs)))
        session = linker.training.estimate_parameters_using_expectation_maximisation(
            same, estimate_without_term_frequencies=True
        )
        if len(session._core_model_settings_history) > _ITERATIONS:
            model.warnings.add(f"{rule.name}: not settled after {_ITERATIONS} rounds")
        trained = session.core_model_settings
        matches = report.pairs * float(trained.probability_two_random_records_match)
        for comparison in trained.comparisons:
            told[comparison.output_column_name].append((matches, _shares(comparison)))
    connection.execute(f"SET threads = {int(threads)}")
    model.comparisons = [_believe(comparison, told[comparison.name]) for comparison in first]
    model.trained_on = {c.name: round(sum(matches for matches, _ in told[c.name])) for c in first}


def _shares(comparison: Any) -> list[float]:
    """The m of a trained comparison, level by level; 0 where no pair showed the level."""
    found = [level.m_probability for level in comparison.comparison_levels if not level.is_null_level]
    return [float(m) if isinstance(m, float) and math.isfinite(m) else 0.0 for m in found]


def _believe(comparison: Comparison, told: list[tuple[float, list[float]]]) -> Comparison:
    """The comparison with m as `_BELIEF` pairs of its first m and the pairs of every session say together."""
    counts = np.array([level.m for level in comparison.levels]) * _BELIEF
    for matches, shares in told:
        counts += np.array(shares) * matches
    shares_now = counts / counts.sum()
    levels = (
        Level(level.name, level.sql, float(m), level.rare)
        for level, m in zip(comparison.levels, shares_now, strict=True)
    )
    return Comparison(comparison.name, comparison.missing, tuple(levels))

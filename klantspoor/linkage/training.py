"""Splink's model, trained on the project's own data without a label.

Fellegi and Sunter's m and u (A Theory for Record Linkage, 1969): u is counted on random pairs, m comes from expectation
maximisation on pairs that agree on one thing (`klantspoor.linkage.expectation`). In the second round, persons as
the first round found them are counted once: counting records instead calls a rare name frequent because its one owner
stands there ten times.
"""

from __future__ import annotations

import math
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
from klantspoor.linkage.comparisons import Comparison, Level, one_person
from klantspoor.linkage.expectation import Patterns, maximise
from klantspoor.linkage.report import LevelReport

_SAMPLED_PAIRS = 2e6


@dataclass(slots=True)
class Model:
    """What is believed of the data.

    m by level is in `comparisons`, `u` by comparison and level, `prior` is the chance that two records taken at random are
    one person's. `trained_on` and `settled` tell how m was learned. `keep_levels` has Splink return the level of every
    comparison with a pair.
    """

    comparisons: list[Comparison]
    u: dict[str, list[float]]
    prior: float
    trained_on: dict[str, int] = field(default_factory=dict)
    settled: bool = True
    keep_levels: bool = False

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
            "retain_matching_columns": self.keep_levels,
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
        _count_bearers(connection, column)


def _count_bearers(connection: duckdb.DuckDBPyConnection, column: str) -> None:
    """Makes `tf_{column}`: by value, the chance that another person bears it too.

    Of the bearers one is the person compared, so that one fewer speaks for it. A value that only one other was seen with
    counts for less than one: for 2 n2 / n1, n1 and n2 being the values with one and with two bearers (Good, The Population
    Frequencies of Species, 1953). With 300 birth dates, each seen once, a shared one is no chance of 1 in 300.
    """
    connection.execute(f"""
        CREATE OR REPLACE TABLE tf_{column} AS
        WITH borne AS (
            SELECT {column}, count(DISTINCT person) AS bearers FROM people JOIN person USING (id)
            WHERE {column} IS NOT NULL GROUP BY {column}
        ), seen AS (
            SELECT count(*) FILTER (bearers = 1) AS once, count(*) FILTER (bearers = 2) AS twice, sum(bearers) AS total
            FROM borne
        )
        SELECT {column},
            CASE WHEN bearers <= 2 THEN least(1, (2 * twice + 1) / (once + 1)) ELSE bearers - 1 END / total AS tf_{column}
        FROM borne, seen ORDER BY {column}""")


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


def patterns(
    connection: duckdb.DuckDBPyConnection, wanted: Sequence[Comparison], rules: Sequence[Rule]
) -> list[Patterns]:
    """How the pairs of each training rule agree, counted by pattern.

    Pairs that a household explains are left out. There are more of them than of doubles, and they agree on so much that
    maximisation would learn what a family is.
    """
    own = one_person([comparison.name for comparison in wanted])
    plain = [Comparison(c.name, c.missing, tuple(Level(v.name, v.sql, v.m) for v in c.levels)) for c in wanted]
    found = []
    for rule in rules:
        names = [comparison.name for comparison in wanted if not rule.needs & comparison.uses()]
        if not names:
            continue
        linker = linker_for(connection, Model(plain, {}, 0.5, keep_levels=True), [rule])
        pairs = linker.inference.predict(warning_mode="never")
        gammas = ", ".join(f"gamma_{name}" for name in names)
        counted = connection.execute(
            f"SELECT {gammas}, count(*) AS pairs FROM {pairs.physical_name} WHERE {own} GROUP BY ALL ORDER BY ALL"
        ).fetchnumpy()
        linker.table_management.delete_tables_created_by_splink_from_db()
        best = {comparison.name: len(comparison.levels) - 1 for comparison in wanted}
        # Splink numbers levels from the last, 0, to the best.
        gamma = {name: counted[f"gamma_{name}"].astype(np.int64) for name in names}
        levels = {name: np.where(gamma[name] < 0, -1, best[name] - gamma[name]) for name in names}
        found.append(Patterns(rule.name, counted["pairs"].astype(np.float64), levels))
    return found


def learn(model: Model, first: Sequence[Comparison], sessions: Sequence[Patterns]) -> None:
    """Gives the model the m that its first belief and the training rules' pairs say together.

    A lesser agreement never weighs more than equality: a mistyped frequent name may be any of its bearers', however rare
    the mistake.
    """
    shares = {comparison.name: np.array([level.m for level in comparison.levels]) for comparison in first}
    learned = maximise(shares, {name: np.array(u) for name, u in model.u.items()}, sessions)
    model.comparisons = [
        Comparison(
            comparison.name,
            comparison.missing,
            tuple(
                Level(level.name, level.sql, float(m), level.rare)
                for level, m in zip(comparison.levels, learned.m[comparison.name], strict=True)
            ),
        )
        for comparison in first
    ]
    for name, m in learned.m.items():
        u = np.array(model.u[name])
        model.u[name] = np.minimum(1, np.maximum(u, m * u[0] / m[0])).tolist()
    model.trained_on = {name: round(pairs) for name, pairs in learned.pairs.items()}
    model.settled = learned.settled

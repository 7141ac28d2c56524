"""The counting along dimensions, against pandas and DuckDB."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pytest

from klantspoor.marts import cube


@pytest.mark.parametrize(("rows", "values"), [(0, 3), (1, 3), (500, 4), (5000, 40)])
def test_groups_rollups_distinct_and_percentiles(rows: int, values: int) -> None:
    rng = np.random.default_rng(rows)
    facts = pd.DataFrame({name: rng.integers(-1, values, rows) for name in "abc"})
    facts["id"] = np.sort(rng.integers(0, max(rows // 5, 1), rows))
    facts["amount"] = rng.integers(0, 10**6, rows)
    groups = cube.grouped({name: facts[name].to_numpy() for name in "abc"})
    percentiles = cube.Percentiles(facts["amount"].to_numpy())
    found = []
    for coarse, of_group in cube.rollups(groups, ("a", "b")):
        order = cube.arranged(coarse.code, coarse.size)
        median, high = percentiles.of(coarse.code, coarse.size, (0.5, 0.9))
        fine = cube.totals(groups.code, facts["amount"].to_numpy(), groups.size)
        found.append(
            pd.DataFrame(coarse.values)
            .replace(cube.ALL, None)
            .assign(
                n=cube.counts(coarse.code, coarse.size),
                ids=cube.distinct(coarse.code[order], facts["id"].to_numpy()[order], coarse.size),
                total=cube.totals(of_group, fine, coarse.size),
                median=median,
                high=high,
            )
        )
    expected = duckdb.sql("""
        SELECT a, b, c, count(*) AS n, count(DISTINCT id) AS ids, sum(amount) AS total,
            quantile_cont(amount, 0.5) AS median, quantile_cont(amount, 0.9) AS high
        FROM facts GROUP BY GROUPING SETS ((a, b, c), (b, c), (a, c), (c))
    """).fetchall()
    together = [
        tuple(None if pd.isna(v) else float(v) for v in row) for row in pd.concat(found).itertuples(index=False)
    ]
    rounded = [tuple(None if v is None else round(float(v), 6) for v in row) for row in expected]
    key = repr
    assert sorted([tuple(None if v is None else round(v, 6) for v in row) for row in together], key=key) == sorted(
        rounded, key=key
    )


def test_many_groups_and_large_amounts() -> None:
    """More groups than 16 bits number, and amounts too large to be packed with their row."""
    rng = np.random.default_rng(1)
    code = rng.integers(0, 200_000, 300_000).astype(np.int32)
    order = cube.arranged(code, 200_000)
    assert np.array_equal(order, np.argsort(code, kind="stable"))
    amounts = rng.integers(0, 2**61, 1000)
    (median,) = cube.Percentiles(amounts).of(np.zeros(1000, dtype=np.int32), 1, (0.5,))
    assert median[0] == pytest.approx(float(np.median(amounts)))


def test_more_combinations_than_64_bits_number() -> None:
    rng = np.random.default_rng(2)
    columns = {str(n): rng.integers(0, 2, 1000) * 2**30 for n in range(5)}
    groups = cube.grouped(columns)
    assert groups.size == len(pd.DataFrame(columns).drop_duplicates()) == 32
    for name, column in columns.items():
        assert np.array_equal(groups.values[name][groups.code], column)

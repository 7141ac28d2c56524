"""Which of several rows is the event: hand-counted, and against a naive rule on random ledgers."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klantspoor.events.dedupe import DUPLICATE, SUPERSEDED, rank_copies, row_outcomes

Row = tuple[str, int, int, float | None, int]
"""event_id, sequence, row_number, version, content."""


def losers(rows: list[Row], quarantined: list[tuple[int, int]] = []) -> tuple[dict[tuple[int, int], int], list[dict]]:  # noqa: B006
    connection = duckdb.connect()
    connection.register(
        "raw",
        pa.table(
            {
                "event_id": pa.array([r[0] for r in rows], pa.string()),
                "sequence": pa.array([r[1] for r in rows], pa.int64()),
                "row_number": pa.array([r[2] for r in rows], pa.int64()),
                "position": pa.array([1] * len(rows), pa.int16()),
                "version": pa.array([r[3] for r in rows], pa.float64()),
                "content": pa.array([r[4] for r in rows], pa.uint64()),
            }
        ),
    )
    connection.register(
        "quarantined_rows",
        pa.table(
            {
                "sequence": pa.array([q[0] for q in quarantined], pa.int64()),
                "row_number": pa.array([q[1] for q in quarantined], pa.int64()),
            }
        ),
    )
    connection.execute("CREATE VIEW copies AS SELECT * FROM raw")
    rank_copies(connection)
    connection.execute("CREATE VIEW losers AS SELECT * FROM new_losers")
    found = connection.execute("SELECT sequence, row_number, outcome FROM losers").fetchall()
    return {(sequence, row): outcome for sequence, row, outcome in found}, row_outcomes(connection).to_pylist()


@pytest.mark.parametrize(("rows", "expected"), [
    pytest.param([("a", 1, 1, None, 7)], {}, id="alone"),
    pytest.param([("a", 1, 1, None, 7), ("a", 1, 2, None, 7)], {(1, 2): DUPLICATE}, id="the earliest of equals is kept"),
    pytest.param([("a", 1, 1, None, 7), ("a", 2, 1, None, 8)], {(1, 1): SUPERSEDED}, id="the later file wins"),
    pytest.param([("a", 1, 1, 5.0, 7), ("a", 2, 1, 4.0, 8)], {(2, 1): SUPERSEDED}, id="the higher version wins"),
    pytest.param([("a", 1, 1, None, 7), ("a", 2, 1, 0.0, 8)], {(1, 1): SUPERSEDED}, id="any version beats none"),
    pytest.param([("a", 1, 1, None, 7), ("b", 1, 2, None, 7)], {}, id="another event"),
    pytest.param(
        [("a", 1, 1, None, 7), ("a", 2, 1, None, 8), ("a", 3, 1, None, 7)], {(2, 1): SUPERSEDED, (3, 1): DUPLICATE},
        id="what was said first and is said again was known since the first time",
    ),
])  # fmt: skip
def test_by_hand(rows: list[Row], expected: dict[tuple[int, int], int]) -> None:
    assert losers(rows)[0] == expected


def test_a_row_has_one_outcome_and_a_quarantined_one_another() -> None:
    rows: list[Row] = [
        ("a", 1, 1, None, 7),
        ("a", 1, 2, None, 7),
        ("b", 1, 3, None, 1),
        ("b", 2, 1, None, 2),
        ("c", 2, 2, None, 3),
    ]
    assert sorted(losers(rows, [(2, 2)])[1], key=lambda row: row["sequence"]) == [
        {"sequence": 1, "used": 1, "superseded": 1, "duplicates": 1},
        {"sequence": 2, "used": 1, "superseded": 0, "duplicates": 0},
    ]


def naive(rows: list[Row]) -> dict[tuple[int, int], int]:
    result = {}
    for name in {row[0] for row in rows}:
        mine = [row for row in rows if row[0] == name]
        best = max(mine, key=lambda r: (float("-inf") if r[3] is None else r[3], r[1], r[2]))
        kept = min((r for r in mine if r[4] == best[4]), key=lambda r: (r[1], r[2]))
        for row in mine:
            if row is not kept:
                result[row[1], row[2]] = DUPLICATE if row[4] == best[4] else SUPERSEDED
    return result


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.integers(1, 3),
            st.integers(1, 6),
            st.sampled_from([None, 1.0, 2.0]),
            st.integers(1, 3),
        ),
        max_size=15,
        unique_by=lambda row: (row[1], row[2]),
    )
)
def test_as_the_naive_rule_says(rows: list[Row]) -> None:
    assert losers(rows)[0] == naive(rows)

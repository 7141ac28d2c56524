"""The parts by themselves: cleaning, keys and blocks, and the maximisation beside a naive one."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linkage_world import strangers, table

from klantspoor.linkage import KINDS, LinkageSettings
from klantspoor.linkage.blocking import LARGEST_BLOCK, add_keys, comparison_rules
from klantspoor.linkage.comparisons import CLOSE, comparisons
from klantspoor.linkage.expectation import BELIEF, Patterns, maximise
from klantspoor.linkage.fields import derived_columns, prepare
from klantspoor.project.model import Linkage


def people(rows: list[dict[str, Any]]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    records = table(rows)
    connection.register("records", records)
    prepare(connection, "records", [name for name in records.column_names if name in KINDS])
    return connection


@pytest.mark.parametrize(
    ("kind", "written", "cleaned"),
    [
        ("last_name", "  O'Brien–Müller ", "o brien muller"),
        ("last_name", "ONBEKEND", None),
        ("last_name", "n.v.t.", None),
        ("last_name", "???", None),
        ("last_name", "Иванова", "иванова"),
        ("birth_date", "1970-02-03", "1970-02-03"),
        ("birth_date", "1970-02-03T00:00:00", "1970-02-03"),
        ("birth_date", "1970-02-00", "1970-02"),
        ("birth_date", "1970-00-00", "1970"),
        ("birth_date", "3 feb", None),
        ("email", " Jan@Example.ORG ", "jan@example.org"),
        ("email", "no address", None),
        ("phone", "+31 6 1234-5678", "612345678"),
        ("phone", "0612345678", "612345678"),
        ("phone", "0000000000", None),
        ("phone", "0999999999", None),
        ("phone", "123", None),
        ("postcode", "1234 ab", "1234ab"),
        ("postcode", "0000", None),
        ("house_number", "12-A", "12a"),
        ("city", "", None),
    ],
)
def test_a_value_is_cleaned_for_comparing(kind: str, written: str, cleaned: str | None) -> None:
    assert people([{kind: written}]).execute(f"SELECT {kind} FROM people").fetchall() == [(cleaned,)]


def test_a_full_name_gives_its_ends_only_where_no_name_stands_apart() -> None:
    rows = [
        {"full_name": "Jan van den Berg", "last_name": None, "first_name": None},
        {"full_name": "Jan van den Berg", "last_name": "van den Berg", "first_name": None},
        {"full_name": "Jan", "last_name": None, "first_name": None},
    ]
    found = people(rows).execute("SELECT first_name, last_name, name_parts FROM people ORDER BY id").fetchall()
    assert found == [
        ("jan", "berg", ["berg"]),
        (None, "van den berg", ["berg"]),
        (None, None, []),
    ]


def test_every_field_is_compared_or_only_told_of() -> None:
    everything = comparisons(derived_columns(KINDS))
    looked_at = set().union(*(comparison.uses() for comparison in everything))
    # A full name is compared through its parts, and a city where there is no better address.
    assert set(KINDS) - looked_at == {"full_name", "city"}
    assert set(CLOSE) == set(KINDS)
    for comparison in everything:
        assert math.isclose(sum(level.m for level in comparison.levels), 1)
        assert comparison.levels[-1].sql == "ELSE"
    assert "city" in {comparison.name for comparison in comparisons(("last_name", "city"))}


def naive_pairs(rows: list[dict[str, Any]], keys: list[tuple[str, ...]], largest: int) -> list[int]:
    """By key, in how many pairs both have the same values of its columns, in groups that are not too large."""
    found = []
    for key in keys:
        groups = Counter(tuple(row.get(column) for column in key) for row in rows if all(row.get(c) for c in key))
        found.append(sum(len(list(combinations(range(n), 2))) for n in groups.values() if n <= largest))
    return found


def test_blocks_are_counted_as_pairs_and_kept_small() -> None:
    rows = [{"first_name": "ann", "last_name": "bos", "email": f"e{n % 90}@x.nl"} for n in range(LARGEST_BLOCK + 1)]
    rows += [{"first_name": f"f{n % 7}", "last_name": "smit", "email": None} for n in range(40)]
    connection = people(rows)
    rules = [
        rule for rule in comparison_rules(("first_name", "last_name", "email")) if rule.name in {"email", "both names"}
    ]
    reports = add_keys(connection, rules, 10**9)
    assert [report.pairs for report in reports] == naive_pairs(
        rows, [("email",), ("first_name", "last_name")], LARGEST_BLOCK
    )
    assert [report.left_out for report in reports] == [0, LARGEST_BLOCK + 1]
    made = [
        connection.execute(
            f"SELECT count(*) FROM people p JOIN people q ON p.{r.column} = q.{r.column} AND p.id < q.id"
        ).fetchall()[0][0]
        for r in rules
    ]
    assert made == [report.pairs for report in reports]


@pytest.mark.parametrize("budget", [0, 5, 100, 1000])
def test_a_budget_is_never_gone_over(budget: int) -> None:
    rows = [{"first_name": f"f{n % 9}", "last_name": f"l{n % 4}", "city": f"c{n % 5}"} for n in range(150)]
    connection = people(rows)
    reports = add_keys(connection, comparison_rules(("first_name", "last_name", "city")), budget)
    assert sum(report.pairs for report in reports) <= budget


def naive_maximise(
    m: dict[str, list[float]], u: dict[str, list[float]], pairs: list[list[dict[str, int]]]
) -> dict[str, list[float]]:
    """Pair by pair, in plain Python: as many rounds as it takes."""
    first, matching = {name: list(shares) for name, shares in m.items()}, [0.5] * len(pairs)
    for _ in range(3000):
        counts = {name: [BELIEF * share for share in first[name]] for name in first}
        for number, session in enumerate(pairs):
            total = 0.0
            for pair in session:
                yes, no = matching[number], 1 - matching[number]
                for name, level in pair.items():
                    yes, no = yes * m[name][level], no * u[name][level]
                total += yes / (yes + no)
                for name, level in pair.items():
                    counts[name][level] += yes / (yes + no)
            matching[number] = (total + 1) / (len(session) + 2)
        m = {name: [count / sum(seen) for count in seen] for name, seen in counts.items()}
    return m


LEVELS = {"a": 3, "b": 2}
one_pair = st.fixed_dictionaries({}, optional={name: st.integers(0, levels - 1) for name, levels in LEVELS.items()})


@settings(max_examples=8, deadline=None)
@given(st.lists(st.lists(one_pair, min_size=1, max_size=12), min_size=1, max_size=2))
def test_maximising_patterns_is_maximising_pairs(sessions: list[list[dict[str, int]]]) -> None:
    m, u = {"a": [0.7, 0.2, 0.1], "b": [0.9, 0.1]}, {"a": [0.05, 0.15, 0.8], "b": [0.3, 0.7]}
    counted = []
    for number, session in enumerate(sessions):
        seen = Counter(tuple(pair.get(name, -1) for name in LEVELS) for pair in session)
        levels = {name: np.array([pattern[at] for pattern in seen]) for at, name in enumerate(LEVELS)}
        counted.append(Patterns(str(number), np.array(list(seen.values()), dtype=float), levels))
    learned = maximise({k: np.array(v) for k, v in m.items()}, {k: np.array(v) for k, v in u.items()}, counted)
    expected = naive_maximise(m, u, sessions)
    for name in LEVELS:
        assert learned.m[name] == pytest.approx(expected[name], abs=5e-3)


def test_thousands_of_pairs_overrule_the_belief_and_none_keep_it() -> None:
    first, u = (
        {"a": np.array([0.5, 0.5]), "b": np.array([0.9, 0.1])},
        {"a": np.array([0.01, 0.99]), "b": np.array([0.001, 0.999])},
    )
    # 9,000 pairs agree on both, 1,000 on b alone: all of one person, who agrees on a in nine of ten.
    many = Patterns("r", np.array([9000.0, 1000.0]), {"a": np.array([0, 1]), "b": np.array([0, 0])})
    assert maximise(first, u, [many]).m["a"] == pytest.approx([0.9, 0.1], abs=0.01)
    nobody = Patterns("r", np.array([10_000.0]), {"a": np.array([1]), "b": np.array([1])})
    assert maximise(first, u, [nobody]).m["b"] == pytest.approx([0.9, 0.1], abs=0.05)
    assert maximise(first, u, []).m["a"] == pytest.approx([0.5, 0.5])


def test_the_project_and_the_room_have_the_same_defaults() -> None:
    for name, value in Linkage().model_dump().items():
        assert getattr(LinkageSettings(), name) == value


def test_a_column_without_a_value_is_of_no_type_and_no_harm() -> None:
    records = table(strangers(20)).append_column("occupation", pa.nulls(20))
    connection = duckdb.connect()
    connection.register("records", records)
    assert prepare(connection, "records", ("last_name", "occupation")) == 20

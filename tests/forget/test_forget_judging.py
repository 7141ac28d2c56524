"""Whose a row is, at the gate and in the ledger: held against a naive rule, row by row, in plain Python."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from klantspoor.forget.request import Request
from klantspoor.forget.sets import Held, is_theirs, set_number, without
from klantspoor.intake.identifiers import IdentifierColumn, together
from klantspoor.intake.pseudonyms import Pseudonymiser
from klantspoor.intake.tombstones import (
    IDENTIFIER,
    SHARED_SCHEMA,
    TOMBSTONES_SCHEMA,
    Gravekeeper,
    Tombstones,
    make_tombstones,
)
from klantspoor.project.key import Keys

PRIORITIES = {"customer": 1, "email": 2, "phone": 2}
TYPES = ("customer", "email", "phone", "email")
NAMES = [f"{number:024x}" for number in range(5)]
REQUESTED = datetime(2026, 1, 10, tzinfo=UTC)
PSEUDONYMS = Pseudonymiser(duckdb.connect(), Keys((b"a key of sixteen bytes and more",)))
Cell = tuple[str, str | None] | None
"""An identifier and its guard."""

cells = st.one_of(st.none(), st.tuples(st.sampled_from(NAMES), st.sampled_from([None, None, None, "blocked"])))
rows = st.lists(
    st.tuples(st.tuples(*[cells] * len(TYPES)), st.one_of(st.none(), st.integers(0, 20))), min_size=1, max_size=12
)
identifiers = st.sets(st.tuples(st.sampled_from(sorted(PRIORITIES)), st.sampled_from(NAMES)), max_size=6)


def keeper(dead: set[tuple[str, str]], shared: set[tuple[str, str]]) -> Gravekeeper:
    graves = [
        {
            "kind": IDENTIFIER,
            "identifier_type": kind,
            "tombstone": make_tombstones(PSEUDONYMS, IDENTIFIER, pa.array([name]), kind)[0].as_py(),
            "effective_before": REQUESTED,
            "receipt": "r",
        }
        for kind, name in dead
    ]
    told = [{"identifier_type": kind, "identifier": name, "how": "shared"} for kind, name in shared]
    tombstones = Tombstones(pa.Table.from_pylist(graves, TOMBSTONES_SCHEMA), pa.Table.from_pylist(told, SHARED_SCHEMA))
    return Gravekeeper(tombstones, PSEUDONYMS, PRIORITIES)


def columns(table: list[tuple[Cell, ...]]) -> list[IdentifierColumn]:
    return [
        IdentifierColumn(
            kind,
            pa.array([row[at][0] if row[at] else None for row in table], pa.string()),
            pa.array([row[at][1] if row[at] else None for row in table], pa.string()),
        )
        for at, kind in enumerate(TYPES)
    ]


def naive(
    row: tuple[Cell, ...], day: int | None, dead: set[tuple[str, str]], shared: set[tuple[str, str]]
) -> tuple[bool, list[str | None]]:
    """(erased, what is left in each cell)."""
    before = day is None or REQUESTED + timedelta(days=day - 10) < REQUESTED
    named = [
        (PRIORITIES[kind], kind, cell[0]) for kind, cell in zip(TYPES, row, strict=True) if cell and cell[1] is None
    ]
    voices = [voice for voice in named if voice[1:] not in shared]
    if before and voices and min(voices)[1:] in dead:
        return True, []
    left = []
    for kind, cell in zip(TYPES, row, strict=True):
        name = cell[0] if cell else None
        is_dead = cell is not None and cell[1] is None and (kind, name) in dead and (kind, name) not in shared
        left.append(None if before and is_dead else name)
    return False, left


@given(rows, identifiers, identifiers)
@settings(deadline=None, max_examples=150)
def test_the_gate_judges_as_the_naive_rule_does(
    table: list[tuple[tuple[Cell, ...], int | None]], dead: set[tuple[str, str]], shared: set[tuple[str, str]]
) -> None:
    moments = [REQUESTED + timedelta(days=(day or 0) - 10) for _, day in table]
    at = pa.array(moments, pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    dated = np.array([day is not None for _, day in table], np.bool_)
    judged = keeper(dead, shared).judge(columns([row for row, _ in table]), at, dated)
    wanted = [naive(row, day, dead, shared) for row, day in table]
    assert judged.erased.tolist() == [erased for erased, _ in wanted]
    for number, (erased, left) in enumerate(wanted):
        if not erased:
            assert [column.pseudonyms[number].as_py() for column in judged.columns] == left


@given(rows, identifiers, identifiers)
@settings(deadline=None, max_examples=50)
def test_a_list_says_nothing_new_of_the_dead(
    table: list[tuple[tuple[Cell, ...], int | None]], dead: set[tuple[str, str]], shared: set[tuple[str, str]]
) -> None:
    found = keeper(dead, shared).nothing_else(columns([row for row, _ in table]))
    for (row, _), nothing_else in zip(table, found.tolist(), strict=True):
        named = {(kind, cell[0]) for kind, cell in zip(TYPES, row, strict=True) if cell and cell[1] is None} - shared
        assert nothing_else == (bool(named) and named <= dead)


def held(*names: str) -> list[Held]:
    """Identifiers as "type:name", with "!" before a guarded one."""
    return [
        {"type": kind.lstrip("!"), "identifier": name, "guard": "blocked" if kind.startswith("!") else None}
        for kind, _, name in (text.partition(":") for text in names)
    ]


def test_a_set_is_whose_its_most_trusted_identifier_is() -> None:
    request = Request(
        "r", REQUESTED, "p", exclusive=[("customer", "k1"), ("email", "a")], others=[("customer", "k2"), ("email", "b")]
    )
    for names, theirs in (
        (["customer:k1"], True),
        (["customer:k1", "email:b"], True),
        (["customer:k2", "email:a"], False),
        (["email:a", "phone:shared"], True),
        (["customer:unknown", "email:a"], True),
        (["email:b", "email:a"], True),
        (["!customer:k1", "email:b"], False),
        (["phone:shared"], False),
        ([], False),
    ):
        assert is_theirs(held(*names), request, PRIORITIES) == theirs, names
    assert without(held("customer:k2", "email:a", "!customer:k1"), request) == held("customer:k2")


def test_what_is_left_of_a_set_has_the_number_that_intake_gives() -> None:
    one, two = NAMES[1], NAMES[2]
    both = [
        IdentifierColumn(k, pa.array([v]), pa.nulls(1, pa.string())) for k, v in (("email", two), ("customer", one))
    ]
    assert set_number(held(f"customer:{one}", f"email:{two}")) == int(together(both, 1).sets[0])
    assert set_number([]) == 0

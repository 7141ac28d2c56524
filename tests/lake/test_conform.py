"""What a batch must be to be written: exactly what the dictionary says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from klantspoor.dictionary import TABLES
from klantspoor.errors import LakeError
from klantspoor.lake.conform import conform
from tests.lake.small_world import loose, row

TABLE = TABLES["experiences"]


def batch() -> pa.Table:
    return pa.Table.from_pylist(
        [row(TABLE, number, touchpoint_number=number) for number in (1, 2)], schema=loose(TABLE)
    )


def with_column(name: str, values: pa.Array) -> pa.Table:
    data = batch()
    return data.set_column(data.schema.get_field_index(name), name, values)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("touchpoint_number", pa.array([1, None], pa.int32())),
        ("touchpoint_number", pa.array([1.0, 2.0])),
        ("touchpoint_number", pa.nulls(2)),
        ("score", pa.array([1, 2], pa.int8())),
        ("event_id", pa.array(["a", "b"], pa.large_string())),
        ("event_id", pa.array(["a", "b"], pa.string_view())),
        ("event_id", pa.array(["a", "b"]).dictionary_encode()),
        ("instrument", pa.array(["nps", "nps"])),
        ("instrument", pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array(["nps", "ces"]))),
        ("answered_at", pa.array([datetime(2024, 1, 1, tzinfo=UTC)] * 2, pa.timestamp("ms", tz="Europe/Amsterdam"))),
    ],
)
def test_what_fits_without_loss_is_taken(name: str, values: pa.Array) -> None:
    taken = conform(TABLE, with_column(name, values))
    assert taken.schema.equals(TABLE.schema)
    assert [str(value) for value in taken[name].to_pylist()] == [
        str(value.astimezone(UTC)) if isinstance(value, datetime) else str(value)
        for value in values.cast(taken.schema.field(name).type).to_pylist()
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: batch().drop_columns(["score"]), "table experiences: missing columns: score"),
        (lambda: batch().append_column("scor", pa.array([1, 2])), "does not know: scor (Did you mean 'score'"),
        (lambda: batch().append_column("score", pa.array([1, 2])), "columns given twice: score"),
        (lambda: with_column("event_id", pa.array(["a", None])), "column event_id: 1 of 2 rows are null"),
        (
            lambda: with_column(
                "instrument", pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["nps", None], pa.string()))
            ),
            "column instrument: 1 of 2 rows are null",
        ),
        (lambda: with_column("score", pa.array(["7", "8"])), "column score: string does not fit into double"),
        (
            lambda: with_column("score", pa.array([7.0, float("nan")])),
            "column score: 1 of 2 rows are not a finite number",
        ),
        (
            lambda: with_column("score", pa.array([float("inf"), 1.0])),
            "column score: 1 of 2 rows are not a finite number",
        ),
        (lambda: with_column("touchpoint_number", pa.array([1.5, 2.0])), "double does not fit into int64 without loss"),
        (lambda: with_column("touchpoint_number", pa.array([2**64 - 1, 2], pa.uint64())), "uint64 does not fit"),
        (lambda: with_column("event_id", pa.array([1, 2])), "int64 does not fit into string"),
        (lambda: with_column("instrument", pa.array([1, 2])), "column instrument: int64 does not fit"),
        (lambda: with_column("answered_at", pa.array([1, 2])), "column answered_at: int64 does not fit"),
        (
            lambda: with_column("answered_at", pa.array([datetime(2024, 1, 1)] * 2, pa.timestamp("us"))),
            "column answered_at: timestamp[us] does not fit",
        ),
        (
            lambda: with_column("answered_at", pa.array([1, 2], pa.timestamp("ns", tz="UTC"))),
            "column answered_at: timestamp[ns, tz=UTC] does not fit",
        ),
    ],
)
def test_what_does_not_fit_is_refused(change: Callable[[], pa.Table], message: str) -> None:
    with pytest.raises(LakeError) as refused:
        conform(TABLE, change())
    assert message in str(refused.value)


def test_columns_come_in_the_dictionarys_order() -> None:
    data = batch()
    assert conform(TABLE, data.select(data.column_names[::-1])).column_names == list(TABLE.names)


def test_a_refusal_quotes_no_value() -> None:
    with pytest.raises(LakeError) as refused:
        conform(TABLE, with_column("score", pa.array(["jan@example.org", "8"])))
    assert "jan" not in str(refused.value)

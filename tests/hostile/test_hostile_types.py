"""Parquet columns of any type where times, ids, activities and customers are expected: no file stops the night."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from klantspoor.intake import IntakeReport, take_in
from klantspoor.project.load import load_project
from tests.hostile.hostile_canaries import PEOPLE, found_in, found_in_bytes
from tests.hostile.hostile_landing import FIRST, land
from tests.hostile.hostile_project import write_project

SECRET = PEOPLE[0].email
COLUMNS = {
    "bytes": pa.array([b"\xff\xfe" + SECRET.encode(), b"ok"]),
    "struct": pa.array([{"who": SECRET}, {"who": None}]),
    "list": pa.array([[SECRET], []]),
    "map": pa.array([[(SECRET, 1)], []], pa.map_(pa.string(), pa.int64())),
    "text view": pa.array([SECRET, "x"], pa.string_view()),
    "large text": pa.array([SECRET, "x"], pa.large_string()),
    "dictionary": pa.array([SECRET, "x"]).dictionary_encode(),
    "wide decimal": pa.array([Decimal("1.5"), None], pa.decimal256(60, 2)),
    "half float": pa.array([1.5, 2.5], pa.float16()),
    "list of half floats": pa.array([[1.5], []], pa.list_(pa.float16())),
    "not finite": pa.array([float("nan"), float("inf")]),
    "unsigned": pa.array([2**64 - 1, 0], pa.uint64()),
    "duration": pa.array([1, 2], pa.duration("s")),
    "time of day": pa.array([1, 2], pa.time64("us")),
    "nanoseconds": pa.array([2**62, None], pa.timestamp("ns")),
    "end of time": pa.array([2**63 - 1, -(2**63) + 1], pa.timestamp("us")),
    "zone of Mars": pa.array([0, 1], pa.timestamp("ms", tz="Mars/Olympus")),
    "far days": pa.array([2**31 - 1, -(2**31)], pa.date32()),
    "nothing": pa.nulls(2),
    "uuid": pa.array([b"0123456789abcdef"] * 2, pa.uuid()),
}


def take(root: Path, target: str, column: pa.Array) -> IntakeReport:
    moments = pa.array([datetime(2026, 4, 1, 8, tzinfo=UTC)] * 2, pa.timestamp("us", tz="UTC"))
    table = {
        "number": pa.array(["1", "2"]),
        "customer": pa.array([PEOPLE[0].customer, "C-1"]),
        "moment": moments,
        "what": pa.array(["Ordered", "Ordered"]),
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(table | {target: column}), sink)
    land(root / "landing", {"orders/day.parquet": sink.getvalue()}, FIRST)
    return take_in(load_project(write_project(root)), root / "lake", FIRST)


@pytest.mark.parametrize("target", ["customer", "moment"])
@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_of_any_type_is_read_or_quarantined(kind: str, target: str, tmp_path: Path) -> None:
    (file,) = take(tmp_path, target, COLUMNS[kind]).files
    assert file.outcome in {"used", "quarantined"}
    counts = file.counts
    assert counts.rows_read == (2 if file.outcome == "used" else 0)
    assert counts.events_made + counts.rows_quarantined == counts.rows_read
    if target == "moment":
        # None of these is a time within reach; that nobody knows a zone does not matter to an instant.
        assert counts.events_made == 0 or kind == "zone of Mars"
    else:
        assert found_in(tmp_path / "lake") == {}
        assert found_in_bytes(repr(file).encode()) == set()

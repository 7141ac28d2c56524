"""Comparing tables: what two bags of rows have that the other has not, against counting them in plain Python."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klantspoor.dictionary import TABLES
from klantspoor.lake.connection import table_glob
from klantspoor.verify import DIARY, Difference, compare_versions
from klantspoor.verify.compare import MOST_KEYS
from tests.lake.small_world import T0, loose, row

Row = dict[str, Any]


class Folder:
    """Tables as files in a folder, each list of rows a file of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, table: str, *files: Sequence[Row], schema: pa.Schema | None = None) -> Folder:
        folder = self.root / table
        folder.mkdir(parents=True, exist_ok=True)
        for rows in files:
            data = pa.Table.from_pylist(list(rows), schema=schema or loose(TABLES[table]))
            pq.write_table(data, folder / f"part-{len(list(folder.iterdir()))}.parquet")
        return self

    def has(self, table_name: str) -> bool:
        return (self.root / table_name).is_dir()

    def glob(self, table_name: str) -> str:
        return table_glob(self.root / table_name)


@pytest.fixture
def one(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "one")


@pytest.fixture
def other(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "other")


def experience(number: int, **given: Any) -> Row:
    return row(TABLES["experiences"], number, event_id=f"E{number}", score=7.5, score_0_100=75.0) | given


def bits(value: Any) -> Any:
    return struct.pack("<d", value) if isinstance(value, float) else value


def bag(rows: Sequence[Row]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple((name, bits(value)) for name, value in sorted(one.items())) for one in rows)


SCORES = st.sampled_from([0.0, -0.0, 0.1, math.nextafter(0.1, 1), 0.1 + 0.2, 0.3, 1e300])
ROWS = st.lists(
    st.builds(
        experience,
        st.integers(1, 4),
        score=SCORES,
        journey_id=st.sampled_from([None, "", "J1"]),
        touchpoint_number=st.sampled_from([None, 0, 1]),
        answered_at=st.sampled_from([T0, T0 + timedelta(microseconds=1)]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, ROWS, st.integers(0, 12))
def test_the_rows_that_only_one_has(
    tmp_path_factory: pytest.TempPathFactory, left: list[Row], right: list[Row], cut: int
) -> None:
    root = tmp_path_factory.mktemp("bags")
    here = Folder(root / "one").put("experiences", left[cut:], left[:cut])
    there = Folder(root / "other").put("experiences", right[::-1])
    only_here, only_there = bag(left) - bag(right), bag(right) - bag(left)
    found = compare_versions(here, there)
    if not only_here and not only_there:
        assert found == []
        return
    [difference] = found
    assert (difference.only_one, difference.only_other) == (only_here.total(), only_there.total())
    for keys, only in ((difference.keys_one, only_here), (difference.keys_other, only_there)):
        ids = sorted({dict(held)["event_id"] for held in only})
        assert [key["event_id"] for key in keys] == ids[:MOST_KEYS]


def test_a_cell_that_changed_is_told_with_its_column(one: Folder, other: Folder) -> None:
    one.put("experiences", [experience(1), experience(2), experience(3)])
    other.put("experiences", [experience(1), experience(2, score=7.6, journey_id="J1"), experience(3, score=None)])
    [found] = compare_versions(one, other)
    assert (found.only_one, found.only_other) == (2, 2)
    assert found.columns == (("score", 2), ("journey_id", 1))
    assert found.keys_one == ({"event_id": "E2"}, {"event_id": "E3"}) == found.keys_other
    assert str(found) == (
        "experiences: 2 rows only in the one, 2 only in the other; columns that differ: score (2), journey_id (1)"
    )


def test_a_row_held_twice_and_a_row_that_is_not_there(one: Folder, other: Folder) -> None:
    one.put("experiences", [experience(1), experience(1), experience(2)])
    other.put("experiences", [experience(1), experience(2), experience(3)])
    [found] = compare_versions(one, other)
    assert found == Difference("experiences", 1, 1, ({"event_id": "E1"},), ({"event_id": "E3"},))


def test_files_and_the_order_of_rows_are_free(one: Folder, other: Folder) -> None:
    waits = [row(TABLES["waits"], number, journey_id=f"J{number}") for number in range(1, 9)]
    one.put("waits", waits)
    other.put("waits", waits[5:], [], waits[4::-1])
    assert compare_versions(one, other) == []


def test_a_mart_with_a_month_of_its_own_and_nulls_in_its_key(one: Folder, other: Folder) -> None:
    rows = [row(TABLES["journey_map"], number, month=month) for number, month in ((1, "2024-05"), (1, None))]
    one.put("journey_map", rows)
    other.put("journey_map", [rows[0], rows[1] | {"journeys": 99}])
    [found] = compare_versions(one, other)
    assert found.columns == (("journeys", 1),)
    assert [key["month"] for key in found.keys_one] == [None]


def test_lists_are_compared_element_by_element(one: Folder, other: Folder) -> None:
    variants = [row(TABLES["variants"], sequence=steps) for steps in (["a", "b"], ["a", "b", "c"])]
    one.put("variants", variants[:1])
    other.put("variants", variants[1:])
    [found] = compare_versions(one, other)
    assert found.columns == (("sequence", 1),)


def test_the_diary_is_not_compared(one: Folder, other: Folder) -> None:
    later = T0 + timedelta(days=1)
    one.put("runs", [row(TABLES["runs"])]).put("person_aliases", [row(TABLES["person_aliases"])])
    other.put("runs", [row(TABLES["runs"], 2)])
    event, audit = row(TABLES["events"]), row(TABLES["identity_audit"])
    one.put("events", [event]).put("identity_audit", [audit])
    other.put("events", [event | {"known_person_id": "x"}])
    other.put("identity_audit", [audit | {"decided_at": later}])
    assert compare_versions(one, other) == []
    other.put("identity_audit", [audit | {"reason": "another"}])
    assert [found.table for found in compare_versions(one, other)] == ["identity_audit"]
    named = {name.partition(".") for name in DIARY}
    assert {table for table, _, _ in named} - {"restatements"} <= set(TABLES)
    assert all(not column or column in TABLES[table].names for table, _, column in named)


def test_a_table_that_is_not_there(one: Folder, other: Folder) -> None:
    one.put("experiences", [experience(1)])
    other.put("quarantine", [row(TABLES["quarantine"])])
    found = compare_versions(one, other)
    assert [difference.told("A", "B") for difference in found] == [
        "quarantine: is not in A",
        "experiences: is not in B",
    ]


def test_columns_of_another_type_are_told_and_the_others_compared(one: Folder, other: Folder) -> None:
    schema = loose(TABLES["experiences"])
    at = schema.get_field_index("touchpoint_number")
    narrow = schema.set(at, pa.field("touchpoint_number", pa.int16())).append(pa.field("mood", pa.string()))
    one.put("experiences", [experience(1), experience(2)])
    other.put("experiences", [experience(1, mood="fine"), experience(2, mood="fine", score=1.0)], schema=narrow)
    [found] = compare_versions(one, other)
    told = found.told("A", "B")
    assert "mood (absent in A, VARCHAR in B)" in told
    assert "touchpoint_number" in told
    assert found.columns == (("score", 1),)
    same = Folder(other.root.parent / "same").put("experiences", [experience(1), experience(2)], schema=narrow)
    [found] = compare_versions(one, same)
    assert (found.only_one, found.only_other) == (0, 0)
    assert found.shape is not None

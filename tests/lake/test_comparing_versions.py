"""Two versions compared: as a naive comparison in Python would, by keys, without reading what both hold."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from klantspoor.dictionary import TABLES
from klantspoor.lake.comparing import Side, TableDifference, compare_table, side_of
from klantspoor.lake.comparison import compare
from klantspoor.lake.staging import count_rows
from tests.lake.small_world import AS_OF, Row, loose, row
from tests.lake.versions_world import lake_in, publish

MAP = TABLES["journey_map"]
SCHEMA = loose(MAP)


def figures(rows: Iterable[Row]) -> dict[Any, Row]:
    return {tuple(one[name] for name in MAP.key): one for one in rows}


@st.composite
def both(draw: st.DrawFn) -> tuple[list[Row], list[Row], list[Row]]:
    """Rows of a shared file, and those that only the older and only the newer version holds; keys with nulls."""
    keys = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["moving", "outage"]), st.sampled_from(["young", None]),
                st.sampled_from(["2026-01", "2026-02", None]), st.sampled_from(["one", "two"]),
            ),
            unique=True,
        )
    )  # fmt: skip
    shared, before, after = [], [], []
    for key in keys:
        values = [
            {
                "journeys": draw(st.integers(1, 2)),
                "wait_median_hours": draw(st.sampled_from([None, 1.0, float("nan")])),
                "channel_mix": draw(st.sampled_from(["", "phone 1"])),
                "is_provisional": draw(st.booleans()),
            }
            for _ in range(2)
        ]
        made = [row(MAP, **dict(zip(MAP.key, key, strict=True)), **told) for told in values]
        where = draw(st.sampled_from(["shared", "before", "after", "both"]))
        if where == "shared":
            shared.append(made[0])
        if where in ("before", "both"):
            before.append(made[0])
        if where in ("after", "both"):
            after.append(made[1])
    return shared, before, after


def side(root: Path, name: str, files: dict[str, list[Row]], linked: Path | None = None) -> Side:
    folder = root / name / MAP.name
    folder.mkdir(parents=True)
    for file, rows in files.items():
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / f"{file}.parquet")
    if linked is not None:
        os.link(linked, folder / linked.name)
    return Side(
        name, lambda table: root / name / table, lambda table: count_rows(root / name / table), frozenset({MAP.name})
    )


def plain(value: object) -> object:
    return "nan" if value != value else value  # noqa: PLR0124 - that is what NaN is


@settings(max_examples=150, deadline=None)
@given(both())
def test_it_counts_as_plain_python_does(rows: tuple[list[Row], list[Row], list[Row]]) -> None:
    shared, only_before, only_after = rows
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        root = Path(folder)
        older = side(root, "older", {"settled": shared, "live": only_before})
        newer = side(root, "newer", {"live-7": only_after}, linked=root / "older" / MAP.name / "settled.parquet")
        found = compare_table(connection, MAP.name, older, newer)
    was, is_ = figures([*shared, *only_before]), figures([*shared, *only_after])
    pairs = [(was[key], is_[key]) for key in was.keys() & is_.keys()]
    columns = {
        name: number
        for name in MAP.names
        if (number := sum(plain(old[name]) != plain(new[name]) for old, new in pairs))
    }
    assert (found.before, found.after) == (len(was), len(is_))
    assert (found.added, found.removed) == (len(is_.keys() - was.keys()), len(was.keys() - is_.keys()))
    assert found.columns == columns
    assert found.changed == sum(any(plain(old[n]) != plain(new[n]) for n in MAP.names) for old, new in pairs)
    assert (found.files, found.same_files) == (2, 1)


def test_a_file_that_both_hold_is_not_read(tmp_path: Path) -> None:
    older = side(tmp_path, "older", {"settled": [row(MAP, 1)], "live": [row(MAP, 2)]})
    settled = tmp_path / "older" / MAP.name / "settled.parquet"
    newer = side(tmp_path, "newer", {"live": [row(MAP, 2, journeys=7)]}, linked=settled)
    older, newer = (replace(one, rows=lambda _: 2) for one in (older, newer))
    settled.write_bytes(b"not Parquet at all")
    with duckdb.connect() as connection:
        found = compare_table(connection, MAP.name, older, newer)
    assert (found.changed, found.columns) == (1, {"journeys": 1})


def planted(root: Path, name: str, data: pa.Table) -> Side:
    folder = root / name / MAP.name
    folder.mkdir(parents=True)
    pq.write_table(data, folder / "part-0.parquet")
    return Side(name, lambda table: root / name / table, lambda _: len(data), frozenset({MAP.name}))


def test_columns_that_come_go_and_change_their_type(tmp_path: Path) -> None:
    data = pa.Table.from_pylist([row(MAP, 1), row(MAP, 2)], SCHEMA)
    at = data.column_names.index("journeys")
    newer = data.drop_columns(["persons"]).append_column("mood", pa.array(["good", "bad"]))
    newer = newer.set_column(at, "journeys", pa.array(["1", "3"]))
    with duckdb.connect() as connection:
        found = compare_table(connection, MAP.name, planted(tmp_path, "older", data), planted(tmp_path, "newer", newer))
    assert (found.new_columns, found.gone_columns, found.retyped) == (("mood",), ("persons",), ("journeys",))
    assert (found.added, found.removed, found.changed, found.columns) == (0, 0, 1, {"journeys": 1})
    assert not found.is_equal


def test_without_the_key_on_both_sides_whole_rows_are_compared(tmp_path: Path) -> None:
    data = pa.Table.from_pylist([row(MAP, 1), row(MAP, 1), row(MAP, 2)], SCHEMA).drop_columns(["phase"])
    newer = pa.Table.from_pylist([row(MAP, 1), row(MAP, 2), row(MAP, 2), row(MAP, 3)], SCHEMA)
    with duckdb.connect() as connection:
        found = compare_table(connection, MAP.name, planted(tmp_path, "older", data), planted(tmp_path, "newer", newer))
    assert not found.by_key
    assert (found.added, found.removed, found.changed) == (2, 1, 0)


def test_a_table_that_only_one_side_has(tmp_path: Path) -> None:
    older = planted(tmp_path, "older", pa.Table.from_pylist([row(MAP, 1), row(MAP, 2)], SCHEMA))
    nothing = Side("newer", older.folder, older.rows, frozenset())
    with duckdb.connect() as connection:
        assert compare_table(connection, MAP.name, older, nothing) == TableDifference(MAP.name, 2, None, removed=2)
        assert compare_table(connection, MAP.name, nothing, older) == TableDifference(MAP.name, None, 2, added=2)


def test_two_versions_and_what_a_run_has_staged(tmp_path: Path) -> None:
    lake = lake_in(tmp_path)
    first, second = publish(lake, 1), publish(lake, 2)
    found = compare(first, second, memory_mb=300)
    assert (found.before, found.after) == ("version 000001", "version 000002")
    assert [one.table for one in found.tables] == list(TABLES)
    [differing] = [one for one in found.tables if not one.is_equal]
    assert (differing.table, differing.added, differing.removed) == ("quarantine", 1, 1)
    assert [one.is_equal for one in compare(first, second, 300, leave_out={"quarantine"}).tables] == [True] * (
        len(TABLES) - 1
    )
    with lake.open_run("again", AS_OF) as staging:
        staging.write("quarantine", pq.read_table(first.root / "quarantine"))
        assert side_of(staging).tables == {"quarantine"}
        [same] = [one for one in compare(first, staging, 300).tables if one.table == "quarantine"]
    assert same.is_equal
    assert same.files == 2


def test_monthly_figures_of_months_that_are_over_come_first(tmp_path: Path) -> None:
    def version(number: int, *given: Row) -> Any:
        lake = lake_in(tmp_path)
        with lake.open_run(f"night-{number}", AS_OF) as staging:
            for name, table in TABLES.items():
                rows = [row(MAP, **one) for one in given] if table is MAP else []
                staging.write(name, pa.Table.from_pylist(rows, loose(table)))
            return lake.publish(staging)

    def one(phase: str, month: str | None, journeys: int, is_provisional: bool = False) -> Row:
        key = {"journey_type": "moving", "persona": None, "month": month, "phase": phase}
        return key | {"journeys": journeys, "is_provisional": is_provisional}

    kept = one("b", "2026-01", 5)
    before = version(
        1, kept, one("a", "2026-01", 5), one("a", "2026-02", 5, True), one("a", None, 10), one("c", "2026-01", 5)
    )  # fmt: skip
    after = version(
        2, kept, one("a", "2026-01", 6), one("a", "2026-02", 9, True), one("a", None, 15), one("d", "2026-02", 5)
    )  # fmt: skip
    found = compare(before, after, 300)
    assert (found.over, found.provisional) == (3, 1)
    told = [
        (change.key["phase"], change.how, change.is_provisional, change.figures.get("journeys"))
        for change in found.figures
    ]
    assert told == [
        ("a", "changed", False, (5, 6)),
        ("c", "removed", False, (5, None)),
        ("d", "added", False, (None, 5)),
        ("a", "changed", True, (5, 9)),
    ]
    assert found.figures[0].figures == {"journeys": (5, 6)}, "nothing but what differs"
    assert found.figures[0].key == {"journey_type": "moving", "persona": None, "month": "2026-01", "phase": "a"}
    assert [change.how for change in compare(before, after, 300, most=2).figures] == ["changed", "removed"]

"""Tables on disk: months, row groups, empty tables, and what an error leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klantspoor.dictionary import TABLES
from klantspoor.errors import LakeError
from klantspoor.lake import Lake, Staging, local_months
from klantspoor.lake import writer as writer_module
from klantspoor.lake.months import split
from tests.lake.small_world import AS_OF, loose, row


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    # The odd name is for the globs: its characters must mean themselves.
    with Lake(tmp_path / "l[a]ke's *", timezone="Europe/Amsterdam").open_run("night", AS_OF) as opened:
        yield opened


def rows(name: str, numbers: range, **given: object) -> pa.Table:
    table = TABLES[name]
    return pa.Table.from_pylist([row(table, number, **given) for number in numbers], schema=loose(table))


def months_on_disk(staging: Staging, name: str) -> dict[str, int]:
    counted: dict[str, int] = {}
    for path in staging.folder(name).rglob("*.parquet"):
        counted[path.parent.name] = counted.get(path.parent.name, 0) + pq.read_metadata(path).num_rows
    return counted


def test_a_partitioned_table_lies_by_local_month_and_holds_no_month(staging: Staging) -> None:
    at = [
        datetime(2024, 1, 31, 22, 59, 59, 999999, UTC),
        datetime(2024, 1, 31, 23, tzinfo=UTC),
        datetime(2024, 3, 31, 22, tzinfo=UTC),
    ]
    data = rows("events", range(1, 4)).set_column(3, "occurred_at", pa.array(at, pa.timestamp("us", tz="UTC")))
    assert staging.write("events", data) == 3
    assert months_on_disk(staging, "events") == {"month=2024-01": 1, "month=2024-02": 1, "month=2024-04": 1}
    with staging.connect() as connection:
        assert tuple(connection.sql("FROM events").columns) == TABLES["events"].names
        assert connection.execute("SELECT occurred_at FROM events ORDER BY occurred_at").fetchall() == [
            (t,) for t in at
        ]
        by_month = "SELECT month::VARCHAR, count(*) FROM read_parquet($glob, hive_partitioning = true) GROUP BY ALL"
        assert len(connection.execute(by_month, {"glob": staging.glob("events")}).fetchall()) == 3


def test_the_months_of_journeys_are_those_of_their_start(staging: Staging) -> None:
    staging.write("journeys", rows("journeys", range(1, 3)))
    assert months_on_disk(staging, "journeys") == {"month=2024-05": 2}


ARRAYS = {
    "list": list,
    "numpy": np.array,
    "arrow": pa.array,
    "dictionary": lambda months: pa.array(months).dictionary_encode(),
    "chunks": lambda months: pa.chunked_array([months[:1], months[1:]]),
}


@pytest.mark.parametrize("as_", ARRAYS.values(), ids=ARRAYS)
def test_given_months_may_be_any_array(staging: Staging, as_: object) -> None:
    staging.write("waits", rows("waits", range(1, 4)), as_(["2024-02", "2024-01", "2024-02"]))  # type: ignore[operator]
    assert months_on_disk(staging, "waits") == {"month=2024-01": 1, "month=2024-02": 2}
    with staging.connect() as connection:
        path = str(staging.folder("waits") / "month=2024-02" / "part-0.parquet")
        found = duckdb.sql(
            "SELECT stretch_number FROM read_parquet($path)",
            params={"path": path.replace("[", "[[]").replace("*", "[*]")},
        )
        assert found.fetchall() == [(1,), (3,)], "the order of rows within a month stays"
        assert connection.execute("SELECT count(*) FROM waits").fetchone() == (3,)


@pytest.mark.parametrize(
    ("name", "months", "message"),
    [
        ("waits", None, "pass months"),
        ("waits", ["2024-01"], "1 months for 2 rows"),
        ("waits", ["2024-01", None], "1 nulls"),
        ("waits", ["2024-01", "../../up"], "found '../../up'"),
        ("waits", ["2024-01", "2024-13"], "found '2024-13'"),
        ("quarantine", ["2024-01", "2024-01"], "is not partitioned"),
    ],
)
def test_wrong_months_are_refused(staging: Staging, name: str, months: list[str] | None, message: str) -> None:
    with pytest.raises(LakeError, match=message):
        staging.write(name, rows(name, range(1, 3)), months)
    assert not staging.has(name)


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_table_is_a_readable_one(staging: Staging, name: str) -> None:
    assert staging.write(name, TABLES[name].schema.empty_table()) == 0
    assert staging.rows(name) == 0
    with staging.connect() as connection:
        assert tuple(connection.sql(f"FROM {name}").columns) == TABLES[name].names
    (path,) = staging.folder(name).rglob("*.parquet")
    assert pq.read_table(path).schema.equals(TABLES[name].schema)


def test_an_error_leaves_what_was_there(staging: Staging) -> None:
    staging.write("quarantine", rows("quarantine", range(1, 3)))
    with pytest.raises(LakeError), staging.writer("quarantine") as opened:
        opened.write(rows("quarantine", range(5, 9)))
        opened.write(rows("quarantine", range(9, 10)).drop_columns(["file"]))
    assert staging.rows("quarantine") == 2
    assert sorted(path.name for path in staging.folder("quarantine").parent.iterdir()) == ["quarantine"]


def test_a_rename_that_fails_leaves_what_was_there(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    staging.write("quarantine", rows("quarantine", range(1, 3)))
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name.startswith(".tmp-"):
            raise OSError("full")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="full"):
        staging.write("quarantine", rows("quarantine", range(1, 9)))
    assert staging.rows("quarantine") == 2


def test_writing_again_replaces(staging: Staging) -> None:
    staging.write("waits", rows("waits", range(1, 4)), ["2024-01", "2024-02", "2024-03"])
    staging.write("waits", rows("waits", range(1, 2)), ["2024-07"])
    assert months_on_disk(staging, "waits") == {"month=2024-07": 1}


def test_batches_of_all_months_become_few_row_groups(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "ROW_GROUP", 100)
    monkeypatch.setattr(writer_module, "_HELD_ROWS", 400)
    months = ["2024-01", "2024-02", "2024-03", "2024-04"] * 10
    with staging.writer("waits") as opened:
        for _ in range(40):
            opened.write(rows("waits", range(1, 41)), months)
    assert opened.rows == 1600
    for path in staging.folder("waits").rglob("*.parquet"):
        footer = pq.read_metadata(path)
        assert (footer.num_rows, footer.num_row_groups) == (400, 4)


def test_more_months_than_open_files_go_on_in_another_part(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_OPEN_FILES", 2)
    monkeypatch.setattr(writer_module, "_HELD_ROWS", 1)
    months = ["2024-01", "2024-02", "2024-03"]
    with staging.writer("waits") as opened:
        for _ in range(3):
            opened.write(rows("waits", range(1, 4)), months)
    assert months_on_disk(staging, "waits") == {f"month={month}": 3 for month in months}
    assert (staging.folder("waits") / "month=2024-01" / "part-2.parquet").is_file()


def test_texts_of_few_values_are_encoded_and_identifiers_are_not(staging: Staging) -> None:
    staging.write("quarantine", rows("quarantine", range(1, 100)))
    (path,) = staging.folder("quarantine").rglob("*.parquet")
    group = pq.read_metadata(path).row_group(0)
    encodings = {group.column(i).path_in_schema: group.column(i).encodings for i in range(group.num_columns)}
    assert "RLE_DICTIONARY" in encodings["reason"]
    assert "RLE_DICTIONARY" not in encodings["detail"]
    assert group.column(0).compression == "ZSTD"


@given(
    st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)), max_size=30),
    st.sampled_from(["Europe/Amsterdam", "UTC", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia"]),
)
def test_local_months_are_those_of_the_zone(moments: list[datetime], zone: str) -> None:
    instants = [moment.replace(tzinfo=UTC) for moment in moments]
    found = local_months(pa.array(instants, pa.timestamp("us", tz="UTC")), zone).to_pylist()
    assert found == [f"{instant.astimezone(ZoneInfo(zone)):%Y-%m}" for instant in instants]


def test_local_months_at_the_very_edge() -> None:
    edge = datetime(2024, 10, 31, 23, tzinfo=UTC)  # midnight in Amsterdam, after the clocks went back
    instants = pa.array([edge - timedelta(microseconds=1), edge], pa.timestamp("us", tz="UTC"))
    assert local_months(instants, "Europe/Amsterdam").to_pylist() == ["2024-10", "2024-11"]


@given(st.lists(st.integers(0, 4), max_size=40))
def test_splitting_keeps_every_row_and_their_order(codes: list[int]) -> None:
    data = pa.table({"n": pa.array(range(len(codes)), pa.int64())})
    seen: dict[int, list[int]] = {}
    for code, piece in split(data, np.array(codes, dtype=np.int64)):
        assert code not in seen, "each code comes once"
        seen[code] = piece["n"].to_pylist()
    assert seen == {code: [i for i, other in enumerate(codes) if other == code] for code in set(codes)}


def test_sorted_rows_are_not_copied() -> None:
    numbers = pa.array(range(6), pa.int64())
    first, second = split(pa.table({"n": numbers}), np.array([0, 0, 0, 1, 1, 1]))
    for _, piece in (first, second):
        assert piece["n"].chunk(0).buffers()[1].address == numbers.buffers()[1].address

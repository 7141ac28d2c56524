"""Tables on disk: months, row groups, empty tables, and what an error leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

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


def told(at: datetime, numbers: range = range(1, 2)) -> pa.Table:
    """Rows of the table that lies by month."""
    return rows("restatements", numbers, as_of=at)


def test_a_partitioned_table_lies_by_local_month_and_holds_no_month_of_its_own(staging: Staging) -> None:
    at = [
        datetime(2024, 1, 31, 22, 59, 59, 999999, UTC),
        datetime(2024, 1, 31, 23, tzinfo=UTC),
        datetime(2024, 3, 31, 22, tzinfo=UTC),
    ]
    assert staging.write("restatements", pa.concat_tables([told(moment) for moment in at])) == 3
    assert months_on_disk(staging, "restatements") == {"month=2024-01": 1, "month=2024-02": 1, "month=2024-04": 1}
    with staging.connect() as connection:
        assert tuple(connection.sql("FROM restatements").columns) == TABLES["restatements"].names
        assert connection.execute("SELECT as_of FROM restatements ORDER BY as_of").fetchall() == [(t,) for t in at]


def test_the_order_of_rows_within_a_month_stays(staging: Staging) -> None:
    one, other = datetime(2024, 1, 9, tzinfo=UTC), datetime(2024, 2, 9, tzinfo=UTC)
    mixed = [told(other, range(1, 2)), told(one, range(2, 3)), told(other, range(3, 4))]
    staging.write("restatements", pa.concat_tables(mixed))
    assert months_on_disk(staging, "restatements") == {"month=2024-01": 1, "month=2024-02": 2}
    (path,) = (staging.folder("restatements") / "month=2024-02").iterdir()
    assert pq.ParquetFile(path).read()["figure"].to_pylist() == ["figure 0001", "figure 0003"]


def test_a_table_that_lies_by_month_has_no_settled_files(staging: Staging) -> None:
    with pytest.raises(LakeError, match="lies by month"), staging.writer("restatements") as opened:
        opened.settle(told(datetime(2024, 1, 9, tzinfo=UTC)), "settled-1-0.parquet")
    assert not staging.has("restatements")


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
    staging.write("waits", rows("waits", range(1, 4)))
    staging.write("waits", rows("waits", range(1, 2)))
    assert staging.rows("waits") == 1


MONTHS = [datetime(2024, month, 9, tzinfo=UTC) for month in (1, 2, 3, 4)]


def test_batches_of_all_months_become_few_row_groups(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "ROW_GROUP", 100)
    monkeypatch.setattr(writer_module, "_HELD_ROWS", 400)
    batch = pa.concat_tables([told(at) for at in MONTHS * 10])
    with staging.writer("restatements") as opened:
        for _ in range(40):
            opened.write(batch)
    assert opened.rows == 1600
    for path in staging.folder("restatements").rglob("*.parquet"):
        footer = pq.read_metadata(path)
        assert (footer.num_rows, footer.num_row_groups) == (400, 4)


def test_more_months_than_open_files_go_on_in_another_part(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_OPEN_FILES", 2)
    monkeypatch.setattr(writer_module, "_HELD_ROWS", 1)
    with staging.writer("restatements") as opened:
        for _ in range(3):
            opened.write(pa.concat_tables([told(at) for at in MONTHS[:3]]))
    assert months_on_disk(staging, "restatements") == {f"month={at:%Y-%m}": 3 for at in MONTHS[:3]}
    assert (staging.folder("restatements") / "month=2024-01" / "part-2.parquet").is_file()


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

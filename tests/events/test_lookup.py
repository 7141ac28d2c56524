"""Settled events are found in many small row groups as if every row had been looked at."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klantspoor.events.base import IN_ORDER, SHARED, Base, columns_of
from klantspoor.events.lookup import look_up

BIG = 2**63
PERSONS = (None, 1, 2, 3, BIG, BIG + 1, 2**64 - 1)
SETS = (0, 5, 6, BIG + 7, 2**64 - 2)
RULES = (None, "identifier", *SHARED)
Row = tuple[int, int | None, int, str | None]

rows_ = st.lists(
    st.tuples(st.integers(0, 2**64 - 1), st.sampled_from(PERSONS), st.sampled_from(SETS), st.sampled_from(RULES)),
    unique_by=lambda row: row[0],
    max_size=40,
)


def kept(folder: Path, rows: list[Row], row_group: int, generation: int = 1) -> None:
    """A file of state as a night writes it, but for the size of its row groups."""
    with duckdb.connect() as connection:
        listed = ", ".join(f"{_GIVEN.get(name, f'NULL::{type_}')} AS {name}" for name, type_ in _COLUMNS.items())
        given_ = pa.table(
            {
                "word": pa.array([row[0] for row in rows], pa.uint64()),
                "who": pa.array([row[1] for row in rows], pa.uint64()),
                "of_set": pa.array([row[2] for row in rows], pa.uint64()),
                "rule": pa.array([row[3] for row in rows], pa.string()),
                "since": pa.repeat(generation, len(rows)),
            }
        )
        connection.register("given", given_)
        table = connection.sql(f"SELECT {listed} FROM given ORDER BY {IN_ORDER['settled'][0]}").to_arrow_table()
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / f"{generation:06d}.parquet", row_group_size=row_group)


_COLUMNS = columns_of("settled", ["deal"])
_GIVEN = {
    "event_id": "printf('%016x', word) || '00000000'", "id": "word", "person": "who", "identifier_set": "of_set",
    "person_rule": "rule", "generation": "since::BIGINT",
}  # fmt: skip


def found(
    folder: Path,
    dropped: list[tuple[int, int]],
    persons: Any = (),
    nobodys: Any = (),
    ids: Any = (),
    shared: bool = False,
) -> list[int]:
    version: Any = SimpleNamespace(state=folder)
    base = Base(version, ("deal",), {}, datetime(2026, 1, 1, tzinfo=UTC), "")
    with duckdb.connect() as connection:
        gone = [(f"{word:016x}00000000", generation) for word, generation in dropped]
        connection.execute("CREATE TABLE base_dropped (event_id VARCHAR, generation BIGINT)")
        if gone:
            connection.executemany("INSERT INTO base_dropped VALUES (?, ?)", gone)
        look_up(connection, base, "seen", persons=query(persons), nobodys=query(nobodys), ids=query(ids), shared=shared)
        return sorted(word for (word,) in connection.execute("SELECT id FROM seen").fetchall())


def query(numbers: tuple[int, ...]) -> str:
    return f"SELECT unnest([{', '.join(f'{number}::UBIGINT' for number in numbers)}]::UBIGINT[])"


@settings(deadline=None)
@given(
    rows_,
    st.lists(st.integers(0, 39), max_size=3),
    st.sets(st.sampled_from([person for person in PERSONS if person is not None]), max_size=2),
    st.sets(st.sampled_from(SETS), max_size=2),
    st.lists(st.integers(0, 39), max_size=3),
    st.booleans(),
    st.sampled_from((1, 2, 3, 50)),
)
def test_it_finds_what_a_look_at_every_row_finds(
    rows: list[Row],
    gone: list[int],
    persons: set[int],
    nobodys: set[int],
    asked: list[int],
    shared: bool,
    row_group: int,
) -> None:
    dropped = [rows[place][0] for place in gone if place < len(rows)]
    ids = [rows[place][0] for place in asked if place < len(rows)]
    with tempfile.TemporaryDirectory() as folder:
        kept(Path(folder) / "settled", rows[::2], row_group)
        kept(Path(folder) / "settled", rows[1::2], row_group, generation=2)
        seen = found(
            Path(folder), [(word, 2) for word in dropped], tuple(persons), tuple(nobodys), tuple(ids), shared=shared
        )
    assert seen == sorted(
        word
        for word, person, of_set, rule in rows
        if word not in dropped
        and (person in persons or (person is None and of_set in nobodys) or word in ids or (shared and rule in SHARED))
    )


def test_what_settled_again_after_it_was_dropped_counts(tmp_path: Path) -> None:
    kept(tmp_path / "settled", [(7, 1, 5, "identifier")], 10, generation=3)
    assert found(tmp_path, [(7, 2)], persons=(1,)) == [7]
    assert found(tmp_path, [(7, 3)], persons=(1,)) == []


READS: dict[str, tuple[dict[str, Any], int]] = {
    "a person": ({"persons": (40,)}, 10),
    "an id": ({"ids": (1055,)}, 10),
    "nobody's": ({"nobodys": (0,)}, 20),
    "a turn": ({"shared": True}, 10),
    "nothing": ({}, 0),
}


@pytest.mark.parametrize(("asked", "most"), READS.values(), ids=READS)
def test_of_many_rows_few_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Any, most: int) -> None:
    persons: list[Row] = [(1000 + number, number, 5, "identifier") for number in range(1, 81)]
    others: list[Row] = [(number, None, number % 2, None) for number in range(1, 21)]
    kept(tmp_path / "settled", [*persons, *others, (99, 50, 6, SHARED[0])], 10)
    read: list[int] = []
    whole: Callable[..., Any] = pq.ParquetFile.iter_batches

    def counted(file: pq.ParquetFile, *arguments: Any, **named: Any) -> Any:
        read.extend(file.metadata.row_group(group).num_rows for group in named["row_groups"])
        return whole(file, *arguments, **named)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    assert bool(found(tmp_path, [], **asked)) == (most > 0)
    assert sum(read) <= most

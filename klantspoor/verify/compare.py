"""Whether two sets of tables hold the same rows: by a digest that no order changes, then row by row where that differs.

A row's hash is over every column as it is written (numbers with a fraction as their shortest exact text, so to the bit);
a table's digest is the number of rows and the sums of their hashes and of the hashes of these. Two tables of other rows
have one digest in one of about 2^128 cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Protocol

import duckdb

from klantspoor.dictionary import TABLES, Table
from klantspoor.lake.connection import limited, literal, quoted

DIARY = (
    "runs",
    "restatements",
    "person_aliases",
    "identity_audit.decided_at",
    "events.known_person_id",
)
"""Tables, and columns of tables, that tell what was known or done in earlier nights: the ledger cannot tell them again."""
MOST_KEYS = 5
_HASH = '"row\'s hash"'
"""Beside a table's own columns, none of which has a blank in its name."""
Key = Mapping[str, str | int | None]


class Tables(Protocol):
    """What can be compared: a `Version`, or a `Staging`."""

    def has(self, table_name: str) -> bool:
        """Whether it holds the table."""

    def glob(self, table_name: str) -> str:
        """The table's files, for `read_parquet`."""


@dataclass(frozen=True, slots=True)
class Difference:
    """In what one table is not the same in `one` and the `other`.

    Attributes:
        table: its name.
        only_one: how many rows only `one` holds; a row held twice there and once in the other counts once.
        only_other: likewise.
        keys_one: the keys of the first of these, at most `MOST_KEYS`; `keys_other`: likewise.
        columns: of rows that both hold by their key, in how many each column differs.
        shape: how the table itself differs (absent, a column of another type), None where it does not.
    """

    table: str
    only_one: int = 0
    only_other: int = 0
    keys_one: tuple[Key, ...] = ()
    keys_other: tuple[Key, ...] = ()
    columns: tuple[tuple[str, int], ...] = ()
    shape: str | None = None

    def __str__(self) -> str:
        """One line, without the keys."""
        return self.told("the one", "the other")

    def told(self, one: str, other: str) -> str:
        """One line, without the keys; `one` and `other` are what the two are called."""
        parts = [self.shape.format(one=one, other=other)] if self.shape else []
        if self.only_one or self.only_other:
            rows = "row" if self.only_one == 1 else "rows"
            parts.append(f"{self.only_one:,} {rows} only in {one}, {self.only_other:,} only in {other}")
        if self.columns:
            parts.append("columns that differ: " + ", ".join(f"{name} ({rows:,})" for name, rows in self.columns))
        return f"{self.table}: {'; '.join(parts)}"


def compared() -> list[Table]:
    """The tables that are compared: all but those of the diary."""
    return [table for table in TABLES.values() if table.name not in DIARY]


def compare_versions(
    one: Tables, other: Tables, *, memory_mb: int = 1200, scratch: Path | None = None
) -> list[Difference]:
    """The tables that do not hold the same rows, in the dictionary's order; none where all do.

    Rows may stand in any order and in any files. What `DIARY` names is not looked at, nor is what neither
    holds.

    Args:
        one: a version, or a staging.
        other: likewise.
        memory_mb: what may be used before spilling.
        scratch: where to spill.
    """
    scratch = scratch or Path(gettempdir()) / "klantspoor-scratch"
    with limited(memory_mb, scratch) as connection:
        found = [_compare(connection, table, one, other) for table in compared()]
    return [difference for difference in found if difference is not None]


def _compare(connection: duckdb.DuckDBPyConnection, table: Table, one: Tables, other: Tables) -> Difference | None:
    there = one.has(table.name), other.has(table.name)
    if not any(there):
        return None
    if not all(there):
        return Difference(table.name, shape=f"is not in {{{'other' if there[0] else 'one'}}}")
    globs = one.glob(table.name), other.glob(table.name)
    columns, shape = _columns(connection, table, *globs)
    if _digest(connection, globs[0], columns) == _digest(connection, globs[1], columns):
        return Difference(table.name, shape=shape) if shape else None
    return _rows(connection, table, globs, columns, shape)


def _columns(
    connection: duckdb.DuckDBPyConnection, table: Table, one: str, other: str
) -> tuple[dict[str, str], str | None]:
    """The columns that both hold alike, with their types, and how the others differ."""
    found: list[dict[str, str]] = []
    for glob in (one, other):
        rows = connection.execute(
            f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {_source(glob)})"
        ).fetchall()
        found.append({str(name): str(type_) for name, type_ in rows})
    kept = {name: type_ for name, type_ in found[0].items() if found[1].get(name) == type_}
    odd = sorted({name for sides in found for name in sides if name not in kept})
    told = [
        f"{name} ({found[0].get(name, 'absent')} in {{one}}, {found[1].get(name, 'absent')} in {{other}})"
        for name in odd
    ]
    diary = {name.partition(".")[2] for name in DIARY if name.startswith(f"{table.name}.")}
    columns = {name: type_ for name, type_ in kept.items() if name not in diary}
    return columns, f"columns are not alike: {', '.join(told)}" if told else None


def _source(glob: str) -> str:
    return f"read_parquet({literal(glob)}, hive_partitioning = false)"


def _exact(name: str, type_: str) -> str:
    """A column as it is hashed and compared: two numbers are the same if all their bits are, so 0.0 is not -0.0."""
    return f"{quoted(name)}::VARCHAR" if type_ in ("DOUBLE", "FLOAT") else quoted(name)


def _hashed(glob: str, columns: Mapping[str, str]) -> str:
    """The rows, each with its hash."""
    exact = ", ".join(_exact(name, type_) for name, type_ in columns.items())
    return f"(SELECT *, hash({exact}) AS {_HASH} FROM {_source(glob)})"


def _digest(connection: duckdb.DuckDBPyConnection, glob: str, columns: Mapping[str, str]) -> tuple[int, int, int]:
    """How many rows, and the sums of their hashes and of the hashes of these."""
    query = f"SELECT count(*), sum({_HASH}), sum(hash({_HASH})) FROM {_hashed(glob, columns)}"
    [(rows, first, second)] = connection.execute(query).fetchall()
    return rows, first, second


def _rows(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    globs: tuple[str, str],
    columns: Mapping[str, str],
    shape: str | None,
) -> Difference:
    """What `EXCEPT ALL` would give both ways, by the hashes of rows."""
    one, other = (_hashed(glob, columns) for glob in globs)
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE differing AS
            SELECT {_HASH}, sum(side)::BIGINT AS surplus FROM (
                SELECT {_HASH}, 1 AS side FROM {one} UNION ALL SELECT {_HASH}, -1 FROM {other})
            GROUP BY 1 HAVING sum(side) <> 0"""
    )
    [(only_one, only_other)] = connection.execute(
        """SELECT coalesce(sum(surplus) FILTER (surplus > 0), 0)::BIGINT, coalesce(-sum(surplus) FILTER (surplus < 0), 0)::BIGINT
           FROM differing"""
    ).fetchall()
    here, there = (
        f"(SELECT * FROM {rows} SEMI JOIN (SELECT {_HASH} FROM differing WHERE surplus {sign} 0) USING ({_HASH}))"
        for rows, sign in ((one, ">"), (other, "<"))
    )
    keys = [name for name in table.key if name in columns]
    return Difference(
        table.name,
        only_one,
        only_other,
        tuple(_keys(connection, keys, here)),
        tuple(_keys(connection, keys, there)),
        tuple(_differing(connection, keys, columns, here, there)),
        shape,
    )


def _keys(connection: duckdb.DuckDBPyConnection, keys: list[str], rows: str) -> Iterator[Key]:
    if not keys:
        return
    names = ", ".join(map(quoted, keys))
    order = ", ".join(f"{quoted(key)} NULLS FIRST" for key in keys)
    for row in connection.execute(f"SELECT DISTINCT {names} FROM {rows} ORDER BY {order} LIMIT {MOST_KEYS}").fetchall():
        yield {key: _plain(value) for key, value in zip(keys, row, strict=True)}


def _plain(value: Any) -> str | int | None:
    return value if value is None or isinstance(value, int) else str(value)


def _differing(
    connection: duckdb.DuckDBPyConnection, keys: list[str], columns: Mapping[str, str], here: str, there: str
) -> Iterator[tuple[str, int]]:
    """In how many rows of one key each column differs, most first."""
    if not keys:
        return
    names = {name: _exact(name, type_) for name, type_ in columns.items() if name not in keys}
    side = f"SELECT {', '.join([*map(quoted, keys), *(f'{exact} AS {quoted(n)}' for n, exact in names.items())])} FROM"
    same = " AND ".join(f"a.{quoted(key)} IS NOT DISTINCT FROM b.{quoted(key)}" for key in keys)
    counts = ", ".join(f"count(*) FILTER (a.{quoted(n)} IS DISTINCT FROM b.{quoted(n)})" for n in names)
    [numbers] = connection.execute(
        f"SELECT {counts} FROM ({side} {here}) a JOIN ({side} {there}) b ON {same}"
    ).fetchall()
    ranked = sorted(zip(names, numbers, strict=True), key=lambda one: (-one[1], one[0]))
    yield from ((name, number) for name, number in ranked if number)

"""A file that says who is really who: read, checked, and matched with what a published version holds.

Two forms, told apart by their columns. *Events*: `source`, `source_event_id`, `true_person`. *Identifiers*:
`identifier_type`, `raw_value`, `true_person`. Either may have `household`. Raw ids and values are pseudonymised with the
project's key as the gate does it, and no message repeats one. How it is scored: `klantspoor.identity.score`.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from klantspoor.errors import TruthError, did_you_mean
from klantspoor.lake.connection import quoted

EVENTS = ("source", "source_event_id", "true_person")
IDENTIFIERS = ("identifier_type", "raw_value", "true_person")
PERSONS = ("true_person", "household")
_LINE = re.compile(r"Line: (\d+)")


@dataclass(frozen=True, slots=True)
class TruthFile:
    """A truth as given: `kind` "events" or "identifiers", and its rows.

    The columns of `rows`: those of its kind, `household` (null where not known), and `row`, counting from 1. All are text, but
    true persons and households are numbers: what the truth calls them may be names, and is not needed.
    """

    path: Path
    kind: str
    rows: pa.Table


def read_truth(path: Path, persons: Path | None = None) -> TruthFile:
    """Reads a truth file (Parquet or CSV), with households from it or from a file of persons beside it.

    Args:
        path: the truth.
        persons: a file with the columns `true_person` and `household`.

    Raises:
        TruthError: a file is not there or cannot be read, lacks a column, is empty, or has an empty field.
    """
    with _Reader(path) as reader:
        kind = _kind(path, reader.columns)
        needed = EVENTS if kind == "events" else IDENTIFIERS
        own = persons is None and "household" in reader.columns
        rows = reader.read(needed, ("household",) if own else ())
    if persons is not None:
        rows = _with_households(rows, persons)
    elif not own:
        rows = rows.append_column("household", pa.nulls(len(rows), pa.string()))
    for name in PERSONS:
        at = rows.column_names.index(name)
        rows = rows.set_column(at, name, rows[name].combine_chunks().dictionary_encode().indices.cast(pa.int64()))
    return TruthFile(path, kind, rows)


def private_connection() -> duckdb.DuckDBPyConnection:
    """An in-memory database that never writes to disk: for what is not pseudonymised yet."""
    return duckdb.connect(config={"temp_directory": ""})


def _kind(path: Path, columns: list[str]) -> str:
    """Which form the columns make; where neither, the form of which most are there is told as the one meant."""
    forms = {"events": EVENTS, "identifiers": IDENTIFIERS}
    missing = {kind: [name for name in needed if name not in columns] for kind, needed in forms.items()}
    whole = [kind for kind, names in missing.items() if not names]
    if len(whole) == 2:
        raise TruthError(
            f"{path}: holds the columns of both forms, {', '.join(EVENTS)} and {', '.join(IDENTIFIERS)}: keep one of them"
        )
    if not whole:
        nearest = min(missing, key=lambda kind: len(missing[kind]))
        other = next(kind for kind in forms if kind != nearest)
        raise TruthError(
            f"{_lacks(path, missing[nearest], columns)} A truth of {nearest} has the columns {', '.join(forms[nearest])}, "
            f"one of {other} {', '.join(forms[other])}"
        )
    return whole[0]


def _lacks(path: Path, missing: list[str], columns: list[str]) -> str:
    said = []
    # A file with none of the columns may lack its header: what stands in its first line is not told then.
    told = [name for name in columns if set(columns) & {*EVENTS, *IDENTIFIERS, *PERSONS}]
    for name in missing:
        near = did_you_mean(name, told)
        said.append(f"no column {name!r}. {near}" if near else f"no column {name!r}.")
    return f"{path}: {' '.join(said)}"


def _with_households(rows: pa.Table, persons: Path) -> pa.Table:
    with _Reader(persons) as reader:
        missing = [name for name in PERSONS if name not in reader.columns]
        if missing:
            raise TruthError(f"{_lacks(persons, missing, reader.columns)} It needs {' and '.join(PERSONS)}")
        known = reader.read(("true_person",), ("household",))
    with private_connection() as connection:
        connection.register("truth", rows)
        connection.register("known", known)
        return connection.sql(
            """SELECT t.*, k.household FROM truth t LEFT JOIN
                   (SELECT true_person, any_value(household) AS household FROM known GROUP BY true_person) k
                   USING (true_person) ORDER BY t."row" """
        ).to_arrow_table()


def _csv_options(path: Path) -> str:
    """How DuckDB shall read a CSV file: nothing guessed, but the delimiter from the header."""
    with path.open("rb") as file:
        header = file.readline(10_000)
    delimiter = max(b",", b";", b"\t", key=header.count).decode()
    return (
        f"delim = '{delimiter}', quote = '\"', escape = '\"', header = true, all_varchar = true, strict_mode = true, "
        "null_padding = false"
    )


class _Reader:
    """One Parquet or CSV file, every field as text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = private_connection()
        self.columns: list[str] = []

    def __enter__(self) -> _Reader:
        if not self._path.is_file():
            raise TruthError(f"{self._path}: is no file: name a Parquet or CSV file")
        parquet = self._path.suffix.lower() in (".parquet", ".pq")
        self._source = "read_parquet([$path])" if parquet else f"read_csv([$path], {_csv_options(self._path)})"
        self._form = "Parquet" if parquet else "CSV (UTF-8, with a header)"
        found = self._ask(f"SELECT column_name FROM (DESCRIBE SELECT * FROM {self._source})")
        self.columns = found.column(0).to_pylist()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def read(self, needed: tuple[str, ...], optional: tuple[str, ...]) -> pa.Table:
        """The needed columns, none of whose fields may be empty, the optional ones, and `row`."""
        wanted = ", ".join(f"{quoted(name)}::VARCHAR AS {quoted(name)}" for name in (*needed, *optional))
        rows = self._ask(f'SELECT row_number() OVER () AS "row", {wanted} FROM {self._source}')
        if not len(rows):
            raise TruthError(f"{self._path}: holds no rows")
        for name in needed:
            self._connection.register("read", rows)
            [(count, first)] = self._connection.execute(
                f"""SELECT count(*), min("row") FROM read WHERE coalesce(trim({quoted(name)}), '') = ''"""
            ).fetchall()
            if count:
                raise TruthError(
                    f"{self._path}: {count:,} of {len(rows):,} rows have an empty {name}, the first is row {first}: "
                    "leave out the rows of which the truth is not known"
                )
        return rows

    def _ask(self, query: str) -> pa.Table:
        try:
            return self._connection.sql(query, params={"path": glob.escape(str(self._path))}).to_arrow_table()
        except duckdb.Error as error:
            # DuckDB's own words may repeat what stands in the file.
            line = _LINE.search(str(error))
            where = f", at line {line[1]}" if line else ""
            raise TruthError(f"{self._path}: cannot be read as {self._form}{where}") from None

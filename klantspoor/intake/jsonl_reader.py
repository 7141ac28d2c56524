"""One JSON document a line: read as text, tested, and flattened to text columns by JSON paths.

Records are the lines that are not blank, counted from 1. No Python object is made of a document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.errors import IntakeError, did_you_mean
from klantspoor.intake.raw import BATCH_ROWS, ROW_BYTES, Numbers, RawBatch
from klantspoor.intake.sandbox import literal, shared_connection
from klantspoor.intake.streams import text_chunks
from klantspoor.project.model import JsonlReader
from klantspoor.project.sql import quote

_BATCH_CHARACTERS = 16 << 20
_MALFORMED = "the line is not a JSON document {…}; write one on each line"


@lru_cache(maxsize=64)
def _check_paths(con: duckdb.DuckDBPyConnection, fields: tuple[tuple[str, str], ...]) -> None:
    for name, path in fields:
        try:
            con.sql(f"SELECT json_extract('{{}}', {literal(path)})").fetchall()
        except duckdb.Error:
            raise IntakeError(
                "missing_column", f"{path!r} is no JSON path; write one such as $.Agent.Username", name
            ) from None


class JsonlFile:
    """One JSON-lines file, opened: `columns` are the declared fields that it has, and the optional ones."""

    def __init__(self, path: Path, reader: JsonlReader, optional: set[str], *, with_dialects: bool) -> None:
        self._path = path
        self._reader = reader
        self._con = shared_connection("json")
        self._unseen = set(reader.fields) - optional
        self._keys: set[str] = set()
        _check_paths(self._con, tuple(reader.fields.items()))
        self.columns = list(reader.fields)
        if with_dialects:  # which one fits depends on the fields the file has: looked at first
            for lines, _ in self._lines():
                self._look(lines)
            self.columns = [name for name in reader.fields if name not in self._unseen]
            self._unseen = set()
        else:
            self._first_chunk_read()

    def _first_chunk_read(self) -> None:
        next(text_chunks(self._path, self._reader.encoding), None)

    def batches(self, wanted: Sequence[str] | None) -> Iterator[RawBatch]:
        """The rows, as texts; see `RawFile.batches`."""
        names = list(self.columns if wanted is None else wanted)
        any_document = False
        for lines, numbers in self._lines():
            batch = self._extract(lines, numbers, names)
            any_document = any_document or len(batch.numbers) > 0
            if self._unseen:
                self._look(lines)
            yield batch
        if any_document and self._unseen:
            self._raise_missing()

    def _lines(self) -> Iterator[tuple[pa.Array, Numbers]]:
        """Lines that are not blank, with their record numbers, in bounded batches."""
        number, waiting, size, cut = 1, [pa.array([], pa.string())], 0, ""
        for chunk in text_chunks(self._path, self._reader.encoding):
            *lines, cut = (cut + chunk).split("\n")
            if len(cut) > ROW_BYTES:
                raise IntakeError("unreadable_file", f"a line is longer than {ROW_BYTES >> 20} million characters")
            waiting.append(_not_blank(lines))
            size += len(chunk)
            count = sum(len(part) for part in waiting)
            if count >= BATCH_ROWS or size >= _BATCH_CHARACTERS:
                yield pa.concat_arrays(waiting), np.arange(number, number + count, dtype=np.int64)
                number, waiting, size = number + count, [], 0
        waiting.append(_not_blank([cut]))
        count = sum(len(part) for part in waiting)
        if count:
            yield pa.concat_arrays(waiting), np.arange(number, number + count, dtype=np.int64)

    def _extract(self, lines: pa.Array, numbers: Numbers, names: list[str]) -> RawBatch:
        self._con.register("lines", pa.table({"line": lines}))
        plain = [name for name in names if not _many(self._reader.fields[name])]
        paths = ", ".join(literal(self._reader.fields[name]) for name in plain)
        columns = [
            f"{f'found[{plain.index(name) + 1}]' if name in plain else self._all_of(name)} AS {quote(name)}"
            for name in names
        ]
        found = f"json_extract_string(document, [{paths}])" if plain else "NULL"
        table = self._con.sql(
            f"""SELECT document IS NOT NULL AS is_document, {", ".join(columns) or "1 AS nothing"}
                FROM (SELECT document, {found} AS found FROM (SELECT {_DOCUMENT} AS document FROM lines))"""
        ).to_arrow_table()
        good = table.column(0).combine_chunks()
        mask = good.to_numpy(zero_copy_only=False)
        rows = table.drop_columns([table.column_names[0]])
        return RawBatch(
            (rows if mask.all() else rows.filter(good)).combine_chunks(),
            numbers[mask],
            tuple((number, _MALFORMED) for number in numbers[~mask].tolist()),
        )

    def _all_of(self, name: str) -> str:
        return f"CAST(to_json(json_extract(document, {literal(self._reader.fields[name])})) AS VARCHAR)"

    def _look(self, lines: pa.Array) -> None:
        """Strikes the fields that these lines have from those not yet seen; notes the top-level keys for messages."""
        unseen = sorted(self._unseen)
        if not unseen:
            return
        self._con.register("lines", pa.table({"line": lines}))
        tests = [
            f"bool_or(len(json_extract(document, {path})) > 0)"
            if _many(path)
            else f"bool_or(json_exists(document, {path}))"
            for path in (literal(self._reader.fields[name]) for name in unseen)
        ]
        documents = f"(SELECT {_DOCUMENT} AS document FROM lines)"
        seen = self._con.sql(f"SELECT {', '.join(tests)} FROM {documents}").fetchall()[0]
        self._unseen -= {name for name, is_seen in zip(unseen, seen, strict=True) if is_seen}
        if self._unseen:
            keys = self._con.sql(f"SELECT DISTINCT unnest(json_keys(document)) FROM {documents} LIMIT 1000").fetchall()
            self._keys |= {key for (key,) in keys}

    def _raise_missing(self) -> None:
        name = next(field for field in self._reader.fields if field in self._unseen)
        path = self._reader.fields[name]
        near = did_you_mean(path.removeprefix("$.").split(".")[0], self._keys)
        hint = near or "list it in optional_columns if it may be absent"
        raise IntakeError("missing_column", f"no line has the field {name} ({path}). {hint}", name)


_DOCUMENT = "CASE WHEN json_valid(line) THEN CASE WHEN json_type(line) = 'OBJECT' THEN line END END"


def _many(path: str) -> bool:
    """Whether a JSON path can find several values (then the column is a JSON list)."""
    return "*" in path or ".." in path


def _not_blank(lines: list[str]) -> pa.Array:
    texts = pc.utf8_trim_whitespace(pa.array(lines, pa.string()))
    return texts.filter(pc.not_equal(texts, ""))

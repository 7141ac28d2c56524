"""Delimited text: header by Python's csv module, rows by Arrow's streaming reader, everything as text.

Records are counted from 1 without the header; blank lines are no records; a quoted value may hold newlines.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from klantspoor.errors import IntakeError
from klantspoor.intake.raw import ROW_BYTES, Numbers, RawBatch, gather, unique_names
from klantspoor.intake.streams import Utf8File, text_chunks
from klantspoor.project.model import CsvReader

_HEADER_CHARACTERS = 4 << 20
_DECIMAL_COMMA = r"^\s*[+-]?(\d{1,3}(\.\d{3})+|\d+)?(,\d+)?\s*$"


class CsvFile:
    """One CSV file, opened: `columns` are its header's names, made unique."""

    def __init__(self, path: Path, reader: CsvReader) -> None:
        self._reader = reader
        self._chunks = text_chunks(path, reader.encoding)
        self._swallowed: int | None = None
        header, self._rest = self._split_header()
        self.columns = unique_names(header)

    def _split_header(self) -> tuple[list[str], str]:
        text = ""
        for chunk in self._chunks:
            text += chunk
            found = self._first_record(text)
            if found is not None:
                return found
            if len(text) > _HEADER_CHARACTERS:
                raise IntakeError("unreadable_file", "the header does not end: a quote in it is never closed")
        found = self._first_record(text + "\n")
        if found is None:
            raise IntakeError("empty_file", "it holds blank lines only, not even a header; deliver it again")
        return found

    def _first_record(self, text: str) -> tuple[list[str], str] | None:
        """The first record that is not blank and what follows it; None where `text` may end before the record does."""
        lines = io.StringIO(text, newline="")
        records = csv.reader(
            lines,
            delimiter=self._reader.delimiter,
            quotechar=self._reader.quote or None,
            quoting=csv.QUOTE_MINIMAL if self._reader.quote else csv.QUOTE_NONE,
        )
        try:
            header = next((record for record in records if record), None)
        except csv.Error:
            raise IntakeError(
                "unreadable_file", "the header cannot be read as delimited text; see the reader's quote"
            ) from None
        end = lines.tell()
        if header is None or end == len(text):
            complete = header is not None and text.endswith("\n") and not self._open_quote(text)
            return (header, "") if header is not None and complete else None
        return header, text[end:]

    def _open_quote(self, text: str) -> bool:
        return bool(self._reader.quote) and text.count(self._reader.quote) % 2 == 1

    def batches(self, wanted: Sequence[str] | None) -> Iterator[RawBatch]:
        """The rows, as texts; see `RawFile.batches`."""
        yield from gather(self._read(list(self.columns if wanted is None else wanted)))

    def _read(self, wanted: list[str]) -> Iterator[RawBatch]:
        text = chain([self._rest] if self._rest else [], self._chunks)
        first = next((chunk for chunk in text if chunk.strip("\r\n")), None)
        if first is None:
            return
        malformed: list[tuple[int, str]] = []
        stream = pa.PythonFile(io.BufferedReader(Utf8File(chain([first], text)), 1 << 20), mode="r")
        next_number = 1
        try:
            for batch in arrow_csv.open_csv(stream, **self._options(wanted, malformed)):
                numbers, next_number, bad = _number_rows(batch.num_rows, next_number, malformed)
                yield RawBatch(self._decimals(pa.Table.from_batches([batch])), numbers, bad)
        except pa.ArrowInvalid:
            # Arrow's message holds the row's text, so it is not repeated.
            raise IntakeError(
                "unreadable_file",
                f"after record {next_number - 1} comes one over {ROW_BYTES >> 20} MB: a quote that is never closed?",
            ) from None
        if self._swallowed is not None:
            raise IntakeError(
                "unreadable_file", f"record {self._swallowed} has a quote that is never closed; deliver it again"
            )
        if malformed:
            none = pa.table({name: pa.array([], pa.string()) for name in wanted})
            yield RawBatch(none, np.array([], np.int64), tuple(malformed))

    def _options(self, wanted: list[str], malformed: list[tuple[int, str]]) -> dict[str, object]:
        def set_aside(row: arrow_csv.InvalidRow) -> str:
            found, expected = row.actual_columns, row.expected_columns
            detail = f"found {found} values, expected {expected} as in the header; see its delimiters and quotes"
            malformed.append((row.number, detail))
            quote = self._reader.quote
            if quote and row.text.count(quote) % 2 == 1 and "\n" in row.text.strip():
                self._swallowed = row.number  # an open quote took other rows with it, to the end of the file
            return "skip"

        return {
            "read_options": arrow_csv.ReadOptions(column_names=self.columns, use_threads=False, block_size=ROW_BYTES),
            "parse_options": arrow_csv.ParseOptions(
                delimiter=self._reader.delimiter,
                quote_char=self._reader.quote or False,
                newlines_in_values=bool(self._reader.quote),
                invalid_row_handler=set_aside,
            ),
            "convert_options": arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(self.columns, pa.string()),
                include_columns=wanted or self.columns[:1],
                null_values=self._reader.nulls,
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        }

    def _decimals(self, table: pa.Table) -> pa.Table:
        for name in self._reader.decimal_comma:
            if name in table.column_names:
                index = table.column_names.index(name)
                table = table.set_column(index, name, decimal_point(table.column(index)))
        return table


def decimal_point(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Makes "1234.5" of "1.234,5"; a text that is no number with a decimal comma stays as it is."""
    plain = pc.replace_substring(pc.replace_substring(texts, ".", ""), ",", ".")
    return pc.if_else(pc.match_substring_regex(texts, _DECIMAL_COMMA), plain, texts)


def _number_rows(
    rows: int, start: int, malformed: list[tuple[int, str]]
) -> tuple[Numbers, int, tuple[tuple[int, str], ...]]:
    """Record numbers of the next `rows` good rows: on from `start`, past the malformed ones, which are taken out."""
    if rows == 0:
        return np.array([], np.int64), start, ()
    bad = np.array([number for number, _ in malformed], np.int64)
    candidates = np.arange(start, start + rows + len(bad), dtype=np.int64)
    numbers = np.setdiff1d(candidates, bad, assume_unique=True)[:rows]
    last = int(numbers[-1])
    passed = tuple(row for row in malformed if row[0] < last)
    del malformed[: len(passed)]
    return numbers, last + 1, passed

"""The proof: a search for everything that was known of a person in every file that Klantspoor keeps.

What is looked for are hexadecimal pseudonyms of 16 and 24 digits and the ids made from them; texts are searched for them
wherever they stand, and whole numbers for the same 64 bits. Landing files are the organisation's own and not searched.
"""

from __future__ import annotations

import gzip
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.forget.request import Request
from klantspoor.identity.ids import person_id

_CHUNK = 1 << 20
_BATCH = 65_536
_RUNS = re.compile(rb"[0-9a-f]{16,}")
_WORD = 16


@dataclass(frozen=True, slots=True)
class Trace:
    """One place in which something was found: the file, and how many different things."""

    path: str
    found: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a search came to: how many files it read, and where it found something."""

    files: int
    traces: tuple[Trace, ...]


class Needles:
    """What is looked for: texts of hexadecimal digits, as the request names them.

    An id of a journey is the event's that founded it with five characters before: to look for the event is to look for it.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = {text.encode() for text in texts}
        self.lengths = sorted({len(text) for text in self.texts})
        self._values = pa.array(sorted(text.decode() for text in self.texts), pa.string())
        words = {int(text, 16) for text in self.texts if len(text) == _WORD}
        self._words = pa.array(sorted(words), pa.uint64())

    def in_bytes(self, content: bytes) -> set[bytes]:
        """The needles that stand in `content`."""
        found: set[bytes] = set()
        for run in set(_RUNS.findall(content.lower())):
            for length in self.lengths:
                for start in range(len(run) - length + 1):
                    if run[start : start + length] in self.texts:
                        found.add(run[start : start + length])
        return found

    def in_array(self, values: pa.Array) -> set[bytes]:
        """The needles that stand in a column (n), nested or not."""
        kind = values.type
        found: set[bytes] = set()
        if pa.types.is_dictionary(kind):
            found = self.in_array(values.dictionary)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            found = self.in_array(pc.list_flatten(values))
        elif pa.types.is_struct(kind):
            found = found.union(*(self.in_array(part) for part in values.flatten()))
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            found = self._in_texts(values.unique().cast(pa.string()).drop_null())
        elif kind in (pa.int64(), pa.uint64()):
            found = self._in_words(values.unique().cast(pa.uint64(), safe=False))
        elif not pa.types.is_primitive(kind):
            found = self.in_bytes(repr(values.unique().to_pylist()).encode())
        return found

    def _in_words(self, words: pa.Array) -> set[bytes]:
        hit = words.filter(pc.is_in(words, value_set=self._words))
        return {f"{word:016x}".encode() for word in hit.to_pylist()}

    def _in_texts(self, texts: pa.Array) -> set[bytes]:
        """Whole values are compared at once; only those of another length are searched through."""
        found = {text.encode() for text in texts.filter(pc.is_in(texts, value_set=self._values)).to_pylist()}
        sizes = pc.binary_length(texts)
        rest = texts.filter(pc.greater(sizes, _WORD))
        rest = rest.filter(pc.invert(pc.match_substring_regex(rest, r"^(?:[0-9a-f]{24}|[0-9a-f]{32})$")))
        return found | self.in_bytes("\n".join(rest.to_pylist()).encode("utf-8", "replace"))


def needles(request: Request, spare: set[str] | None = None) -> Needles:
    """What a request asks to be gone, but for the pseudonyms in `spare`: they came anew after it.

    Any of the person's identifiers may once have been their anchor: the ids that it would give are looked for, too.
    """
    ids = {person_id(kind, pseudonym) for kind, pseudonym in request.exclusive if pseudonym not in (spare or set())}
    texts = {request.person_id, *ids, *request.pseudonyms, *request.events, *request.accounts}
    return Needles(texts - (spare or set()))


def scan(wanted: Needles, places: Iterable[Path], leave_out: Iterable[Path] = ()) -> Scan:
    """Searches every file at or below `places`, but for what is at or below `leave_out`.

    A file that cannot be decoded is searched as bytes; one that cannot be read at all counts as a trace.
    """
    left_out = [path.resolve() for path in leave_out]
    files = 0
    traces = []
    for path in _files(places, left_out):
        files += 1
        try:
            found = wanted.in_bytes(str(path).encode("utf-8", "surrogateescape"))
            found |= _search(path, wanted)
        except FileNotFoundError:
            continue
        except OSError:
            traces.append(Trace(str(path), 0))
            continue
        if found:
            traces.append(Trace(str(path), len(found)))
    return Scan(files, tuple(traces))


def _files(places: Iterable[Path], left_out: list[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for place in places:
        for path in [place] if place.is_file() else sorted(place.rglob("*")) if place.is_dir() else []:
            whole = path.resolve()
            if path.is_file() and whole not in seen and not any(whole.is_relative_to(out) for out in left_out):
                seen.add(whole)
                yield path


def _search(path: Path, wanted: Needles) -> set[bytes]:
    with path.open("rb") as file:
        head = file.read(_WORD)
    found = _in_file(path, wanted)
    try:
        if head.startswith(b"PAR1"):
            for batch in pq.ParquetFile(path).iter_batches(_BATCH):
                found = found.union(*(wanted.in_array(column) for column in batch.columns))
        elif head.startswith(b"SQLite format 3"):
            found |= _in_sqlite(path, wanted)
        elif head.startswith(b"\x1f\x8b"):
            with gzip.open(path) as packed:
                found |= _in_stream(cast(IO[bytes], packed), wanted)
    except (pa.ArrowException, sqlite3.Error, EOFError, gzip.BadGzipFile):
        return found  # it is damaged, or being written: its bytes were searched
    return found


def _in_file(path: Path, wanted: Needles) -> set[bytes]:
    with path.open("rb") as file:
        return _in_stream(file, wanted)


def _in_stream(file: IO[bytes], wanted: Needles) -> set[bytes]:
    found: set[bytes] = set()
    tail = b""
    keep = max(wanted.lengths, default=1) - 1
    while chunk := file.read(_CHUNK):
        found |= wanted.in_bytes(tail + chunk)
        tail = (tail + chunk)[-keep:]
    return found


def _in_sqlite(path: Path, wanted: Needles) -> set[bytes]:
    """Value by value: a long one lies in pieces over the file's pages."""
    found: set[bytes] = set()
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            quoted = '"' + name.replace('"', '""') + '"'
            for row in connection.execute(f"SELECT * FROM {quoted}"):
                for value in row:
                    if isinstance(value, str | bytes):
                        found |= wanted.in_bytes(value.encode("utf-8", "replace") if isinstance(value, str) else value)
    return found

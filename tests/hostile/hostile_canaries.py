"""Personal values that are planted in the sources, and the search for them in everything a night leaves. Holds no test.

A value is looked for in several spellings: as it is, folded, stripped to digits, escaped as JSON, HTML or in a URL, in
UTF-16, base64 and hexadecimal, and as a hash without a key, which whoever knows the value could make too.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import html
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import duckdb
import pyarrow.parquet as pq

KEY = "sleutel-7f3b9c21-hemelwaterafvoer"
IBAN = "NL91ABNA0417164300"
_FEWEST_DIGITS = 8


@dataclass(frozen=True)
class Person:
    name: str
    email: str
    phone: str
    customer: str

    @property
    def values(self) -> tuple[str, ...]:
        return (self.name, self.name.split()[-1], self.email, self.phone, self.customer)


PEOPLE = (
    Person("Quirinus Zwaardvegersgaard", "Q.Zwaardvegersgaard@privepost.example", "+31 6 98765432", "KL-7788990011"),
    Person("Wil Koolhaas-Ünsal", "wil.koolhaas+ünsal@geheim.example", "(013) 572 46 81", "KL-4455667788"),
    Person("Fatou Diallo-Vreeswijk", "fatou_dv@stilhouden.example", "0031-20-6541239", "Kl/9081-7263x"),
)


def spellings(value: str) -> set[bytes]:
    """The value in every spelling that is looked for, in lower case."""
    digits = re.sub(r"\D", "", value)
    texts = {value, value.lower(), value.upper(), "".join(value.split()), re.sub(r"\W", "", value)}
    texts |= (
        {digits, digits.removeprefix("0031"), digits.removeprefix("31")} if len(digits) >= _FEWEST_DIGITS else set()
    )
    texts = {text for text in texts if len(text) >= min(_FEWEST_DIGITS, len(value))}
    found: set[bytes] = set()
    for text in texts:
        raw = text.encode()
        found |= {raw, text.encode("utf-16-le"), text.encode("latin-1", "replace"), raw.hex().encode()}
        written = (json.dumps(text)[1:-1], html.escape(text), quote(text, safe=""), quote_plus(text), repr(raw)[2:-1])
        found |= {form.encode() for form in written}
        found |= {hashlib.new(name, raw).hexdigest()[:16].encode() for name in ("md5", "sha1", "sha256")}
        found |= {base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)}
    return {form.lower() for form in found if len(form) > 5}


NEEDLES = {
    needle: value
    for value in (KEY, IBAN, *(value for person in PEOPLE for value in person.values))
    for needle in spellings(value)
}


def found_in(*folders: Path) -> dict[str, set[str]]:
    """Which planted values stand in which files below the folders, packed ones opened; by file."""
    hits: dict[str, set[str]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                values = set().union(*map(found_in_bytes, _contents(path)))
                if values:
                    hits[str(path.relative_to(folder))] = values
    return hits


def found_in_bytes(content: bytes) -> set[str]:
    folded = content.lower()
    return {value for needle, value in NEEDLES.items() if needle in folded}


def _contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file and, of what packs or splits its values, these too; and its name."""
    yield str(path).encode("utf-8", "surrogateescape")
    raw = path.read_bytes()
    yield raw
    # What a test has made corrupt on purpose cannot be opened: its bytes are searched all the same.
    if raw.startswith(b"PAR1"):
        with contextlib.suppress(OSError, ValueError):
            yield json.dumps(pq.read_table(path).to_pylist(), default=str, ensure_ascii=False).encode(
                "utf-8", "replace"
            )
    elif raw.startswith(b"SQLite format 3"):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            yield "\n".join(connection.iterdump()).encode("utf-8", "replace")
    elif raw.startswith(b"\x1f\x8b"):
        with contextlib.suppress(OSError, EOFError):
            yield gzip.decompress(raw)
    elif path.suffix == ".duckdb":
        with duckdb.connect(path, read_only=True) as connection:
            yield repr(connection.execute("SELECT sql, comment FROM duckdb_views()").fetchall()).encode()

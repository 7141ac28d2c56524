"""A ledger of links alone, as large as asked: `python -m bench.links SHAPE FOLDER LINKS`.

Shapes: `world` (heavy-tailed: half of all rows are of a tenth of the persons, the busiest has thousands; tenants of a household
share telephone and address, office telephones are shared by up to thousands, one row in a hundred is of a tablet that
several use), with a night of one part in a hundred more laid aside; `chain` (each e-mail address with the next); `hub` (one
telephone with all customers), with one link more laid aside. Pseudonyms are random, as keyed hashes are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.intake.ledger import EVENTS_SCHEMA, IDENTIFIERS, LINKS_SCHEMA, QUARANTINE_SCHEMA, FileRecord, Ledger

KINDS = ("customer", "email", "telephone", "cookie")
CUSTOMER, EMAIL, TELEPHONE, COOKIE = range(4)
TYPES: dict[str, dict[str, Any]] = {
    "customer": {"priority": 1},
    "email": {"priority": 2, "at_most": {"customer": 1}},
    "telephone": {"priority": 3, "at_most": {"customer": 1}},
    "cookie": {"priority": 4, "at_most_persons": 1},
}
FILES = 20
START = datetime(2025, 1, 1, tzinfo=UTC)
Words = npt.NDArray[np.uint64]
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


def mixed(words: Words) -> Words:
    """Steele, Lea and Flood's SplitMix64 (2014): one random-looking word for each."""
    z = words + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def pseudonyms(words: Words) -> pa.Array:
    """24 hex digits for each word."""
    both = np.stack([mixed(words), mixed(words ^ np.uint64(0x5555555555555555))], axis=1)
    data = both.view(np.uint8).reshape(len(words), 16)[:, :12]
    text = np.stack([_HEX[data >> 4], _HEX[data & 15]], axis=2).reshape(len(words), 24)
    ends = np.arange(len(words) + 1, dtype=np.int32) * 24
    return pa.StringArray.from_buffers(len(words), pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(text)))


def write(ledger: Ledger, sequence: int, left: Words, right: Words) -> None:
    """One file: a row for each pair of identifiers, each a number times 4 plus the place of its type."""
    lower, higher = np.minimum(left, right), np.maximum(left, right)
    number = mixed(mixed(lower) ^ higher)
    _, first = np.unique(number, return_index=True)
    lower, higher, number = lower[first], higher[first], number[first]
    both = np.stack([lower, higher], axis=1).reshape(-1)
    kinds = pa.DictionaryArray.from_arrays(pa.array((both & np.uint64(3)).astype(np.int8)), pa.array(KINDS))
    parts = [kinds.cast(pa.string()), pseudonyms(both), pa.nulls(len(both), pa.string())]
    listed = pa.ListArray.from_arrays(
        pa.array(np.arange(len(number) + 1, dtype=np.int32) * 2),
        pa.StructArray.from_arrays(parts, fields=list(IDENTIFIERS.value_type)),
    )
    moment = np.datetime64(START.replace(tzinfo=None), "us") + np.arange(len(number)) + np.timedelta64(sequence, "D")
    columns = {
        "identifier_set": number,
        "position": np.ones(len(number), np.int16),
        "identifiers": listed,
        "first_seen": pa.array(moment).cast(pa.timestamp("us", tz="UTC")),
        "last_seen": pa.array(moment).cast(pa.timestamp("us", tz="UTC")),
        "rows": np.ones(len(number), np.int64),
        "persona": pa.nulls(len(number), pa.string()),
    }
    aside = ledger.new_folder(sequence)
    arrays = [columns[name] if isinstance(columns[name], pa.Array) else pa.array(columns[name]) for name in columns]
    table = pa.Table.from_arrays(arrays, names=list(columns)).cast(LINKS_SCHEMA)
    pq.write_table(table, aside / "links.parquet", compression="zstd")
    pq.write_table(EVENTS_SCHEMA([]).empty_table(), aside / "events.parquet")
    pq.write_table(QUARANTINE_SCHEMA.empty_table(), aside / "quarantine.parquet")
    record = FileRecord(
        source=f"source {sequence % 3}", file=f"{sequence}.csv", content_hash=f"{sequence:064x}", landed_at=START,
        sequence=sequence, file_status="used", dialect=None, rows_read=len(number), rows_ignored=0, rows_reference=0,
        rows_quarantined=0, rows_erased=0, events_made=0, times_resolved=0, anonymous_events=0, seconds=0.0, key_check="",
    )  # fmt: skip
    ledger.add(aside, record)


def world(links: int, rows: int, fresh: float, seed: int) -> tuple[Words, Words]:
    """Rows of the heavy-tailed world; `links` is its size, `fresh` the share of rows of persons unknown before."""
    random = np.random.default_rng(seed)
    persons = max(links // 10, 1)
    # A person's share of rows falls with the square root of their rank; ranks are shuffled by the pseudonyms.
    person = (persons * random.random(rows) ** 2).astype(np.uint64)
    new = random.random(rows) < fresh
    person[new] = np.uint64(persons * (seed + 1)) + random.integers(0, max(rows // 20, 1), int(new.sum()), np.uint64)
    household = np.where(mixed(person) % np.uint64(10) == 0, person // np.uint64(2) * np.uint64(2), person)
    one_of = (8 * random.random(rows) ** 2).astype(np.uint64)
    cookie = (person * np.uint64(8) + one_of) * np.uint64(4) + np.uint64(COOKIE)
    tablet = random.random(rows) < 0.01
    cookie[tablet] = ((household[tablet] // np.uint64(2)) << np.uint64(40)) * np.uint64(4) + np.uint64(COOKIE)
    customer = person * np.uint64(4) + np.uint64(CUSTOMER)
    email = (household * np.uint64(2) + one_of // np.uint64(6)) * np.uint64(4) + np.uint64(EMAIL)
    telephone = household * np.uint64(4) + np.uint64(TELEPHONE)
    office = (1e3 * random.random(rows) ** 2).astype(np.uint64) + (np.uint64(1) << np.uint64(50))
    telephone = np.where(random.random(rows) < 0.2, office * np.uint64(4) + np.uint64(TELEPHONE), telephone)
    what = random.random(rows)
    left = np.where(what < 0.9, customer, email)
    right = np.where(what < 0.65, cookie, np.where(what < 0.8, email, np.where(what < 0.9, telephone, cookie)))
    return left, right


def shapes(shape: str, links: int) -> Iterator[tuple[Words, Words]]:
    """The files of a shape, the last of which is laid aside."""
    if shape == "world":
        for number in range(FILES):
            yield world(links, links // FILES, 0.0, seed=number)
        yield world(links, links // 100, 0.1, seed=FILES)
    elif shape == "chain":
        at = np.arange(links, dtype=np.uint64) * np.uint64(4) + np.uint64(EMAIL)
        yield at, at + np.uint64(4)
        yield at[-1:] + np.uint64(4), at[-1:] + np.uint64(8)
    elif shape == "hub":
        customer = np.arange(links + 1, dtype=np.uint64) * np.uint64(4)
        telephone = np.full(links + 1, TELEPHONE, np.uint64)
        yield customer[:-1], telephone[:-1]
        yield customer[-1:], telephone[-1:]


def main(shape: str, folder: Path, links: int) -> None:
    """Writes `lake/` and, aside, `next/`: the ledger folder of the night to come."""
    ledger = Ledger(folder / "lake")
    with ledger.writing():
        for sequence, (left, right) in enumerate(shapes(shape, links), start=1):
            write(ledger, sequence, left, right)
    (ledger.files()[-1].path).rename(folder / "next")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))

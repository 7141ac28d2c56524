"""Sets of identifiers: which of them are a person's, and what is left of those that are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.forget.request import Request
from klantspoor.intake.identifiers import IdentifierColumn, together

_BATCH = 65_536


class Held(TypedDict):
    """One identifier of a set, as the ledger has it."""

    type: str
    identifier: str
    guard: str | None


def lists_holding(path: Path, key: str, wanted: Iterable[str]) -> Iterator[tuple[Any, list[Held]]]:
    """(column `key`, `identifiers`) of the rows of a ledger's Parquet file that hold one of these pseudonyms."""
    values = pa.array(sorted(wanted), pa.string())
    for batch in pq.ParquetFile(path).iter_batches(_BATCH, columns=[key, "identifiers"]):
        at = rows_holding(batch.column("identifiers"), values)
        yield from zip(
            batch.column(key).take(at).to_pylist(), batch.column("identifiers").take(at).to_pylist(), strict=True
        )


def rows_holding(lists: pa.ListArray, pseudonyms: pa.Array) -> pa.Array:
    """The positions (k) of the lists (n) that hold one of the pseudonyms."""
    flat = pc.list_flatten(lists)
    hit = pc.is_in(pc.struct_field(flat, "identifier"), value_set=pseudonyms)
    return pc.list_parent_indices(lists).filter(hit).unique()


def of_sets(path: Path, numbers: Iterable[int]) -> Iterator[tuple[int, list[Held]]]:
    """(set, identifiers) of the rows of a `links.parquet` that are of these sets."""
    values = pa.array(sorted(numbers), pa.uint64())
    for batch in pq.ParquetFile(path).iter_batches(_BATCH, columns=["identifier_set", "identifiers"]):
        found = batch.filter(pc.is_in(batch.column("identifier_set"), value_set=values))
        yield from zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True)


@dataclass(slots=True)
class Sets:
    """The sets in one file that hold an identifier of the person: those that are theirs, and what is left of each."""

    dead: set[int] = field(default_factory=set)
    left: dict[int, list[Held]] = field(default_factory=dict)


def sort_sets(links: Path, request: Request, priorities: dict[str, int]) -> Sets:
    """Looks through a `links.parquet`."""
    found = Sets()
    for number, held in lists_holding(links, "identifier_set", request.pseudonyms):
        if is_theirs(held, request, priorities):
            found.dead.add(number)
        found.left[number] = without(held, request)
    return found


def is_theirs(held: list[Held], request: Request, priorities: dict[str, int]) -> bool:
    """Whether a row with these identifiers is the person's: by the most trusted one that is somebody's, as for events."""
    exclusive = set(request.exclusive)
    somebodys = exclusive | set(request.others)
    voices = [
        (priorities.get(one["type"], len(priorities) + 1), one["type"], one["identifier"])
        for one in held
        if one["guard"] is None and (one["type"], one["identifier"]) in somebodys
    ]
    return bool(voices) and min(voices)[1:] in exclusive


def without(held: list[Held], request: Request) -> list[Held]:
    """The identifiers of a set that are not this person's alone."""
    exclusive = set(request.exclusive)
    return [one for one in held if (one["type"], one["identifier"]) not in exclusive]


def set_number(held: list[Held]) -> int:
    """The number that a set of identifiers has, as intake gives it."""
    columns = [
        IdentifierColumn(one["type"], pa.array([one["identifier"]]), pa.array([one["guard"]], pa.string()))
        for one in held
    ]
    return int(together(columns, 1).sets[0])

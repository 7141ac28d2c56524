"""Identifiers: cleaned, held against the lists of values that are nobody's, pseudonymised, and put together per row.

Which identifiers belong to one person is decided later, in `klantspoor.identity`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.intake.ledger import IDENTIFIERS
from klantspoor.intake.normalise import clean
from klantspoor.intake.pseudonyms import SEPARATOR, Pseudonymiser
from klantspoor.project.model import IdentifierType

Mask = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]
DIGITS = 24
_NOBODYS = r"(?i)^([0-]+|-1|null|none|anonymous|unknown|n/a)$"


@dataclass(frozen=True, slots=True)
class IdentifierColumn:
    """One identifier of each of n rows: its type, its pseudonyms (null: none), and which guard holds it (null: none).

    Guards are "blocked", "invalid", "staff" and "test": such an identifier is nobody's. `earlier` are the pseudonyms that
    the identifiers had before the key was rotated, where somebody asked for them.
    """

    type: str
    pseudonyms: pa.Array
    guards: pa.Array
    earlier: tuple[pa.Array, ...] = ()


class IdentifierMaker:
    """Makes identifiers by the rules that `klantspoor.yaml` has for their types."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        pseudonymiser: Pseudonymiser,
        types: dict[str, IdentifierType],
        *,
        tells_earlier: bool = False,
    ) -> None:
        self._con = con
        self._pseudonymiser = pseudonymiser
        self._types = types
        self._earlier = pseudonymiser.earlier() if tells_earlier else []

    def column(self, type_name: str, values: pa.Array) -> IdentifierColumn:
        """Values of one type (n) cleaned, judged and pseudonymised; blank ones are dropped."""
        rules = self._types[type_name]
        distinct = values.dictionary_encode()
        if len(distinct.dictionary) == 0:
            nothing = pa.nulls(len(values), pa.string())
            return IdentifierColumn(type_name, nothing, nothing)
        cleaned, invalid = clean(distinct.dictionary, rules)
        domain = f"identifier{SEPARATOR}{type_name}"
        pseudonyms = self._pseudonymiser.of(cleaned, domain, DIGITS)
        earlier = tuple(one.of(cleaned, domain, DIGITS).take(distinct.indices) for one in self._earlier)
        guards = self._guards(pc.utf8_trim_whitespace(distinct.dictionary), cleaned, invalid, rules)
        return IdentifierColumn(type_name, pseudonyms.take(distinct.indices), guards.take(distinct.indices), earlier)

    def _guards(self, written: pa.Array, cleaned: pa.Array, invalid: pa.Array, rules: IdentifierType) -> pa.Array:
        """The first guard that holds each value (n), or null.

        What is nobody's is so as it is `written` too: by the rules for telephones, 0000000000 is +31000000000.
        """
        nobodys = pc.or_(pc.match_substring_regex(written, _NOBODYS), pc.match_substring_regex(cleaned, _NOBODYS))
        found = pc.if_else(pc.fill_null(nobodys, False), pa.scalar("blocked"), pa.scalar(None, pa.string()))
        for guard, globs in (("blocked", rules.block), ("staff", rules.staff), ("test", rules.test)):
            if globs:
                found = pc.coalesce(found, pc.if_else(self._fits(cleaned, globs), guard, pa.scalar(None, pa.string())))
        return pc.coalesce(found, pc.if_else(invalid, "invalid", pa.scalar(None, pa.string())))

    def _fits(self, cleaned: pa.Array, globs: list[str]) -> pa.Array:
        self._con.register("batch", pa.table({"v": cleaned}))
        tests = " OR ".join(f"v GLOB $g{number}" for number in range(len(globs)))
        parameters = {f"g{number}": glob for number, glob in enumerate(globs)}
        matched = self._con.sql(f"SELECT coalesce({tests}, false) FROM batch", params=parameters).to_arrow_table()
        return pa.concat_arrays(matched.column(0).chunks)


@dataclass(frozen=True, slots=True)
class Together:
    """The identifiers of n rows: as one list each, the number of that set, and whether one of them is held by no guard.

    Rows with the same identifiers, in whatever order, have the same number; 0 is a row without any.
    """

    lists: pa.Array
    sets: Words
    usable: Mask


def together(columns: list[IdentifierColumn], rows: int) -> Together:
    """The identifiers of each row (n) put together, each once."""
    if not columns or rows == 0:
        empty = pa.array([[]], IDENTIFIERS).take(pa.array(np.zeros(rows, np.int64)))
        return Together(empty, np.zeros(rows, np.uint64), np.zeros(rows, np.bool_))
    present = np.stack([_valid(c) & ~_repeated(columns[:i], c) for i, c in enumerate(columns)], axis=1)
    guarded = np.stack([_mask(pc.is_valid(c.guards)) for c in columns], axis=1)
    flat = np.flatnonzero(present.ravel())
    row, which = flat // len(columns), flat % len(columns)
    at = pa.array(which * rows + row)
    types = pa.array([c.type for c in columns], pa.string()).take(pa.array(which))
    values = pa.StructArray.from_arrays(
        [types, _stacked([c.pseudonyms for c in columns]).take(at), _stacked([c.guards for c in columns]).take(at)],
        names=["type", "identifier", "guard"],
    )
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), values).cast(IDENTIFIERS)
    numbers = np.where(present, np.stack([_numbers(c) for c in columns], axis=1), np.uint64(0))
    return Together(lists, numbers.sum(axis=1, dtype=np.uint64), np.asarray((present & ~guarded).any(axis=1), np.bool_))


def set_numbers(lists: pa.ListArray) -> Words:
    """The number of each set of identifiers (n), as `together` gives it; 0 for an empty one. None of them twice in a set."""
    flat = lists.flatten()
    types = flat.field("type").dictionary_encode()
    of_type = np.array([_type_number(name) for name in types.dictionary.to_pylist()], np.uint64)
    mixed = _mixed(_words(flat.field("identifier")) ^ of_type[types.indices.to_numpy()])
    sums = np.concatenate(
        [np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)]
    )  # they wrap, and so do differences
    ends = np.cumsum(lists.value_lengths().to_numpy())
    return np.asarray(sums[ends] - sums[np.concatenate([[0], ends[:-1]])], np.uint64)


def _numbers(column: IdentifierColumn) -> Words:
    """A well-mixed number for each identifier (n): the sum over a set is the same in any order."""
    distinct = column.pseudonyms.dictionary_encode()
    mixed = _mixed(_words(distinct.dictionary) ^ np.uint64(_type_number(column.type)))
    at = np.asarray(pc.fill_null(distinct.indices, 0).to_numpy(), np.int64)
    return mixed[at] if len(mixed) else np.zeros(len(at), np.uint64)


def _mixed(words: Words) -> Words:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), so that sums of different sets meet by chance alone."""
    mixed = words.copy()
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def _words(pseudonyms: pa.Array) -> Words:
    """The first 64 bits of each pseudonym (n)."""
    digits = "".join(pc.utf8_slice_codeunits(pseudonyms, 0, 16).to_pylist())
    return np.frombuffer(bytes.fromhex(digits), ">u8").astype(np.uint64)


@lru_cache(maxsize=1024)
def _type_number(type_name: str) -> int:
    return int.from_bytes(hashlib.sha256(type_name.encode()).digest()[:8], "big")


def _stacked(arrays: list[pa.Array]) -> pa.Array:
    return pa.concat_arrays(arrays)


def _mask(values: pa.Array) -> Mask:
    return np.asarray(values.to_numpy(zero_copy_only=False), np.bool_)


def _valid(column: IdentifierColumn) -> Mask:
    return _mask(pc.is_valid(column.pseudonyms))


def _repeated(earlier: list[IdentifierColumn], column: IdentifierColumn) -> Mask:
    """Rows in which an earlier column of the same type holds the same identifier."""
    repeated = np.zeros(len(column.pseudonyms), np.bool_)
    for other in earlier:
        if other.type == column.type:
            repeated |= _mask(pc.fill_null(pc.equal(other.pseudonyms, column.pseudonyms), False))
    return repeated

"""Identifiers: cleaned, blocked where they are nobody's, pseudonymised, and put together per row.

Which identifiers belong to one person is decided later, in `klantspoor.identity`.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.intake.ledger import IDENTIFIERS
from klantspoor.intake.pseudonyms import SEPARATOR, Pseudonymiser
from klantspoor.project.model import IdentifierType

Mask = npt.NDArray[np.bool_]
DIGITS = 24
_NOBODYS = r"(?i)^(0+|-+|-1|null|none|anonymous|unknown|n/a)$"


@dataclass(frozen=True, slots=True)
class IdentifierColumn:
    """One identifier of each of n rows: its type, its pseudonyms (null: none) and which are blocked."""

    type: str
    pseudonyms: pa.Array
    blocked: Mask


class IdentifierMaker:
    """Makes identifiers by the rules that `klantspoor.yaml` has for their types."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, pseudonymiser: Pseudonymiser, types: dict[str, IdentifierType]
    ) -> None:
        self._con = con
        self._pseudonymiser = pseudonymiser
        self._types = types

    def column(self, type_name: str, values: pa.Array) -> IdentifierColumn:
        """Values of one type (n) cleaned, judged and pseudonymised; blank ones are dropped."""
        rules = self._types[type_name]
        distinct = values.dictionary_encode()
        cleaned = clean(distinct.dictionary, rules.normalise)
        if len(cleaned) == 0:
            return IdentifierColumn(type_name, pa.nulls(len(values), pa.string()), np.zeros(len(values), np.bool_))
        pseudonyms = self._pseudonymiser.of(cleaned, f"identifier{SEPARATOR}{type_name}", DIGITS)
        blocked = self._blocked(cleaned, rules.block)
        return IdentifierColumn(
            type_name,
            pseudonyms.take(distinct.indices),
            np.asarray(pc.fill_null(blocked.take(distinct.indices), False).to_numpy(zero_copy_only=False), np.bool_),
        )

    def _blocked(self, cleaned: pa.Array, globs: list[str]) -> pa.Array:
        blocked = pc.match_substring_regex(cleaned, _NOBODYS)
        if not globs:
            return blocked
        self._con.register("batch", pa.table({"v": cleaned}))
        tests = " OR ".join(f"v GLOB $g{number}" for number in range(len(globs)))
        parameters = {f"g{number}": glob for number, glob in enumerate(globs)}
        matched = self._con.sql(f"SELECT {tests} FROM batch", params=parameters).to_arrow_table().column(0)
        return pc.or_(blocked, pa.concat_arrays(matched.chunks))


def clean(texts: pa.Array, normalise: str) -> pa.Array:
    """Identifier values (n) as they are compared: trimmed, in lower case or digits only if so ruled; blank is null."""
    trimmed = pc.utf8_trim_whitespace(texts)
    if normalise == "lower":
        trimmed = pc.utf8_lower(trimmed)
    elif normalise == "digits":
        trimmed = pc.replace_substring_regex(trimmed, "[^0-9]", "")
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def together(columns: list[IdentifierColumn], rows: int) -> tuple[pa.Array, Mask]:
    """The identifiers of each row as one list (n), each once, and which rows (n) have one that is not blocked."""
    if not columns or rows == 0:
        empty = pa.array([[]], IDENTIFIERS) if rows else pa.array([], IDENTIFIERS)
        return empty.take(pa.array(np.zeros(rows, np.int64))) if rows else empty, np.zeros(rows, np.bool_)
    present = np.stack([_valid(c) & ~_repeated(columns[:i], c) for i, c in enumerate(columns)], axis=1)
    blocked = np.stack([c.blocked for c in columns], axis=1)
    flat = np.flatnonzero(present.ravel())
    row, which = flat // len(columns), flat % len(columns)
    pseudonyms = pa.concat_arrays([c.pseudonyms for c in columns]).take(pa.array(which * rows + row))
    types = pa.array([c.type for c in columns], pa.string()).take(pa.array(which))
    values = pa.StructArray.from_arrays(
        [types, pseudonyms, pa.array(blocked.ravel()[flat])], names=["type", "identifier", "blocked"]
    )
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), values).cast(IDENTIFIERS)
    return lists, np.asarray((present & ~blocked).any(axis=1), np.bool_)


def _valid(column: IdentifierColumn) -> Mask:
    return np.asarray(pc.is_valid(column.pseudonyms).to_numpy(zero_copy_only=False), np.bool_)


def _repeated(earlier: list[IdentifierColumn], column: IdentifierColumn) -> Mask:
    """Rows in which an earlier column of the same type holds the same identifier."""
    repeated = np.zeros(len(column.blocked), np.bool_)
    for other in earlier:
        if other.type == column.type:
            same = pc.fill_null(pc.equal(other.pseudonyms, column.pseudonyms), False)
            repeated |= np.asarray(same.to_numpy(zero_copy_only=False), np.bool_)
    return repeated

"""Pseudonyms: HMAC-SHA256 with the project's keys, computed for whole columns.

A key is only ever a parameter of a query: never in SQL text, never in a message. What is pseudonymised, and how
values are cleaned before, is decided by the callers; where the keys come from, by `klantspoor.project.key`.
"""

from __future__ import annotations

import hashlib

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.intake.sandbox import literal
from klantspoor.project.key import Keys
from klantspoor.project.sql import quote

SEPARATOR = "\x1f"
MARK = "~"
"""Stands before a pseudonym where plain values may stand too (ids, attributes), so that it can be told from them."""
_BLOCK = 64
_HMAC = "left(sha256($outer::BLOB || unhex(sha256($inner::BLOB || encode({message})))), {digits})"


class Pseudonymiser:
    """Makes pseudonyms on a connection of its own kind: one that no expression of a project ever sees.

    With the keys k1, k2, … the pseudonym of a value is p1 = HMAC(k1, domain, separator, value), shortened, then
    p2 = HMAC(k2, "rotated", separator, p1), as short as p1, and so on: whoever lacks the last key cannot make it, and
    whoever has it can make it of p1 alone, which is how a lake gets a new key without the raw values.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, keys: Keys) -> None:
        self._con = con
        self._chain = keys.chain
        self._keys = [_padded(key) for key in keys.chain]

    def of(self, values: pa.Array, domain: str, digits: int) -> pa.Array:
        """Pseudonyms of texts (n), `digits` hex digits each; null stays null.

        Equal values in different domains give pseudonyms that cannot be told to be of one value.
        """
        if len(values) == 0 or values.null_count == len(values):
            return pa.nulls(len(values), pa.string())
        distinct = values.dictionary_encode()
        first = self._hashed(distinct.dictionary, domain, digits, 0)
        return self.rotated(first, 1).take(distinct.indices)

    def marked(self, values: pa.Array, domain: str, digits: int) -> pa.Array:
        """As `of`, with the mark before each."""
        return pc.binary_join_element_wise(MARK, self.of(values, domain, digits), "")

    def of_rows(self, table: pa.Table, digits: int) -> pa.Array:
        """Pseudonyms of whole rows: of every column's name and text, in the order of the names, nulls left out."""
        parts = ", ".join(
            f"CASE WHEN {quote(n)} IS NOT NULL THEN {literal(n + SEPARATOR)} || CAST({quote(n)} AS VARCHAR) END"
            for n in sorted(table.column_names)
        )
        message = _HMAC.format(message=f"$domain || concat_ws(chr(30), {parts})", digits=digits)
        return self.rotated(self._ask(message, table, "row", 0), 1)

    def rotated(self, pseudonyms: pa.Array, done: int) -> pa.Array:
        """Pseudonyms (n) that were made with the first `done` keys alone, hashed on with the others; null stays null."""
        if done >= len(self._keys) or pseudonyms.null_count == len(pseudonyms):
            return pseudonyms
        distinct = pseudonyms.dictionary_encode()
        made = distinct.dictionary
        for layer in range(done, len(self._keys)):
            made = self._hashed(made, "rotated", "length(v)", layer)
        return made.take(distinct.indices)

    def earlier(self) -> list[Pseudonymiser]:
        """Those of the times when there were fewer keys, the latest first.

        What was hashed once more of a pseudonym and kept without it, such as the tombstone of a forgotten person, is
        hashed on by rotation like a pseudonym, but is still of the pseudonym of its time: `of` of what these make.
        """
        return [Pseudonymiser(self._con, Keys(self._chain[:number])) for number in range(len(self._chain) - 1, 0, -1)]

    def _hashed(self, texts: pa.Array, domain: str, digits: int | str, layer: int) -> pa.Array:
        """The hashes of texts (n) by the key of one layer; `digits` is a number, or SQL for one."""
        return self._ask(_HMAC.format(message="$domain || v", digits=digits), pa.table({"v": texts}), domain, layer)

    def _ask(self, made: str, table: pa.Table, domain: str, layer: int) -> pa.Array:
        """One answer for each row of `table`, by the key of that layer."""
        self._con.register("batch", table)
        parameters = {**self._keys[layer], "domain": domain + SEPARATOR}
        answer = self._con.sql(f"SELECT {made} FROM batch", params=parameters).to_arrow_table()
        return pa.concat_arrays(answer.column(0).chunks) if answer.num_rows else pa.array([], pa.string())


def _padded(key: bytes) -> dict[str, bytes]:
    """The two keys of HMAC (RFC 2104), which are hashed before the message."""
    short = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return {"inner": bytes(b ^ 0x36 for b in short), "outer": bytes(b ^ 0x5C for b in short)}

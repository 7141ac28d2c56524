"""Pseudonyms: HMAC-SHA256 with the project's key, computed for whole columns.

The key is only ever a parameter of a query: never in SQL text, never in a message. What is pseudonymised, and how
values are cleaned before, is decided by the callers; where the key comes from, by `klantspoor.project.key`.
"""

from __future__ import annotations

import hashlib
import hmac

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.intake.sandbox import literal
from klantspoor.project.sql import quote

SEPARATOR = "\x1f"
MARK = "~"
"""Stands before a pseudonym where plain values may stand too (ids, attributes), so that it can be told from them."""
_BLOCK = 64
_HMAC = "left(sha256($outer::BLOB || unhex(sha256($inner::BLOB || encode({message})))), {digits})"


class Pseudonymiser:
    """Makes pseudonyms on a connection of its own kind: one that no expression of a project ever sees."""

    def __init__(self, con: duckdb.DuckDBPyConnection, key: bytes) -> None:
        self._con = con
        short = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self._keys = {"inner": bytes(b ^ 0x36 for b in short), "outer": bytes(b ^ 0x5C for b in short)}

    def of(self, values: pa.Array, domain: str, digits: int) -> pa.Array:
        """Pseudonyms of texts (n): the first `digits` hex digits of HMAC(domain, separator, value); null stays null.

        Equal values in different domains give pseudonyms that cannot be told to be of one value.
        """
        if len(values) == 0 or values.null_count == len(values):
            return pa.nulls(len(values), pa.string())
        distinct = values.dictionary_encode()
        message = _HMAC.format(message="$domain || v", digits=digits)
        table = pa.table({"v": distinct.dictionary})
        made = self._ask(f"SELECT {message} FROM batch", table, {"domain": domain + SEPARATOR})
        return made.take(distinct.indices)

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
        return self._ask(f"SELECT {message} FROM batch", table, {"domain": "row" + SEPARATOR})

    def _ask(self, query: str, table: pa.Table, parameters: dict[str, str]) -> pa.Array:
        self._con.register("batch", table)
        answer = self._con.sql(query, params={**self._keys, **parameters}).to_arrow_table()
        return pa.concat_arrays(answer.column(0).chunks) if answer.num_rows else pa.array([], pa.string())


def key_check(key: bytes) -> str:
    """What the ledger remembers of the key, so that another one is noticed: 16 hex digits."""
    return hmac.new(key, b"check" + SEPARATOR.encode(), hashlib.sha256).hexdigest()[:16]

"""Pseudonyms: HMAC-SHA256 with the project's key, computed for whole columns, and where that key comes from.

The key is only ever a parameter of a query: never in SQL text, never in a message. What is pseudonymised, and how
values are cleaned before, is decided by the callers.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from pathlib import Path

import duckdb
import pyarrow as pa

from klantspoor.errors import ConfigError, Problem
from klantspoor.intake.sandbox import literal
from klantspoor.project.model import Project
from klantspoor.project.sql import quote

SEPARATOR = "\x1f"
_BLOCK = 64
_SHORTEST_KEY = 16
_HMAC = "left(sha256($outer::BLOB || unhex(sha256($inner::BLOB || encode({message})))), {digits})"


def project_key(project: Project) -> bytes:
    """The project's secret, from the environment variable or file that `klantspoor.yaml` names.

    Raises:
        ConfigError: there is none, it is shorter than 16 bytes, or others may read its file.
    """
    source = project.file.pseudonym_key
    if source.env is not None:
        where, key = "pseudonym_key.env", os.environ.get(source.env, "").encode()
        said = f"the environment variable {source.env}"
    elif source.file is not None:
        where, said = "pseudonym_key.file", f"the file {source.file}"
        key = _key_file(Path(project.root) / source.file, said)
    else:
        raise _key_problem("pseudonym_key", "neither env nor file is given", "name one of the two")
    if len(key) < _SHORTEST_KEY:
        found = f"{said} holds {len(key)} bytes" if key else f"{said} is not there or empty"
        raise _key_problem(where, found, f"put a random text of at least {_SHORTEST_KEY} characters there, and keep it")
    return key


def _key_file(path: Path, said: str) -> bytes:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise _key_problem("pseudonym_key.file", f"{said} may be read by others", f"run: chmod 600 {path.name}")
        return path.read_bytes().strip()
    except OSError as error:
        raise _key_problem(
            "pseudonym_key.file", f"{said} cannot be read: {error.strerror}", "see its path and mode"
        ) from None


def _key_problem(where: str, message: str, hint: str) -> ConfigError:
    return ConfigError([Problem("klantspoor.yaml", where, message, expected="a secret for pseudonyms", hint=hint)])


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

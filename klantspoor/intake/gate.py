"""The gate: the project's SQL over raw rows, in a connection that holds nothing but these rows.

No key, no other table, no file and no clock is within its reach. What an expression gives is judged elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from klantspoor.errors import IntakeError
from klantspoor.intake.plan import Plan, Slot
from klantspoor.intake.sandbox import shared_connection
from klantspoor.project.sql import column_key, quote

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The gate's answer for a batch of n rows: per slot its values (n) and, where any did, which rows failed (n)."""

    values: dict[str, pa.Array]
    failed: dict[str, Mask]
    rows: int

    def fails(self, slot: Slot) -> Mask:
        """Which rows the slot's expression raised an error for."""
        return self.failed.get(slot.name, np.zeros(self.rows, np.bool_))


@lru_cache(maxsize=256)
def _bind(con: duckdb.DuckDBPyConnection, _schema: pa.Schema, queries: tuple[tuple[str, str, str | None], ...]) -> None:
    """Binds each (query, what it is, column) to the table `raw`, which has that schema; done once for files that are alike."""
    for query, what, column in queries:
        try:
            con.sql(query)
        except duckdb.Error as error:
            said = str(error).split("\n", maxsplit=1)[0][:300]
            raise IntakeError("expression_failed", f"{what}: {said}", column) from None


class Gate:
    """The SQL of one plan, ready to be put over batches of its file."""

    def __init__(self, plan: Plan, memory_mb: int) -> None:
        self._plan = plan
        self._con = shared_connection("gate", memory_mb)
        self._made = {column_key(name): text for name, text in plan.dialect.columns.items()}

    def prepare(self, empty: pa.Table) -> None:
        """Binds every expression to the file's columns and types, given as a table without rows.

        Raises:
            IntakeError: `expression_failed`, naming the first expression that does not fit, and what DuckDB says;
                `unreadable_file`: a column is of a type that DuckDB does not know.
        """
        try:
            self._con.register("raw", empty)
        except duckdb.NotImplementedException:
            advice = "it has a column of a type that cannot be read; have it written as text, number or time"
            raise IntakeError("unreadable_file", advice) from None
        queries: list[tuple[str, str, str | None]] = [
            (f"SELECT (\n{text}\n) AS __made_{number} FROM {self._padded()}", f"dialect column {name}", None)
            for number, (name, text) in enumerate(self._plan.dialect.columns.items())
        ]
        queries += [
            (f"SELECT {_typed(slot)} FROM {self._source()}", slot.expression.text, slot.column)
            for slot in self._plan.slots
        ]
        _bind(self._con, empty.schema, tuple(queries))

    def evaluate(self, table: pa.Table) -> Evaluated:
        """Computes every slot for every row of a batch.

        The quick way is tried first; only if some row raises an error is all computed again, with failures caught.

        Raises:
            IntakeError: `expression_failed`: an error that cannot be caught row by row.
        """
        self._con.register("raw", table)
        try:
            return self._read(self._con.sql(self._quick()).to_arrow_table(), table.num_rows)
        except (duckdb.OutOfMemoryException, duckdb.FatalException, duckdb.InternalException):
            raise  # the machine's trouble, not the file's
        except duckdb.Error:
            pass
        try:
            return self._read(self._con.sql(self._careful()).to_arrow_table(), table.num_rows)
        except (duckdb.OutOfMemoryException, duckdb.FatalException, duckdb.InternalException):
            raise
        except duckdb.Error as error:
            # What DuckDB says may hold a row's value, so only the kind of the error is told.
            raise IntakeError(
                "expression_failed", f"an expression fails ({type(error).__name__}) in a way no row explains"
            ) from None

    def _quick(self) -> str:
        slots = [f"{_typed(slot)} AS {slot.name}" for slot in self._plan.slots]
        return f"SELECT {', '.join(slots) or '1 AS nothing'} FROM {self._source()}"

    def _careful(self) -> str:
        """As `_quick`, but each value packed, so that a null can be told from a failure."""
        slots = [f"TRY(struct_pack(v := {_typed(slot)})) AS {slot.name}" for slot in self._plan.slots]
        outer = [f"{s.name}.v AS {s.name}, {self._failure(s)} AS {s.name}_failed" for s in self._plan.slots]
        flags = [f"__made_{number}_failed" for number in range(len(self._made))]
        made = [
            f"TRY(struct_pack(v := (\n{text}\n))) AS __made_{number}" for number, text in enumerate(self._made.values())
        ]
        columns = self._kept() + [
            f"__made_{number}.v AS {quote(name)}, __made_{number} IS NULL AS __made_{number}_failed"
            for number, name in enumerate(self._plan.dialect.columns)
        ]
        inner = f"(SELECT {', '.join(['*', *made])} FROM {self._padded()})"
        return (
            f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(slots + flags)}"
            f" FROM (SELECT {', '.join(columns) or '1 AS nothing'} FROM {inner}))"
        )

    def _failure(self, slot: Slot) -> str:
        keys = {column_key(c) for c in slot.expression.columns}
        causes = [f"__made_{number}_failed" for number, key in enumerate(self._made) if key in keys]
        return " OR ".join([f"{slot.name} IS NULL", *causes])

    def _padded(self) -> str:
        """The raw rows, with a null for each optional column that the file lacks."""
        absent = "".join(f", NULL::VARCHAR AS {quote(name)}" for name in self._plan.absent)
        return f"(SELECT *{absent} FROM raw)"

    def _kept(self) -> list[str]:
        names = (*self._plan.wanted, *self._plan.absent)
        return [quote(name) for name in names if column_key(name) not in self._made]

    def _source(self) -> str:
        """The rows as the mapping sees them: the raw columns that the dialect leaves, and those it makes."""
        if not self._made:
            return self._padded()
        made = [f"(\n{text}\n) AS {quote(name)}" for name, text in self._plan.dialect.columns.items()]
        return f"(SELECT {', '.join(self._kept() + made)} FROM {self._padded()})"

    def _read(self, answer: pa.Table, rows: int) -> Evaluated:
        if answer.num_rows != rows:
            raise IntakeError("expression_failed", "the expressions give another number of rows than there are")
        values: dict[str, pa.Array] = {}
        failed: dict[str, Mask] = {}
        for slot in self._plan.slots:
            values[slot.name] = _one(answer.column(slot.name))
            if f"{slot.name}_failed" in answer.column_names:
                mask = _one(answer.column(f"{slot.name}_failed")).to_numpy(zero_copy_only=False)
                if mask.any():
                    failed[slot.name] = mask
        return Evaluated(values, failed, rows)


def _typed(slot: Slot) -> str:
    if slot.kind == "typed":
        return slot.expression.sql
    return f"CAST({slot.expression.sql} AS {'BOOLEAN' if slot.kind == 'flag' else 'VARCHAR'})"


def _one(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole

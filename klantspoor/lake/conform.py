"""Making a batch exactly what the dictionary says a table is, or saying what is wrong with it.

Types and nulls only; values (sets, ranges, keys) are judged by `klantspoor.lake.checks`.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.dictionary import Table
from klantspoor.errors import LakeError, did_you_mean


def conform(table: Table, data: pa.Table) -> pa.Table:
    """`data` with the columns of the dictionary, in its order, with its types.

    A type is changed only where nothing is lost (int32 to int64, text to dictionary text).

    Raises:
        LakeError: for a missing or extra column, another type, a null where none is allowed, or a number that is not
            finite.
    """
    _same_columns(table, data.column_names)
    schema = table.schema
    columns = [_column(table.name, schema.field(name), data.column(name)) for name in table.names]
    return pa.Table.from_arrays(columns, schema=schema)


def _same_columns(table: Table, found: list[str]) -> None:
    missing = [name for name in table.names if name not in found]
    extra = [name for name in found if name not in table.names]
    twice = sorted({name for name in found if found.count(name) > 1})
    if not (missing or extra or twice):
        return
    parts = []
    if missing:
        parts.append(f"missing columns: {', '.join(missing)}")
    if extra:
        hint = did_you_mean(extra[0], list(table.names))
        parts.append(f"columns the dictionary does not know: {', '.join(extra)}" + (f" ({hint})" if hint else ""))
    if twice:
        parts.append(f"columns given twice: {', '.join(twice)}")
    raise LakeError(f"table {table.name}: {'; '.join(parts)}")


def _column(table: str, field: pa.Field, column: pa.ChunkedArray) -> pa.ChunkedArray:
    where = f"table {table}, column {field.name}"
    if pa.types.is_dictionary(column.type) and any(chunk.dictionary.null_count for chunk in column.chunks):
        column = column.cast(column.type.value_type)  # a null among the dictionary's values is not seen by null_count
    if not field.nullable and column.null_count:
        raise LakeError(
            f"{where}: {column.null_count} of {len(column)} rows are null; the dictionary allows no null there"
        )
    try:
        column = _as_type(column, field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError):
        # The error of Arrow quotes a value: only the types are told.
        raise LakeError(f"{where}: {column.type} does not fit into {field.type} without loss") from None
    if pa.types.is_floating(field.type):
        finite = pc.sum(pc.is_finite(column)).as_py() or 0
        if finite + column.null_count != len(column):
            odd = len(column) - column.null_count - finite
            raise LakeError(
                f"{where}: {odd} of {len(column)} rows are not a finite number; write a null where nothing is known"
            )
    return column


def _as_type(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    found = column.type
    if found.equals(wanted):
        return column
    if pa.types.is_dictionary(wanted):
        return pa.chunked_array([_as_code(chunk, wanted) for chunk in column.chunks], type=wanted)
    if _family(found) not in ("null", _family(wanted)):
        raise TypeError
    return column.cast(wanted)


def _as_code(chunk: pa.Array, wanted: pa.DictionaryType) -> pa.Array:
    if pa.types.is_dictionary(chunk.type):
        if _family(chunk.type) != "text":
            raise TypeError
        return pa.DictionaryArray.from_arrays(
            chunk.indices.cast(wanted.index_type), chunk.dictionary.cast(wanted.value_type)
        )
    if _family(chunk.type) not in ("null", "text"):
        raise TypeError
    return chunk.cast(wanted.value_type).dictionary_encode().cast(wanted)


def _family(type_: pa.DataType) -> str:
    """Types between which a cast keeps the meaning; whether it keeps the value, Arrow's safe cast tells."""
    if pa.types.is_dictionary(type_):
        return _family(type_.value_type)
    if pa.types.is_timestamp(type_):
        return "instant" if type_.tz else "local time"  # a time without zone is no instant
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "number"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return "text"
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"list of {_family(type_.value_type)}"
    return str(type_)

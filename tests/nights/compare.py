"""Whether two folders of tables hold the same rows, and if not, where the first difference is. Holds no test."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.dictionary import TABLES, Table

DIARY_TABLES = ("runs", "restatements", "person_aliases")
DIARY_COLUMNS = {"identity_audit": ("decided_at",), "events": ("known_person_id",)}
"""What tells of nights, so that no rebuild can know it: the same list as in docs/identity.md."""
_SHOWN = 3


def compared() -> list[str]:
    return [name for name in TABLES if name not in DIARY_TABLES]


def read(folder: Path, table: Table) -> pa.Table:
    """Whatever a bare glob on the folder finds, without what is of nights."""
    left_out = DIARY_COLUMNS.get(table.name, ())
    parts = []
    for path in sorted(folder.rglob("*.parquet")):
        parts.append(pq.ParquetFile(path).read().drop_columns(list(left_out)))
    return pa.concat_tables([_plain(part) for part in parts]).replace_schema_metadata(None)


def in_order(table: Table, rows: pa.Table) -> pa.Table:
    """By key, then by all that can be sorted by: rows of one key twice are compared too."""
    sortable = [field.name for field in rows.schema if not pa.types.is_nested(field.type)]
    by = [name for name in dict.fromkeys((*table.key, *sortable)) if name in sortable]
    return rows.sort_by([(name, "ascending") for name in by])


def _plain(part: pa.Table) -> pa.Table:
    """Without dictionaries and descriptions, which differ from file to file."""
    columns = [column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column for column in part.columns]
    return pa.table(dict(zip(part.column_names, columns, strict=True)))


def difference(nights: Path, whole: Path, names: list[str]) -> str | None:
    """What the tables after some nights (`nights`) say otherwise than those built as a whole; None where they agree."""
    tables = ((name, read(nights / name, TABLES[name]), read(whole / name, TABLES[name])) for name in names)
    return "\n".join(filter(None, (difference_of(*one) for one in tables))) or None


def difference_of(name: str, nights: pa.Table, whole: pa.Table) -> str | None:
    """The same of one table, in whatever order the rows of either are."""
    table = TABLES[name]
    one, other = in_order(table, nights), in_order(table, whole)
    return None if one.equals(other) else _told(table, one, other)


def _told(table: Table, one: pa.Table, other: pa.Table) -> str:
    if one.schema != other.schema:
        return f"{table.name}: columns\n  nights {one.schema.names}\n  whole  {other.schema.names}"
    lines = [f"{table.name}: {len(one)} rows after nights, {len(other)} as a whole"]
    key_names = [name for name in table.key if name in one.column_names]
    kept, made = _by_key(key_names, one), _by_key(key_names, other)
    differing = [key for key in sorted({*kept, *made}, key=repr) if kept.get(key) != made.get(key)]
    for key in differing[:_SHOWN]:
        named = ", ".join(f"{name}={value}" for name, value in zip(key_names, key, strict=True))
        lines.append(f"  {named}")
        lines += _columns(kept.get(key, []), made.get(key, []))
    if len(differing) > _SHOWN:
        lines.append(f"  and {len(differing) - _SHOWN} more keys")
    return "\n".join(lines)


def _by_key(names: list[str], rows: pa.Table) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def _columns(kept: list[dict[str, Any]], made: list[dict[str, Any]]) -> list[str]:
    if len(kept) == 1 == len(made):
        return [
            f"    {name}: {_shown(value)} after nights, {_shown(made[0][name])} as a whole"
            for name, value in kept[0].items()
            if value != made[0][name]
        ]
    if len(kept) > 1 or len(made) > 1:
        return [f"    {len(kept)} times after nights, {len(made)} times as a whole", *_where(kept), *_where(made)]
    told = "only after nights" if kept else "only as a whole"
    [row] = kept or made
    return [f"    {told}: {', '.join(f'{name}={_shown(value)}' for name, value in row.items() if value is not None)}"]


def _shown(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def _where(rows: list[dict[str, Any]]) -> list[str]:
    return [f"    {count} of {row}" for row, count in Counter(map(repr, rows)).items()]

"""docs/tables.md from the dictionary: `python -m klantspoor.dictionary.docs docs/tables.md` (or `make docs`)."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa

from klantspoor.dictionary.columns import Column
from klantspoor.dictionary.tables import LAYERS, TABLES, Table

_LAYER_TEXT = {
    "core": "What came in, who is who, and what became of every row.",
    "journeys": "What each customer went through.",
    "marts": "Figures over many journeys. Mystery guests are in none of them (R21), and figures about fewer people than the "
    "project's `limits.suppress_below` are left out.",
}
_HEAD = """# The published tables

Made from the dictionary in code (`klantspoor/dictionary/`) by `make docs`; do not edit.

All instants are UTC. A table lies at `lake/versions/VERSION/TABLE/` as Parquet, in one file or several (`TABLE/**/*.parquet` are
all of them); `lake/klantspoor.duckdb` has a view of each, with these texts as comments.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [_HEAD]
    for layer in LAYERS:
        parts.append(f"## {layer}\n\n{_LAYER_TEXT[layer]}\n")
        parts += [_table(table) for table in TABLES.values() if table.layer == layer]
    return "\n".join(parts)


def _table(table: Table) -> str:
    lines = [
        f"### {table.name}",
        "",
        f"One row is {table.grain}. Key: {', '.join(f'`{name}`' for name in table.key)}. "
        f"Made from {', '.join(table.made_from)}."
        + (f" Filed by the month of {table.partition}." if table.partition else ""),
        "",
        "| column | type | meaning | null means |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{column.name}` | {_type(column.type)} | {_meaning(column)} | {table.nulls.get(column.name, '')} |"
        for column in table.columns
    ]
    return "\n".join(lines) + "\n"


def _type(type_: pa.DataType) -> str:
    return "string" if pa.types.is_dictionary(type_) else str(type_)


def _meaning(column: Column) -> str:
    unit = f" ({column.unit})" if column.unit else ""
    values = f": {', '.join(column.values)}" if column.values else ""
    return f"{column.description}{unit}{values}".replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")

"""What a rule and a verdict are, and the rules that follow from the dictionary alone.

Rules are data: `klantspoor.lake.checks` judges them by queries, the application's `expectations/` by Great
Expectations. Rules about the domain are in `klantspoor.lake.domain_rules`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from klantspoor.dictionary import Table
from klantspoor.lake.connection import literal, quoted

Kind = Literal["not_null", "unique", "in_set", "between", "rows"]
Severity = Literal["critical", "warning"]
MOST_KEYS = 20
"""Failing keys that a verdict names; `failed` counts them all."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that must hold for a table.

    `columns` are the columns it looks at, `keys` those that name a failing row. A rule of kind "rows" has `sql`: a
    query with the columns of `keys` and a boolean `holds`, one row a thing judged; it may read the tables in `needs`.
    """

    name: str
    table: str
    kind: Kind
    description: str
    keys: tuple[str, ...]
    severity: Severity = "critical"
    columns: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    sql: str = ""
    needs: tuple[str, ...] = ()

    @property
    def is_domain(self) -> bool:
        """Whether it is about the domain rather than the dictionary's word on the table."""
        return self.kind == "rows" and self.name != "columns"


Key = dict[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one rule: `checked` things looked at, `failed` of them wrong, and the first keys of those, sorted.

    `detail` says why it could not be judged (a column is missing); it has then not passed.
    """

    rule: Rule
    checked: int
    failed: int
    failing_keys: tuple[Key, ...] = ()
    detail: str | None = None

    @property
    def passed(self) -> bool:
        """Whether everything holds, and all could be judged."""
        return self.failed == 0 and self.detail is None

    def __str__(self) -> str:
        if self.detail is not None:
            return f"{self.rule.table}.{self.rule.name}: {self.detail}"
        what = f"not so for {self.failed:,} of {self.checked:,}" if self.failed else "so it is"
        return f"{self.rule.description}: {what} [{self.rule.table}.{self.rule.name}]"


def table_rules(table: Table) -> list[Rule]:
    """The dictionary's word on one table as rules: columns and types, nulls, key, sets, ranges. All are critical."""
    rules = [_columns_rule(table)]
    for name in table.names:
        if name not in table.nulls:
            text = f"{name} is never null"
            rules.append(Rule(f"not_null:{name}", table.name, "not_null", text, table.key, columns=(name,)))
    key = ", ".join(table.key)
    rules.append(Rule("unique", table.name, "unique", f"{key} is unique", table.key, columns=table.key))
    for column in table.columns:
        if column.values is not None:
            text = f"{column.name} is one of {', '.join(column.values)}"
            rules.append(
                Rule(
                    f"in_set:{column.name}",
                    table.name,
                    "in_set",
                    text,
                    table.key,
                    columns=(column.name,),
                    values=column.values,
                )
            )
        if column.minimum is not None or column.maximum is not None:
            low = "" if column.minimum is None else f" at least {column.minimum:g}"
            high = "" if column.maximum is None else f" at most {column.maximum:g}"
            rules.append(
                Rule(
                    f"between:{column.name}",
                    table.name,
                    "between",
                    f"{column.name} is{low}{high}",
                    table.key,
                    columns=(column.name,),
                    minimum=column.minimum,
                    maximum=column.maximum,
                )
            )
    return rules


def _columns_rule(table: Table) -> Rule:
    expected = ", ".join(f"({literal(c.name)}, {literal(duckdb_type(c.type))})" for c in table.columns)
    sql = f"""
        SELECT coalesce(f.column_name, e.name) AS "column", coalesce(f.column_type = e.type, false) AS holds
        FROM (DESCRIBE {quoted(table.name)}) AS f
        FULL JOIN (VALUES {expected}) AS e(name, type) ON f.column_name = e.name"""
    return Rule(
        "columns", table.name, "rows", "the columns and types are those of the dictionary", ("column",), sql=sql
    )


def duckdb_type(type_: pa.DataType) -> str:
    """How DuckDB calls the type of a column that was written with this Arrow type."""
    if pa.types.is_dictionary(type_):
        return duckdb_type(type_.value_type)
    if pa.types.is_list(type_):
        return duckdb_type(type_.value_type) + "[]"
    names = {
        pa.string(): "VARCHAR",
        pa.int64(): "BIGINT",
        pa.float64(): "DOUBLE",
        pa.bool_(): "BOOLEAN",
        pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
    }
    return names[type_]

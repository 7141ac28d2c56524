"""Judging rules by queries: one pass over a table for everything about single columns, then a query per remaining rule.

What the rules are is in `klantspoor.lake.rules` and `klantspoor.lake.domain_rules`.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from klantspoor.dictionary import Table
from klantspoor.errors import LakeError
from klantspoor.lake.connection import literal, quoted, view_columns
from klantspoor.lake.rules import MOST_KEYS, Key, Rule, Verdict, table_rules
from klantspoor.lake.staging import Staging

__all__ = ["Rule", "Verdict", "run_queries", "table_rules"]


ONCE = ("events", "journeys")
"""Tables whose key is looked for in all their rows; those of others follow from them."""


def run_queries(staging: Staging, table: Table, rules: Sequence[Rule]) -> list[Verdict]:
    """Judge the rules of one staged table; the verdicts are in the order of the rules.

    Raises:
        LakeError: where this run has not staged the table, or one that a rule needs.
    """
    require(staging, table, rules)
    with staging.connect_to_judge(read_by(table, rules)) as connection:
        judged = judge_columns(connection, table, [rule for rule in rules if rule.kind != "rows"])
        judged |= {rule.name: judge_rows(connection, rule) for rule in rules if rule.kind == "rows"}
    return [judged[rule.name] for rule in rules]


def read_by(table: Table, rules: Sequence[Rule]) -> set[str]:
    """The tables that rules on `table` read."""
    return {table.name, *(name for rule in rules for name in rule.needs)}


def require(staging: Staging, table: Table, rules: Sequence[Rule]) -> None:
    """See that everything the rules read is staged.

    Raises:
        LakeError: naming the tables that this run has not made.
    """
    absent = sorted(name for name in read_by(table, rules) if rules and not staging.has(name))
    if absent:
        raise LakeError(f"table {table.name} cannot be checked: this run has not made {', '.join(absent)}")


def judge_columns(connection: duckdb.DuckDBPyConnection, table: Table, rules: Sequence[Rule]) -> dict[str, Verdict]:
    """Verdicts by rule name on everything but rules of kind "rows", in one pass over the view of the table."""
    present = view_columns(connection, table.name)
    verdicts = {}
    judged: list[tuple[Rule, str]] = []
    for rule in rules:
        detail = missing_column(rule, list(present))
        if detail is not None:
            verdicts[rule.name] = Verdict(rule, 0, 0, detail=detail)
        elif rule.kind == "unique":
            verdicts[rule.name] = _judge_unique(connection, rule)
        else:
            judged.append((rule, violation(rule, present[rule.columns[0]])))
    if judged:
        counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for _, condition in judged)
        total, *failed = _one(connection, f"SELECT count(*), {counts} FROM {quoted(table.name)}")
        for (rule, condition), number in zip(judged, failed, strict=True):
            keys = _keys(connection, rule, f"{quoted(table.name)} WHERE {condition}") if number else ()
            verdicts[rule.name] = Verdict(rule, total, number, keys)
    return verdicts


def missing_column(rule: Rule, present: Sequence[str]) -> str | None:
    """Why a rule about columns cannot be judged: the first column that is not there; None where all are."""
    absent = [name for name in (*rule.columns, *rule.keys) if name not in present]
    return f"column {absent[0]} is missing" if absent else None


def violation(rule: Rule, type_: str) -> str:
    """The SQL condition under which a row breaks the rule. A NaN counts as a null, which only `not_null` minds."""
    name = quoted(rule.columns[0])
    null = f"({name} IS NULL OR isnan({name}))" if type_ in ("DOUBLE", "FLOAT") else f"{name} IS NULL"
    if rule.kind == "not_null":
        return null
    if rule.kind == "in_set":
        return f"NOT {null} AND {name} NOT IN ({', '.join(map(literal, rule.values))})"
    bounds = []
    if rule.minimum is not None:
        bounds.append(f"{name} < {rule.minimum!r}")
    if rule.maximum is not None:
        bounds.append(f"{name} > {rule.maximum!r}")
    return f"NOT {null} AND ({' OR '.join(bounds)})"


def _judge_unique(connection: duckdb.DuckDBPyConnection, rule: Rule) -> Verdict:
    columns = ", ".join(map(quoted, rule.columns))
    # What is settled was judged when it was written; that nothing of it was written again, all of the table shows.
    table = quoted(f"whole_{rule.table}" if rule.table in ONCE else rule.table)
    # A hash is cheaper to count than the texts; only where two are equal is it looked at exactly.
    # A null in a key of several has a meaning ("all months together") and is compared like a value; in a key of one it
    # is the matter of `not_null`.
    known = f"{columns} IS NOT NULL" if len(rule.columns) == 1 else "true"
    counts = f"count(*), count(*) FILTER (WHERE {known}), count(DISTINCT hash({columns})) FILTER (WHERE {known})"
    total, judged, distinct = _one(connection, f"SELECT {counts} FROM {table}")
    if judged == distinct:
        return Verdict(rule, total, 0)
    repeated = f"(SELECT {columns}, count(*) AS times FROM {table} WHERE {known} GROUP BY ALL HAVING count(*) > 1)"
    (failed,) = _one(connection, f"SELECT coalesce(sum(times), 0)::BIGINT FROM {repeated}")
    return Verdict(rule, total, failed, _keys(connection, rule, repeated) if failed else ())


def rows_query(rule: Rule) -> str:
    """The rule's own query with `holds` never null: what cannot be decided does not hold."""
    keys = ", ".join(map(quoted, rule.keys))
    return f"SELECT {keys}, coalesce(holds, false) AS holds FROM ({rule.sql})"


def judge_rows(connection: duckdb.DuckDBPyConnection, rule: Rule) -> Verdict:
    """The verdict on a rule of kind "rows"."""
    query = rows_query(rule)
    try:
        total, failed = _one(connection, f"SELECT count(*), count(*) FILTER (WHERE NOT holds) FROM ({query})")
        keys = _keys(connection, rule, f"({query}) WHERE NOT holds") if failed else ()
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        return Verdict(rule, 0, 0, detail=unjudged(error))
    return Verdict(rule, total, failed, keys)


def unjudged(error: duckdb.Error) -> str:
    """Why a query could not run, in its first line: a column of another type or name."""
    return f"cannot be judged: {str(error).splitlines()[0]}"


def _keys(connection: duckdb.DuckDBPyConnection, rule: Rule, rows: str) -> tuple[Key, ...]:
    keys = ", ".join(map(quoted, rule.keys))
    order = ", ".join(f"{quoted(key)} NULLS FIRST" for key in rule.keys)
    found = connection.execute(f"SELECT DISTINCT {keys} FROM {rows} ORDER BY {order} LIMIT {MOST_KEYS}").fetchall()
    return tuple(dict(zip(rule.keys, map(_plain, row), strict=True)) for row in found)


def _plain(value: object) -> str | int | None:
    return value if value is None or isinstance(value, int) else str(value)


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row = connection.execute(query).fetchone()
    return tuple(int(value) for value in row) if row is not None else ()

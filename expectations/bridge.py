"""The bridge: judging a staged table by its rules, with Great Expectations where the table is small enough for it.

Above `limit` rows the same rules run as queries; both give the library's verdicts. Great Expectations is imported
inside the functions, for it takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd

from expectations.suites import suite
from klantspoor.dictionary import Table
from klantspoor.lake import Staging
from klantspoor.lake.checks import judge_rows, missing_column, read_by, require, rows_query, run_queries, unjudged
from klantspoor.lake.connection import quoted, view_columns
from klantspoor.lake.rules import MOST_KEYS, Key, Rule, Verdict

if TYPE_CHECKING:
    from great_expectations.core.batch_definition import BatchDefinition


def judge(staging: Staging, table: Table, rules: Sequence[Rule], limit: int) -> list[Verdict]:
    """Judge the rules of one staged table, with Great Expectations up to `limit` rows, by queries above it.

    The verdicts are in the order of the rules.

    Raises:
        LakeError: where this run has not staged the table, or one that a rule needs.
    """
    require(staging, table, rules)
    if staging.rows(table.name) > limit:
        return run_queries(staging, table, rules)
    return run_expectations(staging, table, rules, limit)


def run_expectations(staging: Staging, table: Table, rules: Sequence[Rule], limit: int) -> list[Verdict]:
    """Judge with Great Expectations; a rule whose query reads a table of more than `limit` rows runs as a query."""
    batches = _batches()
    with staging.connect_to_judge(read_by(table, rules)) as connection:
        verdicts = _judge_columns(connection, batches, table, [rule for rule in rules if rule.kind != "rows"])
        for rule in rules:
            if rule.kind == "rows":
                is_large = any(staging.rows(name) > limit for name in rule.needs)
                verdicts[rule.name] = (
                    judge_rows(connection, rule) if is_large else _judge_rows(connection, batches, rule)
                )
    return [verdicts[rule.name] for rule in rules]


def _judge_columns(
    connection: duckdb.DuckDBPyConnection, batches: BatchDefinition, table: Table, rules: Sequence[Rule]
) -> dict[str, Verdict]:
    present = list(view_columns(connection, table.name))
    details = {rule.name: missing_column(rule, present) for rule in rules}
    judged = [rule for rule in rules if details[rule.name] is None]
    verdicts = {rule.name: Verdict(rule, 0, 0, detail=details[rule.name]) for rule in rules}
    if judged:
        # Only the columns that some rule names: the frame is what costs memory.
        columns = dict.fromkeys(name for rule in judged for name in (*rule.keys, *rule.columns))
        named = ", ".join(map(quoted, columns))
        frame = connection.sql(f"SELECT {named} FROM {quoted(table.name)}").to_arrow_table().to_pandas()
        verdicts |= _validate(batches, table.name, judged, frame)
    return verdicts


def _judge_rows(connection: duckdb.DuckDBPyConnection, batches: BatchDefinition, rule: Rule) -> Verdict:
    try:
        frame = connection.sql(rows_query(rule)).to_arrow_table().to_pandas()
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        return Verdict(rule, 0, 0, detail=unjudged(error))
    return _validate(batches, f"{rule.table}.{rule.name}", [rule], frame)[rule.name]


@cache
def _batches() -> BatchDefinition:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("staging").add_dataframe_asset("table")
    return asset.add_batch_definition_whole_dataframe("whole")


def _validate(batches: BatchDefinition, name: str, rules: Sequence[Rule], frame: pd.DataFrame) -> dict[str, Verdict]:
    import great_expectations as gx

    by_name = {rule.name: rule for rule in rules}
    batch = batches.get_batch(batch_parameters={"dataframe": frame})
    # Row numbers instead of index columns: naming the keys of the few that fail is far cheaper afterwards.
    result = batch.validate(gx.ExpectationSuite(**suite(name, rules)), result_format={"result_format": "COMPLETE"})
    verdicts = {}
    for outcome in result.results:
        told = outcome.to_json_dict()  # raw results hold NumPy numbers
        rule = by_name[told["expectation_config"]["meta"]["rule"]]
        verdicts[rule.name] = _verdict(rule, told, frame)
    return verdicts


def _verdict(rule: Rule, told: dict[str, Any], frame: pd.DataFrame) -> Verdict:
    result = told["result"]
    if "element_count" not in result:
        return Verdict(rule, 0, 0, detail=f"cannot be judged: {told['exception_info']!s:.300}")
    failed = int(result["unexpected_count"])
    if failed == 0 and not told["success"]:
        return Verdict(rule, int(result["element_count"]), 0, detail="Great Expectations fails it without saying why")
    rows = result.get("unexpected_index_list") or []
    return Verdict(rule, int(result["element_count"]), failed, _keys(frame.loc[rows, list(rule.keys)]))


def _keys(failing: pd.DataFrame) -> tuple[Key, ...]:
    """The first keys, sorted, each once: as the queries give them."""
    distinct = failing.drop_duplicates().sort_values(list(failing.columns), na_position="first").head(MOST_KEYS)
    return tuple({str(name): _plain(value) for name, value in row.items()} for row in distinct.to_dict("records"))


def _plain(value: Any) -> str | int | None:
    if pd.isna(value):
        return None
    return int(value) if isinstance(value, int | float) else str(value)

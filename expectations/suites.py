"""Suites: each rule of the library as one Great Expectations configuration.

Configurations are plain data (`type`, `kwargs`, `severity`, `meta`), so nothing here imports Great Expectations;
running them is the bridge's work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from klantspoor.lake.rules import Rule

Config = dict[str, Any]


def suite(name: str, rules: Sequence[Rule]) -> Config:
    """A suite as Great Expectations would read it from JSON; the rule's name is in each expectation's `meta`."""
    return {"name": name, "expectations": [expectation(rule) for rule in rules]}


def expectation(rule: Rule) -> Config:
    """One rule as one expectation; a rule of kind "rows" is judged on the frame that its query gives."""
    kind, kwargs = _KINDS[rule.kind](rule)
    return {
        "type": kind,
        "kwargs": kwargs,
        "severity": rule.severity,
        "description": rule.description,
        "meta": {"rule": rule.name},
    }


def _not_null(rule: Rule) -> tuple[str, Config]:
    return "expect_column_values_to_not_be_null", {"column": rule.columns[0]}


def _unique(rule: Rule) -> tuple[str, Config]:
    if len(rule.columns) == 1:
        return "expect_column_values_to_be_unique", {"column": rule.columns[0]}
    # "never": a null in a key has a meaning ("all months together") and is compared like a value.
    return "expect_compound_columns_to_be_unique", {"column_list": list(rule.columns), "ignore_row_if": "never"}


def _in_set(rule: Rule) -> tuple[str, Config]:
    return "expect_column_values_to_be_in_set", {"column": rule.columns[0], "value_set": list(rule.values)}


def _between(rule: Rule) -> tuple[str, Config]:
    bounds = {"min_value": rule.minimum, "max_value": rule.maximum}
    given = {name: value for name, value in bounds.items() if value is not None}
    return "expect_column_values_to_be_between", {"column": rule.columns[0], **given}


def _rows(_: Rule) -> tuple[str, Config]:
    return "expect_column_values_to_be_in_set", {"column": "holds", "value_set": [True]}


_KINDS = {"not_null": _not_null, "unique": _unique, "in_set": _in_set, "between": _between, "rows": _rows}

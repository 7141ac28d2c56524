"""Comparing a published table with one made by hand, row by row, exactly. Holds no test."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def same_rows(published: pd.DataFrame, by_hand: pd.DataFrame, columns: Sequence[str]) -> None:
    """Both hold the same rows, each equally often, in whatever order: ids are pseudonyms, so values alone can agree."""
    assert len(published) > 0, "nothing to compare"
    left, right = _in_order(published, columns), _in_order(by_hand, columns)
    assert len(left) == len(right)
    pd.testing.assert_frame_equal(left, right, check_exact=True, check_column_type=False)


def _in_order(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    plain = pd.DataFrame({name: _plain(table[name]) for name in columns})
    return plain.sort_values(list(columns), kind="stable").reset_index(drop=True)


def _plain(values: pd.Series) -> pd.Series:
    """Instants as whole microseconds, numbers as floats, texts as text; what is missing is never equal to a value."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        micros = values.dt.as_unit("us").astype("int64").astype("float64")
        return micros.where(values.notna(), -1.0)
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
        return values.astype("float64").fillna(-1.0)
    return values.astype(object).where(values.notna(), "(none)").astype(str).astype(object)

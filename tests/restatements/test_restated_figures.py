"""Every number of the two marts is told, or left out for a reason that is written down."""

from __future__ import annotations

import pyarrow as pa
import pytest

from klantspoor.dictionary import TABLES
from klantspoor.restatements.figures import CAUSES, MARTS, Mart, unit

NOT_TOLD = {"phase_number", "open_waits", "open_wait_total_hours"}


@pytest.mark.parametrize("mart", MARTS, ids=lambda mart: mart.name)
def test_every_number_is_told(mart: Mart) -> None:
    table = TABLES[mart.name]
    numbers = {c.name for c in table.columns if pa.types.is_integer(c.type) or pa.types.is_floating(c.type)}
    assert numbers - NOT_TOLD == {*mart.sums, *mart.others}
    assert set(mart.cell) == set(table.key)
    assert not [name for name in mart.others if "median" not in name and "p90" not in name and "share" not in name]


def test_sums_of_hours_are_told_in_seconds() -> None:
    told = TABLES["restatements"].column("unit").values
    assert told == ("count", "seconds", "hours", "share")
    assert {unit(mart, name) for mart in MARTS for name in mart.sums} == {"count", "seconds"}
    assert {unit(mart, name) for mart in MARTS for name in mart.others} == {"hours", "share"}


def test_every_cause_is_a_column() -> None:
    assert set(CAUSES) <= set(TABLES["restatements"].names)

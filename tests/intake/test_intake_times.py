"""Times: formats, offsets, epochs, typed columns; the nights the clocks change, against Python's own zoneinfo."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_world import World, take_csv

from klantspoor.intake.sandbox import locked_connection
from klantspoor.intake.times import TimeReader, Verdict
from klantspoor.intake.zones import to_micros, zone
from klantspoor.project.model import SourceFile

ZONES = ["Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata", "UTC"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def reader(timezone: str = "Europe/Amsterdam", **rules: Any) -> TimeReader:
    values = {
        "source": "s", "title": "s", "files": ["*"], "reader": {"format": "csv"}, "timezone": timezone, "time": rules,
    }  # fmt: skip
    return TimeReader(locked_connection(), SourceFile.model_validate(values), datetime(2024, 12, 1, tzinfo=UTC))


def read(values: list[Any] | pa.Array, **keys: Any) -> list[str]:
    array = values if isinstance(values, pa.Array) else pa.array(values, pa.string())
    times = reader(**keys).read(array)
    return [
        (EPOCH + timedelta(microseconds=int(at))).strftime("%Y-%m-%dT%H:%M:%S.%f").removesuffix(".000000")
        if verdict == Verdict.FINE
        else Verdict(verdict).name.lower()
        for at, verdict in zip(times.at, times.verdict, strict=True)
    ]


def test_formats_are_tried_in_order() -> None:
    formats = ["%d/%m/%Y %H:%M", "%d/%m/%Y"]
    assert read(["29/2/2016 01:16", " 1/2/2020 ", "2020-01-01", "", None], formats=formats) == [
        "2016-02-29T00:16:00", "2020-01-31T23:00:00", "unparsable_time", "missing_time", "missing_time",
    ]  # fmt: skip


def test_offsets_in_the_text_win_over_the_zone() -> None:
    texts = ["2024-01-01T10:00:00Z", "2024-01-01T10:00:00+02:00", "2024-01-01T10:00:00-0530", "2024-01-01T10:00:00"]
    formats = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S"]
    assert read(texts, formats=formats) == [
        "2024-01-01T10:00:00", "2024-01-01T08:00:00", "2024-01-01T15:30:00", "2024-01-01T09:00:00",
    ]  # fmt: skip
    assert read(texts[:1], formats=["%Y-%m-%dT%H:%M:%SZ"]) == ["2024-01-01T10:00:00"]


@pytest.mark.parametrize(
    ("epoch", "text"), [("s", "1714557600.25"), ("ms", "1714557600250"), ("us", "1714557600250000")]
)
def test_epochs(epoch: str, text: str) -> None:
    assert read([text, "x", "1e300", "-1e300", "nan"], epoch=epoch) == [
        "2024-05-01T10:00:00.250000", "unparsable_time", "far_future", "implausibly_old", "unparsable_time",
    ]  # fmt: skip
    assert read(["2024-05-01 12:00:00"], epoch=epoch) == ["2024-05-01T10:00:00"]


def test_typed_columns() -> None:
    local = datetime(2024, 5, 1, 12)
    for unit in ("s", "ms", "us", "ns"):
        assert read(pa.array([local, None], pa.timestamp(unit))) == ["2024-05-01T10:00:00", "missing_time"]
    assert read(pa.array([local.replace(tzinfo=UTC)], pa.timestamp("ms", tz="Asia/Tokyo"))) == ["2024-05-01T12:00:00"]
    assert read(pa.array([date(2024, 5, 1)])) == ["2024-04-30T22:00:00"]
    assert read(pa.array([1714557600]), epoch="s") == ["2024-05-01T10:00:00"]
    assert read(pa.array([20240501]), formats=["%Y%m%d"]) == ["2024-04-30T22:00:00"]
    assert read(pa.nulls(2)) == ["missing_time"] * 2
    assert read(pa.array([2**63 - 1, -(2**63)], pa.timestamp("us"))) == ["far_future", "implausibly_old"]


def test_the_nights_the_clocks_change() -> None:
    spring, autumn = "2024-03-31 02:30:00", "2024-10-27 02:30:00"
    edges = ["2024-03-31 01:59:59", "2024-03-31 03:00:00", "2024-10-27 01:59:59", "2024-10-27 03:00:00"]
    assert read([spring, autumn, *edges]) == [
        "nonexistent_time", "2024-10-27T00:30:00",
        "2024-03-31T00:59:59", "2024-03-31T01:00:00", "2024-10-26T23:59:59", "2024-10-27T02:00:00",
    ]  # fmt: skip
    assert read([spring, autumn], nonexistent="shift", ambiguous="later") == [
        "2024-03-31T01:00:00",
        "2024-10-27T01:30:00",
    ]
    assert read([autumn], ambiguous="quarantine") == ["ambiguous_time"]


def test_what_a_rule_resolved_is_counted(world: World) -> None:
    rows = "".join(
        f"{n},{at},call,C\n"
        for n, at in enumerate(["2024-03-31 02:30:00", "2024-10-27 02:30:00", "2024-05-01 02:30:00"])
    )
    take_csv(
        world,
        "id,moment,activity,customer\n" + rows,
        timezone="Europe/Amsterdam",
        time={"nonexistent": "shift", "max_future": "300 days"},
    )
    assert world.ledger[0].record.times_resolved == 2
    assert len(world.events()) == 3


@given(
    st.sampled_from(ZONES),
    st.lists(st.datetimes(datetime(1995, 1, 1), datetime(2029, 12, 31)), min_size=1, max_size=20),
    st.integers(-3, 3),
)
def test_zones_agree_with_zoneinfo(name: str, moments: list[datetime], quarters: int) -> None:
    table = zone(name, 1994, 2030)
    # Also right at the changes, where mistakes live.
    near = [EPOCH.replace(tzinfo=None) + timedelta(microseconds=int(t)) for t in table.at + table.after]
    moments += [m + timedelta(minutes=15 * quarters) for m in near]
    meant = table.to_utc(np.array([to_micros(m.replace(tzinfo=UTC)) for m in moments], np.int64))
    info = ZoneInfo(name)
    for i, moment in enumerate(moments):
        first, second = (moment.replace(tzinfo=info, fold=fold).astimezone(UTC) for fold in (0, 1))
        exists = first.astimezone(info).replace(tzinfo=None) == moment
        assert meant.nonexistent[i] == (not exists)
        assert meant.ambiguous[i] == (exists and first != second)
        if exists:
            assert (meant.earlier[i], meant.later[i]) == (to_micros(first), to_micros(second))


def test_zones_agree_with_arrow_on_what_a_shift_is() -> None:
    name, start = "Europe/Amsterdam", to_micros(datetime(2024, 3, 30, tzinfo=UTC))
    local = np.arange(start, start + 3 * 86_400_000_000, 600_000_000, dtype=np.int64)
    arrow = pc.assume_timezone(pa.array(local).cast(pa.timestamp("us")), name, nonexistent="latest", ambiguous="latest")
    assert (zone(name, 2020, 2026).to_utc(local).later == arrow.cast(pa.int64()).to_numpy()).all()

"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from klantspoor.page import units


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (0, "0"),
        (0.001, "under a minute"),
        (0.2, "12 min"),
        (1, "1 hour"),
        (5.34, "5.3 hours"),
        (14.2, "14 hours"),
        (47.9, "48 hours"),
        (48, "2 days"),
        (80, "3.3 days"),
        (24 * 400, "400 days"),
    ],
)
def test_durations(value: float | None, said: str) -> None:
    assert units.hours(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0, "0 %"), (0.001, "under 1 %"), (0.426, "43 %"), (0.999, "over 99 %"), (1, "100 %")],
)
def test_shares(value: float | None, said: str) -> None:
    assert units.share(value) == said


def test_instants_are_told_in_the_zone_given() -> None:
    moment = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # half an hour after the clock went forward
    assert units.instant(moment, "Europe/Amsterdam") == "Sun 29 Mar 2026, 03:30"
    assert units.day(moment, "Europe/Amsterdam") == "29 March 2026"


def test_long_texts_are_cut_and_put_on_one_line() -> None:
    assert units.short("a\nb\t c") == "a b c"
    assert units.short("x" * 10_000, 20) == "x" * 19 + "…"
    assert len(units.short("word " * 5_000, 60)) <= 60
    assert units.short(" " * 9_999 + "x", 60) == "…"


def test_months_and_counts() -> None:
    assert units.month("2026-03") == "March 2026"
    assert units.month("soon") == "soon"
    assert units.count(1204) == "1\u2009204"
    assert units.plural(1, "journey") == "1 journey"

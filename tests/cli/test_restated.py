"""`restated`: why figures changed, in words, and nothing that data could make of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from klantspoor.cli.restated import CAUSES
from klantspoor.dictionary import TABLES
from klantspoor.restatements.figures import CAUSES as PARTS
from tests.cli.conftest import Run, Said
from tests.page.tiny_lake import publish

AS_OF = datetime(2026, 6, 4, 1, tzinfo=UTC)
NOTHING = dict.fromkeys(PARTS)
ZEROS = dict.fromkeys(PARTS, 0)


def figure(name: str, unit: str, before: float | None, after: float | None, **given: Any) -> dict[str, Any]:
    change = None if before is None or after is None else after - before
    row = {"run_id": "a", "as_of": AS_OF, "mart": "journey_map", "journey_type": "moving", "month": "2026-04"}
    row |= {"phase": "orientation", "figure": name, "unit": unit, "before": before, "after": after, "change": change}
    return row | NOTHING | given


def transition(name: str, unit: str, before: float | None, after: float | None, **given: Any) -> dict[str, Any]:
    place = {"mart": "bottlenecks", "phase": None, "level": "phase", "from_step": "orientation", "to_step": "use"}
    return figure(name, unit, before, after, **place | given)


ROWS = [
    figure("visits", "count", 120, 123, **ZEROS | {"late": 2, "new": 1}),
    figure("persons", "count", 110, 109, **ZEROS | {"identity": -1}),
    figure("touchpoints", "count", 200, 206),
    figure("dwell_median_hours", "hours", 5.5, 6.0),
    figure("dwell_p90_hours", "hours", 50.5, 60.0),
    figure("drop_off_share", "share", None, 0.25),
    figure("visits", "count", 6, None, persona="\x1b[2Jtenant"),
    transition("wait_total_hours", "seconds", 36_000, 43_200, **ZEROS | {"corrected": 7_200}),
    transition("waits", "count", 7, 8, level="touchpoint", from_step="\x1b[31mAsked", to_step="Answered"),
    figure("visits", "count", 130, 120, as_of=AS_OF - timedelta(days=1), run_id="b", **ZEROS | {"erased": -10}),
    figure("visits", "count", 11, 12, month="2026-03", **ZEROS | {"rule": 1}),
    figure("visits", "count", 21, 22, journey_type="outage", phase="out", **ZEROS | {"clock": 1}),
]


@pytest.fixture(scope="module")
def restated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = pa.Table.from_pylist(ROWS, schema=TABLES["restatements"].schema)
    return publish(tmp_path_factory.mktemp("restated") / "project", restatements=rows)


@pytest.fixture
def ask(bare: Run, restated: Path) -> Run:
    return lambda *arguments: bare("restated", *arguments, "--project", restated)


def line(said: Said, *words: str) -> str:
    (found,) = [" ".join(one.split()) for one in said.out.splitlines() if all(word in one for word in words)]
    return found


def test_it_tells_what_changed_and_why(ask: Run) -> None:
    said = ask("--journey-type", "moving", "--month", "2026-04")
    assert said.code == 0
    assert "April 2026 changed in the night of 4 June 2026" in said.words
    assert line(said, "visits", "123").endswith("visits 120 → 123 +3 +1 new, +2 late")
    assert line(said, "persons", "109").endswith("persons 110 → 109 −1 identity")
    assert line(said, "median stay").endswith("median stay 5.5 hours → 6 hours +30 min")
    assert line(said, "waiting in all").endswith("waiting in all 10 hours → 12 hours +2 hours corrected")
    assert "too few people to tell them apart" in said.words
    assert "– → 25 %" in said.words
    assert "late: new events of a time up to which their source was held to be complete" in said.words
    assert "clock:" not in said.words
    assert "Asked" not in said.out
    assert "tenant" not in said.out
    assert "--all" in said.complaint


def test_all_shows_every_figure_harmlessly(ask: Run) -> None:
    said = ask("--all")
    for word in ("Asked → Answered", "tenant: ", "dwell p90", "too few people to be told now"):
        assert word in said.words
    assert "\x1b" not in said.out
    assert said.complaint == ""


def test_it_is_about_one_month_one_journey_and_the_latest_nights(ask: Run) -> None:
    assert "11 → 12" in ask("--month", "2026-03").words
    assert "120 → 123" not in ask("--month", "2026-03").words
    assert "21 → 22" in ask("--journey-type", "outage").words
    assert "130 → 120" in ask().words
    assert "130 → 120" not in ask("--most", 1).words
    assert "erased: people who were forgotten" in ask().words
    assert ask("--month", "2025-01").words.startswith("Nothing: no night")


def test_mistakes_are_told(ask: Run) -> None:
    assert ask("--month", "March").complaint == "Error: 'March' is not a month: give year and month, such as 2026-03"
    said = ask("--journey-type", "movin")
    assert (said.code, "moving" in said.complaint) == (1, True)


def test_every_cause_has_its_words() -> None:
    assert set(CAUSES) == set(PARTS)

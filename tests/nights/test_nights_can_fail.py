"""The tests of nights can fail: what incremental nights might forget to do again is found, and told so that it can be read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pyarrow.parquet as pq
import pytest

from klantspoor import night as nights
from klantspoor.dictionary import TABLES
from klantspoor.lake import Lake, Staging, Version
from klantspoor.project.model import Project
from tests.nights import shrink
from tests.nights.compare import difference
from tests.nights.generate import seeded
from tests.nights.history import DAY, HOUR, History, Land, Night, Row
from tests.nights.shrink import lives, smallest, told
from tests.nights.world import ASIDE, DifferentError, World, hurried

OLD = "before.last_activity_at < (SELECT max(last_activity_at) FROM before) - INTERVAL 30 DAYS"
FORGETTING: dict[str, tuple[str, str]] = {
    "late events are dropped": (
        "events",
        "SELECT * FROM now WHERE event_id IN (SELECT event_id FROM before)"
        " OR occurred_at > (SELECT max(occurred_at) - INTERVAL 20 DAYS FROM before)",
    ),
    "corrections do not reach what was there": (
        "events",
        "SELECT now.* REPLACE (coalesce(before.activity, now.activity) AS activity,"
        " coalesce(before.occurred_at, now.occurred_at) AS occurred_at) FROM now LEFT JOIN before USING (event_id)",
    ),
    "whose an event is stays": (
        "events",
        "SELECT now.* REPLACE (CASE WHEN before.event_id IS NULL THEN now.person_id ELSE before.person_id END AS person_id)"
        " FROM now LEFT JOIN before USING (event_id)",
    ),
    "what was repeated is there twice": (
        "events",
        "SELECT * FROM now UNION ALL SELECT now.* FROM now JOIN before USING (event_id)"
        " WHERE now.received_at = before.received_at AND event_id = (SELECT min(event_id) FROM before)",
    ),
    "old journeys are never opened again": (
        "journeys",
        "SELECT * FROM now WHERE journey_id NOT IN (SELECT journey_id FROM before)"
        f" UNION ALL SELECT * FROM before WHERE {OLD}"
        f" UNION ALL SELECT now.* FROM now JOIN before USING (journey_id) WHERE NOT ({OLD})",
    ),
    "journeys that are gone stay": (
        "journeys",
        "SELECT * FROM now UNION ALL SELECT before.* FROM before ANTI JOIN now USING (journey_id)",
    ),
    "cycles are not counted again": (
        "journeys",
        "SELECT now.* REPLACE (coalesce(before.cycle, now.cycle) AS cycle) FROM now LEFT JOIN before USING (journey_id)",
    ),
    "nobody becomes impatient": (
        "journeys",
        "SELECT now.* REPLACE (coalesce(before.status, now.status) AS status) FROM now LEFT JOIN before USING (journey_id)",
    ),
    "a new persona reaches new journeys only": (
        "journeys",
        "SELECT now.* REPLACE (CASE WHEN before.journey_id IS NULL THEN now.persona ELSE before.persona END AS persona)"
        " FROM now LEFT JOIN before USING (journey_id)",
    ),
    "answers stay tied to what they were tied to": (
        "experiences",
        "SELECT now.* REPLACE (CASE WHEN before.event_id IS NULL THEN now.journey_id ELSE before.journey_id END AS journey_id)"
        " FROM now LEFT JOIN before USING (event_id)",
    ),
    "waits stop at the night before": (
        "waits",
        "SELECT now.* REPLACE (coalesce(before.ended_at, now.ended_at) AS ended_at) FROM now LEFT JOIN before"
        " USING (journey_id, touchpoint_number, stretch_number)",
    ),
    "phases stay as they were mapped": (
        "touchpoints",
        "SELECT now.* REPLACE (CASE WHEN before.journey_id IS NULL THEN now.phase ELSE before.phase END AS phase)"
        " FROM now LEFT JOIN before USING (journey_id, touchpoint_number)",
    ),
}
"""What nights that do less than everything may get wrong: a table, made of the version `before` and what is right `now`."""


class Forgetful(World):
    """After each night that agrees, tries every forgetting on its tables and notes which are found."""

    found: set[str]

    def compare(self) -> None:
        version = self.lake.current()
        assert version is not None
        self.earlier = getattr(self, "later", None)
        self.later = {table: _rows(version.root / table) for table, _ in FORGETTING.values()}
        if self.earlier is not None:
            for name, (table, query) in FORGETTING.items():
                if name not in self.found and self.is_found(table, query):
                    self.found.add(name)

    def is_found(self, table: str, query: str) -> bool:
        assert self.earlier is not None
        folder = self.root / "forgetful"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "wrong" / table).mkdir(parents=True)
        (folder / "right" / table).mkdir(parents=True)
        with duckdb.connect() as connection:
            connection.register("before", self.earlier[table])
            connection.register("now", self.later[table])
            wrong = connection.sql(query).to_arrow_table().cast(self.later[table].schema)
        pq.write_table(wrong, folder / "wrong" / table / "live.parquet")
        pq.write_table(self.later[table], folder / "right" / table / "live.parquet")
        return difference(folder / "wrong", folder / "right", [table]) is not None


def _rows(folder: Path) -> Any:
    return pq.read_table(sorted(folder.rglob("*.parquet")), schema=TABLES[folder.name].schema, partitioning=None)


def test_whatever_nights_might_forget_some_history_needs(tmp_path: Path) -> None:
    """Each forgetting would change a table in some history: they reach where nights can go wrong."""
    found: set[str] = set()
    with hurried():
        for seed in range(60):
            world = Forgetful(tmp_path / str(seed))
            world.root.mkdir()
            world.found = found
            world.live(seeded(seed))
            if found == {*FORGETTING}:
                break
    assert found == {*FORGETTING}


# --- a night that drops late rows ------------------------------------------------------------------------------------

CALL = Row("desk", DAY, "called", id="i1", customer="K1")
HISTORY: History = (
    Land((CALL, Row("web", 2 * DAY, "read", customer="K1"), Row("desk", DAY, "hello", id="i2", customer="K2"))),
    Night(3 * DAY),
    Land((Row("desk", 3 * DAY, "solved", id="i3", customer="K1"),)),
    Night(4 * DAY),
    Land((Row("desk", DAY + HOUR, "promised", id="i4", customer="K1"), Row("web", 4 * DAY, "read", customer="K2"))),
    Night(50 * DAY),
)


def without_late(build: Callable[..., None], project: Project, lake: Lake, staging: Staging) -> None:
    """Builds, and leaves out what came late, but where it builds as a whole."""
    build(project, lake, staging)
    before: Version | None = lake.current()
    if lake.root.name != ASIDE and before is not None:
        query = (
            "SELECT * FROM now WHERE event_id IN (SELECT event_id FROM before)"
            " OR coalesce(occurred_at > (SELECT max(occurred_at) FROM before), true)"
        )
        with staging.connect() as connection:
            connection.register("before", _rows(before.root / "events"))
            connection.sql("CREATE VIEW now AS SELECT * FROM events")
            kept = connection.sql(query).to_arrow_table()
        staging.write("events", kept)


@pytest.fixture
def dropping(monkeypatch: pytest.MonkeyPatch) -> None:
    build = nights.build
    monkeypatch.setattr(nights, "build", lambda project, lake, staging: without_late(build, project, lake, staging))


def test_nights_that_drop_late_rows_fail(dropping: None) -> None:
    with pytest.raises(DifferentError) as error:
        lives(HISTORY)
    message = str(error.value)
    assert message.startswith("after night 3 (version 000003):\nevents: 5 rows after nights, 6 as a whole\n  event_id=")
    assert "only as a whole: event_id='" in message
    assert "occurred_at=2024-01-02T01:00:00+00:00" in message
    assert "activity='promised'" in message


def told_to_drop(history: History) -> None:
    """Fails where nights that drop late rows do, and lives through nothing."""
    published = latest = -1
    landed: list[Row] = []
    for step in history:
        if isinstance(step, Land):
            landed += step.rows
        elif isinstance(step, Night):
            if published >= 0 and any(row.at <= latest for row in landed[published:]):
                raise DifferentError("events")
            published, latest = len(landed), max((row.at for row in landed), default=-1)


def test_a_history_that_fails_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DifferentError) as error:
        told_to_drop(HISTORY)
    monkeypatch.setattr(shrink, "lives", told_to_drop)
    history, why = smallest(HISTORY, error.value)
    assert [len(step.rows) if isinstance(step, Land) else "night" for step in history] == [1, "night", 1, "night"]
    assert "Row(source='desk', at=1 * DAY" in told(history, why)


def test_it_is_the_dropping_that_fails() -> None:
    with patch.object(nights, "build", nights.build):
        assert lives(HISTORY).nights == 3

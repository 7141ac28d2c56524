"""What the sources hold and whether they came, on hand-made cases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mart_world import AS_OF, project, stage, stage_kinds

from klantspoor.errors import NotFoundError
from klantspoor.marts import MARTS, build
from klantspoor.project.model import Project

HOUR = timedelta(hours=1)


def source(name: str, **expected: Any) -> dict[str, Any]:
    return {"source": name, "title": name, "files": ["*"], "reader": {"format": "parquet"}, "expected": expected}


def file_row(sequence: int, name: str, hours_ago: float, rows: int = 100, **more: Any) -> dict[str, Any]:
    counts = dict.fromkeys(
        ("used", "reference", "ignored", "duplicates", "superseded", "quarantined", "erased", "events_made"), 0
    )
    return {
        "sequence": sequence,
        "source": name,
        "file": f"{name}-{sequence}.csv",
        "content_hash": str(sequence),
        "landed_at": AS_OF - hours_ago * HOUR,
        "file_status": "used",
        "rows_read": rows,
        "times_resolved": 0,
        "anonymous_events": 0,
        **counts,
        **more,
    }


def event_row(number: int, name: str, hours_ago: float, late: float = 0, file: int = 1) -> dict[str, Any]:
    return {
        "event_id": f"{number:024x}",
        "source": name,
        "source_event_id": str(number),
        "occurred_at": AS_OF - hours_ago * HOUR,
        "received_at": AS_OF - hours_ago * HOUR + late * HOUR,
        "activity": "a",
        "visibility": "visible",
        "visibility_rule": "test",
        "file_sequence": file,
        "row_number": number,
    }


def freshness(
    root: Path, expected: dict[str, Any], files: list[dict[str, Any]], events: list[dict[str, Any]]
) -> dict[str, Any]:
    with stage(root, {"intake": files, "events": events}) as staging:
        build("freshness", project(root, sources={"crm": source("crm", **expected)}), staging)
        with staging.connect() as con:
            (row,) = con.sql("SELECT * FROM freshness").to_arrow_table().to_pylist()
    return dict(row)


NIGHTLY = {"every": "night"}


@pytest.mark.parametrize(
    ("expected", "hours_ago", "verdict"),
    [
        (NIGHTLY, 29, "fresh"),
        (NIGHTLY, 31, "stale"),
        ({"every": "week"}, 8 * 24 - 1, "fresh"),
        ({"every": "week"}, 8 * 24 + 1, "stale"),
        ({"every": "never"}, 9999, "fresh"),
    ],
)
def test_a_file_that_is_overdue_is_stale(
    tmp_path: Path, expected: dict[str, Any], hours_ago: float, verdict: str
) -> None:
    row = freshness(tmp_path, expected, [file_row(1, "crm", hours_ago)], [event_row(1, "crm", hours_ago)])
    assert row["freshness"] == verdict
    assert row["complete_up_to"] == AS_OF - hours_ago * HOUR
    period = {"night": 24, "week": 168}.get(expected["every"])
    assert row["expected_by"] == (AS_OF - hours_ago * HOUR + period * HOUR if period else None)
    assert (row["odd"] is not None) == (verdict == "stale")


def test_a_source_that_never_came_is_missing(tmp_path: Path) -> None:
    row = freshness(tmp_path, NIGHTLY, [], [])
    assert row["freshness"] == "missing"
    assert row["expected_by"] == AS_OF
    assert row["odd"] == "no file of it has ever come"
    assert {row[name] for name in ("complete_up_to", "last_file", "last_rows", "usual_rows", "late_share")} == {None}


def test_files_that_could_not_be_used_do_not_count_as_come(tmp_path: Path) -> None:
    broken = file_row(2, "crm", 1, rows=0, file_status="quarantined")
    row = freshness(tmp_path, NIGHTLY, [file_row(1, "crm", 50), broken], [])
    assert row["freshness"] == "stale"
    assert row["last_file"] == "crm-2.csv"
    assert "none could be used for 2 days" in row["odd"]
    assert "its newest file could not be used" in row["odd"]


@pytest.mark.parametrize(("rows", "verdict"), [(29, "small"), (30, "fresh")])
def test_a_file_much_smaller_than_usual_is_small(tmp_path: Path, rows: int, verdict: str) -> None:
    earlier = [file_row(n, "crm", 24 * (6 - n), rows=size) for n, size in enumerate((90, 100, 5000), start=1)]
    row = freshness(tmp_path, NIGHTLY, [*earlier, file_row(9, "crm", 1, rows=rows)], [])
    assert (row["freshness"], row["usual_rows"], row["last_rows"]) == (verdict, 100, rows)
    few = freshness(tmp_path / "few", NIGHTLY, [*earlier[:2], file_row(9, "crm", 1, rows=rows)], [])
    assert (few["freshness"], few["usual_rows"]) == ("fresh", None)


def test_what_else_is_odd_is_said(tmp_path: Path) -> None:
    # Of the second delivery, which is all that counts, one event of four comes after more than a day.
    events = [event_row(9, "crm", 400), *(event_row(n, "crm", 200, late=24 if n else 25, file=2) for n in range(4))]
    files = [file_row(1, "crm", 30), file_row(2, "crm", 1, quarantined=10)]
    row = freshness(tmp_path, NIGHTLY, files, events)
    assert row["freshness"] == "fresh"
    assert row["late_share"] == 0.25
    assert row["odd"] == (
        "25% of its events reached us more than a day late; it is complete only to 8 days before its newest file;"
        " 10% of the rows of its newest file were quarantined"
    )


def test_the_first_delivery_says_nothing_of_lateness(tmp_path: Path) -> None:
    row = freshness(tmp_path, NIGHTLY, [file_row(1, "crm", 1)], [event_row(n, "crm", 500, late=499) for n in range(4)])
    assert row["late_share"] is None
    assert row["complete_up_to"] == AS_OF - 500 * HOUR


def covered(root: Path, kinds: list[tuple[Any, ...]], journeys: dict[str, Any]) -> list[dict[str, Any]]:
    with stage(root, {}) as staging:
        stage_kinds(staging, kinds)
        build("coverage", _with_journeys(project(root), journeys), staging)
        with staging.connect() as con:
            return list(con.sql("SELECT * FROM coverage").to_arrow_table().to_pylist())


def _with_journeys(plain: Project, journeys: dict[str, Any]) -> Project:
    phases = {"phases": [{"id": "look", "says": "I look", "activities": ["Page*"]}], "cut": {}}
    files = {name: {"journey": name, "title": name} | phases | more for name, more in journeys.items()}
    return Project.model_validate(plain.model_dump() | {"journeys": files})


def test_coverage_tells_what_is_mapped_by_whom_and_what_is_not(tmp_path: Path) -> None:
    kinds = [
        ("web", "Page viewed", "web", "customer", None, None, None, 30),
        ("web", "Page viewed", "web", "customer", "sales", None, None, 10),
        ("web", "<b>odd</b>\n", None, None, None, None, None, 60),
        ("crm", "Forwarded", "crm", None, "sales", None, None, 5),
    ]
    rows = covered(tmp_path, kinds, {"buy": {}, "moving": {"internal": ["Forwarded"]}})
    found = {
        tuple(row[n] for n in ("source", "activity", "channel", "journey_type", "role", "phase")): row for row in rows
    }
    assert {key: (row["events"], row["share"]) for key, row in found.items()} == {
        ("web", "Page viewed", "web", "buy", "phase", "look"): (40, 0.4),
        ("web", "Page viewed", "web", "moving", "phase", "look"): (40, 0.4),
        ("web", "<b>odd</b>\n", None, None, "unmapped", None): (60, 0.6),
        ("crm", "Forwarded", "crm", "moving", "internal", None): (5, 1.0),
    }
    assert len(rows) == len(found)


def test_an_unknown_mart_is_named_with_the_nearest(tmp_path: Path) -> None:
    assert len(MARTS) == 6
    with stage(tmp_path, {}) as staging, pytest.raises(NotFoundError, match="Did you mean 'journey_map'"):
        build("journeymap", project(tmp_path), staging)

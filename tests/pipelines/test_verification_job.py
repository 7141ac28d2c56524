"""The job of the verification: apart from the night, once a week, off until it is switched on, failing on any difference."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klantspoor.errors import LakeError
from klantspoor.lake import Lake
from klantspoor.verify import Difference, Report
from pipelines.definitions import defs
from tests.pipelines.staged_night import make_project

MOMENT = datetime(2024, 6, 1, 3, tzinfo=UTC)
EQUAL = Report("000007", MOMENT, MOMENT, files=3, rows={"events": 10, "waits": 5}, seconds=1.25)
DIFFERENT = Report(
    "000007", MOMENT, MOMENT, files=3, rows={"events": 10, "variants": 5},
    differences=(
        Difference("events", 1, 0, keys_one=({"event_id": "secret"},)),
        Difference("variants", 1, 1, keys_one=({"variant_id": "V1"},)),
    ),
)  # fmt: skip
CHANGED = Report("000007", MOMENT, MOMENT, files=3, changed=("journeys/moving.yaml was changed",))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the job with a ready answer of the library."""
    project = make_project(tmp_path / "project")
    monkeypatch.setenv("KLANTSPOOR_PROJECT", str(project))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))

    def answered(answer: Report | Exception) -> dg.ExecuteInProcessResult:
        def verify(_: object, lake: Lake) -> Report:
            assert lake.root == project / "lake"
            assert not (lake.root / ".lock").exists(), "the lake is not held"
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr("klantspoor.verify.verify", verify)
        with dg.DagsterInstance.ephemeral() as instance:
            return defs.resolve_job_def("verification").execute_in_process(instance=instance, raise_on_error=False)

    return answered


def failure(result: dg.ExecuteInProcessResult) -> tuple[str, dict[str, Any]]:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data.user_failure_data
    return data.description, {name: value.value for name, value in data.metadata.items()}


def test_equal_tables_are_told(run: Any) -> None:
    result = run(EQUAL)
    assert result.success
    (event,) = result.get_asset_materialization_events()
    told = {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}
    assert told == {
        "version": "000007", "verdict": "equal", "tables": 2, "rows": 15, "seconds": 1.2, "differences": [],
    }  # fmt: skip


def test_a_difference_is_a_failure_that_names_no_person(run: Any) -> None:
    result = run(DIFFERENT)
    assert not result.success
    said, told = failure(result)
    assert "run `klantspoor verify`" in said
    assert told["verdict"] == "different"
    assert told["differences"] == [
        {"says": "events: 1 row only in the version, 0 only in the rebuild", "keys": []},
        {"says": "variants: 1 row only in the version, 1 only in the rebuild", "keys": [{"variant_id": "V1"}]},
    ]


def test_what_cannot_be_verified_is_a_failure_too(run: Any) -> None:
    said, _ = failure(run(CHANGED))
    assert "run a night, then verify. journeys/moving.yaml was changed" in said
    assert failure(run(LakeError("Nothing has been published yet.")))[0] == "Nothing has been published yet."


def test_it_is_no_part_of_a_night() -> None:
    night = {key.to_user_string() for key in defs.resolve_job_def("nightly").asset_layer.executable_asset_keys}
    weekly = {key.to_user_string() for key in defs.resolve_job_def("verification").asset_layer.executable_asset_keys}
    assert weekly == {"verification_report"}
    assert not night & weekly


def test_its_schedule_is_weekly_and_off() -> None:
    schedule = defs.resolve_schedule_def("verification_schedule")
    assert schedule.cron_schedule == "0 12 * * 0"
    assert schedule.job_name == "verification"
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED

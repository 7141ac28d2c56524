"""The job of the linkage: apart from the night, once a week, off until it is switched on, and skipped unless asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from klantspoor.errors import LinkageError
from klantspoor.identity.duplicates import DuplicatesFound
from klantspoor.linkage import LinkageReport
from klantspoor.project.model import Project
from pipelines.definitions import defs
from pipelines.nights import AS_OF_TAG
from tests.lake.small_world import AS_OF
from tests.pipelines.staged_night import FILES, make_project

REPORT = LinkageReport(
    records=10, fields=("last_name",), compared=45, links=3, held_back=1, prior=0.1, rules=(), levels=(), trained_on={},
    warnings=("few",),
)  # fmt: skip
WITH_LINKAGE = FILES["klantspoor.yaml"].rstrip(" ") + "        linkage: {threshold: 0.9}\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Any]]:
    """What the library was asked for; a ready answer stands in for it."""
    calls: list[Any] = []

    def find(project: Project, lake_root: Path, found_at: datetime) -> DuplicatesFound:
        calls.append(SimpleNamespace(project=project, lake_root=lake_root, found_at=found_at))
        if project.file.linkage is not None and project.file.linkage.threshold == 0.5:
            raise LinkageError("the vault holds 0 record(s)")
        return DuplicatesFound(lake_root / "ledger" / "linkage" / "000001.parquet", REPORT)

    monkeypatch.setattr("klantspoor.identity.duplicates.find_duplicates", find)
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "k" * 64)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    yield calls


def run(project: Path, monkeypatch: pytest.MonkeyPatch) -> dg.ExecuteInProcessResult:
    monkeypatch.setenv("KLANTSPOOR_PROJECT", str(project))
    with dg.DagsterInstance.ephemeral() as instance:
        return defs.resolve_job_def("linkage").execute_in_process(
            instance=instance, raise_on_error=False, tags={AS_OF_TAG: AS_OF.isoformat()}
        )


def test_it_compares_where_the_project_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[Any]
) -> None:
    result = run(make_project(tmp_path / "project", klantspoor=WITH_LINKAGE), monkeypatch)
    assert result.success
    (call,) = asked
    assert (call.lake_root, call.found_at) == (tmp_path / "project" / "lake", AS_OF)
    (event,) = result.get_asset_materialization_events()
    told = {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}
    assert told == {
        "records": 10, "pairs compared": 45, "dagster/row_count": 3, "held back": 1, "fields": ["last_name"],
        "warnings": ["few"], "file": "000001.parquet",
    }  # fmt: skip


def test_it_is_skipped_where_the_project_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        result = run(make_project(tmp_path / "project"), monkeypatch)
    assert result.success
    assert asked == []
    assert result.get_asset_materialization_events() == []
    assert "Skipped: klantspoor.yaml has no `linkage`" in caplog.text


def test_a_failure_of_the_library_is_one_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[Any]
) -> None:
    low = WITH_LINKAGE.replace("0.9}", "0.5}")
    result = run(make_project(tmp_path / "project", klantspoor=low), monkeypatch)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_failure_data.user_failure_data.description == "the vault holds 0 record(s)"


def test_it_is_no_part_of_a_night() -> None:
    night = {key.to_user_string() for key in defs.resolve_job_def("nightly").asset_layer.executable_asset_keys}
    weekly = {key.to_user_string() for key in defs.resolve_job_def("linkage").asset_layer.executable_asset_keys}
    assert weekly == {"linkage_evidence"}
    assert "ledger" in night
    assert not night & weekly


def test_its_schedule_is_weekly_and_off() -> None:
    schedule = defs.resolve_schedule_def("linkage_schedule")
    assert schedule.cron_schedule == "0 12 * * 6"
    assert schedule.job_name == "linkage"
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED

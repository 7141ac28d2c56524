"""What Dagster loads: an asset per table from the dictionary, checks that block, a schedule at the project's hour."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml

from klantspoor.dictionary import TABLES
from klantspoor.lake.domain_rules import Facts, domain_rules
from pipelines.definitions import defs
from pipelines.nights import AS_OF_TAG
from pipelines.schedules import nightly_schedule
from pipelines.sensors import fingerprint, landing_sensor
from tests.pipelines.staged_night import make_project

ROOT = Path(__file__).resolve().parents[2]
STAGES = {"ledger", "models", "pages", "publication"}
APART = {"linkage_evidence", "verification_report"}  # no part of a night


def test_every_table_is_an_asset_as_the_dictionary_says() -> None:
    graph = defs.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == set(TABLES) | STAGES | APART
    for name, table in TABLES.items():
        node = graph.get(dg.AssetKey(name))
        assert node.group_name == ("publication" if name == "runs" else table.layer)
        assert node.kinds == {"parquet", "duckdb"}
        assert node.owners == ["team:klantspoor"]
        assert table.grain in (node.description or "")
        schema = node.metadata["dagster/column_schema"]
        assert [column.name for column in schema.columns] == list(table.names)
        assert {c.name for c in schema.columns if c.constraints.nullable} == set(table.nulls)


def test_an_asset_waits_for_what_its_table_is_made_from() -> None:
    graph = defs.resolve_asset_graph()
    for name, table in TABLES.items():
        parents = {key.to_user_string() for key in graph.get(dg.AssetKey(name)).parent_keys}
        wanted = {"ledger" if source == "landing files" else source for source in table.made_from}
        assert wanted <= parents or name == "runs"
    everything = (set(TABLES) | STAGES) - {"publication"}
    upstream = dg.AssetSelection.assets("publication").upstream(include_self=False).resolve(graph)
    assert {key.to_user_string() for key in upstream} == everything


def test_critical_checks_block_and_warnings_do_not() -> None:
    graph = defs.resolve_asset_graph()
    specs = {(key.asset_key.to_user_string(), key.name): graph.get(key) for key in graph.asset_check_keys}
    rules = {(rule.table, rule.name): rule for rule in domain_rules(Facts(phases={}))}
    assert set(specs) == {(name, "dictionary") for name in TABLES} | set(rules)
    for key, node in specs.items():
        assert node.blocking == (key not in rules or rules[key].severity == "critical"), key


def test_the_schedule_is_at_the_projects_hour_in_its_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLANTSPOOR_PROJECT", str(make_project(tmp_path)))
    schedule = nightly_schedule()
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 2 * * *", "Europe/Amsterdam")
    moment = datetime.now(UTC) - timedelta(hours=1)
    with dg.build_schedule_context(scheduled_execution_time=moment) as context:
        (request,) = schedule.evaluate_tick(context).run_requests or []
    assert datetime.fromisoformat(request.tags[AS_OF_TAG]) == moment, "nothing has landed, so no night is due"


@pytest.mark.parametrize("project", [None, "nowhere"])
def test_definitions_load_without_a_project(
    project: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KLANTSPOOR_PROJECT", raising=False)
    if project is not None:
        monkeypatch.setenv("KLANTSPOOR_PROJECT", str(tmp_path / project))
    schedule = nightly_schedule()
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 3 * * *", "UTC")


def test_the_ledger_and_the_night_have_partitions_and_the_tables_none() -> None:
    graph = defs.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).is_partitioned} == {"ledger"}
    night = defs.resolve_job_def("nightly")
    assert isinstance(night.partitions_def, dg.DailyPartitionsDefinition)
    assert night.backfill_policy == dg.BackfillPolicy.single_run(), "one run for a range"


def test_a_run_without_a_project_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLANTSPOOR_PROJECT", str(tmp_path / "nowhere"))
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("nightly").execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    assert any("nowhere" in str(event.event_specific_data) for event in result.all_events)


def test_the_sensor_is_stopped_and_waits_until_landing_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert landing_sensor.default_status == dg.DefaultSensorStatus.STOPPED
    project = make_project(tmp_path)
    monkeypatch.setenv("KLANTSPOOR_PROJECT", str(project))
    landing = project / "landing" / "crm"
    landing.mkdir(parents=True)
    cursor: str | None = None

    def look() -> bool:
        nonlocal cursor
        context = dg.build_sensor_context(cursor=cursor)
        data = landing_sensor.evaluate_tick(context)
        cursor = data.cursor
        return bool(data.run_requests)

    assert [look(), look()] == [False, True]
    assert look() is False
    (landing / "a.csv").write_text("x", "utf-8")
    assert look() is False
    (landing / "a.csv").write_text("still growing", "utf-8")
    assert [look(), look(), look()] == [False, True, False]


def test_the_fingerprint_sees_names_sizes_and_times(tmp_path: Path) -> None:
    assert fingerprint(tmp_path / "absent") == fingerprint(tmp_path)
    (tmp_path / "a").write_text("x", "utf-8")
    first = fingerprint(tmp_path)
    os.utime(tmp_path / "a", (1, 1))
    assert fingerprint(tmp_path) != first


def test_settings_leave_nothing_running_and_tell_nobody() -> None:
    settings = yaml.safe_load((ROOT / "dagster.yaml").read_text("utf-8"))
    assert settings["telemetry"] == {"enabled": False}
    assert settings["nux"] == {"enabled": False}
    assert settings["run_monitoring"]["max_runtime_seconds"] > 0


def test_the_workspace_loads_as_dagster_loads_it(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "KLANTSPOOR_PROJECT"}
    environment["DAGSTER_HOME"] = str(tmp_path)
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text("utf-8"), "utf-8")
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr

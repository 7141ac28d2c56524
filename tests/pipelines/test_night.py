"""The night as a job: published when everything critical holds, otherwise nothing changes; what is said at its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from klantspoor.dictionary import TABLES
from klantspoor.errors import PublicationStoppedError
from klantspoor.lake import Lake
from klantspoor.lake.checks import run_queries
from klantspoor.lake.forecast import SPARE, Forecast
from klantspoor.lake.steps import gate
from klantspoor.marts import MARTS
from pipelines import run
from pipelines.definitions import defs
from pipelines.nights import AS_OF_TAG
from tests.lake.small_world import AS_OF, Row, staging_of, world
from tests.pipelines.staged_night import make_project, patch_stages, publish_before


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    project = make_project(tmp_path / "project")
    monkeypatch.setenv("KLANTSPOOR_PROJECT", str(project))
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "k" * 64)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    return Lake(project / "lake")


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Row]]:
    # Queries give the same verdicts in a tenth of the time (tests/expectations); one night below runs with both.
    monkeypatch.setattr("expectations.bridge.run_expectations", lambda *arguments: run_queries(*arguments[:3]))
    return patch_stages(monkeypatch)


def night(**given: object) -> dg.ExecuteInProcessResult:
    """The job in this process, as the UI would run it."""
    job = defs.resolve_job_def("nightly")
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(
            instance=instance, raise_on_error=False, tags={AS_OF_TAG: AS_OF.isoformat()}, **given
        )


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    return {
        event.step_key: event.step_failure_data.user_failure_data.description
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data is not None
    }


def published(lake: Lake) -> str | None:
    current = lake.current()
    return current.name if current is not None else None


def test_a_night_is_published_with_its_steps(lake: Lake, rows: dict[str, list[Row]]) -> None:
    assert night().success
    version = lake.current()
    assert version is not None
    assert version.manifest["as_of"] == AS_OF.isoformat()
    assert set(version.manifest["tables"]) == set(TABLES)
    with version.connect() as connection:
        steps = connection.execute("SELECT step FROM runs WHERE elapsed_seconds >= 0 AND peak_memory_mb > 0").fetchall()
    stages = {"ledger", "identity", "events", "journeys", "models", "pages", "journey_map", "freshness"}
    checks = {"identity_checks", "events_checks", "journeys_checks", "marts_checks"}
    assert stages | checks <= {step for (step,) in steps}


def test_a_disk_that_is_nearly_full_is_odd(
    lake: Lake, rows: dict[str, list[Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    near = Forecast(taken_in=1, built=2, spilled=1, whole=10, free=SPARE + 5)
    monkeypatch.setattr(Lake, "require_disk", lambda self, landed: near)
    assert night().success
    version = lake.current()
    assert version is not None
    with version.connect() as connection:
        [(odd,)] = connection.execute("SELECT odd FROM runs WHERE step = 'ledger'").fetchall()
    assert odd == f"the disk is nearly full: the night {near}"


def test_a_night_is_judged_by_great_expectations(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    patch_stages(monkeypatch)["waits"][1]["seconds"] = 3599
    result = night()
    failed = [found for found in result.get_asset_check_evaluations() if not found.passed]
    assert [(found.check_name, found.metadata["failed"].value) for found in failed] == [("add_up", 1), ("in_order", 1)]
    assert published(lake) is None


def test_materialisations_tell_rows_columns_and_lineage(lake: Lake, rows: dict[str, list[Row]]) -> None:
    rows["coverage"][0]["activity"] = "<script>alert(1)</script>|`x`\n[a](b)"
    result = night()
    told = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert set(TABLES) | {"ledger", "models", "pages", "publication"} == set(told)
    assert told["waits"]["dagster/row_count"].value == 2
    lineage = told["touchpoints"]["dagster/column_lineage"].value.deps_by_column
    assert [dep.asset_key.to_user_string() for dep in lineage["journey_id"]] == ["journeys"]
    preview = told["coverage"]["preview"].value
    assert len(preview.splitlines()) == 2 + 2
    assert not set("<`[") & set(preview), "nothing that Markdown or HTML would act on"
    assert all(line.count("|") == len(TABLES["coverage"].names) + 1 for line in preview.splitlines())
    shown = {name for name, metadata in told.items() if "preview" in metadata}
    assert shown == set(MARTS), "no row of a single person"


def test_the_next_night_keeps_the_steps_of_the_last(lake: Lake, rows: dict[str, list[Row]]) -> None:
    assert night().success
    assert night().success
    version = lake.current()
    assert version is not None
    with version.connect() as connection:
        told = connection.execute(
            "SELECT run_id, list(step::VARCHAR ORDER BY started_at) FROM runs GROUP BY run_id"
        ).fetchall()
    first, second = sorted((steps for _, steps in told), key=len, reverse=True)
    assert first == [*second, "publication"], "the step that publishes is told by the night after it"
    assert "ledger" in second


def test_a_night_that_failed_is_in_the_table_of_the_next(lake: Lake, rows: dict[str, list[Row]]) -> None:
    rows["waits"][1]["seconds"] = 3599
    assert not night().success
    rows["waits"][1]["seconds"] = 3600
    assert night().success
    version = lake.current()
    assert version is not None
    with version.connect() as connection:
        told = connection.execute(
            """SELECT night_status::VARCHAR, list(step::VARCHAR ORDER BY started_at) FROM runs GROUP BY ALL ORDER BY 1"""
        ).fetchall()
    (published_, whole), (unfinished, stopped) = told
    # Only who ends the run can say that it failed: a run of the job in Dagster's pages is known by its steps alone.
    assert (unfinished, published_) == ("unfinished", "published")
    assert stopped[-1] == "journeys_checks"
    assert "marts_checks" in whole


@pytest.mark.parametrize(
    ("table", "spoilt", "step"),
    [
        ("identities", {"rule": "x", "identifier_type": None}, "identity"),
        ("intake", {"ignored": 1}, "events_checks"),
        ("waits", {"seconds": 3599}, "journeys_checks"),
        ("touchpoints", {"phase": "eighth"}, "journeys_checks"),
        ("bottlenecks", {"persons": 1}, "marts_checks"),
        ("freshness", {"freshness": "stale"}, "marts_checks"),
    ],
)
def test_a_critical_failure_stops_publication_and_the_version_before_stays(
    table: str, spoilt: Row, step: str, lake: Lake, rows: dict[str, list[Row]]
) -> None:
    publish_before(lake)
    rows[table][0].update(spoilt)
    result = night()
    assert not result.success
    assert published(lake) == "000001"
    failed = {event.step_key for event in result.all_events if event.is_step_failure}
    assert failed == {step}, "and what comes after it did not run at all"


def test_failing_keys_are_in_the_metadata_but_for_those_of_persons(lake: Lake, rows: dict[str, list[Row]]) -> None:
    rows["waits"][1]["seconds"] = 3599
    evaluations = {
        (found.asset_key.to_user_string(), found.check_name): found for found in night().get_asset_check_evaluations()
    }
    found = evaluations["waits", "add_up"]
    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.ERROR
    (told,) = found.metadata["failing"].value
    assert told["failing_keys"] == [], "Dagster keeps for ever what it is told"
    assert "1 of 1" in told["says"]
    assert evaluations["waits", "dictionary"].passed


def test_failing_keys_of_marts_are_in_the_metadata(lake: Lake, rows: dict[str, list[Row]]) -> None:
    rows["variants"][0]["persons"] = 1
    evaluations = {
        (found.asset_key.to_user_string(), found.check_name): found for found in night().get_asset_check_evaluations()
    }
    (told,) = evaluations["variants", "suppressed"].metadata["failing"].value
    assert [set(key) for key in told["failing_keys"]] == [set(TABLES["variants"].key)]


def test_warnings_do_not_stop_publication(lake: Lake, rows: dict[str, list[Row]]) -> None:
    rows["coverage"][1]["events"] = 100
    rows["freshness"][1]["freshness"] = "small"
    result = night()
    assert result.success
    assert published(lake) == "000001"
    warned = {f.check_name for f in result.get_asset_check_evaluations() if not f.passed}
    assert warned == {"unmapped_share", "all_came"}


@pytest.mark.parametrize("asset", ["events", "journeys", "bottlenecks", "pages", "runs"])
def test_an_asset_alone_says_what_to_run_and_publishes_nothing(
    asset: str, lake: Lake, rows: dict[str, list[Row]]
) -> None:
    publish_before(lake)
    selected = {"events": ["events", "intake", "quarantine"], "runs": ["runs", "publication"]}.get(asset, [asset])
    if asset == "journeys":
        selected = [name for name, table in TABLES.items() if table.layer == "journeys"]
    result = night(asset_selection=[dg.AssetKey(name) for name in selected])
    assert not result.success
    assert any("run the job `nightly`" in told for told in failures(result).values())
    assert published(lake) == "000001"


def test_a_night_without_its_checks_is_not_published(lake: Lake, rows: dict[str, list[Row]]) -> None:
    defs_without = dg.Definitions(assets=defs.assets, resources=defs.resources)
    job = defs_without.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert "did not run" in failures(result)["publication"]
    assert published(lake) is None


def test_the_gate_names_what_failed(tmp_path: Path) -> None:
    with staging_of(tmp_path, world()) as staging, pytest.raises(PublicationStoppedError, match="checks of events, "):
        gate(staging)


def test_the_lake_is_free_after_a_failed_night(lake: Lake, rows: dict[str, list[Row]]) -> None:
    rows["waits"][1]["seconds"] = 3599
    night()
    lake.open_run("next", AS_OF).close()


def test_a_failing_disk_is_tried_again(lake: Lake, rows: dict[str, list[Row]], monkeypatch: pytest.MonkeyPatch) -> None:
    from klantspoor import intake

    works, tries = intake.take_in, []

    def failing(*arguments: object, **given: object) -> object:
        tries.append(1)
        if len(tries) < 2:
            raise OSError("the share is away")
        return works(*arguments, **given)  # type: ignore[arg-type]

    monkeypatch.setattr("klantspoor.intake.take_in", failing)
    monkeypatch.setattr("assets.intake.RETRY_SECONDS", 0)
    assert night().success
    assert len(tries) == 2


def test_the_command_publishes_and_says_so(
    lake: Lake, rows: dict[str, list[Row]], capfd: pytest.CaptureFixture[str]
) -> None:
    rows["coverage"][1]["events"] = 100
    assert run.main(["--as-of", AS_OF.isoformat()]) == run.PUBLISHED
    printed = capfd.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0] == "Test: the night of 2024-06-01T03:00+00:00"
    assert any(line.startswith("  journeys ") for line in lines)
    assert "Came in: 0 files, 0 rows, 0 events." in lines
    assert "Did not arrive: nothing, every source is fresh." in lines
    assert any("coverage.unmapped_share" in line and "crm" in line for line in lines)
    assert any(line.startswith("Published: version 000001") for line in lines)
    assert published(lake) == "000001"


def test_the_command_goes_on_from_nothing_where_it_is_told_to(lake: Lake, rows: dict[str, list[Row]]) -> None:
    kept = lake.root / "state" / "identity"
    assert run.main(["--as-of", AS_OF.isoformat()]) == run.PUBLISHED
    kept.mkdir(parents=True)
    assert run.main(["--as-of", AS_OF.isoformat()]) == run.PUBLISHED
    assert kept.exists()
    assert run.main(["--as-of", AS_OF.isoformat(), "--anew"]) == run.PUBLISHED
    assert not kept.exists()
    with lake.writing("another"):
        kept.mkdir(parents=True)
        assert run.main(["--anew"]) == run.BUSY
    assert kept.exists()


def test_the_command_says_what_stopped_it(
    lake: Lake, rows: dict[str, list[Row]], capfd: pytest.CaptureFixture[str]
) -> None:
    rows["freshness"][0] |= {"freshness": "missing", "odd": "no file of it has ever come\x1b[2J"}
    assert run.main([]) == run.FAILED
    printed = capfd.readouterr()
    assert "freshness.must_come" in printed.out
    assert "crm is missing: no file of it has ever come?" in printed.out
    assert "\x1b" not in printed.out
    assert "Not published: nothing was before." in printed.out
    assert "marts_checks failed" in printed.err
    assert published(lake) is None


def test_mistakes_in_the_project_touch_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    project = make_project(tmp_path / "project", klantspoor="        name: Test\n")
    monkeypatch.setenv("KLANTSPOOR_PROJECT", str(project))
    before = sorted(project.rglob("*"))
    assert run.main([]) == run.MISTAKES
    assert "klantspoor.yaml" in capfd.readouterr().err
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize("as_of", ["yesterday", "2024-06-01T03:00"])
def test_a_clock_without_a_meaning_is_a_mistake(as_of: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run.main(["--as-of", as_of])
    assert stopped.value.code == run.MISTAKES
    assert as_of in capfd.readouterr().err


def test_a_second_night_at_once_is_refused(
    lake: Lake, rows: dict[str, list[Row]], capfd: pytest.CaptureFixture[str]
) -> None:
    with lake.open_run("first", AS_OF):
        assert run.main([]) == run.BUSY
    assert "first" in capfd.readouterr().err
    assert [path.name for path in (lake.root / "work").iterdir()] == ["first"]

"""Publishing alone, with a version that goes by it, disturbed at every call; and who still reads the version that goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import duckdb
import pyarrow.parquet as pq
import pytest

from klantspoor.dictionary import TABLES
from tests.faults import faults_checks as checks
from tests.faults.faults_server import Server
from tests.faults.faults_shim import Mode
from tests.faults.faults_trials import SCENARIOS, Trials

SOME = {Mode.KILL: 5, Mode.FULL: 3, Mode.ERROR: 4}
STATES = 8
Note = Callable[[str, object], None]


@pytest.fixture(scope="module")
def trials(server: Server) -> Trials:
    return Trials(server, SCENARIOS["publication"])


def test_no_call_is_missed(trials: Trials, record_property: Note) -> None:
    record_property("faults", checks.check_log(trials))
    checks.check_one_death(trials, len(trials.calls) // 2)


@pytest.mark.parametrize("mode", SOME, ids=lambda mode: mode.name)
def test_disturbed_at_some_calls(trials: Trials, mode: Mode, record_property: Note) -> None:
    record_property("faults", checks.check_calls(trials, mode, checks.spread(trials.calls, SOME[mode])))


def test_the_power_fails(trials: Trials, record_property: Note) -> None:
    record_property("faults", checks.check_power(trials, STATES))


def test_what_is_done_outlasts_a_power_failure(trials: Trials) -> None:
    checks.check_end(trials)


def test_who_holds_the_files_of_a_version_that_goes_reads_it_to_its_end(trials: Trials) -> None:
    """Files that are open stay, though their names go; who comes later finds none, and never a part."""
    trials.reset("held")
    versions = trials.project / "lake" / "versions"
    files = sorted((versions / "000001").rglob("*.parquet"))
    assert len(files) >= len(TABLES)
    before = [pq.read_table(path) for path in files]
    with ExitStack() as held:
        opened = [held.enter_context(path.open("rb")) for path in files]
        trials.act().must()
        assert [path.name for path in sorted(versions.iterdir())] == ["000002", "000003"]
        assert all(pq.read_table(file).equals(table) for file, table in zip(opened, before, strict=True))
    with duckdb.connect() as connection, pytest.raises(duckdb.IOException, match="No files found"):
        connection.execute(f"SELECT count(*) FROM read_parquet('{versions / '000001' / 'events'}/**/*.parquet')")


@pytest.mark.soak
def test_killed_at_every_call(trials: Trials, record_property: Note) -> None:
    record_property("faults", checks.check_deaths(trials))


@pytest.mark.soak
@pytest.mark.parametrize("mode", checks.SURVIVED, ids=lambda mode: mode.name)
def test_disturbed_at_every_call(trials: Trials, mode: Mode, record_property: Note) -> None:
    record_property("faults", checks.check_calls(trials, mode, checks.that_tell(trials.calls, mode)))


@pytest.mark.soak
def test_the_power_fails_after_every_call(trials: Trials, record_property: Note) -> None:
    record_property("faults", checks.check_power(trials))

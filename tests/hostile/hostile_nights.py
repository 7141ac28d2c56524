"""Running the hostile project's nights, each once for all tests of a test run. Holds no test."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from klantspoor.lake import Version, open_lake
from klantspoor.project.load import load_project
from tests.hostile import hostile_landing as landing
from tests.hostile.hostile_canaries import KEY
from tests.hostile.hostile_project import KEY_VARIABLE, write_project

QUICK = {"suppress_below": 1, "gx_rows": 1}
"""Limits under which checks run as queries: the same verdicts without importing Great Expectations."""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Night:
    """What one run of the job left: its folder (project, Dagster's home, scratch), its exit code and what it said."""

    home: Path
    code: int
    out: str
    err: str

    @property
    def project(self) -> Path:
        return self.home / "project"

    @property
    def version(self) -> Version:
        found = open_lake(load_project(self.project)).current()
        assert found is not None
        return found

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What a query over the published tables gives; instants in UTC."""
        found: list[dict[str, Any]] = self.connection.sql(sql).to_arrow_table().to_pylist()
        return found

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """One for all tests: what is published does not change."""
        return _connection(self)

    @property
    def summary(self) -> list[str]:
        return self.out.splitlines()


@cache
def _connection(night: Night) -> duckdb.DuckDBPyConnection:
    connection = night.version.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def environment(home: Path) -> dict[str, str]:
    """What a job that stays within `home` is started with."""
    (home / "scratch").mkdir(parents=True, exist_ok=True)
    ours = {"KLANTSPOOR_PROJECT": home / "project", KEY_VARIABLE: KEY, "DAGSTER_HOME": home / "dagster"}
    ours |= {"TMPDIR": home / "scratch", "PYTHONPATH": ROOT}
    ours |= {"PYTHONDONTWRITEBYTECODE": ""}  # else each of these processes would compile everything anew
    return os.environ | {name: str(value) for name, value in ours.items()}


def start(home: Path, as_of: datetime, program: str | None = None) -> subprocess.Popen[str]:
    """The job in a process of its own; `program` replaces `-m pipelines.run`."""
    module = ["-m", "pipelines.run"] if program is None else ["-c", program]
    return subprocess.Popen(
        [sys.executable, *module, "--as-of", as_of.isoformat()],
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def run(home: Path, as_of: datetime, program: str | None = None) -> Night:
    process = start(home, as_of, program)
    out, err = process.communicate(timeout=300)
    return Night(home, process.returncode, out, err)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Night]) -> Night:
    """What `make` does in a folder called `name`, or what another worker of this test run has made of it."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    home, told = shared / f"hostile_{name}", shared / f"hostile_{name}.json"
    with (shared / f"hostile_{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            night = make(home)
            told.write_text(json.dumps([night.code, night.out, night.err]), "utf-8")
    return Night(home, *json.loads(told.read_text("utf-8")))


def first_night(home: Path) -> Night:
    """A good night; its lake is what later nights start from."""
    write_project(home / "project", limits=QUICK)
    landing.land(home / "project" / "landing", landing.first_night(), landing.FIRST)
    return run(home, landing.FIRST)


def second_night(first: Night, home: Path, **changed: Any) -> Path:
    """`home` as it is before the second night, everything bad landed; `changed` as for `write_project`."""
    shutil.copytree(first.project, home / "project", dirs_exist_ok=True)
    write_project(home / "project", **changed)
    landing.land_second_night(home / "project" / "landing")
    mend_database(home / "project")
    return home


def mend_database(project: Path) -> None:
    """A copied lake's database names the files it was copied from: have it made anew, as the next run would."""
    lake = open_lake(load_project(project))
    (lake.root / "klantspoor.duckdb").unlink()
    lake.open_run("mender", landing.FIRST).close()
    shutil.rmtree(lake.root / "work" / "mender")


def tables_of(version: Version) -> dict[str, pa.Table]:
    """Every table of a version in full, in the order of its key."""
    found = {}
    with version.connect() as connection:
        for name in version.manifest["tables"]:
            found[name] = connection.sql(f'SELECT * FROM "{name}" ORDER BY ALL').to_arrow_table()
    return found


def by_database(project: Path, sql: str) -> list[tuple[Any, ...]]:
    """What a query gives through the lake's DuckDB file, as an analyst would ask it."""
    with duckdb.connect(project / "lake" / "klantspoor.duckdb", read_only=True) as connection:
        return connection.execute(sql).fetchall()

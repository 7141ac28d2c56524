"""A true night on the public data: the whole job in a process of its own, once per project. Holds no test."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"


@dataclass(frozen=True)
class Night:
    """A published lake, and the raw files it was made from."""

    project: Path
    raw: Path
    said: str

    def table(self, sql: str) -> pd.DataFrame:
        """What a query over the published tables gives; instants are aware and in UTC."""
        with duckdb.connect(self.project / "lake" / "klantspoor.duckdb", read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.sql(sql).to_arrow_table().to_pandas()

    def figure(self, sql: str) -> int:
        """The one whole number that a query gives."""
        with duckdb.connect(self.project / "lake" / "klantspoor.duckdb", read_only=True) as connection:
            [(found,)] = connection.execute(sql).fetchall()
        return int(found)


def run_night(name: str, as_of: str, landed: dict[str, str], factory: pytest.TempPathFactory) -> Night:
    """Runs the job on the project `name`, or takes the night that another worker of this test run has made.

    `landed` gives the files by glob, each with the instant it landed. The data is copied into a temporary folder: it
    stays out of the project, and a link out of a landing folder is refused.
    """
    raw = DATA / name
    if not raw.is_dir():
        pytest.skip(f"the public data is not there: {name}/ in shared/data beside the project")
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    project, told = shared / f"real_{name}", shared / f"real_{name}.txt"
    with (shared / f"real_{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            shutil.rmtree(project, ignore_errors=True)
            shutil.copytree(ROOT / "tests" / "projects" / name, project)
            _land(raw, project / "landing", landed)
            told.write_text(_run(project, as_of), "utf-8")
    return Night(project, raw, told.read_text("utf-8"))


def _land(raw: Path, landing: Path, landed: dict[str, str]) -> None:
    landing.mkdir()
    for glob, instant in landed.items():
        at = datetime.fromisoformat(instant).timestamp()
        for file in raw.glob(glob):
            copy = landing / file.name
            shutil.copyfile(file, copy)
            os.utime(copy, (at, at))


def _run(project: Path, as_of: str) -> str:
    home = project.parent / f"{project.name}_dagster"
    ours = {"KLANTSPOOR_PROJECT": str(project), "KLANTSPOOR_KEY": "k" * 64, "DAGSTER_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.run", "--as-of", as_of],
        cwd=ROOT,
        env=os.environ | ours,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

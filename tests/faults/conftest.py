"""The library that injects faults, and a server of processes that have it; skipped where there can be none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.faults_server import Server
from tests.faults.faults_shim import compile_to, why_not

MEMORY = Path("/dev/shm")  # noqa: S108 - a disk in memory: nothing is forced to it, which takes most of the time


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    why = why_not()
    if why is not None:
        pytest.skip(why)
    return compile_to(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def server(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    there = os.access(MEMORY, os.W_OK)
    home = Path(tempfile.mkdtemp(dir=MEMORY) if there else tmp_path_factory.mktemp("home")).resolve()
    try:
        with Server(library, home) as made:
            yield made
    finally:
        shutil.rmtree(home)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many calls there are, and at how many of them something went wrong."""
    for report in terminalreporter.stats.get("passed", []):
        for name, told in report.user_properties:
            if name == "faults" and report.when == "call":
                terminalreporter.write_line(f"faults: {told}")

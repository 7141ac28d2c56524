"""Runs a task as a process of its own and takes its CPU seconds and peak memory from the operating system.

Standard library only: Linux counts what a process held before it became another as that one's peak, so the process
that starts the tasks must stay small.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Run:
    """One run: CPU seconds (user and system), peak memory in MiB, and what the task told."""

    cpu: float
    peak_mb: float
    told: dict[str, Any]


@dataclass(slots=True)
class Series:
    """All rounds of one task at one size."""

    task: str
    events: int
    runs: list[Run] = field(default_factory=list)

    def cpu(self) -> tuple[float, float, float]:
        """Least, median and most CPU seconds."""
        seconds = sorted(run.cpu for run in self.runs)
        return seconds[0], statistics.median(seconds), seconds[-1]

    def work(self) -> float:
        """Median CPU seconds without starting Python and importing libraries."""
        return statistics.median(run.cpu - run.told["parts"]["start"] for run in self.runs)

    def peak_mb(self) -> float:
        """The highest peak of all rounds."""
        return max(run.peak_mb for run in self.runs)

    def parts(self) -> dict[str, float]:
        """Median CPU seconds by part."""
        return {
            name: statistics.median(run.told["parts"][name] for run in self.runs) for name in self.runs[0].told["parts"]
        }


def run(module: str, *arguments: str) -> Run:
    """Runs `python -m module arguments` to its end.

    Raises:
        RuntimeError: where it fails.
    """
    environment = os.environ | {"BENCH_KEY": "no secret: the benchmark holds no personal data"}
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
        env=environment,
        text=True,
    )
    if process.stdout is None:
        raise RuntimeError("the task has no output")
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} ended with {process.returncode}")
    last = output.strip().rpartition("\n")[2]
    return Run(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, json.loads(last) if last else {})


def rounds(tasks: Sequence[str], folder: Path, events: int, count: int) -> list[Series]:
    """Every task `count` times, in an order that turns round each time, so that none always profits from the other."""
    series = [Series(task, events) for task in tasks]
    for number in range(count):
        for one in series if number % 2 == 0 else reversed(series):
            one.runs.append(run("bench.tasks", one.task, str(folder)))
            print(f"  {one.task:14} {one.runs[-1].cpu:7.1f} CPU s  {one.runs[-1].peak_mb:6.0f} MiB", flush=True)
    return series

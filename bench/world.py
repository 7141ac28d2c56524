"""What generator and tasks share: the benchmark's project, the clock, and its lake."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from klantspoor.lake import Staging
    from klantspoor.project.model import Project

AS_OF = datetime(2025, 1, 1, 2, 0, tzinfo=UTC)
TIMEZONE = "Europe/Amsterdam"
TABLES_COPIED = ("journeys", "touchpoints", "touchpoint_events", "phase_visits", "waits", "experiences")
MARTS_COPIED = ("journey_map", "bottlenecks", "directly_follows", "variants", "coverage", "freshness")


@cache
def project() -> Project:
    """The project in `bench/project`."""
    from klantspoor.project.load import load_project

    return load_project(Path(__file__).parent / "project")


def open_bench(root: Path) -> Staging:
    """The staging folder of the benchmark's one run in the lake at `root`."""
    from klantspoor.lake import Lake

    limits = project().file.limits
    return Lake(root, timezone=TIMEZONE, memory_mb=limits.memory_mb).open_run("bench", AS_OF)

"""The lake of a project: where `klantspoor.yaml` says it is, with the project's limits."""

from __future__ import annotations

from pathlib import Path

from klantspoor.lake.lake import Lake
from klantspoor.project.model import Project


def open_lake(project: Project) -> Lake:
    """The project's lake; nothing is made or read yet."""
    return Lake(
        Path(project.root) / project.file.lake,
        timezone=project.file.timezone,
        memory_mb=project.file.limits.memory_mb,
        keep_versions=project.file.limits.keep_versions,
        keep_for=project.file.limits.keep_versions_for,
    )

"""The project that docs/sources.md and docs/journey-files.md make, written from their text, and a night of it."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from documents import files, text

from klantspoor import events, identity, journeys, marts, restatements
from klantspoor.intake import take_in
from klantspoor.lake import Staging, open_lake
from klantspoor.lake.steps import runs_table
from klantspoor.project.model import Project
from klantspoor.project.scaffold import init_project

LANDED = {"03-29": datetime(2026, 3, 29, 20, tzinfo=UTC), "04-02": datetime(2026, 4, 2, 20, tzinfo=UTC)}
AS_OF = datetime(2026, 4, 3, 1, tzinfo=UTC)


def write(folder: Path, *, without: tuple[str, ...] = ()) -> Path:
    """What `klantspoor init` makes, with the two documents' files in the place of its examples."""
    init_project(folder)
    for name in ("sources", "journeys", "landing"):
        shutil.rmtree(folder / name)
    for name, body in {**files(text("sources.md")), **files(text("journey-files.md"))}.items():
        if name not in without:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body, encoding="utf-8")
    for path in (folder / "landing").rglob("*.*"):
        moment = next(moment for day, moment in LANDED.items() if day in path.name).timestamp()
        os.utime(path, (moment, moment))
    return folder


def take(project: Project) -> Staging:
    """The first half of a night: intake, identity and events, staged."""
    lake = open_lake(project)
    take_in(project, lake.root, AS_OF)
    staging = lake.open_run("docs", AS_OF)
    identity.resolve(project, lake, staging)
    events.build(project, lake, staging)
    return staging


def publish(project: Project) -> None:
    """A night without its checks, pages and models: what it published can be read."""
    staging = take(project)
    journeys.build(project, staging)
    for name in marts.MARTS:
        marts.build(name, project, staging)
    lake = open_lake(project)
    restatements.build(project, lake, staging)
    staging.write("runs", runs_table(staging, None))
    lake.publish(staging)

"""A night out of turn when new files land. Stopped by default: most organisations want one version a day."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from klantspoor.errors import ConfigError
from klantspoor.lake import open_lake
from pipelines.jobs import nightly
from pipelines.nights import AS_OF_TAG, due, range_tags
from pipelines.resources import is_project_named, named_project

_INTERVAL_SECONDS = 300


@dg.sensor(
    job=nightly,
    name="landing_sensor",
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Starts the job when the landing folder has changed and then stood still between two looks.",
)
def landing_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Look at names, sizes and times only; files arrive slowly, so a change must be the same at two looks."""
    if not is_project_named():
        return dg.SkipReason("KLANTSPOOR_PROJECT names no project")
    try:
        project = named_project()
    except ConfigError as error:
        return dg.SkipReason(f"the project has mistakes: {error}")
    seen = fingerprint(Path(project.root) / project.file.landing)
    acted_on, _, looked_at = (context.cursor or "").partition(" ")
    if seen == acted_on:
        return dg.SkipReason("nothing new has landed")
    if seen != looked_at:
        context.update_cursor(f"{acted_on} {seen}")
        return dg.SkipReason("something has landed: waiting until it stands still")
    context.update_cursor(f"{seen} {seen}")
    now = datetime.now(UTC)
    return dg.RunRequest(
        run_key=seen, tags={AS_OF_TAG: now.isoformat(), **range_tags(due(project, open_lake(project), now))}
    )


def fingerprint(landing: Path) -> str:
    """A hash over names, sizes and times of what has landed; of an absent folder as of an empty one."""
    files = sorted(path for path in landing.rglob("*") if path.is_file()) if landing.is_dir() else []
    told = [(str(path.relative_to(landing)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(told).encode("utf-8", "surrogateescape")).hexdigest()[:24]

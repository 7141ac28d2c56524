"""Sensors that watch over the nights: a failed run, a version that is overdue, a run that a crash left behind.

Alarms go where `alarms` in klantspoor.yaml says; without it nobody is told. They run with Dagster's daemon.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

import dagster as dg
from dagster import DagsterEventType

from klantspoor.alarm import Alarm, Told, overdue, raise_alarm
from klantspoor.errors import ConfigError, LakeError
from klantspoor.lake import open_lake
from klantspoor.project.model import Alarms, Project
from pipelines.crashed import COMMAND_TAG, mark_crashed
from pipelines.nights import AS_OF_TAG
from pipelines.resources import is_project_named, named_project

PUBLICATION = dg.AssetKey("publication")
_RUNNING = dg.DefaultSensorStatus.RUNNING


@dg.run_failure_sensor(
    name="failure_alarm",
    minimum_interval_seconds=30,
    default_status=_RUNNING,
    description="Raises the alarm when a run fails. `klantspoor run` raises it itself.",
)
def failure_alarm(context: dg.RunFailureSensorContext) -> None:
    """Tell of a failed run, with its steps and checks."""
    project = _project()
    if project is not None:
        _note(context, raise_alarm(project, alarm_of(context.instance, context.dagster_run)))


@dg.sensor(
    name="overdue_alarm",
    minimum_interval_seconds=600,
    default_status=_RUNNING,
    description="Raises the alarm when no version was published for `alarms.published_within`, and again after each such time.",
)
def overdue_alarm(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Look at the lake by the wall clock; the cursor remembers of which version and when the alarm was raised."""
    project, now = _project(), datetime.now(UTC)
    if project is None or project.file.alarms is None:
        return dg.SkipReason("no project that loads, or no `alarms` in its klantspoor.yaml")
    try:
        found = overdue(project, open_lake(project), now)
    except LakeError as error:
        return dg.SkipReason(str(error))
    if found is None:
        context.update_cursor("")
        return dg.SkipReason("a version was published in time")
    version, _, raised_at = (context.cursor or "").partition(" ")
    name = found.version or "none"
    if version == name and now - datetime.fromisoformat(raised_at) < project.file.alarms.published_within:
        return dg.SkipReason(f"the alarm was raised at {raised_at}")
    told = raise_alarm(project, found)
    _note(context, told)
    if any(one.failure is None for one in told):  # else it is tried again at the next look
        context.update_cursor(f"{name} {now.isoformat(timespec='seconds')}")
    return dg.SkipReason("the alarm was raised: " + "; ".join(map(str, told)))


@dg.sensor(
    name="crashed_runs",
    minimum_interval_seconds=60,
    default_status=_RUNNING,
    description="Marks runs as failed whose process is gone, so that the queue goes on at once.",
)
def crashed_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Mark what was left behind; Dagster tells `failure_alarm` of its own runs, not of those that a command started."""
    left = mark_crashed(context.instance)
    project = _project()
    for run in left:
        if COMMAND_TAG in run.tags and project is not None:
            _note(context, raise_alarm(project, alarm_of(context.instance, run)))
    return dg.SkipReason(
        f"marked as failed: {', '.join(run.run_id for run in left)}" if left else "nothing was left behind"
    )


def fresh(publication: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset of the publication, with the time after which its pages call it stale: the same as the alarm's."""
    project = _project()
    alarms = project.file.alarms if project is not None else None
    policy = dg.FreshnessPolicy.time_window(fail_window=(alarms or Alarms()).published_within)
    return publication.map_asset_specs(
        lambda spec: spec.replace_attributes(freshness_policy=policy) if spec.key == PUBLICATION else spec
    )


def alarm_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Alarm:
    """The alarm of a failed run: the names of the steps that failed and of the critical checks that did not hold."""
    steps, checks = [], []
    for record in instance.all_logs(
        run.run_id, of_type={DagsterEventType.STEP_FAILURE, DagsterEventType.ASSET_CHECK_EVALUATION}
    ):
        event = record.dagster_event
        if event is None:
            continue
        if event.is_step_failure:
            steps.append(event.step_key or "")
        elif (found := event.asset_check_evaluation_data) and not found.passed and found.blocking:
            checks.append(f"{found.asset_key.to_user_string()}.{found.check_name}")
    said = run.tags.get(AS_OF_TAG)
    as_of = datetime.fromisoformat(said) if said else None
    return Alarm("run_failed", run.job_name, run.run_id, as_of, tuple(steps), tuple(checks))


def _project() -> Project | None:
    try:
        return named_project() if is_project_named() else None
    except ConfigError:
        return None  # a run says what is wrong with it


def _note(context: dg.SensorEvaluationContext | dg.RunFailureSensorContext, told: Iterable[Told]) -> None:
    for one in told:
        (context.log.info if one.failure is None else context.log.error)(str(one))

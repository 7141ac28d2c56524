"""When the jobs run: the night at the project's hour in its zone, linkage and verification weekly. Nothing is computed here."""

import dagster as dg

from klantspoor.errors import ConfigError
from pipelines.jobs import nightly, weekly_linkage, weekly_verification
from pipelines.resources import AS_OF_TAG, is_project_named, named_project

_DEFAULT = ("0 3 * * *", "UTC")


def hours() -> tuple[str, str]:
    """Cron expression and zone of the project that the environment names; 03:00 UTC where it names none that loads."""
    if not is_project_named():
        return _DEFAULT
    try:
        file = named_project().file
    except ConfigError:
        return _DEFAULT  # the run says what is wrong; definitions must load all the same
    hour, minute = file.nightly_at.split(":")
    return f"{int(minute)} {int(hour)} * * *", file.timezone


def nightly_schedule() -> dg.ScheduleDefinition:
    """The schedule of the job, with the scheduled moment as the night's clock; it is switched on in the UI."""
    cron, zone = hours()

    @dg.schedule(job=nightly, name="nightly_schedule", cron_schedule=cron, execution_timezone=zone)
    def at_night(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        moment = context.scheduled_execution_time.isoformat()
        return dg.RunRequest(run_key=moment, tags={AS_OF_TAG: moment})

    return at_night


def linkage_schedule() -> dg.ScheduleDefinition:
    """The schedule of the linkage: on Saturdays at noon, far from the night; it is switched on in the UI."""
    _, zone = hours()
    return dg.ScheduleDefinition(
        name="linkage_schedule",
        job=weekly_linkage,
        cron_schedule="0 12 * * 6",
        execution_timezone=zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )


def verification_schedule() -> dg.ScheduleDefinition:
    """The schedule of the verification: on Sundays at noon, far from the night; it is switched on in the UI."""
    _, zone = hours()
    return dg.ScheduleDefinition(
        name="verification_schedule",
        job=weekly_verification,
        cron_schedule="0 12 * * 0",
        execution_timezone=zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )

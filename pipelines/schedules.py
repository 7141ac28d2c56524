"""When the jobs run: the night at the project's hour in its zone, linkage and verification weekly. Nothing is computed here."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from klantspoor.errors import ConfigError, LakeError
from klantspoor.lake import open_lake
from pipelines.jobs import nightly, weekly_linkage, weekly_verification
from pipelines.nights import AS_OF_TAG, DEFAULT, due, nights, published_as_of, range_tags
from pipelines.resources import is_project_named, named_project


def hours() -> tuple[str, str]:
    """Cron expression and zone of the project that the environment names; 03:00 UTC where it names none that loads."""
    nightly_at, zone = DEFAULT
    if is_project_named():
        try:
            file = named_project().file
        except ConfigError:
            pass  # the run says what is wrong; definitions must load all the same
        else:
            nightly_at, zone = file.nightly_at, file.timezone
    hour, minute = nightly_at.split(":")
    return f"{int(minute)} {int(hour)} * * *", zone


def nightly_schedule() -> dg.ScheduleDefinition:
    """The schedule of the job; it is switched on in the UI.

    It asks for the night that ends at the scheduled moment and for all before it that the published version lacks: one run.
    """
    cron, zone = hours()

    @dg.schedule(job=nightly, name="nightly_schedule", cron_schedule=cron, execution_timezone=zone)
    def at_night(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return request(context.scheduled_execution_time.astimezone(UTC), datetime.now(UTC))

    return at_night


def request(moment: datetime, now: datetime) -> dg.RunRequest | dg.SkipReason:
    """What is asked for at a scheduled moment that is looked at now, perhaps long after: a daemon may have stood still."""
    if moment + timedelta(days=1) <= now - timedelta(hours=1):  # a day may have 25 hours
        return dg.SkipReason("a later night is due as well: its run takes in this one too")
    plain = dg.RunRequest(run_key=moment.isoformat(), tags={AS_OF_TAG: moment.isoformat()})
    if not is_project_named():
        return plain  # the run says so, and what is to be done
    try:
        project = named_project()
        lake = open_lake(project)
        since = published_as_of(lake)
        asked = due(project, lake, moment)
    except (ConfigError, LakeError):
        return plain
    if since is not None and since >= moment:
        return dg.SkipReason(f"what landed until {since.isoformat()} is published already")
    if asked is None or nights(project).time_window_for_partition_key(asked.end).end > moment:
        return plain  # nothing landed yet: no night is over
    return dg.RunRequest(run_key=moment.isoformat(), tags=range_tags(asked))


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

"""Everything Dagster loads. No asset, rule or timing is written here."""

import dagster as dg

from assets import (
    events,
    identity,
    intake,
    journeys,
    linkage,
    marts,
    mining,
    page,
    publication,
    restatements,
    verification,
)
from pipelines.jobs import nightly, weekly_linkage, weekly_verification
from pipelines.resources import Night
from pipelines.schedules import linkage_schedule, nightly_schedule, verification_schedule
from pipelines.sensors import landing_sensor
from pipelines.watch import crashed_runs, failure_alarm, fresh, overdue_alarm

defs = dg.Definitions(
    assets=[
        intake.ledger,
        linkage.linkage_evidence,
        identity.identity,
        events.events,
        journeys.journeys,
        *marts.marts,
        restatements.restatements,
        mining.models,
        page.pages,
        fresh(publication.publication),
        verification.verification,
    ],
    asset_checks=[
        identity.identity_checks,
        events.events_checks,
        journeys.journeys_checks,
        marts.marts_checks,
        restatements.restatements_checks,
    ],
    jobs=[nightly, weekly_linkage, weekly_verification],
    schedules=[nightly_schedule(), linkage_schedule(), verification_schedule()],
    sensors=[landing_sensor, failure_alarm, overdue_alarm, crashed_runs],
    resources={"night": Night()},
    executor=dg.in_process_executor,
)

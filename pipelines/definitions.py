"""Everything Dagster loads. No asset, rule or timing is written here."""

import dagster as dg

from assets import events, identity, intake, journeys, linkage, marts, mining, page, publication, restatements
from pipelines.jobs import nightly, weekly_linkage
from pipelines.resources import Night
from pipelines.schedules import linkage_schedule, nightly_schedule
from pipelines.sensors import landing_sensor

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
        publication.publication,
    ],
    asset_checks=[
        identity.identity_checks,
        events.events_checks,
        journeys.journeys_checks,
        marts.marts_checks,
        restatements.restatements_checks,
    ],
    jobs=[nightly, weekly_linkage],
    schedules=[nightly_schedule(), linkage_schedule()],
    sensors=[landing_sensor],
    resources={"night": Night()},
    executor=dg.in_process_executor,
)

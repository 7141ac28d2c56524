"""Journeys: reconstructed by the kernel, with their touchpoints, phases, waits and answers."""

from collections.abc import Iterator

import dagster as dg

from assets.checking import checks_of
from assets.reporting import made, needs, rows_of, step
from assets.specs import table_specs
from pipelines.resources import Night

TABLES = ("journeys", "touchpoints", "touchpoint_events", "phase_visits", "waits", "experiences")


@dg.multi_asset(name="journeys", specs=table_specs(*TABLES))
def journeys(night: Night) -> Iterator[dg.MaterializeResult]:
    """Reconstruct every journey in one pass over the events."""
    from klantspoor.journeys import build

    needs(night.staging, "events")
    with step(night.staging, "journeys") as noted:
        noted.rows_in = night.staging.rows("events")
        build(night.project, night.staging)
        noted.rows_out = rows_of(night.staging, *TABLES)
    yield from made(night.staging, *TABLES)


journeys_checks = checks_of("journeys_checks", TABLES)

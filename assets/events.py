"""Events: deduplicated, with their persons, and the account of every row."""

from collections.abc import Iterator

import dagster as dg

from assets.checking import checks_of
from assets.reporting import made, needs, rows_of, step
from assets.specs import table_specs
from pipelines.resources import Night

TABLES = ("events", "intake", "quarantine")


@dg.multi_asset(name="events", specs=table_specs(*TABLES))
def events(night: Night) -> Iterator[dg.MaterializeResult]:
    """Make the event table from the ledger, and account for every row of every file."""
    from klantspoor.events import build

    needs(night.staging, "identities")
    with step(night.staging, "events") as noted:
        build(night.project, night.lake, night.staging)
        noted.rows_out = rows_of(night.staging, *TABLES)
    yield from made(night.staging, *TABLES)


events_checks = checks_of("events_checks", TABLES)

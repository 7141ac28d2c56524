"""Identity: whose identifiers are whose."""

from collections.abc import Iterator
from dataclasses import asdict

import dagster as dg

from assets.checking import checks_of
from assets.reporting import made, rows_of, step
from assets.specs import table_specs
from pipelines.resources import Night

TABLES = ("identities", "identity_audit", "person_aliases")


@dg.multi_asset(name="identity", specs=table_specs(*TABLES))
def identity(night: Night) -> Iterator[dg.MaterializeResult]:
    """Link identifiers of one person, guarded against shared ones."""
    from klantspoor.identity import resolve

    with step(night.staging, "identity") as noted:
        report = resolve(night.project, night.lake, night.staging)
        noted.rows_out = rows_of(night.staging, *TABLES)
    yield from made(night.staging, *TABLES, facts=asdict(report))


identity_checks = checks_of("identity_checks", TABLES)

"""Restatements: which published figures tonight changed, and why."""

import dagster as dg

from assets.checking import checks_of
from assets.reporting import made, needs, step
from assets.specs import table_specs
from klantspoor.dictionary import TABLES as ALL
from pipelines.resources import Night

TABLES = ("restatements",)
READS = tuple(name for name in ALL["restatements"].made_from if name in ALL)


@dg.multi_asset(name="restatements", specs=table_specs(*TABLES))
def restatements(night: Night) -> dg.MaterializeResult:
    """Compare tonight's figures with those of the version before, journey by journey."""
    from klantspoor.restatements import build

    needs(night.staging, *READS)
    with step(night.staging, "restatements") as noted:
        noted.rows_out = build(night.project, night.lake, night.staging)
    return next(made(night.staging, *TABLES))


restatements_checks = checks_of("restatements_checks", TABLES)

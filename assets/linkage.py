"""Linkage: probable duplicates among the records of persons. Not part of a night, which reads what the newest run kept."""

from collections.abc import Iterator

import dagster as dg

from assets.reporting import progress, step
from assets.specs import OWNERS
from pipelines.resources import Night


@dg.asset(
    name="linkage_evidence",
    group_name="identity",
    deps=["ledger"],
    kinds={"parquet", "splink"},
    owners=OWNERS,
    output_required=False,
    description="Pairs of records that are probably one person's, with weights; the newest run counts.",
)
def linkage_evidence(context: dg.AssetExecutionContext, night: Night) -> Iterator[dg.MaterializeResult]:
    """Compare the vault's records, where the project asks for it."""
    from klantspoor.identity.duplicates import find_duplicates

    if night.project.file.linkage is None:
        said = "Skipped: klantspoor.yaml has no `linkage`, so records of persons are not compared."
        context.log.info(said)
        progress.info(said)
        return
    with step(night.staging, "linkage") as noted:
        found = find_duplicates(night.project, night.lake.root, night.staging.as_of)
        noted.rows_in, noted.rows_out = found.report.records, found.report.links
    yield dg.MaterializeResult(
        metadata={
            "records": found.report.records,
            "pairs compared": found.report.compared,
            "dagster/row_count": found.report.links,
            "held back": found.report.held_back,
            "fields": list(found.report.fields),
            "warnings": list(found.report.warnings),
            "file": found.path.name,
        }
    )

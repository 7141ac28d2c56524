"""Publication: the whole night becomes the current version, or nothing does."""

from collections.abc import Iterator

import dagster as dg

from assets.checking import judge_table, results
from assets.reporting import made, needs, step
from assets.specs import OWNERS, check_specs, table_spec
from klantspoor.dictionary import TABLES
from pipelines.resources import Night

MADE_BEFORE = tuple(name for name in TABLES if name != "runs")

publication_spec = dg.AssetSpec(
    "publication",
    deps=[*TABLES, "models", "pages"],
    group_name="publication",
    kinds={"parquet", "duckdb"},
    owners=OWNERS,
    description="The published version: every table, model and page of one night, swapped in by one rename.",
)


@dg.multi_asset(
    name="publication",
    specs=[table_spec("runs").merge_attributes(deps=[*MADE_BEFORE, "models", "pages"]), publication_spec],
    check_specs=check_specs("runs"),
)
def publication(night: Night) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Write down the night itself, see that nothing critical failed, and publish."""
    from klantspoor.lake.steps import gate
    from klantspoor.report import Ending, report_metadata

    needs(night.staging, *MADE_BEFORE)
    with step(night.staging, "publication") as noted:
        ending = Ending(night.project, night.lake, night.staging)
        verdicts = judge_table(night.project, night.staging, "runs")
        gate(night.staging)
        version = night.lake.publish(night.staging)
        noted.facts = {"version": version.name}
    report = ending.published(version)
    yield from made(night.staging, "runs")
    yield from results("runs", verdicts)
    yield dg.MaterializeResult(
        asset_key="publication",
        metadata={
            "version": version.name,
            "dagster/row_count": sum(version.manifest["tables"].values()),
            "rows": version.manifest["tables"],
            "software": version.manifest["software"],
            **report_metadata(report),
        },
    )

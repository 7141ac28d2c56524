"""Pages: the journey map of every journey type as a self-contained HTML file."""

import dagster as dg

from assets.reporting import needs, step
from assets.specs import OWNERS
from klantspoor.dictionary import TABLES
from pipelines.resources import Night

READS = tuple(table.name for table in TABLES.values() if table.layer != "core" and table.name != "restatements")


@dg.asset(
    name="pages",
    deps=[*READS, "models"],
    group_name="pages",
    kinds={"html"},
    owners=OWNERS,
    description="The map page of every journey type: phases, volumes, times, channels, waits and their causes.",
)
def pages(night: Night) -> dg.MaterializeResult:
    """Write the pages from tonight's tables."""
    from klantspoor.page import write

    needs(night.staging, *READS)
    with step(night.staging, "pages"):
        write(night.project, night.staging)
    files = sorted(path.name for path in night.staging.extra("pages").rglob("*.html"))
    return dg.MaterializeResult(metadata={"files": len(files), "names": files[:50]})

"""Mining: the discovered models of every journey type, as BPMN and PNML."""

import dagster as dg

from assets.reporting import needs, step
from assets.specs import OWNERS
from pipelines.resources import Night

READS = ("journeys", "touchpoints", "phase_visits", "variants", "directly_follows")


@dg.asset(
    name="models",
    deps=list(READS),
    group_name="mining",
    kinds={"python"},
    owners=OWNERS,
    description="A process model per journey type at phase and at touchpoint level, with its fitness and precision.",
)
def models(night: Night) -> dg.MaterializeResult:
    """Discover the models from variants and directly-follows counts."""
    from klantspoor.mining import discover

    needs(night.staging, *READS)
    with step(night.staging, "models"):
        discover(night.project, night.staging)
    files = sorted(path.name for path in night.staging.extra("models").rglob("*") if path.is_file())
    return dg.MaterializeResult(metadata={"files": len(files), "names": files[:50]})

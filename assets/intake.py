"""Intake: what landed goes into the ledger."""

import dagster as dg

from assets.reporting import step
from assets.specs import OWNERS
from pipelines.resources import Night, named_nights

RETRIES = 2
RETRY_SECONDS = 10


@dg.asset(
    name="ledger",
    group_name="intake",
    kinds={"parquet"},
    owners=OWNERS,
    # However many nights a backfill asks for, one run takes them in: tables are made anew once, as of the last.
    partitions_def=named_nights(),
    backfill_policy=dg.BackfillPolicy.single_run(),
    description="Every file taken in, for ever: its events as read, identifiers seen together, and quarantine.",
)
def ledger(night: Night) -> dg.MaterializeResult:
    """Take in what landed until the end of the nights; a disk or network that fails is tried again, a mistake is not."""
    from klantspoor.forget import resume_all
    from klantspoor.intake import take_in
    from klantspoor.night import require_disk
    from klantspoor.report import intake_facts

    with step(night.staging, "ledger") as noted:
        disk = require_disk(night.project, night.lake, night.staging)
        # Whoever is forgotten by half is forgotten before anything new is read.
        forgetting = resume_all(night.project, night.lake, staging=night.staging)
        try:
            report = take_in(night.project, night.lake.root, night.staging.as_of, landed_before=night.landed_before)
        except OSError as error:
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from error
        intake_facts(noted, report)
        traces = [f"something is left of the person of request {one.request}: klantspoor forget --resume"
                  for one in forgetting if one.state == "traces"]  # fmt: skip
        near = [f"the disk is nearly full: the night {disk}"] if disk.is_near else []
        noted.odd = "; ".join(filter(None, [noted.odd, *traces, *near])) or None
    return dg.MaterializeResult(
        metadata={
            "new files": noted.facts["used"],
            "quarantined files": noted.facts["quarantined"],
            "files left for later": noted.facts["left"],
            "new rows": noted.rows_in,
            "known files": len(report.of("known")),
            "files that landed later": len(report.of("later")),
            "as of": night.staging.as_of.isoformat(),
        }
    )

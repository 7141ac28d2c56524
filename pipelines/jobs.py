"""The job: a whole night, in one process, for starting a process costs more than most steps."""

import dagster as dg

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all(),
    executor_def=dg.in_process_executor,
    description="Takes in what landed, rebuilds every table from the ledger, checks them, and publishes them together.",
)

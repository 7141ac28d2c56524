"""The jobs: a whole night, the linkage, the verification; each in one process, for starting one costs more than most steps."""

import dagster as dg

_LINKAGE = dg.AssetSelection.assets("linkage_evidence")
_VERIFICATION = dg.AssetSelection.assets("verification_report")
nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all() - _LINKAGE - _VERIFICATION,
    executor_def=dg.in_process_executor,
    description="Takes in what landed, rebuilds every table from the ledger, checks them, and publishes them together.",
)
weekly_linkage = dg.define_asset_job(
    "linkage",
    selection=_LINKAGE,
    executor_def=dg.in_process_executor,
    description="Compares the records of persons in the vault; the nights after it read what it found.",
)
weekly_verification = dg.define_asset_job(
    "verification",
    selection=_VERIFICATION,
    executor_def=dg.in_process_executor,
    description="Rebuilds every table aside from the ledger and compares them with what is published; nights may run meanwhile.",
)

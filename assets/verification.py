"""Verification: everything rebuilt aside and compared with what is published. Not part of a night, and holds no lake."""

from typing import TYPE_CHECKING

import dagster as dg

from assets.reporting import is_about_persons, progress
from assets.specs import OWNERS
from klantspoor.errors import KlantspoorError
from klantspoor.lake import open_lake
from pipelines.resources import named_project

if TYPE_CHECKING:
    from klantspoor.verify import Difference, Report


@dg.asset(
    name="verification_report",
    group_name="publication",
    deps=["publication"],
    kinds={"duckdb"},
    owners=OWNERS,
    description="Whether the published tables hold the same rows as a rebuild of everything from the ledger.",
)
def verification() -> dg.MaterializeResult:
    """Rebuild aside and compare; that the two differ, or cannot be compared, is a failure."""
    from klantspoor.verify import verify

    try:
        project = named_project()
        report = verify(project, open_lake(project))
    except KlantspoorError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    if report.verdict != "equal":
        raise dg.Failure(description=_why(report), metadata=_metadata(report), allow_retries=False)
    rows = sum(report.rows.values())
    progress.info("verification       %6.1f s, %s rows equal", report.seconds, f"{rows:,}")
    return dg.MaterializeResult(metadata=_metadata(report))


def _why(report: "Report") -> str:
    if report.verdict == "changed":
        return (
            f"version {report.version} cannot be made again, for what it was made of was changed since: run a night, then"
            f" verify. {'; '.join(report.changed)}"
        )
    return f"version {report.version} is not what the ledger says: run `klantspoor verify` for the keys of the rows"


def _metadata(report: "Report") -> dict[str, object]:
    return {
        "version": report.version,
        "verdict": report.verdict,
        "tables": len(report.rows),
        "rows": sum(report.rows.values()),
        "seconds": round(report.seconds, 1),
        "differences": [_told(difference) for difference in report.differences],
    }


def _told(difference: "Difference") -> dict[str, object]:
    """Dagster keeps for ever what it is told: of tables about single persons no key."""
    keys = [] if is_about_persons(difference.table) else [dict(key) for key in difference.keys_one]
    return {"says": difference.told("the version", "the rebuild"), "keys": keys}

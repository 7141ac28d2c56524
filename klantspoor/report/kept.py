"""Reports as they are kept: as the last line of each night's file in the diary."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from klantspoor.errors import LakeError
from klantspoor.lake import Staging
from klantspoor.lake.diary import end_run, nights, of_run
from klantspoor.report.model import NightReport
from klantspoor.report.words import moment


def keep(staging: Staging, report: NightReport) -> None:
    """Keep the report of a night that has ended."""
    end_run(staging, report.as_json())


def kept(staging: Staging) -> NightReport | None:
    """The report of this run, if it is kept already."""
    found = of_run(staging).report
    return None if found is None else NightReport.from_json(found)


def reports(root: Path, but: str | None = None) -> tuple[NightReport, ...]:
    """The reports of the lake at `root`, newest first, but for one run's and for what another release wrote differently."""
    found = []
    for night in nights(root):
        if night.report is not None and night.run_id != but:
            with suppress(ValueError):
                found.append(NightReport.from_json(night.report))
    return tuple(reversed(found))


def last(root: Path, timezone: str) -> tuple[NightReport, str | None]:
    """The newest report of the lake at `root`; and what is to be said of a night after it that never came to one.

    Raises:
        LakeError: no night has ended yet, or none that this release can tell of.
    """
    found = reports(root)
    if not found:
        raise LakeError("no night has been reported yet. Start the nightly job with: klantspoor run")
    newest = nights(root)[-1]
    if newest.report is not None:
        return found[0], None
    at = moment(newest.as_of, timezone)
    return found[0], f"The night of {at} is still on, or was stopped during {newest.last_step}."

"""How a night ends: its steps into `runs`, its report into the diary, whether it was published or not."""

from __future__ import annotations

from klantspoor.lake import Lake, Staging, Version
from klantspoor.lake.steps import runs_table, why_failed
from klantspoor.project.model import Project
from klantspoor.report.gather import gather, with_notes
from klantspoor.report.kept import keep, kept
from klantspoor.report.model import NightReport
from klantspoor.report.told import findings, night_report


class Ending:
    """The end of a night that is about to be published.

    Made before the checks of `runs`, for it stages that table; what is compared with the version before is compared then.
    """

    def __init__(self, project: Project, lake: Lake, staging: Staging) -> None:
        self._staging = staging
        self._facts = gather(project, lake, staging)
        odd: dict[str, list[str]] = {}
        for finding in findings(self._facts):
            odd.setdefault(finding.step, []).append(f"{finding.subject}: {finding.says}")
        staging.write("runs", runs_table(staging, lake.current(), odd))

    def published(self, version: Version) -> NightReport:
        """Keep and give the report, once the night is published."""
        facts = with_notes(self._facts, self._staging, version.name)
        report = night_report(facts)
        keep(self._staging, report)
        return report


def close_night(project: Project, lake: Lake, staging: Staging, error: BaseException | None = None) -> NightReport:
    """The report of a night that has ended: as it is kept, or kept now, as of one that was not published.

    `error` is what ended it, where that is known.
    """
    report = kept(staging)
    if report is None:
        report = night_report(gather(project, lake, staging, why_failed(error) if error is not None else None))
        keep(staging, report)
    return report

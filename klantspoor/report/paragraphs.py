"""What a report says, as paragraphs: a title line each, and items below it. How wide, how many: the terminal's and mail's matter.

Texts from data are made harmless by whoever shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from klantspoor.report.model import Check, Finding, NightReport
from klantspoor.report.words import counted, day, listed, moment, month, span

SETTLED = 7
"""Something that is odd for more nights in a row than this is told in a word."""
_LONGEST_STEPS = 3
_TOLD_TABLES = ("events", "journeys", "touchpoints", "waits")
_CAUSES = {
    "new": "new",
    "late": "late",
    "corrected": "corrected",
    "identity": "of another person now",
    "rule": "by changed rules",
    "erased": "erased",
    "clock": "for time went on",
}


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A line, and items that belong to it."""

    line: str
    items: tuple[str, ...] = ()


def came_in(report: NightReport) -> Iterator[Paragraph]:
    """What came in, and what could not be used."""
    what = ", ".join((counted(report.files, "file"), counted(report.rows, "row"), counted(report.events, "event")))
    yield Paragraph(f"Came in: {what}.")
    yield from _listed("Unusable files, quarantined", report.unusable)
    yield from _listed("Files with many quarantined rows", report.spoilt)
    yield from _listed("Left for the next night", report.left)


def did_not_arrive(report: NightReport) -> Iterator[Paragraph]:
    """Which sources did not come as expected."""
    late = [s for s in report.sources if s.freshness != "fresh"]
    said = tuple(": ".join(filter(None, (f"{s.source} is {s.freshness}", s.odd))) for s in late)
    if said:
        yield Paragraph(f"Did not arrive as expected: {len(said)}", said)
    elif report.sources:
        yield Paragraph("Did not arrive: nothing, every source is fresh.")


def complete(report: NightReport) -> Iterator[Paragraph]:
    """How far the data reaches, and which months may still change."""
    if report.complete_up_to is not None:
        held_back = f", held back by {report.held_back_by}" if len(report.sources) > 1 else ""
        yield Paragraph(f"Complete up to {moment(report.complete_up_to, report.timezone)}{held_back}.")
    if report.provisional_since is not None:
        yield Paragraph(f"Provisional, and still changing: {month(report.provisional_since)} and after.")


def odd(report: NightReport) -> Iterator[Paragraph]:
    """What was odd against the usual."""
    news = tuple(_told(report, finding) for finding in report.findings if finding.nights <= SETTLED)
    yield from _listed("Odd against the usual", news)
    settled = [
        f"{f.subject} {f.rule} since {day(f.since, report.timezone)}" for f in report.findings if f.nights > SETTLED
    ]
    if settled:
        yield Paragraph(f"Odd as before: {', '.join(settled)}.")
    if not report.findings and report.sources:
        yield Paragraph("Odd against the usual: nothing.")


def checks(report: NightReport) -> Iterator[Paragraph]:
    """Which checks did not hold."""
    yield from _listed("Stopped by", tuple(_check(check) for check in report.stopped_by))
    news = tuple(_check(check) for check in report.warnings if check.is_new)
    yield from _listed("Checks that warn", news)
    known = [check.name for check in report.warnings if not check.is_new]
    if known:
        yield Paragraph(f"Warned of as before: {', '.join(known)}.")
    if report.is_published and not report.warnings:
        yield Paragraph("Checks: all hold.")


def changed(report: NightReport) -> Iterator[Paragraph]:
    """What changed since the version before."""
    if not report.is_published:
        return
    if report.before is None:
        yield Paragraph("Changed: this is the first version.")
        return
    parts = []
    causes = [f"{number:,} {_CAUSES.get(cause, cause)}" for cause, number in report.changes.items() if number]
    if causes:
        parts.append(f"events: {', '.join(causes)}")
    for table in _TOLD_TABLES:
        more = report.tables.get(table, 0) - report.tables_before.get(table, 0)
        if more:
            parts.append(f"{table} {more:+,}")
    yield Paragraph(f"Changed since version {report.before}: {'; '.join(parts) or 'no row of the journeys'}.")
    if report.restated is not None and report.restated.figures:
        months = listed([month(name) for name in report.restated.months])
        why = "".join(f"; {_CAUSES.get(cause, cause)}: {number:,}" for cause, number in report.restated.causes.items())
        yield Paragraph(f"Restated: {counted(report.restated.figures, 'published figure')} of {months}{why}.")


def ended(report: NightReport) -> Iterator[Paragraph]:
    """How it ended: what was published, or why not and what stays."""
    if report.is_published:
        rows = [f"{report.tables[table]:,} {table}" for table in _TOLD_TABLES if table in report.tables]
        yield Paragraph(f"Published: version {report.version}{': ' if rows else ''}{', '.join(rows)}.")
        return
    if report.failed_step is not None:
        yield Paragraph(f"Failed in step {report.failed_step}: {report.why}")
    elif not report.stopped_by:
        yield Paragraph(f"Failed: {report.why}.")
    if report.before is None or report.before_as_of is None:
        yield Paragraph("Not published: nothing was before.")
        return
    complete_ = ""
    if report.before_complete_up_to is not None:
        complete_ = f", complete up to {moment(report.before_complete_up_to, report.timezone)}"
    yield Paragraph(
        f"Not published: version {report.before} of {moment(report.before_as_of, report.timezone)} stays{complete_}."
    )


def missed_nights(report: NightReport) -> Iterator[Paragraph]:
    """Nights before this one that were not published."""
    yield from _listed("Not published since the version before", report.unfinished)


def took(report: NightReport) -> Iterator[Paragraph]:
    """How long it took, and how much memory."""
    if not report.steps:
        return
    longest = sorted((s for s in report.steps if s.seconds is not None), key=lambda s: -(s.seconds or 0.0))
    steps = ", ".join(f"{step.step} {span(step.seconds or 0.0)}" for step in longest[:_LONGEST_STEPS])
    memory = f" and at most {report.memory_mb:,.0f} MiB of memory" if report.memory_mb is not None else ""
    yield Paragraph(f"Took {span(report.seconds)}{memory}; longest: {steps}.")


def _told(report: NightReport, finding: Finding) -> str:
    since = f"; since {day(finding.since, report.timezone)}" if finding.nights > 1 else ""
    subject = "" if finding.subject == "night" else f"{finding.subject}: "
    return f"{subject}{finding.says}{since}"


def _check(check: Check) -> str:
    return check.says


def _listed(title: str, items: tuple[str, ...]) -> Iterator[Paragraph]:
    if items:
        yield Paragraph(f"{title}: {len(items)}", items)

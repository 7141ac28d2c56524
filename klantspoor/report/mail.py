"""A report as a mail: one short plain text, with the headers that any mail program takes on its standard input.

At most 40 lines of at most 72 characters; nothing in it is taken for a link, an address or a command.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from itertools import chain
from textwrap import wrap

from klantspoor.report import paragraphs
from klantspoor.report.model import NightReport
from klantspoor.report.paragraphs import Paragraph
from klantspoor.report.words import counted, day, moment, shortened, unlinked

MOST_LINES = 40
WIDTH = 72
_LISTED = (5, 3, 2, 1)
"""Items of a paragraph that are told; fewer where all would be too long."""
_LINES_OF_ITEM = 2
_LINES_OF_TITLE = 3
_SOURCES = 8
_HEAD = f"  {'source':<20}{'rows':>9}{'usual':>9}  complete up to"
_PROJECT = 40


def mail(report: NightReport) -> str:
    """The whole message: subject and headers, an empty line, the text."""
    message = EmailMessage(policy=SMTP.clone(linesep="\n", cte_type="8bit", max_line_length=0))
    message["Subject"] = subject(report)
    message.set_content(body(report), charset="utf-8", cte="8bit")
    return message.as_bytes().decode("utf-8")


def subject(report: NightReport) -> str:
    """One line: of whom, which night, how it ended."""
    of = f"{shortened(unlinked(report.project), _PROJECT)}: night of {day(report.as_of, report.timezone)}"
    if not report.is_published:
        return f"{of} FAILED" + (f" in {report.failed_step}" if report.failed_step is not None else "")
    odd = len(report.unusable) + sum(source.freshness != "fresh" for source in report.sources)
    odd += sum(finding.nights <= paragraphs.SETTLED for finding in report.findings)
    odd += sum(check.is_new for check in report.warnings)
    return f"{of} published, {counted(odd, 'remark') if odd else 'nothing odd'}"


def body(report: NightReport) -> str:
    """The text."""
    for most in _LISTED:
        lines = list(_lines(report, most))
        if len(lines) <= MOST_LINES:
            break
    return "\n".join(lines) + "\n"


def _lines(report: NightReport, most: int) -> Iterator[str]:
    yield from _wrapped(f"{report.project}, the night of {moment(report.as_of, report.timezone)}", "", 2)
    yield ""
    if report.is_published:
        first = chain(paragraphs.ended(report), paragraphs.complete(report))
    else:
        first = chain(paragraphs.checks(report), paragraphs.ended(report))
    yield from _told(first, most)
    yield from _told(paragraphs.missed_nights(report), most)
    yield ""
    yield from _told(paragraphs.came_in(report), most)
    yield from _sources(report)
    yield from _told(paragraphs.did_not_arrive(report), most)
    yield from _told(paragraphs.odd(report), most)
    if report.is_published:
        yield from _told(paragraphs.checks(report), most)
        yield from _told(paragraphs.changed(report), most)
    yield ""
    yield from _told(paragraphs.took(report), most)
    yield from _wrapped(f"Times are those of {report.timezone}. More: klantspoor report; the table runs.", "", 2)


def _sources(report: NightReport) -> Iterator[str]:
    """A line a source; those that did not come as expected are told below in words."""
    if not report.sources:
        return
    yield _HEAD
    for source in report.sources[:_SOURCES]:
        reach = "no events" if source.complete_up_to is None else moment(source.complete_up_to, report.timezone)
        rows = f"{source.rows:,}" if source.files else "-"
        usual = "-" if source.usual_rows is None else f"{source.usual_rows:,}"
        yield f"  {shortened(unlinked(source.source), 19):<20}{rows:>9}{usual:>9}  {reach}"[:WIDTH]
    if len(report.sources) > _SOURCES:
        yield f"  and {len(report.sources) - _SOURCES} more"


def _told(told: Iterator[Paragraph], most: int) -> Iterator[str]:
    for paragraph in told:
        yield from _wrapped(paragraph.line, "", _LINES_OF_TITLE)
        for item in paragraph.items[:most]:
            yield from _wrapped(item, "  ", _LINES_OF_ITEM)
        if len(paragraph.items) > most:
            yield f"  and {len(paragraph.items) - most} more"


def _wrapped(text: str, indent: str, most: int) -> list[str]:
    """The text over at most so many lines; lines begin with a word of ours or an indent, never with what a mailer obeys."""
    lines = wrap(unlinked(text), WIDTH, initial_indent=indent, subsequent_indent=indent or "  ")
    return [*lines[: most - 1], shortened(" ".join(lines[most - 1 :]), WIDTH)] if len(lines) > most else lines

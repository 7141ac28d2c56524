"""A report as a mail: one short plain text, with the headers that any mail program takes on its standard input.

At most 40 lines of at most 72 characters; nothing in it is taken for a link, an address or a command.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Room:
    """How much is told: items of a paragraph, lines of an item and of a title, sources. How many there are a title says."""

    items: int
    item_lines: int
    title_lines: int
    sources: int


_ROOMS = (_Room(5, 2, 3, 8), _Room(3, 2, 3, 8), _Room(2, 2, 2, 6), _Room(1, 1, 1, 4))
"""Tried in turn, until all fits; in the last it always does."""
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
    return unlinked(
        f"{shortened(report.project, _PROJECT)}: night of {day(report.as_of, report.timezone)} {_ended(report)}"
    )


def _ended(report: NightReport) -> str:
    if not report.is_published:
        return "FAILED" + (f" in {shortened(report.failed_step, _PROJECT)}" if report.failed_step is not None else "")
    odd = len(report.unusable) + len(report.spoilt) + sum(source.freshness != "fresh" for source in report.sources)
    odd += sum(finding.nights <= paragraphs.SETTLED for finding in report.findings)
    odd += sum(check.is_new for check in report.warnings)
    return f"published, {counted(odd, 'remark') if odd else 'nothing odd'}"


def body(report: NightReport) -> str:
    """The text."""
    for room in _ROOMS:
        lines = list(_lines(report, room))
        if len(lines) <= MOST_LINES:
            break
    return "\n".join(lines) + "\n"


def _lines(report: NightReport, room: _Room) -> Iterator[str]:
    yield from _wrapped(
        f"The night of {moment(report.as_of, report.timezone)} at {report.project}", "", room.title_lines
    )
    yield ""
    if report.is_published:
        first = chain(paragraphs.ended(report), paragraphs.complete(report))
    else:
        first = chain(paragraphs.checks(report), paragraphs.ended(report))
    yield from _told(chain(first, paragraphs.missed_nights(report)), room)
    yield ""
    yield from _told(paragraphs.came_in(report), room)
    yield from _sources(report, room)
    yield from _told(chain(paragraphs.did_not_arrive(report), paragraphs.odd(report)), room)
    if report.is_published:
        yield from _told(chain(paragraphs.checks(report), paragraphs.changed(report)), room)
    yield ""
    yield from _told(paragraphs.took(report), room)
    yield from _wrapped(f"Times are those of {report.timezone}. More: klantspoor report", "", room.title_lines)


def _sources(report: NightReport, room: _Room) -> Iterator[str]:
    """A line a source; those that did not come as expected are told below in words."""
    if not report.sources:
        return
    yield _HEAD
    for source in report.sources[: room.sources]:
        reach = "no events" if source.complete_up_to is None else moment(source.complete_up_to, report.timezone)
        rows = f"{source.rows:,}" if source.files else "-"
        usual = "-" if source.usual_rows is None else f"{source.usual_rows:,}"
        yield shortened(f"  {shortened(unlinked(source.source), 19):<20}{rows:>9}{usual:>9}  {reach}", WIDTH)
    if len(report.sources) > room.sources:
        yield f"  and {len(report.sources) - room.sources} more"


def _told(told: Iterable[Paragraph], room: _Room) -> Iterator[str]:
    for paragraph in told:
        yield from _wrapped(paragraph.line, "", room.title_lines)
        for item in paragraph.items[: room.items]:
            yield from _wrapped(item, "  ", room.item_lines)


def _wrapped(text: str, indent: str, most: int) -> list[str]:
    """The text over at most so many lines; lines begin with a word of ours or an indent, never with what a mailer obeys."""
    lines = wrap(unlinked(text), WIDTH, initial_indent=indent, subsequent_indent=indent or "  ")
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], shortened(lines[most - 1] + " …", WIDTH)]

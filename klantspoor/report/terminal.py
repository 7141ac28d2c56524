"""A report on a terminal: the end of `klantspoor run`, and `klantspoor report`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from klantspoor.lake.publishing import DATABASE
from klantspoor.report import paragraphs
from klantspoor.report.model import NightReport
from klantspoor.report.words import harmless, shortened

_LISTED = 5
_WIDTH = 160


def terminal_lines(report: NightReport, lake: Path | None = None) -> Iterator[str]:
    """The lines; `lake` is the lake's folder, to say where what was published lies."""
    told = chain(
        paragraphs.came_in(report),
        paragraphs.did_not_arrive(report),
        paragraphs.odd(report),
        paragraphs.checks(report),
        paragraphs.missed_nights(report),
        paragraphs.changed(report),
        paragraphs.complete(report) if report.is_published else (),
        paragraphs.ended(report),
        paragraphs.took(report),
    )
    for paragraph in told:
        yield harmless(paragraph.line)
        yield from (f"  {shortened(harmless(item), _WIDTH)}" for item in paragraph.items[:_LISTED])
        if len(paragraph.items) > _LISTED:
            yield f"  … and {len(paragraph.items) - _LISTED} more"
    if lake is not None and report.is_published:
        yield f"Tables: {lake / DATABASE}"
        index = lake / "versions" / str(report.version) / "pages" / "index.html"
        if index.is_file():
            yield f"Map: {index}"

"""Write the map pages of a version: a self-contained page per journey type, and an index.

Templates and files only: figures come from `figures`, wording of numbers from `units`. Everything that came from data
or from a project file reaches the HTML through Jinja's autoescaping.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from klantspoor.page import bars, units
from klantspoor.page.figures import LEAST_ANSWERS, WORST, collect, fetch
from klantspoor.page.shapes import JourneyPage

if TYPE_CHECKING:
    import duckdb
    from jinja2 import Environment

    from klantspoor.lake import Staging
    from klantspoor.project.model import Project

_LONGEST_TITLE = 400
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def write(project: Project, staging: Staging) -> list[Path]:
    """Write `pages/JOURNEY.html` for each journey type and `pages/index.html` into the run's staging folder.

    Returns:
        The files written, the index last.
    """
    folder = staging.extra("pages")
    connection = staging.connect()
    try:
        return write_pages(project, connection, folder, staging.as_of, staging.run_id)
    finally:
        connection.close()


def write_pages(
    project: Project, connection: duckdb.DuckDBPyConnection, folder: Path, as_of: datetime, run_id: str
) -> list[Path]:
    """Write the pages into `folder` from a connection with a view per published table; `as_of` is an aware instant."""
    environment = _environment(project.file.timezone)
    shared: dict[str, Any] = {"project": project.file, "as_of": as_of, "run_id": run_id}
    pages = [collect(connection, project, name, as_of, run_id) for name in project.journeys]
    written = []
    for page in pages:
        html = environment.get_template("journey.html.j2").render(page=page, legend=_legend(page), **shared)
        written.append(_save(folder / f"{page.journey.journey}.html", html))
    freshness = fetch(connection, "select * from freshness order by source", [])
    html = environment.get_template("index.html.j2").render(pages=pages, freshness=freshness, **shared)
    written.append(_save(folder / "index.html", html))
    return written


def _save(path: Path, html: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Escaping leaves control characters and those that turn text round as they are.
    path.write_text(_UNSEEN.sub("\ufffd", html), encoding="utf-8")
    return path


def _legend(page: JourneyPage) -> list[str]:
    splits = [phase.figures.waiting for phase in page.phases if phase.figures]
    splits += [bottleneck.waiting for bottleneck in page.worst]
    return bars.used([*splits, *([page.totals.waiting] if page.totals else [])])


def _environment(zone: str) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "hours": units.hours,
        "share": units.share,
        "count": units.count,
        "plural": units.plural,
        "month": units.month,
        "short": units.short,
        "title": lambda text: units.short(text, _LONGEST_TITLE),
        "day": lambda value: units.day(value, zone),
        "instant": lambda value: units.instant(value, zone),
    }
    environment.globals |= {
        "stack": bars.stack,
        "describe": bars.describe,
        "names": bars.NAMES,
        "meanings": bars.MEANINGS,
        "least_answers": LEAST_ANSWERS,
        "worst_shown": WORST,
        "zone": zone,
    }
    return environment

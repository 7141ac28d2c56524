"""`klantspoor restated`: which published figures nights changed after the fact, and why, in plain words.

Printing only: what is said comes from the table `restatements`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.rule import Rule
from rich.table import Table as Grid
from rich.text import Text

from klantspoor.cli.context import (
    CommandError,
    ProjectPath,
    clean,
    console,
    current_version,
    note,
    open_project,
    plain,
    say,
)
from klantspoor.errors import LakeError, NotFoundError, did_you_mean
from klantspoor.page import units

if TYPE_CHECKING:
    from klantspoor.lake import Version
    from klantspoor.project.model import Project

CAUSES = {
    "new": "events that are new, and not late",
    "late": "new events of a time up to which their source was held to be complete",
    "corrected": "events of which the source says something else now",
    "identity": "persons who were merged or split, or have another persona",
    "rule": "another configuration, or other software",
    "erased": "people who were forgotten",
    "clock": "time alone: who was silent for too long has given up",
}
_MONTH = re.compile(r"^\d{4}-(0[1-9]|1[0-2])$")
_MOST = 7
_FIGURES = {
    "journeys": "journeys",
    "persons": "persons",
    "visits": "visits",
    "touchpoints": "touchpoints",
    "waits": "waits",
    "wait_total_hours": "waiting in all",
    "dwell_median_hours": "median stay",
    "wait_median_hours": "median wait",
    "drop_off_share": "dropped off",
}
"""What is shown unless all is asked for, and its words."""


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("restated")(restated)


def restated(
    month: Annotated[
        str | None, typer.Option("--month", help="Of this month only: 2026-03.", show_default=False)
    ] = None,
    journey_type: Annotated[
        str | None, typer.Option("--journey-type", help="Of this journey only.", show_default=False)
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Personas apart, steps between contacts, and every figure.")
    ] = False,
    most: Annotated[int, typer.Option("--most", min=1, help="Nights at most: the latest that changed any.")] = _MOST,
    project: ProjectPath = None,
) -> None:
    """Show which published figures of months that were over changed afterwards, and why.

    Example: klantspoor restated --month 2026-03
    """
    loaded = open_project(project)
    if month is not None and not _MONTH.match(month):
        raise CommandError(f"{month[:20]!r} is not a month: give year and month, such as 2026-03")
    if journey_type is not None and journey_type not in loaded.journeys:
        hint = did_you_mean(journey_type, list(loaded.journeys))
        raise NotFoundError(" ".join(filter(None, (f"There is no journey {journey_type[:40]!r}.", hint))))
    rows = _read(current_version(loaded), month, journey_type, everything, most)
    if not rows:
        say("Nothing: no night that is still told of changed a published figure of a month that was over.")
        return
    for (_, kind, of_month), found in groupby(rows, key=lambda row: (row["as_of"], row["journey_type"], row["month"])):
        _show(loaded, kind, of_month, list(found))
    _legend(rows)
    if not everything:
        note("All personas together, and the main figures; --all shows every one.")


def _read(
    version: Version, month: str | None, journey_type: str | None, everything: bool, most: int
) -> list[dict[str, Any]]:
    if not version.has("restatements"):
        raise LakeError(f"version {version.name} was published by older software, which kept no restatements")
    main = "persona IS NULL AND coalesce(level, 'phase') = 'phase' AND list_contains($figures, figure)"
    with version.connect() as connection:
        rows: list[dict[str, Any]] = (
            connection.sql(
                f"""SELECT * FROM restatements
            WHERE ($month IS NULL OR month = $month) AND ($kind IS NULL OR journey_type = $kind)
                AND ($everything OR {main})
            QUALIFY dense_rank() OVER (ORDER BY as_of DESC) <= $most
            ORDER BY as_of DESC, journey_type, month DESC, persona NULLS FIRST, mart DESC, level, phase, from_step, to_step""",
                params={
                    "month": month,
                    "kind": journey_type,
                    "most": most,
                    "figures": list(_FIGURES),
                    "everything": everything,
                },
            )
            .to_arrow_table()
            .to_pylist()
        )
    return rows


def _show(project: Project, journey_type: str, month: str, rows: Sequence[dict[str, Any]]) -> None:
    file = project.journeys.get(journey_type)
    says = {phase.id: phase.says for phase in file.phases} if file else {}
    title = f"{file.title if file else journey_type}, {units.month(month)}"
    night = f"  changed in the night of {units.day(rows[0]['as_of'], project.file.timezone)}"
    console.print()
    console.print(Rule(Text.assemble((clean(title), "bold"), night), align="left", style="dim"))
    grid = Grid(box=None, pad_edge=False, show_header=False)
    for ratio, justify in ((3, "left"), (2, "left"), (2, "right"), (1, "right"), (3, "left")):
        grid.add_column(ratio=ratio, justify=justify)  # type: ignore[arg-type]
    last = ""
    for row in rows:
        place = _place(row, says)
        grid.add_row(
            plain("" if place == last else place, "cyan"),
            plain(_FIGURES.get(row["figure"], row["figure"].removesuffix("_hours").replace("_", " "))),
            plain(f"{_amount(row, 'before')} → {_amount(row, 'after')}"),
            plain(_change(row)),
            plain(_why(row), "dim"),
        )
        last = place
    console.print(grid)


def _place(row: dict[str, Any], says: dict[str, str]) -> str:
    steps = [row["phase"]] if row["mart"] == "journey_map" else [row["from_step"], row["to_step"]]
    known = says if row["level"] != "touchpoint" else {}
    place = " → ".join(known.get(step, step) for step in steps)
    return place if row["persona"] is None else f"{row['persona']}: {place}"


def _amount(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if value is None or row["unit"] == "share":
        return units.share(value)
    if row["unit"] == "count":
        return units.count(int(value))
    return units.seconds(value) if row["unit"] == "seconds" else units.hours(value)


def _change(row: dict[str, Any]) -> str:
    if row["change"] is None or row["unit"] == "share":
        return ""
    sign = "+" if row["change"] > 0 else "−"
    return sign + _amount(row | {"change": abs(row["change"])}, "change")


def _why(row: dict[str, Any]) -> str:
    """The causes with their parts, or why they are not told."""
    if row["before"] is None and row["change"] is None:
        return "not told before, or it counted people who are forgotten now"
    if row["after"] is None and row["change"] is None:
        return "too few people to be told now"
    if row["unit"] in ("hours", "share"):
        return ""
    if row["new"] is None:
        return "several causes, with too few people to tell them apart"
    return ", ".join(_parts(row))


def _parts(row: dict[str, Any]) -> Iterator[str]:
    told = [cause for cause in CAUSES if row[cause]]
    for cause in told:
        part = _change(row | {"change": row[cause]})
        yield cause if len(told) == 1 else f"{part} {cause}"


def _legend(rows: Sequence[dict[str, Any]]) -> None:
    console.print()
    for cause, meaning in CAUSES.items():
        if any(row[cause] for row in rows):
            console.print(plain(f"{cause}: {meaning}", "dim"))

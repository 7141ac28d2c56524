"""`klantspoor identity …`: what can be said of who is who.

Here: the group of these commands, and `score`. A file with another command adds it to `identity_app`.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table as Grid

from klantspoor.cli.context import ProjectPath, console, current_version, note, open_project, plain

if TYPE_CHECKING:
    from klantspoor.identity.judged import Judged
    from klantspoor.identity.score import Measure, Scores

identity_app = typer.Typer(
    help="Who is who: what stewards decided, probable duplicates, and how well persons are told apart."
    "\n\nExample: klantspoor identity force",
    no_args_is_help=True,
)

_MEASURES = (("pairwise", "pairs of records"), ("bcubed", "records (B-cubed)"), ("cluster", "whole persons"))


class Format(StrEnum):
    """How the scores are written."""

    table = "table"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add the group of these commands to the app."""
    app.add_typer(identity_app, name="identity")


@identity_app.command("score")
def score(
    truth: Annotated[
        Path,
        typer.Option(
            "--truth",
            metavar="FILE",
            help="Who is really who: Parquet or CSV with source, source_event_id and true_person, or with "
            "identifier_type, raw_value and true_person.",
            show_default=False,
        ),
    ],
    persons: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Who lives together: Parquet or CSV with true_person and household.",
            show_default="the truth's own column household, where it has one",
        ),
    ] = None,
    form: Annotated[Format, typer.Option("--format", "-f", help="How to write the scores.")] = Format.table,
    project: ProjectPath = None,
) -> None:
    """Hold the published persons against a truth: precision, recall and F1, in three ways and two readings.

    Example: klantspoor identity score --truth truth/events.parquet
    """
    from klantspoor.identity.judged import LEFT_OUT, judge
    from klantspoor.identity.truth import read_truth
    from klantspoor.lake import open_lake

    loaded = open_project(project)
    version = current_version(loaded)
    given = read_truth(truth, persons)
    judged = judge(loaded, open_lake(loaded), version, given)
    whole, tied = judged.scores()
    if form is Format.json:
        typer.echo(json.dumps(_document(given.kind, version.name, judged, whole, tied), indent=2))
        return
    console.print(plain(f"{whole.records:,} {given.kind} of version {version.name}, held against {truth}", "bold"))
    console.print(_grid(whole, tied))
    for line in _counts(given.kind, whole, tied):
        console.print(plain(line))
    for reason, count in judged.left_out.items():
        if count:
            note(f"Left out: {count:,} of the truth's rows {LEFT_OUT[reason]}.")


def _grid(whole: Scores, tied: Scores) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column("")
    for name in ("precision", "recall", "F1"):
        grid.add_column(name, justify="right")
    for reading, scores in (("Of all", whole), ("Of what the data could tie together", tied)):
        grid.add_row(plain(reading, "cyan"))
        for name, words in _MEASURES:
            measure: Measure = getattr(scores, name)
            figures = (measure.precision, measure.recall, measure.f1)
            grid.add_row(f"  {words}", *(f"{figure:.4f}" for figure in figures))
    return grid


def _counts(kind: str, whole: Scores, tied: Scores) -> list[str]:
    merged = f"{whole.merged_persons:,} of them hold {kind} of more than one true person"
    if whole.merged_in_household is not None:
        merged += f", {whole.merged_in_household:,} of these of one household"
    return [
        f"{whole.predicted_persons:,} persons were found; {merged}.",
        f"{whole.true_persons:,} true persons; {whole.split_persons:,} of them are split over several persons found, "
        f"where the data tell {tied.true_persons:,} apart ({tied.split_persons:,} of those are split).",
        f"{kind.capitalize()} that were given no person: {whole.without_person:,}; each counts as a person of its own.",
    ]


def _document(kind: str, version: str, judged: Judged, whole: Scores, tied: Scores) -> dict[str, Any]:
    def measures(scores: Scores) -> dict[str, Any]:
        found = {name: getattr(scores, name) for name, _ in _MEASURES}
        return {name: {"precision": m.precision, "recall": m.recall, "f1": m.f1} for name, m in found.items()}

    return {
        "version": version,
        "scored": kind,
        "records": whole.records,
        "without_person": whole.without_person,
        "predicted_persons": whole.predicted_persons,
        "true_persons": whole.true_persons,
        "merged_persons": whole.merged_persons,
        "merged_in_household": whole.merged_in_household,
        "split_persons": whole.split_persons,
        "all": measures(whole),
        "tied": measures(tied) | {"true_persons": tied.true_persons, "split_persons": tied.split_persons},
        "left_out": judged.left_out,
    }

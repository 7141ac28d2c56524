"""What a step reports to Dagster: rows, a preview, lineage; and how the library's errors become failures.

Dagster keeps what it is told for ever, and nobody can be forgotten there: rows about single persons are not told. Text
from data is shown in its pages, so every cell of a preview is escaped.
"""

import html
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg
import duckdb

from assets.specs import column_lineage
from klantspoor.dictionary import TABLES
from klantspoor.errors import KlantspoorError
from klantspoor.lake import Staging
from klantspoor.lake.connection import quoted
from klantspoor.lake.steps import Step, measured

progress = logging.getLogger("klantspoor.night")
"""One line per step; `pipelines.run` prints them."""
PREVIEW_ROWS = 5
_CELL = 40
_MARKDOWN = str.maketrans({character: f"&#{ord(character)};" for character in "|`*_[]()!#~\\"})


@contextmanager
def step(staging: Staging, name: str) -> Iterator[Step]:
    """A step of the night: measured, told in one line; an error of the library is a failure that is not retried."""
    try:
        with measured(staging, name) as noted:
            yield noted
    except KlantspoorError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    rows = "" if noted.rows_out is None else f", {noted.rows_out:,} rows"
    progress.info("%-18s %6.1f s%s", name, noted.elapsed_seconds, rows)


def needs(staging: Staging, *tables: str) -> None:
    """See that this run has made what a step reads: one that is materialised alone mixes nothing with an earlier night.

    Raises:
        dagster.Failure: naming what is absent and what to run.
    """
    absent = [name for name in tables if not staging.has(name)]
    if absent:
        raise dg.Failure(
            f"This run has not made {', '.join(absent)}: run the job `nightly`, which makes every table anew.",
            allow_retries=False,
        )


def made(staging: Staging, *tables: str, facts: Mapping[str, int] | None = None) -> Iterator[dg.MaterializeResult]:
    """What a step made: rows, of marts the first few of them, where columns come from; `facts` stand with the first."""
    with staging.connect() as connection:
        for name in tables:
            metadata: dict[str, object] = {
                "dagster/row_count": staging.rows(name),
                "dagster/column_lineage": column_lineage(TABLES[name]),
            }
            if not is_about_persons(name):
                metadata["preview"] = dg.MetadataValue.md(preview(connection, name))
            if facts and name == tables[0]:
                metadata |= facts
            yield dg.MaterializeResult(asset_key=name, metadata=metadata)


def is_about_persons(name: str) -> bool:
    """Whether rows of the table are about single persons, or may be: all are, but those of marts.

    Restatements tell what changed, which may be about one person's coming or going.
    """
    return TABLES[name].layer != "marts" or name == "restatements"


def rows_of(staging: Staging, *tables: str) -> int:
    """Rows of several staged tables together."""
    return sum(staging.rows(name) for name in tables)


def preview(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """The first rows as a Markdown table, harmless whatever the data says."""
    rows = connection.execute(f"SELECT * FROM {quoted(name)} LIMIT {PREVIEW_ROWS}").fetchall()
    columns = TABLES[name].names
    lines = [_line(columns), _line(["---"] * len(columns), is_text=False)]
    return "\n".join([*lines, *(_line(["" if value is None else value for value in row]) for row in rows)])


def _line(values: "list[object] | tuple[object, ...]", is_text: bool = True) -> str:
    return "| " + " | ".join(_cell(value) if is_text else str(value) for value in values) + " |"


def _cell(value: object) -> str:
    # One line, and nothing that a terminal would obey or that turns text round.
    text = "".join(character if character.isprintable() else " " for character in str(value)[: _CELL + 1])
    text = text if len(text) <= _CELL else text[: _CELL - 1] + "…"
    return html.escape(text).translate(_MARKDOWN)

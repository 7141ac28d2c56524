"""A look at what a source's mapping makes of its newest file: raw rows beside canonical events. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from klantspoor.errors import NotFoundError, did_you_mean
from klantspoor.intake.faults import as_text, shape
from klantspoor.intake.landing import find
from klantspoor.intake.plan import make_plan, shows
from klantspoor.intake.raw import RawBatch, open_raw
from klantspoor.intake.reading import Counts, Passage
from klantspoor.intake.tools import Tools
from klantspoor.project.key import load_key
from klantspoor.project.model import Project, SourceFile


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One raw row and what it becomes.

    `raw` has a text for each column, of personal ones only the shape. `outcome` is events, reference, ignored or
    quarantined; `events` are canonical events as in the ledger; `reasons` are (reason, column, detail).
    """

    file: str
    row_number: int
    raw: dict[str, str | None]
    outcome: str
    events: list[dict[str, Any]]
    reasons: list[tuple[str, str | None, str]]


def preview(project: Project, source_name: str, rows: int = 10) -> list[PreviewRow]:
    """The first `rows` rows of the source's newest landing file, with what they become.

    Raises:
        NotFoundError: there is no such source, or no file of it.
        IntakeError: the file as a whole cannot be used.
        ConfigError: the key for pseudonyms is not there.
    """
    source = project.sources.get(source_name)
    if source is None:
        hint = did_you_mean(source_name, set(project.sources)) or f"There are: {', '.join(sorted(project.sources))}."
        raise NotFoundError(f"no source {source_name!r}. {hint}")
    landing = Path(project.root) / project.file.landing
    found, _ = find(landing, source_name, source.files, datetime.now(UTC))
    if not found:
        raise NotFoundError(
            f"source {source_name} has no file in {project.file.landing} that fits {', '.join(source.files)}"
        )
    newest = found[-1]
    keys = load_key(project)
    raw = open_raw(newest.path, source)
    plan = make_plan(source, raw.columns, all_columns=True)
    tools = Tools(project, source, keys, newest.landed_at)
    passage = Passage(project, plan, newest.landed_at, tools)
    seen: list[PreviewRow] = []
    for batch in raw.batches(plan.wanted):
        seen += _rows(passage, source, newest.file, _first(batch, rows - len(seen)))
        if len(seen) >= rows:
            break
    return seen


def _first(batch: RawBatch, rows: int) -> RawBatch:
    """The first `rows` records of a batch, malformed ones included."""
    numbers = sorted([*batch.numbers[:rows].tolist(), *(number for number, _ in batch.malformed)])[:rows]
    last = numbers[-1] if numbers else 0
    good = int((batch.numbers <= last).sum())
    malformed = tuple(row for row in batch.malformed if row[0] <= last)
    return RawBatch(batch.table.slice(0, good), batch.numbers[:good], malformed)


def _rows(passage: Passage, source: SourceFile, file: str, batch: RawBatch) -> list[PreviewRow]:
    result = passage.take(batch, Counts())
    shown = pa.table({name: _shown(source, name, batch.table.column(name)) for name in batch.table.column_names})
    raw = dict(zip(batch.numbers.tolist(), shown.to_pylist(), strict=True))
    ignored = dict(zip(batch.numbers.tolist(), result.ignored.tolist(), strict=True))
    told = {(link["row_number"], link["position"]): link["identifiers"] for link in result.links.to_pylist()}
    events = [
        event | {"identifiers": told.get((event["row_number"], event["position"]), [])}
        for event in result.events.to_pylist()
    ]
    faults = result.quarantine.to_pylist()
    rows = []
    for number in sorted([*raw, *(number for number, _ in batch.malformed)]):
        reasons = [(f["reason"], f["column"], f["detail"]) for f in faults if f["row_number"] == number]
        outcome = "quarantined" if reasons else "ignored" if ignored[number] else _kind(source)
        own = [event for event in events if event["row_number"] == number]
        rows.append(PreviewRow(file, number, raw.get(number, {}), outcome, own, reasons))
    return rows


def _kind(source: SourceFile) -> str:
    return "reference" if source.kind == "reference" else "events"


def _shown(source: SourceFile, name: str, values: pa.ChunkedArray) -> pa.Array:
    texts = as_text(values.combine_chunks())
    return texts if shows(source, name) else shape(texts)

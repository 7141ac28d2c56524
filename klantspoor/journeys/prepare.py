"""A night's setting for the kernel: rules, code books and calendar, worked out once from the project and the kinds."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa

from klantspoor.journeys.calendar import closed_intervals, microseconds
from klantspoor.journeys.kernel import Setting, make_setting
from klantspoor.journeys.publish import Names
from klantspoor.journeys.rules import compile_rules, kinds_of
from klantspoor.journeys.slices import KindTraits
from klantspoor.project.model import Project


def prepare(project: Project, kinds: pa.Table, personas: list[str], as_of: datetime, first: int, last: int) -> Setting:
    """Everything the kernel needs to know beside the events.

    Args:
        project: the loaded project.
        kinds: one row per kind, `kind` counting from 0 in order, with the columns of `rules.KIND_COLUMNS`.
        personas: names of the personas, by code.
        as_of: the night's clock, aware.
        first: earliest start of any event, in microseconds since 1970 UTC.
        last: latest end of any event.

    Raises:
        ConfigError: where the journey files contradict themselves about a kind (R3).
    """
    columns = {name: kinds[name].to_pylist() for name in kinds.column_names}
    lines = sorted({(s, c or "", c is None) for s, c in zip(columns["source"], columns["channel"], strict=True)})
    line_of = {line: number for number, line in enumerate(lines)}
    line = [line_of[s, c or "", c is None] for s, c in zip(columns["source"], columns["channel"], strict=True)]
    gap = [round(project.contact_gap(source).total_seconds() * 1_000_000) for source in columns["source"]]
    books = {
        name: _book(columns[name]) for name in ("activity", "channel", "source", "team", "initiator", "instrument")
    }
    clock = microseconds(as_of)
    names = Names(
        **{name: pa.array(book, pa.string()) for name, book in books.items()},
        persona=pa.array(personas, pa.string()),
        activity_of_kind=_codes(columns["activity"], books["activity"]),
        team_of_kind=_codes(columns["team"], books["team"]),
        initiator_of_kind=_codes(columns["initiator"], books["initiator"]),
        instrument_of_kind=_codes(columns["instrument"], books["instrument"]),
        channel_of_line=_codes([None if nothing else c for _, c, nothing in lines], books["channel"]),
        source_of_line=_codes([s for s, _, _ in lines], books["source"]),
    )
    return make_setting(
        compile_rules(project, kinds_of(kinds)),
        KindTraits(np.array(line, dtype=np.int32), np.array(gap, dtype=np.int64)),
        names,
        closed_intervals(project.file.calendar, project.file.timezone, first, max(last, clock)),
        clock,
        columns["initiator"],
        columns["instrument"],
    )


def _book(values: list[str | None]) -> list[str]:
    return sorted({value for value in values if value is not None})


def _codes(values: list[str | None], book: list[str]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    code = {name: number for number, name in enumerate(book)}
    return np.array([-1 if value is None else code[value] for value in values], dtype=np.int32)

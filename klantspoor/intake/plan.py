"""Which expressions are computed for a file: its dialect, the columns that it must have, and what each is for.

Nothing is computed here; `klantspoor.intake.gate` does that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from klantspoor.errors import IntakeError, did_you_mean
from klantspoor.project.model import CsvReader, Dialect, SourceFile
from klantspoor.project.privacy import is_not_personal, personal_columns
from klantspoor.project.sql import Expression, ResolvedMapping, SqlError, column_key, merged_events, parse

Kind = Literal["text", "typed", "flag"]
AS_IS = Dialect(name="default", columns={})
"""What a source without dialects has: its columns as they are."""

_TYPED = ("version", "occurred_at", "ended_at", "need_started_at")
_TEXT = ("id", "activity", "channel", "initiator", "team", "topic", "outcome", "persona", "account", "tie_order")


@dataclass(frozen=True, slots=True)
class Slot:
    """One expression to compute, and what it is called in the gate's answer.

    `column` is the first raw column it reads (None: none), for messages. `personal`: whether any column it reads
    is, as the mapping sees them; `raw_personal`: whether that raw column is.
    """

    name: str
    expression: Expression
    kind: Kind
    column: str | None
    personal: bool
    raw_personal: bool


@dataclass(frozen=True, slots=True)
class EventPlan:
    """One event that a row may hold; `slots` by their key: "activity", "case_keys.order", "identifiers.0"."""

    position: int
    mapping: ResolvedMapping
    slots: dict[str, Slot]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the gate needs to know about one file.

    `wanted` are the raw columns to read; `absent` the optional ones that the file lacks; `slots` are all that is
    computed, each once, however many events share it.
    """

    source: SourceFile
    dialect: Dialect
    wanted: tuple[str, ...]
    absent: tuple[str, ...]
    slots: tuple[Slot, ...]
    ignore: Slot | None
    events: tuple[EventPlan, ...]


def make_plan(source: SourceFile, columns: Sequence[str], *, all_columns: bool = False) -> Plan:
    """The plan for a file with these raw `columns`; `all_columns` reads even what no expression needs.

    Raises:
        IntakeError: `missing_column`: the file lacks columns that the mapping needs, in every dialect.
    """
    events = merged_events(source)
    expressions = [(key, text) for mapping in events for key, text, _ in _expressions(mapping, source.kind)]
    if source.ignore_when is not None:
        expressions.append(("ignore_when", source.ignore_when))
    used = {column_key(c): c for key, text in expressions for c in _parsed(key, text).columns}
    dialect, needed = _choose(source, used, columns)
    present = {column_key(c): c for c in columns}
    hashes_rows = source.kind == "events" and any(mapping.id is None for mapping in events)
    wanted = list(columns) if hashes_rows or all_columns else [c for k, c in present.items() if k in needed]
    slots = _Slots(source, dialect)
    return Plan(
        source=source,
        dialect=dialect,
        wanted=tuple(wanted),
        absent=tuple(name for key, name in needed.items() if key not in present),
        ignore=slots.get("ignore_when", source.ignore_when, "flag") if source.ignore_when is not None else None,
        events=tuple(
            EventPlan(
                position,
                mapping,
                {key: slots.get(key, text, kind) for key, text, kind in _expressions(mapping, source.kind)},
            )
            for position, mapping in enumerate(events, start=1)
        ),
        slots=tuple(slots.made.values()),
    )


def _expressions(mapping: ResolvedMapping, kind: str) -> Iterator[tuple[str, str, Kind]]:
    """(key, SQL, kind) of all that one event mapping says; of a reference row only what links need."""
    if mapping.when is not None:
        yield "when", mapping.when, "flag"
    for key in _TYPED + _TEXT:
        text = getattr(mapping, key)
        if text is not None and (kind == "events" or key in ("occurred_at", "persona")):
            yield key, text, "typed" if key in _TYPED else "text"
    for number, identifier in enumerate(mapping.identifiers or []):
        yield f"identifiers.{number}", identifier.value, "text"
    for field, text in (mapping.record or {}).items():
        yield f"record.{field}", text, "text"
    if kind == "events":
        for name, text in (mapping.case_keys or {}).items():
            yield f"case_keys.{name}", text, "text"
        for name, text in (mapping.attributes or {}).items():
            yield f"attributes.{name}", text, "text"
        if mapping.survey is not None:
            yield "survey.score", mapping.survey.score, "text"


def _parsed(key: str, text: str) -> Expression:
    try:
        return parse(text)
    except SqlError as error:
        raise IntakeError("expression_failed", f"the expression of {key} {error}") from None


def _choose(source: SourceFile, used: dict[str, str], columns: Sequence[str]) -> tuple[Dialect, dict[str, str]]:
    """The first dialect that fits, and the raw columns it needs (by their key)."""
    present = {column_key(c) for c in columns}
    optional = {column_key(c) for c in source.optional_columns}
    nearest: tuple[int, Dialect, list[str]] | None = None
    any_known = not isinstance(source.reader, CsvReader)
    for dialect in source.dialects or [AS_IS]:
        needed = {key: name for key, name in used.items() if key not in {column_key(c) for c in dialect.columns}}
        for name, text in dialect.columns.items():
            needed |= {column_key(c): c for c in _parsed(f"dialects.{dialect.name}.{name}", text).columns}
        missing = sorted(name for key, name in needed.items() if key not in present | optional)
        if not missing:
            return dialect, needed
        any_known = any_known or not present.isdisjoint(needed)
        if nearest is None or len(missing) < nearest[0]:
            nearest = (len(missing), dialect, missing)
    assert nearest is not None  # noqa: S101 - there is at least one dialect
    # A file with none of the columns may lack its header: its first line holds values then, which are not told.
    raise _missing(source, nearest[1], nearest[2], columns if any_known else [])


def _missing(source: SourceFile, dialect: Dialect, missing: list[str], columns: Sequence[str]) -> IntakeError:
    said = []
    for name in missing:
        near = did_you_mean(name, list(columns)) or did_you_mean(column_key(name), [column_key(c) for c in columns])
        said.append(f"no column {name!r}. {near}" if near else f"no column {name!r}, nor one with a name like it.")
    where = f" (dialect {dialect.name}, the nearest of {len(source.dialects)})" if source.dialects else ""
    return IntakeError(
        "missing_column",
        f"source {source.source}{where}: {' '.join(said)} Correct the mapping, add a dialect, or use optional_columns",
        missing[0],
    )


class _Slots:
    """Gives equal expressions one slot."""

    def __init__(self, source: SourceFile, dialect: Dialect) -> None:
        self._source = source
        self._made = {column_key(name): text for name, text in dialect.columns.items()}
        self.made: dict[tuple[str, Kind], Slot] = {}

    def get(self, key: str, text: str, kind: Kind) -> Slot:
        if (text, kind) not in self.made:
            expression = _parsed(key, text)
            raw = self._first_raw(expression)
            personal = bool(personal_columns(self._source, text))
            self.made[text, kind] = Slot(
                f"c{len(self.made)}", expression, kind, raw, personal, not shows(self._source, raw)
            )
        return self.made[text, kind]

    def _first_raw(self, expression: Expression) -> str | None:
        """The raw column that stands first in the expression, looking through the dialect."""
        name = _first(expression)
        made = self._made.get(column_key(name)) if name is not None else None
        return _first(parse(made)) or name if made is not None else name


def _first(expression: Expression) -> str | None:
    text = column_key(expression.text)
    return min(expression.columns, key=lambda c: (text.find(column_key(c)), c), default=None)


def shows(source: SourceFile, column: str | None) -> bool:
    """Whether messages may show the values of a raw column."""
    return column is not None and is_not_personal(source, column)

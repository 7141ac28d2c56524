"""Rules for the SQL expressions of a source: each is allowed, reads columns that exist, and shows nothing personal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from klantspoor.errors import Problem, did_you_mean
from klantspoor.project.model import EventMapping, JsonlReader, ParquetReader, SourceFile
from klantspoor.project.privacy import SHOWN, is_not_personal, personal_columns, shown_expressions
from klantspoor.project.sql import SqlError, binding_error, column_key, parse

_ONE_EACH = ("when", "id", "version", "tie_order", "occurred_at", "ended_at", "need_started_at", "account", *SHOWN)


def check_expressions(file: str, source: SourceFile) -> Iterator[Problem]:
    """Every problem of every expression of one source file."""
    raw = (set(source.reader.fields) or None) if isinstance(source.reader, JsonlReader) else None
    made = {name for dialect in source.dialects for name in dialect.columns}
    for number, dialect in enumerate(source.dialects):
        for name, text in dialect.columns.items():
            yield from _check(file, f"dialects[{number}].columns.{name}", text, raw, source)
    known = None if raw is None else raw | made
    for place, text in mapping_expressions(source):
        yield from _check(file, place, text, known, source)
    yield from _listed(file, source, known)
    yield from _personal(file, source, known)


def mapping_expressions(source: SourceFile) -> Iterator[tuple[str, str]]:
    """(place, SQL) of every expression over the columns that the mapping sees."""
    if source.ignore_when is not None:
        yield "ignore_when", source.ignore_when
    yield from _expressions("defaults", source.defaults)
    for number, event in enumerate(source.events):
        yield from _expressions(f"events[{number}]", event)


def _expressions(place: str, mapping: EventMapping) -> Iterator[tuple[str, str]]:
    for key in _ONE_EACH:
        text = getattr(mapping, key)
        if text is not None:
            yield f"{place}.{key}", text
    for number, identifier in enumerate(mapping.identifiers or []):
        yield f"{place}.identifiers[{number}].value", identifier.value
    for group in ("case_keys", "attributes", "record"):
        for name, text in (getattr(mapping, group) or {}).items():
            yield f"{place}.{group}.{name}", text
    if mapping.survey is not None:
        yield f"{place}.survey.score", mapping.survey.score


def _check(file: str, place: str, text: str, known: set[str] | None, source: SourceFile) -> Iterator[Problem]:
    try:
        expression = parse(text)
    except SqlError as error:
        expected = "one SQL expression over the columns of a row"
        yield Problem(file, place, str(error), repr(text)[:120], expected, error.hint or _quoting(text))
        return
    if known is not None:
        by_key = {column_key(name) for name in known}
        strange = sorted(name for name in expression.columns if column_key(name) not in by_key)
        for name in strange:
            hint = did_you_mean(name, known) or _quoting(text)
            yield Problem(file, place, "reads a column that there is not", repr(name), _one_of(known), hint)
        if strange:
            return
    if isinstance(source.reader, ParquetReader) or _may_be_no_text(source, expression.columns, place):
        return
    said = binding_error(text, sorted(expression.columns))
    if said:
        hint = "columns hold text: cast them first, as in TRY_CAST(amount AS DOUBLE)"
        yield Problem(
            file, place, "does not work on text columns", repr(text)[:120], hint=f"DuckDB says: {said}; {hint}"
        )


def _may_be_no_text(source: SourceFile, columns: frozenset[str], place: str) -> bool:
    """Whether the expression reads columns that may hold something else than text: those that dialects make."""
    if place.startswith("dialects"):
        return False
    made = {column_key(name) for dialect in source.dialects for name in dialect.columns}
    return any(column_key(name) in made for name in columns)


def _quoting(text: str) -> str | None:
    """A hint for what was meant as a text."""
    bare = text.strip()
    return f"a text in SQL stands in single quotes: \"'{bare}'\"" if re.fullmatch(r"[\w -]+", bare) else None


def _one_of(names: set[str]) -> str:
    shown = sorted(names)
    return "one of " + ", ".join(shown[:20]) + (", …" if len(shown) > 20 else "")


def _listed(file: str, source: SourceFile, known: set[str] | None) -> Iterator[Problem]:
    """Columns that are listed somewhere and that there are not, where all columns are known."""
    if known is None:
        return
    by_key = {column_key(name) for name in known}
    for key in ("not_personal", "optional_columns"):
        for number, name in enumerate(getattr(source, key)):
            if column_key(name) not in by_key:
                hint = did_you_mean(name, known)
                message = "names a column that there is not"
                yield Problem(file, f"{key}[{number}]", message, repr(name), _one_of(known), hint, level="warning")


def _personal(file: str, source: SourceFile, known: set[str] | None) -> Iterator[Problem]:
    there = None if known is None else {column_key(name) for name in known}
    mappings = [("defaults", source.defaults)]
    mappings += [(f"events[{number}]", event) for number, event in enumerate(source.events)]
    for place, mapping in mappings:
        for key, text in shown_expressions(mapping):
            for column in personal_columns(source, text):
                if there is not None and column_key(column) not in there:
                    continue
                near = did_you_mean(column, [name for name in source.not_personal if is_not_personal(source, name)])
                add = f"If it holds nothing personal, add to not_personal the line `  - {_yaml_text(column)}`"
                quoting = f"If it is no column: {_quoting(text)}" if text.strip() == column else None
                yield Problem(
                    file=file,
                    where=f"{place}.{key}",
                    message=f"shows the column {column!r}, which may hold personal data",
                    expected="columns listed in not_personal",
                    hint="; ".join(part for part in (near, add, quoting) if part),
                )


def _yaml_text(name: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name.lower() not in ("null", "true", "false")
    return name if plain else json.dumps(name, ensure_ascii=False)

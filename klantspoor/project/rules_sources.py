"""Rules for `sources/*.yaml` beyond single fields: files, reader, times, completeness of the mapping, identifier types.

What their SQL expressions may be and show is in `klantspoor.project.rules_sql`.
"""

from __future__ import annotations

import encodings.aliases
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import get_args

from klantspoor.errors import Problem, did_you_mean
from klantspoor.project.model import CsvReader, EventMapping, Initiator, JsonlReader, SourceFile
from klantspoor.project.rules_file import check_timezone, unknown
from klantspoor.project.rules_sql import check_expressions
from klantspoor.project.scope import Scope
from klantspoor.project.sql import ResolvedMapping, SqlError, complaint, parse

_NOT_FOR_REFERENCE = frozenset(EventMapping.model_fields) - {"identifiers", "persona", "occurred_at", "record"}
_INITIATORS: tuple[str, ...] = get_args(Initiator)
_DATE_PARTS = (r"%-?[Yy]", r"%-?[mbB]|%-?j", r"%-?[dj]")


def check_sources(scope: Scope) -> Iterator[Problem]:
    """Every problem of every source file."""
    for name, source in scope.sources.items():
        file = f"sources/{name}.yaml"
        yield from check_timezone(file, source.timezone)
        yield from _files(file, source)
        yield from _landed(file, source, scope)
        yield from _reader(file, source)
        yield from _times(file, source)
        for dialect, times in Counter(dialect.name for dialect in source.dialects).items():
            if times > 1:
                yield Problem(file, "dialects", "holds a name twice", repr(dialect), "each dialect's name once")
        if source.kind == "reference":
            yield from _reference(file, source)
        else:
            yield from _events(file, source, scope.mappings[name])
        yield from _identifier_types(file, source, scope)
        yield from _records(file, source, scope)
        yield from check_expressions(file, source)


def places(source: SourceFile) -> Iterator[tuple[str, EventMapping]]:
    """(place, mapping) of the defaults and of every event, as they are written."""
    yield "defaults", source.defaults
    for number, event in enumerate(source.events):
        yield f"events[{number}]", event


# --- files and how they are read -------------------------------------------------------------------------------------


def _files(file: str, source: SourceFile) -> Iterator[Problem]:
    for number, glob in enumerate(source.files):
        path = PurePosixPath(glob)
        wrong = None
        if not glob.strip() or "\0" in glob:
            wrong = "is no file name"
        elif path.is_absolute() or glob.startswith("~") or re.match(r"^([A-Za-z]:|\\|[a-z0-9]+://)", glob):
            wrong = "is not below the landing folder"
        elif ".." in path.parts or ".." in glob.split("\\"):
            wrong = "leads out of the landing folder"
        elif "\\" in glob:
            wrong = "holds a backslash"
        if wrong:
            yield Problem(file, f"files[{number}]", wrong, repr(glob), "a glob below the landing folder: crm/*.csv.gz")


def _landed(file: str, source: SourceFile, scope: Scope) -> Iterator[Problem]:
    """A warning for a glob that nothing fits, once there is a landing folder at all."""
    landing = scope.root / scope.file.landing if scope.file else None
    if landing is None or not landing.is_dir():
        return
    for number, glob in enumerate(source.files):
        if any(_files(file, source.model_copy(update={"files": [glob]}))):
            continue
        try:
            found = any(True for _ in landing.glob(glob))
        except (ValueError, OSError, NotImplementedError):
            yield Problem(file, f"files[{number}]", "is no glob", repr(glob), "such as crm/*.csv.gz")
            continue
        if not found:
            yield Problem(file, f"files[{number}]", "fits no file that has landed", repr(glob), level="warning")


def _reader(file: str, source: SourceFile) -> Iterator[Problem]:
    reader = source.reader
    if isinstance(reader, CsvReader | JsonlReader):
        yield from _encoding(file, reader.encoding)
    if isinstance(reader, CsvReader):
        for key, sign in (("delimiter", reader.delimiter), ("quote", reader.quote)):
            if sign in ("\n", "\r", "\0"):
                yield Problem(file, f"reader.{key}", "is the end of a line", repr(sign), "one printable sign or a tab")
        if reader.delimiter == reader.quote:
            yield Problem(file, "reader.quote", "is the delimiter too", repr(reader.quote), "two different signs")
    elif isinstance(reader, JsonlReader):
        if not reader.fields:
            yield Problem(file, "reader.fields", "is empty", expected="a column name and a JSON path for each column")
        for name, path in reader.fields.items():
            if not _is_json_path(path):
                expected = "a path to one value, such as $.Agent.Username or $.items[0].id"
                yield Problem(file, f"reader.fields.{name}", "is no JSON path", repr(path)[:100], expected)


def _encoding(file: str, name: str) -> Iterator[Problem]:
    try:
        "".encode(name)
    except (LookupError, UnicodeError, ValueError):
        known = set(encodings.aliases.aliases) | set(encodings.aliases.aliases.values())
        near = did_you_mean(name.lower().replace("-", "_"), known)
        expected = "such as utf-8, utf-16, latin-1 or windows-1252"
        yield Problem(file, "reader.encoding", "is no text encoding", repr(name)[:80], expected, near)


def _is_json_path(path: str) -> bool:
    if not path.startswith("$") or "*" in re.sub(r'"[^"]*"', "", path) or ".." in path:
        return False
    return complaint("SELECT json_extract('{}', ?)", [path]) is None


def _times(file: str, source: SourceFile) -> Iterator[Problem]:
    rules = source.time
    if not rules.formats and rules.epoch is None:
        yield Problem(file, "time", "has neither formats nor epoch", expected='formats: ["%Y-%m-%d %H:%M:%S"]')
    for number, text in enumerate(rules.formats):
        place = f"time.formats[{number}]"
        said = complaint("SELECT try_strptime('x', ?)", [text])
        if said is not None:
            expected = "strptime codes, as in %d-%m-%Y %H:%M"
            yield Problem(file, place, "is no time format", repr(text)[:80], expected, said.rsplit(": ", 1)[-1])
            continue
        missing = [part for part in _DATE_PARTS if not re.search(part, text)]
        if missing and not re.search(r"%[cxDFGs]", text):
            yield Problem(file, place, "holds no whole date", repr(text), "a year, a month and a day (%Y-%m-%d)")


# --- the mapping as a whole ------------------------------------------------------------------------------------------


def _events(file: str, source: SourceFile, mappings: list[ResolvedMapping]) -> Iterator[Problem]:
    for number, mapping in enumerate(mappings):
        place = f"events[{number}]" if source.events else "defaults"
        for key in ("occurred_at", "activity"):
            if getattr(mapping, key) is None:
                expected = f"{key}: a SQL expression, here or in defaults"
                yield Problem(file, place, f"has no {key}", expected=expected)
        if not mapping.identifiers:
            level = "error" if source.anonymous == "quarantine" else "warning"
            message = "has no identifiers: nobody's event"
            yield Problem(file, place, message, expected="identifiers: a list of type and value", level=level)
    for place, written in places(source):
        yield from _initiator(file, place, written)
        if written.survey is not None:
            ends = (written.survey.lowest, written.survey.highest)
            if not all(map(math.isfinite, ends)) or ends[0] == ends[1]:
                found = f"{ends[0]:g} to {ends[1]:g}"
                yield Problem(file, f"{place}.survey", "has no scale", found, "two different numbers")
        if "account" in (written.case_keys or {}):
            hint = "map it as account, and cut the journey by opens, closes and gap"
            yield Problem(file, f"{place}.case_keys.account", "is the account, which is no case key", hint=hint)


def _initiator(file: str, place: str, mapping: EventMapping) -> Iterator[Problem]:
    try:
        results = parse(mapping.initiator).results if mapping.initiator else frozenset()
    except SqlError:
        return
    for name in sorted(results - set(_INITIATORS)):
        hint = did_you_mean(name, _INITIATORS)
        if mapping.initiator and mapping.initiator.strip() == name:
            hint = f"a text in SQL stands in single quotes: \"'{name}'\""
        expected = "one of " + ", ".join(_INITIATORS)
        yield Problem(file, f"{place}.initiator", "gives no initiator", repr(name), expected, hint)


def _reference(file: str, source: SourceFile) -> Iterator[Problem]:
    if source.events:
        yield Problem(file, "events", "stands in a reference source", hint="its identifiers go under defaults")
    for key in sorted(source.defaults.model_fields_set & _NOT_FOR_REFERENCE):
        if getattr(source.defaults, key) is not None:
            expected = "identifiers, persona, occurred_at and record"
            yield Problem(
                file, f"defaults.{key}", "stands in a reference source, which has no events", expected=expected
            )
    if not source.defaults.identifiers:
        yield Problem(file, "defaults.identifiers", "is missing", expected="the identifiers that a row links")


def _identifier_types(file: str, source: SourceFile, scope: Scope) -> Iterator[Problem]:
    if scope.file is None or not scope.file.identifiers:
        return
    declared = set(scope.file.identifiers)
    for place, mapping in places(source):
        for number, identifier in enumerate(mapping.identifiers or []):
            if identifier.type not in declared:
                message = "is no identifier type of klantspoor.yaml"
                yield unknown(file, f"{place}.identifiers[{number}].type", message, identifier.type, declared)


def _records(file: str, source: SourceFile, scope: Scope) -> Iterator[Problem]:
    if scope.file is None or scope.file.linkage is not None:
        return
    for place, mapping in places(source):
        if mapping.record:
            message = "is kept in the vault, and nothing compares it"
            expected = "linkage: {} in klantspoor.yaml, or no record here"
            yield Problem(file, f"{place}.record", message, expected=expected, level="warning")

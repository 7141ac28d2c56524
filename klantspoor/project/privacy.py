"""Which columns of a source may show up in tables as they are.

The rule: a column is personal unless the source lists it in `not_personal`. A column made by dialects is not personal
if each dialect makes it out of columns that are not. Messages may show values of such columns only.
"""

from __future__ import annotations

from collections.abc import Iterator

from klantspoor.project.model import EventMapping, SourceFile
from klantspoor.project.sql import SqlError, column_key, parse

# Shown in tables as they are. Everything else is pseudonymised (ids, account, keys, identifiers), a time or a number.
SHOWN = ("activity", "channel", "initiator", "team", "topic", "outcome", "persona")


def is_not_personal(source: SourceFile, column: str) -> bool:
    """Whether the source says, or its dialects imply, that the column holds nothing personal."""
    listed = {column_key(name) for name in source.not_personal}
    key = column_key(column)
    if key in listed:
        return True
    if not source.dialects:
        return False
    for dialect in source.dialects:
        made = {column_key(name): text for name, text in dialect.columns.items()}
        if key not in made:
            return False
        try:
            inputs = parse(made[key]).columns
        except SqlError:
            return False
        # The expressions of a dialect read the raw columns: only the list counts for them.
        if any(column_key(name) not in listed for name in inputs):
            return False
    return True


def shown_expressions(mapping: EventMapping) -> Iterator[tuple[str, str]]:
    """(key, SQL) of everything of one mapping that is shown as it is: "activity", "attributes.product"."""
    for key in SHOWN:
        text = getattr(mapping, key)
        if text is not None:
            yield key, text
    for name, text in (mapping.attributes or {}).items():
        yield f"attributes.{name}", text


def personal_columns(source: SourceFile, text: str) -> list[str]:
    """The personal columns that an expression reads, sorted; none where it cannot be parsed."""
    try:
        return sorted(name for name in parse(text).columns if not is_not_personal(source, name))
    except SqlError:
        return []

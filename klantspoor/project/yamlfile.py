"""Reads one YAML file of a project into plain Python values, with the line of each.

YAML here is what people expect of it: `on`, `no`, 2026-01-01, 13:30 and 007 are texts, true/false/null and numbers are
not, a key stands once, and there are no tags. What the values should be is judged elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from klantspoor.errors import Problem

Loc = tuple[str | int, ...]

_AT_MOST_BYTES = 500_000
_AT_MOST_NODES = 100_000
_AT_MOST_DEPTH = 40
_NULL = re.compile(r"^(~|null|Null|NULL|)$")
_BOOL = re.compile(r"^(true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"^[-+]?(0|[1-9][0-9]{0,17})$")
_FLOAT = re.compile(r"^[-+]?((0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+|(0|[1-9][0-9]*)(?=[eE]))([eE][-+]?[0-9]{1,3})?$")
_STR_TAG = "tag:yaml.org,2002:str"
_TAGS = {_STR_TAG, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


class _Loader(yaml.SafeLoader):
    """Composes nodes only, and leaves it to `_scalar` what a plain text means."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 (PyYAML's own way)


@dataclass
class Document:
    """One file as read: `data`, None where it could not be; `lines` and `written`: where and how each value stands."""

    file: str
    data: dict[str, Any] | None = None
    lines: dict[Loc, int] = field(default_factory=dict)
    written: dict[Loc, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, loc: Loc) -> int | None:
        """The line of a value, or of the nearest thing around it."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc)

    def line_of(self, place: str) -> int | None:
        """The line of a place as `where` writes it, or of the nearest thing around it."""
        by_name = {where(loc): line for loc, line in self.lines.items()}
        while place and place not in by_name:
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        return by_name.get(place)


def where(loc: Loc) -> str:
    """A place inside a file as people write it: phases[7].id."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_yaml(path: Path, file: str) -> Document:
    """Reads a file; whatever is wrong with it is among the document's problems, and nothing is raised.

    Args:
        path: the file.
        file: what messages call it, relative to the project.
    """
    document = Document(file)
    text = _text(path, document)
    if text is None:
        return document
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            _wrong(document, "is empty", expected="keys and values")
            return document
        data = _Builder(document).build(node, (), 0)
    except yaml.YAMLError as error:
        _not_yaml(document, error)
        return document
    except (RecursionError, _TooMuchError):
        _wrong(document, "is nested too deeply or too large", hint="a project file is a few screens long")
        return document
    if not isinstance(data, dict):
        _wrong(document, "does not hold keys and values", expected='lines such as "name: Example"')
        return document
    document.data = data
    return document


def _text(path: Path, document: Document) -> str | None:
    try:
        if path.stat().st_size > _AT_MOST_BYTES:
            _wrong(document, f"is larger than {_AT_MOST_BYTES:,} bytes")
            return None
        raw = path.read_bytes()
    except OSError as error:
        _wrong(document, f"cannot be read: {error.strerror or 'unknown reason'}")
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        utf16 = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
        line = None if utf16 else raw[: error.start].count(b"\n") + 1
        found = "UTF-16" if utf16 else f"the byte 0x{raw[error.start]:02x}"
        _wrong(document, "is not UTF-8", line, value=found, expected="UTF-8", hint="save the file as UTF-8")
        return None


def _wrong(document: Document, message: str, line: int | None = None, **more: str | None) -> None:
    document.problems.append(Problem(document.file, "", message, line=line, **more))  # type: ignore[arg-type]


def _not_yaml(document: Document, error: yaml.YAMLError) -> None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be parsed"
    hint = None
    if "'\\t'" in said:
        hint = "indent with spaces, not tabs"
    elif "single document" in str(getattr(error, "context", "")):
        hint = "leave out the second ---"
    elif (
        "mapping values are not allowed" in said
        or "expected <block end>" in said
        or "start any token" in said
        or "chomping" in said
    ):
        hint = (
            "a value that holds ': ' or starts with a quote, *, &, %, @ or ` must be quoted as a whole, or stand on the"
            " next line after |"
        )
    _wrong(document, f"is not valid YAML: {said[:200]}", mark.line + 1 if mark else None, hint=hint)


class _TooMuchError(Exception):
    """More nodes or levels than a project file can have: a loop or a bomb of aliases."""


class _Builder:
    """Turns composed nodes into values, noting lines, how values are written, and keys that stand twice."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes = 0

    def build(self, node: yaml.Node, loc: Loc, depth: int) -> Any:
        self.nodes += 1
        if depth > _AT_MOST_DEPTH or self.nodes > _AT_MOST_NODES:
            raise _TooMuchError
        line = node.start_mark.line + 1
        self.document.lines.setdefault(loc, line)
        if node.tag not in _TAGS:
            self._problem(loc, line, "has a tag, which is not supported", node.tag[:80], "plain values without !tags")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc, depth)
        if not isinstance(node, yaml.ScalarNode):
            return [self.build(item, (*loc, number), depth + 1) for number, item in enumerate(node.value)]
        self.document.written[loc] = str(node.value)
        return _scalar(str(node.value), node.style is None)

    def _mapping(self, node: yaml.MappingNode, loc: Loc, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._problem(loc, line, "has a key that is no text", None, "keys that are single words")
                continue
            name = key.value
            here = (*loc, name)
            if name in values:
                first = self.document.lines[here]
                self._problem(here, line, f"stands twice, first in line {first}", None, "each key once")
                continue
            self.document.lines[here] = line
            values[name] = self.build(value, here, depth + 1)
        return values

    def _problem(self, loc: Loc, line: int, message: str, value: str | None, expected: str) -> None:
        problem = Problem(self.document.file, where(loc), message, value=value, expected=expected, line=line)
        self.document.problems.append(problem)


def _scalar(text: str, is_plain: bool) -> str | int | float | bool | None:
    if not is_plain or len(text) > 40:
        return text
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text.lower() == "true"
    if _INT.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text

"""Turns what pydantic finds wrong with a file into problems people can act on, and mends a copy to look further.

Mending is only for finding more mistakes in the same go (a project with a mistake is never loaded): a misspelt key is
read as the nearest one, what is missing is filled in, what is wrong is left out.
"""

from __future__ import annotations

import copy
import json
import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from klantspoor.errors import Problem, did_you_mean
from klantspoor.project.yamlfile import Document, Loc, where

Model = TypeVar("Model", bound=BaseModel)
Schema = dict[str, Any]
Fault = dict[str, Any]

_SECRET = ("pseudonym_key", "block", "webhook")  # a key, values of persons, an address: their text is never repeated
_EXPECTED = {
    r"^[a-z][a-z0-9_]{0,62}$": "a name of lower case letters, digits and _, beginning with a letter",
    r"^\d{2}:\d{2}$": 'a time such as "03:00"',
    r"^\d{2}:\d{2}-\d{2}:\d{2}$": 'opening hours such as "08:00-17:30"',
}
_FILLERS: dict[str, object] = {
    "says": "I",
    "title": "title",
    "name": "name",
    "priority": 1,
    "lowest": 0,
    "highest": 10,
    "cut": {},
    "files": ["*"],
    "reader": {"format": "parquet"},
    "timezone": "UTC",
    "pseudonym_key": {"env": "KEY"},
    "identifiers": {},
    "hours": {},
    "fields": {},
    "columns": {},
    "type": "missing",
    "value": "NULL",
    "score": "NULL",
    "instrument": "nps",
}
_ROUNDS = 6


def judge(model: type[Model], document: Document) -> tuple[Model | None, list[Problem]]:
    """Validates a file that was read.

    Returns:
        The model, or what can be made of the file where it holds mistakes (None where nothing can), and the mistakes.
    """
    data: Any = document.data
    problems: list[Problem] = []
    for attempt in range(_ROUNDS):
        try:
            return model.model_validate(data), problems
        except ValidationError as error:
            faults: list[Fault] = error.errors(include_url=False, include_context=True)  # type: ignore[assignment]
        except RecursionError:
            return None, [Problem(document.file, "", "is nested too deeply")]
        if attempt == 0:
            problems = [_explain(model, document, data, fault) for fault in faults]
            data = copy.deepcopy(data)
        # From the back, so that leaving out one item of a list does not move the others.
        for fault in reversed(faults):
            _mend(model, document, data, fault)
    return None, problems


# --- saying it -------------------------------------------------------------------------------------------------------


def _explain(model: type[BaseModel], document: Document, data: object, fault: Fault) -> Problem:
    loc = _in_data(data, fault["loc"])
    told = _TELLERS.get(fault["type"], _other)(model, document, loc, fault)
    if any(part in _SECRET for part in loc):
        told = {key: text for key, text in told.items() if key in ("message", "expected")}
    return Problem(document.file, where(loc), **{"line": document.line(loc), **told})


def _missing(model: type[BaseModel], _document: Document, loc: Loc, fault: Fault) -> dict[str, Any]:
    return {"message": "is missing", "expected": _meaning(_schema_at(model, fault["loc"])) or f"a value for {loc[-1]}"}


def _unknown_key(model: type[BaseModel], _document: Document, loc: Loc, fault: Fault) -> dict[str, Any]:
    known = _known_keys(model, fault["loc"])
    return {
        "message": "is not a key that is known here",
        "expected": "one of " + ", ".join(known) if known else None,
        "hint": did_you_mean(str(loc[-1]), known),
    }


def _choice(_model: type[BaseModel], document: Document, loc: Loc, fault: Fault) -> dict[str, Any]:
    allowed = re.findall(r"'([^']*)'", fault["ctx"]["expected"])
    is_key = fault["loc"][-1] == "[key]"
    return {
        "message": "is not a key that is known here" if is_key else "is not one of the values that are allowed",
        "value": None if is_key else _shown(document, loc, fault["input"]),
        "expected": "one of " + ", ".join(allowed),
        "hint": did_you_mean(str(loc[-1] if is_key else fault["input"]), allowed),
    }


def _union(model: type[BaseModel], document: Document, loc: Loc, fault: Fault) -> dict[str, Any]:
    schema = _schema_at(model, fault["loc"]) or {}
    allowed = sorted(schema.get("discriminator", {}).get("mapping", {}))
    key = fault["ctx"]["discriminator"].strip("'")
    tag = fault["ctx"].get("tag")
    return {
        "message": f"has no {key}" if tag is None else f"has a {key} that is not known",
        "value": None if tag is None else repr(tag)[:80],
        "expected": f"{key}: one of " + ", ".join(allowed),
        "hint": did_you_mean(str(tag), allowed) if tag is not None else None,
        "line": document.line((*loc, key)),
    }


def _not_text(_model: type[BaseModel], document: Document, loc: Loc, fault: Fault) -> dict[str, Any]:
    value = fault["input"]
    told: dict[str, Any] = {"message": "is not text", "value": _shown(document, loc, value), "expected": "text"}
    if isinstance(value, bool | int | float):
        told["hint"] = f"put it in quotes: {json.dumps(document.written.get(loc, str(value)))}"
    elif value is None:
        told["message"] = "is empty"
        told["hint"] = 'for a text without characters write ""' if loc and isinstance(loc[-1], int) else None
    return told


def _pattern(_model: type[BaseModel], document: Document, loc: Loc, fault: Fault) -> dict[str, Any]:
    pattern, name = fault["ctx"]["pattern"], _as_name(fault["input"])
    return {
        "message": "is not written as it should be",
        "value": _shown(document, loc, fault["input"]),
        "expected": _EXPECTED.get(pattern, f"text that fits {pattern}"),
        "hint": f"for instance {name}" if name and pattern.startswith("^[a-z]") else None,
    }


def _as_name(value: object) -> str | None:
    """The text as a name of lower case letters, digits and _; None where that leaves none."""
    name = re.sub(r"[^a-z0-9]+", "_", str(value)[:63].lower()).strip("_")
    return name if re.match(r"^[a-z]", name) else None


def _other(model: type[BaseModel], document: Document, loc: Loc, fault: Fault) -> dict[str, Any]:
    said = str(fault["msg"]).removeprefix("Value error, ")
    found = re.match(r"(?:Input|[A-Z]\w*) should (?:be|have) (.*)", said)
    expected = found[1] if found else said.removeprefix("expected ")
    if fault["type"] in ("model_type", "dict_type", "model_attributes_type"):
        keys = _known_keys(model, (*fault["loc"], ""))
        expected = "keys and values" + (f": {', '.join(keys)}" if keys else "")
    elif fault["type"] == "list_type":
        expected = "a list: each item on its own line after '- ', or in [ ]"
    return {
        "message": "is not allowed" if fault["input"] is not None else "is empty",
        "value": _shown(document, loc, fault["input"]),
        "expected": expected[:300],
    }


_TELLERS = {
    "missing": _missing,
    "extra_forbidden": _unknown_key,
    "literal_error": _choice,
    "union_tag_invalid": _union,
    "union_tag_not_found": _union,
    "string_type": _not_text,
    "string_pattern_mismatch": _pattern,
}


def _shown(document: Document, loc: Loc, value: object) -> str:
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    return repr(value if isinstance(value, str) else document.written.get(loc, str(value)))[:80]


# --- finding one's way in data and schema ----------------------------------------------------------------------------


def _in_data(data: object, loc: Loc) -> Loc:
    """The place in the file: pydantic's, without the tag of a union and the mark of a key."""
    clean: list[str | int] = []
    for number, part in enumerate(loc):
        inside = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        if inside:
            data = data[part]  # type: ignore[index]
            clean.append(part)
        elif number == len(loc) - 1 and part != "[key]":
            clean.append(part)
    return tuple(clean)


@lru_cache(maxsize=8)
def _schema(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


def _resolve(root: Schema, node: Schema) -> Schema:
    while True:
        if "$ref" in node:
            node = {**root["$defs"][node["$ref"].rsplit("/", 1)[-1]], **{k: v for k, v in node.items() if k != "$ref"}}
        elif "anyOf" in node:
            node = next(option for option in node["anyOf"] if option.get("type") != "null")
        else:
            return node


def _schema_at(model: type[BaseModel], loc: Loc) -> Schema | None:
    """The schema of the value at pydantic's `loc`, or None where there is none."""
    root = _schema(model)
    node: Schema = root
    for part in loc:
        node = _resolve(root, node)
        if part == "[key]":
            return node
        tags = node.get("discriminator", {}).get("mapping", {})
        patterns = list(node.get("patternProperties", {}).values())
        below = (
            {"$ref": tags[part]}
            if part in tags
            else node.get("items")
            if isinstance(part, int)
            else node.get("properties", {}).get(part) or (patterns[0] if patterns else node.get("additionalProperties"))
        )
        if not isinstance(below, dict):
            return None
        node = below
    return _resolve(root, node)


def _known_keys(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that may stand where the last part of `loc` stands."""
    return list((_schema_at(model, loc[:-1]) or {}).get("properties", {}))


def _meaning(schema: Schema | None) -> str | None:
    text = (schema or {}).get("description")
    return str(text) if text else None


# --- mending a copy --------------------------------------------------------------------------------------------------


def _mend(model: type[BaseModel], document: Document, data: object, fault: Fault) -> None:
    """Changes the copy at the place of one fault so that the next round gets past it."""
    loc = _in_data(data, fault["loc"])
    parent: Any = data
    for part in loc[:-1]:
        parent = parent[part] if _holds(parent, part) else None
    if not loc or parent is None:
        return
    last = loc[-1]
    if fault["type"] == "missing" and isinstance(parent, dict):
        filler = _filler(document, loc)
        if filler is not None:
            parent[last] = filler
    elif isinstance(parent, dict) and last in parent:
        value = parent.pop(last)
        name = _meant(model, last, value, fault)
        if fault["type"] == "literal_error" and fault["loc"][-1] != "[key]":
            parent |= {last: name} if name else {}
        elif name and name not in parent:
            parent[name] = value
    elif (
        isinstance(parent, list) and isinstance(last, int) and last < len(parent) and not isinstance(parent[last], dict)
    ):
        del parent[last]


def _meant(model: type[BaseModel], key: str | int, value: object, fault: Fault) -> str | None:
    """The key, or the value, that was probably meant."""
    is_key = fault["loc"][-1] == "[key]"
    if fault["type"] == "extra_forbidden":
        return _nearest(str(key), _known_keys(model, fault["loc"]))
    if fault["type"] == "literal_error":
        return _nearest(str(key if is_key else value), re.findall(r"'([^']*)'", fault["ctx"]["expected"]))
    return _as_name(key) if is_key else None


def _filler(document: Document, loc: Loc) -> object:
    """Something harmless in place of what is missing, or None."""
    last = loc[-1]
    if loc in (("source",), ("journey",)):
        return PurePosixPath(document.file).stem
    if len(loc) == 3 and loc[0] == "phases" and last in ("id", "activities"):
        return f"phase_{loc[1]}" if last == "id" else ["*"]
    return copy.deepcopy(_FILLERS.get(str(last)))


def _holds(parent: object, part: str | int) -> bool:
    if isinstance(parent, dict):
        return part in parent
    return isinstance(parent, list) and isinstance(part, int) and part < len(parent)


def _nearest(name: str, known: list[str]) -> str | None:
    hint = did_you_mean(name, known)
    return hint.split("'")[1] if hint else None

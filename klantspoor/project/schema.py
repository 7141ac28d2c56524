"""JSON Schemas of the three kinds of project file, made from the models, so that editors complete and check them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from klantspoor.project.model import JourneyFile, ProjectFile, SourceFile, Strict

_MODELS: dict[str, type[Strict]] = {"klantspoor": ProjectFile, "source": SourceFile, "journey": JourneyFile}
_SHORT: dict[str, dict[str, Any]] = {
    "ActivityMatcher": {"type": "string", "description": "an activity: a name, a glob or a /regular expression/"},
    "Cap": {"type": "integer", "minimum": 1, "description": "this many, over all time"},
}


def schemas() -> dict[str, dict[str, Any]]:
    """The schemas by kind of file: "klantspoor", "source" and "journey"."""
    return {kind: _schema(kind) for kind in _MODELS}


def write_schemas(folder: Path) -> list[Path]:
    """Writes `KIND.schema.json` for each kind into the folder, made when absent; gives the files' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, schema in schemas().items():
        path = folder / f"{kind}.schema.json"
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def _schema(kind: str) -> dict[str, Any]:
    schema = _MODELS[kind].model_json_schema()
    # The models read these from a bare text or number as well, which their own schemas do not tell.
    for name, short in _SHORT.items():
        full = schema.get("$defs", {}).get(name)
        if full is not None:
            schema["$defs"][name] = {"anyOf": [short, full], "description": full.get("description", "")}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

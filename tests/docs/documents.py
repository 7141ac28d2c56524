"""Reading the documents in tests: sections, fenced blocks and tables. Nothing is judged here."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_RULE = re.compile(r"^\|[-| :]+\|$")


def text(name: str) -> str:
    """The document `name`, below docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


def sections(document: str) -> dict[str, str]:
    """What stands below each heading of the second level."""
    parts = re.split(r"^## (.+)$", document, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of one language ("" for none), in order."""
    return [body for name, body in _FENCE.findall(document) if name == language]


def files(document: str) -> dict[str, str]:
    """Blocks whose first line is the comment `# FILE:` followed by a file's name, by that name, without that line."""
    found: dict[str, str] = {}
    for _, body in _FENCE.findall(document):
        head, _, rest = body.partition("\n")
        if head.startswith("# FILE: "):
            found[head.removeprefix("# FILE: ").strip()] = rest
    return found


def tables(document: str) -> list[list[dict[str, str]]]:
    """The tables, each row by the names of its columns."""
    found: list[list[dict[str, str]]] = []
    names: list[str] = []
    for line in _FENCE.sub("", document).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            names = []
        elif not names:
            names = cells
            found.append([])
        elif not _RULE.match(line):
            found[-1].append(dict(zip(names, cells, strict=True)))
    return found

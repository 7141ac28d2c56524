"""Every relative link in the documents leads somewhere, and to a heading that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documents import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def anchors(page: str) -> set[str]:
    """The headings' names in links: lower case, spaces as dashes, without other signs."""
    headings = re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path: Path) -> None:
    wrong = []
    for link in _LINK.findall(_CODE.sub("", path.read_text(encoding="utf-8"))):
        target, _, heading = link.partition("#")
        if re.match(r"^[a-z]+:", target):
            continue
        page = (path.parent / target).resolve() if target else path
        is_there = page.exists() and page.is_relative_to(ROOT)
        if not is_there or (heading and heading not in anchors(page.read_text(encoding="utf-8"))):
            wrong.append(link)
    assert wrong == []


def test_links_are_found() -> None:
    assert sum(len(_LINK.findall(path.read_text(encoding="utf-8"))) for path in PAGES) > 40

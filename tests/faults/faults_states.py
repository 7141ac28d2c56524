"""What tells states of a project from each other, and a rerun that goes no further than to where it is known. Holds no test.

What a night does from the moment at which it begins to build is decided by what lies in the project then. Where that is as it
was in a trial that came to its right end, going on would show nothing: of the thousands of moments at which a night may be
killed, most leave no more than leftovers that the next night removes first.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from klantspoor import night as nights
from tests.faults import faults_world

KNOWN = 3
"""The exit code of a rerun that came to where another one was."""
AGAIN = "again"


def state(project: Path, parts: Sequence[str] = ("",)) -> str:
    """Tells what lies in parts of the lake, or (for "") in all of the project, from what else lay there.

    Of what runs stage only the folders' names count, for no other run reads it. Of what nights say of themselves only the shape
    does: a diary that ends in the middle of a line is another one. A rerun's own diary is left out wholly.
    """
    lake = project / "lake"
    sums = hashlib.sha256()
    for root in (lake / part if part else project for part in parts):
        for path in sorted([root, *root.rglob("*")]):
            name = str(path.relative_to(project))
            if _STAGED.match(name) or path.name == ".lock" or name.endswith(f"-{AGAIN}.jsonl"):
                continue
            is_diary = name.startswith("lake/diary/")
            sums.update(f"{_DIGITS.sub('0', name) if is_diary else name} {path.is_dir()}\n".encode())
            if not path.is_file():
                continue
            content = path.read_bytes()
            if is_diary:
                sums.update(_DIGITS.sub("0", content.decode("utf-8", "replace")).encode())
            elif path.name == "file.json" and content:
                sums.update(content.partition(b'"seconds"')[0])
            elif not _says_when(path, lake):
                sums.update(content)
    return sums.hexdigest()


_STAGED = re.compile("lake/work/[^/]+/|landing/")
_DIGITS = re.compile(r"[0-9.e+-]+")


def _says_when(path: Path, lake: Path) -> bool:
    of_version = lake / "versions" in path.parents and (path.name == "manifest.json" or path.parent.name == "runs")
    return of_version or path.name.startswith(".tmp-0")


def once_more(project: str, act: str, given: dict[str, Any], known: str) -> str | None:
    """Does what was disturbed again; gives the state in which its night began to build, None where there is no night.

    Ends this process with `KNOWN` where the file `known` has that state.
    """
    states: list[str] = []
    build = nights.build

    def build_or_end(*arguments: Any) -> None:
        states.append(state(Path(project)))
        if states[0] in Path(known).read_text("utf-8").split():
            os._exit(KNOWN)
        build(*arguments)

    nights.build = build_or_end
    getattr(faults_world, act)(project, run_id=AGAIN, **given)
    return states[0] if states else None

"""The diary: what each run notes of itself as it goes, one file a run in `lake/diary/`, which no sweep removes.

So the steps of a night that failed, or whose process was killed, are known to the next one. A file holds one JSON object a
line and is only ever added to; a line that a crash cut short counts for nothing. The newest `KEEP` files stay. Nothing of
single persons is noted: whatever looks like a pseudonym is left out of every text.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from klantspoor.lake.publishing import force
from klantspoor.lake.staging import Staging

FOLDER = "diary"
KEEP = 100
FIRST_STEP = "ledger"
"""What every night begins with; a run without it (a linkage, one table alone) is no night."""
_STAMP = "%Y%m%dT%H%M%S%fZ"
_STAMP_LENGTH = len("20261125T030000000000Z-")
_MASKED = re.compile(r"[0-9a-fA-F]{16,}")
_LONGEST = 2000


@dataclass(slots=True)
class Step:
    """One step of a run.

    `facts` is what the report of the night wants to know of it, as JSON values; `failure` why it failed. What was not
    measured is None; so is all that was measured, of a step that is not known to have ended (`status` unfinished).
    """

    step: str
    started_at: datetime
    elapsed_seconds: float | None = None
    cpu_seconds: float | None = None
    peak_memory_mb: float | None = None
    rows_in: int | None = None
    rows_out: int | None = None
    odd: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    status: str = "unfinished"
    failure: str | None = None


@dataclass(slots=True)
class Diary:
    """What a run noted: its steps in the order of their start, and its report (None: it has not ended, or was killed)."""

    run_id: str
    as_of: datetime
    steps: list[Step]
    report: dict[str, Any] | None = None

    @property
    def is_night(self) -> bool:
        """Whether the run began as a night does, or ended as one."""
        return self.report is not None or any(step.step == FIRST_STEP for step in self.steps)

    @property
    def last_step(self) -> str | None:
        """The step that began last; None: the night ended before its first."""
        return self.steps[-1].step if self.steps else None


def begin_step(staging: Staging, step: Step) -> None:
    """Note that a step has begun."""
    _add(staging, {"begun": step.step, "at": step.started_at.isoformat()})


def end_step(staging: Staging, step: Step) -> None:
    """Note a step that has ended, well or not."""
    step.odd, step.failure = masked(step.odd), masked(step.failure)
    _add(staging, {"step": asdict(step) | {"started_at": step.started_at.isoformat()}})


def end_run(staging: Staging, report: dict[str, Any]) -> None:
    """Note the report of a night that has ended; the oldest files of the diary go."""
    _add(staging, {"report": report})
    for path in _paths(_folder(staging))[:-KEEP]:
        path.unlink(missing_ok=True)


def of_run(staging: Staging) -> Diary:
    """What this run noted so far."""
    path = _path(_folder(staging), staging.run_id)
    found = _read(path) if path is not None else None
    return found if found is not None else Diary(staging.run_id, staging.as_of, [])


def nights(root: Path) -> list[Diary]:
    """The nights in the diary of the lake at `root`, in the order in which they began."""
    read = (_read(path) for path in _paths(root / FOLDER))
    return [diary for diary in read if diary is not None and diary.is_night]


def masked(text: str | None) -> str | None:
    """The text without what may be a pseudonym, and not endless."""
    return None if text is None else _MASKED.sub("…", text)[:_LONGEST]


def _folder(staging: Staging) -> Path:
    return staging.root.parents[1] / FOLDER


def _paths(folder: Path) -> list[Path]:
    """The files of the diary, oldest first: their names begin with when."""
    return sorted(folder.glob("*.jsonl"))


def _path(folder: Path, run_id: str) -> Path | None:
    return next((path for path in _paths(folder) if path.stem[_STAMP_LENGTH:] == run_id), None)


def _add(staging: Staging, entry: dict[str, Any]) -> None:
    """Add a line. A night is not failed for its diary: where it cannot be written, the line is missing."""
    with suppress(OSError):
        folder = _folder(staging)
        folder.mkdir(exist_ok=True)
        path = _path(folder, staging.run_id)
        text = _line(entry)
        if path is None:
            path = folder / f"{datetime.now(UTC).strftime(_STAMP)}-{staging.run_id}.jsonl"
            text = _line({"run_id": staging.run_id, "as_of": staging.as_of.isoformat()}) + text
        # One call that appends: beside it nothing of an earlier line is touched.
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.write(handle, text.encode("utf-8"))
        finally:
            os.close(handle)
        force(path)


def _line(entry: dict[str, Any]) -> str:
    """A line of its own even after one that was cut short."""
    return "\n" + json.dumps(entry, ensure_ascii=True)


def _read(path: Path) -> Diary | None:
    """The file as a diary; None where even its first line is not there. Lines that say something else are passed over."""
    diary: Diary | None = None
    begun: dict[str, Step] = {}
    for entry in _entries(path):
        with suppress(ValueError, KeyError, TypeError):
            if "run_id" in entry:
                diary = Diary(str(entry["run_id"]), datetime.fromisoformat(entry["as_of"]), [])
            elif "begun" in entry:
                begun[entry["begun"]] = Step(entry["begun"], datetime.fromisoformat(entry["at"]))
            elif "step" in entry:
                step = _step(entry["step"])
                begun[step.step] = step
            elif diary is not None:
                diary.report = dict(entry["report"])
    if diary is not None:
        diary.steps = sorted(begun.values(), key=lambda step: (step.started_at, step.step))
    return diary


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return
    for line in text.splitlines():
        with suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict):
                yield entry


def _step(noted: dict[str, Any]) -> Step:
    """A step as noted, by this or another release: what is not known here is left out."""
    known = {name.name: noted[name.name] for name in fields(Step) if name.name in noted}
    return Step(**known | {"started_at": datetime.fromisoformat(noted["started_at"])})

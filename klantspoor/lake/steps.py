"""What a run notes about itself while it goes: each step's time and memory, and the verdicts of its checks.

Notes lie in the run's work folder as JSON, one file each, so that steps may run in processes of their own. The table
`runs` is made from them, and publishing looks at the verdicts.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from klantspoor.dictionary import TABLES
from klantspoor.errors import PublicationStoppedError
from klantspoor.lake.rules import Verdict
from klantspoor.lake.staging import Staging
from klantspoor.lake.version import Version


@dataclass(slots=True)
class Step:
    """One step of the night; `facts` is what the summary at the end wants to know of it, as JSON values."""

    step: str
    started_at: datetime
    elapsed_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    rows_in: int | None = None
    rows_out: int | None = None
    odd: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@contextmanager
def measured(staging: Staging, name: str) -> Iterator[Step]:
    """Measure a step and note it when it ends without an error; inside, rows and oddities may be set."""
    step = Step(name, datetime.now(UTC))
    wall, cpu = time.perf_counter(), time.process_time()
    yield step
    step.elapsed_seconds = time.perf_counter() - wall
    step.cpu_seconds = time.process_time() - cpu
    step.peak_memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux gives KiB
    written = asdict(step) | {"started_at": step.started_at.isoformat()}
    (staging.work("steps") / f"{name}.json").write_text(json.dumps(written), "utf-8")


def steps(staging: Staging) -> list[Step]:
    """The steps of this run so far, in order of their start."""
    noted = [json.loads(path.read_text("utf-8")) for path in staging.work("steps").glob("*.json")]
    made = [Step(**note | {"started_at": datetime.fromisoformat(note["started_at"])}) for note in noted]
    return sorted(made, key=lambda step: (step.started_at, step.step))


def runs_table(staging: Staging, before: Version | None) -> pa.Table:
    """The table `runs`: the nights that `before` knows and the steps of this one so far, before publication ends."""
    schema = TABLES["runs"].schema
    names = [name for name in TABLES["runs"].names if name not in ("run_id", "as_of")]
    tonight = [
        {"run_id": staging.run_id, "as_of": staging.as_of} | {name: getattr(step, name) for name in names}
        for step in steps(staging)
    ]
    now = pa.Table.from_pylist(tonight, schema=schema)
    if before is None or not before.has("runs"):
        return now
    columns = ", ".join(TABLES["runs"].names)
    with before.connect() as connection:
        kept = connection.sql(f"SELECT {columns} FROM runs ORDER BY started_at, step").to_arrow_table()
    return pa.concat_tables([kept.cast(schema), now])


def note_verdicts(staging: Staging, table: str, verdicts: Sequence[Verdict]) -> None:
    """Keep what was judged of a table, for the gate of publication and the summary at the end."""
    noted = [
        {
            "rule": verdict.rule.name,
            "severity": verdict.rule.severity,
            "passed": verdict.passed,
            "says": str(verdict),
            "failing_keys": verdict.failing_keys,
        }
        for verdict in verdicts
    ]
    (staging.work("verdicts") / f"{table}.json").write_text(json.dumps(noted), "utf-8")


def noted_verdicts(staging: Staging) -> dict[str, list[dict[str, Any]]]:
    """What was judged so far, by table: `rule`, `severity`, `passed`, `says`, `failing_keys`."""
    paths = sorted(staging.work("verdicts").glob("*.json"))
    return {path.stem: json.loads(path.read_text("utf-8")) for path in paths}


def gate(staging: Staging) -> None:
    """Let a run through to publication only if every table was judged and nothing critical failed.

    Raises:
        PublicationStoppedError: naming each critical rule that failed, or the tables that nobody judged.
    """
    judged = noted_verdicts(staging)
    unjudged = [name for name in TABLES if name not in judged]
    failed = [
        note["says"]
        for notes in judged.values()
        for note in notes
        if note["severity"] == "critical" and not note["passed"]
    ]
    if failed:
        raise PublicationStoppedError("not published, the version before stays: " + "; ".join(failed))
    if unjudged:
        raise PublicationStoppedError(
            f"not published: the checks of {', '.join(unjudged)} did not run. Run the job `nightly`"
        )

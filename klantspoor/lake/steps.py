"""What a run notes about itself while it goes: each step's time and memory, and the verdicts of its checks.

Steps are noted in the lake's diary, which outlives the run; verdicts as JSON in its work folder. The table `runs` is made
from the steps, and publishing looks at the verdicts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.dictionary import TABLES
from klantspoor.errors import KlantspoorError, PublicationStoppedError
from klantspoor.lake.diary import Diary, Step, begin_step, end_step, nights, of_run
from klantspoor.lake.memory import PeakMemory
from klantspoor.lake.rules import Verdict
from klantspoor.lake.staging import Staging
from klantspoor.lake.version import Version

PUBLISHED, FAILED, UNFINISHED = "published", "failed", "unfinished"


@contextmanager
def measured(staging: Staging, name: str) -> Iterator[Step]:
    """Measure a step and note it, however it ends; inside, rows and oddities may be set."""
    step = Step(name, datetime.now(UTC))
    begin_step(staging, step)
    wall, cpu = time.perf_counter(), time.process_time()
    memory = PeakMemory()
    try:
        with memory:
            yield step
        step.status = "done"
    except BaseException as error:
        step.status, step.failure = "failed", why_failed(error)
        raise
    finally:
        step.elapsed_seconds = time.perf_counter() - wall
        step.cpu_seconds = time.process_time() - cpu
        step.peak_memory_mb = memory.mib
        end_step(staging, step)


def why_failed(error: BaseException) -> str:
    """An error as it may be kept: what is not ours may quote a row, and is told by its kind alone."""
    if isinstance(error, KlantspoorError):
        return str(error)
    if isinstance(error, OSError):
        return ": ".join(str(part) for part in (error.filename, error.strerror or type(error).__name__) if part)
    if error.__cause__ is not None:
        return why_failed(error.__cause__)
    return f"{type(error).__name__}: the log of the run has the rest"


def steps(staging: Staging) -> list[Step]:
    """The steps of this run that have ended, in order of their start."""
    return [step for step in of_run(staging).steps if step.status != UNFINISHED]


def runs_table(staging: Staging, before: Version | None, odd: Mapping[str, Sequence[str]] | None = None) -> pa.Table:
    """The table `runs`: what `before` holds, nights since then that the diary knows, and tonight's steps so far.

    Of tonight it says "published", for it is read only if it is; the step that publishes is in the next night's.

    Args:
        staging: the run's.
        before: the version before.
        odd: what was odd, by step, beside what the steps noted themselves.
    """
    tonight = Diary(staging.run_id, staging.as_of, steps(staging))
    for step in tonight.steps:
        step.odd = "; ".join([*filter(None, [step.odd]), *(odd or {}).get(step.step, ())]) or None
    kept = runs_before(before)
    rows = _rows(tonight, PUBLISHED)
    for night in nights(staging.root.parents[1]):
        if night.run_id != staging.run_id:
            known = kept.filter(pc.equal(kept["run_id"], night.run_id))
            of_night = _rows(night, known["night_status"][0].as_py() if len(known) else _status(night))
            there = set(known["step"].to_pylist())
            rows += [row for row in of_night if row["step"] not in there]
    schema = TABLES["runs"].schema
    table = pa.concat_tables([kept, pa.Table.from_pylist(rows, schema=schema)])
    by = pa.table({"started_at": table["started_at"], "step": table["step"].cast(pa.string())})
    return table.take(pc.sort_indices(by, [("started_at", "ascending"), ("step", "ascending")]))


def runs_before(before: Version | None) -> pa.Table:
    """The table `runs` of the version before, as it is now: an earlier release knew done steps of published nights alone."""
    schema = TABLES["runs"].schema
    if before is None or not before.has("runs"):
        return schema.empty_table()
    found = pq.read_table(before.root / "runs")
    plain = {"night_status": PUBLISHED, "step_status": "done"}
    columns = [
        found[field.name].cast(field.type)
        if field.name in found.column_names
        else pa.array([plain.get(field.name)] * len(found), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _rows(night: Diary, status: str) -> list[dict[str, Any]]:
    """The steps of a night as rows."""
    names = (
        "step",
        "started_at",
        "elapsed_seconds",
        "cpu_seconds",
        "peak_memory_mb",
        "rows_in",
        "rows_out",
        "odd",
        "failure",
    )
    of_night = {"run_id": night.run_id, "as_of": night.as_of, "night_status": status}
    return [
        of_night
        | {name: getattr(step, name) for name in names}
        | {"step_status": step.status}
        | {f"files_{what}": _number(step.facts.get(what)) for what in ("used", "quarantined", "left")}
        for step in night.steps
    ]


def _number(noted: object) -> int | None:
    """How many: a step notes the number, or names them."""
    return len(noted) if isinstance(noted, list) else noted if isinstance(noted, int) else None


def _status(night: Diary) -> str:
    """How a night ended that no version tells of."""
    return UNFINISHED if night.report is None else str(night.report.get("outcome", UNFINISHED))


def note_verdicts(staging: Staging, table: str, verdicts: Sequence[Verdict]) -> None:
    """Keep what was judged of a table, for the gate of publication and the report of the night."""
    noted = [
        {
            "rule": verdict.rule.name,
            "severity": verdict.rule.severity,
            "passed": verdict.passed,
            "failed": verdict.failed,
            "says": str(verdict),
            "failing_keys": verdict.failing_keys,
        }
        for verdict in verdicts
    ]
    (staging.work("verdicts") / f"{table}.json").write_text(json.dumps(noted), "utf-8")


def noted_verdicts(staging: Staging) -> dict[str, list[dict[str, Any]]]:
    """What was judged so far, by table: `rule`, `severity`, `passed`, `failed`, `says`, `failing_keys`."""
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

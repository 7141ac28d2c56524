"""What a run notes outlives it: steps however they end, lines cut short, nights that failed or were killed, and the memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from klantspoor.dictionary import TABLES
from klantspoor.errors import LakeError
from klantspoor.lake import Lake, Staging
from klantspoor.lake import diary as diary_of
from klantspoor.lake.diary import KEEP, Diary, end_run, masked, nights, of_run
from klantspoor.lake.memory import PeakMemory
from klantspoor.lake.steps import measured, runs_table, steps
from tests.lake.small_world import AS_OF, world
from tests.pipelines.staged_night import stage

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import os, sys
from datetime import datetime
from klantspoor.lake import Lake
from klantspoor.lake.steps import measured
with Lake(sys.argv[1]).open_run("killed", datetime.fromisoformat(sys.argv[2])) as staging:
    with measured(staging, "ledger") as noted:
        noted.facts = {"used": 2, "quarantined": ["a.csv: empty"], "left": []}
    with measured(staging, "events"):
        os._exit(9)
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def staging(lake: Lake) -> Iterator[Staging]:
    with lake.open_run("tonight", AS_OF) as opened:
        yield opened


def diary(staging: Staging) -> Path:
    (path,) = (staging.root.parents[1] / "diary").iterdir()
    return path


def run_of(staging: Staging, **failing: str) -> None:
    """A run of three steps, of which one may fail."""
    for name in ("ledger", "events", "publication"):
        try:
            with measured(staging, name) as noted:
                noted.rows_out = 5
                if name in failing:
                    raise LakeError(failing[name])
        except LakeError:
            break


def test_a_step_is_noted_with_what_it_took(staging: Staging) -> None:
    with measured(staging, "events") as noted:
        noted.rows_in, noted.odd, noted.facts = 7, "a file was odd", {"used": 1}
        assert [step.status for step in of_run(staging).steps] == ["unfinished"]
        assert steps(staging) == []
    (step,) = steps(staging)
    assert (step.step, step.status, step.failure, step.rows_in, step.odd) == (
        "events",
        "done",
        None,
        7,
        "a file was odd",
    )
    assert step.facts == {"used": 1}
    assert step.elapsed_seconds is not None
    assert step.elapsed_seconds > 0
    assert step.cpu_seconds is not None
    assert step.peak_memory_mb is not None
    assert step.peak_memory_mb > 10


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (LakeError("table events: a column is missing"), "table events: a column is missing"),
        (OSError(28, "No space left on device", "part-0.parquet"), "part-0.parquet: No space left on device"),
        (ValueError("could not convert 'Jansen'"), "ValueError: the log of the run has the rest"),
        (LakeError("person 3f9c1a2b3c4d5e6f is odd"), "person … is odd"),
        (KeyboardInterrupt(), "KeyboardInterrupt: the log of the run has the rest"),
    ],
)
def test_a_step_that_fails_says_why_and_quotes_no_row(error: BaseException, why: str, staging: Staging) -> None:
    with pytest.raises(type(error)), measured(staging, "events"):
        raise error
    (step,) = steps(staging)
    assert (step.status, step.failure) == ("failed", why)


def test_an_error_of_the_orchestrator_says_what_caused_it(staging: Staging) -> None:
    with pytest.raises(RuntimeError), measured(staging, "ledger"):
        raise RuntimeError("retry") from OSError(5, "Input/output error", "crm/a.csv")
    assert steps(staging)[0].failure == "crm/a.csv: Input/output error"


def test_a_step_that_is_tried_again_counts_as_it_ended_at_last(staging: Staging) -> None:
    with pytest.raises(OSError, match="away"), measured(staging, "ledger"):
        raise OSError("the share is away")
    with measured(staging, "ledger"):
        pass
    assert [(step.step, step.status) for step in steps(staging)] == [("ledger", "done")]


def test_a_line_that_was_cut_short_spoils_no_other(staging: Staging) -> None:
    with measured(staging, "ledger"):
        pass
    path = diary(staging)
    whole = path.read_bytes()
    with measured(staging, "events"):
        pass
    full = path.read_bytes()
    for length in range(len(whole), len(full)):
        path.write_bytes(full[:length])
        assert [step.step for step in steps(staging)] == ["ledger"]
        assert {step.step for step in of_run(staging).steps} <= {"ledger", "events"}
    path.write_bytes(full[: len(whole) + 9])
    with measured(staging, "journeys"):
        pass
    assert [step.step for step in steps(staging)] == ["ledger", "journeys"]


def test_what_is_no_diary_is_passed_over(lake: Lake, staging: Staging) -> None:
    run_of(staging)
    folder = diary(staging).parent
    (folder / "00000000T000000000000Z-empty.jsonl").touch()
    (folder / "00000000T000000000001Z-odd.jsonl").write_bytes(b'\xff\x00[1]\n{"step": 1}\n"text"\n')
    (folder / "notes.txt").write_text("mine")
    assert [night.run_id for night in nights(lake.root)] == ["tonight"]


def test_a_diary_that_cannot_be_written_fails_no_night(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(diary_of.os, "write", full)
    with measured(staging, "ledger"):
        pass
    assert steps(staging) == []


def test_the_diary_does_not_grow_without_end(lake: Lake) -> None:
    folder = lake.root / "diary"
    with lake.open_run("first", AS_OF) as staging:
        run_of(staging)
    for number in range(KEEP + 20):
        (folder / f"20990101T{number:06d}000000Z-run-{number}.jsonl").write_text("{}", "utf-8")
    with lake.open_run("last", AS_OF) as staging:
        run_of(staging)
        end_run(staging, {"outcome": "failed"})
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == KEEP
    assert names[-1].endswith(f"run-{KEEP + 19}.jsonl"), "the oldest went"


def test_runs_whose_names_end_alike_are_told_apart(lake: Lake) -> None:
    for name in ("a-b", "b"):
        with lake.open_run(name, AS_OF) as staging, measured(staging, name):
            pass
    with lake.open_run("b", AS_OF) as staging:
        assert [step.step for step in steps(staging)] == ["b"]


def test_linkages_and_single_tables_are_no_nights(lake: Lake) -> None:
    for name in ("linkage", "coverage"):
        with lake.open_run(name, AS_OF) as staging, measured(staging, name):
            pass
    assert nights(lake.root) == []


def publish(lake: Lake, name: str, days: int) -> list[dict[str, object]]:
    """A night that is published; the rows of its table `runs`."""
    staging = lake.open_run(name, AS_OF + timedelta(days=days))
    rows = world()
    with measured(staging, "ledger") as noted:
        noted.facts = {"used": 3, "quarantined": [], "left": ["b.csv: it changed"], "events": 9}
        stage(staging, rows, *(table for table in TABLES if table != "runs"))
    with measured(staging, "publication"):
        staging.write("runs", runs_table(staging, lake.current(), {"ledger": ["crm: few rows"]}))
        version = lake.publish(staging)
    end_run(staging, {"outcome": "published"})
    with version.connect() as con:
        found: list[dict[str, object]] = con.sql("SELECT * FROM runs ORDER BY started_at").to_arrow_table().to_pylist()
    return found


def test_nights_that_failed_or_were_killed_are_in_the_next_ones_table(lake: Lake) -> None:
    publish(lake, "one", 0)
    with lake.open_run("two", AS_OF + timedelta(days=1)) as staging:
        run_of(staging, events="the journey file contradicts itself")
        end_run(staging, {"outcome": "failed"})
    later = (AS_OF + timedelta(days=2)).isoformat()
    done = subprocess.run([sys.executable, "-c", KILLED, str(lake.root), later], cwd=ROOT, check=False)
    assert done.returncode == 9
    rows = publish(lake, "three", 3)
    told = [(r["run_id"], r["step"], r["night_status"], r["step_status"]) for r in rows]
    assert told == [
        ("one", "ledger", "published", "done"),
        ("one", "publication", "published", "done"),
        ("two", "ledger", "failed", "done"),
        ("two", "events", "failed", "failed"),
        ("killed", "ledger", "unfinished", "done"),
        ("killed", "events", "unfinished", "unfinished"),
        ("three", "ledger", "published", "done"),
    ]
    failed, killed, tonight = rows[3], rows[5], rows[6]
    assert failed["failure"] == "the journey file contradicts itself"
    assert killed["elapsed_seconds"] is None
    assert [rows[4][f"files_{what}"] for what in ("used", "quarantined", "left")] == [2, 1, 0]
    assert [tonight[f"files_{what}"] for what in ("used", "quarantined", "left")] == [3, 0, 1]
    assert tonight["odd"] == "crm: few rows"
    again = publish(lake, "four", 4)
    assert again[: len(rows)] == rows, "what was told stays as it was"
    assert [r["step"] for r in again[len(rows) :]] == ["publication", "ledger"]


def test_a_table_of_an_earlier_release_is_taken_over(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    publish(lake, "one", 0)
    current = lake.current()
    assert current is not None
    (path,) = (current.root / "runs").glob("*.parquet")
    old = [
        "run_id",
        "step",
        "as_of",
        "started_at",
        "elapsed_seconds",
        "cpu_seconds",
        "peak_memory_mb",
        "rows_in",
        "rows_out",
    ]
    pq.write_table(pq.read_table(path).select([*old, "odd"]), path)
    first, *_ = publish(lake, "two", 1)
    assert (first["night_status"], first["step_status"], first["files_used"]) == ("published", "done", None)


def test_a_night_that_no_version_holds_any_more_is_still_told(lake: Lake) -> None:
    """As after a roll-back: the version before knows nothing of it, the diary does."""
    publish(lake, "one", 0)
    publish(lake, "two", 1)
    (lake.root / "current").write_text("000001\n", "utf-8")
    rows = publish(lake, "three", 2)
    assert {(row["run_id"], row["night_status"]) for row in rows} == {(n, "published") for n in ("one", "two", "three")}


def test_masking_leaves_short_numbers() -> None:
    assert masked("2026-11-25 orders_20261125.csv J3f9c") == "2026-11-25 orders_20261125.csv J3f9c"
    assert masked(None) is None
    assert masked("J00123f9c1a2b3c4d5e6f708192a3b") == "J…"
    assert len(masked("x " * 5000) or "") == 2000


def test_the_peak_of_a_stretch_is_its_own() -> None:
    with PeakMemory() as high:
        block = np.ones(40_000_000)  # 320 MB
        del block
    with PeakMemory() as low:
        sum(range(3_000_000))
    assert high.mib is not None
    assert low.mib is not None
    assert high.mib - low.mib > 200


def test_where_the_system_does_not_tell_only_a_new_peak_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("klantspoor.lake.memory._STATM", tmp_path / "absent")
    tops = iter([1000, 1000, 1000, 5120])
    monkeypatch.setattr("klantspoor.lake.memory._highest", lambda: next(tops))
    with PeakMemory() as low:
        pass
    assert low.mib is None
    with PeakMemory() as high:
        pass
    assert high.mib == 5.0


def test_a_diary_of_nothing() -> None:
    assert not Diary("run", AS_OF, []).is_night
    assert os.sep not in diary_of.FOLDER

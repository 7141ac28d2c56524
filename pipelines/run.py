"""One night from the command line: `python -m pipelines.run [--as-of ISO]`.

The same job that Dagster's UI and schedule run, in this process, with a line per step. Nothing of a stage is here.

Exit codes:
    0  published (with or without warnings: the summary says them)
    1  failed, or stopped by a critical check or an absent source; the version before stays
    2  mistakes in the project's files or in how the command was called; nothing was touched
    3  another run is writing to this lake; nothing was touched
"""

import argparse
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from klantspoor.errors import ConfigError, LakeError
from klantspoor.lake import BusyError, Staging, open_lake
from klantspoor.project.key import load_key
from klantspoor.project.load import load_project

if TYPE_CHECKING:
    import dagster as dg

PUBLISHED, FAILED, MISTAKES, BUSY = 0, 1, 2, 3
ROOT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a night; gives the exit code."""
    as_of = _arguments(arguments)
    try:
        project = load_project()
        load_key(project)  # a night without it would fail after the lake was opened
    except ConfigError as error:
        print(f"The project has {len(error.problems)} mistake(s); nothing was touched:", file=sys.stderr)
        print(error, file=sys.stderr)
        return MISTAKES
    _quieten()
    _dagster_home()
    run_id = str(uuid4())
    lake = open_lake(project)
    try:
        staging = lake.open_run(run_id, as_of)
    except BusyError as error:
        print(error, file=sys.stderr)
        return BUSY
    except LakeError as error:
        print(error, file=sys.stderr)
        return FAILED
    print(f"{project.file.name}: the night of {as_of.isoformat(timespec='minutes')}")
    with staging:
        published = _execute(run_id, staging)
        from pipelines.summary import summary

        for line in summary(lake, staging, published):
            print(line)
    return PUBLISHED if published else FAILED


def _arguments(arguments: Sequence[str] | None) -> datetime:
    parser = argparse.ArgumentParser(prog="python -m pipelines.run", description="Run one night and publish it.")
    parser.add_argument(
        "--as-of",
        type=_instant,
        help="the night's clock, ISO 8601 with an offset, such as 2026-07-01T03:00+02:00 (now)",
    )
    said: datetime | None = parser.parse_args(arguments).as_of
    return said or datetime.now(UTC).replace(microsecond=0)


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 time, such as 2026-07-01T03:00+02:00") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no offset: write {text}Z for UTC")
    return moment.astimezone(UTC)


def _execute(run_id: str, staging: Staging) -> bool:
    """Run the job in this process; whether it published."""
    import dagster as dg

    from pipelines.definitions import defs
    from pipelines.resources import AS_OF_TAG

    with dg.DagsterInstance.get() as instance:
        result = defs.resolve_job_def("nightly").execute_in_process(
            run_id=run_id,
            instance=instance,
            tags={AS_OF_TAG: staging.as_of.isoformat()},
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    for line in _failures(result):
        print(line, file=sys.stderr)
    return bool(result.success)


def _failures(result: "dg.ExecuteInProcessResult") -> list[str]:
    """Why steps failed, shortly: the whole trace is in Dagster's log of the run."""
    lines = []
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error is not None:
            data = event.step_failure_data
            said = data.user_failure_data.description if data.user_failure_data else None
            lines.append(f"{event.step_key} failed: {said or _innermost(data.error)}")
        elif event.is_run_failure and not lines:
            lines.append(f"the run failed: {event.message}")
    return lines


def _innermost(error: "dg.SerializableErrorInfo") -> str:
    while error.cause is not None:
        error = error.cause
    return str(error.message).strip()


def _quieten() -> None:
    """Only our own lines on the terminal; Dagster keeps the rest in its log of the run."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("  %(message)s"))
    progress = logging.getLogger("klantspoor.night")
    progress.handlers = [handler]
    progress.setLevel(logging.INFO)
    progress.propagate = False
    warnings.filterwarnings("ignore")


def _dagster_home() -> None:
    """Point Dagster at `.dagster` in the checkout, unless the environment says where, with the checkout's settings."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(ROOT / ".dagster")))
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(ROOT / "dagster.yaml", home / "dagster.yaml")


if __name__ == "__main__":
    sys.exit(main())

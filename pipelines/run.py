"""One run of nights from the command line: `python -m pipelines.run [--as-of ISO | --from DATE --to DATE] [--wait ...] [--anew]`.

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
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from klantspoor.alarm import Alarm, raise_alarm
from klantspoor.errors import ConfigError, LakeError, NotFoundError
from klantspoor.lake import BusyError, Lake, open_lake
from klantspoor.project.key import load_key
from klantspoor.project.load import load_project
from klantspoor.project.model import Project, parse_duration

if TYPE_CHECKING:
    import dagster as dg

    from pipelines.nights import Clock

PUBLISHED, FAILED, MISTAKES, BUSY = 0, 1, 2, 3
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command was asked for: a clock, or nights, or neither; how long to wait; whether to go on from nothing."""

    as_of: datetime | None = None
    first: str | None = None
    last: str | None = None
    wait: timedelta = timedelta(0)
    anew: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a night, or several in one; gives the exit code."""
    asked = _arguments(arguments)
    try:
        project = load_project()
    except ConfigError as error:
        return _mistakes(error)
    run_id = str(uuid4())
    try:
        load_key(project)  # a night without it would fail after the lake was opened
        code = _night(project, asked, run_id)
    except ConfigError as error:
        _alarm(project, run_id)
        return _mistakes(error)
    except NotFoundError as error:
        print(error, file=sys.stderr)
        return MISTAKES
    except BusyError as error:
        print(error, file=sys.stderr)
        if asked.wait:  # who does not wait looks at the terminal, and tries again
            _alarm(project, run_id)
        return BUSY
    except LakeError as error:
        print(error, file=sys.stderr)
        code = FAILED
        _alarm(project, run_id)
    except Exception:
        _alarm(project, run_id)
        raise
    return code


def _night(project: Project, asked: Asked, run_id: str) -> int:
    _quieten()
    _dagster_home()
    from pipelines.waiting import open_when_free

    lake = open_lake(project)
    staging, tonight = open_when_free(lake, run_id, partial(_clock, project, lake, asked), asked.wait, print)
    print(f"{project.file.name}: {_named(tonight)} {tonight.as_of.isoformat(timespec='minutes')}")
    with staging:
        if asked.anew:
            lake.forget_state()
        published = _execute(run_id, tonight, project)
        from pipelines.summary import summary

        for line in summary(lake, staging, published):
            print(line)
    return PUBLISHED if published else FAILED


def _clock(project: Project, lake: Lake, asked: Asked) -> "Clock":
    """The run's clock and nights, as of now."""
    from pipelines.nights import Clock, clock, due, named, range_tags

    now = datetime.now(UTC).replace(microsecond=0)
    if asked.first is not None or asked.last is not None:
        return clock(range_tags(named(asked.first, asked.last, project, lake, now)), now, project, lake)
    as_of = asked.as_of or now
    return Clock(as_of, None, due(project, lake, as_of))


def _named(tonight: "Clock") -> str:
    if tonight.landed_before is None or tonight.nights is None:
        return "the night of"
    first, last = tonight.nights.start, tonight.nights.end
    return f"the night {first}, as of" if first == last else f"the nights {first} to {last}, as of"


def _arguments(arguments: Sequence[str] | None) -> Asked:
    parser = argparse.ArgumentParser(prog="python -m pipelines.run", description="Run one night and publish it.")
    parser.add_argument(
        "--as-of",
        type=_instant,
        help="the night's clock, ISO 8601 with an offset, such as 2026-07-01T03:00+02:00 (now)",
    )
    parser.add_argument("--from", dest="first", type=_day, help="the first of several nights, as the day it begins on")
    parser.add_argument("--to", dest="last", type=_day, help="the last of them: what landed after it is left")
    parser.add_argument("--wait", type=_wait, default=timedelta(0), help='for another run, such as "2 hours" (not)')
    parser.add_argument("--anew", action="store_true", help="build everything from the ledger, as a first night would")
    said = parser.parse_args(arguments)
    if said.as_of is not None and (said.first or said.last):
        parser.error("--as-of cannot be given with --from and --to: nights have their own clock")
    return Asked(said.as_of, said.first, said.last, said.wait, said.anew)


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 time, such as 2026-07-01T03:00+02:00") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no offset: write {text}Z for UTC")
    return moment.astimezone(UTC)


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day, such as 2026-07-01") from None


def _wait(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _mistakes(error: ConfigError) -> int:
    print(f"The project has {len(error.problems)} mistake(s); nothing was touched:", file=sys.stderr)
    print(error, file=sys.stderr)
    return MISTAKES


def _execute(run_id: str, tonight: "Clock", project: Project) -> bool:
    """Run the job in this process; whether it published. Raises the alarm where it did not."""
    import dagster as dg

    from pipelines.crashed import mark_crashed, this_process
    from pipelines.definitions import defs
    from pipelines.watch import alarm_of

    with dg.DagsterInstance.get() as instance:
        for run in mark_crashed(instance):
            print(f"Run {run.run_id} of {run.job_name} was left behind by a crash: marked as failed in Dagster.")
        result = defs.resolve_job_def("nightly").execute_in_process(
            run_id=run_id,
            instance=instance,
            tags={**this_process(), **tonight.tags},
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        for line in _failures(result):
            print(line, file=sys.stderr)
        if not result.success:
            _tell(project, alarm_of(instance, result.dagster_run))
    return bool(result.success)


def _alarm(project: Project, run_id: str) -> None:
    """Raise the alarm of a night that did not come to its steps."""
    _tell(project, Alarm("run_failed", "nightly", run_id))


def _tell(project: Project, alarm: Alarm) -> None:
    for told in raise_alarm(project, alarm):
        print(f"Alarm: {told}.", file=sys.stderr)


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

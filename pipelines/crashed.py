"""Runs that a crash left behind: Dagster calls them started for ever, and its queue waits for them.

A run is left behind when the process that ran it is gone from this machine: killed, out of memory, or before the last start of
the machine. Runs of other machines, and those whose process nobody wrote down, are left to `max_runtime_seconds`.
"""

import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus, RunsFilter

PROCESS_TAG = "klantspoor/process"
COMMAND_TAG = "klantspoor/started_by"
_GRPC_TAG = ".dagster/grpc_info"
_PROC = Path("/proc")
_HERE = {"localhost", "127.0.0.1", "::1"}


def this_process() -> dict[str, str]:
    """The tags by which a run says which process runs it."""
    return {COMMAND_TAG: "command", PROCESS_TAG: f"{socket.gethostname()} {os.getpid()} {_began(os.getpid())}"}


def mark_crashed(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Marks as failed what dead processes left behind as started; gives those runs."""
    left = [
        record.dagster_run
        for record in instance.get_run_records(
            RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.STARTING])
        )
        if is_left_behind(instance, record.dagster_run)
    ]
    for run in left:
        instance.report_run_failed(
            run,
            "The process of this run is gone without a word: killed, out of memory, or the machine went down. Nothing was"
            " published by it; files it had read whole are not read again. The next night does the rest.",
        )
    return left


def is_left_behind(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the process of a started run is known, was on this machine, and is gone."""
    if PROCESS_TAG in run.tags:
        host, pid, began = run.tags[PROCESS_TAG].rsplit(" ", 2)
        return host == socket.gethostname() and _began(int(pid)) != began
    if not _is_launched_here(run.tags.get(_GRPC_TAG)):
        return False
    records = instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT)
    started = [(pid, record.timestamp) for record in records if (pid := _pid(record)) is not None]
    if not started:
        return False
    pid, moment = started[-1]
    began = _began(pid)
    # A process that is younger than the run's first word is another one with the same number.
    return began == "" or _since_the_epoch(began) > moment + 1


def _pid(record: dg.EventLogEntry) -> int | None:
    event = record.dagster_event
    if event is None or not (event.message or "").startswith("Started process for run"):
        return None
    value = event.engine_event_data.metadata.get("pid")
    return int(str(value.value)) if value is not None else None


def _is_launched_here(grpc: str | None) -> bool:
    if grpc is None:
        return False
    said = json.loads(grpc)
    return bool(said.get("socket")) or said.get("host") in _HERE


def _began(pid: int) -> str:
    """When a process began, in clock ticks since the machine's start and which start that was; empty where it is gone."""
    fields = _stat(pid)
    if fields is None or fields[0] in ("Z", "X"):  # dead, and not yet asked about by its parent
        return ""
    boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{fields[19]}@{boot}"


def _stat(pid: int) -> Sequence[str] | None:
    """The fields of /proc/PID/stat from the third on, the state: the second, a name, may hold anything."""
    try:
        text = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _since_the_epoch(began: str) -> float:
    ticks = int(began.partition("@")[0])
    lines = (_PROC / "stat").read_text("ascii").splitlines()
    (boot,) = (int(line.split()[1]) for line in lines if line.startswith("btime "))
    return boot + ticks / os.sysconf("SC_CLK_TCK")

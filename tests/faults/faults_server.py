"""Processes that cost a fork: a server imports everything once, with the library preloaded, and forks for every call.

A call names a function of this folder's modules by "module:function"; it is given keyword arguments and gives something that JSON
can hold. Run as a program it is the server, imported it is the client. Holds no test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.faults.faults_shim import Armed, ArmedReading, Mode, Reading, disarm

ROOT = Path(__file__).resolve().parents[2]
PRELOADED = tuple(f"tests.faults.faults_{name}" for name in ("small_disk", "world", "readers", "states"))


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: the signal), what the function gave, and what it raised if it did.

    `changes` and `reads` are counted only where it ended by itself.
    """

    code: int
    value: Any = None
    error: str | None = None
    trace: str = ""
    changes: int = 0
    reads: int = 0

    def must(self) -> Any:
        assert self.code == 0, f"ended with {self.code}: {self.trace}"
        return self.value


class Server:
    """A server for one test module; `home` is the folder in which its processes work."""

    def __init__(self, library: Path, home: Path) -> None:
        self.home = home
        self._environment = {
            "LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT), "TMPDIR": str(home / "scratch"),
            "OPENBLAS_NUM_THREADS": "1",
        }  # fmt: skip
        (home / "scratch").mkdir(parents=True, exist_ok=True)
        self._results = home / "results"
        self._results.mkdir(exist_ok=True)
        self._process: subprocess.Popen[str] | None = None
        self._calls = 0

    def __enter__(self) -> Server:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.faults_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | self._environment,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def start(self, call: str, *, armed: Armed | ArmedReading | None = None, **given: Any) -> Started:
        self._calls += 1
        result = self._results / f"{self._calls}.json"
        arms = None if armed is None else _said(armed)
        pid = self._ask({"call": call, "given": _plain(given), "armed": arms, "result": str(result)})
        return Started(self, int(pid), result)

    def run(self, call: str, *, armed: Armed | ArmedReading | None = None, timeout: float = 120, **given: Any) -> Ended:
        return self.start(call, armed=armed, **given).wait(timeout)

    def _ask(self, asked: dict[str, Any]) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@dataclass(frozen=True)
class Started:
    """A process that is on its way."""

    server: Server
    pid: int
    result: Path

    def wait(self, timeout: float = 120) -> Ended:
        code = int(self.server._ask({"wait": self.pid, "timeout": timeout}))
        told = json.loads(self.result.read_text("utf-8")) if self.result.exists() else {}
        self.result.unlink(missing_ok=True)
        return Ended(code, **told)

    def wait_until_stopped(self, timeout: float = 120) -> None:
        deadline = time.monotonic() + timeout
        while Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}


def _said(armed: Armed | ArmedReading) -> dict[str, Any]:
    return {"reads": isinstance(armed, ArmedReading), **_plain(vars(armed))}


# --- the server ------------------------------------------------------------------------------------------------------


def serve() -> None:
    for module in PRELOADED:
        import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        answer = _wait(asked["wait"], asked["timeout"]) if "wait" in asked else _fork(asked)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _fork(asked: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(2, 1)
            code = _run(asked)
        finally:
            os._exit(code)
    return pid


def _run(asked: dict[str, Any]) -> int:
    module, _, name = asked["call"].partition(":")
    function = getattr(import_module(f"tests.faults.{module}"), name)
    told: dict[str, Any] = {}
    _arm(asked["armed"])
    try:
        told["value"] = function(**asked["given"])
    except BaseException as error:
        told |= {"error": type(error).__name__, "trace": traceback.format_exc()}
    told["changes"], told["reads"] = disarm()
    Path(asked["result"]).write_text(json.dumps(told), "utf-8")
    return 1 if "error" in told else 0


def _arm(said: dict[str, Any] | None) -> None:
    if said is None:
        return
    reads = said.pop("reads")
    paths = {name: Path(said[name]) for name in ("root", "path", "log", "other") if said.get(name)}
    made = {**said, **paths}
    if reads:
        ArmedReading(**made | {"mode": Reading(said["mode"])}).arm()
    else:
        Armed(**made | {"mode": Mode(said["mode"])}).arm()


def _wait(pid: int, timeout: float) -> int:
    """The exit code of a process, which is killed where it does not end in time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -1000


if __name__ == "__main__":
    serve()

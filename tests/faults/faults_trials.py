"""A trial: a project as it was, something done to it that goes wrong, readers all along, and what goes on after it. No test."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from tests.faults.faults_disk import Choice, Disk, everything
from tests.faults.faults_server import Ended, Server, Started
from tests.faults.faults_shim import Armed, ArmedReading, Call, Mode, read_log
from tests.faults.faults_states import AGAIN, KNOWN, state


@dataclass(frozen=True)
class Scenario:
    """`before` makes the project, `act` is what is disturbed; done once more it must come to the same end.

    Each is a call of `faults_world` with its arguments. With `drops` versions go that somebody may just be reading; with
    `goes_on` there is more to do when the version is published, so that a failure does not tell whether it is.
    """

    name: str
    before: tuple[tuple[str, dict[str, Any]], ...]
    act: tuple[str, dict[str, Any]]
    drops: bool = False
    goes_on: bool = False


_FIRST: tuple[tuple[str, dict[str, Any]], ...] = (("make", {}),)
_SECOND = (*_FIRST, ("night", {"day": 1, "run_id": "one"}), ("land", {"day": 2}))
_THIRD = (*_SECOND, ("night", {"day": 2, "run_id": "two"}), ("land", {"day": 3}))
_TWO = tuple(("publish", {"number": number, "run_id": f"run-{number}"}) for number in (1, 2))
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("first night", _FIRST, ("night", {"day": 1})),
        Scenario("second night", _SECOND, ("night", {"day": 2})),
        Scenario("forgetting", _THIRD, ("forget_and_night", {"day": 3}), drops=True, goes_on=True),
        Scenario("publication", _TWO, ("publish", {"number": 3, "drop": ["000001"]}), drops=True),
        Scenario("rotation", _SECOND, ("rotate_and_night", {"day": 2}), drops=True),
    )
}


class Trials:
    """The trials of one scenario in one folder; `calls` are those of the undisturbed run, in their order."""

    def __init__(self, server: Server, scenario: Scenario) -> None:
        self.scenario = scenario
        self.server = server
        self.project = server.home / "project"
        self.base = server.home / f"base-{scenario.name.replace(' ', '-')}"
        self._gate = server.home / "gate"
        self.whole: list[dict[str, Any]] = []
        self._healed: set[str] = set()
        self._built = server.home / f"built-{self.base.name}"
        self._built.touch()
        self._seen: dict[str, dict[str, Any]] = {}
        self.reruns = self.ends = 0
        shutil.rmtree(self.project, ignore_errors=True)
        for name, given in scenario.before:
            self.call(name, **given).must()
        shutil.rmtree(self.base, ignore_errors=True)
        shutil.copytree(self.project, self.base)
        self._before = self.read()
        log = server.home / "log"
        ended = self.act(Armed(server.home, Mode.COUNT, 0, log))
        ended.must()
        self.calls = read_log(log)
        assert ended.changes == len(self.calls)
        self.after = Disk(self.project, self.project)
        self.wanted = self.call("outcome", module="faults_readers").must()
        assert self.wanted["leftovers"] == []
        self.whole = [self._before, self.wanted["tables"]]

    def call(
        self, name: str, *, module: str = "faults_world", armed: Armed | ArmedReading | None = None, **given: Any
    ) -> Ended:
        return self.server.run(f"{module}:{name}", armed=armed, project=self.project, **given)

    def act(self, armed: Armed | ArmedReading | None = None) -> Ended:
        name, given = self.scenario.act
        return self.call(name, armed=armed, run_id="disturbed" if armed else AGAIN, **given)

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("read", module="faults_readers").must()
        return found

    # --- one trial ---------------------------------------------------------------------------------------------------

    def go_wrong(self, mode: Mode, at: int, below: str = "") -> Ended:
        """The act, disturbed at a call, on the project as it was; then everything that must hold after it.

        With `below` only calls below that part of the project count.
        """
        label = f"{self.scenario.name}, {mode.name} at {at} of {len(self.calls)} {below}"
        self.reset(label)
        ended = self.act(Armed(self.project / below if below else self.server.home, mode, at))
        deadly = mode in (Mode.KILL, Mode.TORN)
        assert ended.code in ((-9,) if deadly else (0, 1)), f"{label}: ended with {ended.code}; {ended.trace}"
        assert deadly or ended.changes >= at, f"{label}: it never came to that call"
        self.examine(label, None if deadly or self.scenario.goes_on else ended.code == 0)
        return ended

    def reset(self, label: str) -> None:
        """The project as it was."""
        with self.exchanged(label):
            shutil.rmtree(self.project)
            shutil.copytree(self.base, self.project)

    def start(self, armed: Armed) -> Started:
        """The act, disturbed, while this process goes on."""
        name, given = self.scenario.act
        return self.server.start(f"faults_world:{name}", armed=armed, project=self.project, run_id="disturbed", **given)

    def small_disk(self, room: int) -> dict[str, Any] | None:
        """The act on a disk with so many bytes left, and what must hold after it; what `on_small_disk` gives."""
        _, given = self.scenario.act
        call = "faults_small_disk:on_small_disk"
        found: dict[str, Any] | None = self.server.run(
            call, project=self.project, base=self.base, room=room, **given
        ).must()
        if found is not None:
            assert found["seen"] in self.whole, f"{room} bytes left: {_told(found['seen'], self.whole[0])}"
            assert found["outcome"] == self.wanted, f"{room} bytes left: {_told(found['outcome'], self.wanted)}"
        return found

    def killed(self, disk: Disk, label: str) -> None:
        """The project as a process that is killed leaves it, which is all that it did; then everything that must hold."""
        self.power_fails(disk, everything, label)

    def power_fails(self, disk: Disk, choice: Choice, label: str) -> None:
        """The project as it may be found after a power failure; then everything that must hold after it."""
        with self.exchanged(label):
            self.lay(disk, choice)
        self.examine(label, None)

    def lay(self, disk: Disk, choice: Choice) -> None:
        disk.lay(choice, self.project)

    def deaths(self) -> Iterator[tuple[str, Disk]]:
        """Every moment at which the undisturbed run can be killed, and the disk then: before a call, or half of it written."""
        disk = Disk(self.base, self.project)
        for call in self.calls:
            yield f"killed before {call.number}", disk
            if call.kind == "write" and len(call.data) > 1:
                disk.apply(replace(call, data=call.data[: len(call.data) // 2]))
                yield f"killed within {call.number}", disk
            disk.apply(call)

    def replayed(self) -> Iterator[tuple[Call, Disk]]:
        """Every call of the undisturbed run, and the disk after it."""
        disk = Disk(self.base, self.project)
        for call in self.calls:
            disk.apply(call)
            yield call, disk

    def end(self) -> Disk:
        """The disk after all of them, as the calls tell it."""
        disk = Disk(self.base, self.project)
        for call in self.calls:
            disk.apply(call)
        return disk

    @contextmanager
    def exchanged(self, label: str) -> Iterator[None]:
        """Keeps readers away while the project is exchanged for another."""
        with self._gate.open("a+") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            held.truncate(0)
            held.write(label)
            held.flush()
            yield

    def examine(self, label: str, published: bool | None) -> None:
        """Readers see a whole version, the right one where it is known which; and done once more, all is as undisturbed."""
        visible = state(self.project, ("current", "versions", "klantspoor.duckdb"))
        if visible not in self._seen:
            self._seen[visible] = self.read()
        seen = self._seen[visible]
        for kind, found in seen.items():
            assert found in [whole[kind] for whole in self.whole], (
                f"{label}: {kind} saw {_told(found, self._before[kind])}"
            )
        if published is not None:
            assert seen["glob"] == self.whole[published]["glob"], f"{label}: published? {published}"
        left = state(self.project)
        if left not in self._healed:
            self._heal(label)
            self._healed.add(left)

    def _heal(self, label: str) -> None:
        """Once more, to the end or to where another one began to build that came to the right end."""
        self.reruns += 1
        name, given = self.scenario.act
        again = self.call("once_more", module="faults_states", act=name, given=given, known=self._built)
        if again.code == KNOWN:
            return
        assert again.code == 0, f"{label}: once more: {again.trace}"
        self.ends += 1
        found = self.call("outcome", module="faults_readers").must()
        for part, wanted in self.wanted.items():
            assert found[part] == wanted, f"{label}: {part}: {_told(found[part], wanted)}"
        if again.value is not None:
            with self._built.open("a", encoding="utf-8") as known:
                known.write(f"{again.value}\n")

    # --- readers -----------------------------------------------------------------------------------------------------

    @contextmanager
    def readers(self) -> Iterator[None]:
        """Readers that look all along; at the end, what they saw."""
        stop = self.server.home / "stop"
        stop.unlink(missing_ok=True)
        with self.exchanged("nothing yet"):
            pass
        poller = self.server.start("faults_readers:poll", project=self.project, gate=self._gate, stop=stop)
        try:
            yield
        finally:
            stop.touch()
            saw = poller.wait().must()
        for kind, looks in saw.items():
            for text, (_, trial) in looks.items():
                found = json.loads(text)
                gone = self.scenario.drops and isinstance(found, str) and _GONE.search(found)
                whole = found in [version[kind] for version in self.whole]
                assert whole or gone, f"{kind} saw in {trial}: {_told(found, self._before[kind])}"


_GONE = re.compile("No files found|No such file or directory|^FileNotFoundError")
"""What a reader is told of a version that is dropped before its time, because a person or a key must go."""


def _told(found: Any, wanted: Any) -> str:
    """In what two things that JSON can hold differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
        return "; ".join(f"{key}: {_told(found.get(key), wanted.get(key))}" for key in keys)[:2000]
    return f"{str(found)[:300]} and not {str(wanted)[:300]}"

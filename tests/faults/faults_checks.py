"""What is asked of every scenario, at some of its calls or at all. Holds no test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

from tests.faults.faults_disk import Choice, Disk, by_dice, contents_only, everything, forced_only, names_only
from tests.faults.faults_shim import Armed, Call, Mode, read_log, told
from tests.faults.faults_trials import Trials

Moment = TypeVar("Moment")
CHOICES: dict[str, Choice] = {"forced": forced_only, "names": names_only, "contents": contents_only}


def spread(calls: Sequence[Call], most: int) -> list[int]:
    """The numbers of so many calls: those about which the pointer moves, and others evenly.

    Three in four of the others are of those that change more than a run's own folder.
    """
    turn = max(call.number for call in calls if call.kind == "rename" and call.other.endswith("/lake/current"))
    apart = [call.number for call in calls if is_apart(call)]
    own = [call.number for call in calls if not is_apart(call)]
    return sorted({turn, turn + 1, *_even(apart, most - most // 4 - 2), *_even(own, most // 4)})


def is_apart(call: Call) -> bool:
    """Whether a call changes something outside the folder of the run, which no other run reads."""
    return any(path and "/lake/work/" not in path for path in (call.path, call.other))


def _even(moments: Sequence[Moment], most: int) -> list[Moment]:
    """So many of them, evenly; of one, the one in the middle."""
    if len(moments) <= most:
        return list(moments)
    return [moments[(2 * at + 1) * len(moments) // (2 * most)] for at in range(most)]


def check_log(trials: Trials) -> str:
    """The calls that were counted are all there are: done once more in a model, they come to what lies on the disk."""
    assert trials.end().digest(everything) == trials.after.digest(everything)
    return f"{trials.scenario.name}: {len(trials.calls)} calls change the disk: {told(trials.calls)}"


def check_deaths(trials: Trials) -> str:
    """Killed at every call, none left out: as it is about to be made, and where it writes with half of that written.

    What a process leaves that is killed is what it did until then, so the calls of the undisturbed run tell it.
    `check_one_death` has the kernel say so, and `check_calls` kills indeed.
    """
    moments, seen, reruns, ends = 0, set[str](), trials.reruns, trials.ends
    with trials.readers():
        for label, disk in trials.deaths():
            moments += 1
            left = disk.digest(everything, "/lake/work")
            if left not in seen:
                seen.add(left)
                trials.killed(disk, f"{trials.scenario.name}, {label} of {len(trials.calls)}")
    states = f"{len(seen)} states of the disk, {trials.reruns - reruns} begun again"
    return f"{trials.scenario.name}: killed at each of {moments} moments: {states}, {trials.ends - ends} of these up to their end"


def check_one_death(trials: Trials, number: int) -> None:
    """What is found on the disk when the process was killed at a call is what its own calls before that tell."""
    trials.reset(f"a death before {number}")
    log = trials.server.home / "log of a death"
    assert trials.act(Armed(trials.server.home, Mode.KILL, number, log)).code == -9
    told_of = Disk(trials.base, trials.project)
    calls = read_log(log)
    for call in calls:
        told_of.apply(call)
    assert len(calls) == number - 1
    assert told_of.digest(everything) == Disk(trials.project, trials.project).digest(everything)


SURVIVED = (Mode.FULL, Mode.READONLY, Mode.ERROR)
"""What a process goes on after, so that it must be done indeed at each call."""
GROWING = frozenset(("write", "create", "mkdir", "rename", "link", "symlink", "truncate"))
"""Calls that a full disk refuses; at another one nothing happens before the next of these."""


def that_tell(calls: Sequence[Call], mode: Mode) -> list[int]:
    """The numbers of all calls at which a fault of this kind can show what it does not show at the next one."""
    if mode == Mode.FULL:
        return [call.number for call in calls if call.kind in GROWING]
    if mode == Mode.READONLY:
        return [call.number for call in calls if call.kind != "sync"]
    return [call.number for call in calls]


def check_calls(trials: Trials, mode: Mode, numbers: Iterable[int]) -> str:
    """Disturbed at these calls, one trial each, with readers all along."""
    outcomes: Counter[str] = Counter()
    tried = 0
    with trials.readers():
        for number in numbers:
            ended = trials.go_wrong(mode, number)
            outcomes[ended.error or ("killed" if ended.code < 0 else "published")] += 1
            tried += 1
    ways = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
    return f"{trials.scenario.name}: {mode.name} at {tried} of {len(trials.calls)} calls: {ways}"


def check_power(trials: Trials, most: int | None = None) -> str:
    """The power fails after calls outside the run's own folder; each state of the disk that may follow is looked at once.

    These are: what was forced alone, after each call that forces; and, after each that changes a name, names without contents,
    contents without names, and what the dice say. With `most`, so many of them.
    """
    apart = [call for call in trials.calls if is_apart(call)]
    forced = [(call.number, "forced") for call in apart if call.kind == "sync"]
    others = [(call.number, name) for call in apart if call.changes_names for name in ("names", "contents", "dice")]
    moments = {*forced, *others} if most is None else {*_even(forced, most // 2), *_even(others, most - most // 2)}
    seen: set[str] = set()
    with trials.readers():
        for call, disk in trials.replayed():
            for name, choice in (CHOICES | {"dice": by_dice(call.number)}).items():
                if (call.number, name) not in moments:
                    continue
                state = disk.digest(choice, "/lake/work")
                if state not in seen:
                    seen.add(state)
                    trials.power_fails(disk, choice, f"{trials.scenario.name}, power fails after {call.number}, {name}")
    all_of_them = f"{len(forced) + len(others)} moments after {len(apart)} calls"
    return f"{trials.scenario.name}: the power fails at {len(moments)} of {all_of_them}: {len(seen)} states of the disk"


def check_end(trials: Trials) -> None:
    """What is told to be done outlasts a power failure right after it: it was forced to the disk, names and all."""
    trials.lay(trials.end(), forced_only)
    assert trials.call("read", module="faults_readers").must()["glob"] == trials.wanted["tables"]["glob"]
    assert trials.call("kept", module="faults_readers").must() == trials.wanted["kept"]

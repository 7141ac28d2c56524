"""What became of every version, whatever order of publications, roll-backs, removals and crashes led there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from klantspoor.lake.history import History, Past, settled
from klantspoor.lake.pruning import outlived

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Told:
    """The same, told naively: the line of versions up to the current one, and heaps of those that were set aside at once."""

    line: list[int] = field(default_factory=list)
    heaps: list[list[int]] = field(default_factory=list)
    highest: int = 0

    def publish(self) -> int:
        self.highest += 1
        self.line.append(self.highest)
        return self.highest

    def go_to(self, number: int) -> None:
        heap = next((heap for heap in self.heaps if number in heap), [])
        again = [one for one in heap if one <= number]
        aside = [one for one in self.line if one > number]
        self.heaps = [[one for one in heap if one not in again] for heap in self.heaps]
        self.heaps.append(aside)
        self.line = sorted([one for one in self.line if one <= number] + again)

    def remove(self, number: int) -> None:
        self.line = [one for one in self.line if one != number]
        self.heaps = [[one for one in heap if one != number] for heap in self.heaps]

    @property
    def on_disk(self) -> list[int]:
        return sorted([*self.line, *(one for heap in self.heaps for one in heap)])


def name(number: int) -> str:
    return f"{number:06d}"


STEPS = st.lists(
    st.tuples(st.sampled_from(["publish", "go to", "remove"]), st.integers(0, 10), st.booleans()), max_size=25
)


@given(STEPS)
def test_the_note_says_what_happened(steps: list[tuple[str, int, bool]]) -> None:
    told = Told()
    told.publish()
    history = settled(None, name(1), [name(1)], START)
    now = START
    for what, which, unfinished in steps:
        now += HOUR
        others = [one for one in told.on_disk if one != told.line[-1]]
        if what == "publish":
            told.publish()
        elif others and what == "go to":
            told.go_to(others[which % len(others)])
        elif others:
            told.remove(others[which % len(others)])
        on_disk = [*map(name, told.on_disk), *([name(told.highest + 1)] if unfinished else [])]
        history = settled(history, name(told.line[-1]), on_disk, now)
        assert settled(history, name(told.line[-1]), on_disk, now + HOUR) == history, "once told, it stays so"
    assert history.highest == told.highest
    assert [int(one) for one in history.versions] == told.on_disk, "what was never published is not known"
    in_line = [int(one) for one, past in history.versions.items() if past.set_aside is None]
    assert in_line == told.line
    assert [int(one) for one, past in history.versions.items() if past.until is None] == [told.line[-1]]


def test_the_moments_are_those_at_which_it_happened() -> None:
    first = settled(None, name(1), [name(1)], START)
    second = settled(first, name(2), [name(1), name(2)], START + HOUR)
    assert second.versions == {name(1): Past(until=START + HOUR), name(2): Past()}
    back = settled(second, name(1), [name(1), name(2)], START + 2 * HOUR)
    assert back.versions[name(1)] == Past()
    assert back.versions[name(2)] == Past(until=START + 2 * HOUR, set_aside=START + 2 * HOUR)
    forth = settled(back, name(2), [name(1), name(2)], START + 3 * HOUR)
    assert forth.versions == {name(1): Past(until=START + 3 * HOUR), name(2): Past()}


def test_a_lake_without_a_note_has_published_all_up_to_the_current_one() -> None:
    found = settled(None, name(3), [name(1), name(3), name(4)], START)
    assert found == History(3, {name(1): Past(until=START), name(3): Past()})
    assert settled(None, None, [name(1)], START) == History()


def line_of(*numbers: int, aside: tuple[int, ...] = ()) -> History:
    """Each version ended at the hour of its number; the newest in line is current."""
    pasts = {name(n): Past(until=START + n * HOUR) for n in numbers[:-1]} | {name(numbers[-1]): Past()}
    pasts |= {name(n): Past(START + n * HOUR, set_aside=START) for n in aside}
    return History(max([*numbers, *aside]), pasts)


LATER = START + timedelta(days=30)


def gone(
    history: History, keep: int, pinned: frozenset[str] = frozenset(), keep_for: timedelta = HOUR, now: datetime = LATER
) -> list[int]:
    return [int(one) for one in outlived(history, pinned, keep, keep_for, now)]


def test_the_newest_stay() -> None:
    assert gone(line_of(1, 2, 3, 4), keep=2) == [1, 2]
    assert gone(line_of(1, 2, 3, 4), keep=9) == []
    assert gone(line_of(4), keep=1) == []


def test_numbers_that_are_gone_do_not_count() -> None:
    assert gone(line_of(1, 2, 8, 9), keep=3) == [1]


def test_what_was_set_aside_takes_no_place_and_goes_with_those_around_it() -> None:
    assert gone(line_of(1, 2, 3, aside=(4, 5)), keep=2) == [1]
    assert gone(line_of(1, 2, 3, 6, 7, aside=(4, 5)), keep=2) == [1, 2, 3, 4, 5]
    assert gone(line_of(1, 2, 3, 6, 7, aside=(4, 5)), keep=3) == [1, 2]


def test_a_version_stays_for_a_while_after_it_was_current() -> None:
    history = line_of(1, 2, 3)
    assert gone(history, keep=1, now=START + 2 * HOUR) == [1]
    assert gone(history, keep=1, now=START + 2 * HOUR - timedelta(seconds=1)) == []
    assert gone(history, keep=1, now=START + 3 * HOUR) == [1, 2]


def test_a_pinned_version_stays() -> None:
    assert gone(line_of(1, 2, 3), keep=1, pinned=frozenset({name(1)})) == [2]

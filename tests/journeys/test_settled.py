"""What is settled, against the sentence in docs/journeys.md taken literally."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klantspoor.journeys.settled import settled

Event = tuple[int, int, int, int]
"""person, at, until when it can matter (after `at`), case key (0: none)."""


def literally(events: list[Event], as_of: int) -> list[bool]:
    """For each event whether a cut that holds lies after it."""
    said = []
    for place, (person, *_) in enumerate(events):
        mine = [other for other in range(len(events)) if events[other][0] == person]
        holding = []
        for cut in range(1, len(mine) + 1):
            before, after = [events[i] for i in mine[:cut]], [events[i] for i in mine[cut:]]
            deadline = max(at + reach for _, at, reach, _ in before)
            is_quiet = not after or after[0][1] > deadline
            ties = {key for *_, key in before if key} & {key for *_, key in after if key}
            if is_quiet and deadline < as_of and not ties:
                holding.append(cut)
        said.append(mine.index(place) < max(holding, default=0))
    return said


def asked(events: list[Event], as_of: int) -> list[bool]:
    columns = np.array(events, dtype=np.int64).reshape(-1, 4)
    person, at, reach, key = columns.T
    keys = [key.astype(np.uint64)]
    return settled(person.astype(np.uint64), at, at + reach, keys, as_of).tolist()


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    rows = st.tuples(st.integers(1, 3), st.integers(0, 30), st.integers(0, 6), st.sampled_from([0, 0, 0, 7, 8]))
    return sorted(draw(st.lists(rows, max_size=14)), key=lambda row: row[:2])


@given(histories(), st.integers(0, 45))
def test_as_it_is_said(events: list[Event], as_of: int) -> None:
    assert asked(events, as_of) == literally(events, as_of)


@pytest.mark.parametrize(("events", "as_of", "expected"), [
    ([(1, 0, 5, 0)], 5, [False]),
    ([(1, 0, 5, 0)], 6, [True]),
    ([(1, 0, 5, 0), (1, 5, 1, 0)], 100, [True, True]),
    ([(1, 0, 5, 0), (1, 6, 50, 0)], 20, [True, False]),
    ([(1, 0, 5, 0), (1, 5, 50, 0)], 20, [False, False]),
    ([(1, 0, 5, 7), (1, 6, 50, 7)], 20, [False, False]),
    ([(1, 0, 5, 7), (2, 6, 50, 7)], 20, [True, False]),
    ([(1, 0, 9, 0), (1, 1, 1, 0), (1, 9, 50, 0)], 20, [False, False, False]),
], ids=["at its deadline", "after it", "all quiet", "a new beginning", "just in time", "the case goes on",
        "another's case of the same number", "the longest patience counts"])  # fmt: skip
def test_by_hand(events: list[Event], as_of: int, expected: list[bool]) -> None:
    assert asked(events, as_of) == expected

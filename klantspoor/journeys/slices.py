"""What the kernel is given: the events of whole persons as columns, and what it must know of their kinds.

Shapes only; the rules that use them are in the modules beside this one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from klantspoor.journeys.segments import Bools, Ints, changes, numbers, running_max


@dataclass(frozen=True, slots=True)
class Slice:
    """The events of whole persons in order: one NumPy column of equal length each.

    `at` and `until` are microseconds since 1970 UTC; `account` and the case keys are 0 where unknown, `topic` is -1.
    `need` and `score` may hold NaN-like markers only through their own masks in the kernel, not here.
    """

    person: npt.NDArray[np.uint64]
    at: Ints
    until: Ints
    kind: npt.NDArray[np.int32]
    account: npt.NDArray[np.uint64]
    topic: npt.NDArray[np.int32]
    tie_order: Ints
    keys: dict[str, npt.NDArray[np.uint64]]

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True)
class KindTraits:
    """What the kernel needs to know of a kind beside the journey types' rules: its line of contact, and the line's gap.

    `line` numbers the distinct (source, channel); `contact_gap` is the source's, in microseconds.
    """

    line: npt.NDArray[np.int32]
    contact_gap: Ints


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the kernel must know of journeys that are settled and not among the events it is given.

    `several` gives, per journey type, the persons (sorted) of whom two accounts are known there. The other columns have one
    row for each person, type and account that has settled journeys: how many, and the id of the last.
    """

    several: dict[str, npt.NDArray[np.uint64]]
    person: npt.NDArray[np.uint64]
    journey_type: npt.NDArray[np.int16]
    account: npt.NDArray[np.uint64]
    cycles: Ints
    last: pa.StringArray

    def had_several(self, journey_type: str, person: npt.NDArray[np.uint64]) -> Bools:
        """By event, whether its person had two accounts there."""
        known = self.several.get(journey_type)
        return np.zeros(len(person), dtype=bool) if known is None or not len(known) else np.isin(person, known)


def nothing_earlier() -> Earlier:
    """Where all is given to the kernel."""
    none = np.empty(0, dtype=np.uint64)
    return Earlier({}, none, none.astype(np.int16), none, none.astype(np.int64), pa.array([], pa.string()))


def contacts(events: Slice, traits: KindTraits, person: Ints, visible: Bools) -> Ints:
    """The contact of each event, numbered from 0; -1 where the event is not visible."""
    rows = np.flatnonzero(visible)
    contact = np.full(len(events), -1, dtype=np.int64)
    if not len(rows):
        return contact
    line = traits.line[events.kind[rows]]
    rows = rows[np.lexsort((line, person[rows]))]
    group = changes(person[rows], traits.line[events.kind[rows]])
    contact[rows] = numbers(
        contact_breaks(events.at[rows], events.until[rows], traits.contact_gap[events.kind[rows]], group)
    )
    return contact


def contact_breaks(at: Ints, until: Ints, gap: Ints, group: Bools) -> Bools:
    """True where a new contact begins: more than `gap` after the latest end so far of its group, or always with gap 0."""
    latest = running_max(until, group)
    new = group.copy()
    new[1:] |= (at[1:] - latest[:-1] > gap[1:]) | (gap[1:] == 0)
    return new

"""Evidence as columns of numbers: identifiers, the sets in which they were seen together, and when.

What the kernel works on; made from the ledger in `klantspoor.identity.encode`, or by hand in a test.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from klantspoor.project.model import IdentifierType

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Extra:
    """Pairs of identifiers from outside the sources: a steward's, or those of the linkage of records.

    `left`, `right` (n): nodes; `weight` (n): of the linkage, higher is surer; zeros for a steward's.
    """

    left: Ints
    right: Ints
    weight: npt.NDArray[np.float64]

    @staticmethod
    def none() -> Extra:
        """No pair at all."""
        return Extra(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of n identifiers (nodes) seen in m distinct sets, by k observations of these sets.

    Nodes are numbered by trust: by their type's priority, then type, then pseudonym; so the lowest in a set is its most
    trusted.

    Attributes:
        kind: (n) each node's type, as an index into the types in order of priority and name.
        sequence: (n) the file in which it was first seen, as the ledger counts.
        guarded: (n) whether it is nobody's whatever it is seen with (a block list, a steward).
        start: (m + 1) where each set's members begin; `member`: (start[m]) nodes, ascending within a set.
        observed: (k) a set; `first`, `last`: (k) when it was first and last seen that day, in µs since 1970 UTC.
        shared: nodes that count as shared whatever they are seen with: they were before somebody was forgotten.
        forced, forbidden: a steward's pairs; `fuzzy`: pairs of records that are probably one person's.
        settled: (n) whether `at_most` is known to have made it shared, by more evidence than this; none: of no node.
    """

    kind: npt.NDArray[np.int16]
    sequence: Ints
    guarded: Mask
    start: Ints
    member: Ints
    observed: Ints
    first: Ints
    last: Ints
    shared: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    forced: Extra = field(default_factory=Extra.none)
    forbidden: Extra = field(default_factory=Extra.none)
    fuzzy: Extra = field(default_factory=Extra.none)
    settled: Mask | None = None

    @property
    def nodes(self) -> int:
        """How many identifiers there are."""
        return len(self.kind)

    @property
    def sets(self) -> int:
        """How many distinct sets there are."""
        return len(self.start) - 1

    def set_of_member(self) -> Ints:
        """(start[m]) the set of each member."""
        return np.repeat(np.arange(self.sets, dtype=np.int64), np.diff(self.start))

    def first_seen(self) -> Ints:
        """(m) when each set was first seen."""
        seen = np.full(self.sets, np.iinfo(np.int64).max, np.int64)
        np.minimum.at(seen, self.observed, self.first)
        return seen


def ordered_types(types: dict[str, IdentifierType]) -> list[tuple[str, IdentifierType]]:
    """The project's identifier types by trust: what `Evidence.kind` counts."""
    return sorted(types.items(), key=lambda item: (item[1].priority, item[0]))

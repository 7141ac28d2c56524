"""How well a partition of records into persons agrees with the true one: pairwise, B-cubed and by whole clusters.

Numbers in, numbers out: nothing here knows where persons or truth come from. A record without a predicted person is held
to be a person of its own (a singleton), as every method that leaves a record alone says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = npt.NDArray[np.int64]
NOBODY = -1
"""The code of a record that was given no person, and of a household that is not known."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Precision and recall, 0 to 1; 1 where there was nothing to get wrong (0 of 0)."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Their harmonic mean (van Rijsbergen, Information Retrieval, 1979); 0 where both are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Scores:
    """A prediction held against the truth.

    `records` were scored, of which `without_person` have no predicted person; `predicted_persons` does not count those.
    `merged_persons` are predicted persons that hold records of more than one true person; of these
    `merged_in_household` are of one household (None where households are not known). `split_persons` are true persons
    whose records are held by more than one predicted person.
    """

    records: int
    without_person: int
    predicted_persons: int
    true_persons: int
    pairwise: Measure
    bcubed: Measure
    cluster: Measure
    merged_persons: int
    merged_in_household: int | None
    split_persons: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """The cells of the contingency table that hold records: predicted cluster, true cluster, and how many (m each)."""

    predicted: Ints
    true: Ints
    count: Ints
    predicted_sizes: Ints
    true_sizes: Ints


def score(predicted: Ints, truth: Ints, household: Ints | None = None) -> Scores:
    """Scores a prediction.

    Args:
        predicted: the predicted person of each record (n), any codes from 0; NOBODY where there is none.
        truth: the true person of each record (n), any codes from 0.
        household: the true household of each record (n), NOBODY where it is not known.

    Raises:
        ValueError: the arrays differ in length, or a true person is below 0.
    """
    if len(predicted) != len(truth) or (household is not None and len(household) != len(truth)):
        raise ValueError("predicted, truth and household need one entry per record")
    if len(truth) and int(truth.min()) < 0:
        raise ValueError("every record needs a true person")
    alone = predicted < 0
    persons, codes = np.unique(predicted[~alone], return_inverse=True)
    clusters = np.empty(len(predicted), np.int64)
    clusters[~alone] = codes
    clusters[alone] = len(persons) + np.arange(int(alone.sum()))
    truths, true = np.unique(truth, return_inverse=True)
    cells = overlap(clusters, true.astype(np.int64, copy=False))
    merged = np.bincount(cells.predicted, minlength=len(persons))[: len(persons)] > 1
    held = cells.true[cells.predicted < len(persons)]
    return Scores(
        records=len(truth),
        without_person=int(alone.sum()),
        predicted_persons=len(persons),
        true_persons=len(truths),
        pairwise=pairwise(cells),
        bcubed=bcubed(cells),
        cluster=whole_clusters(cells),
        merged_persons=int(merged.sum()),
        merged_in_household=None if household is None else _in_household(clusters, household, merged),
        split_persons=int((np.bincount(held) > 1).sum()),
    )


def overlap(predicted: Ints, true: Ints) -> Overlap:
    """The contingency table of two partitions of n records, each given by codes that count from 0 without a gap."""
    wide = int(true.max(initial=0)) + 1
    cells, count = np.unique(predicted * wide + true, return_counts=True)
    return Overlap(cells // wide, cells % wide, count, np.bincount(predicted), np.bincount(true))


def pairwise(cells: Overlap) -> Measure:
    """Of all pairs of records put together, the share that belong so; of all that belong, the share put together.

    With n records shared by a predicted and a true cluster, P = sum C(n, 2) / sum over predicted C(size, 2), and R the same
    over true clusters (Menestrina, Whang and Garcia-Molina, Evaluating entity resolution results, PVLDB 3(1), 2010;
    Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, § 16.3). Large persons weigh most.
    """
    right = _pairs(cells.count)
    return Measure(_share(right, _pairs(cells.predicted_sizes)), _share(right, _pairs(cells.true_sizes)))


def bcubed(cells: Overlap) -> Measure:
    """The mean over records of the share of their predicted cluster that is theirs, and of their true one that is there.

    P = 1/N sum n²/size of the predicted cluster, R = 1/N sum n²/size of the true one (Bagga and Baldwin, Algorithms for
    scoring coreference chains, LREC 1998; Amigó, Gonzalo, Artiles and Verdejo, A comparison of extrinsic clustering
    evaluation metrics based on formal constraints, Information Retrieval 12, 2009). Every record weighs the same.
    """
    records = int(cells.count.sum())
    if not records:
        return Measure(1.0, 1.0)
    squares = cells.count.astype(np.float64) ** 2
    return Measure(
        float((squares / cells.predicted_sizes[cells.predicted]).sum()) / records,
        float((squares / cells.true_sizes[cells.true]).sum()) / records,
    )


def whole_clusters(cells: Overlap) -> Measure:
    """Of the predicted clusters, the share that are a true one exactly; of the true ones, the share found so.

    (Menestrina, Whang and Garcia-Molina 2010, there the cluster F1.) A cluster that misses one record counts as wrong.
    """
    same = (cells.count == cells.predicted_sizes[cells.predicted]) & (cells.count == cells.true_sizes[cells.true])
    right = int(same.sum())
    return Measure(_share(right, len(cells.predicted_sizes)), _share(right, len(cells.true_sizes)))


def _pairs(sizes: Ints) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _in_household(clusters: Ints, household: Ints, merged: npt.NDArray[np.bool_]) -> int:
    """How many of the merged predicted persons hold records of one known household only."""
    highest = np.full(len(merged), NOBODY)
    lowest = np.full(len(merged), np.iinfo(np.int64).max)
    held = clusters < len(merged)
    np.maximum.at(highest, clusters[held], household[held])
    np.minimum.at(lowest, clusters[held], household[held])
    return int((merged & (lowest == highest) & (lowest >= 0)).sum())


def evidence_bound(
    truth: Ints, record: Ints, identifier: Ints, row: Ints | None = None, row_identifier: Ints | None = None
) -> Ints:
    """The truth refined by evidence: which records of one true person anything in the data could tie together.

    Two records of one true person stay together only if a chain of identifiers connects them that were seen within that
    person's own records: they share an identifier, or each shares one with a third record of theirs, and so on. What is
    left apart (a cookie that never logs in) no method can tie but by guessing. It bounds from above: an identifier that
    others use too ties here.

    Rows whose true person nobody knows (a customer list) count as a person's own for every person in whose records one of
    their identifiers occurs.

    Args:
        truth: the true person of each record (n), codes from 0.
        record: index of a record (m), with `identifier`: one entry per identifier seen in it.
        identifier: the identifier's code (m), from 0.
        row: number of a row of unknown person (k), with `row_identifier`.
        row_identifier: the identifier's code (k).

    Returns:
        The refined true person of each record (n), codes from 0.
    """
    row = np.empty(0, np.int64) if row is None else row
    row_identifier = np.empty(0, np.int64) if row_identifier is None else row_identifier
    wide = max(int(identifier.max(initial=0)), int(row_identifier.max(initial=0))) + 1
    seen = truth[record] * wide + identifier  # an identifier of two persons is two things
    owner, listed, listed_identifier = _owned(np.unique(seen), wide, row, row_identifier)
    things, codes = np.unique(np.concatenate([seen, owner * wide + listed_identifier]), return_inverse=True)
    rows, listed = np.unique(listed * (int(truth.max(initial=0)) + 1) + owner, return_inverse=True)
    # Nodes: the records, then each person's identifiers, then the rows as each person's.
    size = len(truth) + len(things) + len(rows)
    left = np.concatenate([record, len(truth) + len(things) + listed])
    graph = coo_array((np.ones(len(left), np.int8), (left, len(truth) + codes)), shape=(size, size))
    labels = connected_components(graph, directed=False)[1][: len(truth)]
    return np.asarray(np.unique(labels, return_inverse=True)[1], np.int64)


def _owned(seen: Ints, wide: int, row: Ints, row_identifier: Ints) -> tuple[Ints, Ints, Ints]:
    """Person, row and identifier, for every person that a row counts for and every identifier in it.

    `seen` are the distinct person * wide + identifier of the records.
    """
    by_identifier = np.argsort(seen % wide, kind="stable")
    known, person = (seen % wide)[by_identifier], (seen // wide)[by_identifier]
    at, places = _matches(known, row_identifier)
    people = int(person.max(initial=0)) + 1
    pairs = np.unique(row[at] * people + person[places])
    pair_row, pair_person = pairs // people, pairs % people
    order = np.argsort(row, kind="stable")
    at, places = _matches(row[order], pair_row)
    return pair_person[at], pair_row[at], row_identifier[order][places]


def _matches(known: Ints, wanted: Ints) -> tuple[Ints, Ints]:
    """All (index in wanted, index in known) of equal values; `known` is sorted."""
    begin, end = np.searchsorted(known, wanted, "left"), np.searchsorted(known, wanted, "right")
    count = end - begin
    at = np.repeat(np.arange(len(wanted)), count)
    return at, np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count) + begin[at]

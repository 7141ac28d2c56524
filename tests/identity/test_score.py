"""The scores of identity: against naive reckoning by the definitions, the examples of the literature, and themselves."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klantspoor.identity.score import NOBODY, Measure, Scores, evidence_bound, score

Clusters = set[frozenset[int]]


def ints(values: Iterable[int]) -> np.ndarray:
    return np.array(list(values), dtype=np.int64)


def scored(predicted: Iterable[int], truth: Iterable[int], household: Iterable[int] | None = None) -> Scores:
    return score(ints(predicted), ints(truth), None if household is None else ints(household))


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text]


# --- naive: by the words of the definitions, with sets and loops ---


def clusters(codes: list[int]) -> Clusters:
    """Records by code; those without one alone."""
    alone = [{n} for n, code in enumerate(codes) if code == NOBODY]
    held = [{n for n, other in enumerate(codes) if other == code} for code in set(codes) - {NOBODY}]
    return {frozenset(cluster) for cluster in alone + held}


def share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def pairs(found: Clusters) -> set[tuple[int, int]]:
    return {pair for cluster in found for pair in combinations(sorted(cluster), 2)}


def naive(predicted: list[int], truth: list[int]) -> tuple[Measure, Measure, Measure]:
    found, true = clusters(predicted), clusters(truth)
    both = pairs(found) & pairs(true)
    pairwise = Measure(share(len(both), len(pairs(found))), share(len(both), len(pairs(true))))
    precisions, recalls = [], []
    for record in range(len(truth)):
        mine = next(cluster for cluster in found if record in cluster)
        theirs = next(cluster for cluster in true if record in cluster)
        precisions.append(len(mine & theirs) / len(mine))
        recalls.append(len(mine & theirs) / len(theirs))
    bcubed = Measure(share(sum(precisions), len(truth)), share(sum(recalls), len(truth)))
    same = len(found & true)
    return pairwise, bcubed, Measure(share(same, len(found)), share(same, len(true)))


def close(one: Measure, other: Measure) -> bool:
    return (one.precision, one.recall) == pytest.approx((other.precision, other.recall))


partitions = st.lists(
    st.tuples(st.integers(-1, 6), st.integers(0, 5), st.integers(-1, 2)), max_size=25
)  # predicted, true, household


@given(partitions)
def test_every_measure_is_its_definition(rows: list[tuple[int, int, int]]) -> None:
    predicted, truth = [row[0] for row in rows], [row[1] for row in rows]
    found = scored(predicted, truth)
    for mine, theirs in zip((found.pairwise, found.bcubed, found.cluster), naive(predicted, truth), strict=True):
        assert close(mine, theirs)


@given(partitions)
def test_counts_of_merged_and_split_persons(rows: list[tuple[int, int, int]]) -> None:
    found = scored(*([row[place] for row in rows] for place in range(3)))
    persons = {row[0] for row in rows} - {NOBODY}
    merged = [p for p in persons if len({row[1] for row in rows if row[0] == p}) > 1]
    at_home = [{row[2] for row in rows if row[0] == p} for p in merged]
    assert found.predicted_persons == len(persons)
    assert found.true_persons == len({row[1] for row in rows})
    assert found.without_person == sum(row[0] == NOBODY for row in rows)
    assert found.merged_persons == len(merged)
    assert found.merged_in_household == sum(len(homes) == 1 and homes != {NOBODY} for homes in at_home)
    split = [t for t in {row[1] for row in rows} if len({row[0] for row in rows if row[1] == t} - {NOBODY}) > 1]
    assert found.split_persons == len(split)


@given(partitions)
def test_swapping_prediction_and_truth_swaps_precision_and_recall(rows: list[tuple[int, int, int]]) -> None:
    predicted, truth = [abs(row[0]) for row in rows], [row[1] for row in rows]
    there, back = scored(predicted, truth), scored(truth, predicted)
    for name in ("pairwise", "bcubed", "cluster"):
        mine, other = getattr(there, name), getattr(back, name)
        assert close(mine, Measure(other.recall, other.precision))
        assert mine.f1 == pytest.approx(other.f1)


@given(partitions, st.randoms())
def test_neither_names_nor_order_matter(rows: list[tuple[int, int, int]], chance: object) -> None:
    before = scored([row[0] for row in rows], [row[1] for row in rows])
    chance.shuffle(rows)  # type: ignore[attr-defined]
    after = scored([row[0] * 1000 + 7 if row[0] >= 0 else -5 for row in rows], [10**12 - row[1] for row in rows])
    for name in ("pairwise", "bcubed", "cluster"):
        assert close(getattr(before, name), getattr(after, name))


# --- the literature's examples ---


def test_pairs_as_in_introduction_to_information_retrieval() -> None:
    """§ 16.3: 17 points in three clusters, 20 of 40 pairs right, 24 missed: P 0.5, R 0.455, F1 0.476."""
    found = scored([0] * 6 + [1] * 6 + [2] * 5, letters("xxxxxo" + "xooood" + "xxddd"))
    assert found.pairwise.precision == 20 / 40
    assert found.pairwise.recall == 20 / 44
    assert found.pairwise.f1 == pytest.approx(0.476, abs=0.0005)


@pytest.mark.parametrize(("response", "precision"), [("111112222222", 16 / 21), ("111112211111", 7 / 12)])
def test_bcubed_as_in_bagga_and_baldwin(response: str, precision: float) -> None:
    """Truth {1..5}, {6, 7}, {8..C}; one response joins the last two, the other the first and the last."""
    found = scored(letters(response), letters("aaaaabbccccc"))
    assert found.bcubed.precision == pytest.approx(precision)
    assert found.bcubed.recall == 1


def test_whole_clusters_by_hand() -> None:
    """Of {a, b}, {c}, {d, e} one of three is found as it is, by one of four clusters: {a, b}, {c, d}, {e} and a lone f."""
    found = scored([0, 0, 1, 1, 2, NOBODY], [0, 0, 1, 2, 2, 2])
    assert (found.cluster.precision, found.cluster.recall) == (1 / 4, 1 / 3)


# --- the ends of the scale ---


def test_a_perfect_prediction_scores_one_and_records_left_alone_are_singletons() -> None:
    perfect = scored([4, 4, 9], [1, 1, 0])
    assert [m.f1 for m in (perfect.pairwise, perfect.bcubed, perfect.cluster)] == [1, 1, 1]
    alone = scored([NOBODY, NOBODY, NOBODY], [1, 1, 0])
    assert alone.pairwise == Measure(1.0, 0.0)
    assert alone.pairwise.f1 == 0
    assert alone.cluster == Measure(1 / 3, 1 / 2)
    assert scored([], []).bcubed == Measure(1.0, 1.0)


def test_persons_of_millions_of_records_do_not_overflow() -> None:
    found = score(np.zeros(4_000_000, np.int64), np.arange(4_000_000) % 2)
    assert found.pairwise.precision == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize(("predicted", "truth"), [([0], [0, 1]), ([0, 0], [0, NOBODY])])
def test_what_cannot_be_scored_is_refused(predicted: list[int], truth: list[int]) -> None:
    with pytest.raises(ValueError, match=r"true person|one entry"):
        scored(predicted, truth)


# --- the bound that evidence sets ---


def naive_bound(truth: list[int], seen: list[tuple[int, int]], listed: list[tuple[int, int]]) -> Clusters:
    """Joins records of a person that share an identifier, rows of the list taken as that person's, until nothing changes."""
    groups = []
    for person in set(truth):
        own = {n: {i for record, i in seen if record == n} for n, owner in enumerate(truth) if owner == person}
        known = set().union(*own.values())
        rows = [{i for row, i in listed if row == number} for number in {row for row, _ in listed}]
        held = [({n}, set(ids)) for n, ids in own.items()] + [(set(), ids) for ids in rows if ids & known]
        changed = True
        while changed:
            changed = False
            for one, other in combinations(held, 2):
                if one[1] & other[1]:
                    held.remove(one)
                    held.remove(other)
                    held.append((one[0] | other[0], one[1] | other[1]))
                    changed = True
                    break
        groups += [records for records, _ in held if records]
    return {frozenset(records) for records in groups}


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=12).flatmap(
        lambda truth: st.tuples(
            st.just(truth),
            st.lists(st.tuples(st.integers(0, len(truth) - 1), st.integers(0, 9)), max_size=20),
            st.lists(st.tuples(st.integers(0, 4), st.integers(0, 11)), max_size=10),
        )
    )
)
def test_the_bound_is_its_definition(world: tuple[list[int], list[tuple[int, int]], list[tuple[int, int]]]) -> None:
    truth, seen, listed = world
    columns = [ints(pair[place] for pair in pairs) for pairs in (seen, listed) for place in (0, 1)]
    bound = evidence_bound(ints(truth), *columns)
    assert clusters(bound.tolist()) == naive_bound(truth, seen, listed)


def test_the_bound_by_hand() -> None:
    """Ann's visits 0 and 1 share a cookie; 2 has another and no log-in, 3 nothing at all. Bob's 4 has Ann's cookie."""
    seen = [(0, 70), (1, 70), (1, 1), (2, 71), (4, 70), (5, 2)]
    truth = [0, 0, 0, 0, 1, 1]
    record, identifier = (ints(pair[place] for pair in seen) for place in (0, 1))
    assert clusters(evidence_bound(ints(truth), record, identifier).tolist()) == clusters([0, 0, 1, 2, 3, 4])
    # A customer list that knows of 71, and through a second row of it, ties visit 2 to the others.
    row, row_identifier = ints([0, 0, 1, 1]), ints([71, 8, 8, 1])
    tied = evidence_bound(ints(truth), record, identifier, row, row_identifier)
    assert clusters(tied.tolist()) == clusters([0, 0, 0, 2, 3, 4])
    # Bob's visit is not tied to Bob by what Ann does with the same cookie.
    assert tied[4] != tied[5]


def test_no_method_that_follows_own_evidence_beats_the_bound() -> None:
    """Refining leaves nothing between true persons together: the bound's own precision against the truth is 1."""
    chance = np.random.default_rng(5)
    truth = chance.integers(0, 40, 400)
    bound = evidence_bound(truth, chance.integers(0, 400, 500), chance.integers(0, 90, 500))
    found = score(bound, truth)
    assert found.pairwise.precision == found.bcubed.precision == 1
    assert found.merged_persons == 0

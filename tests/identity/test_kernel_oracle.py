"""The kernel against the oracle, over generated worlds: caps, windows, constraints, turns, a steward's and likely pairs."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from identity_oracle import Identifier, Kind, Limit, Resolver, Row, World, whose
from kernel_world import kernel

from klantspoor.identity.turns import RULES, UNLIMITED, turns

NAMES = ("login", "mail", "phone", "cookie")
EXAMPLES = int(os.environ.get("KLANTSPOOR_EXAMPLES", "300"))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    limits = st.builds(Limit, st.integers(1, 2), st.sampled_from([None, 0, 3, 10]))
    kinds = {}
    for n, name in enumerate(NAMES):
        others = st.sampled_from([other for other in NAMES if other != name])
        kinds[name] = Kind(
            priority=draw(st.integers(1, 3)) if draw(st.booleans()) else n + 1,
            one_per_person=draw(st.booleans()) and draw(st.booleans()),
            at_most=draw(st.dictionaries(others, limits, max_size=1)) if draw(st.booleans()) else {},
            at_most_persons=draw(st.one_of(st.none(), limits)),
            when_shared=draw(st.sampled_from(["nobody", "split"])),
        )
    identifiers = [(name, str(n)) for name in NAMES for n in range(3)]
    one = st.sampled_from(identifiers)
    members = st.frozensets(one, min_size=1, max_size=3)
    rows = []
    for sequence in range(1, draw(st.integers(1, 3)) + 1):
        for held in draw(st.lists(members, max_size=7)):
            first = draw(st.integers(0, 30))
            rows.append(Row(sequence, held, first, first + draw(st.integers(0, 4))))
    pair = st.tuples(one, one)
    weighted = st.tuples(one, one, st.sampled_from([5.0, 7.5]))
    return World(
        rows,
        kinds,
        guarded=frozenset(draw(st.lists(one, max_size=1))),
        kept=frozenset(draw(st.lists(one, max_size=1))),
        forced=draw(st.lists(pair, max_size=2)),
        forbidden=[p for p in draw(st.lists(pair, max_size=2)) if p[0] != p[1]],
        fuzzy=draw(st.lists(weighted, max_size=2)),
    )


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds())
def test_the_kernel_finds_what_the_oracle_finds(world: World) -> None:
    wanted, found = Resolver(world).run(), kernel(world)
    assert found.shared == wanted.shared
    assert found.in_turn == wanted.in_turn
    assert found.groups == wanted.groups
    assert found.anchors == wanted.anchors
    assert found.of_set == wanted.of_set
    assert found.refused == wanted.refused


MOMENTS = st.integers(0, 12)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(st.tuples(MOMENTS, st.integers(0, 2)), max_size=9),
    st.sampled_from(sorted(RULES)),
    st.sampled_from([None, 0, 1, 2, 5]),
)
def test_turns_are_whose_it_was_at_every_moment(seen: list[tuple[int, int]], rule: str, reach: int | None) -> None:
    found = turns(
        np.array([7] * len(seen), np.int64),
        np.array([at for at, _ in seen], np.int64),
        np.array([who for _, who in seen], np.int64),
        np.array([RULES[rule]] * len(seen), np.int8),
        np.array([UNLIMITED if reach is None else reach] * len(seen), np.int64),
    )
    for at in range(-2, 15):
        here = (found.since <= at) & (at <= found.until)
        assert here.sum() <= 1
        wanted = whose(seen, at, rule, float("inf") if reach is None else reach)
        assert (found.person[here].tolist() or [None])[0] == wanted


def test_a_world_counted_by_hand() -> None:
    """So that kernel and oracle are not wrong together."""
    a, b, mail, tablet = ("login", "a"), ("login", "b"), ("mail", "m"), ("cookie", "t")
    kinds = {
        "login": Kind(1, one_per_person=True),
        "mail": Kind(2),
        "cookie": Kind(3, at_most_persons=Limit(1), when_shared="split"),
    }
    together: list[frozenset[Identifier]] = [
        frozenset({a, mail}),
        frozenset({b, mail}),
        frozenset({a, tablet}),
        frozenset({b, tablet}),
    ]
    world = World([Row(1, held, n, n) for n, held in enumerate(together)], kinds)
    found = kernel(world)
    assert found.groups == {frozenset({a, mail}), frozenset({b})}
    assert found.in_turn == {tablet}
    assert found.refused == {(b, mail)}
    assert found.of_set[frozenset({b, mail})] == frozenset({b})

"""Joining groups of identifiers by links, under constraints: what must not end up in one person does not.

Most groups hold no conflict and are plain connected components. Only in those that do, links are taken one by one, the
most trusted first, and one that would bring the conflict about is left out: Kruskal's algorithm (1956) with constraints.
So of the links on the path between two identifiers that exclude each other, the least trusted is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from klantspoor.identity.evidence import Ints, Mask

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Constraint:
    """Groups of which no two with different values may become one: `group` (n) has `value` (n); `name` says which rule."""

    name: str
    group: Ints
    value: Ints


Rank = tuple[npt.NDArray[np.float64] | Ints, ...]


@dataclass(frozen=True, slots=True)
class Edges:
    """Links between nodes (n): `u` the more trusted end, `v` the other.

    `rank` gives, for positions (k) among them, the columns (k each) by which they are taken in turn, the first counting
    most. It is asked only about links of groups in conflict.
    """

    u: Ints
    v: Ints
    rank: Callable[[Ints], Rank]


@dataclass(frozen=True, slots=True)
class Refused:
    """Links left out (n): their ends, and the name of the constraint that each would have broken."""

    u: Ints
    v: Ints
    name: list[str]


NOTHING_REFUSED = Refused(np.empty(0, np.int64), np.empty(0, np.int64), [])


def join(label: Labels, edges: Edges, constraints: Sequence[Constraint]) -> tuple[Labels, Refused]:
    """Groups joined by links.

    Args:
        label: (nodes) the group of each node, from 0.
        edges: between nodes.
        constraints: over groups.

    Returns:
        The new group of each node, numbered from 0 in the order of the old ones, and what was left out.
    """
    u, v = label[edges.u], label[edges.v]
    apart = np.flatnonzero(u != v)
    if not len(apart):
        return label, NOTHING_REFUSED
    u, v = u[apart], v[apart]
    groups = int(label.max()) + 1
    joined = components(u, v, groups)
    conflicts = _conflicts(joined, constraints)
    if len(conflicts) == 0:
        return joined[label], NOTHING_REFUSED
    doubtful = np.zeros(int(joined.max()) + 1, np.bool_)
    doubtful[conflicts] = True
    among = np.flatnonzero(doubtful[joined[u]])
    at = apart[among]
    order = np.lexsort((edges.v[at], edges.u[at], *reversed(edges.rank(at))))
    taken, reasons = _one_by_one(order, u[among], v[among], doubtful[joined], constraints)
    kept = np.ones(len(u), np.bool_)
    kept[among] = taken
    refused = at[~taken]
    return components(u[kept], v[kept], groups)[label], Refused(edges.u[refused], edges.v[refused], reasons)


def components(u: Ints, v: Ints, count: int) -> Labels:
    """The connected component of each of `count` nodes, linked by (u, v), numbered by their lowest node."""
    ones = np.ones(len(u), np.int8)
    graph = coo_array((ones, (u, v)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _conflicts(joined: Labels, constraints: Sequence[Constraint]) -> Ints:
    """The joined groups in which some constraint has two values."""
    found = [_several_values(joined[c.group], c.value) for c in constraints if len(c.group)]
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)


def _several_values(group: Ints, value: Ints) -> Ints:
    # A group with two values has a member whose value is not that of the group's last one.
    last = np.zeros(int(group.max()) + 1, np.int64)
    last[group] = value
    return np.unique(group[last[group] != value])


def _one_by_one(
    order: Ints, u: Ints, v: Ints, doubtful: Mask, constraints: Sequence[Constraint]
) -> tuple[Mask, list[str]]:
    """Which links of the groups in conflict are taken (n), and of each that is not, why not.

    A loop over links, but only over those of groups in which persons would be mixed up: few, as guards come before.
    """
    held: dict[int, dict[str, int]] = {}
    for constraint in constraints:
        chosen = doubtful[constraint.group]
        for group, value in zip(constraint.group[chosen].tolist(), constraint.value[chosen].tolist(), strict=True):
            held.setdefault(group, {})[constraint.name] = value
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        top = node
        while (above := parent.get(top, top)) != top:
            top = above
        while (above := parent.get(node, node)) != top:
            parent[node] = top
            node = above
        return top

    taken = np.zeros(len(u), np.bool_)
    why: dict[int, str] = {}
    for number, one, other in zip(order.tolist(), u[order].tolist(), v[order].tolist(), strict=True):
        a, b = root(one), root(other)
        if a == b:
            taken[number] = True
            continue
        mine, theirs = held.get(a, {}), held.get(b, {})
        if len(mine) < len(theirs):
            a, b, mine, theirs = b, a, theirs, mine
        broken = sorted(name for name, value in theirs.items() if mine.get(name, value) != value)
        if broken:
            why[number] = broken[0]
            continue
        taken[number] = True
        parent[b] = a
        if theirs:
            held.setdefault(a, {}).update(theirs)
    return taken, [why[number] for number in np.flatnonzero(~taken).tolist()]

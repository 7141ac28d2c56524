"""Caps: which identifiers were seen with more others, or with more persons, than their type allows.

Counting only; what follows from it is decided in `klantspoor.identity.kernel`.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from klantspoor.identity.evidence import Evidence, Ints
from klantspoor.project.model import Cap

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Pairs:
    """What identifiers were seen with (n pairs): `node`, the `other` (an identifier, or a person), and in which `set`."""

    node: Ints
    other: Ints
    set: Ints


@dataclass(frozen=True, slots=True)
class Crowd:
    """Identifiers (n) seen with more others than allowed: `total` over all time, `most` in any window."""

    node: Ints
    total: Ints
    most: Ints


def several(pairs: Pairs, most: int) -> tuple[Ints, Ints]:
    """Nodes seen with more than `most` different others over all time (n), and with how many (n)."""
    if len(pairs.node) == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    # Nearly all nodes have so few pairs that they need not be looked at any further.
    many = np.bincount(pairs.node) > most
    chosen = many[pairs.node]
    node, other = pairs.node[chosen], pairs.other[chosen]
    if len(node) == 0:
        return node, node
    # Both in one whole number: a single sort of those is much cheaper than one by two columns.
    others = int(other.max()) + 1
    pair = node * others + other
    pair.sort()
    node = pair[np.r_[True, pair[1:] != pair[:-1]]] // others
    begin = np.flatnonzero(np.r_[True, node[1:] != node[:-1]])
    count = np.diff(np.r_[begin, len(node)])
    crowded = count > most
    return node[begin[crowded]], count[crowded].astype(np.int64)


def crowded(evidence: Evidence, pairs: Pairs, cap: Cap) -> Crowd:
    """The nodes that are over the cap; with a window, those that are so in some stretch of time that long."""
    node, total = several(pairs, cap.most)
    if cap.within is None or len(node) == 0:
        return Crowd(node, total, total)
    width = int(cap.within.total_seconds() * MICROSECONDS)
    at, most = _in_window(evidence, pairs, node, width)
    over = most > cap.most
    place = np.searchsorted(node, at[over])
    return Crowd(at[over], total[place], most[over])


def _in_window(evidence: Evidence, pairs: Pairs, nodes: Ints, width: int) -> tuple[Ints, Ints]:
    """Of each of `nodes`, with how many others it was seen at most in a stretch of `width` µs (its ends included)."""
    chosen = np.isin(pairs.node, nodes)
    node, other, held = pairs.node[chosen], pairs.other[chosen], pairs.set[chosen]
    order = np.argsort(evidence.observed, kind="stable")
    begins = np.searchsorted(evidence.observed[order], held)
    ends = np.searchsorted(evidence.observed[order], held, side="right")
    times = ends - begins
    pair = np.repeat(np.arange(len(held)), times)
    seen = order[np.arange(len(pair)) - np.repeat(np.cumsum(times) - times, times) + np.repeat(begins, times)]
    with duckdb.connect() as connection:
        connection.register(
            "seen",
            pa.table(
                {
                    "node": np.concatenate([node[pair], node[pair]]),
                    "other": np.concatenate([other[pair], other[pair]]),
                    "at": np.concatenate([evidence.first[seen], evidence.last[seen]]),
                }
            ),
        )
        found = connection.execute(
            """SELECT node, max(n) AS most FROM (
                   SELECT node, count(DISTINCT other) OVER (
                       PARTITION BY node ORDER BY "at" RANGE BETWEEN $width PRECEDING AND CURRENT ROW) AS n
                   FROM (SELECT DISTINCT node, other, "at" FROM seen))
               GROUP BY node ORDER BY node""",
            {"width": width},
        ).fetchnumpy()
    return np.asarray(found["node"], np.int64), np.asarray(found["most"], np.int64)

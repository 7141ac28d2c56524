"""Identifiers that several persons had in turn: whose each was, from when until when.

A tablet on which now one and now another logs in, a telephone number that passed to its next owner. Between two
sightings with one person, with nobody else seen in between, it is that person's. What lies between two persons goes by
the type's rule `between`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from klantspoor.identity.evidence import Ints

NOBODY, NEXT, PREVIOUS = 0, 1, 2
RULES = {"nobody": NOBODY, "next": NEXT, "previous": PREVIOUS}
_CONTESTED = -1
EARLIEST, LATEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
UNLIMITED = LATEST


@dataclass(frozen=True, slots=True)
class Turns:
    """Stretches (n) in which a `node` was one `person`'s: from `since` until `until`, µs since 1970 UTC, both included.

    The stretches of a node are disjoint and in order. Open ends are `EARLIEST` and `LATEST`.
    """

    node: Ints
    person: Ints
    since: Ints
    until: Ints


def turns(node: Ints, at: Ints, person: Ints, rule: npt.NDArray[np.int8], reach: Ints) -> Turns:
    """The stretches from sightings.

    Args:
        node: (k) what was seen, in any order.
        at: (k) when, in µs since 1970 UTC.
        person: (k) with whom, from 0.
        rule: (k) NOBODY, NEXT or PREVIOUS, the same for all sightings of a node.
        reach: (k) how far from a sighting it is still that person's at most, in µs, or UNLIMITED.
    """
    if len(node) == 0:
        nothing = np.empty(0, np.int64)
        return Turns(nothing, nothing, nothing, nothing)
    order = np.lexsort((person, at, node))
    node, at, person, rule, reach = node[order], at[order], person[order], rule[order], reach[order]
    # One row for each instant of a node; an instant with two persons is nobody's, and ends every stretch.
    instant = np.flatnonzero(np.r_[True, (node[1:] != node[:-1]) | (at[1:] != at[:-1])])
    last = np.r_[instant[1:], len(node)] - 1
    who = np.where(person[instant] == person[last], person[instant], _CONTESTED)
    node, at, rule, reach = node[instant], at[instant], rule[instant], reach[instant]
    far = (np.diff(at, prepend=at[0]) + 1) // 2 > reach  # more than two reaches apart
    begins = np.r_[True, (node[1:] != node[:-1]) | (who[1:] != who[:-1]) | far[1:]]
    run = np.flatnonzero(begins)
    ends = np.r_[run[1:], len(node)] - 1
    node, who, rule, reach = node[run], who[run], rule[run], reach[run]
    since, until = at[run], at[ends]
    is_next = np.r_[False, node[1:] == node[:-1]]  # to the run before, of the same node
    before = np.where(is_next, np.r_[0, until[:-1]] + 1, EARLIEST)
    after = np.where(np.r_[is_next[1:], False], np.r_[since[1:], 0] - 1, LATEST)
    same_before = is_next & (who == np.r_[_CONTESTED, who[:-1]])
    same_after = np.r_[same_before[1:], False]
    reaching = (
        np.where(reach == UNLIMITED, EARLIEST, since - reach),
        np.where(reach == UNLIMITED, LATEST, until + reach),
    )
    earlier = np.where((rule == NEXT) | same_before, np.maximum(before, reaching[0]), since)
    later = np.where((rule == PREVIOUS) | same_after, np.minimum(after, reaching[1]), until)
    own = who != _CONTESTED
    return Turns(node[own], who[own], earlier[own], later[own])

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


@dataclass(frozen=True, slots=True)
class Turns:
    """Stretches (n) in which a `node` was one `person`'s: from `since` until `until`, µs since 1970 UTC, both included.

    The stretches of a node are disjoint and in order. Open ends are `EARLIEST` and `LATEST`.
    """

    node: Ints
    person: Ints
    since: Ints
    until: Ints


def turns(node: Ints, at: Ints, person: Ints, rule: npt.NDArray[np.int8]) -> Turns:
    """The stretches from sightings.

    Args:
        node: (k) what was seen, in any order.
        at: (k) when, in µs since 1970 UTC.
        person: (k) with whom, from 0.
        rule: (k) NOBODY, NEXT or PREVIOUS, the same for all sightings of a node.
    """
    if len(node) == 0:
        nothing = np.empty(0, np.int64)
        return Turns(nothing, nothing, nothing, nothing)
    order = np.lexsort((person, at, node))
    node, at, person, rule = node[order], at[order], person[order], rule[order]
    # One row for each instant of a node; an instant with two persons is nobody's, and ends every stretch.
    instant = np.flatnonzero(np.r_[True, (node[1:] != node[:-1]) | (at[1:] != at[:-1])])
    last = np.r_[instant[1:], len(node)] - 1
    who = np.where(person[instant] == person[last], person[instant], _CONTESTED)
    node, at, rule = node[instant], at[instant], rule[instant]
    begins = np.r_[True, (node[1:] != node[:-1]) | (who[1:] != who[:-1])]
    run = np.flatnonzero(begins)
    ends = np.r_[run[1:], len(node)] - 1
    since, until = at[run].copy(), at[ends].copy()
    same_before = np.r_[False, node[run][1:] == node[run][:-1]]
    same_after = np.r_[same_before[1:], False]
    to_next, to_previous = rule[run] == NEXT, rule[run] == PREVIOUS
    before = np.r_[EARLIEST, until[:-1]]
    after = np.r_[since[1:], LATEST]
    longer_since = np.where(same_before, before + 1, EARLIEST)
    longer_until = np.where(same_after, after - 1, LATEST)
    since, until = np.where(to_next, longer_since, since), np.where(to_previous, longer_until, until)
    own = who[run] != _CONTESTED
    return Turns(node[run][own], who[run][own], since[own], until[own])

"""Expectation maximisation of m, with a belief to start from.

Splink's own maximisation takes what the pairs say for the whole truth: where a rule's pairs hold no person twice it divides
by nothing, and where they hold four it is sure of shares it saw once. Here the first m counts for as many pairs as
`BELIEF`, so that what four pairs tell changes little and what four thousand tell replaces it (the mode of the posterior
under a Dirichlet prior: Dempster, Laird and Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm, 1977).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BELIEF = 50.0
_ITERATIONS = 300
_SETTLED = 1e-5

Shares = Mapping[str, npt.NDArray[np.float64]]
"""By comparison, the share of pairs at each level, best first."""


@dataclass(frozen=True, slots=True)
class Patterns:
    """The pairs of one training rule by how they agree.

    `counts` (n, float64) says how many pairs show a pattern, and `levels`, by comparison, at which level each pattern is
    (n, int64; 0 is the best, -1: one of the two lacks the field). What the rule itself asks for is not among them.
    """

    rule: str
    counts: npt.NDArray[np.float64]
    levels: dict[str, npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Learned:
    """The shares of pairs of one person, on how many pairs they rest, and whether they had settled."""

    m: dict[str, npt.NDArray[np.float64]]
    pairs: dict[str, float]
    settled: bool


def maximise(first: Shares, u: Shares, sessions: Sequence[Patterns]) -> Learned:
    """Learns m from the pairs of all rules together; u stands. Each rule has a share of matches of its own."""
    m = {name: np.asarray(shares, dtype=np.float64) for name, shares in first.items()}
    matching = [0.5] * len(sessions)
    seen: dict[str, npt.NDArray[np.float64]] = {}
    for _ in range(_ITERATIONS):
        seen = {name: np.zeros_like(shares) for name, shares in m.items()}
        for number, session in enumerate(sessions):
            chance = _chances(session, m, u, matching[number]) * session.counts
            matching[number] = float((chance.sum() + 1) / (session.counts.sum() + 2))
            for name, level in session.levels.items():
                known = level >= 0
                seen[name] += np.bincount(level[known], weights=chance[known], minlength=len(m[name]))
        moved = {name: _mixed(first[name], seen[name]) for name in m}
        change = max(float(np.abs(moved[name] - m[name]).max()) for name in m)
        m = moved
        if change < _SETTLED:
            break
    return Learned(m, {name: float(counts.sum()) for name, counts in seen.items()}, change < _SETTLED)


def _mixed(first: npt.NDArray[np.float64], seen: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    counts = BELIEF * first + seen
    return np.asarray(counts / counts.sum())


def _chances(session: Patterns, m: Shares, u: Shares, matching: float) -> npt.NDArray[np.float64]:
    """The chance that pairs of each pattern are one person's."""
    weight = np.full(len(session.counts), np.log(matching) - np.log1p(-matching))
    for name, level in session.levels.items():
        known = level >= 0
        weight[known] += np.log(m[name] / u[name])[level[known]]
    return np.asarray(1 / (1 + np.exp(-np.clip(weight, -700, 700))))

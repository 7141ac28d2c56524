"""What a comparison tells about itself: numbers and names of fields, never a value of the data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule by which pairs were chosen for comparison.

    `pairs` it proposed, `largest_block` the most records that may share its key, `left_out` the records whose key more
    records share than that, so that the rule proposes nothing for them. A rule with `pairs` 0 was not used.
    """

    rule: str
    pairs: int
    largest_block: int
    left_out: int


@dataclass(frozen=True, slots=True)
class LevelReport:
    """One degree of agreement of one comparison.

    `m` is the share of pairs of one person that agree to this degree, `u` that of pairs of two persons, and `weight`
    log2(m / u), before rare and frequent values are told apart.
    """

    comparison: str
    level: str
    m: float
    u: float
    weight: float


@dataclass(frozen=True, slots=True)
class LinkageReport:
    """How links were found.

    `compared` counts pairs, each once; `prior` is the chance that two records taken at random are one person;
    `held_back` counts pairs above the threshold that a household explains as well; `trained_on` says, by comparison, how
    many pairs of one person its `m` was learned from (0: the default stands).
    """

    records: int
    fields: tuple[str, ...]
    compared: int
    links: int
    held_back: int
    prior: float
    rules: tuple[RuleReport, ...]
    levels: tuple[LevelReport, ...]
    trained_on: dict[str, int]
    warnings: tuple[str, ...]

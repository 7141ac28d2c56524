"""Whether a figure is out of the ordinary, given the same figure of the days or nights before.

Two questions, and a figure is odd only if both say so; its score is the smaller of the two.

*Is it more than chance?* Counts and shares vary by chance alone. After Anscombe's transformation (*The transformation of
Poisson, binomial and negative-binomial data*, Biometrika 1948) that variation is the same whatever their size: 2 √(x + 3/8)
of a count has a standard deviation of about 1, asin √((k + 3/8) / (n + 3/4)) of k out of n one of 1 / √(4n + 2). The score is
the distance from the usual, so transformed, in these standard deviations.

*Is it more than days differ?* The modified z-score of Iglewicz and Hoaglin (*How to Detect and Handle Outliers*, 1993):
0.6745 times the distance from the median, over the median absolute deviation (MAD); above 3.5 it is an outlier. It is taken
of the logarithm of counts and amounts, for days differ by factors, and of shares as transformed above. Median and MAD do not
mind that a few of the days before were odd themselves. The deviations are each day's from the median of the *other* days, as
today is none of those it is held against.

Businesses have weeks: where the same weekday is known often enough, a count is held against that weekday's median, and the
MAD is of all days, each against its own weekday. Where it is not, the distance is that from the least or the most that was
seen, not from the median.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, log, sqrt
from statistics import median

THRESHOLD = 3.5
ENOUGH = 7
"""Earlier figures without which nothing is said."""
SAME_WEEKDAY = 4
"""Figures of the same weekday from which on it is held against these alone."""
_TO_SIGMA = 0.6745
"""The MAD of a normal distribution, in standard deviations."""
_LEAST = 0.02
"""Days that never differ do not make next to no difference odd."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual (the median), of how many earlier figures, and how far off this one is.

    `score` is in standard deviations, positive where the figure is higher; `is_weekday`: the median is of the same weekday.
    """

    median: float
    number: int
    score: float
    is_weekday: bool = False

    @property
    def is_low(self) -> bool:
        """Whether the figure is so low that it is an outlier."""
        return self.score < -THRESHOLD

    @property
    def is_high(self) -> bool:
        """Whether the figure is so high that it is an outlier."""
        return self.score > THRESHOLD


def of_count(value: int, before: Sequence[tuple[int, int]], weekday: int) -> Usual | None:
    """A count against those before, given as (weekday, count); None where too few are known."""
    if len(before) < ENOUGH:
        return None
    by_day: dict[int, list[int]] = {}
    for day, count in before:
        by_day.setdefault(day, []).append(count)
    same = by_day.get(weekday, [])
    counts = [count for _, count in before]
    is_weekday = len(same) >= SAME_WEEKDAY
    groups = [group for group in by_day.values() if len(group) >= SAME_WEEKDAY] if is_weekday else [counts]
    held = same if is_weekday else counts
    usual = median(held)
    against = usual if is_weekday else min(max(value, min(counts)), max(counts))
    chance = 2 * sqrt(value + 3 / 8) - 2 * sqrt(against + 3 / 8)
    off = log(value + 3 / 8) - log(against + 3 / 8)
    days = _modified_z(off, [d for group in groups for d in _deviations([log(count + 3 / 8) for count in group])])
    return Usual(usual, len(held), _both(chance, days), is_weekday)


def of_share(part: int, whole: int, before: Sequence[tuple[int, int]]) -> Usual | None:
    """A share against those before, given as (part, whole); days with nothing count for nothing. None: too few are known."""
    told = [(k, n) for k, n in before if n]
    if len(told) < ENOUGH or not whole:
        return None
    usual = median(k / n for k, n in told)
    # The usual share in a whole of today's size: what next to nothing looks like depends on what it is of.
    off = _angle(part, whole) - _angle(usual * whole, whole)
    days = _modified_z(off, _deviations([_angle(k, n) for k, n in told]))
    return Usual(usual, len(told), _both(off * sqrt(4 * whole + 2), days))


def of_amount(value: float, before: Sequence[float]) -> Usual | None:
    """A positive amount, such as seconds, against those before; None: too few are known. Nothing of it is held to be chance."""
    told = [amount for amount in before if amount > 0]
    if len(told) < ENOUGH or value <= 0:
        return None
    usual = median(told)
    return Usual(usual, len(told), _modified_z(log(value / usual), _deviations([log(amount) for amount in told])))


def _angle(part: float, whole: int) -> float:
    return asin(sqrt((part + 3 / 8) / (whole + 3 / 4)))


def _deviations(values: list[float]) -> list[float]:
    """How far each value is from the median of the others."""
    return [value - median(values[:place] + values[place + 1 :]) for place, value in enumerate(values)]


def _modified_z(off: float, deviations: list[float]) -> float:
    mad = median(abs(deviation) for deviation in deviations)
    return off / max(mad / _TO_SIGMA, _LEAST)


def _both(one: float, other: float) -> float:
    """The smaller of two scores that point the same way."""
    return min(one, other, key=abs) if one * other > 0 else 0.0

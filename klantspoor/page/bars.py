"""The stacked bars of a map page: which pieces, how wide, in which order, and what each is called.

Geometry and names only; the template draws them as inline SVG, the style sheet gives the colours.
"""

from __future__ import annotations

from dataclasses import dataclass

from klantspoor.page import units
from klantspoor.page.shapes import OTHER_CAUSE, Split

NAMES = {
    "queueing": "ours: in a queue",
    "working": "ours: someone at work",
    "handover": "ours: handed from team to team",
    "closed": "ours: closed",
    "unexplained": "ours: no step explains it",
    OTHER_CAUSE: "ours: cause not shown (too few people)",
    "partner": "a partner’s",
    "customer": "the customer’s own",
    "nobody": "nobody’s",
    "undetermined": "whose turn is unknown",
}
"""Every part a wait can have, in the order of bars and legend: what is ours first, as bottlenecks are ranked on it."""

MEANINGS = {
    "queueing": "waiting for somebody here to pick it up",
    "working": "a step here was being done",
    "handover": "between the steps of two teams",
    "closed": "outside opening hours",
    "unexplained": "our turn, and no internal step is known",
    OTHER_CAUSE: "in transitions of too few people to be told apart",
    "partner": "another organisation had it",
    "customer": "something was asked of the customer",
    "nobody": "no one was waiting for anyone",
    "undetermined": "the logs do not tell",
}


@dataclass(frozen=True)
class Piece:
    """One part of a bar: left edge and width in percent of the bar's full length."""

    key: str
    name: str
    text: str
    x: float
    width: float


def stack(split: Split, full: float | None = None) -> list[Piece]:
    """The pieces of one bar; `full` is the hours that fill it (by default the split's own total)."""
    whole = full if full is not None else split.total
    pieces: list[Piece] = []
    left = 0.0
    for key, name in NAMES.items():
        value = split.parts.get(key, 0.0)
        if value <= 0 or whole <= 0:
            continue
        width = 100 * value / whole
        pieces.append(Piece(key, name, units.hours(value), round(left, 3), round(width, 3)))
        left += width
    return pieces


def describe(split: Split) -> str:
    """The bar in words, for those who cannot see it: "5.3 hours ours: in a queue; 2 days nobody's"."""
    return "; ".join(f"{piece.text} {piece.name}" for piece in stack(split)) or "no waiting"


def used(splits: list[Split]) -> list[str]:
    """The keys that occur in any of the splits, in the order of the legend."""
    return [key for key in NAMES if any(split.parts.get(key, 0.0) > 0 for split in splits)]

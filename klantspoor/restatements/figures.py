"""Which figures of which marts are told when they change, in what unit, and the causes that a change is split over.

Names only: nothing is reckoned here.
"""

from __future__ import annotations

from dataclasses import dataclass

from klantspoor.dictionary import COLUMNS

CAUSES = ("erased", "identity", "corrected", "late", "new", "rule", "clock")
"""From the strongest to the weakest: what changed for several reasons is told by the first of them."""
CELL = ("journey_type", "persona", "month")
PLACE = ("level", "phase", "from_step", "to_step")
"""What else tells the rows of the marts apart; each mart has its own part of it."""


@dataclass(frozen=True, slots=True)
class Mart:
    """A mart whose figures are told.

    `sums` are counts and sums of hours, and add up over journeys (`persons`: over persons); `others`, percentiles and
    shares, do not. What is open is told of provisional months only, and `channel_mix` is no number: they are in neither.
    """

    name: str
    place: tuple[str, ...]
    sums: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def cell(self) -> tuple[str, ...]:
        """The columns that tell its rows apart."""
        return (*CELL, *self.place)

    @property
    def parts(self) -> tuple[str, ...]:
        """The figures that add up over journeys."""
        return tuple(name for name in self.sums if name != "persons")


_TURNS = tuple(f"{turn}_wait_hours" for turn in COLUMNS["turn"].values or ())
JOURNEY_MAP = Mart(
    "journey_map",
    place=("phase",),
    sums=("journeys", "persons", "visits", "touchpoints", *_TURNS),
    others=("dwell_median_hours", "dwell_p90_hours", "wait_median_hours", "wait_p90_hours", "drop_off_share"),
)
BOTTLENECKS = Mart(
    "bottlenecks",
    place=("level", "from_step", "to_step"),
    sums=(
        "journeys",
        "persons",
        "waits",
        "wait_total_hours",
        *_TURNS,
        "working_hours",
        "closed_hours",
        "handover_hours",
        "queueing_hours",
        "unexplained_hours",
        "partner_cause_hours",
    ),
    others=("wait_median_hours", "wait_p90_hours", "blame_share"),
)
MARTS = (JOURNEY_MAP, BOTTLENECKS)


def unit(mart: Mart, figure: str) -> str:
    """What the figure is told in: sums of hours in whole seconds, so that their parts add up to the last bit."""
    if not figure.endswith("_hours"):
        return "count" if figure in mart.sums else "share"
    return "seconds" if figure in mart.sums else "hours"

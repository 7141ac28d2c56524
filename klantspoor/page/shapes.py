"""The shapes of what a map page shows: one `JourneyPage` per journey type.

No queries (`figures`), no formatting (`units`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from klantspoor.project.model import JourneyFile

TURNS = ("organisation", "partner", "customer", "nobody", "undetermined")
OUR_CAUSES = ("working", "closed", "handover", "queueing", "unexplained")
OTHER_CAUSE = "few"
"""Our time in transitions that too few people made to be shown with their cause."""


@dataclass(frozen=True)
class Split:
    """Hours of waiting by what they went to: our five causes (and `few`), then the other turns; without zeros."""

    parts: dict[str, float]

    @property
    def total(self) -> float:
        """All hours together."""
        return sum(self.parts.values())

    @property
    def ours(self) -> float:
        """The organisation's hours."""
        return sum(v for k, v in self.parts.items() if k in OUR_CAUSES or k == OTHER_CAUSE)

    @property
    def blamed(self) -> float:
        """The organisation's and the partners' hours: what bottlenecks are ranked on."""
        return self.ours + self.parts.get("partner", 0.0)

    def per(self, number: int) -> Split:
        """The hours for each of `number` journeys or waits."""
        return Split({k: v / number for k, v in self.parts.items()}) if number else Split({})


@dataclass(frozen=True)
class Figures:
    """One row of `journey_map`: hours are floats, None where nothing was measured."""

    persona: str | None
    month: str | None
    phase: str
    is_provisional: bool
    journeys: int
    persons: int
    visits: int
    touchpoints: int
    dwell_median_hours: float
    dwell_p90_hours: float
    wait_median_hours: float | None
    wait_p90_hours: float | None
    drop_off_share: float | None
    channels: list[tuple[str, float]]
    waiting: Split


@dataclass(frozen=True)
class PhaseColumn:
    """One phase on the map; `figures` is None where it is about too few people (or nobody)."""

    number: int
    id: str
    says: str
    figures: Figures | None
    open_waits: int
    open_wait_hours: float


@dataclass(frozen=True)
class Bottleneck:
    """One transition between two activities; `to_step` None: the next has not come."""

    from_step: str
    to_step: str | None
    journeys: int
    waits: int
    wait_median_hours: float | None
    wait_p90_hours: float | None
    waiting: Split
    blame_share: float
    open_waits: int
    open_wait_total_hours: float


@dataclass(frozen=True)
class Totals:
    """A journey type as a whole, mystery guests left out; `lead_*` in hours.

    A count, share or percentile is None where it is about too few people.
    """

    journeys: int
    persons: int
    is_open: int | None
    settled: int | None
    abandoned: int | None
    failed: int | None
    achieved_share: float | None
    with_need: int
    touchpoints: float
    lead_median_hours: float | None
    lead_p90_hours: float | None
    first: datetime
    waiting: Split


@dataclass(frozen=True)
class Voice:
    """The answers to one instrument: `mean` and its 95 % interval on 0 to 100, None below LEAST_ANSWERS."""

    instrument: str
    answers: int
    persons: int
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Voices:
    """How much rests on what customers said (R9)."""

    journeys_with_answer: int
    persons: int
    instruments: list[Voice]


@dataclass(frozen=True)
class JourneyPage:
    """Everything on one page. `totals` is None where the type has too few people to be shown at all."""

    journey: JourneyFile
    totals: Totals | None
    phases: list[PhaseColumn]
    months: list[tuple[str, bool, dict[str, Figures]]]
    personas: list[tuple[str, dict[str, Figures]]]
    worst: list[Bottleneck]
    still_open: list[Bottleneck]
    voices: Voices
    smallest: int
    as_of: datetime
    run_id: str
    withheld: int

"""The night report: what is said of one night, before it is put into words for a terminal, a mail or Dagster.

Made from facts in `klantspoor.report.told`; kept as JSON in the diary. Nothing in it is about single persons.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd against the usual: by which rule, of what (`subject`: a source, or the night), in words.

    `step` is the step in whose row of `runs` it is said. `since` is the first of the nights in a row in which it was so,
    `nights` how many these are.
    """

    rule: str
    subject: str
    says: str
    step: str
    since: datetime
    nights: int = 1


@dataclass(frozen=True, slots=True)
class Check:
    """A check that did not hold: its table and name, in words, for how many things; `is_new`: not so the night before."""

    name: str
    says: str
    failed: int
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """A source tonight: how it stands, what came of it, the usual number of rows, and how far it reaches."""

    source: str
    freshness: str
    files: int
    rows: int
    quarantined: int
    usual_rows: int | None
    complete_up_to: datetime | None
    odd: str | None


@dataclass(frozen=True, slots=True)
class Restated:
    """Published figures of months that were over and that the night changed: how many, which months, and how many by cause."""

    figures: int
    months: tuple[str, ...]
    causes: dict[str, int]


@dataclass(frozen=True, slots=True)
class StepTold:
    """A step: how it ended, seconds, MiB; what is None was not measured."""

    step: str
    status: str
    seconds: float | None
    memory_mb: float | None


@dataclass(frozen=True, slots=True)
class NightReport:
    """One night, told.

    `outcome` is published or failed. Of a failed night `failed_step` and `why` say what is known. `before` is the version
    before, with its night and how far it is complete: of a failed night the one that stays. `unfinished` are earlier nights
    since it that were not published. `stopped_by` are critical checks, `warnings` others. `tables` and `tables_before` are
    rows by table.
    """

    project: str
    timezone: str
    run_id: str
    as_of: datetime
    outcome: str
    version: str | None
    before: str | None
    before_as_of: datetime | None
    before_complete_up_to: datetime | None
    failed_step: str | None
    why: str | None
    unfinished: tuple[str, ...]
    files: int
    rows: int
    events: int
    unusable: tuple[str, ...]
    spoilt: tuple[str, ...]
    left: tuple[str, ...]
    sources: tuple[Source, ...]
    complete_up_to: datetime | None
    held_back_by: str | None
    provisional_since: str | None
    findings: tuple[Finding, ...]
    stopped_by: tuple[Check, ...]
    warnings: tuple[Check, ...]
    changes: dict[str, int]
    restated: Restated | None
    tables: dict[str, int]
    tables_before: dict[str, int]
    steps: tuple[StepTold, ...]

    @property
    def is_published(self) -> bool:
        """Whether the night ended in a version."""
        return self.outcome == "published"

    @property
    def seconds(self) -> float:
        """How long its steps took together."""
        return sum(step.seconds or 0.0 for step in self.steps)

    @property
    def memory_mb(self) -> float | None:
        """The highest memory of a step, in MiB; None where none was measured."""
        return max((step.memory_mb for step in self.steps if step.memory_mb is not None), default=None)

    def as_json(self) -> dict[str, Any]:
        """Its values as JSON has them."""
        values: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return values

    @staticmethod
    def from_json(values: dict[str, Any]) -> NightReport:
        """A report as it was kept.

        Raises:
            ValueError: it was kept by another release, which told other things.
        """
        return _ADAPTER.validate_python(values)


_ADAPTER = TypeAdapter(NightReport)

"""What a night is told from: facts, gathered elsewhere, as plain values.

Nothing is judged here, and nothing is about single persons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from klantspoor.lake.diary import Step
from klantspoor.marts.deliveries import Delivery
from klantspoor.report.model import NightReport, Restated


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity of a source that the version before did not know; `is_mapped`: a journey type says what it is."""

    name: str
    events: int
    is_mapped: bool


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One source: how it stands (`freshness`), what came since the version before, and its recent deliveries, oldest first.

    `rows` are those of the usable files; `unusable` says of each other file what was wrong, `spoilt` of which usable ones
    more rows were quarantined than the project's limit. `newest_landed_at` is of the files that came.
    """

    source: str
    freshness: str
    complete_up_to: datetime | None
    usual_rows: int | None
    odd: str | None
    files: int = 0
    rows: int = 0
    quarantined: int = 0
    events: int = 0
    unusable: Sequence[str] = ()
    spoilt: Sequence[str] = ()
    newest_landed_at: datetime | None = None
    deliveries: Sequence[Delivery] = ()
    new_activities: Sequence[Activity] = ()


@dataclass(frozen=True, slots=True)
class Before:
    """The version before: its name, its night, rows by table, and the month since which it was provisional."""

    version: str
    as_of: datetime
    tables: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PastNight:
    """An earlier night, as the table `runs` has it: seconds without the publishing itself, peak memory in MiB."""

    as_of: datetime
    status: str
    seconds: float
    memory_mb: float | None
    last_step: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """One night.

    `error` says what ended it, where that is known; `version` is what it was published as (None: it was not). `merged` are
    persons merged tonight and in the nights before. `reach` is how far all that feeds the journeys reaches, with the source
    that holds it back. `changes` counts changed events by cause. `nights` are the earlier ones in the order in which they
    began; `reports` theirs, newest first.
    """

    project: str
    timezone: str
    run_id: str
    as_of: datetime
    steps: Sequence[Step] = ()
    verdicts: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    version: str | None = None
    error: str | None = None
    before: Before | None = None
    sources: Sequence[SourceFacts] = ()
    reach: tuple[datetime, str] | None = None
    provisional_since: str | None = None
    merged: tuple[int, Sequence[int]] | None = None
    changes: Mapping[str, int] = field(default_factory=dict)
    restated: Restated | None = None
    tables: Mapping[str, int] = field(default_factory=dict)
    nights: Sequence[PastNight] = ()
    reports: Sequence[NightReport] = ()

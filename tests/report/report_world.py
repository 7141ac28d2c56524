"""Facts of made-up nights, to be changed one at a time. Holds no test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from klantspoor.lake.diary import Step
from klantspoor.marts.deliveries import Delivery
from klantspoor.report.facts import Before, Facts, PastNight, SourceFacts

AS_OF = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def delivery(age: int, rows: int = 100, **more: Any) -> Delivery:
    """What came `age` days before the night, an hour before its clock."""
    plain = {"files": 1, "events": rows, "channels": {"web": rows}}
    return Delivery(age, AS_OF - age * DAY - timedelta(hours=1), is_first=False, rows=rows, **plain | more)


def source(name: str = "crm", deliveries: Sequence[Delivery] = (), **more: Any) -> SourceFacts:
    """A source of which the newest delivery came tonight."""
    newest = deliveries[-1] if deliveries else None
    plain: dict[str, Any] = {
        "freshness": "fresh",
        "complete_up_to": AS_OF - timedelta(hours=4),
        "usual_rows": 100,
        "odd": None,
        "files": 1 if newest else 0,
        "rows": newest.rows if newest else 0,
        "events": newest.events if newest else 0,
        "newest_landed_at": newest.landed_at if newest else None,
    }
    return SourceFacts(name, deliveries=tuple(deliveries), **plain | more)


def step(name: str, seconds: float = 1.0, memory: float | None = 300.0, **more: Any) -> Step:
    return Step(name, AS_OF, seconds, seconds, memory, **{"status": "done"} | more)


def facts(**more: Any) -> Facts:
    """A night that was published as version 7, with nothing odd."""
    plain: dict[str, Any] = {
        "project": "Energie van Ons",
        "timezone": "Europe/Amsterdam",
        "run_id": "run-7",
        "as_of": AS_OF,
        "steps": [step("ledger", 8), step("events", 20, 500.0), step("publication", 2)],
        "version": "000007",
        "before": Before("000006", AS_OF - DAY, {"events": 900, "journeys": 50, "touchpoints": 300, "waits": 280}),
        "sources": [source("crm", [delivery(1), delivery(0)])],
        "reach": (AS_OF - timedelta(hours=4), "crm"),
        "provisional_since": "2026-11",
        "tables": {"events": 1000, "journeys": 52, "touchpoints": 330, "waits": 310},
    }
    return Facts(**plain | more)


def nights(number: int, seconds: float = 30.0, memory: float = 500.0) -> list[PastNight]:
    """Published nights before tonight, all alike."""
    return [PastNight(AS_OF - n * DAY, "published", seconds, memory, "publication") for n in range(number, 0, -1)]


WEEK = np.array([1.0, 1.1, 1.0, 0.95, 0.9, 0.35, 0.25])


def simulated(rng: np.random.Generator, level: float, spread: float, days: int, share: float = 0.02) -> list[Delivery]:
    """A delivery a day whose rows vary by weekday, by chance and by `spread`; shares vary too. The oldest first."""
    found = []
    for age in range(days - 1, -1, -1):
        mean = level * WEEK[age % 7] * (rng.gamma(1 / spread**2, spread**2) if spread else 1.0)
        rows = int(rng.poisson(mean))
        events = int(rng.binomial(rows, 0.9))
        late, unmapped = (int(rng.binomial(events, rng.beta(4, 4 / share - 4))) for _ in range(2))
        phone = int(rng.binomial(events, 0.3))
        channels = {name: number for name, number in (("phone", phone), ("web", events - phone)) if number}
        found.append(
            delivery(
                age, rows, events=events, late=late, unmapped=unmapped, channels=channels,
                quarantined=int(rng.binomial(rows, rng.beta(4, 4 / share - 4))),
            )
        )  # fmt: skip
    return found


def up_to(deliveries: Sequence[Delivery], night: int) -> list[Delivery]:
    """The deliveries up to one of them, as that night knew them: the last eight weeks, ages counted from it."""
    age = deliveries[night].age
    known = deliveries[max(0, night - 56) : night + 1]
    return [
        Delivery(
            d.age - age, d.landed_at, d.is_first, d.files, d.rows, d.quarantined, d.events, d.late, d.unmapped, d.channels
        )
        for d in known
    ]  # fmt: skip

"""A simulated energy supplier: what its customers really do, and what its systems record of it.

Belongs here: the order of the parts. The library knows nothing of this package, nor this package of the library.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from simulation import mess, noise, plan, truth
from simulation.clock import Clock
from simulation.log import World
from simulation.people import make_people
from simulation.systems import calls, crm, customers, surveys, web
from simulation.systems.export import write_days

__all__ = ["DEFAULT_END", "Summary", "generate"]

DEFAULT_END = date(2026, 6, 30)


@dataclass(frozen=True)
class Summary:
    """What was generated: where, how much of it, and the shares that the truth proves."""

    landing: Path
    truth: Path
    seconds: float
    counts: dict[str, Any]


def generate(out: Path, *, customers: int, days: int, seed: int, end: date = DEFAULT_END) -> Summary:
    """Simulate `customers` persons for `days` days up to and including `end`; the same seed gives the same files."""
    if customers < 1 or days < 2 or seed < 0:
        problem = f"got {customers} customers, {days} days, seed {seed}"
        raise ValueError(f"need at least 1 customer, 2 days and a seed that is not negative, {problem}")
    begun = time.perf_counter()
    collecting = gc.isenabled()
    gc.disable()  # millions of small tuples and no cycles: the collector only costs time here
    try:
        counts = _generate(_world(customers, days, seed, end), out)
    finally:
        if collecting:
            gc.enable()
    return Summary(out / "landing", out / "truth", time.perf_counter() - begun, counts)


def _world(size: int, days: int, seed: int, end: date) -> World:
    """Everything that happens."""
    clock = Clock(end, days)
    people = make_people(size, seed, clock.start)
    world = World(seed=seed, clock=clock, people=people, rng=Random(f"behaviour/{seed}"))
    plan.live(world)
    noise.make_noise(world)
    world.number_cases()
    return world


def _generate(world: World, out: Path) -> dict[str, Any]:
    """Everything that is recorded."""
    landing, clock = out / "landing", world.clock
    call_export = calls.export(world)
    parts: list[tuple[Any, truth.Rows]] = [
        crm.export(world),
        (call_export, world.log.calls),
        web.export(world),
        surveys.export(world, call_export.ids),
    ]
    kinds = {"crm": crm.file_kind(clock), "calls": calls.FILES, "web": web.FILES, "surveys": surveys.FILES}
    landed = {"klanten": customers.write(world, landing)}
    for number, (export, _) in enumerate(parts):
        generator = np.random.default_rng([world.seed, 100 + number])
        mess.delay(export, clock, generator)
        lines, when = mess.spoil(export, clock, generator, Random(f"mess/{world.seed}/{number}"))
        landed[export.name] = write_days(landing, clock, kinds[export.name], lines, when)
    return truth.write(world, out / "truth", parts, landed)

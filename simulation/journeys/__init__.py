"""The four journeys customers make. One file per type; each tells one story from the first need to the end."""

from __future__ import annotations

from collections.abc import Callable

from simulation.journeys import billing, joining, moving, outage
from simulation.story import Story

TELL: dict[str, Callable[[Story], None]] = {
    "moving": moving.tell,
    "joining": joining.tell,
    "outage": outage.tell,
    "billing": billing.tell,
}

"""How many histories are lived through: a hundred, or what KLANTSPOOR_EXAMPLES says. Holds no test."""

from __future__ import annotations

import os

EXAMPLES = int(os.environ.get("KLANTSPOOR_EXAMPLES", "100"))
BY_MACHINE = EXAMPLES * 2 // 5
BY_SEED = EXAMPLES - BY_MACHINE
FIRST_SEED = int(os.environ.get("KLANTSPOOR_SEED", "0"))
CHUNK = 5
"""Histories in one test: few enough to be spread over workers, enough to keep thousands of them readable."""


def chunks(part: int, parts: int) -> list[range]:
    """The seeds of one of several modules, in stretches."""
    seeds = range(FIRST_SEED + part, FIRST_SEED + BY_SEED, parts)
    return [seeds[begin : begin + CHUNK] for begin in range(0, len(seeds), CHUNK)]

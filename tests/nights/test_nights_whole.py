"""Nights with all that a night does, checks, restatements and report too, over longer histories: they publish, and agree."""

from __future__ import annotations

import pytest

from tests.nights.budget import EXAMPLES, FIRST_SEED
from tests.nights.generate import seeded
from tests.nights.shrink import lives

LONG = 1_000_000 + FIRST_SEED
"""Other histories than those of the hurried nights."""


@pytest.mark.parametrize("seed", range(LONG, LONG + max(EXAMPLES // 50, 1)))
def test_whole_nights(seed: int) -> None:
    lives(seeded(seed, 4), whole=True)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(LONG, LONG + max(EXAMPLES // 25, 1)))
def test_many_whole_nights(seed: int) -> None:
    lives(seeded(seed, 16), whole=True)

"""After any sequence of nights the tables are those of the ledger built as a whole: histories by dice, part 0 of 2."""

from __future__ import annotations

import pytest

from tests.nights.budget import chunks
from tests.nights.generate import seeded
from tests.nights.shrink import must_hold


@pytest.mark.parametrize("seeds", chunks(0, 2), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_every_night_is_as_if_all_had_been_built_at_once(seeds: range) -> None:
    for seed in seeds:
        must_hold(seeded(seed))

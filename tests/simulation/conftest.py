"""One small simulated world, shared by the tests."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

import simulation
from tests.simulation.landing_files import END, ID_COLUMN, Simulated, read


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    root = tmp_path_factory.mktemp("simulated")
    summary = simulation.generate(root, customers=700, days=150, seed=11, end=END)
    return Simulated(root, summary.counts)


@pytest.fixture(scope="session")
def rows(world: Simulated) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Per system: all whole rows by id."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for system, column in ID_COLUMN.items():
        by_id: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for path in world.files(system):
            for row in read(path):
                by_id[row[column]].append(row)
        found[system] = by_id
    return found

"""The same files in another order, over other nights, make the same tables, but for the names of persons."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.nights.budget import EXAMPLES, FIRST_SEED
from tests.nights.compare import difference_of
from tests.nights.generate import seeded
from tests.nights.history import DAY, History, Land, Night, Row
from tests.nights.renamed import named, names_of
from tests.nights.world import World, hurried

SEEDS = range(FIRST_SEED, FIRST_SEED + max(EXAMPLES // 25, 1))


def orderless(history: History, seed: int) -> list[Row]:
    """The rows of a history but those that win by their place: without a version, or with one that is there already."""
    versions: dict[tuple[str, str], set[int]] = {}
    personas: set[int] = set()
    rows = []
    for row in dict.fromkeys(row for step in history if isinstance(step, Land) for row in step.rows):
        version = row.version or 0
        known = versions.setdefault((row.source, row.id), set())
        if row.id and known and (row.source in ("desk", "work") or version in known):
            continue
        known.add(version)
        if row.persona and row.at in personas:  # of two at one moment the later file's counts
            continue
        personas |= {row.at} if row.persona else set()
        rows.append(row)
    return rows


def delivered(root: Path, files: list[tuple[Row, ...]], at: list[int], settings: dict[str, int]) -> World:
    """A world in which these files came, a file or some before each night, without comparing."""
    root.mkdir()
    world = World(root, dict(settings))
    nights = len(at)
    for number, moment in enumerate(at):
        for file in files[number * len(files) // nights : (number + 1) * len(files) // nights]:
            world.do(Land(file))
        assert world.night(Night(moment))
    return world


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_files_does_not_matter(tmp_path: Path, seed: int) -> None:
    history, dice = seeded(seed, 6), Random(seed)
    rows = orderless(history, seed)
    settings: dict[str, int] = {}
    last = max((step.at for step in history if isinstance(step, Night)), default=0) + 500 * DAY
    first = max((row.at for row in rows), default=0)
    size = max(len(rows) // 6, 1)
    files = [tuple(rows[begin : begin + size]) for begin in range(0, len(rows), size)]
    other = dice.sample(files, len(files))
    with hurried():
        one = delivered(tmp_path / "one", files, [first, last], settings)
        two = delivered(tmp_path / "two", other, [first, first + 40 * DAY, last], settings)
        versions = [world.lake.current() for world in (one, two)]
        assert versions[0] is not None
        assert versions[1] is not None
        assert len(names_of(versions[0])) > 0
        tables = [named(version) for version in versions if version is not None]
    assert tables[0].keys() == tables[1].keys()
    told = [difference_of(name, rows, tables[1][name]) for name, rows in tables[0].items()]
    assert not any(told), "\n".join(filter(None, told))

"""The public data delivered month by month, the last days of each with the next, equals one build of all of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from klantspoor.project.load import load_project
from klantspoor.project.model import Project
from tests.nights.compare import DIARY_TABLES, difference_of
from tests.nights.deliveries import (
    Delivery,
    incidents,
    incidents_at_once,
    incidents_deliveries,
    months,
    olist,
    olist_at_once,
    olist_deliveries,
)
from tests.nights.history import START
from tests.nights.renamed import named
from tests.nights.world import World, hurried
from tests.real.nights import DATA, ROOT

pytestmark = pytest.mark.real
COMPARED_EVERY = 4
LANDED = pd.Timedelta(hours=2)
"""Files land so long before the night."""


@dataclass
class RealWorld(World):
    """A lake of one of the projects on public data."""

    name: str = ""

    @property
    def project(self) -> Project:
        return load_project(self.root)

    def receive(self, delivery: Delivery) -> None:
        landing = self.root / "landing"
        landing.mkdir(exist_ok=True)
        moment = (delivery.landed - LANDED).timestamp()
        for stem, rows in delivery.files.items():
            path = landing / f"{stem}_{delivery.landed:%Y_%m}.csv.gz"
            rows.to_csv(
                path, index=False, header=rows.columns.dtype == object or isinstance(rows.columns.dtype, pd.StringDtype)
            )
            os.utime(path, (moment, moment))

    def publish(self, at: pd.Timestamp) -> None:
        before = self.lake.current()
        self.runs += 1
        self._run(round((at - pd.Timestamp(START)).total_seconds()) * 1_000_000)
        after = self.lake.current()
        assert after is not None
        assert before is None or before.name != after.name


def world_of(name: str, root: Path) -> RealWorld:
    shutil.copytree(ROOT / "tests" / "projects" / name, root)
    return RealWorld(root, name=name)


def lived_through(world: RealWorld, deliveries: Iterable[Delivery], last: pd.Timestamp) -> None:
    """A night for each delivery and one more at the end; every few of them compared with the ledger built as a whole."""
    for number, delivery in enumerate(deliveries, start=1):
        world.receive(delivery)
        world.publish(delivery.landed)
        if number % COMPARED_EVERY == 0:
            world.compare()
    world.publish(last)
    world.compare()
    world.untouched()


def same_as_at_once(monthly: RealWorld, at_once: RealWorld) -> None:
    """The tables of both are the same, but for the names of persons and what tells which file brought what, and when."""
    versions = [world.lake.current() for world in (monthly, at_once)]
    tables = [named(version, by_time=False) for version in versions if version is not None]
    assert [len(tables[0][name]) > 0 for name in ("events", "journeys", "waits", "journey_map")] == [True] * 4
    assert set(tables[0]).isdisjoint(DIARY_TABLES)
    told = [difference_of(name, rows, tables[1][name]) for name, rows in tables[0].items()]
    assert not any(told), "\n".join(filter(None, told))


@pytest.fixture(params=[3, pytest.param(1, marks=pytest.mark.soak)], ids=["a third", "all"])
def one_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("KLANTSPOOR_KEY", "k" * 64)
    found: int = request.param
    return found


def raw(name: str) -> Path:
    if not (DATA / name).is_dir():
        pytest.skip(f"the public data is not there: {name}/ in shared/data beside the project")
    return DATA / name


def test_olist_month_by_month(tmp_path: Path, one_of: int) -> None:
    tables = olist(raw("olist"), one_of)
    moments = months("2016-10-01" if one_of == 1 else "2017-11-01", "2018-11-01")
    last = pd.Timestamp("2018-12-01T03:00", tz="UTC")
    with hurried():
        monthly, at_once = world_of("olist", tmp_path / "monthly"), world_of("olist", tmp_path / "at_once")
        lived_through(monthly, olist_deliveries(tables, moments), last)
        at_once.receive(olist_at_once(tables, moments[-1]))
        at_once.publish(last)
        same_as_at_once(monthly, at_once)


def test_incidents_month_by_month(tmp_path: Path, one_of: int) -> None:
    rows = incidents(raw("incidents"), one_of * 3 if one_of > 1 else 1)
    moments = months("2016-04-01", "2017-03-01")
    last = pd.Timestamp("2017-06-01T03:00", tz="UTC")
    with hurried():
        monthly, at_once = world_of("incidents", tmp_path / "monthly"), world_of("incidents", tmp_path / "at_once")
        lived_through(monthly, incidents_deliveries(rows, moments), last)
        at_once.receive(incidents_at_once(rows, moments[-1]))
        at_once.publish(last)
        same_as_at_once(monthly, at_once)

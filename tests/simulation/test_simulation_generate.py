"""The generated world keeps its promises: the same again with the same seed, and the shares that were asked for."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import simulation
from tests.simulation.landing_files import END, Simulated

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def _fingerprint(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() + str(path.stat().st_mtime)
        for path in files
        if path.suffix != ".parquet"
    }


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        simulation.generate(tmp_path / name, customers=60, days=30, seed=seed, end=END)
    landed = {name: _fingerprint(tmp_path / name / "landing") for name in "abc"}
    assert landed["a"] == landed["b"]
    assert landed["a"] != landed["c"]


def test_the_shares_that_were_promised(world: Simulated) -> None:
    counts = world.counts
    assert counts["shared_phone_household_share"] >= 0.20
    assert counts["shared_tablet_household_share"] >= 0.10
    assert 0.20 <= counts["overlap_share"] <= 0.45
    assert 0.015 <= counts["late_share"] <= 0.025
    assert 0.30 <= counts["no_case_key_share"] <= 0.45
    assert counts["repeat_share"] > 0.05
    assert counts["persons_with_two_accounts"] > 0
    assert counts["mystery_guests"] >= 3
    assert counts["crm_rows_in_clock_change_night"] >= 3
    assert set(counts["journeys_by_type"]) == {"moving", "joining", "outage", "billing"}


def test_the_summary_is_written_beside_the_truth(world: Simulated) -> None:
    written = json.loads((world.root / "truth" / "summary.json").read_text())
    assert written == json.loads(json.dumps(world.counts))


def test_household_shares_hold_in_the_truth_itself(world: Simulated) -> None:
    households = world.truth("persons").groupby("household")[["shares_phone", "shares_tablet"]].max()
    assert households["shares_phone"].mean() >= 0.20
    assert households["shares_tablet"].mean() >= 0.10


def test_overlap_share_against_a_naive_count(world: Simulated) -> None:
    journeys = world.truth("journeys")
    end = journeys["ended_at"].max() + timedelta(days=400)
    overlapping = 0
    for _, mine in journeys.groupby("true_person"):
        spans = [(row.started_at, row.ended_at if row.ended_at == row.ended_at else end) for row in mine.itertuples()]
        overlapping += sum(
            any(i != j and a[0] < b[1] and b[0] < a[1] for j, b in enumerate(spans)) for i, a in enumerate(spans)
        )
    assert overlapping / len(journeys) == pytest.approx(world.counts["overlap_share"], abs=0.02)


def test_every_day_has_a_file_that_landed_in_the_night_after(world: Simulated) -> None:
    for system in ("crm", "calls", "web", "surveys"):
        paths = world.files(system)
        assert len(paths) == 150
        for path in paths:
            day = date.fromisoformat(path.name.split("_")[1].split(".")[0])
            landed = datetime.fromtimestamp(path.stat().st_mtime, AMSTERDAM)
            assert landed.date() == day + timedelta(days=1)
            assert landed.hour in (2, 3)


def test_the_customer_list_comes_weekly_and_repeats(world: Simulated) -> None:
    paths = world.files("klanten")
    assert 21 <= len(paths) <= 23
    sizes = [len(path.read_text(encoding="latin-1").splitlines()) for path in paths]
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0] > 500


def test_impossible_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got 0 customers"):
        simulation.generate(tmp_path, customers=0, days=30, seed=1, end=END)


def test_tiny_worlds_work(tmp_path: Path) -> None:
    summary = simulation.generate(tmp_path, customers=3, days=3, seed=1, end=END)
    assert summary.counts["persons"] == 3

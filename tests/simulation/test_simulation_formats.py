"""Every landing file can be read back as the README says, and holds the faults it should hold."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

import simulation
from simulation.vocabulary import CALLS, CRM, PHASES, WEB_PATHS
from tests.simulation.landing_files import ID_COLUMN, Simulated, read

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
README = Path(__file__).parents[2] / "simulation" / "README.md"
Rows = dict[str, dict[str, list[dict[str, Any]]]]


def test_the_schema_changes_half_way(world: Simulated) -> None:
    headers = {path.name[4:14]: path.read_text(encoding="latin-1").split("\n")[0] for path in world.files("crm")}
    change = world.counts["schema_change_on"]
    for day, header in headers.items():
        assert ("klant_nr" in header) == (day >= change)
        assert header.endswith("kanaal_herkomst") == (day >= change)


def test_activities_are_those_of_the_vocabulary(rows: Rows, world: Simulated) -> None:
    events = world.truth("events")
    real = {source: set(ids) for source, ids in events.groupby("source")["source_event_id"]}
    seen = {
        "crm": {row["status"] for key, copies in rows["crm"].items() if key in real["crm"] for row in copies},
        "web": {row["event"] for key, copies in rows["web"].items() if key in real["web"] for row in copies},
        "calls": {
            row["Attributes"].get("reden", "overig")
            for key, copies in rows["calls"].items()
            if key in real["calls"]
            for row in copies
        },
    }
    for source, words in (("crm", CRM), ("web", WEB_PATHS), ("calls", CALLS)):
        assert seen[source] <= set(words)
        assert len(seen[source]) >= len(words) - 3, set(words) - seen[source]


def test_the_readme_names_everything() -> None:
    text = README.read_text(encoding="utf-8")
    for name in [*CRM, *CALLS, *WEB_PATHS]:
        assert f"| {name} |" in text, name
    for kind, phases in PHASES.items():
        assert f"`{kind}`" in text
        assert all(f"`{phase}`" in text for phase in phases)


def test_visible_and_internal_agree_with_the_truth(rows: Rows, world: Simulated) -> None:
    events = world.truth("events")
    crm = events[events["source"] == "crm"].set_index("source_event_id")["is_internal"]
    for key, internal in crm.items():
        assert CRM[rows["crm"][str(key)][0]["status"]].visible is (not internal)
    assert not events[events["source"] != "crm"]["is_internal"].any()


def test_times_parse_back_to_the_truth(rows: Rows, world: Simulated) -> None:
    events = world.truth("events")
    for row in events.iloc[::7].itertuples():
        copy = rows[str(row.source)][str(row.source_event_id)][0]
        if row.source == "web":
            moment = datetime.fromtimestamp(copy["timestamp"] / 1000, UTC)
        elif row.source == "calls":
            moment = datetime.fromisoformat(copy["InitiationTimestamp"])
        elif row.source == "surveys":
            moment = datetime.fromisoformat(copy["answered_at"] or copy["sent_at"])
        else:
            moment = datetime.strptime(copy["datum"], "%d-%m-%Y %H:%M:%S").replace(tzinfo=AMSTERDAM)
        assert abs((moment - row.occurred_at).total_seconds()) < 0.001, row


def test_the_crm_is_dutch(world: Simulated) -> None:
    text = "".join(path.read_text(encoding="latin-1") for path in world.files("crm"))
    assert all(letter in text for letter in "éëü")
    amounts = [row["bedrag"] for path in world.files("crm") for row in read(path) if row.get("bedrag")]
    assert all(amount.replace(",", "").isdigit() and amount[-3] == "," for amount in amounts)


@pytest.mark.parametrize("system", ["crm", "calls", "web", "surveys"])
def test_there_are_exact_duplicates_and_broken_lines(world: Simulated, rows: Rows, system: str) -> None:
    whole = sum(len(copies) for copies in rows[system].values())
    assert whole < world.counts["lines_landed"][system], "some lines cannot be read"
    real = set(world.truth("events").query("source == @system")["source_event_id"])
    copies = [rows[system][key] for key in real if len(rows[system][key]) > 1]
    assert any(group[0] == group[1] for group in copies)
    assert set(rows[system]) - real, "parseable rows that are not real"


def test_the_particular_faults(world: Simulated, rows: Rows) -> None:
    calls = [row for copies in rows["calls"].values() for row in copies]
    assert any(row["DisconnectTimestamp"] < row["InitiationTimestamp"] for row in calls)
    assert any(row["Attributes"].get("reden", "").startswith("<script>") for row in calls)
    updated = [copies for copies in rows["calls"].values() if len({c["LastUpdateTimestamp"] for c in copies}) > 1]
    assert any(copies[0] != copies[1] for copies in updated)
    assert any("<script>" in row["event"] for copies in rows["web"].values() for row in copies)
    for system in ID_COLUMN:
        if system != "web":
            assert "" in rows[system], f"{system}: an empty id"
    crm = [row for copies in rows["crm"].values() for row in copies]
    assert any(row.get("klantnummer", row.get("klant_nr")) == "000000000" for row in crm)
    with pytest.raises(ValueError, match="day"):
        for row in crm:
            datetime.strptime(row["datum"] or "01-01-2026 00:00:00", "%d-%m-%Y %H:%M:%S")


def test_no_row_is_swallowed_by_an_open_quote(world: Simulated) -> None:
    for path in world.files("crm"):
        with path.open(encoding="latin-1", newline="") as handle:
            lines = sum(1 for _ in handle)
        with path.open(encoding="latin-1", newline="") as handle:
            assert sum(1 for _ in csv.reader(handle, delimiter=";")) == lines, path.name


def test_the_repeated_hour_of_autumn_is_exported_twice(tmp_path: Path) -> None:
    simulation.generate(tmp_path, customers=1500, days=45, seed=3, end=date(2025, 11, 10))
    events = pd.read_parquet(tmp_path / "truth" / "events.parquet").query("source == 'crm'")
    times = events.set_index("source_event_id")["occurred_at"]
    folds = set()
    for path in sorted((tmp_path / "landing" / "crm").iterdir()):
        for row in read(path):
            if row["mutatie_id"] in times.index and row["datum"].startswith("26-10-2025 02:"):
                moment = times[row["mutatie_id"]].tz_convert(AMSTERDAM)
                assert f"{moment:%d-%m-%Y %H:%M:%S}" == row["datum"]
                folds.add(moment.utcoffset())
    assert len(folds) == 2

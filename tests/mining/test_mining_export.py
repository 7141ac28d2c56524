"""Exported logs are read back by PM4Py with the same counts."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mart_world import Rows, event_rows, journey_rows, stage

from klantspoor.errors import KlantspoorError, NotFoundError
from klantspoor.lake import Staging
from klantspoor.mining import Selection, export, export_ocel, export_xes
from klantspoor.mining.xmltext import quiet_pm4py, visible


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rows, Staging]]:
    rows = event_rows(journey_rows(7, journeys=60))
    with stage(tmp_path_factory.mktemp("export"), rows) as staging:
        yield rows, staging


def chosen(rows: Rows, **where: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Journeys that fit, by id, and the memberships of their events."""
    journeys = {
        row["journey_id"]: row
        for row in rows["journeys"]
        if not row["is_mystery_guest"] and all(row[name] == value for name, value in where.items())
    }
    return journeys, [member for member in rows["touchpoint_events"] if member["journey_id"] in journeys]


def test_xes_has_every_event_of_every_journey(world: tuple[Rows, Staging], tmp_path: Path) -> None:
    rows, staging = world
    out = tmp_path / "all.xes"
    exported = export_xes(staging, out)
    quiet_pm4py()
    import pm4py

    log = pm4py.read_xes(str(out), show_progress_bar=False)
    journeys, members = chosen(rows)
    assert (exported.journeys, exported.events) == (len(journeys), len(members))
    assert Counter(log["case:concept:name"]) == Counter(member["journey_id"] for member in members)
    activity = {event["event_id"]: visible(event["activity"]) for event in rows["events"]}
    assert Counter(log["concept:name"]) == Counter(activity[member["event_id"]] for member in members)
    assert log["internal_step"].sum() == sum(member["touchpoint_number"] == 0 for member in members)
    times = {event["event_id"]: event["occurred_at"] for event in rows["events"]}
    assert {row.event_id: row["time:timestamp"].to_pydatetime() for _, row in log.iterrows()} == {
        member["event_id"]: times[member["event_id"]] for member in members
    }
    phases = {(t["journey_id"], t["touchpoint_number"]): t["phase"] for t in rows["touchpoints"]}
    expected = Counter(phases.get((m["journey_id"], m["touchpoint_number"])) for m in members)
    assert Counter(log["phase"].dropna()) == Counter({phase: n for phase, n in expected.items() if phase})
    assert [path.name for path in tmp_path.iterdir()] == ["all.xes"]


def test_turns_are_those_of_the_waits(world: tuple[Rows, Staging], tmp_path: Path) -> None:
    rows, staging = world
    export_xes(staging, tmp_path / "all.xes")
    import pm4py

    log = pm4py.read_xes(str(tmp_path / "all.xes"), show_progress_bar=False)
    first = {(w["journey_id"], w["touchpoint_number"]): w["turn"] for w in rows["waits"] if w["stretch_number"] == 1}
    at = {event["event_id"]: event["occurred_at"] for event in rows["events"]}
    seen = 0
    for row in log.to_dict("records"):
        if row["touchpoint_number"] > 0:
            turn = first.get((row["case:concept:name"], row["touchpoint_number"]))
        else:
            instant = at[row["event_id"]]
            during = [
                w["turn"]
                for w in rows["waits"]
                if w["journey_id"] == row["case:concept:name"] and w["started_at"] <= instant < w["ended_at"]
            ]
            turn = during[0] if during else None
        assert (row["turn"] if isinstance(row["turn"], str) else None) == turn
        seen += turn is not None
    assert seen > 50


@pytest.mark.parametrize("ending", [".jsonocel", ".xmlocel", ".sqlite"])
def test_ocel_has_every_object_and_each_event_once(world: tuple[Rows, Staging], tmp_path: Path, ending: str) -> None:
    rows, staging = world
    out = tmp_path / f"all{ending}"
    exported = export_ocel(staging, out)
    quiet_pm4py()
    import pm4py

    read = {".jsonocel": pm4py.read_ocel2_json, ".xmlocel": pm4py.read_ocel2_xml, ".sqlite": pm4py.read_ocel2_sqlite}
    ocel = read[ending](str(out))
    journeys, members = chosen(rows)
    events = {member["event_id"] for member in members}
    people = {row["person_id"] for row in journeys.values()}
    assert (exported.journeys, exported.events) == (len(journeys), len(events))
    assert set(ocel.events["ocel:eid"]) == events
    assert len(ocel.events) == len(events)
    assert Counter(ocel.objects["ocel:type"]) == {"journey": len(journeys), "person": len(people)}
    related = ocel.relations[ocel.relations["ocel:type"] == "journey"]
    pairs = set(zip(related["ocel:eid"], related["ocel:oid"], strict=True))
    assert pairs == {(member["event_id"], member["journey_id"]) for member in members}
    activity = {event["event_id"]: visible(event["activity"]) for event in rows["events"]}
    assert dict(zip(ocel.events["ocel:eid"], ocel.events["ocel:activity"], strict=True)) == {
        e: activity[e] for e in events
    }


def test_ocel_in_sqlite_is_whole_in_spite_of_names_that_look_like_sql(
    world: tuple[Rows, Staging], tmp_path: Path
) -> None:
    _, staging = world
    export_ocel(staging, tmp_path / "log.sqlite")
    with sqlite3.connect(tmp_path / "log.sqlite") as con:
        types = {row[0] for row in con.execute("SELECT ocel_type FROM event_map_type")}
    assert any("DROP TABLE" in name for name in types)


@pytest.mark.parametrize(
    ("selection", "where"),
    [
        (Selection(journey_types=("buy",)), {"journey_type": "buy"}),
        (Selection(persona="family"), {"persona": "family"}),
        (Selection(status="open"), {"status": "open"}),
        (
            Selection(journey_types=("buy", "moving"), persona="single", status="completed"),
            {"persona": "single", "status": "completed"},
        ),
    ],
)
def test_filters(world: tuple[Rows, Staging], tmp_path: Path, selection: Selection, where: dict[str, Any]) -> None:
    rows, staging = world
    journeys, members = chosen(rows, **where)
    exported = export_xes(staging, tmp_path / "some.xes", selection)
    assert (exported.journeys, exported.events) == (len(journeys), len(members))
    assert 0 < len(journeys) < len(rows["journeys"])


def test_filter_by_start_and_by_journey(world: tuple[Rows, Staging], tmp_path: Path) -> None:
    rows, staging = world
    journeys, _ = chosen(rows)
    starts = sorted(row["started_at"] for row in journeys.values())
    between = Selection(started_from=starts[10], started_before=starts[20])
    assert export_xes(staging, tmp_path / "a.xes", between).journeys == 10
    one = next(iter(journeys))
    assert export_ocel(staging, tmp_path / "b.jsonocel", Selection(journey_id=one)).journeys == 1
    with pytest.raises(NotFoundError, match="no journey fits"):
        export_xes(staging, tmp_path / "c.xes", Selection(started_from=datetime(2030, 1, 1, tzinfo=UTC)))


def test_mystery_guests_only_when_asked_for(world: tuple[Rows, Staging], tmp_path: Path) -> None:
    rows, staging = world
    everyone = export_xes(staging, tmp_path / "all.xes", Selection(mystery_guests=True))
    assert everyone.journeys == len(rows["journeys"]) > len(chosen(rows)[0])


def test_what_cannot_be_written_says_what_can(
    world: tuple[Rows, Staging], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, staging = world
    with pytest.raises(KlantspoorError, match=r"\.jsonocel or \.xmlocel or \.sqlite"):
        export_ocel(staging, tmp_path / "log.csv")
    monkeypatch.setattr(export, "MOST_EVENTS", 10)
    with pytest.raises(KlantspoorError, match="filter by"):
        export_xes(staging, tmp_path / "log.xes")
    assert list(tmp_path.iterdir()) == []

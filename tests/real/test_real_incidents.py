"""A whole night on the incident log, in its two forms, agrees exactly with what pandas makes of the raw files."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.real.agree import same_rows
from tests.real.by_hand import Figures
from tests.real.incidents_by_hand import STATES, UPDATE, Desk, events, reopenings, reports
from tests.real.nights import Night

pytestmark = pytest.mark.real
REPORT, AGAIN = "Incident reported", "Incident reported again"
TURNS = ["organisation_wait_seconds", "partner_wait_seconds", "customer_wait_seconds", "nobody_wait_seconds"]


def test_every_row_is_accounted_for(incidents: Night, desk: Desk) -> None:
    told = incidents.table("SELECT * FROM intake ORDER BY sequence")
    assert told["dialect"].tolist() == ["labelled", "bare"]
    old, new = told.to_dict("records")
    unknown = {name: int(log["caller"].isna().sum()) for name, log in (("old", desk.old), ("new", desk.new))}
    assert (old["rows_read"], old["quarantined"]) == (len(desk.old), unknown["old"])
    assert old["used"] == len(desk.old) - unknown["old"]
    assert (new["rows_read"], new["quarantined"]) == (len(desk.new), unknown["new"])
    known = desk.new[desk.new["caller"].notna()]
    repeats = known.merge(desk.old[UPDATE], on=UPDATE)
    assert new["used"] == len(known) - len(repeats)
    # The same update in both files is one event. But a row of it that also tells of a report or a reopening, of which an
    # earlier update told already, has given way in that.
    first_report = repeats["ticket"].map(reports(desk.updates).set_index("ticket")["updates"])
    first_reopening = reopenings(desk.updates).set_index(["ticket", "reopened"])["updates"]
    told_before = pd.MultiIndex.from_frame(repeats[["ticket", "reopened"]]).map(first_reopening)
    gave_way = (repeats["updates"] <= 1) & (repeats["updates"] != first_report)
    gave_way |= (repeats["reopened"] > 0) & (repeats["updates"] != told_before)
    assert new["superseded"] == int(gave_way.sum()) > 0
    assert new["duplicates"] == len(repeats) - int(gave_way.sum())
    assert sum(row[name] for row in (old, new) for name in ("ignored", "reference", "erased", "anonymous_events")) == 0


def test_rows_without_a_caller_are_quarantined(incidents: Night, desk: Desk) -> None:
    told = incidents.table('SELECT DISTINCT file, row_number, reason, "column" FROM quarantine')
    rows = [
        {"file": file, "row_number": int(row) + 1, "reason": "no_identifier", "column": "caller_id"}
        for file, log in (("tickets_original_header.csv.gz", desk.old), ("incident_event_log.csv.gz", desk.new))
        for row in log.index[log["caller"].isna()]
    ]
    assert len(rows) > 0
    same_rows(told, pd.DataFrame(rows), ["file", "row_number", "reason", "column"])


def test_both_forms_say_the_same(desk: Desk) -> None:
    """What the comparison rests on: the old form is the beginning of the new one, label for label."""
    pd.testing.assert_frame_equal(desk.old, desk.new.head(len(desk.old)))
    assert desk.new["updates"].groupby(desk.new["ticket"]).nunique().sum() < len(desk.new), "a counter is used twice"
    assert not desk.new.duplicated(UPDATE).any()


def test_events(incidents: Night, desk: Desk) -> None:
    by_hand = events(desk).rename(columns={"at": "occurred_at"})
    by_hand["topic"] = "category " + by_hand["category"]
    columns = ["activity", "occurred_at", "channel", "initiator", "team", "topic"]
    told = incidents.table("SELECT * FROM events")
    same_rows(told, by_hand, columns)
    counts = told["activity"].value_counts()
    assert counts[REPORT] == desk.updates["ticket"].nunique()
    for state, activity in STATES.items():
        assert counts[activity] == (desk.updates["state"] == state).sum()


def test_what_nobody_understands_is_said(incidents: Night, desk: Desk) -> None:
    told = incidents.table("SELECT activity, events FROM coverage WHERE role = 'unmapped'")
    unknown = ~desk.updates["state"].isin(STATES)
    assert told.to_dict("records") == [{"activity": "state -100", "events": int(unknown.sum())}]
    assert unknown.any()
    assert incidents.figure("SELECT count(*) FROM events WHERE visibility = 'unknown'") == unknown.sum()


def test_persons(incidents: Night, desk: Desk) -> None:
    assert incidents.figure("SELECT count(DISTINCT person_id) FROM identities") == desk.updates["caller"].nunique()


def test_tickets_of_two_callers_are_two_journeys(incidents: Night, desk: Desk, desk_figures: Figures) -> None:
    callers = desk.updates.groupby("ticket")["caller"].nunique()
    assert (callers == 2).sum() == 3
    unseen = callers.sum() - len(desk_figures.journeys)
    assert unseen == 1, "one caller of them met internal steps alone, and so no journey"
    assert incidents.figure("SELECT count(*) FROM journeys") == callers.sum() - unseen


def test_journeys(incidents: Night, desk_figures: Figures) -> None:
    columns = ["started_at", "ended_at", "last_activity_at", "solved_at", "status", "outcome"]
    columns += ["touchpoints", "channels", "lead_time_seconds", *TURNS]
    same_rows(incidents.table("SELECT * FROM journeys"), desk_figures.journeys, columns)
    told = incidents.table("SELECT cycle, count(*) AS n FROM journeys GROUP BY ALL").set_index("cycle")["n"]
    assert told.to_dict() == desk_figures.journeys["cycle"].value_counts().to_dict()


def test_touchpoints(incidents: Night, desk_figures: Figures) -> None:
    columns = ["touchpoint_number", "activity", "phase", "channel", "initiator", "started_at", "ended_at", "events"]
    columns += ["wait_before_seconds"]
    same_rows(incidents.table("SELECT * FROM touchpoints"), desk_figures.touchpoints, columns)
    assert (desk_figures.touchpoints["events"] > 1).any(), "updates soon after one another are one contact"


def test_events_of_touchpoints_and_internal_steps(incidents: Night, desk_figures: Figures) -> None:
    steps = int(desk_figures.members["phase"].isna().sum())
    assert incidents.figure("SELECT count(*) FROM touchpoint_events WHERE touchpoint_number = 0") == steps
    assert incidents.figure("SELECT count(*) FROM touchpoint_events") == len(desk_figures.members)


def test_phase_visits(incidents: Night, desk_figures: Figures) -> None:
    columns = ["visit_number", "phase", "entered_at", "left_at", "dwell_seconds", "touchpoints"]
    same_rows(incidents.table("SELECT * FROM phase_visits"), desk_figures.visits, columns)
    told = incidents.table(
        """SELECT phase, sum(dwell_seconds)::BIGINT AS total, median(dwell_seconds) AS middle
           FROM phase_visits GROUP BY ALL ORDER BY phase"""
    )
    dwell = desk_figures.visits.groupby("phase")["dwell_seconds"]
    assert told["total"].tolist() == dwell.sum().tolist()
    assert told["middle"].tolist() == dwell.median().tolist()


def test_waits(incidents: Night, desk_figures: Figures) -> None:
    columns = ["touchpoint_number", "stretch_number", "turn", "cause", "started_at", "ended_at", "seconds", "is_open"]
    columns += ["internal_activity", "team"]
    same_rows(incidents.table("SELECT * FROM waits"), desk_figures.waits, columns)


def test_whose_turn_it_was_and_why(incidents: Night, desk_figures: Figures) -> None:
    told = incidents.table("SELECT turn, cause, sum(seconds)::BIGINT AS s FROM waits GROUP BY ALL")
    by_hand = desk_figures.waits.groupby(["turn", "cause"])["seconds"].sum().to_dict()
    assert told.set_index(["turn", "cause"])["s"].to_dict() == by_hand
    assert {"handover", "queueing", "unexplained", "partner", "customer", "nobody"} == {c for _, c in by_hand}


def test_reopened_tickets(incidents: Night, desk: Desk) -> None:
    most = desk.updates.groupby("ticket")["reopened"].max()
    assert (most > 0).any()
    sql = """SELECT count(DISTINCT journey_id) FROM touchpoint_events JOIN events USING (event_id) WHERE activity = '{}'"""
    assert incidents.figure(sql.format(AGAIN)) == (most > 0).sum()
    times = desk.updates.drop_duplicates(["ticket", "reopened"])
    reopenings_told = incidents.figure(f"SELECT count(*) FROM events WHERE activity = '{AGAIN}'")
    assert reopenings_told == (times["reopened"] > 0).sum()


def test_the_goal_of_the_wait_is_the_solution(incidents: Night, desk: Desk) -> None:
    """Tickets that were closed without ever having been resolved are over, but nobody was helped."""
    resolved = desk.updates.loc[desk.updates["state"] == "Resolved", "ticket"]
    never = desk.updates.loc[~desk.updates["ticket"].isin(resolved), "ticket"].nunique()
    assert never > 0
    sql = "SELECT count(*) FROM journeys WHERE status = 'completed' AND outcome = 'unknown'"
    assert incidents.figure(sql) == never

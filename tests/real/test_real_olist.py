"""A whole night on the Olist data agrees exactly with what pandas makes of the raw files."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tests.real.agree import same_rows
from tests.real.by_hand import Figures
from tests.real.nights import Night
from tests.real.olist_by_hand import AS_OF, TIMES, ZONE, Shop

pytestmark = pytest.mark.real
TURNS = ["organisation_wait_seconds", "partner_wait_seconds", "customer_wait_seconds", "nobody_wait_seconds"]


def test_every_row_is_accounted_for(olist: Night, shop: Shop) -> None:
    told = olist.table("SELECT * FROM intake").set_index("source")
    repeated = int(shop.reviews["review_id"].duplicated().sum())
    assert repeated > 0
    for source, rows, outcome in (
        ("orders", shop.orders, "used"),
        ("leads", shop.leads, "used"),
        ("deals", shop.deals, "used"),
        ("reviews", shop.reviews, "used"),
        ("customers", shop.customers, "reference"),
        ("sellers", shop.sellers, "reference"),
    ):
        superseded = repeated if source == "reviews" else 0
        assert told.loc[source, "rows_read"] == len(rows)
        assert told.loc[source, outcome] == len(rows) - superseded
        assert told.loc[source, "superseded"] == superseded
    assert told[["ignored", "duplicates", "quarantined", "erased", "anonymous_events"]].to_numpy().sum() == 0
    assert olist.figure("SELECT count(*) FROM quarantine") == 0
    assert "Checks: all hold." in olist.said


def test_odd_local_times_are_counted(olist: Night, shop: Shop) -> None:
    """Brazil's clocks change at midnight: a date without a time may not exist, and an hour before it may exist twice."""

    def odd(local: pd.Series) -> int:
        times = pd.to_datetime(local.dropna(), format="ISO8601").dt
        nonexistent = times.tz_localize(ZONE, ambiguous=True, nonexistent="NaT").isna()
        twice = times.tz_localize(ZONE, ambiguous="NaT", nonexistent="shift_forward").isna()
        return int((nonexistent | twice).sum())

    told = olist.table("SELECT source, times_resolved FROM intake").set_index("source")["times_resolved"]
    assert told["leads"] == odd(shop.leads["first_contact_date"]) > 0
    assert told["deals"] == odd(shop.deals["won_date"])
    assert told["orders"] == sum(odd(shop.orders[column]) for column in TIMES) > 0
    asked, answered = shop.reviews["review_creation_date"], shop.reviews["review_answer_timestamp"]
    assert told["reviews"] == odd(asked) + odd(answered) > 0


def test_events_of_each_activity(olist: Night, shop: Shop) -> None:
    told = olist.table("SELECT activity, count(*) AS n FROM events GROUP BY ALL").set_index("activity")["n"].to_dict()
    by_hand = {activity: int(shop.orders[column].notna().sum()) for column, (activity, _, _) in TIMES.items()}
    reviews = shop.reviews["review_id"].nunique()
    by_hand |= {"Review asked for": reviews, "Review written": reviews}
    by_hand |= {"Interest shown": len(shop.leads), "Contract signed": len(shop.deals)}
    assert told == by_hand


def test_persons(olist: Night, shop: Shop) -> None:
    buyers = shop.customers["customer_unique_id"].nunique()
    unconnected = (~shop.sellers["seller_id"].isin(shop.deals["seller_id"])).sum()
    assert olist.figure("SELECT count(DISTINCT person_id) FROM identities") == buyers + len(shop.leads) + unconnected
    assert olist.figure("SELECT count(DISTINCT person_id) FROM journeys WHERE journey_type = 'buying'") == buyers
    assert olist.figure("SELECT count(*) FROM identity_audit") == 0


def test_who_bought_more_than_once(olist: Night, shop: Shop) -> None:
    told = olist.table("SELECT cycle, count(*) AS n FROM journeys WHERE journey_type = 'buying' GROUP BY ALL")
    orders = shop.person_of.value_counts()
    by_hand = {cycle: int((orders >= cycle).sum()) for cycle in range(1, orders.max() + 1)}
    assert told.set_index("cycle")["n"].to_dict() == by_hand
    assert by_hand[2] > 0
    linked = olist.figure("SELECT count(*) FROM journeys WHERE previous_journey_id IS NOT NULL")
    assert linked == len(shop.orders) - len(orders)


def test_journeys(olist: Night, shop: Shop, shop_figures: Figures) -> None:
    by_hand = shop_figures.journeys
    assert len(by_hand) == len(shop.orders) + len(shop.leads)
    columns = ["journey_type", "started_at", "ended_at", "last_activity_at", "solved_at", "status", "outcome"]
    columns += ["persona", "touchpoints", "channels", "lead_time_seconds", *TURNS]
    same_rows(olist.table("SELECT * FROM journeys"), by_hand, columns)
    counts = by_hand.groupby(["journey_type", "status"]).size()
    assert len(counts) == 6, "open, completed and abandoned ones of both types are there to be compared"
    told = olist.table("SELECT journey_type, status, count(*) AS n FROM journeys GROUP BY ALL")
    assert told.set_index(["journey_type", "status"])["n"].to_dict() == counts.to_dict()


def test_touchpoints(olist: Night, shop_figures: Figures) -> None:
    columns = ["journey_type", "touchpoint_number", "activity", "phase", "channel", "initiator", "started_at"]
    columns += ["ended_at", "events", "wait_before_seconds"]
    same_rows(olist.table("SELECT * FROM touchpoints"), shop_figures.touchpoints, columns)


def test_phase_visits(olist: Night, shop_figures: Figures) -> None:
    columns = ["journey_type", "visit_number", "phase", "entered_at", "left_at", "dwell_seconds", "touchpoints"]
    same_rows(olist.table("SELECT * FROM phase_visits"), shop_figures.visits, columns)


def test_time_in_phases(olist: Night, shop_figures: Figures) -> None:
    told = olist.table(
        """SELECT phase, sum(dwell_seconds)::BIGINT AS total, median(dwell_seconds) AS middle
           FROM phase_visits GROUP BY ALL ORDER BY phase"""
    )
    dwell = shop_figures.visits.groupby("phase")["dwell_seconds"]
    assert told["total"].tolist() == dwell.sum().tolist()
    assert told["middle"].tolist() == dwell.median().tolist()
    mart = olist.table("SELECT * FROM journey_map WHERE persona IS NULL AND month IS NULL ORDER BY phase")
    assert mart["phase"].tolist() == told["phase"].tolist()
    assert mart["visits"].tolist() == dwell.size().tolist()
    assert mart["dwell_median_hours"].tolist() == pytest.approx((dwell.median() / 3600).tolist(), rel=1e-12)


def test_waits(olist: Night, shop_figures: Figures) -> None:
    columns = ["journey_type", "touchpoint_number", "stretch_number", "turn", "cause", "started_at", "ended_at"]
    columns += ["seconds", "is_open", "internal_activity", "team"]
    same_rows(olist.table("SELECT * FROM waits"), shop_figures.waits, columns)


def test_whose_turn_it_was(olist: Night, shop_figures: Figures) -> None:
    told = olist.table("SELECT journey_type, turn, is_open, sum(seconds)::BIGINT AS s FROM waits GROUP BY ALL")
    keys = ["journey_type", "turn", "is_open"]
    by_hand = shop_figures.waits.groupby(keys)["seconds"].sum().to_dict()
    assert told.set_index(keys)["s"].to_dict() == by_hand
    assert {("buying", "partner", True), ("buying", "nobody", False)} <= set(by_hand)


def test_score_shares(olist: Night, shop: Shop) -> None:
    told = olist.table("SELECT score, count(*) AS n FROM experiences GROUP BY ALL").set_index("score")["n"]
    by_hand = shop.answers["score"].value_counts()
    assert set(by_hand.index) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert (told / told.sum()).to_dict() == (by_hand / by_hand.sum()).to_dict()
    assert olist.figure("SELECT count(*) FROM experiences WHERE score_0_100 <> (score - 1) * 25") == 0


def test_what_an_answer_is_about(olist: Night, shop: Shop, shop_figures: Figures) -> None:
    """The last touchpoint of the order's journey that began before the answer; none, where the order came later."""
    touchpoints = shop_figures.touchpoints[["journey", "touchpoint_number", "started_at"]]
    near = shop.answers.reset_index().merge(touchpoints, left_on="order_id", right_on="journey")
    before = near[near["started_at"] <= near["at"]]
    about = before.groupby("index")["touchpoint_number"].max()
    by_hand = shop.answers.assign(touchpoint_number=about, answered_at=shop.answers["at"])
    told = olist.table("SELECT * FROM experiences")
    assert told["journey_id"].notna().all()
    same_rows(told, by_hand, ["score", "answered_at", "touchpoint_number"])


def test_what_follows_what(olist: Night, shop_figures: Figures) -> None:
    touchpoints = shop_figures.touchpoints
    follows = touchpoints.assign(
        to_step=touchpoints.groupby("journey")["activity"].shift(-1),
        person=touchpoints["journey"].map(shop_figures.journeys.set_index("journey")["person"]),
    )
    pairs = follows.dropna(subset=["to_step"]).groupby(["journey_type", "activity", "to_step"])
    by_hand = pairs.agg(occurrences=("journey", "size"), journeys=("journey", "nunique"), persons=("person", "nunique"))
    by_hand = by_hand[by_hand["persons"] >= 5].reset_index().rename(columns={"activity": "from_step"})
    columns = ["journey_type", "from_step", "to_step", "occurrences", "journeys", "persons"]
    same_rows(olist.table("SELECT * FROM directly_follows"), by_hand, columns)


def test_how_leads_arrive(olist: Night, shop: Shop) -> None:
    [(mix,)] = olist.table(
        "SELECT channel_mix FROM journey_map WHERE phase = 'interest' AND persona IS NULL AND month IS NULL"
    ).to_numpy()
    # The mix calls a channel that no source names "unknown", and this source has a channel of that very name.
    by_hand = shop.leads["origin"].fillna("unknown").value_counts() / len(shop.leads)
    assert json.loads(mix) == pytest.approx(by_hand.to_dict(), rel=1e-12)


def test_the_night_is_of_its_own_clock(olist: Night) -> None:
    [(as_of,)] = olist.table("SELECT DISTINCT as_of FROM runs").to_numpy()
    assert pd.Timestamp(as_of) == pd.Timestamp(AS_OF)

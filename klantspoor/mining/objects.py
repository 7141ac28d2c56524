"""Journeys and their events as an object-centric log (OCEL 2.0).

Only the making of PM4Py's object; reading the tables and writing files is in `klantspoor.mining.export`.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from klantspoor.mining.xmltext import quiet_pm4py

EVENT_ATTRIBUTES = ["channel", "source", "initiator", "team", "topic"]
JOURNEY_ATTRIBUTES = [
    "journey_type",
    "cycle",
    "status",
    "outcome",
    "persona",
    "started_at",
    "ended_at",
    "lead_time_seconds",
]


def as_ocel(journeys: pd.DataFrame, events: pd.DataFrame) -> Any:
    """PM4Py's OCEL of journeys (one row each) and their events (one row per journey and event).

    Objects: journey (related to its person, account and the journey of the cycle before it), person, account.
    """
    quiet_pm4py()
    from pm4py.objects.ocel.obj import OCEL

    once = events.drop_duplicates("event_id")
    event_rows = pd.DataFrame(
        {"ocel:eid": once["event_id"], "ocel:activity": once["activity"], "ocel:timestamp": once["occurred_at"]}
        | {name: once[name] for name in EVENT_ATTRIBUTES}
    )
    return OCEL(
        events=event_rows.sort_values(["ocel:timestamp", "ocel:eid"]).reset_index(drop=True),
        objects=_objects(journeys),
        relations=_relations(journeys, events),
        o2o=_between_objects(journeys),
    )


def _objects(journeys: pd.DataFrame) -> pd.DataFrame:
    journey_rows = pd.DataFrame(
        {"ocel:oid": journeys["journey_id"], "ocel:type": "journey"} | {n: journeys[n] for n in JOURNEY_ATTRIBUTES}
    )
    people = pd.DataFrame(
        {"ocel:oid": _named("person", journeys["person_id"].drop_duplicates()), "ocel:type": "person"}
    )
    accounts = journeys["account_id"].dropna().drop_duplicates()
    account_rows = pd.DataFrame({"ocel:oid": _named("account", accounts), "ocel:type": "account"})
    return pd.concat([journey_rows, people, account_rows], ignore_index=True)


def _relations(journeys: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Events with their journeys, persons and accounts."""
    rows = events.merge(journeys[["journey_id", "person_id", "account_id"]], on="journey_id", sort=False)
    role = rows["phase"].where(rows["phase"].notna(), "contact").where(~rows["internal_step"], "internal step")
    parts = [
        _related(rows, rows["journey_id"], "journey", role),
        _related(rows, _named("person", rows["person_id"]), "person", "person"),
        _related(rows, _named("account", rows["account_id"]), "account", "account"),
    ]
    return pd.concat(parts, ignore_index=True).drop_duplicates(["ocel:eid", "ocel:oid"]).reset_index(drop=True)


def _related(rows: pd.DataFrame, ids: pd.Series, kind: str, qualifier: pd.Series | str) -> pd.DataFrame:
    related = pd.DataFrame(
        {
            "ocel:eid": rows["event_id"],
            "ocel:activity": rows["activity"],
            "ocel:timestamp": rows["occurred_at"],
            "ocel:oid": ids,
            "ocel:type": kind,
            "ocel:qualifier": qualifier,
        }
    )
    return related[related["ocel:oid"].notna()]


def _between_objects(journeys: pd.DataFrame) -> pd.DataFrame:
    known = journeys["previous_journey_id"].isin(journeys["journey_id"])
    others = {
        "of person": _named("person", journeys["person_id"]),
        "of account": _named("account", journeys["account_id"]),
        "cycle after": journeys["previous_journey_id"].where(known),
    }
    parts = [
        pd.DataFrame({"ocel:oid": journeys["journey_id"], "ocel:oid_2": other, "ocel:qualifier": qualifier})
        for qualifier, other in others.items()
    ]
    together = pd.concat(parts, ignore_index=True)
    return together[together["ocel:oid_2"].notna()].reset_index(drop=True)


def _named(kind: str, ids: pd.Series) -> pd.Series:
    """Ids of one kind of object, told apart from those of another."""
    return (kind + ":" + ids.astype("string")).astype(object).where(ids.notna(), None)

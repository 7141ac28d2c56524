"""The truth agrees with what was exported, and with itself."""

from __future__ import annotations

from typing import Any

import pandas as pd

from simulation.vocabulary import PHASES
from tests.simulation.landing_files import Simulated

Rows = dict[str, dict[str, list[dict[str, Any]]]]
TURNS = {"organisation", "partner", "customer", "nobody"}


def test_every_true_event_is_in_its_export_and_only_there(world: Simulated, rows: Rows) -> None:
    events = world.truth("events")
    assert not events.duplicated(["source", "source_event_id"]).any()
    for source, ids in events.groupby("source")["source_event_id"]:
        missing = set(ids) - set(rows[str(source)])
        assert not missing, (source, len(missing))
        elsewhere = [other for other in rows if other != source and set(ids) & set(rows[other])]
        assert not elsewhere


def test_what_is_exported_beside_the_truth_is_little(world: Simulated, rows: Rows) -> None:
    events = world.truth("events")
    for source, ids in events.groupby("source")["source_event_id"]:
        unreal = set(rows[str(source)]) - set(ids)
        assert 0 < len(unreal) <= 40
        assert all(not key or key.startswith(("X", "0000")) for key in unreal)


def test_the_case_keys_are_counted_as_exported(world: Simulated, rows: Rows) -> None:
    events = world.truth("events")
    for row in events.iloc[::5].itertuples():
        copy = rows[str(row.source)][str(row.source_event_id)][0]
        key = {
            "crm": lambda c: c["zaaknummer"],
            "calls": lambda c: c["Attributes"].get("zaaknummer"),
            "web": lambda c: c["properties"].get("caseNumber"),
            "surveys": lambda c: c["about"] if "-" in c["about"][:3] else "",
        }[str(row.source)](copy)
        assert bool(key) is bool(row.has_case_key), row


def test_events_refer_to_journeys_of_their_own_person(world: Simulated) -> None:
    events, journeys = world.truth("events"), world.truth("journeys")
    assert journeys["true_journey"].is_unique
    joined = events.dropna(subset=["true_journey"]).merge(journeys, on="true_journey", suffixes=("", "_of_journey"))
    assert len(joined) == events["true_journey"].notna().sum()
    assert (joined["true_person"] == joined["true_person_of_journey"]).all()
    in_journey = joined.dropna(subset=["true_phase"])
    assert all(row.true_phase in PHASES[str(row.journey_type)] for row in in_journey.itertuples())
    assert joined.loc[joined["is_internal"], "true_phase"].isna().all()
    contacts = joined[~joined["is_internal"] & (joined["source"] != "surveys")]
    assert (contacts["occurred_at"].dt.floor("s") >= contacts["started_at"]).all()
    ended = contacts.dropna(subset=["ended_at"])
    assert (ended["occurred_at"].dt.floor("s") <= ended["ended_at"]).all()


def test_waits_are_disjoint_and_inside_their_journey(world: Simulated) -> None:
    waits, journeys = world.truth("waits"), world.truth("journeys")
    assert set(waits["turn"]) == TURNS
    assert (waits["started_at"] < waits["ended_at"]).all()
    waits = waits.sort_values(["true_journey", "started_at"])
    before = waits.groupby("true_journey")["ended_at"].shift()
    assert ((waits["started_at"] >= before) | before.isna()).all()
    joined = waits.merge(journeys, on="true_journey", suffixes=("", "_of_journey"), how="left")
    assert (joined["started_at"] >= joined["started_at_of_journey"]).all()
    assert ((joined["ended_at"] <= joined["ended_at_of_journey"]) | joined["ended_at_of_journey"].isna()).all()


def test_no_contact_lies_inside_a_wait(world: Simulated) -> None:
    waits, events = world.truth("waits"), world.truth("events")
    contacts = events[~events["is_internal"] & (events["source"] != "surveys") & events["true_journey"].notna()]
    both = waits.merge(contacts, on="true_journey")
    inside = (both["occurred_at"].dt.floor("s") > both["started_at"]) & (
        both["occurred_at"].dt.floor("s") < both["ended_at"]
    )
    assert not inside.any(), both[inside].head()


def test_waits_and_contacts_fill_a_journey(world: Simulated) -> None:
    waits, journeys = world.truth("waits"), world.truth("journeys")
    done = journeys.dropna(subset=["ended_at"]).set_index("true_journey")
    waited = (waits["ended_at"] - waits["started_at"]).groupby(waits["true_journey"]).sum()
    total = done["ended_at"] - done["started_at"]
    contact_time = total - waited.reindex(total.index).fillna(pd.Timedelta(0))
    assert (contact_time >= pd.Timedelta(0)).all()
    assert contact_time.max() < pd.Timedelta(hours=12)
    assert contact_time.median() < pd.Timedelta(minutes=40)


def test_the_partner_waits_lie_between_its_rows(world: Simulated, rows: Rows) -> None:
    waits, events = world.truth("waits"), world.truth("events")
    crm = events[events["source"] == "crm"].copy()
    crm["status"] = [rows["crm"][key][0]["status"] for key in crm["source_event_id"]]
    out = crm[crm["status"] == "Uitgezet bij netbeheerder"][["true_journey", "occurred_at"]]
    partner = waits[waits["turn"] == "partner"].merge(out, on="true_journey")
    exact = (partner["started_at"] == partner["occurred_at"]).groupby(partner["true_journey"]).any()
    assert exact.mean() > 0.85


def test_identifiers_cover_what_is_exported(world: Simulated, rows: Rows) -> None:
    known = world.truth("identifiers")
    events = world.truth("events")
    values = {kind: set(group) for kind, group in known.groupby("identifier_type")["raw_value"]}
    for row in events[events["source"] == "web"].itertuples():
        copy = rows["web"][str(row.source_event_id)][0]
        assert copy["anonymousId"] in values["cookie"]
        assert copy["userId"] is None or copy["userId"] in values["login"]
    for row in events[events["source"] == "calls"].itertuples():
        phone = rows["calls"][str(row.source_event_id)][0]["CustomerEndpoint"]["Address"]
        assert phone == "anonymous" or phone in values["phone"]
    for row in events[events["source"] == "crm"].itertuples():
        copy = rows["crm"][str(row.source_event_id)][0]
        assert copy["email"] in values["email"]
        assert copy["telefoon"] in values["phone"]


def test_shared_is_what_several_persons_use(world: Simulated) -> None:
    known = world.truth("identifiers")
    users = known.groupby(["identifier_type", "canonical_value"])["true_person"].transform("nunique")
    assert (known["shared"] == (users > 1)).all()
    assert set(known.loc[known["shared"], "identifier_type"]) >= {"phone", "cookie"}
    assert not known.loc[known["identifier_type"].isin(["customer", "login", "contract"]), "shared"].any()


def test_cycles_count_up(world: Simulated) -> None:
    journeys = world.truth("journeys").sort_values("started_at")
    for _, cycles in journeys.groupby(["account", "journey_type"])["cycle"]:
        assert sorted(cycles) == list(range(1, len(cycles) + 1))

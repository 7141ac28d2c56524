"""From the members of journeys to touchpoints, phase visits and waits, as docs/journeys.md says, in plain pandas.

Shares nothing with the library. Does only what the two projects on public data need: journeys cut by a case key, events
without duration, no opening hours, each activity in one phase, nothing unphased but answers. Holds no test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd

OURS, PARTNERS, CUSTOMERS, NOBODYS = "organisation", "partner", "customer", "nobody"
Row = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """What a journey file of the two projects says: phases by activity (in its order), and the turns it declares."""

    phases: dict[str, str]
    turns: dict[str, str]
    completes: str
    closes: str | None
    abandoned_after: pd.Timedelta
    contact_gap: pd.Timedelta
    as_of: pd.Timestamp


@dataclass(frozen=True)
class Figures:
    """Tables by hand; `journey` is (person, case). `members` are the events of published journeys but answers."""

    members: pd.DataFrame
    touchpoints: pd.DataFrame
    visits: pd.DataFrame
    journeys: pd.DataFrame
    waits: pd.DataFrame


def work_out(members: pd.DataFrame, last_seen: pd.Series, rules: Rules) -> Figures:
    """Everything about some journeys.

    `members`: journey, person, at, activity, channel, initiator, team, in order within each journey. `last_seen`: by
    journey, the latest start of any event of it, answers included.
    """
    members = members.assign(phase=members["activity"].map(rules.phases))
    if "tie" not in members:  # the source orders nothing within an instant
        members["tie"] = 0
    published = members.loc[members["phase"].notna(), "journey"].unique()
    members = members[members["journey"].isin(published)].reset_index(drop=True)
    members["place"] = members.index
    touchpoints = _touchpoints(members[members["phase"].notna()], rules)
    journeys = _journeys(members, touchpoints, last_seen, rules)
    waits = pd.DataFrame(_waits(members, touchpoints, journeys, rules))
    for turn in (OURS, PARTNERS, CUSTOMERS, NOBODYS):
        told = waits[waits["turn"] == turn].groupby("journey")["seconds"].sum()
        journeys[f"{turn}_wait_seconds"] = journeys["journey"].map(told).fillna(0).astype("int64")
    return Figures(members, touchpoints, _visits(touchpoints), journeys, waits)


def _touchpoints(visible: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    group = visible.groupby(["journey", "channel"], dropna=False, sort=False)
    since = visible["at"] - group["at"].shift()
    is_new = since.isna() | (since > rules.contact_gap) | (visible["phase"] != group["phase"].shift())
    if rules.contact_gap == pd.Timedelta(0):
        is_new[:] = True
    contact = is_new.groupby([visible["journey"], visible["channel"]], dropna=False, sort=False).cumsum()
    visible = visible.assign(contact=contact, rank=visible["activity"].map({a: n for n, a in enumerate(rules.phases)}))
    keys = ["journey", "channel", "contact"]
    touchpoints = visible.groupby(keys, dropna=False, sort=False).agg(
        first=("place", "first"),
        started_at=("at", "min"),
        ended_at=("at", "max"),
        events=("at", "size"),
        phase=("phase", "first"),
        initiator=("initiator", "first"),
        rank=("rank", "min"),
    )
    touchpoints = touchpoints.reset_index().sort_values(["journey", "started_at", "first"]).reset_index(drop=True)
    touchpoints["activity"] = touchpoints["rank"].map(dict(enumerate(rules.phases)))
    by_journey = touchpoints.groupby("journey")
    touchpoints["touchpoint_number"] = by_journey.cumcount() + 1
    latest = by_journey["ended_at"].cummax().groupby(touchpoints["journey"]).shift()
    wait = (touchpoints["started_at"] - latest).dt.total_seconds().clip(lower=0)
    return touchpoints.assign(latest=latest, wait_before_seconds=wait)


def _visits(touchpoints: pd.DataFrame) -> pd.DataFrame:
    changed = touchpoints["phase"] != touchpoints.groupby("journey")["phase"].shift()
    number = changed.groupby(touchpoints["journey"]).cumsum().rename("visit_number")
    visits = (
        touchpoints.groupby(["journey", number])
        .agg(
            phase=("phase", "first"),
            entered_at=("started_at", "first"),
            left_at=("ended_at", "max"),
            touchpoints=("phase", "size"),
        )
        .reset_index()
    )
    return visits.assign(dwell_seconds=_seconds(visits["left_at"] - visits["entered_at"]))


def _journeys(members: pd.DataFrame, touchpoints: pd.DataFrame, last_seen: pd.Series, rules: Rules) -> pd.DataFrame:
    journeys = touchpoints.groupby("journey").agg(
        started_at=("started_at", "first"),
        until=("ended_at", "max"),
        touchpoints=("phase", "size"),
        channels=("channel", "nunique"),
        place=("first", "first"),
    )
    by_journey = members.groupby("journey")
    journeys["person"] = by_journey["person"].first()
    journeys["last_activity_at"] = last_seen.reindex(journeys.index)
    journeys["solved_at"] = members[members["activity"] == rules.completes].groupby("journey")["at"].max()
    is_done = journeys["solved_at"].notna() | (by_journey["activity"].last() == rules.closes)
    is_quiet = journeys["last_activity_at"] < rules.as_of - rules.abandoned_after
    journeys["status"] = "open"
    journeys.loc[is_quiet, "status"] = "abandoned"
    journeys.loc[is_done, "status"] = "completed"
    journeys["outcome"] = journeys["solved_at"].notna().map({True: "achieved", False: "unknown"})
    journeys["ended_at"] = journeys["until"].where(journeys["status"] != "open")
    lead = journeys["solved_at"].fillna(journeys["ended_at"]) - journeys["started_at"]
    journeys["lead_time_seconds"] = lead.dt.total_seconds().clip(lower=0)
    journeys = journeys.reset_index().sort_values(["person", "started_at", "place"])
    journeys["cycle"] = journeys.groupby("person").cumcount() + 1
    return journeys


def _waits(members: pd.DataFrame, touchpoints: pd.DataFrame, journeys: pd.DataFrame, rules: Rules) -> Iterator[Row]:
    events = _by_journey(members[["journey", "at", "tie", "activity", "phase", "team", "place"]])
    contacts = _by_journey(touchpoints)
    for journey in journeys.itertuples():
        declared, steps = _signs(events[journey.journey], rules)
        stretches: list[Row] = []
        for contact in contacts[journey.journey]:
            if contact["touchpoint_number"] > 1 and contact["started_at"] > contact["latest"]:
                span = (contact["latest"], contact["started_at"])
                said = {"touchpoint_number": contact["touchpoint_number"] - 1, "is_open": False}
                stretches += [said | s for s in _stretches(span, declared, steps, contact["initiator"])]
        if journey.status == "open" and rules.as_of > journey.until:
            said = {"touchpoint_number": journey.touchpoints, "is_open": True}
            stretches += [said | s for s in _stretches((journey.until, rules.as_of), declared, steps, None)]
        yield from ({"journey": journey.journey} | stretch for stretch in stretches)


def _by_journey(table: pd.DataFrame) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in table.to_dict("records"):
        found.setdefault(row["journey"], []).append(row)
    return found


def _signs(events: list[Row], rules: Rules) -> tuple[list[tuple[Any, str]], list[Row]]:
    """Declared turns, and internal steps, each in order.

    At one instant the source's counter decides, then what the customer sees comes first.
    """
    declared = sorted(
        (event for event in events if event["activity"] in rules.turns),
        key=lambda event: (event["at"], event["tie"], pd.isna(event["phase"]), event["place"]),
    )
    turns = [(event["at"], rules.turns[event["activity"]]) for event in declared]
    return turns, [event for event in events if pd.isna(event["phase"])]


def _stretches(
    span: tuple[Any, Any], declared: list[tuple[Any, str]], steps: list[Row], next_initiator: str | None
) -> list[Row]:
    start, end = span
    inside = [step for step in steps if start <= step["at"] < end]
    instants = sorted({start, end, *(a for a, _ in declared if start < a < end), *(s["at"] for s in inside)})
    found: list[Row] = []
    for begin, until in pairwise(instants):
        turns = [turn for at, turn in declared if at <= begin]
        turn = turns[-1] if turns else _undeclared(begin, inside, next_initiator)
        said = {"turn": turn, **_cause(turn, begin, inside)}
        if found and all(found[-1][key] == value for key, value in said.items()):
            found[-1]["ended_at"] = until
        else:
            found.append({**said, "stretch_number": len(found) + 1, "started_at": begin, "ended_at": until})
    for stretch in found:
        stretch["seconds"] = int((stretch["ended_at"] - stretch["started_at"]).total_seconds())
    return found


def _undeclared(begin: Any, inside: list[Row], next_initiator: str | None) -> str:
    if any(step["at"] > begin for step in inside):
        return OURS
    whose = {"organisation": OURS, "system": OURS, "partner": PARTNERS, "customer": NOBODYS}
    return whose.get(next_initiator or "", "undetermined")


def _cause(turn: str, begin: Any, inside: list[Row]) -> Row:
    """Why we let the customer wait: internal steps at one instant are a block, and what counts is the next block."""
    if turn != OURS:
        return {"cause": turn, "internal_activity": None, "team": None}
    if not inside:
        return {"cause": "unexplained", "internal_activity": None, "team": None}
    before = [step for step in inside if step["at"] <= begin]
    after = [step for step in inside if step["at"] > begin]
    if not after:
        return {"cause": "queueing", "internal_activity": None, "team": None}
    team = after[0]["team"]
    has_teams = before and before[-1]["team"] is not None and team is not None
    cause = "handover" if has_teams and before[-1]["team"] != team else "queueing"
    return {"cause": cause, "internal_activity": after[0]["activity"], "team": team}


def _seconds(spans: pd.Series) -> pd.Series:
    return spans.dt.total_seconds().astype("int64")

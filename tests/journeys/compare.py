"""Runs the kernel on the oracle's events and puts both results into one form, so that they can be compared to the letter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import oracle
import pyarrow as pa
from oracle_events import Event

from klantspoor.journeys.kernel import Setting, make_setting, reconstruct
from klantspoor.journeys.publish import UNKNOWN_INSTANT, Names
from klantspoor.journeys.rules import Kind, compile_type
from klantspoor.journeys.slices import KindTraits, Slice
from klantspoor.journeys.waits import Calendar
from klantspoor.project.model import JourneyFile

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _codes(values, book):
    code = {name: number for number, name in enumerate(book)}
    return np.array([-1 if value is None else code[value] for value in values], dtype=np.int32)


def _kind(event: Event):
    return (
        event.source,
        event.activity,
        event.channel,
        event.declared_visibility,
        event.instrument if event.score is not None else None,
        event.initiator,
        event.team,
    )


def setting_for(events, journeys: dict[str, JourneyFile], gaps, closed, as_of) -> tuple[Setting, list]:
    kinds = sorted({_kind(event) for event in events}, key=repr)
    lines = sorted({(k[0], k[2]) for k in kinds}, key=repr)

    def column(i):
        return [k[i] for k in kinds]

    books = {
        name: sorted({v for v in column(i) if v is not None})
        for name, i in (
            ("source", 0),
            ("activity", 1),
            ("channel", 2),
            ("instrument", 4),
            ("initiator", 5),
            ("team", 6),
        )
    }
    names = Names(
        **{name: pa.array(book, pa.string()) for name, book in books.items()},
        persona=pa.array([], pa.string()),
        activity_of_kind=_codes(column(1), books["activity"]),
        team_of_kind=_codes(column(6), books["team"]),
        initiator_of_kind=_codes(column(5), books["initiator"]),
        instrument_of_kind=_codes(column(4), books["instrument"]),
        channel_of_line=_codes([c for _, c in lines], books["channel"]),
        source_of_line=_codes([s for s, _ in lines], books["source"]),
    )
    rules = [compile_type(journeys[name], [Kind(*k[:5]) for k in kinds]) for name in sorted(journeys)]
    traits = KindTraits(
        np.array([lines.index((k[0], k[2])) for k in kinds], dtype=np.int32),
        np.array([gaps[k[0]] for k in kinds], dtype=np.int64),
    )
    calendar = Calendar(
        np.array([s for s, _ in closed], dtype=np.int64), np.array([e for _, e in closed], dtype=np.int64)
    )
    return make_setting(rules, traits, names, calendar, as_of, column(5), column(4)), kinds


def by_kernel(events, journeys, gaps, closed, as_of):
    """The six tables of the kernel as lists of dicts."""
    setting, kinds = setting_for(events, journeys, gaps, closed, as_of)
    order = sorted(events, key=lambda e: (e.person, e.at, e.tie_order, e.position, e.source, e.event_id))
    topics = sorted({e.topic for e in order if e.topic is not None})
    keys = sorted(
        {name for e in order for name in e.keys} | {f.cut.case_key for f in journeys.values() if f.cut.case_key}
    )
    number = {kind: i for i, kind in enumerate(kinds)}

    def ints(values, dtype=np.int64):
        return np.array(list(values), dtype=dtype)

    columns = Slice(
        person=ints((e.person for e in order), np.uint64),
        at=ints(e.at for e in order),
        until=ints(e.until for e in order),
        kind=ints((number[_kind(e)] for e in order), np.int32),
        account=ints((e.account for e in order), np.uint64),
        topic=ints((-1 if e.topic is None else topics.index(e.topic) for e in order), np.int32),
        tie_order=ints(e.tie_order for e in order),
        keys={name: ints((e.keys.get(name, 0) for e in order), np.uint64) for name in keys},
    )
    scores = np.array([np.nan if e.score is None else e.score for e in order], dtype=float)
    found = reconstruct(
        columns,
        ints(UNKNOWN_INSTANT if e.need is None else e.need for e in order),
        pa.array([e.event_id for e in order], pa.string()),
        (scores, scores),
        np.full(len(order), -1, dtype=np.int32),
        setting,
    )
    return {name: filed.rows.to_pylist() for name, filed in found.tables.items()}


def micro(moment):
    return None if moment is None else (moment - EPOCH) // timedelta(microseconds=1)


def from_tables(tables):
    """The kernel's rows in the shape of `from_oracle`."""
    visible = {}
    for row in tables["touchpoint_events"]:
        visible.setdefault(row["journey_id"], []).append(row)
    result = {}
    for j in tables["journeys"]:
        mine = [r for r in tables["touchpoints"] if r["journey_id"] == j["journey_id"]]
        events = visible.get(j["journey_id"], [])
        name = (j["journey_type"], j["journey_id"][5:])
        result[name] = {
            "person": int(j["person_id"], 16),
            "account": int(j["account_id"] or "0", 16),
            "cycle": j["cycle"],
            "previous": None if j["previous_journey_id"] is None else j["previous_journey_id"][5:],
            "status": j["status"],
            "outcome": j["outcome"],
            "solved": micro(j["solved_at"]),
            "started": micro(j["started_at"]),
            "ended": micro(j["ended_at"]),
            "last": micro(j["last_activity_at"]),
            "lead": j["lead_time_seconds"],
            "need": micro(j["need_started_at"]),
            "members": sorted((r["event_id"], r["joined_by"]) for r in events),
            "steps": sorted(r["event_id"] for r in events if r["touchpoint_number"] == 0),
            "touchpoints": [
                (
                    t["touchpoint_number"],
                    t["phase"],
                    t["activity"],
                    t["source"],
                    t["channel"],
                    t["initiator"],
                    t["joined_by"],
                    micro(t["started_at"]),
                    micro(t["ended_at"]),
                    t["events"],
                    t["wait_before_seconds"],
                    sorted(r["event_id"] for r in events if r["touchpoint_number"] == t["touchpoint_number"]),
                )
                for t in mine
            ],
            "previous_steps": [(t["previous_activity"], t["previous_phase"]) for t in mine],
            "visits": [
                (
                    v["visit_number"],
                    v["phase"],
                    micro(v["entered_at"]),
                    micro(v["left_at"]),
                    v["touchpoints"],
                    v["main_channel"],
                )
                for v in tables["phase_visits"]
                if v["journey_id"] == j["journey_id"]
            ],
            "stretches": [
                (
                    w["touchpoint_number"],
                    w["stretch_number"],
                    w["turn"],
                    w["cause"],
                    micro(w["started_at"]),
                    micro(w["ended_at"]),
                    w["is_open"],
                    w["internal_activity"],
                    w["team"],
                )
                for w in tables["waits"]
                if w["journey_id"] == j["journey_id"]
            ],
        }
    answers = sorted(
        (r["event_id"], None if r["journey_id"] is None else r["journey_id"][5:], r["touchpoint_number"])
        for r in tables["experiences"]
    )
    return result, answers


def from_oracle(found: oracle.Result):
    result = {}
    for j in found.journeys:
        steps = sorted(j.internal_steps)
        answers = {m for m, _ in j.members} - set(steps) - {e for t in j.touchpoints for e in t.event_ids}
        result[j.type, j.first_direct_event_id] = {
            "person": j.person,
            "account": j.account,
            "cycle": j.cycle,
            "previous": j.previous,
            "status": j.status,
            "outcome": j.outcome,
            "solved": j.solved_at,
            "started": j.started,
            "ended": j.ended,
            "last": j.last_activity_at,
            "lead": None if j.lead_time is None else j.lead_time // 1_000_000,
            "need": j.need,
            "members": sorted(m for m in j.members if m[0] not in answers),
            "steps": steps,
            "touchpoints": [
                (
                    t.number,
                    t.phase,
                    t.activity,
                    t.source,
                    t.channel,
                    t.initiator,
                    t.joined_by,
                    t.start,
                    t.end,
                    len(t.event_ids),
                    None if t.wait_before is None else t.wait_before // 1_000_000,
                    sorted(t.event_ids),
                )
                for t in j.touchpoints
            ],
            "previous_steps": [
                (None, None) if not i else (j.touchpoints[i - 1].activity, j.touchpoints[i - 1].phase)
                for i in range(len(j.touchpoints))
            ],
            "visits": [(v.number, v.phase, v.entered, v.left, v.touchpoints, v.main_channel) for v in j.visits],
            "stretches": [
                (s.touchpoint_number, s.stretch_number, s.turn, s.cause, s.start, s.end, s.is_open, s.activity, s.team)
                for s in j.stretches
            ],
        }
    answers = sorted((e, None if j is None else j[1], n) for e, j, n in found.answers)
    return result, answers

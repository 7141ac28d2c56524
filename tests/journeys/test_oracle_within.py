"""Touchpoints, phase visits, cycles and status by the naive oracle: cases counted by hand from docs/journeys.md."""

from __future__ import annotations

from typing import Any

import pytest
from by_hand import MINUTE, event, journey_type, membership, moments, one, run
from oracle import Journey
from oracle_events import Event

PHASES = {"one": ["a*"], "two": ["b*"]}

# --- touchpoints -----------------------------------------------------------------------------------------------------


def test_a_contact_lasts_until_the_latest_of_its_ends_plus_the_gap() -> None:
    events = [
        event("a", 0, "see", lasts=20),
        event("b", 3, "see", lasts=1),
        event("c", 25, "see"),  # exactly 5 minutes after the end of a, not of b
        event("d", 30, "see"),
        event("e", 35 + 1 / MINUTE, "see"),
    ]
    journey = one(run(events, journey_type(), contact_gap=5))
    assert moments(journey) == ["1 look see 0-30 abcd", "2 look see 35-35 e"]
    assert [t.wait_before for t in journey.touchpoints] == [None, 5 * MINUTE + 1]


def test_with_gap_zero_each_event_is_its_own_contact_ties_and_overlaps_too() -> None:
    events = [event("a", 0, "see", lasts=10), event("b", 0, "see"), event("c", 5, "see")]
    journey = one(run(events, journey_type()))
    assert moments(journey) == ["1 look see 0-10 a", "2 look see 0-0 b", "3 look see 5-5 c"]
    assert [t.wait_before for t in journey.touchpoints] == [None, 0, 0]


def test_a_contact_is_of_one_channel_of_one_source() -> None:
    events = [
        event("a", 0, "see", channel="phone", lasts=10),
        event("b", 2, "see", channel="web"),
        event("c", 2, "see", source="cms", channel="web"),
        event("d", 3, "see"),
        event("e", 4, "see", channel="phone"),
    ]
    journey = one(run(events, journey_type(), contact_gap=5))
    assert moments(journey) == ["1 look see 0-10 ae", "2 look see 2-2 c", "3 look see 2-2 b", "4 look see 3-3 d"]
    assert [(t.source, t.channel) for t in journey.touchpoints] == [
        ("crm", "phone"),
        ("cms", "web"),
        ("crm", "web"),
        ("crm", None),
    ]


def test_the_gap_is_measured_among_the_journeys_own_events() -> None:
    events = [event("a", 0, "see", keys={"order": 1}), event("b", 4, "see", keys={"order": 2})]
    events.append(event("c", 8, "see", keys={"order": 1}))
    journey = run(events, journey_type(key="order"), contact_gap=5).journeys[0]
    assert moments(journey) == ["1 look see 0-0 a", "2 look see 8-8 c"]


def test_a_touchpoint_ends_where_the_phase_changes_and_what_is_unphased_goes_with_what_follows() -> None:
    events = [
        event("k", 0, "a1"),
        event("l", 1, "u1"),
        event("m", 2, "a2"),
        event("n", 3, "b1"),
        event("o", 4, "u2"),
        event("p", 5, "b2"),
        event("q", 6, "u3"),
        event("r", 7, "a3"),
    ]
    journey = one(run(events, journey_type(phases=PHASES, unphased=["u*"]), contact_gap=30))
    assert moments(journey) == ["1 one a2 0-2 klm", "2 two b2 3-5 nop", "3 one a3 6-7 qr"]


def test_an_unphased_beginning_takes_the_first_known_phase_and_alone_has_none() -> None:
    events = [event("k", 0, "u1"), event("l", 1, "b1"), event("m", 2, "u2"), event("n", 60, "u3")]
    journey = one(run(events, journey_type(phases=PHASES, unphased=["u*"]), contact_gap=5))
    assert moments(journey) == ["1 two b1 0-2 klm", "2 . u3 60-60 n"]
    assert journey.phase_variant == ("two",)
    assert journey.variant == ("b1", "u3")


def test_a_touchpoint_is_named_by_the_first_listed_of_equals_by_the_last() -> None:
    file = journey_type(phases={"one": ["*b", "a", "c"]}, unphased=["first"])
    events = [event("k", 0, "a"), event("l", 1, "1b"), event("m", 2, "2b"), event("n", 3, "c"), event("o", 4, "first")]
    assert moments(one(run(events, file, contact_gap=5))) == ["1 one 2b 0-4 klmno"]
    assert moments(one(run([events[0], *events[3:]], file, contact_gap=5))) == ["1 one a 0-4 kno"]


SHARED: dict[str, list[Any]] = {
    "one": ["a", "s"],
    "two": ["b", "s", "t"],
    "three": ["c", "t", {"activity": "t", "source": "cms"}],
}


def test_an_activity_of_several_phases_is_in_the_one_the_customer_is_in() -> None:
    expected = [
        ("s", "one"),  # nothing came before: the first of them
        ("b", "two"),
        ("s", "two"),  # the customer is in it
        ("c", "three"),
        ("s", "two"),  # neither in it nor before one of them: the last
        ("a", "one"),
        ("u", None),
        ("do", "internal"),
        ("t", "two"),  # the next after one
        ("s", "one"),  # t told nothing: a still counts
        ("c", "three"),
        ("t", "three"),
    ]
    events = [event(f"e{number}", number, activity) for number, (activity, _) in enumerate(expected)]
    journey = one(run(events, journey_type(phases=SHARED, unphased=["u"], internal=["do"])))
    found = [(touchpoint.activity, touchpoint.phase) for touchpoint in journey.touchpoints]
    assert found == [entry for entry in expected if entry[1] != "internal"]


def test_only_equally_specific_phases_of_the_journeys_own_members_count() -> None:
    events = [
        event("a", 0, "a", keys={"k": 1}),
        event("b", 1, "c", keys={"k": 2}),
        event("c", 2, "t", keys={"k": 1}),
        event("d", 3, "t", keys={"k": 1}, source="cms"),
        event("e", 4, "t", keys={"k": 1}),
    ]
    journey = run(events, journey_type(phases=SHARED, key="k")).journeys[0]
    assert [touchpoint.phase for touchpoint in journey.touchpoints] == ["one", "two", "three", "three"]


def test_initiator_and_rule_are_those_of_the_first_event_and_ties_are_numbered_in_order() -> None:
    events = [
        event("c", 0, "see", channel="phone", initiator="partner", tie_order=2),
        event("a", 0, "see", channel="web", initiator=None, tie_order=3),
        event("b", 1, "see", channel="web", initiator="customer", keys={"order": 1}),
        event("d", 2, "see", channel="phone", initiator="system", keys={"order": 1}),
    ]
    journey = one(run(events, journey_type(key="order"), contact_gap=5))
    assert [(t.number, "".join(t.event_ids), t.initiator, t.joined_by) for t in journey.touchpoints] == [
        (1, "cd", "partner", "contact"),
        (2, "ab", None, "contact"),
    ]


# --- phase visits ----------------------------------------------------------------------------------------------------


def test_a_visit_is_an_unbroken_run_that_unphased_touchpoints_and_answers_do_not_break() -> None:
    events = [
        event("k", 0, "a", lasts=30, channel=None),
        event("l", 1, "u", channel="desk"),
        event("m", 2, "rate", score=1, channel="mail"),
        event("n", 3, "a", channel="web"),
        event("o", 4, "a", channel="phone"),
        event("p", 5, "b"),
        event("q", 6, "a", channel="phone"),
        event("r", 7, "a", channel="web"),
        event("s", 8, "a", channel="web"),
        event("t", 9, "u"),
    ]
    journey = one(run(events, journey_type(phases=PHASES, unphased=["u", "rate"])))
    visits = [
        (v.number, v.phase, v.entered / MINUTE, v.left / MINUTE, v.touchpoints, v.main_channel) for v in journey.visits
    ]
    assert visits == [
        (1, "one", 0, 30, 3, "web"),  # web and phone once each: the first; the unknown channel does not count
        (2, "two", 5, 5, 1, None),
        (3, "one", 6, 8, 3, "web"),
    ]
    assert journey.phase_variant == ("one", "two", "one")
    assert journey.variant == ("a", "u", "a", "a", "b", "a", "a", "a", "u")


# --- cycles ----------------------------------------------------------------------------------------------------------


def test_cycles_are_numbered_for_each_account_by_their_first_touchpoint() -> None:
    events = [
        event("f", -10, "file", keys={"order": 6}, account=1),  # nothing the customer sees
        event("a", 0, "see", keys={"order": 1}, account=1),
        event("d", 1, "see", keys={"order": 4}),
        event("c", 3, "see", keys={"order": 3}, account=2),
        event("x", 3, "file", keys={"order": 9}, account=1),  # never published: no cycle
        event("e", 4, "see", keys={"order": 5}),
        event("h", 5, "see", keys={"order": 8}, account=1, tie_order=1),
        event("b", 5, "see", keys={"order": 2}, account=1),
        event("g", 9, "see", keys={"order": 6}, account=1),
    ]
    result = run(events, journey_type(key="order", internal=["file"]))
    found = {j.first_direct_event_id: (j.cycle, j.previous, j.started // MINUTE) for j in result.journeys}
    assert found == {
        "a": (1, None, 0),
        "b": (2, "a", 5),
        "h": (3, "b", 5),
        "f": (4, "h", 9),
        "c": (1, None, 3),
        "d": (1, None, 1),
        "e": (2, "d", 4),
    }


def test_each_type_counts_its_own_cycles() -> None:
    events = [event("a", 0, "see"), event("b", 100, "see"), event("c", 200, "buy")]
    result = run(events, journey_type(gap="30 minutes"), journey_type("deal", phases={"one": ["*"]}, gap="1 day"))
    assert {f"{j.type}:{j.first_direct_event_id}": j.cycle for j in result.journeys} == {
        "trip:a": 1,
        "trip:b": 2,
        "deal:a": 1,
    }


# --- status, outcome, lead time --------------------------------------------------------------------------------------


def standing(events: list[Event], as_of: float = 10_000, **more: Any) -> Journey:
    described = {"unphased": ["rate"], "internal": ["file*"], "gap": "60 minutes", **more}
    return one(run(events, journey_type(**described), as_of=as_of))


@pytest.mark.parametrize(
    ("activities", "expected"),
    [
        (["see"], ("abandoned", "unknown", None)),
        (["see", "see good", "see"], ("completed", "achieved", 1)),
        (["see good", "see bad", "see"], ("completed", "failed", 1)),
        (["see bad", "see good", "see good"], ("completed", "achieved", 2)),
        (["see", "see both"], ("completed", "achieved", 1)),
        (["see", "file good"], ("completed", "achieved", 1)),
        (["see", "see end"], ("completed", "unknown", None)),
    ],
)
def test_the_last_that_completes_or_fails_decides(activities: list[str], expected: tuple[str, str, int | None]) -> None:
    events = [event(f"e{n}", n, activity) for n, activity in enumerate(activities)]
    journey = standing(events, completes=["*good", "see both"], fails=["*bad", "see both"], closes=["see end"])
    solved = None if journey.solved_at is None else journey.solved_at // MINUTE
    assert (journey.status, journey.outcome, solved) == expected


def test_an_answer_may_complete_and_what_joined_loosely_does_not_close() -> None:
    events = [event("a", 0, "see"), event("b", 5, "rate", score=1)]
    assert standing(events, completes=["rate"]).status == "completed"
    keyed = [event("a", 0, "see", keys={"k": 1}), event("b", 5, "see end")]
    assert standing(keyed, key="k", closes=["see end"]).status == "abandoned"
    keyed = [event("a", 0, "see end", keys={"k": 1}), event("b", 5, "see", keys={"k": 1})]
    assert standing(keyed, key="k", closes=["see end"]).status == "abandoned"  # its last direct event does not
    keyed = [event("a", 0, "see end", keys={"k": 1}), event("b", 5, "rate", score=1)]
    assert standing(keyed, key="k", closes=["see end"]).status == "completed"


def test_abandoned_is_quiet_for_longer_than_told_or_than_the_gap() -> None:
    events = [event("a", 0, "see"), event("b", 10, "file")]
    assert standing(events, as_of=70).status == "open"
    assert standing(events, as_of=70 + 1 / MINUTE).status == "abandoned"
    assert standing(events, as_of=15, abandoned_after="5 minutes").status == "open"
    assert standing(events, as_of=16, abandoned_after="5 minutes").status == "abandoned"
    # An answer is activity too.
    assert standing([*events, event("c", 14, "rate", score=1)], as_of=16, abandoned_after="5 minutes").status == "open"


def test_it_starts_and_ends_with_its_touchpoints() -> None:
    events = [
        event("a", 0, "file", keys={"k": 1}),
        event("b", 5, "see", lasts=30, keys={"k": 1}),
        event("c", 6, "see", keys={"k": 1}),
        event("d", 50, "file", lasts=9, keys={"k": 1}),
    ]
    journey = standing(events, key="k")
    assert (journey.started, journey.ended, journey.last_activity_at) == (5 * MINUTE, 35 * MINUTE, 50 * MINUTE)
    assert journey.lead_time == 30 * MINUTE
    journey = standing(events, key="k", as_of=60)
    assert (journey.status, journey.ended, journey.lead_time) == ("open", None, None)


def test_lead_time_runs_from_the_need_to_when_it_was_solved() -> None:
    events = [
        event("a", 0, "see", need=-30 * MINUTE),
        event("b", 10, "see good", lasts=5),
        event("c", 20, "file", need=-45 * MINUTE),
    ]
    journey = standing(events, completes=["see good"])
    assert (journey.need, journey.lead_time) == (-45 * MINUTE, 55 * MINUTE)
    assert standing(events).lead_time == 60 * MINUTE  # to the end of the last touchpoint
    events[0], events[2] = event("a", 0, "see", need=11 * MINUTE), event("c", 20, "file")
    assert standing(events, completes=["see good"]).lead_time == 0


def test_members_of_a_case_are_listed_in_order_with_their_rules() -> None:
    events = [event("a", 0, "see", keys={"k": 1}), event("b", 0, "file", tie_order=-1), event("c", 0, "rate", score=1)]
    result = run(events, journey_type(key="k", internal=["file"], unphased=["rate"]))
    assert membership(result) == {"trip:a": "a=case_key c=recency"}  # b comes before a

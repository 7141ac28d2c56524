"""Turns and causes by the naive oracle, against waits counted by hand from docs/journeys.md, in minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from by_hand import MINUTE, event, journey_type, one, run, waiting
from oracle_events import Event
from oracle_waits import whole_seconds

TURNS = {
    "asks_us": ["*ask"],
    "asks_customer": ["*you"],
    "promises": ["*promise"],
    "settles": ["*settle"],
    "hands_to_partner": ["*hand"],
    "returns_from_partner": ["*back"],
    "chases": ["*chase"],
}


def waits(
    events: Sequence[Event], closed: Sequence[tuple[float, float]] = (), as_of: float = 10_000, **more: Any
) -> list[str]:
    """The stretches of the one journey that all events are in: `see*` is met, `do*` is internal."""
    described = {"internal": ["do*"], "unphased": ["rate*"], "turns": TURNS, "gap": "500 minutes", **more}
    return waiting(one(run(events, journey_type(**described), closed=closed, as_of=as_of)))


def between(*steps: Event, first: str = "see ask", initiator: str | None = "customer", **more: Any) -> list[str]:
    """The wait from minute 0, after `first`, to minute 100."""
    return waits([event("a", 0, first), *steps, event("z", 100, "see", initiator=initiator)], **more)


# --- turns -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "cause"),
    [
        ("ask", "unexplained"),
        ("you", "customer"),
        ("settle", "nobody"),
        ("hand", "partner"),
        ("back", "unexplained"),
        ("chase", "unexplained"),
    ],
)
def test_a_declared_activity_sets_the_turn(declared: str, cause: str) -> None:
    assert between(first=f"see {declared}", initiator="partner") == [f"1.1 0-100 {cause}"]


@pytest.mark.parametrize("first", ["see", "see promise"])
@pytest.mark.parametrize(
    ("initiator", "cause"),
    [
        ("organisation", "unexplained"),
        ("system", "unexplained"),
        ("partner", "partner"),
        ("customer", "nobody"),
        (None, "undetermined"),
    ],
)
def test_undeclared_the_one_who_makes_the_next_move_had_the_turn(first: str, initiator: str | None, cause: str) -> None:
    assert between(first=first, initiator=initiator) == [f"1.1 0-100 {cause}"]


def test_internal_steps_may_declare_and_promises_change_nothing() -> None:
    assert between(event("b", 30, "do hand"), event("c", 60, "do back")) == [
        "1.1 0-30 queueing do hand/-",
        "1.2 30-60 partner",
        "1.3 60-100 queueing",
    ]
    assert between(event("b", 30, "do promise"), first="see you") == ["1.1 0-100 customer"]
    assert between(event("b", 30, "do settle"), event("c", 40, "do you")) == [
        "1.1 0-30 queueing do settle/-",
        "1.2 30-40 nobody",
        "1.3 40-100 customer",
    ]


def test_answers_declare_nothing() -> None:
    assert between(event("b", 30, "rate settle", score=1)) == ["1.1 0-100 unexplained"]


def test_undeclared_it_is_ours_up_to_the_last_end_of_our_steps() -> None:
    step = event("b", 10, "do", lasts=20)
    ours = ["1.1 0-10 queueing do/-", "1.2 10-30 working do/-"]
    assert between(step, first="see") == [*ours, "1.3 30-100 nobody"]
    assert between(step, first="see", initiator=None) == [*ours, "1.3 30-100 undetermined"]
    assert between(step, first="see", initiator="partner") == [*ours, "1.3 30-100 partner"]
    assert between(step, first="see", initiator="system") == [*ours, "1.3 30-100 queueing"]
    assert between(event("b", 40, "do"), first="see") == ["1.1 0-40 queueing do/-", "1.2 40-100 nobody"]
    # b ends after c begins and ends: the latest end counts.
    steps = [event("b", 10, "do", lasts=40), event("c", 20, "do", lasts=5)]
    assert between(*steps, first="see")[-1] == "1.3 50-100 nobody"


def test_a_wait_may_be_undeclared_at_first() -> None:
    assert between(event("b", 20, "do you"), event("c", 60, "do", lasts=10), first="see") == [
        "1.1 0-20 queueing do you/-",
        "1.2 20-100 customer",
    ]
    # A step that only declares touches the wait as any other: ours until then.
    assert between(event("b", 40, "do settle"), first="see", initiator="partner") == [
        "1.1 0-40 queueing do settle/-",
        "1.2 40-100 nobody",
    ]


def test_the_turn_set_before_an_earlier_wait_still_holds() -> None:
    events = [event("a", 0, "see you"), event("b", 10, "see"), event("c", 30, "see", initiator="system")]
    assert waits(events) == ["1.1 0-10 customer", "2.1 10-30 customer"]


def test_at_one_instant_the_sources_order_counts_then_what_is_visible_comes_first() -> None:
    keyed: dict[str, Any] = {"keys": {"k": 1}}
    events = [
        event("a", 0, "do you", **keyed),
        event("b", 0, "see ask", **keyed),
        event("z", 100, "see", **keyed),
    ]
    assert waits(events, key="k") == ["1.1 0-100 customer"]
    events[0] = event("a", 0, "do you", tie_order=-1, **keyed)
    assert waits(events, key="k") == ["1.1 0-100 queueing"]
    events[0] = event("a", 0, "see you", tie_order=-1, **keyed)
    assert waits(events, key="k") == ["2.1 0-100 unexplained"]
    events[0] = event("a", 0, "see you", tie_order=1, **keyed)
    assert waits(events, key="k") == ["2.1 0-100 customer"]


def test_an_activity_that_several_declarations_fit_has_the_first() -> None:
    names = list(TURNS)
    causes = ["unexplained", "customer", "undetermined", "nobody", "partner", "unexplained", "unexplained"]
    for number, cause in enumerate(causes):
        turns = {name: ["see it"] for name in names[number:]}
        assert between(first="see it", initiator=None, turns=turns) == [f"1.1 0-100 {cause}"]


# --- chases ----------------------------------------------------------------------------------------------------------


def chased(*middle: str) -> list[str]:
    """Causes of the waits between activities 10 minutes apart, then a chase, then the last."""
    names = [*middle, "chase", "nothing"]
    found = waits([event(f"e{n}", n * 10, f"see {name}", initiator=None) for n, name in enumerate(names)])
    assert [line.split()[0] for line in found] == [f"{n}.1" for n in range(1, len(names))]
    return [line.split()[-1] for line in found]


def test_a_chase_makes_all_since_the_last_request_ours() -> None:
    ours = "unexplained"
    assert chased("ask", "you") == [ours, ours, ours]
    assert chased("you", "ask", "you", "promise") == ["customer", ours, ours, ours, ours]
    assert chased("you") == ["customer", ours]  # nothing was asked of us: from the chase on
    assert chased() == [ours]
    assert chased("ask", "you", "chase", "you") == [ours] * 5


def test_a_chase_does_not_reach_behind_what_settled() -> None:
    assert chased("ask", "you", "settle") == ["unexplained", "customer", "nobody", "unexplained"]
    assert chased("ask", "settle", "ask", "you") == ["unexplained", "nobody"] + ["unexplained"] * 3


def test_what_a_partner_held_stays_the_partners() -> None:
    ours = "unexplained"
    assert chased("ask", "you", "hand", "back", "you") == [ours, ours, "partner", ours, ours, ours]
    assert chased("ask", "hand", "promise") == [ours, "partner", "partner", "partner"]  # and while it holds it, too
    assert chased("ask", "hand", "you") == [ours, "partner", ours, ours]


# --- causes ----------------------------------------------------------------------------------------------------------


def test_closed_hours_split_our_time_only() -> None:
    closed = [(-50, -20), (20, 40), (95, 120)]
    assert between(closed=closed) == [
        "1.1 0-20 unexplained",
        "1.2 20-40 closed",
        "1.3 40-95 unexplained",
        "1.4 95-100 closed",
    ]
    assert between(closed=closed, first="see hand") == ["1.1 0-100 partner"]
    assert between(closed=closed, first="see you") == ["1.1 0-100 customer"]
    assert between(closed=[(0, 100)]) == ["1.1 0-100 closed"]
    assert between(closed=[(-20, 0), (100, 200)]) == ["1.1 0-100 unexplained"]


def test_working_comes_before_closed_and_closed_before_the_rest() -> None:
    steps = [event("b", 30, "do", lasts=20, team="north"), event("c", 60, "do it", lasts=10, team="south")]
    assert between(*steps, closed=[(20, 40), (52, 55), (95, 120)]) == [
        "1.1 0-20 queueing do/north",
        "1.2 20-30 closed",
        "1.3 30-50 working do/north",
        "1.4 50-52 handover do it/south",
        "1.5 52-55 closed",
        "1.6 55-60 handover do it/south",
        "1.7 60-70 working do it/south",
        "1.8 70-95 queueing",
        "1.9 95-100 closed",
    ]


@pytest.mark.parametrize(
    ("one_team", "other_team", "cause"),
    [
        ("north", "south", "handover"),
        ("north", "north", "queueing"),
        (None, "south", "queueing"),
        ("north", None, "queueing"),
    ],
)
def test_a_handover_is_between_two_known_teams(one_team: str | None, other_team: str | None, cause: str) -> None:
    steps = [event("b", 10, "do b", lasts=10, team=one_team), event("c", 40, "do c", lasts=10, team=other_team)]
    assert between(*steps) == [
        f"1.1 0-10 queueing do b/{one_team or '-'}",
        f"1.2 10-20 working do b/{one_team or '-'}",
        f"1.3 20-40 {cause} do c/{other_team or '-'}",
        f"1.4 40-50 working do c/{other_team or '-'}",
        "1.5 50-100 queueing",
    ]


def blocks(*steps: Event) -> list[str]:
    """The stretches before a last step of team north at 80, without those of it and after it."""
    return between(*steps, event("y", 80, "do y", team="north"))[:-1]


def test_overlapping_and_touching_steps_are_one_block() -> None:
    touching = [event("b", 10, "do b", lasts=10, team="north"), event("c", 20, "do c", lasts=10, team="south")]
    assert blocks(*touching) == [
        "1.1 0-10 queueing do b/north",
        "1.2 10-30 working do b/north",
        "1.3 30-80 handover do y/north",
    ]
    inside = [event("b", 10, "do b", lasts=30, team="north"), event("c", 20, "do c", lasts=10, team="south")]
    assert blocks(*inside)[1:] == ["1.2 10-40 working do b/north", "1.3 40-80 queueing do y/north"]
    ends_alike = [event("b", 10, "do b", lasts=20, team="north"), event("c", 20, "do c", lasts=10, team="south")]
    assert blocks(*ends_alike)[1:] == ["1.2 10-30 working do b/north", "1.3 30-80 handover do y/north"]


def test_a_step_without_duration_belongs_to_a_block_it_touches() -> None:
    before = [event("b", 10, "do b", team="south"), event("c", 10, "do c", lasts=10, team="north", tie_order=1)]
    assert blocks(*before) == [
        "1.1 0-10 queueing do b/south",  # the block's first step is waited for
        "1.2 10-20 working do c/north",  # its first that lasts is worked at
        "1.3 20-80 queueing do y/north",
    ]
    after = [event("b", 10, "do b", lasts=10, team="north"), event("c", 20, "do c", team="south")]
    assert blocks(*after)[1:] == ["1.2 10-20 working do b/north", "1.3 20-80 handover do y/north"]
    alone = [event("b", 10, "do b", team="south"), event("c", 10, "do c", team="north", tie_order=1)]
    assert blocks(*alone) == ["1.1 0-10 queueing do b/south", "1.2 10-80 queueing do y/north"]
    apart = [event("b", 10, "do b", team="north"), event("c", 10 + 1 / MINUTE, "do c", team="south")]
    found = blocks(*apart)
    assert [line.split(" ", 2)[2] for line in found] == [
        "queueing do b/north",
        "handover do c/south",
        "handover do y/north",
    ]


def test_neighbours_alike_are_one_stretch() -> None:
    steps = [event("b", 30, "do", team="north"), event("c", 60, "do", team="north")]
    assert between(*steps) == ["1.1 0-60 queueing do/north", "1.2 60-100 queueing"]


def late(*steps: Event) -> list[str]:
    """The wait from 10, where a touchpoint of 10 minutes ends, to 100."""
    return waits([event("a", 0, "see ask", lasts=10), *steps, event("z", 100, "see")])


def test_which_steps_touch_a_wait() -> None:
    assert late() == ["1.1 10-100 unexplained"]
    assert late(event("b", 5, "do")) == ["1.1 10-100 unexplained"]
    assert late(event("b", 5, "do", lasts=5)) == ["1.1 10-100 unexplained"]  # ends where the wait starts
    assert late(event("b", 5, "do", lasts=6)) == ["1.1 10-11 working do/-", "1.2 11-100 queueing"]
    assert late(event("b", 10, "do")) == ["1.1 10-100 queueing"]  # at its start: in it
    assert late(event("b", 100, "do", lasts=5)) == ["1.1 10-100 unexplained"]  # at its end: not in it
    assert late(event("b", 99, "do", lasts=50)) == ["1.1 10-99 queueing do/-", "1.2 99-100 working do/-"]
    assert late(event("b", 5, "do", lasts=500)) == ["1.1 10-100 working do/-"]


def test_undeclared_steps_are_clipped_to_the_wait() -> None:
    events = [
        event("a", 0, "see", lasts=10),
        event("b", 5, "do", lasts=500),
        event("z", 100, "see"),
        event("y", 700, "see"),
    ]
    assert waits(events, gap="1 day") == [
        "1.1 10-100 working do/-",
        "2.1 100-505 working do/-",
        "2.2 505-700 undetermined",
    ]


# --- which waits there are -------------------------------------------------------------------------------------------


def test_a_wait_runs_from_the_latest_end_of_all_so_far() -> None:
    events = [
        event("a", 0, "see ask", lasts=50),
        event("b", 10, "see", channel="web", lasts=5),
        event("c", 50, "see", channel="web"),
        event("d", 70, "see", channel="web"),
    ]
    journey = one(run(events, journey_type(turns=TURNS)))
    assert waiting(journey) == ["3.1 50-70 unexplained"]
    assert [t.wait_before for t in journey.touchpoints] == [None, 0, 0, 20 * MINUTE]


def test_an_open_journey_waits_until_the_night() -> None:
    asked, step = event("a", 0, "see ask"), event("b", 10, "do", lasts=10)
    assert waits([asked], as_of=50) == ["1.1 0-50... unexplained"]
    assert waits([event("a", 0, "see", initiator="customer")], as_of=50) == ["1.1 0-50... undetermined"]
    assert waits([event("a", 0, "see"), step], as_of=50) == [
        "1.1 0-10... queueing do/-",
        "1.2 10-20... working do/-",
        "1.3 20-50... undetermined",
    ]
    assert waits([asked, step], as_of=15) == ["1.1 0-10... queueing do/-", "1.2 10-15... working do/-"]
    assert waits([asked, step], as_of=10) == ["1.1 0-10... unexplained"]  # the step is yet to come
    assert waits([asked, step], as_of=0) == []
    assert waits([event("a", 0, "see", lasts=60)], as_of=50) == []
    assert waits([asked], as_of=50, abandoned_after="49 minutes") == []
    assert waits([asked], as_of=50, completes=["see ask"]) == []


def test_seconds_are_whole_and_add_up() -> None:
    second = 1 / 60
    first, last = event("a", 0.5 * second, "see ask"), event("z", 4.4 * second, "see")
    journey = one(run([first, event("b", 2.1 * second, "do", lasts=0.9 * second), last], journey_type(internal=["do"])))
    # Offsets from the wait's start: 0, 1.6, 2.5 and 3.9 seconds.
    assert [s.end - s.start for s in journey.stretches] == [1_600_000, 900_000, 1_400_000]
    assert whole_seconds(journey.stretches) == [1, 1, 1]

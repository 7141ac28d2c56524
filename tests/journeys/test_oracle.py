"""Roles, contacts and cutting by the naive oracle, against cases counted by hand from docs/journeys.md.

What happens within a journey is in `test_oracle_within`, waits are in `test_oracle_waits`.
"""

from __future__ import annotations

from collections import Counter

import pytest
from by_hand import MINUTE, event, journey_type, membership, one, run
from hypothesis import HealthCheck, given, settings
from oracle import reconstruct
from oracle_events import in_order, role_of
from strategies import History, histories

# --- order and roles -------------------------------------------------------------------------------------------------


def test_ties_are_broken_by_tie_order_then_position_then_source_then_id() -> None:
    events = [
        event("e", 0, "see", source="web"),
        event("d", 0, "see", source="crm"),
        event("c", 0, "see", source="crm"),
        event("b", 0, "see", source="web", position=-1),
        event("a", 0, "see", source="web", tie_order=1),
        event("z", -1, "see", tie_order=9),
    ]
    assert [e.event_id for e in in_order(events)] == ["z", "b", "c", "d", "e", "a"]


@pytest.mark.parametrize(
    ("matchers", "winner"),
    [
        ([{"activity": "/see.*/", "source": "crm", "channel": "phone"}, {"activity": "see*"}], 1),
        ([{"activity": "see*", "source": "crm", "channel": "phone"}, {"activity": "see it"}], 1),
        ([{"activity": "see*"}, {"activity": "*", "channel": "phone"}], 1),
        ([{"activity": "see*", "source": "crm"}, {"activity": "*", "source": "crm", "channel": "phone"}], 1),
        ([{"activity": "*", "channel": "phone"}, {"activity": "*", "source": "crm"}], 0),
        ([{"activity": "see"}, {"activity": "/see|it/"}, {"activity": "SEE*"}, {"activity": "see ??"}], 3),
        ([{"activity": "see it", "source": "web"}, {"activity": "see it", "channel": "desk"}, {"activity": "*"}], 2),
    ],
)
def test_the_more_specific_matcher_wins_then_the_first(matchers: list[dict[str, str]], winner: int) -> None:
    file = journey_type(phases={f"p{number}": [matcher] for number, matcher in enumerate(matchers)})
    role = role_of(event("a", 0, "see it", channel="phone"), file)
    assert role is not None
    assert (role.kind, role.phase, role.rank) == ("phase", f"p{winner}", winner)


def test_a_pattern_is_for_the_whole_activity_and_only_star_and_question_mark_are_special() -> None:
    file = journey_type(phases={"a": ["[ab].*"], "b": ["/a.c/"]})
    assert role_of(event("a", 0, "[ab].x"), file) is not None
    assert role_of(event("a", 0, "bcx"), file) is None
    assert role_of(event("a", 0, "abc"), file) is not None
    assert role_of(event("a", 0, "abcd"), file) is None


def test_visible_and_internal_alike_stop_the_night() -> None:
    file = journey_type(unphased=["x*"], internal=["x*", "xy"])
    with pytest.raises(ValueError, match="equally specific"):
        role_of(event("a", 0, "xx"), file)
    assert role_of(event("a", 0, "xy"), file).kind == "internal"  # type: ignore[union-attr]


def test_what_the_source_declares_overrides_the_journey_file() -> None:
    file = journey_type(phases={"look": ["see*"]}, unphased=["*ore"], internal=["file*", "see more"])
    found = {
        (activity, declared): role.kind if (role := role_of(e, file)) else None
        for activity in ("see it", "see more", "file it", "other")
        for declared in (None, "visible", "internal")
        for e in [event("a", 0, activity, declared_visibility=declared)]
    }
    assert found == {
        ("see it", None): "phase",
        ("see it", "visible"): "phase",
        ("see it", "internal"): "internal",
        ("see more", None): "internal",
        ("see more", "visible"): "phase",
        ("see more", "internal"): "internal",
        ("file it", None): "internal",
        ("file it", "visible"): "unphased",
        ("file it", "internal"): "internal",
        ("other", None): None,
        ("other", "visible"): None,
        ("other", "internal"): None,
    }


def test_a_score_makes_an_answer_only_of_what_is_unphased() -> None:
    file = journey_type(phases={"look": ["see"]}, unphased=["rate"], internal=["file"])
    kinds = [role_of(event("a", 0, name, score=7), file) for name in ("see", "rate", "file")]
    assert [role and role.kind for role in kinds] == ["phase", "answer", "internal"]


# --- (1) and (2) -----------------------------------------------------------------------------------------------------


def test_a_case_key_makes_one_journey_for_each_value_however_they_overlap() -> None:
    events = [
        event("a", 0, "see", keys={"order": 1}),
        event("b", 5, "see", keys={"order": 2}),
        event("c", 9_000, "see", keys={"order": 1}),  # far beyond the gap: the key holds
        event("d", 9_001, "none of ours", keys={"order": 1}),
        event("e", 9_002, "file", keys={"order": 2}),
    ]
    result = run(events, journey_type(key="order", internal=["file"]))
    assert membership(result) == {"trip:a": "a=case_key c=case_key", "trip:b": "b=case_key e=case_key"}


def test_a_stream_is_cut_exactly_beyond_the_gap() -> None:
    events = [event("a", 0, "see"), event("b", 60, "see"), event("c", 120 + 1 / MINUTE, "see")]
    assert events[2].at - events[1].at == 60 * MINUTE + 1
    result = run(events, journey_type(gap="60 minutes"))
    assert membership(result) == {"trip:a": "a=opening b=stream", "trip:c": "c=opening"}


def test_a_stream_opens_and_closes() -> None:
    events = [
        event("a", 0, "see"),  # nothing has opened: in no journey
        event("b", 1, "see start"),
        event("c", 2, "see"),
        event("d", 3, "see start"),  # opens nothing: one is under way
        event("e", 4, "see end"),
        event("f", 5, "see"),  # after the end and before a start
        event("g", 6, "see start"),
    ]
    result = run(events, journey_type(opens=["see start"], closes=["see end"]))
    assert membership(result) == {"trip:b": "b=opening c=stream d=stream e=stream", "trip:g": "g=opening"}


def test_what_opens_and_closes_is_a_journey_alone() -> None:
    events = [event("a", 0, "see both"), event("b", 1, "see both"), event("c", 2, "see")]
    result = run(events, journey_type(opens=["see both"], closes=["see both"]))
    assert membership(result) == {"trip:a": "a=opening", "trip:b": "b=opening"}


def test_internal_steps_bridge_a_gap_but_begin_nothing() -> None:
    events = [event("a", 0, "file"), event("b", 50, "see"), event("c", 100, "file"), event("d", 150, "see")]
    result = run(events, journey_type(internal=["file"]))
    assert membership(result) == {"trip:b": "b=opening c=stream d=stream"}
    assert one(result).internal_steps == ["c"]


def test_one_known_account_is_one_stream_and_two_are_two_with_the_rest_loose() -> None:
    events = [event("a", 0, "see", account=1), event("b", 1, "see"), event("c", 2, "see", account=1)]
    assert membership(run(events, journey_type())) == {"trip:a": "a=opening b=stream c=stream"}
    events.append(event("d", 3, "see", account=2))
    # b joins the only journey open at it; d's is not open yet.
    assert membership(run(events, journey_type())) == {"trip:a": "a=opening b=recency c=stream", "trip:d": "d=opening"}


def test_an_answer_neither_splits_nor_bridges_nor_begins_a_stream() -> None:
    events = [
        event("a", 0, "rate", score=1),
        event("b", 1, "see", account=1),
        event("c", 2, "see"),
        event("d", 50, "rate", score=1, account=2),
        event("e", 62 + 1, "see"),
    ]
    result = run(events, journey_type(unphased=["rate"]))
    # d is of another account: it makes no second stream, and finds no journey without conflict. e is too long after c.
    assert membership(result) == {"trip:b": "b=opening c=stream", "trip:e": "e=opening"}
    assert result.answers == [("a", None, None), ("d", None, None)]


# --- (3) -------------------------------------------------------------------------------------------------------------


def order_and(loose_at: float, contact_gap: float = 0, **loose: object) -> str:
    """Which of three orders a loose event joins: A of account 1 and topic t, then B of account 1, then C of topic t."""
    events = [
        event("A", 0, "see", keys={"order": 1}, account=1, topic="t"),
        event("B", 1, "see", keys={"order": 2}, account=1),
        event("C", 2, "see", keys={"order": 3}, topic="t"),
        event("x", loose_at, "see", **loose),
    ]
    found = membership(run(events, journey_type(key="order"), contact_gap=contact_gap))
    return next((f"{name[-1]} {m.split('=')[-1]}" for name, m in found.items() if "x=" in m), "nowhere")


def test_the_rules_for_loose_events_in_their_order() -> None:
    assert order_and(3, account=1, topic="t") == "A account_topic"
    assert order_and(3, account=1, topic="u") == "B account"  # C's account is unknown: not the same
    assert order_and(3, account=1) == "B account"
    assert order_and(3, topic="t") == "C topic"  # of A and C, C was active last
    assert order_and(3, topic="u") == "C recency"
    assert order_and(3, account=2, topic="t") == "C topic"  # A and B conflict
    assert order_and(3, account=2) == "C recency"
    assert order_and(3) == "C recency"
    # In one contact with all three: below account_topic, above the rest.
    assert order_and(3, contact_gap=5, account=1, topic="t") == "A account_topic"
    assert order_and(3, contact_gap=5, account=1) == "C contact"
    assert order_and(3, contact_gap=5, topic="t") == "C contact"


def test_a_loose_event_joins_only_what_is_open() -> None:
    assert order_and(-1) == "nowhere"
    assert order_and(61, topic="u") == "C recency"
    assert order_and(62) == "C recency"  # exactly the gap
    assert order_and(62 + 1 / MINUTE) == "nowhere"
    events = [
        event("a", 0, "see", keys={"order": 1}),
        event("b", 1, "see end", keys={"order": 1}),
        event("c", 2, "see"),
    ]
    assert membership(run(events, journey_type(key="order", closes=["see end"]))) == {"trip:a": "a=case_key b=case_key"}


def test_a_loose_event_keeps_nothing_open_and_lends_no_account() -> None:
    events = [
        event("a", 0, "see", keys={"order": 1}),
        event("b", 50, "see end", account=1),  # closes, but is not direct
        event("c", 60, "see", account=2),
        event("d", 61, "see"),  # 61 minutes after the last direct event
    ]
    result = run(events, journey_type(key="order", closes=["see end"]))
    assert membership(result) == {"trip:a": "a=case_key b=recency c=recency"}
    assert one(result).account == 0


def test_account_and_topic_of_a_journey_are_its_first_known_ones_even_if_they_come_later() -> None:
    events = [
        event("a", 0, "see", keys={"order": 1}),
        event("x", 1, "see", account=1, topic="t"),
        event("y", 2, "see", account=2),
        event("b", 3, "see", keys={"order": 1}, account=1),
        event("c", 4, "see", keys={"order": 1}, topic="t"),
    ]
    result = run(events, journey_type(key="order"))
    assert membership(result) == {"trip:a": "a=case_key x=account_topic b=case_key c=case_key"}
    assert one(result).account == 1


def test_an_order_at_the_end_of_a_visit_claims_the_visit() -> None:
    events = [
        event("a", 0, "see", channel="web"),
        event("b", 5, "see", channel="web"),
        event("c", 6, "see", channel="phone"),
        event("d", 10, "see", channel="web", keys={"order": 1}),
        event("e", 15, "see", channel="web", account=1),
    ]
    result = run(events, journey_type(key="order"), contact_gap=5)
    assert membership(result) == {"trip:d": "a=contact b=contact d=case_key e=contact"}
    # The contact is split by the gap between a and b: a stays out.
    result = run([event("a", -1, "see", channel="web"), *events[1:]], journey_type(key="order"), contact_gap=5)
    assert membership(result) == {"trip:d": "b=contact d=case_key e=contact"}


def test_in_a_contact_the_nearest_before_is_looked_at_then_the_nearest_after() -> None:
    events = [
        event("a", 0, "see", keys={"order": 1}, account=1),
        event("b", 1, "see", keys={"order": 2}, account=2),
        event("x", 3, "see"),
        event("c", 4, "see", keys={"order": 3}),
        event("y", 5, "see", account=1),  # the nearest before is c, of no account
    ]
    result = run(events, journey_type(key="order"), contact_gap=30)
    assert membership(result) == {
        "trip:a": "a=case_key",
        "trip:b": "b=case_key x=contact",
        "trip:c": "c=case_key y=contact",
    }


def test_a_contact_whose_nearest_conflicts_offers_nothing_and_the_next_rule_decides() -> None:
    events = [
        event("a", 0, "see", keys={"order": 1}, account=1),
        event("b", 1, "see", keys={"order": 2}, account=2),
        event("x", 3, "see", account=1),
        event("c", 4, "see", keys={"order": 3}, account=1),
    ]
    result = run(events, journey_type(key="order"), contact_gap=30)
    assert membership(result)["trip:a"] == "a=case_key x=account"


def test_a_contact_follows_what_joined_by_account_and_topic_but_not_by_other_rules() -> None:
    events = [
        event("a", 0, "see", channel="phone", keys={"order": 1}, account=1, topic="t"),
        event("b", 1, "see", channel="phone", keys={"order": 2}),
        event("x", 40, "see", channel="web"),
        event("y", 41, "see", channel="web", account=1, topic="t"),
        event("z", 42, "see", channel="web", account=1),
        event("w", 55, "see", channel="web", topic="t"),
        event("v", 56, "see", channel="web"),
    ]
    result = run(events, journey_type(key="order"), contact_gap=5)
    assert membership(result) == {
        "trip:a": "a=case_key x=contact y=account_topic z=contact w=topic",
        "trip:b": "b=case_key v=recency",
    }


def test_over_types_one_before_in_the_contact_beats_one_after_then_the_nearer_then_the_name() -> None:
    def joined(*keys: dict[str, int] | None) -> str:
        events = [event(f"e{n}", n, "see", keys=key or {}) for n, key in enumerate(keys)]
        found = membership(run(events, journey_type("beta", key="b"), journey_type("alpha", key="a"), contact_gap=5))
        loose = keys.index(None)
        return " ".join(name for name, members in found.items() if f"e{loose}=contact" in members)

    assert joined({"b": 1}, None, {"a": 1}) == "beta:e0"
    assert joined({"a": 1}, {"b": 1}, None) == "beta:e1"
    assert joined(None, {"b": 1}, {"a": 1}) == "beta:e1"
    assert joined({"a": 1, "b": 1}, None) == "alpha:e0"


def test_a_loose_event_joins_one_journey_over_all_types_but_may_be_in_others_by_key() -> None:
    events = [
        event("a", 0, "see", keys={"x": 1}),
        event("b", 1, "see", keys={"y": 1}),
        event("c", 2, "see", keys={"z": 1}),
        event("d", 3, "see", keys={"z": 1}),
    ]
    files = [journey_type(name, key=name[0]) for name in ("x_type", "y_type", "z_type")]
    assert membership(run(events, *files)) == {
        "x_type:a": "a=case_key b=recency",
        "y_type:b": "b=case_key c=recency d=recency",
        "z_type:c": "c=case_key d=case_key",
    }


def test_an_event_latest_in_two_types_sends_the_loose_one_to_the_first_name() -> None:
    events = [event("a", 0, "see", keys={"x": 1, "y": 1}), event("b", 3, "see")]
    files = [journey_type("zebra", key="x"), journey_type("ant", key="y")]
    assert membership(run(events, *files)) == {"ant:a": "a=case_key b=recency", "zebra:a": "a=case_key"}


def test_only_what_is_visible_in_some_type_has_a_contact() -> None:
    events = [event("x", 0, "file", source="web"), event("a", 1, "see", source="web", keys={"order": 1})]
    file = journey_type(key="order", internal=["file"])
    assert membership(run(events, file, contact_gap=5)) == {"trip:a": "a=case_key"}
    other = journey_type("other", phases={"one": ["file"]}, opens=["never"])
    assert membership(run(events, file, other, contact_gap=5)) == {"trip:a": "x=contact a=case_key"}


# --- (4) -------------------------------------------------------------------------------------------------------------


def test_the_order_that_follows_a_look_around_adopts_it() -> None:
    events = [
        event("a", 0, "file"),  # before the beginning
        event("b", 1, "see start"),
        event("c", 2, "file"),
        event("d", 62, "see", keys={"order": 1}, topic="t"),
        event("e", 200, "see start"),  # 138 minutes before the next order
        event("f", 338, "see", keys={"order": 2}),
    ]
    result = run(events, journey_type(key="order", opens=["see start"], internal=["file"]))
    assert membership(result) == {
        "trip:d": "b=before_case c=before_case d=case_key",  # exactly the gap after c
        "trip:e": "e=opening",
        "trip:f": "f=case_key",
    }
    assert [journey.started // MINUTE for journey in result.journeys] == [1, 200, 338]
    # With one µs more the look around is a journey of its own.
    late = [e if e.event_id != "d" else event("d", 62 + 1 / MINUTE, "see", keys={"order": 1}) for e in events]
    found = membership(run(late, journey_type(key="order", opens=["see start"], internal=["file"])))
    assert found["trip:b"] == "b=opening c=stream"


def test_without_openings_a_keyed_type_begins_nothing_and_adopts_nothing() -> None:
    events = [event("a", 0, "see"), event("b", 1, "see", keys={"order": 1})]
    assert membership(run(events, journey_type(key="order"))) == {"trip:b": "b=case_key"}


def test_what_is_closed_or_of_another_account_is_not_adopted() -> None:
    file = journey_type(key="order", opens=["see start"], closes=["see end"])
    closed = [event("a", 0, "see start"), event("b", 1, "see end"), event("c", 2, "see", keys={"order": 1})]
    assert membership(run(closed, file)) == {"trip:a": "a=opening b=stream", "trip:c": "c=case_key"}
    foreign = [
        event("a", 0, "see start", account=1),
        event("b", 1, "see start"),
        event("c", 2, "see", keys={"order": 1}, account=2),
        event("d", 3, "see", keys={"order": 2}, account=1),
    ]
    # Two accounts: three streams. The start of c cuts none of them, and d is the first without conflict for a.
    assert membership(run(foreign, file)) == {
        "trip:c": "b=before_case c=case_key",
        "trip:d": "a=before_case d=case_key",
    }


def test_the_start_of_a_case_resets_a_stream_without_key() -> None:
    events = [
        event("a", 0, "see start"),
        event("b", 1, "see", keys={"order": 1}, account=1),
        event("c", 2, "see start", account=2),  # conflicts with b's, so it joins nothing in (3)
        event("d", 3, "see", account=2),
        event("e", 4, "see", keys={"order": 2}, account=2),
    ]
    file = journey_type(key="order", opens=["see start"])
    assert membership(run(events, file)) == {
        "trip:b": "a=before_case b=case_key",
        "trip:e": "c=before_case d=before_case e=case_key",
    }
    # One stream of account 2, cut by b: its first part is adopted by the first case without conflict, which is e's.
    events[0] = event("a", 0, "see start", account=2)
    assert membership(run(events, file)) == {
        "trip:b": "b=case_key",
        "trip:e": "a=before_case c=before_case d=before_case e=case_key",
    }


def test_a_case_takes_its_account_from_what_it_adopts() -> None:
    events = [event("a", 0, "see start", account=7), event("b", 1, "see", keys={"order": 1})]
    journey = one(run(events, journey_type(key="order", opens=["see start"])))
    assert (journey.account, journey.first_direct_event_id) == (7, "b")


def test_what_two_accounts_leave_loose_makes_a_journey_without_account() -> None:
    events = [
        event("x", 0, "see"),
        event("y", 60, "see"),
        event("a", 100, "see", account=1),
        event("b", 101, "see", account=2),
    ]
    result = run(events, journey_type())
    assert membership(result) == {"trip:a": "a=opening", "trip:b": "b=opening", "trip:x": "x=opening y=stream"}
    assert [journey.account for journey in result.journeys] == [0, 1, 2]


# --- (5) and what is published ---------------------------------------------------------------------------------------


def test_answers_follow_their_key_or_the_rules_without_contact_and_whatever_closed() -> None:
    file = journey_type(key="order", unphased=["rate"], closes=["see end"])
    events = [
        event("a", 0, "see", keys={"order": 1}, account=1, topic="t"),
        event("b", 1, "see end", keys={"order": 1}),
        event("c", 2, "see", keys={"order": 2}),
        event("n", 3, "rate", score=1, keys={"order": 3}),  # no such case, and the rules are not for it
        event("p", 4, "rate", score=1, keys={"order": 1}),
        event("q", 5, "rate", score=1, account=1, topic="t"),
        event("r", 6, "rate", score=1),
        event("s", 61, "rate", score=1, topic="t"),
        event("t", 62, "rate", score=1, account=1),  # 61 minutes after b: only c is left, and its account is unknown
        event("u", 63, "rate", score=1),
        event("v", 9_999, "rate", score=1, keys={"order": 2}),
    ]
    result = run(events, file, contact_gap=30)
    assert membership(result) == {
        "trip:a": "a=case_key b=case_key p=case_key q=account_topic s=topic",
        "trip:c": "c=case_key r=recency t=recency v=case_key",
    }
    first, second = ("trip", "a"), ("trip", "c")
    assert result.answers == [
        ("n", None, None),
        ("p", first, 1),
        ("q", first, 1),
        ("r", second, 1),
        ("s", first, 1),
        ("t", second, 1),
        ("u", None, None),
        ("v", second, 1),
    ]


def test_an_answer_finds_an_opening_of_its_own_and_an_adopted_one() -> None:
    file = journey_type(key="order", opens=["see"], unphased=["rate"])
    events = [
        event("a", 0, "see"),
        event("r", 1, "rate", score=1),
        event("b", 2, "see", keys={"order": 1}),
        event("c", 200, "see"),
        event("s", 260, "rate", score=1),
    ]
    result = run(events, file)
    assert membership(result) == {
        "trip:b": "a=before_case r=recency b=case_key",
        "trip:c": "c=opening s=recency",
    }
    assert result.answers == [("r", ("trip", "b"), 1), ("s", ("trip", "c"), 1)]


def test_an_answer_of_several_types_is_about_its_own_touchpoint_then_about_the_first_type() -> None:
    first = journey_type("ant", key="a", unphased=["rate"])
    second = journey_type("bee", key="b", unphased=["rate"])
    third = journey_type("cat", phases={"one": ["rate"]}, key="c")
    keys = {"a": 1, "b": 1}
    events = [event("x", 0, "see", keys=keys), event("r", 1, "rate", score=1, keys=keys)]
    result = run(events, second, first)
    assert membership(result) == {"ant:x": "x=case_key r=case_key", "bee:x": "x=case_key r=case_key"}
    assert result.answers == [("r", ("ant", "x"), 1)]
    events[1] = event("r", 1, "rate", score=1, keys=keys | {"c": 5})
    assert run(events, first, second, third).answers == [("r", ("cat", "r"), 1)]


def test_an_answer_before_every_touchpoint_or_of_nothing_has_no_touchpoint() -> None:
    file = journey_type(key="order", unphased=["rate"])
    events = [event("r", 0, "rate", score=1, keys={"order": 1}), event("a", 1, "see", keys={"order": 1})]
    events.append(event("s", 2, "unheard of", score=1))
    assert run(events, file).answers == [("r", ("trip", "a"), None), ("s", None, None)]


def test_what_the_customer_never_met_is_not_published() -> None:
    events = [event("a", 0, "file", keys={"order": 1}), event("r", 1, "rate", score=1, keys={"order": 1})]
    result = run(events, journey_type(key="order", unphased=["rate"], internal=["file"]))
    assert result.journeys == []
    assert result.answers == [("r", None, None)]


def test_persons_have_nothing_to_do_with_each_other() -> None:
    events = [event("a", 0, "see"), event("b", 1, "see", person=2), event("c", 2, "see")]
    assert membership(run(events, journey_type())) == {"trip:a": "a=opening c=stream", "trip:b": "b=opening"}


# --- properties ------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_each_event_is_in_one_journey_of_a_type_at_most_and_all_touchpoints_are_of_members(history: History) -> None:
    result = reconstruct(*history)
    seen = Counter((j.type, event_id) for j in result.journeys for event_id, _ in j.members)
    assert all(times == 1 for times in seen.values())
    assert len({(j.type, j.first_direct_event_id) for j in result.journeys}) == len(result.journeys)
    by_id = {e.event_id: e for e in history.events}
    for journey in result.journeys:
        met = [event_id for t in journey.touchpoints for event_id in t.event_ids]
        answers = [e for e, _ in journey.members if role_of(by_id[e], history.journeys[journey.type]).kind == "answer"]  # type: ignore[union-attr]
        assert sorted(met + journey.internal_steps + answers) == sorted(event_id for event_id, _ in journey.members)
        assert {by_id[event_id].person for event_id, _ in journey.members} == {journey.person}
        loose_rules = {"account_topic", "contact", "topic", "account", "recency"}
        assert any(rule not in loose_rules for _, rule in journey.members)
    assert sorted(a[0] for a in result.answers) == sorted(e.event_id for e in history.events if e.score is not None)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_nothing_depends_on_the_order_in_which_events_or_types_arrive(history: History) -> None:
    turned = history._replace(events=history.events[::-1], journeys=dict(reversed(history.journeys.items())))
    assert reconstruct(*turned) == reconstruct(*history)

"""Loose events (rule 3 of "Cutting") by the naive oracle: cases counted by hand from docs/journeys.md."""

from __future__ import annotations

from typing import Any

from by_hand import MINUTE, event, journey_type, membership, one, run


def order_and(loose_at: float, contact_gap: float = 0, **loose: Any) -> str:
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


def test_topic_comes_before_account_for_contacts_and_for_answers() -> None:
    events = [
        event("A", 0, "see", keys={"order": 1}, topic="t"),
        event("B", 1, "see", keys={"order": 2}, account=1),
        event("x", 2, "see", account=1, topic="t"),
        event("y", 3, "rate", score=1, account=1, topic="t"),
    ]
    result = run(events, journey_type(key="order", unphased=["rate"]))
    assert membership(result) == {"trip:A": "A=case_key x=topic y=topic", "trip:B": "B=case_key"}


def test_with_contact_gap_zero_nothing_shares_a_contact() -> None:
    events = [
        event("a", 0, "see", keys={"order": 1}, lasts=9),
        event("b", 0, "see", channel="web", keys={"order": 2}),
        event("x", 0, "see"),
    ]
    file = journey_type(key="order")
    assert membership(run(events, file)) == {"trip:a": "a=case_key", "trip:b": "b=case_key x=recency"}
    assert membership(run(events, file, contact_gap=1))["trip:a"] == "a=case_key x=contact"


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


def test_a_loose_event_joins_one_journey_over_all_types_and_one_with_a_key_no_other() -> None:
    events = [
        event("a", 0, "see", keys={"x": 1, "y": 1}),
        event("b", 1, "see", keys={"y": 2}),
        event("c", 2, "see", keys={"z": 1}),
        event("d", 3, "see"),
    ]
    files = [journey_type(name, key=name[0]) for name in ("x_type", "y_type", "z_type")]
    assert membership(run(events, *files)) == {
        "x_type:a": "a=case_key",  # b names its case: it does not look for another journey, here or by a contact
        "y_type:a": "a=case_key",
        "y_type:b": "b=case_key",
        "z_type:c": "c=case_key d=recency",
    }
    assert membership(run(events, *files, contact_gap=30))["z_type:c"] == "c=case_key d=contact"


def test_what_two_accounts_leave_loose_in_a_stream_is_not_if_it_has_a_case() -> None:
    events = [
        event("a", 0, "see", account=1),
        event("b", 1, "see", account=2),
        event("c", 2, "see", keys={"x": 1}),
        event("d", 3, "see", topic="t"),
    ]
    assert membership(run(events, journey_type("ant"), journey_type("case", key="x"))) == {
        "ant:a": "a=opening",
        "ant:b": "b=opening",
        "case:c": "c=case_key d=recency",
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

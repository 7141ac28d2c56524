"""Openings without a key, companions, answers, what is published: rules 4 to 6 of "Cutting", by the naive oracle.

Counted by hand from docs/journeys.md.
"""

from __future__ import annotations

from by_hand import MINUTE, event, journey_type, membership, one, run

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


def test_a_case_needs_nothing_and_adopts_what_would_be_no_journey_alone() -> None:
    events = [
        event("a", 0, "see"),
        event("b", 1, "see", keys={"order": 1}),
        event("c", 200, "see"),
        event("d", 300, "see"),
        event("e", 301, "see much"),
    ]
    file = journey_type(key="order", opens=["see"], needs=["see much"])
    assert membership(run(events, file)) == {"trip:b": "a=before_case b=case_key", "trip:d": "d=opening e=stream"}


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


def test_a_case_of_another_account_known_only_later_adopts_nothing() -> None:
    events = [
        event("a", 0, "see start", account=1),
        event("b", 1, "see", keys={"order": 1}),
        event(
            "c", 200, "see", keys={"order": 1}, account=2
        ),  # in another run: a's stream has one account, and so has b's
    ]
    file = journey_type(key="order", opens=["see start"])
    assert membership(run(events, file)) == {"trip:a": "a=opening", "trip:b": "b=case_key c=case_key"}


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


def test_after_the_start_of_a_case_a_stream_has_to_open_anew() -> None:
    events = [
        event("a", 0, "see start", account=2),
        event("b", 1, "see", keys={"order": 1}, account=1),
        event("c", 2, "see", account=2),
        event("d", 3, "see start", account=2),
        event("e", 4, "see", keys={"order": 2}, account=1),
    ]
    file = journey_type(key="order", opens=["see start"])
    assert membership(run(events, file)) == {
        "trip:a": "a=opening",
        "trip:b": "b=case_key",
        "trip:d": "d=opening",
        "trip:e": "e=case_key",
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


# --- (5) -------------------------------------------------------------------------------------------------------------


def test_a_companion_opens_and_prolongs_nothing_but_comes_along() -> None:
    events = [
        event("k", 0, "login"),
        event("l", 10, "login"),
        event("a", 12, "see"),
        event("m", 15, "login"),
        event("n", 60, "login"),
        event("b", 72 + 1 / MINUTE, "see"),  # too long after a: neither m nor n kept the journey open
    ]
    file = journey_type(unphased=["login"], companions=["login"])
    result = run(events, file, contact_gap=5)
    assert membership(result) == {"trip:a": "l=contact a=opening m=contact", "trip:b": "b=opening"}
    assert [journey.started // MINUTE for journey in result.journeys] == [10, 72]
    without = journey_type(unphased=["login"])
    assert membership(run(events, without, contact_gap=5)) == {
        "trip:k": "k=opening l=stream a=stream m=stream n=stream b=stream"
    }


def test_a_companion_follows_others_by_whatever_rule_they_joined_but_not_into_another_account() -> None:
    file = journey_type(key="order", unphased=["login"], companions=["login"])
    events = [
        event("a", 0, "see", channel="phone", keys={"order": 1}, account=1),
        event("b", 20, "see", channel="web"),
        event("k", 22, "login", channel="web"),
        event("l", 23, "login", channel="web", account=2),
        event("m", 24, "login", channel="desk"),
        event("n", 70, "login", keys={"order": 1}),  # with its key it is like any other
        event("c", 130, "see"),
    ]
    found = membership(run(events, file, contact_gap=5))
    assert found == {"trip:a": "a=case_key b=recency k=contact n=case_key c=recency"}


def test_a_companion_that_is_loose_in_another_type_and_joined_there_stays_there() -> None:
    trip = journey_type(unphased=["login"], companions=["login"])
    deal = journey_type("deal", phases={"one": ["buy"]}, key="order", unphased=["login"])
    events = [event("d", 0, "buy", keys={"order": 1}), event("a", 1, "see"), event("l", 2, "login")]
    assert membership(run(events, trip, deal, contact_gap=5)) == {
        "deal:d": "d=case_key l=contact",
        "trip:a": "a=opening",
    }
    assert membership(run(events[1:], trip, deal, contact_gap=5)) == {"trip:a": "a=opening l=contact"}


def test_a_companion_follows_what_was_adopted_or_opened_without_a_key() -> None:
    file = journey_type(key="order", opens=["see"], unphased=["login"], companions=["login"])
    events = [
        event("k", 0, "login", channel="web"),
        event("a", 3, "see", channel="web"),
        event("b", 30, "see", channel="phone", keys={"order": 1}),
        event("c", 200, "see"),
        event("l", 201, "login"),
    ]
    assert membership(run(events, file, contact_gap=5)) == {
        "trip:b": "k=contact a=before_case b=case_key",
        "trip:c": "c=opening l=contact",
    }


# --- (6) and what is published ---------------------------------------------------------------------------------------


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


def test_an_answer_is_about_the_last_touchpoint_that_started_even_at_its_own_instant() -> None:
    events = [
        event("a", 0, "see", lasts=60),
        event("b", 5, "see"),
        event("r", 5, "rate", score=1),
        event("c", 6, "see"),
    ]
    assert run(events, journey_type(unphased=["rate"])).answers == [("r", ("trip", "a"), 2)]


def test_what_the_customer_never_met_is_not_published() -> None:
    events = [event("a", 0, "file", keys={"order": 1}), event("r", 1, "rate", score=1, keys={"order": 1})]
    result = run(events, journey_type(key="order", unphased=["rate"], internal=["file"]))
    assert result.journeys == []
    assert result.answers == [("r", None, None)]


def test_persons_have_nothing_to_do_with_each_other() -> None:
    events = [event("a", 0, "see"), event("b", 1, "see", person=2), event("c", 2, "see")]
    assert membership(run(events, journey_type())) == {"trip:a": "a=opening c=stream", "trip:b": "b=opening"}

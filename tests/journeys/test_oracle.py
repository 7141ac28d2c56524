"""Order, roles and the first two rules of cutting by the naive oracle: cases counted by hand from docs/journeys.md.

The other rules: `test_oracle_loose` (3), `test_oracle_openings` (4 to 6), `test_oracle_within` (within a journey),
`test_oracle_waits`; what holds of all of them: `test_oracle_properties`.
"""

from __future__ import annotations

import pytest
from by_hand import MINUTE, event, journey_type, membership, one, run
from oracle_events import in_order, role_of

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


def test_a_stream_without_what_its_type_needs_is_no_journey() -> None:
    events = [
        event("a", 0, "file it"),  # before the beginning: it does not count
        event("b", 1, "see"),
        event("c", 2, "see"),
        event("d", 100, "see"),
        event("e", 101, "file it"),
        event("f", 200, "see end"),
    ]
    result = run(events, journey_type(internal=["file*"], needs=["file it", "see end"]))
    assert membership(result) == {"trip:d": "d=opening e=stream", "trip:f": "f=opening"}


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

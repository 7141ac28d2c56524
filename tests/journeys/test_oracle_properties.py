"""What has to hold of every reconstruction by the naive oracle, on generated histories."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise

from hypothesis import HealthCheck, given, settings
from oracle import reconstruct, whole_seconds
from oracle_events import role_of
from strategies import History, histories, seeded_history


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


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_stretches_are_ordered_not_empty_and_sum_to_their_waits(history: History) -> None:
    for journey in reconstruct(*history).journeys:
        numbers = [t.number for t in journey.touchpoints]
        assert numbers == list(range(1, len(numbers) + 1))
        grouped = {number: list(group) for number, group in groupby(journey.stretches, lambda s: s.touchpoint_number)}
        assert sum(map(len, grouped.values())) == len(journey.stretches)
        for number, stretches in grouped.items():
            assert [s.stretch_number for s in stretches] == list(range(1, len(stretches) + 1))
            assert all(s.start < s.end for s in stretches)
            assert all(before.end == after.start for before, after in pairwise(stretches))
            assert stretches[0].start == max(t.end for t in journey.touchpoints[:number])
            length = stretches[-1].end - stretches[0].start
            assert sum(whole_seconds(stretches)) == length // 1_000_000
            assert {s.is_open for s in stretches} == {number == len(numbers)}
        for before, after in pairwise(journey.touchpoints):
            assert after.wait_before == sum(s.end - s.start for s in grouped.get(before.number, []))
        assert (len(numbers) in grouped) <= (journey.status == "open")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_causes_fit_their_turns_and_our_unworked_closed_time_is_called_closed(history: History) -> None:
    for journey in reconstruct(*history).journeys:
        for s in journey.stretches:
            if s.turn != "organisation":
                assert (s.cause, s.activity, s.team) == (s.turn, None, None)
                continue
            assert s.cause in ("working", "closed", "handover", "queueing", "unexplained")
            assert s.cause != "handover" or s.team is not None
            if s.cause not in ("working", "closed"):
                assert not any(start < s.end and s.start < end for start, end in history.closed)


def test_the_generated_histories_reach_every_rule_turn_cause_and_outcome() -> None:
    seen: set[str] = set()
    for seed in range(400):
        for journey in reconstruct(*seeded_history(seed)).journeys:
            seen |= {rule for _, rule in journey.members}
            seen |= {f"{s.turn} {s.cause}{' open' if s.is_open else ''}" for s in journey.stretches}
            seen.add(f"{journey.status} {journey.outcome}")
    causes = ["organisation " + cause for cause in ("working", "closed", "handover", "queueing", "unexplained")]
    causes += [f"{turn} {turn}" for turn in ("partner", "customer", "nobody", "undetermined")]
    rules = {"case_key", "opening", "stream", "account_topic", "contact", "topic", "account", "recency", "before_case"}
    standings = {"open unknown", "abandoned unknown", *(f"completed {o}" for o in ("achieved", "failed", "unknown"))}
    assert seen == rules | standings | set(causes) | {f"{cause} open" for cause in causes}

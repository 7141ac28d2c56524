"""The kernel against the naive oracle: the same rows, to the microsecond, on thousands of generated histories."""

from __future__ import annotations

import pytest
from compare import by_kernel, from_oracle, from_tables
from hypothesis import HealthCheck, given, settings
from oracle import reconstruct
from strategies import History, histories

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


def check(history: History) -> None:
    given_ = (history.events, history.journeys, history.contact_gaps, history.closed, history.as_of)
    expected, expected_answers = from_oracle(reconstruct(*given_))
    actual, actual_answers = from_tables(by_kernel(*given_))
    assert actual.keys() == expected.keys()
    for name, journey in expected.items():
        assert actual[name] == journey, name
    assert actual_answers == expected_answers


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(histories())
def test_the_kernel_agrees_with_the_oracle(history: History) -> None:
    check(history)


@pytest.mark.soak
@settings(max_examples=20_000, deadline=None, suppress_health_check=SLOW)
@given(histories(most_events=40))
def test_the_kernel_agrees_with_the_oracle_for_long(history: History) -> None:
    check(history)

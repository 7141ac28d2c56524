"""The report made from facts: what it says of good nights, of failed ones, and since when; and what it never says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from report_world import AS_OF, DAY, delivery, facts, source, step

from klantspoor.report.facts import Facts, PastNight
from klantspoor.report.model import NightReport
from klantspoor.report.told import night_report

CRITICAL = {
    "rule": "add_up",
    "severity": "critical",
    "passed": False,
    "failed": 2,
    "says": "stretches add up: not so for 2",
}
WARNING = {
    "rule": "unmapped_share",
    "severity": "warning",
    "passed": False,
    "failed": 1,
    "says": "mapped: not so for 1 of 4",
}


def keyed(note: dict[str, Any], *keys: dict[str, Any]) -> dict[str, Any]:
    return note | {"failing_keys": list(keys)}


def low_day(**more: Any) -> Facts:
    """Nights of a hundred rows, and tonight of ten."""
    days = [delivery(age) for age in range(30, 0, -1)]
    return facts(sources=[source("crm", [*days, delivery(0, 10)])], **more)


def earlier(fact: Facts, *, days_ago: int, **more: Any) -> NightReport:
    """The report of an earlier night of the same facts."""
    return night_report(replace(fact, as_of=AS_OF - days_ago * DAY, **more))


def test_a_good_night() -> None:
    report = night_report(facts())
    assert (report.outcome, report.version, report.before) == ("published", "000007", "000006")
    assert (report.files, report.rows, report.events) == (1, 100, 100)
    assert (report.failed_step, report.why, report.unfinished) == (None, None, ())
    assert (report.complete_up_to, report.held_back_by) == (AS_OF - timedelta(hours=4), "crm")
    assert (report.seconds, report.memory_mb) == (30, 500.0)
    assert (report.findings, report.warnings, report.stopped_by) == ((), (), ())


def test_it_is_kept_as_json_and_read_again() -> None:
    report = night_report(low_day(verdicts={"coverage": [keyed(WARNING, {"source": "crm"})]}))
    assert report.findings
    assert NightReport.from_json(report.as_json()) == report
    with pytest.raises(ValueError, match="version"):
        NightReport.from_json({name: value for name, value in report.as_json().items() if name != "version"})


def test_a_step_that_failed_is_named_with_why() -> None:
    steps = [step("ledger"), step("events", status="failed", failure="the disk is full")]
    report = night_report(facts(version=None, steps=steps, sources=[], tables={}))
    assert (report.outcome, report.failed_step, report.why) == ("failed", "events", "the disk is full")
    assert report.before == "000006"


def test_what_a_failed_night_took_in_is_known_from_its_step() -> None:
    noted = {"used": 3, "quarantined": ["a.csv: it is empty"], "left": ["b.csv: it changed"], "events": 50}
    steps = [step("ledger", rows_in=60, facts=noted), step("events", status="failed")]
    report = night_report(facts(version=None, steps=steps, sources=[]))
    assert (report.files, report.rows, report.events) == (3, 60, 50)
    assert (report.unusable, report.left) == (("a.csv: it is empty",), ("b.csv: it changed",))
    assert report.why == "the log of the run says why"


def test_a_critical_check_stops_it() -> None:
    report = night_report(facts(version=None, verdicts={"waits": [keyed(CRITICAL, {"journey_id": "J1"})]}))
    assert [check.name for check in report.stopped_by] == ["waits.add_up"]
    assert report.why == "stretches add up: not so for 2"
    assert (report.failed_step, report.warnings) == (None, ())


def test_keys_of_single_persons_rows_are_not_told_and_those_of_marts_are() -> None:
    secret, shown = {"journey_id": "Jabcd0123", "touchpoint_number": 1}, {"source": "crm", "channel": None}
    verdicts = {"touchpoints": [keyed(WARNING, secret)], "coverage": [keyed(WARNING, *[shown] * 4)]}
    told = {check.name: check.says for check in night_report(facts(verdicts=verdicts)).warnings}
    assert told == {
        "touchpoints.unmapped_share": "mapped: not so for 1 of 4",
        "coverage.unmapped_share": "mapped: not so for 1 of 4: source crm, source crm, source crm",
    }


def test_what_looks_like_a_pseudonym_is_told_nowhere() -> None:
    person = "3f9c1a2b3c4d5e6f"
    steps = [step("events", status="failed", failure=f"two persons have the id {person}")]
    note = keyed(CRITICAL | {"says": f"id {person}"}, {"persona": person})
    report = night_report(facts(version=None, steps=steps, verdicts={"variants": [note]}))
    assert person not in str(report.as_json())
    alone = night_report(facts(version=None, steps=steps))
    assert alone.why == "two persons have the id …" or person not in str(alone.why)


def test_a_warning_that_was_there_when_last_published_is_not_new() -> None:
    def with_warning(failed: int, reports: tuple[NightReport, ...] = (), version: str | None = "000007") -> NightReport:
        note = keyed(WARNING | {"failed": failed})
        return night_report(facts(verdicts={"coverage": [note]}, reports=reports, version=version))

    first = with_warning(1)
    assert [check.is_new for check in first.warnings] == [True]
    assert [check.is_new for check in with_warning(1, (first,)).warnings] == [False]
    assert [check.is_new for check in with_warning(2, (first,)).warnings] == [True]
    failed = with_warning(2, version=None)
    assert [check.is_new for check in with_warning(2, (failed, first)).warnings] == [True]


def test_since_when_something_is_odd() -> None:
    tonight = low_day()
    (finding,) = night_report(tonight).findings
    assert (finding.since, finding.nights) == (AS_OF, 1)
    yesterday = earlier(tonight, days_ago=1)
    before = earlier(tonight, days_ago=2)
    good = earlier(facts(), days_ago=3)
    long_ago = earlier(tonight, days_ago=4)
    (finding,) = night_report(replace(tonight, reports=(yesterday, before, good, long_ago))).findings
    assert (finding.since, finding.nights) == (AS_OF - 2 * DAY, 3)


def test_nights_in_which_the_source_did_not_come_do_not_end_it() -> None:
    tonight = low_day()
    absent = earlier(facts(sources=[source("crm")]), days_ago=1)
    (finding,) = night_report(replace(tonight, reports=(absent, earlier(tonight, days_ago=7)))).findings
    assert (finding.since, finding.nights) == (AS_OF - 7 * DAY, 2)


def test_new_activities_that_come_most_nights_are_no_news() -> None:
    from klantspoor.report.facts import Activity

    new = facts(sources=[source("web", [delivery(0)], new_activities=[Activity("/page/1", 1, False)])])
    often = tuple(earlier(new, days_ago=n) for n in range(1, 5))
    assert [f.rule for f in night_report(replace(new, reports=often[:3])).findings] == ["new_activities"]
    assert night_report(replace(new, reports=often)).findings == ()


def test_nights_since_the_version_before_that_were_not_published() -> None:
    def night(days_ago: int, status: str, last: str) -> PastNight:
        return PastNight(AS_OF - days_ago * DAY, status, 10, 100.0, last)

    nights = [night(5, "failed", "events"), night(4, "published", "publication"), night(3, "failed", "journeys_checks")]
    nights += [night(2, "unfinished", "events")]
    assert night_report(facts(nights=nights)).unfinished == (
        "Sun 22 Nov 2026 03:00 failed in journeys_checks",
        "Mon 23 Nov 2026 03:00 stopped during events",
    )


def test_a_failed_night_says_how_far_the_version_that_stays_is_complete() -> None:
    published = night_report(replace(facts(), version="000006", reach=(AS_OF - 2 * DAY, "crm")))
    report = night_report(facts(version=None, reports=(published,)))
    assert report.before_complete_up_to == AS_OF - 2 * DAY
    assert night_report(facts(version=None)).before_complete_up_to is None

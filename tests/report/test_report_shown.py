"""A report on a terminal, as a mail and as metadata: what it says, and that nothing is obeyed or too long whatever it holds."""

from __future__ import annotations

import email
import email.policy
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from report_world import AS_OF, DAY, delivery, facts, nights, source, step
from test_report_told import CRITICAL, WARNING, keyed, low_day

from klantspoor.report.mail import MOST_LINES, WIDTH, body, mail, subject
from klantspoor.report.metadata import report_metadata
from klantspoor.report.model import Check, Finding, NightReport, Restated, Source, StepTold
from klantspoor.report.terminal import terminal_lines
from klantspoor.report.told import night_report
from klantspoor.report.words import percent, span, unlinked

MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
TEXTS = st.text(max_size=200) | st.sampled_from(
    ["\x1b[2J", "From me", "~.\n.", "https://evil.example www.evil.example a@b.c"]
)
CHECKS = st.builds(Check, TEXTS, TEXTS, st.integers(0, 9), st.booleans())
REPORTS = st.builds(
    NightReport,
    project=TEXTS,
    timezone=st.sampled_from(["Europe/Amsterdam", "UTC", "Pacific/Apia", "America/Argentina/ComodRivadavia"]),
    run_id=TEXTS,
    as_of=MOMENTS,
    outcome=st.sampled_from(["published", "failed"]),
    before=st.none() | TEXTS,
    before_as_of=st.none() | MOMENTS,
    before_complete_up_to=st.none() | MOMENTS,
    complete_up_to=st.none() | MOMENTS,
    provisional_since=st.none() | st.sampled_from(["2026-01", "1999-12"]),
    findings=st.lists(
        st.builds(Finding, TEXTS, TEXTS, TEXTS, TEXTS, MOMENTS, st.integers(1, 20)), max_size=12
    ).map(tuple),
    stopped_by=st.lists(CHECKS, max_size=8).map(tuple),
    warnings=st.lists(CHECKS, max_size=8).map(tuple),
    sources=st.lists(
        st.builds(
            Source, TEXTS, st.sampled_from(["fresh", "stale"]), st.integers(0, 3), st.integers(0, 10**12), st.integers(0, 9),
            st.none() | st.integers(0, 10**12), st.none() | MOMENTS, st.none() | TEXTS,
        ),
        max_size=30,
    ).map(tuple),
    steps=st.lists(st.builds(StepTold, TEXTS, TEXTS, st.none() | st.floats(0, 1e6), st.none() | st.floats(0, 1e6))).map(tuple),
    restated=st.none() | st.builds(Restated, st.integers(0, 9), st.just(("2026-01",)), st.just({"late": 3})),
    changes=st.dictionaries(st.sampled_from(["new", "late", "other"]), st.integers(0, 10**9)),
    tables=st.dictionaries(st.sampled_from(["events", "journeys", "waits"]), st.integers(0, 10**12)),
    tables_before=st.dictionaries(st.sampled_from(["events", "journeys"]), st.integers(0, 10**12)),
    **{name: st.lists(TEXTS, max_size=9).map(tuple) for name in ("unfinished", "unusable", "spoilt", "left")},
    **{name: st.none() | TEXTS for name in ("version", "failed_step", "why", "held_back_by")},
)  # fmt: skip


# Not shrunk: of a thing with so many parts that takes minutes.
@settings(max_examples=150, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(REPORTS)
def test_nothing_is_obeyed_linked_or_too_long_whatever_it_holds(report: NightReport) -> None:
    text = body(report)
    lines = text.splitlines()
    assert text.endswith("\n")
    assert len(lines) <= MOST_LINES
    assert all(len(line) <= WIDTH and line.isprintable() for line in lines)
    assert all(line.startswith(("  ", "The night of ")) or line[:1].isupper() for line in lines if line)
    assert not [line for line in lines if line.startswith(("From ", ".", "~"))]
    assert not re.search(r"(?i)://\w|www\.|@\w", text)
    for line in terminal_lines(report):
        assert line.isprintable()
    told = email.message_from_bytes(mail(report).encode(), policy=email.policy.default)
    assert told.get_content() == text
    assert str(told["Subject"]).strip() == " ".join(subject(report).split(" ")).strip()
    assert set(told.keys()) == {"Subject", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"}
    assert json.loads(json.dumps(report_metadata(report)))["night report"] == list(terminal_lines(report))


@settings(max_examples=50, deadline=None)
@given(REPORTS)
def test_any_report_is_kept_and_read_again(report: NightReport) -> None:
    kept = json.loads(json.dumps(report.as_json(), ensure_ascii=True))
    assert NightReport.from_json(kept) == report


def test_a_good_night_in_full() -> None:
    assert body(night_report(facts())) == (
        "The night of Wed 25 Nov 2026 03:00 at Energie van Ons\n"
        "\n"
        "Published: version 000007: 1,000 events, 52 journeys, 330 touchpoints,\n"
        "  310 waits.\n"
        "Complete up to Tue 24 Nov 2026 23:00.\n"
        "Provisional, and still changing: November 2026 and after.\n"
        "\n"
        "Came in: 1 file, 100 rows, 100 events.\n"
        "  source                   rows    usual  complete up to\n"
        "  crm                       100      100  Tue 24 Nov 2026 23:00\n"
        "Did not arrive: nothing, every source is fresh.\n"
        "Odd against the usual: nothing.\n"
        "Checks: all hold.\n"
        "Changed since version 000006: events +100; journeys +2; touchpoints +30;\n"
        "  waits +30.\n"
        "\n"
        "Took 30 s and at most 500 MiB of memory; longest: events 20 s, ledger\n"
        "  8.0 s, publication 2.0 s.\n"
        "Times are those of Europe/Amsterdam. More: klantspoor report\n"
    )
    assert subject(night_report(facts())) == "Energie van Ons: night of 25 Nov 2026 published, nothing odd"


def test_a_failed_night_in_full() -> None:
    steps = [step("ledger", 8), step("events", 1, status="failed", failure="the disk is full")]
    report = replace(night_report(facts(version=None, steps=steps, sources=[])), before_complete_up_to=AS_OF - DAY)
    assert body(report) == (
        "The night of Wed 25 Nov 2026 03:00 at Energie van Ons\n"
        "\n"
        "Failed in step events: the disk is full\n"
        "Not published: version 000006 of Tue 24 Nov 2026 03:00 stays, complete\n"
        "  up to Tue 24 Nov 2026 03:00.\n"
        "\n"
        "Came in: 0 files, 0 rows, 0 events.\n"
        "\n"
        "Took 9.0 s and at most 300 MiB of memory; longest: ledger 8.0 s, events\n"
        "  1.0 s.\n"
        "Times are those of Europe/Amsterdam. More: klantspoor report\n"
    )
    assert subject(report) == "Energie van Ons: night of 25 Nov 2026 FAILED in events"


def test_what_stopped_a_night_comes_first() -> None:
    report = night_report(facts(version=None, verdicts={"waits": [keyed(CRITICAL)], "coverage": [keyed(WARNING)]}))
    lines = body(report).splitlines()
    assert lines[2:4] == ["Stopped by: 1", "  stretches add up: not so for 2"]
    assert "Not published: version 000006 of Tue 24 Nov 2026 03:00 stays." in lines
    assert subject(report).endswith("FAILED")


def test_the_first_night_of_all() -> None:
    lines = list(terminal_lines(night_report(facts(before=None, version="000001"))))
    assert "Changed: this is the first version." in lines
    failed = list(terminal_lines(night_report(facts(before=None, version=None))))
    assert "Not published: nothing was before." in failed
    assert not [line for line in failed if line.startswith(("Changed", "Published", "Complete"))]


def test_odd_things_are_told_with_since_when_and_settled_ones_in_a_word() -> None:
    report = night_report(low_day())
    (finding,) = report.findings
    said = "  crm: 10 rows came; usual: 100 (last 4 of this weekday)"
    assert said in list(terminal_lines(report))
    third = replace(report, findings=(replace(finding, nights=3, since=AS_OF - 2 * DAY),))
    assert f"{said}; since 23 Nov 2026" in list(terminal_lines(third))
    eighth = replace(report, findings=(replace(finding, nights=8, since=AS_OF - 7 * DAY),))
    assert "Odd as before: crm rows since 18 Nov 2026." in list(terminal_lines(eighth))
    assert "Odd against the usual" not in "".join(terminal_lines(eighth))
    assert "1 remark" in subject(third)
    assert "nothing odd" in subject(eighth)


def test_what_changed_is_told_by_cause_where_that_is_known() -> None:
    report = night_report(facts(changes={"new": 90, "late": 8, "identity": 3, "erased": 0}))
    (line,) = [line for line in terminal_lines(report) if line.startswith("Changed")]
    assert line == (
        "Changed since version 000006: events: 90 new, 8 late, 3 of another person now; events +100; journeys +2;"
        " touchpoints +30; waits +30."
    )


def test_where_it_lies_is_told_of_what_was_published(tmp_path: Path) -> None:
    assert list(terminal_lines(night_report(facts()), tmp_path))[-1] == f"Tables: {tmp_path / 'klantspoor.duckdb'}"
    index = tmp_path / "versions" / "000007" / "pages" / "index.html"
    index.parent.mkdir(parents=True)
    index.touch()
    assert list(terminal_lines(night_report(facts()), tmp_path))[-1] == f"Map: {index}"
    assert "Tables" not in "".join(terminal_lines(night_report(facts(version=None)), tmp_path))


def test_metadata_are_figures_that_can_be_followed() -> None:
    told = report_metadata(night_report(low_day(nights=nights(10))))
    assert told["complete up to"] == "2026-11-24T22:00:00+00:00"
    assert told["odd"] == ["crm: 10 rows came; usual: 100 (last 4 of this weekday)"]
    assert (told["seconds"], told["peak memory (MiB)"], told["files"]) == (30, 500, 1)
    bare = report_metadata(night_report(facts(sources=[source("crm", [delivery(0)])], reach=None, steps=[])))
    assert not {"complete up to", "peak memory (MiB)"} & set(bare)


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0%"), (0.0004, "<0.1%"), (0.004, "0.4%"), (0.01, "1%"), (0.5, "50%"), (0.996, ">99%"), (1, "100%")],
)
def test_percentages(share: float, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (26, "26 s"), (119, "119 s"), (600, "10 min"), (9000, "2.5 hours")],
)
def test_spans(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_addresses_are_no_links() -> None:
    assert unlinked("https://a.b/c www.x.y mailto:me a@b.c") == "https:// a.b/c www .x.y mailto :me a@ b.c"


def test_restated_figures_are_told_with_their_causes() -> None:
    restated = Restated(12, ("2026-08", "2026-09"), {"late": 10, "identity": 2})
    lines = list(terminal_lines(night_report(facts(restated=restated))))
    assert "Restated: 12 published figures of August 2026, September 2026; late: 10; of another person now: 2." in lines
    assert not [
        line for line in terminal_lines(night_report(facts(restated=Restated(0, (), {})))) if "Restated" in line
    ]

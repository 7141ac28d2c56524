"""From facts to the report of a night: a pure function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from klantspoor.dictionary import TABLES
from klantspoor.lake.diary import Step, masked
from klantspoor.report.facts import Facts, PastNight, SourceFacts
from klantspoor.report.model import Check, Finding, NightReport, Source, StepTold
from klantspoor.report.oddities import Odd, oddities
from klantspoor.report.words import moment

_SHOWN_KEYS = 3
_BROUGHT_MOSTLY = (4, 7)
"""New activities that came in so many of so many nights are the way of the source, and no news."""


def night_report(facts: Facts) -> NightReport:
    """The report of the night that the facts are of."""
    failed = next((step for step in reversed(facts.steps) if step.status == "failed"), None)
    checks = {severity: tuple(_failed(facts, severity)) for severity in ("critical", "warning")}
    is_published = facts.version is not None
    reach, held_back_by = facts.reach or (None, None)
    ledger = next((step for step in facts.steps if step.step == "ledger"), None)
    noted = ledger.facts if ledger is not None else {}
    return NightReport(
        project=facts.project,
        timezone=facts.timezone,
        run_id=facts.run_id,
        as_of=facts.as_of,
        outcome="published" if is_published else "failed",
        version=facts.version,
        before=facts.before.version if facts.before else None,
        before_as_of=facts.before.as_of if facts.before else None,
        before_complete_up_to=_complete_before(facts),
        failed_step=failed.step if failed is not None and not is_published else None,
        why=masked(_why(failed, checks["critical"], facts.error)) if not is_published else None,
        unfinished=tuple(_unfinished(facts)),
        **_came(facts, ledger, noted),
        left=tuple(noted.get("left", ())),
        sources=tuple(_source(source) for source in facts.sources),
        complete_up_to=reach,
        held_back_by=held_back_by,
        provisional_since=facts.provisional_since,
        findings=tuple(findings(facts)),
        stopped_by=checks["critical"],
        warnings=checks["warning"],
        changes=dict(facts.changes),
        restated=facts.restated,
        tables=dict(facts.tables),
        tables_before=dict(facts.before.tables) if facts.before else {},
        steps=tuple(
            StepTold(step.step, step.status, step.elapsed_seconds, step.peak_memory_mb) for step in facts.steps
        ),
    )


def _complete_before(facts: Facts) -> datetime | None:
    version = facts.before.version if facts.before else None
    return next((one.complete_up_to for one in facts.reports if one.version == version and version is not None), None)


def findings(facts: Facts) -> Iterator[Finding]:
    """What is odd tonight, each with since when it is so on every night on which it was looked at."""
    for odd in oddities(facts):
        if odd.rule != "new_activities" or not _is_the_way(odd.subject, facts.reports):
            since, nights = _since(odd, facts)
            yield Finding(odd.rule, odd.subject, masked(odd.says) or "", odd.step, since, nights)


def _since(odd: Odd, facts: Facts) -> tuple[datetime, int]:
    """The first of the nights in a row, up to tonight, in which the same was odd; nights without the source do not count."""
    since, nights = facts.as_of, 1
    for report in facts.reports:
        if any((one.rule, one.subject) == (odd.rule, odd.subject) for one in report.findings):
            since, nights = report.as_of, nights + 1
        elif _looked_at(odd.subject, report):
            break
    return since, nights


def _looked_at(subject: str, report: NightReport) -> bool:
    """Whether something of the source came that night; the night as a whole is always looked at."""
    source = next((source for source in report.sources if source.source == subject), None)
    return source is None or source.files > 0


def _is_the_way(source: str, reports: Sequence[NightReport]) -> bool:
    often, of = _BROUGHT_MOSTLY
    with_it = [report for report in reports if _looked_at(source, report)][:of]
    return often <= sum(any((f.rule, f.subject) == ("new_activities", source) for f in r.findings) for r in with_it)


def _failed(facts: Facts, severity: str) -> Iterator[Check]:
    """The checks that did not hold. What was so already, for as many, when a night was last published is not new."""
    last = next((report for report in facts.reports if report.is_published), None)
    known = {(check.name, check.failed) for check in last.warnings} if last is not None else set()
    for table, notes in facts.verdicts.items():
        for note in notes:
            if note["severity"] == severity and not note["passed"]:
                name, failed = f"{table}.{note['rule']}", int(note.get("failed", 0))
                yield Check(name, masked(_with_keys(table, note)) or "", failed, (name, failed) not in known)


def _with_keys(table: str, note: Mapping[str, Any]) -> str:
    """What the check says, with the keys of the first few rows where these are not of single persons: of marts."""
    is_free = table in TABLES and TABLES[table].layer == "marts"
    keys = [
        ", ".join(f"{name} {value}" for name, value in key.items() if value is not None)
        for key in note["failing_keys"][:_SHOWN_KEYS]
    ]
    return f"{note['says']}: {', '.join(keys)}" if is_free and keys else str(note["says"])


def _why(failed: Step | None, stopped_by: Sequence[Check], error: str | None) -> str:
    if stopped_by:
        return "; ".join(check.says for check in stopped_by)
    if failed is not None and failed.failure:
        return failed.failure
    return error or "the log of the run says why"


def _unfinished(facts: Facts) -> Iterator[str]:
    """Nights after the one that the version before is of, none of which was published."""
    nights: list[PastNight] = []
    for night in facts.nights:
        nights = [] if night.status == "published" else [*nights, night]
    for night in nights:
        how = "failed in" if night.status == "failed" else "stopped during"
        yield f"{moment(night.as_of, facts.timezone)} {how} {night.last_step or 'its beginning'}"


def _came(facts: Facts, ledger: Step | None, noted: Mapping[str, Any]) -> dict[str, Any]:
    """What came in since the version before; while that is not known, what this run took in."""
    if facts.sources:
        return {
            "files": sum(source.files for source in facts.sources),
            "rows": sum(source.rows for source in facts.sources),
            "events": sum(source.events for source in facts.sources),
            "unusable": tuple(said for source in facts.sources for said in source.unusable),
            "spoilt": tuple(said for source in facts.sources for said in source.spoilt),
        }
    rows = ledger.rows_in if ledger is not None and ledger.rows_in is not None else 0
    unusable = tuple(noted.get("quarantined", ()))
    taken_in = {"files": noted.get("used", 0), "rows": rows, "events": noted.get("events", 0)}
    return taken_in | {"unusable": unusable, "spoilt": ()}


def _source(source: SourceFacts) -> Source:
    return Source(
        source.source,
        source.freshness,
        source.files,
        source.rows,
        source.quarantined,
        source.usual_rows,
        source.complete_up_to,
        source.odd,
    )

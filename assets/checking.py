"""The checks between the stages, one step each: every table of a stage judged by its rules, critical failures blocking.

What the rules are is the library's, how they are judged `expectations`'.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from assets.reporting import is_about_persons, needs, step
from assets.specs import DICTIONARY_CHECK, check_specs
from klantspoor.dictionary import TABLES
from klantspoor.lake import Staging
from klantspoor.lake.domain_rules import domain_rules, facts_of
from klantspoor.lake.rules import Verdict, table_rules
from klantspoor.lake.steps import note_verdicts
from klantspoor.project.model import Project
from pipelines.resources import Night

_SHOWN_KEYS = 20


def checks_of(name: str, tables: Sequence[str]) -> dg.AssetChecksDefinition:
    """The checks of a stage's tables as one step called `name`."""

    # Subsettable, so that one asset of the stage can be materialised from the UI with its own checks.
    @dg.multi_asset_check(
        name=name,
        specs=check_specs(*tables),
        description="Judges the tables before the next stage.",
        can_subset=True,
    )
    def judge_stage(context: dg.AssetCheckExecutionContext, night: Night) -> Iterator[dg.AssetCheckResult]:
        selected = {(key.asset_key.to_user_string(), key.name) for key in context.selected_asset_check_keys}
        judging = [table for table in tables if any(table == asset for asset, _ in selected)]
        needs(night.staging, *judging)
        with step(night.staging, name) as noted:
            judged = {table: judge_table(night.project, night.staging, table) for table in judging}
            noted.odd = _odd(judged)
        for table, verdicts in judged.items():
            yield from (result for result in results(table, verdicts) if (table, result.check_name) in selected)

    return judge_stage


def judge_table(project: Project, staging: Staging, name: str) -> list[Verdict]:
    """Judge one staged table by every rule on it, and note the verdicts."""
    from expectations.bridge import judge

    table = TABLES[name]
    rules = [*table_rules(table), *(rule for rule in domain_rules(facts_of(project)) if rule.table == name)]
    verdicts = judge(staging, table, rules, project.file.limits.gx_rows)
    note_verdicts(staging, name, verdicts)
    return verdicts


def results(table: str, verdicts: Sequence[Verdict]) -> Iterator[dg.AssetCheckResult]:
    """One result for the dictionary's rules together, one for each rule of the domain."""
    own = [verdict for verdict in verdicts if not verdict.rule.is_domain]
    yield _result(table, DICTIONARY_CHECK, own)
    for verdict in verdicts:
        if verdict.rule.is_domain:
            yield _result(table, verdict.rule.name, [verdict])


def _result(table: str, check: str, verdicts: Sequence[Verdict]) -> dg.AssetCheckResult:
    failed = [verdict for verdict in verdicts if not verdict.passed]
    is_critical = any(verdict.rule.severity == "critical" for verdict in verdicts)
    metadata: dict[str, object] = {"rules": len(verdicts), "checked": max(v.checked for v in verdicts)}
    if failed:
        metadata["failed"] = sum(verdict.failed for verdict in failed)
        # Keys of persons' rows are in the run's own notes, which go with it, and at its end on the terminal.
        shown = 0 if is_about_persons(table) else _SHOWN_KEYS
        metadata["failing"] = [
            {"rule": v.rule.name, "says": str(v), "failing_keys": list(v.failing_keys[:shown])} for v in failed
        ]
    return dg.AssetCheckResult(
        passed=not failed,
        asset_key=table,
        check_name=check,
        severity=dg.AssetCheckSeverity.ERROR if is_critical else dg.AssetCheckSeverity.WARN,
        description="; ".join(map(str, failed)) or None,
        metadata=metadata,
    )


def _odd(judged: dict[str, list[Verdict]]) -> str | None:
    return "; ".join(str(v) for verdicts in judged.values() for v in verdicts if not v.passed) or None

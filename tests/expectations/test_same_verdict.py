"""Every kind of violation is planted: Great Expectations and the queries must say the same of it, keys included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from expectations.bridge import judge, run_expectations
from klantspoor.dictionary import TABLES, Table
from klantspoor.errors import LakeError
from klantspoor.lake import Staging
from klantspoor.lake.checks import run_queries
from klantspoor.lake.domain_rules import domain_rules
from klantspoor.lake.rules import MOST_KEYS, Rule, Verdict, table_rules
from tests.lake.small_world import FACTS, Row, loose, plant, row, staging_of, world

MANY = 1_000_000
DOMAIN = {f"{rule.table}.{rule.name}": rule for rule in domain_rules(FACTS)}


def both(staging: Staging, table: Table, rules: list[Rule]) -> list[Verdict]:
    """What both ways say, once it is known to be the same."""
    by_queries = run_queries(staging, table, rules)
    by_expectations = run_expectations(staging, table, rules, MANY)
    assert by_expectations == by_queries
    return by_queries


def test_a_world_that_holds_together_passes_every_rule(tmp_path: Path) -> None:
    with staging_of(tmp_path, world()) as staging:
        for name, table in TABLES.items():
            rules = [*table_rules(table), *(rule for rule in DOMAIN.values() if rule.table == name)]
            assert [str(verdict) for verdict in both(staging, table, rules) if not verdict.passed] == []


def breaking(table: Table, rule: Rule, number: int) -> list[Row]:
    """Rows that break the rule; only a broken key may make others break too."""
    good = row(table, number)
    if rule.kind == "unique":
        return [good, dict(good)]
    column = rule.columns[0]
    if rule.kind == "not_null":
        return [good | {column: None}]
    if rule.kind == "in_set":
        return [good | {column: "<script>'"}]
    low = [good | {column: rule.minimum - 1}] if rule.minimum is not None else []
    high = [row(table, number + 1, **{column: rule.maximum + 1})] if rule.maximum is not None else []
    return low + high


@pytest.mark.parametrize("name", TABLES)
def test_every_rule_of_the_dictionary_breaks(name: str, tmp_path: Path) -> None:
    table = TABLES[name]
    rules = table_rules(table)
    planted = {rule.name: breaking(table, rule, 10 + 2 * i) for i, rule in enumerate(rules) if rule.name != "columns"}
    rows = [row(table, 1), *(broken for group in planted.values() for broken in group)]
    with staging_of(tmp_path, {name: rows}) as staging:
        verdicts = {verdict.rule.name: verdict for verdict in both(staging, table, rules)}
    for rule in rules:
        verdict = verdicts[rule.name]
        if rule.name == "columns":
            assert verdict.passed
            continue
        assert verdict.failed == len(planted[rule.name]), verdict
        expected = [{key: told(broken[key]) for key in table.key} for broken in planted[rule.name]]
        assert all(key in verdict.failing_keys for key in expected), verdict


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda t: t.drop_columns(["reason"]), "reason"),
        (lambda t: t.append_column("extra", pa.array(["x"])), "extra"),
        (lambda t: t.set_column(t.schema.get_field_index("decision"), "decision", pa.array([7])), "decision"),
    ],
    ids=["missing", "extra", "other type"],
)
def test_other_columns_than_the_dictionarys(change: Callable[[pa.Table], pa.Table], wrong: str, tmp_path: Path) -> None:
    table = TABLES["identity_audit"]
    with staging_of(tmp_path, {}) as staging:
        plant(staging, table.name, change(pa.Table.from_pylist([row(table)], schema=loose(table))))
        verdicts = {verdict.rule.name: verdict for verdict in both(staging, table, table_rules(table))}
    assert verdicts["columns"].failing_keys == ({"column": wrong},)
    if wrong == "reason":
        assert verdicts["not_null:reason"].detail == "column reason is missing"
        assert not verdicts["not_null:reason"].passed


def test_a_missing_key_column_fails_every_rule_that_needs_it(tmp_path: Path) -> None:
    table = TABLES["freshness"]
    with staging_of(tmp_path, {}) as staging:
        plant(staging, table.name, pa.Table.from_pylist([row(table)], schema=loose(table)).drop_columns(["source"]))
        verdicts = both(staging, table, [*table_rules(table), DOMAIN["freshness.all_came"]])
    assert not any(verdict.passed for verdict in verdicts)


def told(value: object) -> object:
    """A value of a key as verdicts tell it."""
    return str(value) if isinstance(value, datetime) else value


def change(table: str, number: int, **given: object) -> Callable[[dict[str, list[Row]]], None]:
    def apply(tables: dict[str, list[Row]]) -> None:
        tables[table][number].update(given)

    return apply


def again(table: str, number: int, **given: object) -> Callable[[dict[str, list[Row]]], None]:
    """The same row once more, but for what is given."""

    def apply(tables: dict[str, list[Row]]) -> None:
        tables[table].append(tables[table][number] | given)

    return apply


HOUR = timedelta(hours=1)
START = world()["waits"][0]["started_at"]
PLANTS: dict[str, tuple[Callable[[dict[str, list[Row]]], None], dict[str, object]]] = {
    "events.ends_after_start": (change("events", 1, ended_at=START), {"event_id": "event_id 0002"}),
    "identities.seen_in_order": (
        change("identities", 0, valid_to=START - HOUR),
        {"identifier_type": "identifier_type 0001", "identifier": "identifier 0001"},
    ),
    "identities.one_at_a_time": (
        again("identities", 0, valid_from=START - HOUR), {"identifier": "identifier 0001"},
    ),
    "identities.largest_person": (
        again("identities", 0, identifier="another"), {"person_id": "person_id 0001"},
    ),
    "touchpoints.journey_exists": (
        change("touchpoints", 2, journey_id="J9"), {"journey_id": "J9", "touchpoint_number": 1},
    ),
    "phase_visits.journey_exists": (
        change("phase_visits", 1, journey_id="J9"), {"journey_id": "J9", "visit_number": 2},
    ),
    "waits.journey_exists": (
        change("waits", 1, journey_id="J9"), {"journey_id": "J9", "touchpoint_number": 1, "stretch_number": 2},
    ),
    "experiences.journey_exists": (change("experiences", 0, journey_id="J9"), {"event_id": "event_id 0001"}),
    "journeys.ends_when_not_open": (change("journeys", 1, ended_at=START), {"journey_id": "J2"}),
    "journeys.touchpoints_counted": (change("touchpoints", 1, touchpoint_number=3), {"journey_id": "J1"}),
    "journeys.previous_exists": (change("journeys", 1, previous_journey_id="J9"), {"journey_id": "J2"}),
    "touchpoints.phase_known": (
        change("touchpoints", 1, phase="x'); --"), {"journey_id": "J1", "touchpoint_number": 2},
    ),
    "phase_visits.phase_known": (change("phase_visits", 1, phase_number=3), {"journey_id": "J1", "visit_number": 2}),
    "phase_visits.at_most_seven": (
        lambda tables: tables["phase_visits"].extend(
            row(TABLES["phase_visits"], n, journey_type="moving", phase=f"p{n}") for n in range(6)
        ),
        {"journey_type": "moving"},
    ),
    "touchpoint_events.event_exists": (
        change("touchpoint_events", 1, event_id="gone"), {"journey_id": "J1", "event_id": "gone"},
    ),
    "touchpoint_events.none_internal": (
        change("touchpoint_events", 2, touchpoint_number=1), {"journey_id": "J1", "event_id": "event_id 0003"},
    ),
    "touchpoint_events.touchpoint_exists": (
        change("touchpoint_events", 1, touchpoint_number=3), {"journey_id": "J1", "event_id": "event_id 0002"},
    ),
    "waits.add_up": (change("waits", 1, seconds=3599), {"journey_id": "J1", "touchpoint_number": 1}),
    "waits.in_order": (
        change("waits", 1, started_at=START + HOUR / 2),
        {"journey_id": "J1", "touchpoint_number": 1, "stretch_number": 2},
    ),
    "waits.cause_fits_turn": (
        change("waits", 1, cause="queueing"), {"journey_id": "J1", "touchpoint_number": 1, "stretch_number": 2},
    ),
    "journey_map.suppressed": (change("journey_map", 0, persons=1), {"phase": "phase 0001"}),
    "bottlenecks.suppressed": (change("bottlenecks", 0, persons=1), {"level": "level 0001"}),
    "directly_follows.suppressed": (change("directly_follows", 0, persons=1), {"from_step": "from_step 0001"}),
    "variants.suppressed": (change("variants", 0, persons=1), {"variant_id": "variant_id 0001"}),
    "coverage.unmapped_share": (change("coverage", 1, events=10), {"source": "crm"}),
    "freshness.all_came": (change("freshness", 1, freshness="small"), {"source": "web"}),
    "freshness.must_come": (change("freshness", 0, freshness="stale"), {"source": "crm"}),
    "restatements.adds_up": (
        change("restatements", 0, before=5.0, after=7.0, change=3.0),
        {"figure": "figure 0001"},
    ),
    "intake.adds_up": (change("intake", 0, ignored=1), {"sequence": 1}),
    "intake.files_readable": (change("intake", 0, file_status="quarantined"), {"sequence": 1}),
    "intake.quarantined_share": (change("intake", 0, quarantined=6, used=4), {"sequence": 1}),
}  # fmt: skip


def test_every_domain_rule_is_planted() -> None:
    assert set(PLANTS) == set(DOMAIN)


@pytest.mark.parametrize("name", PLANTS)
def test_every_domain_rule_breaks(name: str, tmp_path: Path) -> None:
    spoil, key = PLANTS[name]
    rule = DOMAIN[name]
    tables = world()
    spoil(tables)
    with staging_of(tmp_path, {table: tables[table] for table in (rule.table, *rule.needs)}) as staging:
        (verdict,) = both(staging, TABLES[rule.table], [rule])
    assert not verdict.passed
    assert verdict.detail is None
    assert verdict.failed == 1
    assert verdict.failing_keys[0].items() >= key.items()


def test_an_overlap_with_the_right_sum_is_still_found(tmp_path: Path) -> None:
    tables = world()
    tables["waits"][0].update(ended_at=START + 2 * HOUR, seconds=3600)
    with staging_of(tmp_path, {name: tables[name] for name in ("waits", "touchpoints")}) as staging:
        rules = [DOMAIN["waits.add_up"], DOMAIN["waits.in_order"]]
        add_up, in_order = both(staging, TABLES["waits"], rules)
    assert add_up.passed
    assert not in_order.passed


def test_a_wait_without_stretches_is_found(tmp_path: Path) -> None:
    tables = world()
    tables["waits"] = []
    with staging_of(tmp_path, {name: tables[name] for name in ("waits", "touchpoints")}) as staging:
        (verdict,) = both(staging, TABLES["waits"], [DOMAIN["waits.add_up"]])
    assert verdict.failing_keys == ({"journey_id": "J1", "touchpoint_number": 1},)


def test_a_nan_counts_as_a_null(tmp_path: Path) -> None:
    table = TABLES["experiences"]
    with staging_of(tmp_path, {table.name: [row(table, 1, score_0_100=float("nan"))]}) as staging:
        verdicts = {verdict.rule.name: verdict for verdict in both(staging, table, table_rules(table))}
    assert not verdicts["not_null:score_0_100"].passed
    assert verdicts["between:score_0_100"].passed


def test_most_keys_are_named_and_all_are_counted(tmp_path: Path) -> None:
    table = TABLES["intake"]
    rows = [row(table, number, file_status="lost") for number in range(1, 51)]
    rule = next(rule for rule in table_rules(table) if rule.name == "in_set:file_status")
    with staging_of(tmp_path, {table.name: rows}) as staging:
        (verdict,) = both(staging, table, [rule])
    assert verdict.failed == 50
    assert verdict.failing_keys == tuple({"sequence": number} for number in range(1, MOST_KEYS + 1))


def test_large_tables_are_judged_by_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = TABLES["intake"]
    with staging_of(tmp_path, {table.name: [row(table, number) for number in (1, 2, 3)]}) as staging:
        monkeypatch.setattr("expectations.bridge.run_expectations", lambda *_: "by expectations")
        assert judge(staging, table, table_rules(table), limit=3) == "by expectations"
        assert judge(staging, table, table_rules(table), limit=2) == run_queries(staging, table, table_rules(table))


def test_a_rule_that_needs_an_absent_table_says_so(tmp_path: Path) -> None:
    with staging_of(tmp_path, {"waits": []}) as staging, pytest.raises(LakeError, match="has not made touchpoints"):
        judge(staging, TABLES["waits"], [DOMAIN["waits.add_up"]], MANY)


@pytest.mark.parametrize(("state", "missing", "small", "holds"), [
    ("small", "stop", "warn", True),
    ("small", "warn", "stop", False),
    ("stale", "warn", "stop", True),
    ("stale", "stop", "warn", False),
])  # fmt: skip
def test_a_source_stops_publication_only_for_what_it_says(state: str, missing: str, small: str, holds: bool) -> None:
    facts = replace(
        FACTS,
        must_come=("crm",) if missing == "stop" else (),
        must_be_usual=("crm",) if small == "stop" else (),
    )
    [rule] = [r for r in domain_rules(facts) if r.table == "freshness" and r.name == "must_come"]
    connection = duckdb.connect()
    connection.execute("CREATE TABLE freshness AS SELECT 'crm' AS source, ? AS freshness", [state])
    assert connection.execute(rule.sql or "").fetchall() == [("crm", holds)]

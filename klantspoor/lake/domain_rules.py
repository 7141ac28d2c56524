"""What must hold between the tables, by the domain's rules (R-numbers) and the project's limits.

Each rule is a query that says for every thing it judges whether it holds; nothing is judged here.
"""

from __future__ import annotations

from dataclasses import dataclass

from klantspoor.dictionary import TABLES
from klantspoor.lake.connection import literal
from klantspoor.lake.rules import Rule, Severity
from klantspoor.project.model import Project


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules must know of the project: phases per journey type in order, limits, which sources must come."""

    phases: dict[str, tuple[str, ...]]
    unmapped_warn_share: float = 0.05
    quarantine_warn_share: float = 0.05
    suppress_below: int = 5
    largest_person: int = 100
    must_come: tuple[str, ...] = ()
    must_be_usual: tuple[str, ...] = ()


def facts_of(project: Project) -> Facts:
    """The facts of a loaded project."""
    limits = project.file.limits
    return Facts(
        phases={name: tuple(phase.id for phase in journey.phases) for name, journey in project.journeys.items()},
        unmapped_warn_share=limits.unmapped_warn_share,
        quarantine_warn_share=limits.quarantine_warn_share,
        suppress_below=limits.suppress_below,
        largest_person=limits.largest_person,
        must_come=tuple(name for name, source in project.sources.items() if source.expected.if_missing == "stop"),
        must_be_usual=tuple(name for name, source in project.sources.items() if source.expected.if_small == "stop"),
    )


def domain_rules(facts: Facts) -> list[Rule]:
    """Every rule about the domain, for all tables; `rule.table` says where it belongs."""
    return [*_core(facts), *_journeys(), *_touchpoints(facts), *_waits(), *_marts(facts), *_intake(facts)]


def _rule(
    name: str, keys: str, description: str, sql: str, *, needs: str = "", severity: Severity = "critical"
) -> Rule:
    """`name` is TABLE.RULE; `keys` are the query's columns beside `holds`."""
    table, _, short = name.partition(".")
    return Rule(short, table, "rows", description, tuple(keys.split()), severity, sql=sql, needs=tuple(needs.split()))


def _listed(rows: list[tuple[str | int, ...]]) -> str:
    texts = ["(" + ", ".join(literal(v) if isinstance(v, str) else str(v) for v in row) + ")" for row in rows]
    return ", ".join(texts)


def _within(columns: str, rows: list[tuple[str | int, ...]]) -> str:
    """SQL: whether the tuple of columns is one of the rows."""
    return f"({columns}) IN ({_listed(rows)})" if rows else "false"


def _core(facts: Facts) -> list[Rule]:
    return [
        _rule(
            "events.ends_after_start",
            "event_id",
            "no event ends before it begins",
            "SELECT event_id, ended_at IS NULL OR ended_at >= occurred_at AS holds FROM events",
        ),
        _rule(
            "identities.seen_in_order",
            "identifier_type identifier valid_from",
            "nothing was somebody's until before it was",
            """SELECT identifier_type, identifier, valid_from, valid_to >= valid_from AS holds
            FROM identities""",
        ),
        _rule(
            "identities.one_at_a_time",
            "identifier_type identifier valid_from",
            "no identifier is two persons' at a time",
            """SELECT identifier_type, identifier, valid_from, coalesce(valid_to < lead(valid_from) OVER (
                PARTITION BY identifier_type, identifier ORDER BY valid_from), true) AS holds FROM identities""",
        ),
        _rule(
            "identities.largest_person",
            "person_id",
            f"no person has more than {facts.largest_person} identifiers: strangers may have been merged",
            f"""SELECT person_id, count(*) <= {facts.largest_person} AS holds
            FROM (SELECT DISTINCT person_id, identifier_type, identifier FROM identities) GROUP BY person_id""",
            severity="warning",
        ),
    ]


def _journeys() -> list[Rule]:
    exists = [
        _rule(
            f"{table}.journey_exists",
            " ".join(TABLES[table].key),
            "its journey exists",
            f"""SELECT t.*, j.journey_id IS NOT NULL AS holds
            FROM (SELECT {", ".join(sorted({"journey_id", *TABLES[table].key}))} FROM {table}
                  WHERE journey_id IS NOT NULL) AS t
            LEFT JOIN (SELECT journey_id FROM journeys) AS j USING (journey_id)""",
            needs="journeys",
        )
        for table in ("touchpoints", "phase_visits", "waits", "experiences")
    ]
    return [
        *exists,
        _rule(
            "journeys.ends_when_not_open",
            "journey_id",
            "an open journey has no end and no lead time, any other has both, not before its start",
            """SELECT journey_id, CASE WHEN status = 'open' THEN ended_at IS NULL AND lead_time_seconds IS NULL
            ELSE ended_at >= started_at AND lead_time_seconds IS NOT NULL END AS holds FROM journeys""",
        ),
        _rule(
            "journeys.touchpoints_counted",
            "journey_id",
            "its touchpoints are as many as it says, numbered from 1",
            """SELECT j.journey_id, j.touchpoints = t.number AND t.lowest = 1 AND t.highest = t.number AS holds
            FROM journeys AS j LEFT JOIN (
                SELECT journey_id, count(*) AS number, min(touchpoint_number) AS lowest,
                max(touchpoint_number) AS highest FROM touchpoints GROUP BY journey_id) AS t USING (journey_id)""",
            needs="touchpoints",
        ),
        _rule(
            "journeys.previous_exists",
            "journey_id",
            "the cycle before it exists (R5)",
            """SELECT j.journey_id, p.journey_id IS NOT NULL AS holds FROM journeys AS j
            LEFT JOIN (SELECT journey_id FROM whole_journeys) AS p ON p.journey_id = j.previous_journey_id
            WHERE j.previous_journey_id IS NOT NULL""",
        ),
    ]


def _touchpoints(facts: Facts) -> list[Rule]:
    phases: list[tuple[str | int, ...]] = [(kind, phase) for kind, all_ in facts.phases.items() for phase in all_]
    numbered: list[tuple[str | int, ...]] = [
        (kind, phase, number) for kind, all_ in facts.phases.items() for number, phase in enumerate(all_, 1)
    ]
    return [
        _rule(
            "touchpoints.phase_known",
            "journey_id touchpoint_number",
            "its phase is one of its journey type's",
            f"""SELECT journey_id, touchpoint_number,
            phase IS NULL OR {_within("journey_type, phase", phases)} AS holds FROM touchpoints""",
        ),
        _rule(
            "phase_visits.phase_known",
            "journey_id visit_number",
            "its phase and the phase's number are its journey type's",
            f"""SELECT journey_id, visit_number,
            {_within("journey_type, phase, phase_number", numbered)} AND left_at >= entered_at AS holds
            FROM phase_visits""",
        ),
        _rule(
            "phase_visits.at_most_seven",
            "journey_type",
            "no journey type has more than seven phases (R2)",
            """SELECT journey_type, count(DISTINCT phase) <= 7 AS holds FROM phase_visits
            GROUP BY journey_type""",
        ),
        _rule(
            "touchpoint_events.event_exists",
            "journey_id event_id",
            "its event exists",
            """SELECT t.journey_id, t.event_id, e.event_id IS NOT NULL AS holds
            FROM touchpoint_events AS t LEFT JOIN (SELECT event_id FROM events) AS e USING (event_id)""",
            needs="events",
        ),
        _rule(
            "touchpoint_events.none_internal",
            "journey_id event_id",
            "no internal step is in a touchpoint (R3)",
            """SELECT t.journey_id, t.event_id, e.visibility <> 'internal' AS holds
            FROM (SELECT journey_id, event_id FROM touchpoint_events WHERE touchpoint_number > 0) AS t
            JOIN (SELECT event_id, visibility FROM events) AS e USING (event_id)""",
            needs="events",
        ),
        _rule(
            "touchpoint_events.touchpoint_exists",
            "journey_id event_id",
            "its touchpoint exists; an internal step's journey does",
            """SELECT e.journey_id, e.event_id, t.journey_id IS NOT NULL AS holds
            FROM touchpoint_events AS e LEFT JOIN (SELECT journey_id, touchpoint_number FROM touchpoints) AS t
            ON e.journey_id = t.journey_id AND greatest(e.touchpoint_number, 1) = t.touchpoint_number""",
            needs="touchpoints",
        ),
    ]


def _waits() -> list[Rule]:
    return [
        _rule(
            "waits.add_up",
            "journey_id touchpoint_number",
            "the stretches of a wait add up to the next touchpoint's wait_before_seconds",
            """SELECT journey_id, touchpoint_number, coalesce(stretches, 0) = wait AS holds
            FROM (SELECT journey_id, touchpoint_number, sum(seconds) AS stretches FROM waits WHERE NOT is_open
                  GROUP BY journey_id, touchpoint_number)
            FULL JOIN (SELECT journey_id, touchpoint_number - 1 AS touchpoint_number, wait_before_seconds AS wait
                       FROM touchpoints WHERE touchpoint_number > 1) USING (journey_id, touchpoint_number)""",
            needs="touchpoints",
        ),
        _rule(
            "waits.in_order",
            "journey_id touchpoint_number stretch_number",
            "its stretches follow each other without gap or overlap, none is empty, seconds count from its start",
            """SELECT journey_id, touchpoint_number, stretch_number,
            ended_at > started_at AND stretch_number = row_number() OVER w
            AND coalesce(started_at = lag(ended_at) OVER w, true) AND is_open = first(is_open) OVER w
            AND seconds = (epoch_us(ended_at) - epoch_us(first(started_at) OVER w)) // 1000000
                        - (epoch_us(started_at) - epoch_us(first(started_at) OVER w)) // 1000000 AS holds
            FROM waits WINDOW w AS (PARTITION BY journey_id, touchpoint_number ORDER BY stretch_number)""",
        ),
        _rule(
            "waits.cause_fits_turn",
            "journey_id touchpoint_number stretch_number",
            "only our own waiting has causes of its own; any other turn is its own cause",
            """SELECT journey_id, touchpoint_number, stretch_number,
            CASE WHEN turn = 'organisation' THEN cause IN ('working', 'closed', 'handover', 'queueing', 'unexplained')
            ELSE cause = turn END AS holds FROM waits""",
        ),
    ]


def _marts(facts: Facts) -> list[Rule]:
    suppressed = [
        _rule(
            f"{table.name}.suppressed",
            " ".join(table.key),
            f"no figure is about fewer than {facts.suppress_below} people",
            f"SELECT {', '.join(table.key)}, persons >= {int(facts.suppress_below)} AS holds FROM {table.name}",
        )
        for table in TABLES.values()
        if table.layer == "marts" and "persons" in table.names
    ]
    return [
        *suppressed,
        _rule(
            "coverage.unmapped_share",
            "source",
            f"at most {facts.unmapped_warn_share:.0%} of a source's events are of activities that no journey type maps",
            f"""SELECT source, coalesce(sum(number) FILTER (WHERE unmapped), 0) <= {facts.unmapped_warn_share!r}
            * sum(number) AS holds FROM (SELECT source, activity, channel, max(events) AS number,
            bool_and(role = 'unmapped') AS unmapped FROM coverage
            GROUP BY source, activity, channel) GROUP BY source""",
            severity="warning",
        ),
        _rule(
            "freshness.all_came",
            "source",
            "every expected file came, and none is far smaller than usual",
            "SELECT source, freshness = 'fresh' AS holds FROM freshness",
            severity="warning",
        ),
        _rule(
            "freshness.must_come",
            "source",
            "no source that stops publication (`if_missing: stop`, `if_small: stop`) is missing, stale or far too small",
            f"""SELECT source, NOT (freshness IN ('missing', 'stale')
            AND {_within("source", [(name,) for name in facts.must_come])}
            OR freshness = 'small' AND {_within("source", [(name,) for name in facts.must_be_usual])}) AS holds
            FROM freshness""",
        ),
    ]


def _intake(facts: Facts) -> list[Rule]:
    return [
        _rule(
            "intake.adds_up",
            "sequence",
            "every row of a file has exactly one outcome",
            """SELECT sequence, rows_read = used + reference + ignored + duplicates + superseded + quarantined
            + erased AS holds FROM intake""",
        ),
        _rule(
            "intake.files_readable",
            "sequence",
            "no file was quarantined as a whole",
            "SELECT sequence, file_status = 'used' AS holds FROM intake",
            severity="warning",
        ),
        _rule(
            "intake.quarantined_share",
            "sequence",
            f"at most {facts.quarantine_warn_share:.0%} of a file's rows are quarantined",
            f"""SELECT sequence, quarantined <= {facts.quarantine_warn_share!r} * rows_read AS holds
            FROM intake WHERE file_status = 'used'""",
            severity="warning",
        ),
    ]

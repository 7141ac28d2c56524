"""Every published table, declared once: grain, key, columns, which nulls mean what, what it is made from.

From these come the Arrow schemas enforced on write, the checks, Dagster's column metadata and `docs/tables.md`.
No data handling here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pyarrow as pa

from klantspoor.dictionary.columns import COLUMNS, Column


@dataclass(frozen=True, slots=True)
class Table:
    """One published table.

    `nulls` names each column that may be null, with what the null means. `partition` is the column of
    the instant whose local month names the folders (`month=YYYY-MM`), None for tables that are one folder. `order` is how
    rows are sorted within a file.
    `made_from` are the tables (or "landing files") it is derived from.
    """

    name: str
    layer: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    made_from: tuple[str, ...]
    nulls: dict[str, str] = field(default_factory=dict)
    partition: str | None = None
    order: tuple[str, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema that is enforced on write: nullability and descriptions included."""
        return pa.schema(
            [
                pa.field(c.name, c.type, nullable=c.name in self.nulls, metadata={"description": c.description})
                for c in self.columns
            ],
            metadata={"table": self.name, "grain": self.grain},
        )

    def column(self, name: str) -> Column:
        """The column called `name`; KeyError where there is none."""
        return next(c for c in self.columns if c.name == name) if name in self.names else _missing(self.name, name)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(c.name for c in self.columns)


def _missing(table: str, name: str) -> Column:
    raise KeyError(f"table {table} has no column {name}")


def _column(entry: str) -> Column:
    key, _, alias = entry.partition(" as ")
    return replace(COLUMNS[key], name=alias) if alias else COLUMNS[key]


def _table(
    name: str,
    layer: str,
    grain: str,
    key: str,
    columns: str,
    made_from: str,
    nulls: dict[str, str] | None = None,
    partition: str | None = None,
    order: str = "",
) -> Table:
    entries = [entry.strip() for entry in columns.replace("\n", " ").split(",") if entry.strip()]
    return Table(
        name=name,
        layer=layer,
        grain=grain,
        key=tuple(key.split()),
        columns=tuple(_column(entry) for entry in entries),
        made_from=tuple(part.strip() for part in made_from.split(",")),
        nulls=nulls or {},
        partition=partition,
        order=tuple(order.split()),
    )


_NO_ACCOUNT = "no account is known"
_NO_PERSONA = "no persona is known"
_NEVER_ENDED = "its process stopped during it"
_NO_FILES = "the step takes no files in, or failed before it could count them"
_NOT_COUNTED = "not counted for this step"

_ALL = (
    _table(
        "events",
        "core",
        "one deduplicated event of one source",
        "event_id",
        """event_id, source, source_event_id, occurred_at, ended_at, received_at, activity, channel, initiator, visibility,
        visibility_rule, person_id, person_rule, known_person_id, account_id, topic, team, event_outcome as outcome, attributes,
        file_sequence, row_number""",
        "landing files, identities",
        nulls={
            "ended_at": "it has no duration",
            "channel": "the source names none",
            "initiator": "not known who made the move",
            "person_id": "anonymous: no usable identifier",
            "person_rule": "it is anonymous",
            "known_person_id": "it was anonymous then",
            "account_id": _NO_ACCOUNT,
            "topic": "no topic is known",
            "team": "no team is known",
            "outcome": "the source says nothing about it",
            "attributes": "the mapping keeps none",
        },
        order="person_id occurred_at event_id",
    ),
    _table(
        "identities",
        "core",
        "one identifier held by one person over one stretch of time",
        "identifier_type identifier valid_from",
        "identifier_type, identifier, person_id, valid_from, valid_to, rule, evidence",
        "landing files",
        order="person_id identifier_type identifier valid_from",
    ),
    _table(
        "identity_audit",
        "core",
        "one decision of an identity guard about one identifier, or about one link of it",
        "identifier_type identifier guard audit_number",
        """decided_at, guard, identifier_type, identifier, audit_number, other_type, other_identifier, decision, reason""",
        "landing files",
        nulls={"other_type": "it is about one identifier", "other_identifier": "it is about one identifier"},
        order="identifier_type identifier guard audit_number",
    ),
    _table(
        "person_aliases",
        "core",
        "one former person id",
        "former_person_id",
        "former_person_id, person_id, since, why",
        "identities",
        nulls={"person_id": "the identifier it was named by is nobody's now, or several persons' in turn"},
        order="former_person_id",
    ),
    _table(
        "quarantine",
        "core",
        "one reason why one input row (row_number 0: one file) could not be used",
        "sequence row_number quarantine_number",
        "source, file, sequence, row_number, quarantine_number, quarantine_reason as reason, column, detail",
        "landing files",
        nulls={"column": "it is not about one column"},
        order="sequence row_number quarantine_number",
    ),
    _table(
        "intake",
        "core",
        "one file read",
        "sequence",
        """sequence, source, file, content_hash, landed_at, file_status, dialect, rows_read, used, reference, ignored, duplicates,
        superseded, quarantined, erased, events_made, times_resolved, anonymous_events""",
        "landing files",
        nulls={"dialect": "the file could not be read"},
        order="sequence",
    ),
    _table(
        "runs",
        "core",
        "one step of one night",
        "run_id step",
        """run_id, step, as_of, night_status, step_status, started_at, elapsed_seconds, cpu_seconds, peak_memory_mb, files_used,
        files_quarantined, files_left, rows_in, rows_out, odd, failure""",
        "landing files",
        nulls={
            "elapsed_seconds": _NEVER_ENDED,
            "cpu_seconds": _NEVER_ENDED,
            "peak_memory_mb": f"{_NEVER_ENDED}, or it stayed below an earlier step and the system tells no more",
            "files_used": _NO_FILES,
            "files_quarantined": _NO_FILES,
            "files_left": _NO_FILES,
            "odd": "nothing was",
            "failure": "it did not fail",
            "rows_in": _NOT_COUNTED,
            "rows_out": _NOT_COUNTED,
        },
        order="started_at step",
    ),
    _table(
        "journeys",
        "journeys",
        "one journey of one person",
        "journey_id",
        """journey_id, person_id, account_id, journey_type, cycle, previous_journey_id, started_at, ended_at, last_activity_at,
        solved_at, status, outcome, persona, variant_id, phase_variant_id, touchpoints, channels, channel_switches,
        lead_time_seconds, need_started_at, organisation_wait_seconds, partner_wait_seconds, customer_wait_seconds,
        nobody_wait_seconds, undetermined_wait_seconds, is_mystery_guest""",
        "events",
        nulls={
            "account_id": _NO_ACCOUNT,
            "previous_journey_id": "this is the first",
            "ended_at": "it is open",
            "solved_at": "it was neither completed nor failed by an activity",
            "persona": _NO_PERSONA,
            "lead_time_seconds": "it is open",
            "need_started_at": "no source knows when the need began",
        },
        order="person_id started_at journey_id",
    ),
    _table(
        "touchpoints",
        "journeys",
        "one contact in one journey",
        "journey_id touchpoint_number",
        """journey_id, journey_type, touchpoint_number, phase, activity, source, channel, initiator, started_at, ended_at, events,
        joined_by, wait_before_seconds, previous_activity, previous_phase""",
        "events, journeys",
        nulls={
            "phase": "it belongs to no phase",
            "channel": "the source names none",
            "initiator": "not known who made the move",
            "wait_before_seconds": "it is the first",
            "previous_activity": "it is the first",
            "previous_phase": "it is the first, or the one before belongs to no phase",
        },
        order="journey_id touchpoint_number",
    ),
    _table(
        "touchpoint_events",
        "journeys",
        "one event in one touchpoint, or one internal step of one journey",
        "journey_id event_id",
        "journey_id, touchpoint_number, event_id, joined_by",
        "events, journeys",
        order="journey_id touchpoint_number",
    ),
    _table(
        "phase_visits",
        "journeys",
        "one unbroken stay in a phase",
        "journey_id visit_number",
        """journey_id, journey_type, visit_number, phase, phase_number, entered_at, left_at, dwell_seconds, touchpoints,
        main_channel, is_last""",
        "touchpoints",
        nulls={"main_channel": "its touchpoints name no channel"},
        order="journey_id visit_number",
    ),
    _table(
        "waits",
        "journeys",
        "one stretch of one wait with one turn and cause",
        "journey_id touchpoint_number stretch_number",
        """journey_id, journey_type, touchpoint_number, stretch_number, turn, cause, started_at, ended_at, seconds, is_open,
        internal_activity, team""",
        "events, touchpoints",
        nulls={"internal_activity": "no internal step explains it", "team": "no team is known"},
        order="journey_id touchpoint_number stretch_number",
    ),
    _table(
        "experiences",
        "journeys",
        "one answer of a customer, tied to the moment or journey it is about",
        "event_id",
        "event_id, journey_id, touchpoint_number, instrument, score, score_0_100, answered_at",
        "events, journeys, touchpoints",
        nulls={"journey_id": "it could not be tied to a journey", "touchpoint_number": "no touchpoint came before it"},
        order="answered_at event_id",
    ),
    _table(
        "journey_map",
        "marts",
        "one phase of one journey type, persona and month",
        "journey_type persona month phase",
        """journey_type, persona, month, phase, phase_number, is_provisional, journeys, persons, visits, touchpoints,
        dwell_median_hours, dwell_p90_hours, wait_median_hours, wait_p90_hours, organisation_wait_hours, partner_wait_hours,
        customer_wait_hours, nobody_wait_hours, undetermined_wait_hours, channel_mix, drop_off_share""",
        "journeys, touchpoints, phase_visits, waits, events, intake",
        nulls={
            "persona": "all personas together",
            "month": "all months together",
            "wait_median_hours": "no wait of it ended, or too few people waited to tell",
            "wait_p90_hours": "no wait of it ended, or too few people waited to tell",
            "organisation_wait_hours": "too few people waited to tell",
            "partner_wait_hours": "too few people waited to tell",
            "customer_wait_hours": "too few people waited to tell",
            "nobody_wait_hours": "too few people waited to tell",
            "undetermined_wait_hours": "too few people waited to tell",
            "drop_off_share": "no journey that passed it is settled, or those of too few people to tell",
        },
        order="journey_type persona month phase_number",
    ),
    _table(
        "bottlenecks",
        "marts",
        "one transition per journey type, persona and month, at one level (phase or touchpoint)",
        "journey_type persona month level from_step to_step",
        """journey_type, persona, month, level, from_step, to_step, is_provisional, journeys, persons, waits, wait_median_hours,
        wait_p90_hours, wait_total_hours, organisation_wait_hours, partner_wait_hours, customer_wait_hours, nobody_wait_hours,
        undetermined_wait_hours, working_hours, closed_hours, handover_hours, queueing_hours, unexplained_hours,
        partner_cause_hours, blame_share, open_waits, open_wait_total_hours""",
        "journeys, touchpoints, waits, events, intake",
        nulls={
            "persona": "all personas together",
            "month": "all months together",
            "to_step": "still waiting: the next step has not come",
            "wait_median_hours": "all its waits are open",
            "wait_p90_hours": "all its waits are open",
        },
        order="journey_type persona month level from_step to_step",
    ),
    _table(
        "directly_follows",
        "marts",
        "one pair of touchpoint activities in one journey type",
        "journey_type from_step to_step",
        "journey_type, from_step, to_step, occurrences, journeys, persons, wait_median_hours, wait_p90_hours",
        "journeys, touchpoints",
        order="journey_type from_step to_step",
    ),
    _table(
        "variants",
        "marts",
        "one distinct sequence of touchpoint activities, or of phases, in one journey type",
        "journey_type level variant_id",
        "journey_type, level, variant_id, sequence_of_steps as sequence, journeys, persons, share, lead_time_median_hours",
        "journeys, touchpoints",
        nulls={"lead_time_median_hours": "none of them has ended, or those of too few people to tell"},
        order="journey_type level variant_id",
    ),
    _table(
        "coverage",
        "marts",
        "one raw activity of one source, per journey type that maps it, role and phase that lists it (or once, unmapped)",
        "source activity channel journey_type role phase",
        "source, activity, channel, journey_type, role, phase, events, share",
        "events",
        nulls={
            "channel": "the source names none",
            "journey_type": "no journey type maps it",
            "phase": "it belongs to no phase",
        },
        order="source activity channel journey_type role phase",
    ),
    _table(
        "freshness",
        "marts",
        "one source",
        "source",
        """source, freshness, complete_up_to, expected_by, last_file, last_landed_at, last_rows, usual_rows, late_share, odd""",
        "intake, events",
        nulls={
            "complete_up_to": "it has no events",
            "expected_by": "its files are not expected at a fixed time",
            "last_file": "nothing has come yet",
            "last_landed_at": "nothing has come yet",
            "last_rows": "nothing has come yet",
            "usual_rows": "too few files to know",
            "late_share": "it has no events, or only those of its first delivery",
            "odd": "nothing is",
        },
        order="source",
    ),
    _table(
        "restatements",
        "marts",
        "one published figure of a month that was over, changed by one night",
        "run_id mart journey_type persona month level phase from_step to_step figure",
        """run_id, as_of, mart, journey_type, persona, month, level, phase, from_step, to_step, figure, figure_unit as unit,
        before, after, change, new_part as new, late_part as late, corrected_part as corrected, identity_part as identity,
        rule_part as rule, erased_part as erased, clock_part as clock, persons_changed""",
        "intake, journeys, touchpoints, touchpoint_events, phase_visits, waits, journey_map, bottlenecks",
        nulls={
            "persona": "all personas together",
            "level": "the mart is journey_map",
            "phase": "the mart is bottlenecks",
            "from_step": "the mart is journey_map",
            "to_step": "the mart is journey_map",
            "before": "not published then (too few people, or nothing there), or it counted people who are forgotten now",
            "after": "not published that night, or a person was forgotten since",
            "change": "before or after is not told",
            **dict.fromkeys(
                ("new", "late", "corrected", "identity", "rule", "erased", "clock"),
                "a percentile or share, change is not told, or too few people are behind one of several causes",
            ),
            "persons_changed": "fewer than the project's `suppress_below`, or not known of a percentile or share",
        },
        partition="as_of",
        order="as_of mart journey_type persona month level phase from_step to_step figure",
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _ALL}
LAYERS = ("core", "journeys", "marts")

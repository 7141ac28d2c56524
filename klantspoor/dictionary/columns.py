"""Every column of every published table, declared once: type, unit, meaning, what values it may hold.

Which tables have it, and where a null is allowed, is in `klantspoor.dictionary.tables`. One name has one meaning, but for
the few names that readers expect in two tables with different meanings (`outcome`, `sequence`, `reason`): there a table
says `"event_outcome as outcome"`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

INSTANT = pa.timestamp("us", tz="UTC")
TEXT = pa.string()
CODE = pa.dictionary(pa.int32(), pa.string())
"""Text with few distinct values: dictionary-encoded in memory, plain text to every reader of the Parquet file."""

TURNS = ("organisation", "partner", "customer", "nobody", "undetermined")
CAUSES = (
    "partner",
    "working",
    "closed",
    "handover",
    "queueing",
    "unexplained",
    "customer",
    "nobody",
    "undetermined",
)
JOINED_BY = (
    "case_key",
    "opening",
    "stream",
    "account_topic",
    "contact",
    "topic",
    "account",
    "recency",
    "before_case",
)
STATUSES = ("open", "completed", "abandoned")
OUTCOMES = ("achieved", "failed", "unknown")
INITIATORS = ("customer", "organisation", "system", "partner")
VISIBILITIES = ("visible", "internal", "unknown")
INSTRUMENTS = ("nps", "csat", "ces", "review")
IDENTITY_GUARDS = (
    "blocked",
    "invalid",
    "staff",
    "test",
    "steward",
    "at_most",
    "at_most_persons",
    "one_per_person",
    "forbidden",
)
IDENTITY_RULES = ("anchor", "linked", "in_turn")
PERSON_RULES = ("identifier", "in_turn", "same_topic")
ALIAS_REASONS = ("merged", "nobodys")
FILE_STATUSES = ("used", "quarantined")
NIGHT_STATUSES = ("published", "failed", "unfinished")
STEP_STATUSES = ("done", "failed", "unfinished")
QUARANTINE_REASONS = (
    "unreadable_file",
    "empty_file",
    "missing_column",
    "wrong_encoding",
    "malformed_row",
    "missing_time",
    "unparsable_time",
    "nonexistent_time",
    "ambiguous_time",
    "implausibly_old",
    "far_future",
    "end_before_start",
    "missing_activity",
    "unknown_initiator",
    "no_identifier",
    "score_out_of_range",
    "expression_failed",
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Arrow type, what it means, its unit, and the values it may hold.

    `values` is the closed set of allowed texts; `minimum` and `maximum` are inclusive bounds of a number.
    """

    name: str
    type: pa.DataType
    description: str
    unit: str | None = None
    values: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None


def _text(name: str, description: str, values: tuple[str, ...] | None = None) -> Column:
    return Column(name, CODE if values else TEXT, description, values=values)


def _code(name: str, description: str) -> Column:
    return Column(name, CODE, description)


def _instant(name: str, description: str) -> Column:
    return Column(name, INSTANT, description, unit="UTC")


def _count(name: str, description: str, minimum: float = 0, unit: str | None = None) -> Column:
    return Column(name, pa.int64(), description, unit=unit, minimum=minimum)


def _seconds(name: str, description: str) -> Column:
    return Column(name, pa.int64(), description, unit="seconds", minimum=0)


def _hours(name: str, description: str) -> Column:
    return Column(name, pa.float64(), description, unit="hours", minimum=0)


def _share(name: str, description: str) -> Column:
    return Column(name, pa.float64(), description, unit="0 to 1", minimum=0, maximum=1)


def _amount(name: str, description: str) -> Column:
    return Column(name, pa.float64(), description)


def _part(name: str, description: str) -> Column:
    return Column(name, pa.int64(), description)


def _flag(name: str, description: str) -> Column:
    return Column(name, pa.bool_(), description)


_ALL = (
    # events
    _text(
        "event_id", "the event, wherever it is mentioned: 24 hexadecimal digits made from source and source_event_id"
    ),
    _code("source", "the source system, as in sources/*.yaml"),
    _text(
        "source_event_id",
        "the source's own id of the event; a pseudonym where its columns are not declared not_personal",
    ),
    _instant("occurred_at", "when it happened, or began"),
    _instant("received_at", "when it reached us: the landing time of its file, or as the source says"),
    _code("activity", "what happened, as the source's mapping names it"),
    _code("channel", "through which channel, as the source's mapping names it"),
    _text("initiator", "who made the move", INITIATORS),
    _text("visibility", "whether the customer sees it; unknown: no journey type maps it", VISIBILITIES),
    _code("visibility_rule", "which rule decided the visibility"),
    _text("person_id", "the person: 16 hexadecimal digits, a keyed hash of their oldest identifier"),
    _text("person_rule", "why the event is that person's (docs/identity.md)", PERSON_RULES),
    _text(
        "known_person_id",
        "the person that the event was known to belong to in the night that first published it; `person_aliases` says"
        " who that is now",
    ),
    _text(
        "account_id",
        "the role the person is in (a contract, a household, a business): a pseudonym of 16 hexadecimal digits",
    ),
    _code("topic", "what it is about, as the source's mapping names it"),
    _code("team", "the team that did it"),
    _code("event_outcome", "how it ended, as the source says"),
    _text("attributes", "what else the source's mapping keeps: a JSON object of texts"),
    _count("file_sequence", "the file it was read from: `intake.sequence`", 1),
    _count("row_number", "the row in that file, counting from 1 without the header; 0: the file as a whole"),
    # identity
    _code("identifier_type", "kind of identifier, as in klantspoor.yaml"),
    _text("identifier", "pseudonym of the identifier: 24 hexadecimal digits of a keyed hash"),
    _instant(
        "valid_from", "since when it is known to be that person's: first time seen, or the beginning of their turn"
    ),
    _instant("valid_to", "until when it is known to be: last time seen, or the end of their turn"),
    _text("rule", "why it is held to be that person's (docs/identity.md)", IDENTITY_RULES),
    _text("evidence", "what it rests on"),
    _instant("decided_at", "as_of of the first night in which it was decided so"),
    _text("guard", "which guard decided (docs/identity.md)", IDENTITY_GUARDS),
    _count("audit_number", "its number among the decisions of that guard about the identifier, from 1", 1),
    _code("other_type", "kind of the identifier at the other end of the link"),
    _text("other_identifier", "pseudonym of the identifier at the other end of the link"),
    _code("decision", "what it decided"),
    _text("former_person_id", "an id under which earlier versions know the person"),
    _instant("since", "as_of of the night since which the former id stands for that person"),
    _text("why", "why the id is no longer used", ALIAS_REASONS),
    _text("reason", "why"),
    # intake
    _text("file", "the landing file, relative to the landing folder"),
    _count("quarantine_number", "its number among the reasons of one row, from 1", 1),
    _text("column", "the raw column at fault"),
    _text("detail", "what was found and what was expected; a personal value only as its shape"),
    _text("quarantine_reason", "what was wrong", QUARANTINE_REASONS),
    _text("content_hash", "SHA-256 of the file's bytes: a file is read once, whatever its name"),
    _instant("landed_at", "when the file landed"),
    _count("sequence", "the order in which files were taken in", 1),
    _text("file_status", "quarantined: nothing of it could be used", FILE_STATUSES),
    _code("dialect", "which form of the source's files it was read as"),
    _count("rows_read", "data rows in the file"),
    _count("used", "rows that hold an event of this version"),
    _count("reference", "rows that only link identifiers"),
    _count("ignored", "rows that, by the mapping, hold no event"),
    _count("duplicates", "rows whose events are all known already, with the same content"),
    _count(
        "superseded", "rows without an event of this version, at least one of whose events gave way to a newer version"
    ),
    _count("quarantined", "rows of which something could not be used"),
    _count("erased", "rows of persons who were forgotten"),
    _count("events_made", "events read from the file, before duplicates are taken out"),
    _count("times_resolved", "local times that exist twice, or not at all, and were resolved by the source's rule"),
    _count("anonymous_events", "events without a usable identifier that were kept"),
    # journeys
    _text(
        "journey_id", "the journey: J, 4 hexadecimal digits of its type, and the event_id of the event that founded it"
    ),
    _code("journey_type", "which journey, as in journeys/*.yaml"),
    _count("cycle", "the how-manieth journey of this person, type and account (R5)", 1),
    _text("previous_journey_id", "the cycle before"),
    _instant("started_at", "when it began"),
    _instant("ended_at", "when it ended"),
    _instant("last_activity_at", "start of its last event, internal steps included"),
    _text("status", "where it stands at the night's as_of", STATUSES),
    _text("outcome", "whether the customer got what they came for", OUTCOMES),
    _code("persona", "the person's persona (segment), as the sources say"),
    _text("variant_id", "the sequence of touchpoint activities: 32 hexadecimal digits"),
    _text("phase_variant_id", "the sequence of phases: 32 hexadecimal digits"),
    _count("touchpoints", "number of touchpoints"),
    _count("channels", "number of distinct channels"),
    _count("channel_switches", "how often the next touchpoint was in another channel"),
    _seconds(
        "lead_time_seconds", "from the need (or else the start) to solved (or else the end), all waiting included (R7)"
    ),
    _instant("need_started_at", "when the need began, where a source knows"),
    _instant("solved_at", "when it was completed or failed"),
    _seconds("organisation_wait_seconds", "waiting while it was our turn"),
    _seconds("partner_wait_seconds", "waiting while it was a partner's turn"),
    _seconds("customer_wait_seconds", "waiting while it was the customer's turn"),
    _seconds("nobody_wait_seconds", "time without contact that was nobody's turn (R8)"),
    _seconds("undetermined_wait_seconds", "waiting of which the turn could not be determined"),
    _flag("is_mystery_guest", "walked on purpose; kept out of every figure (R21)"),
    _count("touchpoint_number", "its number in the journey, from 1; 0: an internal step"),
    _code("phase", "id of the phase, as in the journey file"),
    _count("events", "number of events"),
    _text("joined_by", "the rule by which it joined the journey (docs/journeys.md)", JOINED_BY),
    _seconds("wait_before_seconds", "waiting before it"),
    _code("previous_activity", "the activity of the touchpoint before"),
    _code("previous_phase", "the phase of the touchpoint before"),
    _count("visit_number", "its number in the journey, from 1", 1),
    _count("phase_number", "the phase's place in the journey file, from 1", 1),
    _instant("entered_at", "start of its first touchpoint"),
    _instant("left_at", "latest end of its touchpoints"),
    _seconds("dwell_seconds", "from entered_at to left_at"),
    _code("main_channel", "the channel of most of its touchpoints; of equals, the first"),
    _flag("is_last", "no visit follows in the journey"),
    _count("stretch_number", "its number in the wait, from 1", 1),
    _text("turn", "whose turn it was", TURNS),
    _text("cause", "what the time went to", CAUSES),
    _seconds("seconds", "its length; the stretches of a wait add up to it"),
    _flag("is_open", "still running at the night's as_of"),
    _code("internal_activity", "the internal step that was being done, or waited for"),
    _text("instrument", "which survey", INSTRUMENTS),
    Column("score", pa.float64(), "the score given, on the instrument's own scale"),
    Column("score_0_100", pa.float64(), "the score from worst (0) to best (100)", minimum=0, maximum=100),
    _instant("answered_at", "when the customer answered"),
    # marts
    _code(
        "month",
        "YYYY-MM in the project's time zone in which the phase was left or the wait ended; open ones: the month of as_of",
    ),
    _flag(
        "is_provisional",
        "the month is not over, or a source of that journey type is not complete up to its end: the figure will still change",
    ),
    _count("journeys", "number of journeys"),
    _count("persons", "number of persons"),
    _count("visits", "number of phase visits"),
    _hours("dwell_median_hours", "median time in the phase"),
    _hours("dwell_p90_hours", "time in the phase that one visit in ten exceeds"),
    _hours("wait_median_hours", "median waiting"),
    _hours("wait_p90_hours", "waiting that one in ten exceeds"),
    _hours("wait_total_hours", "total waiting"),
    _hours("organisation_wait_hours", "total waiting while it was our turn"),
    _hours("partner_wait_hours", "total waiting while it was a partner's turn"),
    _hours("customer_wait_hours", "total waiting while it was the customer's turn"),
    _hours("nobody_wait_hours", "total time that was nobody's turn"),
    _hours("undetermined_wait_hours", "total waiting of undetermined turn"),
    _hours("partner_cause_hours", "total waiting on partners"),
    _hours("working_hours", "total of our waiting in which somebody was at work"),
    _hours("closed_hours", "total of our waiting outside opening hours"),
    _hours("handover_hours", "total of our waiting between steps of two teams"),
    _hours("queueing_hours", "total of our waiting in a queue"),
    _hours("unexplained_hours", "total of our waiting with no internal step at all"),
    _text("channel_mix", "share of the touchpoints per channel: a JSON object"),
    _share(
        "drop_off_share",
        "share of the journeys that left this phase last and did not achieve their goal, of those settled",
    ),
    _code("level", "phase or touchpoint"),
    _code("from_step", "the phase or activity before the wait"),
    _code("to_step", "the phase or activity after it; null: still waiting"),
    _count("waits", "number of closed waits"),
    _share("blame_share", "its share of all the organisation's and partners' waiting in that journey type and month"),
    _count("open_waits", "waits still running; not in the percentiles"),
    _hours("open_wait_total_hours", "how long those have lasted so far"),
    _count("occurrences", "how often it happened"),
    Column("sequence_of_steps", pa.list_(pa.string()), "the steps, in order"),
    _share("share", "share of the whole"),
    _hours("lead_time_median_hours", "median lead time of the journeys that ended"),
    _code("role", "phase, unphased, answer, internal or unmapped"),
    _instant(
        "complete_up_to",
        "of what happened before it hardly anything is still to come, by the source's own history (docs/operations.md)",
    ),
    _instant("expected_by", "when the next file should have come"),
    _text("last_file", "the newest file"),
    _instant("last_landed_at", "when it landed"),
    _share(
        "late_share",
        "share of the events of its recent deliveries, its very first left out, that reached us more than a day after they"
        " occurred",
    ),
    _count("last_rows", "rows in the newest file"),
    _count("usual_rows", "median rows of the source's earlier files"),
    _text("freshness", "how the source stands", ("fresh", "stale", "small", "missing")),
    # restatements
    _text("mart", "the mart whose figure it is", ("journey_map", "bottlenecks")),
    _code("figure", "the mart's column that changed"),
    _text(
        "figure_unit",
        "what the figure is told in here: a sum of hours in whole seconds, so that its parts add up to the last bit",
        ("count", "seconds", "hours", "share"),
    ),
    _amount("before", "the figure as the version before published it"),
    _amount("after", "the figure as that night published it"),
    _amount("change", "after less before; the parts add up to it exactly"),
    _part("new_part", "part of the change that came from events that were new, and not late"),
    _part(
        "late_part",
        "part of the change that came from new events of a time up to which their source was held to be complete",
    ),
    _part("corrected_part", "part of the change that came from events of which the source said something else"),
    _part(
        "identity_part", "part of the change that came from what is known of persons: merged, split, another persona"
    ),
    _part("rule_part", "part of the change that came from another configuration, or other software"),
    _part("erased_part", "part of the change that came from forgetting people"),
    _part("clock_part", "part of the change that came from time alone: who was silent for too long has given up"),
    _count("persons_changed", "persons whose journeys made the change"),
    # runs
    _text("run_id", "the night's run"),
    _code("step", "which step"),
    _instant("as_of", "the night's clock"),
    _text("night_status", "how the night ended; unfinished: its process stopped before it did", NIGHT_STATUSES),
    _text("step_status", "how the step ended; unfinished: the process stopped during it", STEP_STATUSES),
    _count("files_used", "files taken in"),
    _count("files_quarantined", "files taken in of which nothing could be used"),
    _count("files_left", "files left for the next night: still changing, or not to be opened"),
    _count("rows_in", "rows it read"),
    _count("rows_out", "rows it wrote"),
    Column("elapsed_seconds", pa.float64(), "wall-clock time", unit="seconds", minimum=0),
    Column("cpu_seconds", pa.float64(), "processor time", unit="seconds", minimum=0),
    Column(
        "peak_memory_mb",
        pa.float64(),
        "highest memory of the process during the step: as the system says where it rose above all before, else looked at"
        " fifty times a second",
        unit="MiB",
        minimum=0,
    ),
    _text("odd", "what was out of the ordinary, in words"),
    _text("failure", "why it failed"),
)

COLUMNS: dict[str, Column] = {column.name: column for column in _ALL}

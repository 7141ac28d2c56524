"""What a project's files may say: the pydantic models of `klantspoor.yaml`, `sources/*.yaml` and `journeys/*.yaml`.

Shapes and single-field rules only. Reading the files, rules that span files and all reporting are in
`klantspoor.project.load` and `klantspoor.project.lint`. The JSON Schemas for editors are generated from these models,
so each field's description is what the user reads while typing.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(second|minute|hour|day|week)s?\s*$")
_UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_LONGEST_SECONDS = 36525 * 86400


def parse_duration(value: object) -> timedelta:
    """A duration with its unit, such as "30 minutes" or "1.5 days"; the bare number 0 is allowed.

    Raises:
        ValueError: for a bare number other than 0, text that is not a number and a unit, or more than a century.
    """
    if isinstance(value, timedelta):
        return value
    if value == 0 and not isinstance(value, bool):
        return timedelta(0)
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('expected a duration with its unit, such as "30 minutes", "12 hours" or "45 days"')
    seconds = float(match[1]) * _UNIT_SECONDS[match[2]]
    if seconds > _LONGEST_SECONDS:
        raise ValueError("expected a duration of at most 36525 days")
    return timedelta(seconds=seconds)


def _write_duration(value: timedelta) -> str:
    seconds = value.total_seconds()
    for unit in ("week", "day", "hour", "minute"):
        if seconds and seconds % _UNIT_SECONDS[unit] == 0:
            return f"{int(seconds // _UNIT_SECONDS[unit])} {unit}s"
    return f"{seconds:g} seconds"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(_write_duration, return_type=str),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["30 minutes", "12 hours", "45 days"]}),
]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="lower case letters, digits and _")]
Sql = Annotated[str, Field(min_length=1, description="a DuckDB SQL expression over the columns of one row")]
RecordField = Literal[
    "first_name",
    "last_name",
    "full_name",
    "birth_date",
    "birth_place",
    "street",
    "house_number",
    "postcode",
    "city",
    "email",
    "phone",
    "occupation",
    "gender",
]
Initiator = Literal["customer", "organisation", "system", "partner"]
Turn = Literal["asks_us", "asks_customer", "promises", "settles", "hands_to_partner", "returns_from_partner", "chases"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Strict(BaseModel):
    """Unknown keys are mistakes, and nothing is changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- klantspoor.yaml -------------------------------------------------------------------------------------------------


class Calendar(Strict):
    """When the organisation is open; without one it counts as always open."""

    hours: dict[Weekday, list[Annotated[str, Field(pattern=r"^\d{2}:\d{2}-\d{2}:\d{2}$")]]] = Field(
        description='opening hours per weekday in the project\'s time zone, such as {mon: ["08:00-12:00", "13:00-18:00"]};'
        " a day that is not listed is closed"
    )
    holidays: list[date] = Field(default=[], description="days on which the organisation is closed")


class KeySource(Strict):
    """Where the secret for pseudonyms comes from: an environment variable, or a file (mode 0600)."""

    env: str | None = Field(default=None, description="name of the environment variable that holds the key")
    file: str | None = Field(default=None, description="file that holds the key, relative to the project")


class Cap(Strict):
    """A limit that tells a shared identifier from one of a single person; a bare number counts over all time."""

    most: int = Field(ge=1, description="this many are fine, more make the identifier shared")
    within: Duration | None = Field(
        default=None, description="counted in any stretch of time this long, such as 90 days; default: over all time"
    )


def _cap(value: object) -> object:
    return {"most": value} if isinstance(value, int) and not isinstance(value, bool) else value


Limit = Annotated[Cap, BeforeValidator(_cap)]


class IdentifierType(Strict):
    """One kind of identifier, how it is cleaned, and how far it may link."""

    priority: int = Field(ge=1, description="1 is the most trusted; an event belongs to its most trusted identifier")
    normalise: Literal["none", "lower", "digits", "email", "phone"] = Field(
        default="none",
        description="lower: case-insensitive; digits: keep digits only; email: an address, case-insensitive; phone: E.164,"
        " see country; white space is always trimmed",
    )
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = Field(
        default=None, description="whose telephone numbers are written without a country code: NL, BE, …"
    )
    block: list[str] = Field(
        default=[], description="values that are nobody's, as glob patterns over the cleaned value: 'noreply@*', '000*'"
    )
    staff: list[str] = Field(default=[], description="values of the organisation's own people, as glob patterns")
    test: list[str] = Field(default=[], description="values that testers use, as glob patterns: 'test@*'")
    one_per_person: bool = Field(
        default=False,
        description="a person has at most one of these: where links would give them two, the least trusted link between"
        " the two is left out",
    )
    at_most: dict[Name, Limit] = Field(
        default={},
        description="with how many different identifiers of another type one of these may be seen before it counts as"
        " shared and links nobody, such as {customer: 1} or {customer: {most: 2, within: 90 days}}",
    )
    at_most_persons: Limit | None = Field(
        default=None,
        description="with how many persons, as more trusted identifiers tell them apart, one of these may be seen before"
        " it counts as shared",
    )
    when_shared: Literal["nobody", "split"] = Field(
        default="nobody",
        description="what at_most_persons does to a shared one. nobody: it is nobody's; split: it is each person's while"
        " they alone are seen with it, as with a tablet on which now one and now another logs in",
    )
    between: Literal["nobody", "next", "previous"] = Field(
        default="nobody",
        description="whose one that several persons had in turn is between two of them: nobody's, the next one's, or"
        " still the previous one's",
    )
    turn_within: Duration | None = Field(
        default=None,
        description="how far from a moment at which it was seen with a person one that several had in turn is still that"
        " person's at most; default: however far",
    )
    same_topic_within: Duration | None = Field(
        default=None,
        description="an event known by a shared one alone is that holder's who had an event of the same topic this close to"
        " it, if only one of them had; default: such events are nobody's",
    )


class Limits(Strict):
    """Figures that guard the night; each has a default that suits most projects."""

    suppress_below: int = Field(
        default=5, ge=1, description="figures about fewer people are left out of marts and pages"
    )
    largest_person: int = Field(
        default=100, ge=1, description="warn when a person has more identifiers: strangers may have been merged"
    )
    unmapped_warn_share: float = Field(default=0.05, ge=0, le=1, description="warn when more of a source is unmapped")
    quarantine_warn_share: float = Field(
        default=0.05, ge=0, le=1, description="warn when more of a file is quarantined"
    )
    complete_share: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="a source is complete up to where this share of its events is known to have come, by its own history",
    )
    gx_rows: int = Field(default=1_000_000, ge=1, description="above this many rows, checks run as queries")
    slice_rows: int = Field(default=400_000, ge=1, description="events per pass of the kernel: bounds its memory")
    memory_mb: int = Field(default=1200, ge=200, description="memory DuckDB may use before it spills to disk")
    model_coverage: float = Field(
        default=0.8, gt=0, le=1, description="share of journeys the discovered models explain"
    )
    keep_versions: int = Field(default=7, ge=1, description="published versions that stay on disk")
    keep_versions_for: Duration = Field(
        default=timedelta(days=1),
        description="how long a version stays at least after it was the current one, for those who are reading it",
    )
    readers_grace: Duration = Field(
        default=timedelta(days=1),
        description="how long versions that hold a forgotten person stay for those who are reading them; 0: not at all",
    )


class Linkage(Strict):
    """Looks for fuzzy duplicates among the persons the sources describe; needs the extra `linkage`."""

    threshold: float = Field(
        default=0.99, ge=0.5, lt=1, description="least probability at which two records are told to be one person"
    )
    max_pairs: int = Field(
        default=20_000_000, ge=1, description="pairs of records that are compared at most: bounds time and memory"
    )
    seed: int = Field(default=1, ge=0, description="chooses the random pairs on which chance agreement is counted")


class Webhook(Strict):
    """An address that is told of an alarm by a POST of JSON; the address is a secret and stands in the environment."""

    env: str = Field(description="name of the environment variable that holds the address (https)")
    plain_http: bool = Field(
        default=False, description="allow http to another machine; without it http reaches this machine alone"
    )


class Alarms(Strict):
    """Who is told when a night fails, or when no version was published for too long."""

    webhook: Webhook | None = None
    command: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None,
        min_length=1,
        description="a program by its full path and its arguments, started without a shell; the text is its standard input",
    )
    published_within: Duration = Field(
        default=timedelta(hours=26), description="longer without a new version is an alarm, at least one hour"
    )
    timeout: Duration = Field(
        default=timedelta(seconds=10), description="how long one call may take, at most 5 minutes"
    )


class ProjectFile(Strict):
    """`klantspoor.yaml`: what holds for the whole project."""

    name: str = Field(min_length=1, description="the organisation or project, as pages title it")
    timezone: str = Field(description="IANA name, such as Europe/Amsterdam: months and opening hours are in it")
    lake: str = Field(default="lake", description="folder of the published tables, relative to the project")
    landing: str = Field(default="landing", description="folder in which source files arrive, relative to the project")
    vault: str = Field(
        default="vault",
        description="folder of the personal fields by which records are compared, relative to the project; apart from the"
        " lake and the landing folder",
    )
    nightly_at: Annotated[str, Field(pattern=r"^\d{2}:\d{2}$")] = Field(default="03:00", description="local time")
    calendar: Calendar | None = None
    pseudonym_key: KeySource
    identifiers: dict[Name, IdentifierType] = Field(description="every identifier type the sources use")
    limits: Limits = Limits()
    linkage: Linkage | None = None
    alarms: Alarms | None = None


# --- sources/*.yaml --------------------------------------------------------------------------------------------------


class CsvReader(Strict):
    """Delimited text, gzipped or not (told by the ending .gz)."""

    format: Literal["csv"]
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(max_length=1)] = '"'
    encoding: str = Field(default="utf-8", description="any encoding Python knows, such as windows-1252")
    nulls: list[str] = Field(default=[""], description="texts that mean 'no value'; the text NA is kept unless listed")
    decimal_comma: list[str] = Field(default=[], description="columns in which 1.234,5 means 1234.5")


class JsonlReader(Strict):
    """One JSON document a line, gzipped or not; `fields` flattens what is nested."""

    format: Literal["jsonl"]
    encoding: str = "utf-8"
    fields: dict[Name, str] = Field(description="column name -> JSON path such as $.Agent.Username; values become text")


class ParquetReader(Strict):
    """Parquet; columns keep their types."""

    format: Literal["parquet"]


Reader = Annotated[CsvReader | JsonlReader | ParquetReader, Field(discriminator="format")]


class Dialect(Strict):
    """One form of a source's files over time: the first dialect whose columns the file has is used."""

    name: Name
    columns: dict[str, Sql] = Field(
        description="column -> SQL over the file's raw columns; adds to or replaces them before the mapping sees them"
    )


class TimeRules(Strict):
    """How this source writes times, and what is done with the odd ones."""

    formats: list[str] = Field(default=["%Y-%m-%d %H:%M:%S"], description="strptime formats, tried in order")
    epoch: Literal["s", "ms", "us"] | None = Field(
        default=None, description="numbers since 1970-01-01 UTC, in this unit"
    )
    ambiguous: Literal["earlier", "later", "quarantine"] = Field(
        default="earlier", description="a local time that exists twice (autumn): which one is meant"
    )
    nonexistent: Literal["quarantine", "shift"] = Field(
        default="quarantine",
        description="a local time that does not exist (spring): quarantine, or the first that does",
    )
    not_before: date = Field(default=date(1990, 1, 1), description="earlier is implausible: quarantined")
    max_future: Duration = Field(
        default=timedelta(days=2), description="later than the file's landing by more: quarantined"
    )


class IdentifierMapping(Strict):
    """One identifier a row carries."""

    type: Name
    value: Sql


class Survey(Strict):
    """A score a customer gave."""

    instrument: Literal["nps", "csat", "ces", "review"]
    score: Sql
    lowest: float = Field(description="the worst score of the scale")
    highest: float = Field(
        description="the best score of the scale (for 'effort' scales: lower is better, so lowest > highest)"
    )


class EventMapping(Strict):
    """How one row becomes one canonical event. Keys left out are taken from the source's `defaults`."""

    when: Sql | None = Field(default=None, description="only rows for which this holds make this event")
    id: Sql | None = Field(
        default=None, description="what makes two rows the same event; default: all columns of the row"
    )
    version: Sql | None = Field(
        default=None, description="of two rows with one id the higher wins; default: the later file and row"
    )
    tie_order: Sql | None = Field(
        default=None, description="an integer that orders events of one person at one instant"
    )
    occurred_at: Sql | None = None
    ended_at: Sql | None = None
    need_started_at: Sql | None = Field(
        default=None, description="when the customer's need began, where the source knows (R7)"
    )
    activity: Sql | None = None
    channel: Sql | None = None
    initiator: Sql | None = Field(default=None, description="SQL giving customer, organisation, system or partner")
    team: Sql | None = None
    topic: Sql | None = None
    outcome: Sql | None = None
    persona: Sql | None = Field(default=None, description="the person's persona (segment), where the source knows")
    visibility: Literal["visible", "internal"] | None = Field(
        default=None, description="overrides what the journey files say about this source's events"
    )
    identifiers: list[IdentifierMapping] | None = None
    record: dict[RecordField, Sql] | None = Field(
        default=None,
        description="what the row says of the person: name, birth date, address; kept in the vault alone, for finding"
        " duplicates (linkage)",
    )
    account: Sql | None = Field(
        default=None, description="the role the person is in: a contract, a household, a business"
    )
    case_keys: dict[Name, Sql] | None = Field(
        default=None, description="case key name -> SQL: which case the event belongs to"
    )
    survey: Survey | None = None
    attributes: dict[Name, Sql] | None = Field(default=None, description="what else to keep, as text")


class Expected(Strict):
    """Which files should come, and what their absence means."""

    every: Literal["night", "week", "never"] = "never"
    if_missing: Literal["warn", "stop"] = Field(default="warn", description="what a missing or stale source does")
    if_small: Literal["warn", "stop"] = Field(default="warn", description="what a far smaller file than usual does")
    smallest_share: float = Field(default=0.3, ge=0, le=1, description="of the usual number of rows; fewer is reported")


class SourceFile(Strict):
    """`sources/NAME.yaml`: one source system's files and their mapping to canonical events."""

    source: Name
    title: str = Field(min_length=1)
    kind: Literal["events", "reference"] = Field(
        default="events", description="reference: rows link identifiers (a customer list) and are not events"
    )
    files: list[str] = Field(min_length=1, description="globs below the landing folder, such as crm/*.csv.gz")
    reader: Reader
    dialects: list[Dialect] = Field(
        default=[], description="forms of the file over time; none: the columns as they are"
    )
    optional_columns: list[str] = Field(default=[], description="columns that may be absent; they are then null")
    timezone: str = Field(default="UTC", description="IANA zone of times written without one")
    time: TimeRules = TimeRules()
    not_personal: list[str] = Field(
        default=[],
        description="columns that hold nothing personal; everything else is pseudonymised or kept out of tables and messages",
    )
    anonymous: Literal["keep", "quarantine"] = Field(
        default="keep", description="rows without a usable identifier: keep as anonymous events, or quarantine"
    )
    contact_gap: Duration = Field(default=timedelta(minutes=30), description="0 makes each event a contact of its own")
    ignore_when: Sql | None = Field(default=None, description="rows for which this holds are counted as ignored")
    defaults: EventMapping = EventMapping()
    events: list[EventMapping] = Field(
        default=[], description="the events one row may hold; none listed: one, as in defaults"
    )
    expected: Expected = Expected()


# --- journeys/*.yaml -------------------------------------------------------------------------------------------------


class ActivityMatcher(Strict):
    """Which activities are meant: a name, a glob (with * or ?) or a /regular expression/, by source or channel."""

    activity: str = "*"
    source: str | None = None
    channel: str | None = None


def _matcher(value: object) -> object:
    return {"activity": value} if isinstance(value, str) else value


Matcher = Annotated[ActivityMatcher, BeforeValidator(_matcher)]


class Cut(Strict):
    """How a person's events are cut into instances of this journey."""

    case_key: Name | None = Field(default=None, description="events with one value of this case key are one journey")
    opens: list[Matcher] = Field(
        default=[], description="activities that begin a journey; none listed: any visible one does"
    )
    needs: list[Matcher] = Field(
        default=[],
        description="without a case key, only what holds one of these is a journey (looking at the prices once is not)",
    )
    closes: list[Matcher] = Field(
        default=[], description="activities that end one: what follows without a key is not in it"
    )
    gap: Duration = Field(default=timedelta(days=30), description="this long without any event of the journey ends it")


class Phase(Strict):
    """A chapter of the journey, in the customer's own words (R1)."""

    id: Name
    says: str = Field(
        min_length=1, description="what the customer says, in the first person and the customer's language"
    )
    activities: list[Matcher] = Field(min_length=1)


class Turns(Strict):
    """Whose turn it is after an activity, where that is declared."""

    asks_us: list[Matcher] = []
    asks_customer: list[Matcher] = []
    promises: list[Matcher] = []
    settles: list[Matcher] = []
    hands_to_partner: list[Matcher] = []
    returns_from_partner: list[Matcher] = []
    chases: list[Matcher] = []


class MysteryGuests(Strict):
    """Whose journeys are walked on purpose and stay out of every figure (R21)."""

    personas: list[str] = []
    activities: list[Matcher] = []


class JourneyFile(Strict):
    """`journeys/NAME.yaml`: one journey type."""

    journey: Name
    title: str = Field(min_length=1)
    language: str = Field(default="en", description="of the phases: en and nl are checked for the first person")
    cut: Cut
    phases: list[Phase] = Field(min_length=1, description="at most seven, in order (R2)")
    unphased: list[Matcher] = Field(default=[], description="contacts that belong to the journey but to no phase")
    internal: list[Matcher] = Field(default=[], description="steps the customer cannot see (R3)")
    companions: list[Matcher] = Field(
        default=[],
        description="activities that say nothing by themselves (logging in): in this journey only in the company of others"
        " of the same contact; each is listed in a phase or in unphased too",
    )
    turns: Turns = Turns()
    completes: list[Matcher] = Field(
        default=[], description="activities with which the customer got what they came for"
    )
    fails: list[Matcher] = Field(default=[], description="activities with which it is certain they will not")
    abandoned_after: Duration | None = Field(
        default=None, description="quiet for longer: abandoned; default: the cut's gap"
    )
    mystery_guests: MysteryGuests = MysteryGuests()


class Project(Strict):
    """A loaded, valid project: the three kinds of file together. `root` is its folder."""

    root: str
    file: ProjectFile
    sources: dict[str, SourceFile]
    journeys: dict[str, JourneyFile]

    def contact_gap(self, source: str) -> timedelta:
        """That of the source; where its file is gone and its events are still in the ledger, what a file says by itself."""
        file = self.sources.get(source)
        gap: timedelta = file.contact_gap if file is not None else SourceFile.model_fields["contact_gap"].default
        return gap

"""What happened, as noted down by the simulation before any system writes it in its own way.

Belongs here: the row types that behaviour appends to and exporters read, and the world that both share. No file
formats and no behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from simulation.clock import Clock
from simulation.people import Account, People, Person


class CrmRow(NamedTuple):
    """One status change of a case (or, without a case, an outbound mailing)."""

    t: int
    t_end: int  # 0: no end recorded
    person: Person
    journey: str | None
    phase: str | None
    internal: bool
    case: str
    case_type: str
    account: Account
    status: str
    team: str
    amount: int  # in cents, 0: none
    origin: str


class CallRow(NamedTuple):
    """One telephone call."""

    t: int
    t_end: int
    person: Person
    journey: str | None
    phase: str | None
    queue: str
    reason: str
    account: Account | None  # only when the caller was identified
    case: str
    phone: str
    agent: int  # 0: the caller gave up in the queue
    outbound: bool
    since: int  # since when the caller says it has been broken, 0: not noted


class WebRow(NamedTuple):
    """One track event of the website."""

    t_ms: int
    person: Person
    journey: str | None
    phase: str | None
    name: str
    cookie: str
    user: str
    account: Account | None
    case: str
    campaign: str
    since: int


class SurveyRow(NamedTuple):
    """One invitation to a survey, answered or not."""

    sent: int
    answered: int  # 0: never
    person: Person
    journey: str | None
    phase: str | None
    instrument: str
    score: int
    account: Account
    case: str
    call: int  # index of the call it is about, -1: none


class JourneyRow(NamedTuple):
    """One journey as it really went."""

    journey: str
    person: Person
    kind: str
    account: Account
    need: int  # 0: the need began with the first contact
    started: int
    ended: int  # 0: still open at the end of the period
    outcome: str
    cycle: int


class WaitRow(NamedTuple):
    """A stretch of time between the contacts of a journey, with whose turn it really was."""

    journey: str
    started: int
    ended: int
    turn: str


@dataclass
class Log:
    """Everything noted down."""

    crm: list[CrmRow] = field(default_factory=list)
    calls: list[CallRow] = field(default_factory=list)
    web: list[WebRow] = field(default_factory=list)
    surveys: list[SurveyRow] = field(default_factory=list)
    journeys: list[JourneyRow] = field(default_factory=list)
    waits: list[WaitRow] = field(default_factory=list)


@dataclass
class World:
    """The state that all behaviour shares."""

    seed: int
    clock: Clock
    people: People
    rng: Random
    log: Log = field(default_factory=Log)
    cases: int = 0
    case_numbers: dict[str, str] = field(default_factory=lambda: {"": ""})
    cookies: set[tuple[str, int]] = field(default_factory=set)
    called_from: set[tuple[str, int]] = field(default_factory=set)

    def new_case(self, prefix: str) -> str:
        """A token for a new case; its number is given when all are known."""
        self.cases += 1
        return f"{prefix}-{self.cases}"

    def number_cases(self) -> None:
        """Number the cases in the order in which they were opened: one counter, whatever the type."""
        for row in sorted(self.log.crm, key=lambda row: row.t):
            if row.case not in self.case_numbers:
                self.case_numbers[row.case] = f"{row.case[:2]}-{len(self.case_numbers):06d}"
        mentioned = [row.case for row in self.log.calls] + [row.case for row in self.log.surveys]
        for case in mentioned:
            if case not in self.case_numbers:  # none of its steps was ever written down
                self.case_numbers[case] = f"{case[:2]}-{len(self.case_numbers):06d}"

"""What the journey files say, worked out once for each kind of event.

A *kind* is a distinct (source, activity, channel, initiator, team, declared visibility, instrument). There are few, so
matchers are tried here in plain Python, and the kernel only looks answers up by the event's kind.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from klantspoor.errors import ConfigError, Problem
from klantspoor.project.match import fits, specificity
from klantspoor.project.model import ActivityMatcher, JourneyFile, Project

NO_ROLE, PHASE, UNPHASED, ANSWER, INTERNAL = range(5)
ROLE_NAMES = ("none", "phase", "unphased", "answer", "internal")
TURN_NAMES = (
    "asks_us",
    "asks_customer",
    "promises",
    "settles",
    "hands_to_partner",
    "returns_from_partner",
    "chases",
)
ASKS_US, ASKS_CUSTOMER, PROMISES, SETTLES, HANDS_TO_PARTNER, RETURNS_FROM_PARTNER, CHASES = range(7)
NO_TURN = -1
MOST_PHASES = 7
MANY_PHASES = MOST_PHASES
"""Stands in `TypeRules.phase` for an activity that several phases list (R2 allows seven phases: 0 to 6)."""
KIND_COLUMNS = ("source", "activity", "channel", "initiator", "team", "declared_visibility", "instrument")

Small = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event, as the matchers see it."""

    source: str
    activity: str
    channel: str | None
    declared_visibility: str | None
    instrument: str | None


@dataclass(frozen=True, slots=True)
class TypeRules:
    """One journey type, looked up by kind: every array has one entry per kind. Durations are in microseconds.

    `phase` is -1 outside phases and `MANY_PHASES` for an activity of several; `phase_after[kind, p + 1]` is then the
    phase it is in after phase p (p = -1: nothing came before).
    """

    name: str
    phases: tuple[str, ...]
    key: str | None
    gap: int
    abandoned_after: int
    any_opens: bool
    role: Small
    phase: Small
    phase_after: Small
    rank: npt.NDArray[np.int32]
    companion: Flags
    opens: Flags
    needs: Flags
    closes: Flags
    completes: Flags
    fails: Flags
    turn: Small
    mystery: Flags
    mystery_personas: tuple[str, ...]

    @property
    def visible(self) -> Flags:
        """Whether a kind is a contact of the customer's in this type."""
        return np.isin(self.role, (PHASE, UNPHASED))

    @property
    def id_prefix(self) -> str:
        """What every journey_id of this type begins with."""
        return "J" + hashlib.sha256(self.name.encode()).hexdigest()[:4]


def _fits(matcher: ActivityMatcher, kind: Kind) -> bool:
    return fits(matcher, kind.source, kind.activity, kind.channel)


@dataclass(frozen=True, slots=True)
class _Listed:
    matcher: ActivityMatcher
    role: int
    phase: int
    rank: int


def _listed(journey: JourneyFile) -> list[_Listed]:
    found = [(m, PHASE, number) for number, phase in enumerate(journey.phases) for m in phase.activities]
    found += [(m, UNPHASED, -1) for m in journey.unphased]
    found += [(m, INTERNAL, -1) for m in journey.internal]
    return [_Listed(matcher, role, phase, rank) for rank, (matcher, role, phase) in enumerate(found)]


@dataclass(frozen=True, slots=True)
class _Role:
    role: int = NO_ROLE
    phases: tuple[int, ...] = ()
    rank: int = -1


def _role(journey: JourneyFile, listed: list[_Listed], kind: Kind) -> _Role:
    """What one kind is in one journey type, in which phases, and the rank of the matcher that won."""
    fitting = [entry for entry in listed if _fits(entry.matcher, kind)]
    if not fitting:
        return _Role()
    best = max(specificity(entry.matcher) for entry in fitting)
    top = [entry for entry in fitting if specificity(entry.matcher) == best]
    winner = top[0]
    if kind.declared_visibility == "internal":
        return _Role(INTERNAL, (), winner.rank)
    if kind.declared_visibility == "visible":
        shown = [entry for entry in fitting if entry.role != INTERNAL]
        winner = max(shown, key=lambda entry: (specificity(entry.matcher), -entry.rank)) if shown else winner
        role = UNPHASED if winner.role == INTERNAL else winner.role
    else:
        role = winner.role
        if len({entry.role == INTERNAL for entry in top}) > 1:
            raise ConfigError([_both_sides(journey, top, kind)])
    if role == UNPHASED and kind.instrument is not None:
        role = ANSWER
    if role != PHASE:
        return _Role(role, (), winner.rank)
    equal = {e.phase for e in fitting if e.role == PHASE and specificity(e.matcher) == specificity(winner.matcher)}
    return _Role(role, tuple(sorted(equal)), winner.rank)


def _phase_after(phases: tuple[int, ...]) -> list[int]:
    """The phase of an activity by the phase before it, -1 (nothing before) to MOST_PHASES - 1; see docs/journeys.md."""
    if not phases:
        return [-1] * (MOST_PHASES + 1)
    return [next((phase for phase in phases if phase >= before), phases[-1]) for before in range(-1, MOST_PHASES)]


def _both_sides(journey: JourneyFile, top: list[_Listed], kind: Kind) -> Problem:
    names = ", ".join(repr(entry.matcher.activity[:80]) for entry in top)
    return Problem(
        file=f"journeys/{journey.journey}.yaml",
        where="internal",
        message="an activity is internal and also a contact, by equally specific matchers",
        value=f"{kind.activity[:80]!r} of source {kind.source} ({names})",
        expected="an internal step is in no phase and not among the unphased contacts",
        hint="name the activity exactly where it belongs",
        rule="R3",
    )


def kinds_of(table: pa.Table) -> list[Kind]:
    """The kinds of a table with (at least) the columns source, activity, channel, declared_visibility, instrument."""
    names = ("source", "activity", "channel", "declared_visibility", "instrument")
    return [Kind(*values) for values in zip(*(table[name].to_pylist() for name in names), strict=True)]


def compile_type(journey: JourneyFile, kinds: list[Kind]) -> TypeRules:
    """Works one journey file out for every kind.

    Raises:
        ConfigError: where an internal and a visible matcher fit the same kind equally well (R3).
    """
    listed = _listed(journey)
    roles = [_role(journey, listed, kind) for kind in kinds]

    def flags(matchers: list[ActivityMatcher]) -> Flags:
        return np.array([any(_fits(m, kind) for m in matchers) for kind in kinds], dtype=bool)

    turn = np.full(len(kinds), NO_TURN, dtype=np.int8)
    for number in reversed(range(len(TURN_NAMES))):
        turn[flags(getattr(journey.turns, TURN_NAMES[number]))] = number
    gap = _microseconds(journey.cut.gap)
    return TypeRules(
        name=journey.journey,
        phases=tuple(phase.id for phase in journey.phases),
        key=journey.cut.case_key,
        gap=gap,
        abandoned_after=gap if journey.abandoned_after is None else _microseconds(journey.abandoned_after),
        any_opens=bool(journey.cut.opens),
        role=np.array([found.role for found in roles], dtype=np.int8),
        phase=np.array([_one_phase(found.phases) for found in roles], dtype=np.int8),
        phase_after=np.array([_phase_after(found.phases) for found in roles], dtype=np.int8).reshape(
            -1, MOST_PHASES + 1
        ),
        rank=np.array([found.rank for found in roles], dtype=np.int32),
        companion=flags(journey.companions),
        opens=flags(journey.cut.opens),
        needs=flags(journey.cut.needs) if journey.cut.needs else np.ones(len(kinds), dtype=bool),
        closes=flags(journey.cut.closes),
        completes=flags(journey.completes),
        fails=flags(journey.fails),
        turn=turn,
        mystery=flags(journey.mystery_guests.activities),
        mystery_personas=tuple(journey.mystery_guests.personas),
    )


def _one_phase(phases: tuple[int, ...]) -> int:
    return MANY_PHASES if len(phases) > 1 else (phases[0] if phases else -1)


def _microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def compile_rules(project: Project, kinds: list[Kind]) -> list[TypeRules]:
    """All journey types, by name."""
    rules = [compile_type(project.journeys[name], kinds) for name in sorted(project.journeys)]
    prefixes = {rule.id_prefix: rule.name for rule in rules}
    if len(prefixes) < len(rules):
        clash = next(rule.name for rule in rules if prefixes[rule.id_prefix] != rule.name)
        raise ConfigError(
            [Problem(f"journeys/{clash}.yaml", "journey", "its ids would begin like another type's", hint="rename it")]
        )
    return rules


def roles_table(project: Project, kinds: pa.Table) -> pa.Table:
    """Which journey types map which kind, and as what.

    Args:
        project: the loaded project.
        kinds: one row per kind, with `kind` and the columns of KIND_COLUMNS.

    Returns:
        Columns kind (int32), journey_type, role (phase, unphased, answer, internal), phase (null outside phases) and
        phase_number (int64, from 1): one row per kind, journey type that maps it, and phase that lists it.
    """
    numbers = kinds["kind"].to_pylist()
    rows: list[tuple[int, str, str, str | None, int | None]] = []
    for rule in compile_rules(project, kinds_of(kinds)):
        for row in np.flatnonzero(rule.role != NO_ROLE):
            places: list[int | None] = [*sorted({int(place) for place in rule.phase_after[row] if place >= 0})] or [
                None
            ]
            for place in places:
                phase = None if place is None else rule.phases[place]
                number = None if place is None else place + 1
                rows.append((numbers[row], rule.name, ROLE_NAMES[rule.role[row]], phase, number))
    names = ("kind", "journey_type", "role", "phase", "phase_number")
    types = (pa.int32(), pa.string(), pa.string(), pa.string(), pa.int64())
    columns = zip(*rows, strict=True) if rows else [[]] * len(names)
    return pa.table({name: pa.array(column, type_) for name, type_, column in zip(names, types, columns, strict=True)})


def reach_of(project: Project, kinds: pa.Table) -> pa.Table:
    """For how long after an event of each kind later events, or mere silence, can still matter to its journeys.

    That is the longest of its source's `contact_gap`, and of `gap` and `abandoned_after` of the journey types that map it.

    Args:
        project: the loaded project.
        kinds: one row per kind, with `kind` and the columns of KIND_COLUMNS.

    Returns:
        Columns kind (int32) and reach (int64, microseconds).
    """
    rules = compile_rules(project, kinds_of(kinds))
    patience = np.array([max(rule.gap, rule.abandoned_after) for rule in rules], np.int64)
    maps = np.stack([rule.role != NO_ROLE for rule in rules])
    longest = np.where(maps, patience[:, None], 0).max(axis=0, initial=0)
    gaps = [project.contact_gap(name).total_seconds() for name in kinds["source"].to_pylist()]
    own = np.array([round(gap * 1_000_000) for gap in gaps], np.int64)
    return pa.table({"kind": kinds["kind"], "reach": np.maximum(longest, own)})


def said_of(project: Project, kinds: pa.Table) -> pa.Table:
    """A fingerprint of all that the configuration says of each kind: where two are equal, so are its journeys' rules.

    Args:
        project: the loaded project.
        kinds: one row per kind, with `kind` and the columns of KIND_COLUMNS.

    Returns:
        Columns kind (int32) and said (string).
    """
    rules = compile_rules(project, kinds_of(kinds))
    texts = []
    for row, source in enumerate(kinds["source"].to_pylist()):
        of_types = [[_said(rule, row)] for rule in rules if rule.role[row] != NO_ROLE]
        texts.append(sha256(json.dumps([str(project.contact_gap(source)), of_types]).encode()).hexdigest()[:16])
    return pa.table({"kind": kinds["kind"], "said": pa.array(texts, pa.string())})


def _said(rule: TypeRules, row: int) -> dict[str, object]:
    """What one journey type says of one kind, and of all its kinds, as values of JSON."""
    values = {name: getattr(rule, name) for name in TypeRules.__dataclass_fields__}
    return {name: value[row].tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}

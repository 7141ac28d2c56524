"""What the rules of a project look at: all its files together, and the words its sources use.

A file with a mistake may be missing here: the rules then keep quiet about what it could have held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from klantspoor.project.model import ActivityMatcher, JourneyFile, Project, ProjectFile, SourceFile
from klantspoor.project.sql import ResolvedMapping, SqlError, merged_events, parse


@dataclass(frozen=True, slots=True)
class Words:
    """The texts one expression can give: as far as they are told, and whether those are all. None: no value."""

    known: frozenset[str | None]
    are_all: bool


@dataclass(frozen=True, slots=True)
class Made:
    """The kinds of event that one event mapping of one source can make."""

    source: str
    activities: Words
    channels: Words
    teams: Words
    visibility: str | None


@dataclass(frozen=True)
class Scope:
    """The files by name; `file` is None, and a source only in `unread`, where its mistakes left nothing to look at."""

    root: Path
    file: ProjectFile | None
    sources: dict[str, SourceFile]
    journeys: dict[str, JourneyFile]
    unread: frozenset[str] = frozenset()

    @classmethod
    def of(cls, project: Project) -> Scope:
        """The scope of a loaded project."""
        return cls(Path(project.root), project.file, project.sources, project.journeys)

    @cached_property
    def mappings(self) -> dict[str, list[ResolvedMapping]]:
        """The event mappings of each source of events, defaults filled in."""
        return {name: merged_events(source) for name, source in self.sources.items() if source.kind == "events"}

    @cached_property
    def source_names(self) -> frozenset[str]:
        """Every source's name, those that could not be read included."""
        return frozenset(self.sources) | self.unread

    @cached_property
    def case_keys(self) -> frozenset[str]:
        """Every case key that a source maps."""
        return frozenset(key for made in self.mappings.values() for mapping in made for key in mapping.case_keys or {})

    @cached_property
    def made(self) -> list[Made]:
        """What every event mapping can make."""
        return [
            Made(name, _words(m.activity), _words(m.channel), _words(m.team), m.visibility)
            for name, mappings in self.mappings.items()
            for m in mappings
        ]


def matchers_of(journey: JourneyFile) -> Iterator[tuple[str, ActivityMatcher]]:
    """(place in the file, matcher) of every matcher of a journey file."""
    for number, phase in enumerate(journey.phases):
        yield from _placed(f"phases[{number}].activities", phase.activities)
    for key in ("unphased", "internal", "completes", "fails"):
        yield from _placed(key, getattr(journey, key))
    for key in ("opens", "closes"):
        yield from _placed(f"cut.{key}", getattr(journey.cut, key))
    for key in type(journey.turns).model_fields:
        yield from _placed(f"turns.{key}", getattr(journey.turns, key))
    yield from _placed("mystery_guests.activities", journey.mystery_guests.activities)


def _placed(place: str, matchers: list[ActivityMatcher]) -> Iterator[tuple[str, ActivityMatcher]]:
    for number, matcher in enumerate(matchers):
        yield f"{place}[{number}]", matcher


def _words(text: str | None) -> Words:
    if text is None:
        return Words(frozenset({None}), True)
    try:
        expression = parse(text)
    except SqlError:
        return Words(frozenset(), False)
    return Words(expression.results, expression.is_closed)

"""What the published version remembers for the night after it, so that settled history is not read again.

`state/` of a version names exactly what it was made of. Where that is not the beginning of what there is today, or a
rule, the software or the clock does not fit, nothing of it is used, and everything is built anew from the ledger: with
the same outcome, for the state only says what the ledger says. Rows that left the settled part are noted as dropped;
what they are in the files of the state counts no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb

from klantspoor.intake.ledger import LedgerFile
from klantspoor.lake import Lake, Staging, Version
from klantspoor.lake.connection import literal
from klantspoor.lake.parts import A_GENERATION, parts
from klantspoor.lake.publishing import dictionary_fingerprint
from klantspoor.lake.writer import link
from klantspoor.project.model import Project

ABOUT = "about.json"
MOST_FILES = 24
"""Files of one kind of state; of more, those that are small beside another are made into one."""
MUCH = 4
"""How many times as long as all that are shorter together a file is that is left alone then."""
MOST_GENERATIONS = 24
"""Nights that settled rows, of which parts are there; after so many all is built anew, and lies by person again (adr/0017)."""

LIVE = {
    "event_id": "VARCHAR", "source": "VARCHAR", "source_event_id": "VARCHAR", "occurred_at": "TIMESTAMPTZ",
    "ended_at": "TIMESTAMPTZ", "need_started_at": "TIMESTAMPTZ", "received_at": "TIMESTAMPTZ", "activity": "VARCHAR",
    "channel": "VARCHAR", "initiator": "VARCHAR", "team": "VARCHAR", "topic": "VARCHAR", "outcome": "VARCHAR",
    "declared_visibility": "VARCHAR", "account_id": "VARCHAR", "attributes": "VARCHAR", "file_sequence": "BIGINT",
    "row_number": "BIGINT", "position": "SMALLINT", "tie_order": "BIGINT", "instrument": "VARCHAR", "score": "DOUBLE",
    "score_0_100": "DOUBLE", "identifier_set": "UBIGINT",
}  # fmt: skip
"""An event as read, but for its case keys (`key_NAME`, VARCHAR)."""
PERSON = {"person_id": "VARCHAR", "person_rule": "VARCHAR", "known_person_id": "VARCHAR"}
BESIDE = (
    "file_sequence", "row_number", "position", "tie_order", "need_started_at", "declared_visibility", "instrument",
    "score", "score_0_100", "identifier_set", "topic",
)  # fmt: skip
"""Of a settled event what the state keeps beside the published row, or to look at without it."""
_STATE: dict[str, dict[str, str]] = {
    "ids": {"id": "UBIGINT", "sequence": "BIGINT"},
    "losers": {
        "event_id": "VARCHAR", "sequence": "BIGINT", "row_number": "BIGINT", "position": "SMALLINT", "outcome": "INTEGER",
    },
    "kinds": dict.fromkeys(
        ("source", "activity", "channel", "initiator", "team", "declared_visibility", "instrument"), "VARCHAR"
    ) | {"said": "VARCHAR", "events": "BIGINT"},
    "personas": {
        "identifier_set": "UBIGINT", "persona": "VARCHAR", "last_seen": "TIMESTAMPTZ", "sequence": "BIGINT",
    },
    "dropped": {"event_id": "VARCHAR", "generation": "BIGINT"},
    "reopened": {"person": "UBIGINT", "since": "BIGINT", "generation": "BIGINT"},
    "persons": {"person": "UBIGINT", "deadline": "BIGINT", "persona": "VARCHAR", "generation": "BIGINT"},
    "cases": {"person": "UBIGINT", "key": "VARCHAR", "word": "UBIGINT"},
    "sets": {"identifier_set": "UBIGINT", "person": "UBIGINT"},
}  # fmt: skip


def columns_of(name: str, case_keys: Iterable[str]) -> dict[str, str]:
    """The columns of one kind of state, and their DuckDB types."""
    keys = {f"key_{key}": "VARCHAR" for key in case_keys}
    if name == "live":
        return LIVE | keys | PERSON
    if name == "settled":
        own = {
            "event_id": "VARCHAR",
            "id": "UBIGINT",
            "person": "UBIGINT",
            "person_rule": "VARCHAR",
            "at": "BIGINT",
            "deadline": "BIGINT",
        }
        return own | {column: LIVE[column] for column in BESIDE} | keys | {"part": "BIGINT", "generation": "BIGINT"}
    return _STATE[name]


@dataclass(frozen=True, slots=True)
class Base:
    """What tonight goes on from: a version with its state, or nothing (`version` is None).

    `rules` tells one configuration from another, `same_rules` says that the version was made by this one; `files` is how many
    of the ledger's files it was made of, `generation` the number of this night's additions.
    """

    version: Version | None
    case_keys: tuple[str, ...]
    made_of: dict[str, Any]
    as_of: datetime
    rules: str
    files: int = 0
    generation: int = 1
    ledger: list[list[Any]] = field(default_factory=list)
    same_rules: bool = False

    def paths(self, name: str) -> list[Path]:
        """The files of one kind of state."""
        return [] if self.version is None else sorted((self.version.state / name).glob("*.parquet"))

    def view(self, connection: duckdb.DuckDBPyConnection, *names: str) -> None:
        """Views `base_NAME` of kinds of state, empty where there is none; `base_settled` … without what was dropped."""
        for name in names:
            connection.execute(f"CREATE OR REPLACE TEMP VIEW base_{name} AS {self._rows(name, self.paths(name))}")

    def _rows(self, name: str, paths: Sequence[Path]) -> str:
        """SQL: what counts of the rows of some files of a kind of state."""
        columns = columns_of(name, self.case_keys)
        listed = ", ".join(literal(str(path)) for path in paths)
        source = f"read_parquet([{listed}])" if paths else f"(SELECT {_empty(columns)} WHERE false)"
        named = ", ".join(f's."{column}"' for column in columns)
        rows = f"SELECT {named} FROM {source} s"
        return f"{rows} WHERE {counts(name)}" if name in _LEAVES else rows

    def keep(
        self, connection: duckdb.DuckDBPyConnection, staging: Staging, name: str, query: str, **given: Any
    ) -> None:
        """Adds the rows of a query, if there are any, to one kind of state, behind what the version before has of it."""
        folder = staging.state(name, anew=True)
        paths = self.paths(name)
        short = _short(paths) if len(paths) >= MOST_FILES else []
        if short:
            listed = ", ".join(f'"{column}"' for column in columns_of(name, self.case_keys))
            query = f"SELECT {listed} FROM ({self._rows(name, short)}) UNION ALL SELECT {listed} FROM ({query})"
        for path in paths:
            if path not in short:
                link(path, folder / path.name)
        written, rows = self._write(connection, folder, query, given)
        if not rows and len(list(folder.iterdir())) > 1:  # what reads them needs one to tell the columns by
            written.unlink()

    def replace(self, connection: duckdb.DuckDBPyConnection, staging: Staging, name: str, query: str) -> None:
        """Makes the rows of a query one kind of state, in place of what the version before has of it."""
        folder = staging.state(name, anew=True)
        self._write(connection, folder, query, {})

    def _write(
        self, connection: duckdb.DuckDBPyConnection, folder: Path, query: str, given: dict[str, Any]
    ) -> tuple[Path, int]:
        path = folder / f"{self.generation:06d}.parquet"
        how = "FORMAT parquet, COMPRESSION zstd"
        if folder.name in IN_ORDER:
            order, rows = IN_ORDER[folder.name]
            query, how = f"SELECT * FROM ({query}) ORDER BY {order}", f"{how}, ROW_GROUP_SIZE {rows}"
        [(rows,)] = connection.execute(f"COPY ({query}) TO $path ({how})", given | {"path": str(path)}).fetchall()
        return path, int(rows)

    def note(self, staging: Staging) -> None:
        """Says what tonight's state is made of."""
        said = {
            "made_of": self.made_of,
            "rules": self.rules,
            "ledger": self.ledger,
            "as_of": self.as_of.isoformat(),
            "generation": self.generation,
        }
        (staging.state("about", anew=True) / ABOUT).write_text(json.dumps(said), "utf-8")


SHARED = ("in_turn", "same_topic")
"""Rules that give one set's events to several persons."""
IN_ORDER = {"settled": (f"coalesce(person_rule, '') IN {SHARED}, person NULLS LAST, identifier_set", 8192)}
"""Kinds of state whose files are in an order (SQL), and the rows of a row group there: one person's are read with these."""
_LEAVES = {
    "settled": ("event_id", "dropped"),
    "persons": ("person", "reopened"),
}


def _short(paths: Sequence[Path]) -> list[Path]:
    """Those that are to be made into one: so each row is written anew a few times only, however long the history gets."""
    by_size = sorted((path.stat().st_size, path) for path in paths)
    chosen: list[Path] = []
    together = 0
    for size, path in by_size:
        if chosen and size > MUCH * together:
            break
        chosen.append(path)
        together += size
    return chosen


def counts(name: str) -> str:
    """SQL: whether a row `s` of a kind of state that rows can leave is still one of it."""
    by, out = _LEAVES[name]
    return f"NOT EXISTS (SELECT 1 FROM base_{out} d WHERE d.{by} = s.{by} AND d.generation >= s.generation)"


def _empty(columns: dict[str, str]) -> str:
    return ", ".join(f'NULL::{type_} AS "{name}"' for name, type_ in columns.items())


def rules_fingerprint(project: Project) -> str:
    """Changes with whatever in the configuration decides about events that were read, and their journeys."""
    return _fingerprint(
        {
            "journeys": {name: file.model_dump(mode="json") for name, file in sorted(project.journeys.items())},
            "contact_gaps": {name: str(source.contact_gap) for name, source in sorted(project.sources.items())},
        }
        | _for_all(project)
    )


def _for_all(project: Project) -> dict[str, Any]:
    """What decides about all journeys alike; of the rest, `journeys.rules.said_of` tells which kinds of events it is about."""
    calendar = project.file.calendar
    return {"calendar": calendar.model_dump(mode="json") if calendar else None, "timezone": project.file.timezone}


def _fingerprint(said: dict[str, Any]) -> str:
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def software_fingerprint() -> str:
    """Changes with the code that the state was made by."""
    rooms = Path(__file__).resolve().parent.parent
    code = sorted(path for room in ("events", "journeys") for path in (rooms / room).glob("*.py"))
    return sha256(b"".join(path.read_bytes() for path in code)).hexdigest()[:16]


def _digest(file: LedgerFile) -> str:
    sizes = [path.stat().st_size for path in (file.events, file.links, file.quarantine)]
    return sha256(f"{file.record.to_json()}{sizes}".encode()).hexdigest()[:24]


def _lies_together(version: Version) -> bool:
    """Whether what is settled lies in parts of few enough nights; else it is time to build everything anew, if there is room."""
    return len({number // A_GENERATION for number in parts(version.root / "events")}) < MOST_GENERATIONS


def open_base(
    project: Project, lake: Lake, staging: Staging, files: Sequence[LedgerFile], case_keys: Sequence[str]
) -> Base:
    """The state to go on from, if the current version has one that fits; `files` are all of the ledger's."""
    made_of = {
        "for_all": _fingerprint(_for_all(project) | {"case_keys": list(case_keys)}),
        "software": software_fingerprint(),
        "dictionary": dictionary_fingerprint(),
    }
    today = [[file.record.sequence, _digest(file)] for file in files]
    keys, as_of, rules = tuple(case_keys), staging.as_of, rules_fingerprint(project)
    anew = Base(None, keys, made_of, as_of, rules, ledger=today)
    version = lake.current()
    if version is None:
        return anew
    try:
        about = json.loads((version.state / "about" / ABOUT).read_text("utf-8"))
        known, generation = about["ledger"], int(about["generation"])
        fits = about["made_of"] == made_of and known == today[: len(known)]
        fits = fits and datetime.fromisoformat(about["as_of"]) <= as_of
        fits = fits and (_lies_together(version) or not lake.expect(0).fits_anew)
    except (OSError, ValueError, KeyError, TypeError):
        return anew
    if not fits:
        return anew
    same = about.get("rules") == rules
    return Base(version, keys, made_of, as_of, rules, len(known), generation + 1, today, same)

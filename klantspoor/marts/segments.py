"""Segments of narrow columns: the settled journeys' are kept from night to night, only the live ones' are made anew.

A segment holds whole journeys: four tables (`journeys`, `visits`, `steps`, `stretches`) as columns of numbers that refer to
each other by place, and the texts that codes stand for. What a column means is in `klantspoor.marts.paths`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from klantspoor.lake.connection import literal, quoted
from klantspoor.lake.parts import A_GENERATION, parts
from klantspoor.lake.staging import Staging
from klantspoor.lake.writer import link
from klantspoor.marts.cube import Ints, arranged

Column = npt.NDArray[Any]
TABLES = ("journeys", "touchpoints", "phase_visits", "waits")
MOST_SEGMENTS = 12
"""Segments that are kept beside each other; more are made into one."""
_CODED = {
    "journeys": {"journey_type": "journey_type", "persona": "persona"},
    "visits": {"phase": "phase"},
    "steps": {"activity": "activity", "channel": "channel", "known": "phase"},
    "stretches": {},
}
_ABOUT = "about.json"


@dataclass(frozen=True, slots=True)
class Segment:
    """`names` gives the texts of codes by kind, `columns` the columns by table, `gone` the places of rows that count no more.

    Journeys are in order of their person (`person`, 64 bits of the id), visits and steps in order of their journeys.
    """

    names: dict[str, list[str]]
    columns: dict[str, dict[str, Column]]
    gone: dict[str, Ints] = field(default_factory=dict)

    def save(self, folder: Path, number: int) -> None:
        """Keeps it in a folder, under its number."""
        for table, columns in self.columns.items():
            for name, values in columns.items():
                np.save(folder / f"{number:06d}.{table}.{name}.npy", values, allow_pickle=False)
        (folder / f"{number:06d}.names.json").write_text(json.dumps(self.names), "utf-8")


def read(folder: Path, number: int) -> Segment:
    """The segment that `save` kept under this number; mapped, not read."""
    columns: dict[str, dict[str, Column]] = {}
    for path in sorted(folder.glob(f"{number:06d}.*.npy")):
        _, table, name, _ = path.name.split(".")
        columns.setdefault(table, {})[name] = np.load(path, mmap_mode="r", allow_pickle=False)
    return Segment(json.loads((folder / f"{number:06d}.names.json").read_text("utf-8")), columns)


def without(segment: Segment, reopened: pa.Table) -> Segment:
    """The segment without journeys that began when their person was reopened, or later; `reopened` is in order of persons.

    They are few, and nothing is copied for them: `joined` leaves them out.
    """
    person, since = reopened["person"].to_numpy(), reopened["since"].to_numpy()
    journeys = segment.columns["journeys"]
    if not len(person):
        return segment
    place = np.minimum(np.searchsorted(person, journeys["person"]), len(person) - 1)
    gone = (person[place] == journeys["person"]) & (journeys["started"] >= since[place])
    if not gone.any():
        return segment
    places: dict[str, Ints] = {"journeys": np.flatnonzero(gone)}
    for table in ("visits", "steps"):
        journey = segment.columns[table]["journey"]
        first, last = (np.searchsorted(journey, places["journeys"], side=side) for side in ("left", "right"))
        places[table] = np.concatenate([np.arange(begin, end) for begin, end in zip(first, last, strict=True)])
    is_gone = np.zeros(len(segment.columns["steps"]["journey"]), dtype=bool)
    is_gone[places["steps"]] = True
    places["stretches"] = np.flatnonzero(is_gone[segment.columns["stretches"]["step"]])
    return Segment(segment.names, segment.columns, places)


def _referring(
    columns: dict[str, dict[str, Column]], journey: Ints, visit: Ints, step: Ints
) -> dict[str, dict[str, Column]]:
    """Columns whose references are by new places, given by the old ones."""
    changed = {table: dict(values) for table, values in columns.items()}
    for table in ("visits", "steps"):
        changed[table]["journey"] = journey[columns[table]["journey"]].astype(np.int32)
    changed["stretches"]["step"] = step[columns["stretches"]["step"]].astype(np.int32)
    old = columns["steps"]["visit"]
    changed["steps"]["visit"] = np.where(old >= 0, np.append(visit, -1)[old], -1).astype(np.int32)
    return changed


def joined(segments: Sequence[Segment]) -> Segment:
    """Several segments as one."""
    if len(segments) == 1 and not segments[0].gone:
        return segments[0]
    names = {kind: sorted({name for segment in segments for name in segment.names[kind]}) for kind in segments[0].names}
    recoded = [_recoded(segment, names) for segment in segments]
    before = dict.fromkeys(recoded[0], 0)
    left: dict[str, dict[str, list[Column]]] = {table: {name: [] for name in of} for table, of in recoded[0].items()}
    for segment, columns in zip(segments, recoded, strict=True):
        new = {table: _numbered(columns, segment.gone, table) for table in before}
        offset = [new[table] + before[table] for table in ("journeys", "visits", "steps")]
        for table, values in _referring(columns, *offset).items():
            for name, column in values.items():
                left[table][name] += _stretches_between(column, segment.gone.get(table))
        before = {table: before[table] + int(new[table][-1] + 1 if len(new[table]) else 0) for table in before}
    together = {
        table: {name: np.concatenate(pieces) for name, pieces in columns.items()} for table, columns in left.items()
    }
    return Segment(names, _by_person(together))


def _numbered(columns: dict[str, dict[str, Column]], gone: dict[str, Ints], table: str) -> Ints:
    """Of each row of a table its place among those that stay; of those that do not, of the one before."""
    size = len(next(iter(columns[table].values())))
    if table not in gone:
        return np.arange(size, dtype=np.int64)
    stays = np.ones(size, dtype=bool)
    stays[gone[table]] = False
    return np.cumsum(stays, dtype=np.int64) - 1


def _stretches_between(column: Column, gone: Ints | None) -> list[Column]:
    """The column without some rows, as the stretches between them."""
    if gone is None:
        return [column]
    begins, ends = np.append(0, gone + 1), np.append(gone, len(column))
    return [column[begin:end] for begin, end in zip(begins, ends, strict=True) if begin < end] or [column[:0]]


def _recoded(segment: Segment, names: dict[str, list[str]]) -> dict[str, dict[str, Column]]:
    code = {kind: {name: place for place, name in enumerate(listed)} for kind, listed in names.items()}
    columns = {table: dict(values) for table, values in segment.columns.items()}
    for table, coded in _CODED.items():
        for name, kind in coded.items():
            new = np.array([code[kind][text] for text in segment.names[kind]] + [-1], dtype=np.int32)
            columns[table][name] = new[columns[table][name]]
    return columns


def _by_person(columns: dict[str, dict[str, Column]]) -> dict[str, dict[str, Column]]:
    """The same rows with the journeys in order of their person, visits and steps in order of the journeys."""
    order: dict[str, Ints] = {"journeys": np.argsort(columns["journeys"]["person"], kind="stable")}
    place = {"journeys": _places(order["journeys"])}
    for table in ("visits", "steps"):
        journey = place["journeys"][columns[table]["journey"]].astype(np.int32)
        order[table] = arranged(journey, len(place["journeys"]))
        place[table] = _places(order[table])
    moved = _referring(columns, place["journeys"], place["visits"], place["steps"])
    for table, by in order.items():
        moved[table] = {name: values[by] for name, values in moved[table].items()}
    return moved


def _places(order: Ints) -> Ints:
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of earlier nights for tonight: segments, and which of the staged files they do not hold.

    `generation` is tonight's number; None where nothing is kept, and all files are made into columns together.
    """

    generation: int | None
    segments: list[Segment]
    numbers: list[int]
    folder: Path | None

    def files(self, staging: Staging, *, settled: bool) -> dict[str, list[Path]]:
        """The staged files to be made into columns tonight: those settled tonight, or the live ones."""
        found = {}
        for table in TABLES:
            folder = staging.folder(table)
            known = parts(folder)
            if settled:
                found[table] = [path for number, path in known.items() if self._is_new(number)]
            else:
                ripe = set(known.values()) if self.generation is not None else set()
                found[table] = [path for path in sorted(folder.rglob("*.parquet")) if path not in ripe]
        return found

    def _is_new(self, number: int) -> bool:
        return not self.numbers or number >= (self.generation or 0) * A_GENERATION


def kept(staging: Staging, code: Iterable[Path], zone: str) -> Kept:
    """What the version that tonight goes on from keeps, if it was made by the same code; without the reopened persons."""
    try:
        base = json.loads((staging.work("canonical") / "base.json").read_text("utf-8"))
    except FileNotFoundError:
        return Kept(None, [], [], None)
    about = {"code": sha256(b"".join(path.read_bytes() for path in code)).hexdigest(), "zone": zone}
    target = staging.state("paths", anew=True)
    (target / _ABOUT).write_text(json.dumps(about), "utf-8")
    generation = int(base["generation"])
    folder = Path(base["version"]) / "state" / "paths" if base["version"] else None
    try:
        is_same = folder is not None and json.loads((folder / _ABOUT).read_text("utf-8")) == about
    except (OSError, ValueError):
        is_same = False
    if folder is None or not is_same:
        return Kept(generation, [], [], None)
    numbers = sorted(int(path.name[:6]) for path in folder.glob("*.names.json"))
    segments = [without(read(folder, number), _reopened(staging, number)) for number in numbers]
    return Kept(generation, segments, numbers, folder)


def _reopened(staging: Staging, number: int) -> pa.Table:
    """person, since: who was reopened after the segment of this number was made, and from when on, in order of the person."""
    rows = literal(str(staging.state("reopened") / "*.parquet"))
    with duckdb.connect() as con:
        return con.sql(
            f"""SELECT person, min(since) AS since FROM read_parquet({rows}) WHERE generation >= {int(number)}
                GROUP BY person ORDER BY person"""
        ).to_arrow_table()


def keep(staging: Staging, known: Kept, fresh: Segment | None) -> None:
    """Keeps the settled journeys' columns for the nights to come: those known, and what was settled tonight."""
    if known.generation is None:
        return
    target = staging.state("paths")
    if len(known.numbers) >= MOST_SEGMENTS:
        joined([*known.segments, *([fresh] if fresh else [])]).save(target, known.generation)
        return
    if known.folder is not None:
        for path in known.folder.glob("[0-9]*"):
            link(path, target / path.name)
    if fresh is not None:
        fresh.save(target, known.generation)


def show(con: duckdb.DuckDBPyConnection, files: dict[str, list[Path]], staging: Staging) -> None:
    """Views of some of the staged files of each table, empty where there are none."""
    for table, paths in files.items():
        some = paths or sorted(staging.folder(table).rglob("*.parquet"))[:1]
        listed = ", ".join(literal(str(path)) for path in some)
        where = "" if paths else " WHERE false"
        con.execute(
            f"CREATE OR REPLACE VIEW {quoted(table)} AS SELECT * FROM read_parquet([{listed}], hive_partitioning = false)"
            f"{where}"
        )


def person_key(column: str) -> str:
    """SQL: 64 bits of a person's id; of ids that are no hexadecimal number, a hash."""
    return f"coalesce(TRY_CAST(('0x' || {column}) AS UBIGINT), hash({column}))"


def as_numbers(person: npt.NDArray[np.uint64]) -> Column:
    """(n) Persons as numbers from 0, in order; the rows of one lie together."""
    fresh = np.ones(len(person), dtype=bool)
    fresh[1:] = person[1:] != person[:-1]
    return (np.cumsum(fresh) - 1).astype(np.int32)

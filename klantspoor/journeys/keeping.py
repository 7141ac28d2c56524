"""Journeys from night to night: what is settled stays in its parts, and what later nights must know of it.

A part holds settled journeys of some persons, in one file of each table, all by one number.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.journeys.kernel import Reconstructed
from klantspoor.journeys.publish import Filed
from klantspoor.journeys.segments import Ints, changes, starts_of
from klantspoor.journeys.slices import Earlier
from klantspoor.lake import Staging, TableWriter
from klantspoor.lake.connection import literal
from klantspoor.lake.parts import A_GENERATION, Gone, by_part, part_name, parts, take_over
from klantspoor.lake.writer import link

JOURNEY_TABLES = ("journeys", "touchpoints", "touchpoint_events", "phase_visits", "waits", "experiences")
OF_JOURNEYS = JOURNEY_TABLES[:-1]
PART_JOURNEYS = 1024
"""Journeys of a part, about: see `klantspoor.events.written.PART_ROWS`."""
LIVE = -1
"""In place of a part: the row is written anew every night."""
STATE = pa.schema(
    [
        ("journey_id", pa.string()),
        ("person", pa.uint64()),
        ("journey_type", pa.string()),
        ("account", pa.uint64()),
        ("cycle", pa.int64()),
        ("started", pa.int64()),
        ("ended", pa.int64()),
        ("part", pa.int64()),
        ("generation", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Before:
    """What the events stage says that tonight goes on from. Without it (`version` is None) all journeys are given.

    `lost` are the ids of settled journeys of persons who are reopened, by part; `answers` those of answers that may have
    changed. `settles` says that what is settled leaves the live rows tonight.
    """

    version: Path | None = None
    generation: int = 1
    settles: bool = False
    is_sorted: bool = False
    lost: Gone = field(default_factory=dict)
    answers: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    cycles: pa.Table | None = None

    def earlier(self, types: list[str]) -> Earlier | None:
        """What the kernel must know of settled journeys; `types` are the journey types, by code."""
        if self.cycles is None:
            return None
        code = pc.index_in(self.cycles["journey_type"], pa.array(types, pa.string()))
        known = self.cycles.filter(pc.is_valid(code))
        return Earlier(
            known["person"].to_numpy(),
            pc.drop_null(code).to_numpy().astype(np.int16),
            known["account"].to_numpy(),
            known["cycles"].to_numpy(),
            known["last"].combine_chunks(),
        )


def open_before(connection: duckdb.DuckDBPyConnection, staging: Staging) -> Before:
    """What `canonical/base.json` and the files beside it say."""
    folder = staging.work("canonical")
    try:
        said = json.loads((folder / "base.json").read_text("utf-8"))
    except FileNotFoundError:
        return Before()
    begun = Before(None, said["generation"], said["settles"], is_sorted=True)
    if said["version"] is None:
        return begun
    version = Path(said["version"])
    path = literal(str(folder / "reopened.parquet"))
    connection.execute(f"CREATE TEMP TABLE reopened AS SELECT * FROM read_parquet({path})")
    live = literal(str(folder / "events.parquet"))
    connection.execute(f"CREATE TEMP TABLE live_persons AS SELECT DISTINCT person FROM read_parquet({live})")
    _view(connection, version, "journeys")
    lost = connection.sql(
        """SELECT j.journey_id, j.part FROM settled_journeys j JOIN reopened r USING (person) WHERE j.started >= r.since"""
    ).to_arrow_table()
    dropped = literal(str(folder / "dropped.parquet"))
    return Before(
        version,
        said["generation"],
        said["settles"],
        is_sorted=True,
        lost=by_part(lost, "journey_id"),
        answers=connection.sql(f"SELECT event_id FROM read_parquet({dropped})")
        .to_arrow_table()["event_id"]
        .combine_chunks(),
        cycles=connection.sql(
            """SELECT person, journey_type, account, max(cycle) AS cycles, arg_max(journey_id, cycle) AS last
               FROM settled_journeys s SEMI JOIN live_persons USING (person)
               WHERE NOT EXISTS (SELECT 1 FROM reopened r WHERE r.person = s.person AND s.started >= r.since)
               GROUP BY ALL"""
        ).to_arrow_table(),
    )


def _view(connection: duckdb.DuckDBPyConnection, version: Path, name: str) -> None:
    """`settled_NAME`: the rows of one kind of state that count, as they did for the version before."""
    rows = literal(f"{version}/state/{name}/*.parquet")
    out = literal(f"{version}/state/reopened/*.parquet")
    connection.execute(
        f"""CREATE TEMP VIEW settled_{name} AS SELECT s.* FROM read_parquet({rows}) s
            WHERE NOT EXISTS (SELECT 1 FROM read_parquet({out}) d
                              WHERE d.person = s.person AND d.generation >= s.generation AND s.started >= d.since)"""
    )


class Keeper:
    """Writes what the kernel finds, live or settled, beside the parts of earlier nights; used as a context manager."""

    def __init__(self, before: Before, staging: Staging, writers: dict[str, TableWriter]) -> None:
        self._before = before
        self._writers = writers
        self._next = before.generation * A_GENERATION
        self._folder = staging.state("journeys", anew=True)
        self._state: list[pa.Table] = []

    def __enter__(self) -> Keeper:
        if self._before.version is not None:
            for name, writer in self._writers.items():
                folder = self._before.version / name
                if name == "experiences":
                    take_over(writer, folder, "event_id", _parts_with(folder, self._before.answers))
                else:
                    take_over(writer, folder, "journey_id", self._before.lost)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._keep()

    def write(self, found: Reconstructed) -> None:
        """Files the rows of one slice."""
        part = self._numbered(found)
        for name in OF_JOURNEYS:
            self._file(name, found.tables[name], part[found.tables[name].journey])
        self._file("experiences", found.tables["experiences"], np.where(found.answer_is_settled, self._next, LIVE))
        self._next += 1

    def _numbered(self, found: Reconstructed) -> Ints:
        """The part of each journey of the slice, LIVE for those that are not settled; and keeps what is settled."""
        filed = found.tables["journeys"]
        part = np.full(len(filed.journey), LIVE)
        chosen = np.flatnonzero(found.is_settled)
        if not len(chosen):
            return part
        # Journeys are in order of their persons.
        part[chosen] = self._next + np.arange(len(chosen)) // PART_JOURNEYS
        self._next = int(part[chosen[-1]]) + 1
        rows = filed.rows.take(pa.array(chosen))
        self._state.append(
            pa.table(
                {
                    "journey_id": rows["journey_id"],
                    "person": found.person[chosen],
                    "journey_type": rows["journey_type"].cast(pa.string()),
                    "account": found.account[chosen],
                    "cycle": rows["cycle"],
                    "started": rows["started_at"].cast(pa.int64()),
                    "ended": rows["ended_at"].cast(pa.int64()),
                    "part": part[chosen],
                    "generation": np.full(len(chosen), self._before.generation),
                }
            ).cast(STATE)
        )
        return part

    def _file(self, name: str, filed: Filed, part: Ints) -> None:
        """Writes rows to the live files of a table, and those of each part to its own."""
        writer = self._writers[name]
        if (part == LIVE).all():
            writer.write(filed.rows)
            return
        writer.write(filed.rows.filter(pa.array(part == LIVE)))
        # Rows are in order of their journeys, so those of a part lie together.
        rows, part = filed.rows.filter(pa.array(part != LIVE)), part[part != LIVE]
        edges = starts_of(changes(part))
        for start, end in zip(edges, [*edges[1:], len(part)], strict=True):
            writer.settle(rows.slice(start, end - start), part_name(int(part[start])))

    def _keep(self) -> None:
        """Adds what was settled tonight to the state, behind what the version before has of it."""
        if self._before.version is not None:
            for path in sorted((self._before.version / "state" / "journeys").glob("*.parquet")):
                link(path, self._folder / path.name)
            if not self._state:
                return
        rows = pa.concat_tables([STATE.empty_table(), *self._state])
        pq.write_table(rows, self._folder / f"{self._before.generation:06d}.parquet", compression="zstd")


def _parts_with(folder: Path, gone: pa.Array) -> Gone:
    """The parts of a version's answers that hold any of these events: there are few of them."""
    if not len(gone):
        return {}
    return {
        number: gone
        for number, path in parts(folder).items()
        if pc.any(pc.is_in(pq.read_table(path, columns=["event_id"], partitioning=None)["event_id"], gone)).as_py()
    }

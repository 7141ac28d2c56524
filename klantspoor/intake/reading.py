"""One landing file from its bytes to a ledger folder's parts: read in batches, each row given one outcome.

Where files come from and when a folder becomes part of the ledger is in `klantspoor.intake.take`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.errors import IntakeError
from klantspoor.intake.canonical import BAD_ROWS, LINK_ROWS, EventMaker, Made, Selection
from klantspoor.intake.faults import Faults, Mask, as_text, found, whole_file
from klantspoor.intake.gate import Gate
from klantspoor.intake.landing import LandingFile
from klantspoor.intake.ledger import EVENTS_SCHEMA, LINKS_SCHEMA, QUARANTINE_SCHEMA, repetitive, write_table
from klantspoor.intake.plan import Plan, Slot, make_plan
from klantspoor.intake.raw import RawBatch, RawFile, open_raw
from klantspoor.intake.sandbox import literal
from klantspoor.intake.tombstones import Tombstones
from klantspoor.intake.tools import Tools, case_keys
from klantspoor.intake.vault import VAULT_SCHEMA, VaultPart, described
from klantspoor.project.key import Keys
from klantspoor.project.model import Project, SourceFile

_LINK_BATCH = 100_000
_MACHINES = (
    duckdb.OutOfMemoryException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.IOException,
    pa.ArrowMemoryError,
)
"""The machine's trouble, not the file's: memory, or a disk that is full or fails under what is written aside."""


@dataclass(slots=True)
class Counts:
    """How many rows had which outcome, and what was made of them; see `FileRecord`."""

    rows_read: int = 0
    rows_ignored: int = 0
    rows_reference: int = 0
    rows_quarantined: int = 0
    rows_erased: int = 0
    events_made: int = 0
    times_resolved: int = 0
    anonymous_events: int = 0


@dataclass(slots=True)
class Reading:
    """What became of one file: its dialect, counts, and the reason if it was quarantined as a whole."""

    dialect: str | None = None
    counts: Counts = field(default_factory=Counts)
    fault: IntakeError | None = None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One batch, done: `events`, `links` (`LINK_ROWS`), `records` (`VAULT_SCHEMA`), `quarantine`, which rows were ignored."""

    events: pa.Table
    links: pa.Table
    records: pa.Table
    quarantine: pa.Table
    ignored: Mask


def read_file(
    project: Project,
    source: SourceFile,
    landed: LandingFile,
    keys: Keys,
    aside: Path,
    part: VaultPart,
    tombstones: Tombstones | None = None,
) -> Reading:
    """Reads one file and writes `events.parquet`, `links.parquet` and `quarantine.parquet` into `aside`.

    What it says of persons goes into `part`. A file that cannot be used as a whole leaves nothing but the one row that says
    why. Of rows that the tombstones tell to be a forgotten person's nothing is left but their number.

    Raises:
        UnavailableError: the file cannot be read to its end now; what was written of it must not be used.
    """
    reading = Reading()
    try:
        _read(project, source, landed, Tools(project, source, keys, landed.landed_at, tombstones), aside, part, reading)
        _write_links(aside, project.file.limits.memory_mb)
    except IntakeError as fault:
        _give_up(aside, part, source, landed, reading, fault)
    except _MACHINES:
        raise
    except (duckdb.Error, pa.ArrowException) as error:
        # Nobody foresaw it: the file waits, the night goes on. The error's own words may quote the data: its kind must do.
        said = f"reading it failed ({type(error).__name__}); compare it with a file that was read"
        _give_up(aside, part, source, landed, reading, IntakeError("unreadable_file", said))
    return reading


def _give_up(
    aside: Path, part: VaultPart, source: SourceFile, landed: LandingFile, reading: Reading, fault: IntakeError
) -> None:
    """Leaves nothing of the file but the one row that says why."""
    part.drop()
    reading.counts, reading.fault = Counts(), fault
    shutil.rmtree(aside)
    aside.mkdir()
    write_table(aside / "events.parquet", EVENTS_SCHEMA(case_keys(source)).empty_table())
    write_table(aside / "links.parquet", LINKS_SCHEMA.empty_table())
    write_table(aside / "quarantine.parquet", whole_file(fault.reason, fault.column, f"{landed.file}: {fault.detail}"))


def _read(
    project: Project,
    source: SourceFile,
    landed: LandingFile,
    tools: Tools,
    aside: Path,
    part: VaultPart,
    reading: Reading,
) -> None:
    raw = open_raw(landed.path, source)
    plan = make_plan(source, raw.columns)
    reading.dialect = plan.dialect.name
    schema = EVENTS_SCHEMA(tools.case_keys)
    with (
        pq.ParquetWriter(
            aside / "events.parquet", schema, compression="zstd", use_dictionary=repetitive(schema)
        ) as events,
        pq.ParquetWriter(aside / "link_rows.parquet", LINK_ROWS, compression="zstd") as links,
        pq.ParquetWriter(aside / "quarantine.parquet", QUARANTINE_SCHEMA, compression="zstd") as quarantine,
    ):
        for result in Passage(project, plan, landed.landed_at, tools).through(raw, reading.counts):
            for writer, table in ((events, result.events), (links, result.links), (quarantine, result.quarantine)):
                if table.num_rows:
                    writer.write_table(table)
            part.write(result.records)


class Passage:
    """The way of one file's batches through the gate and what comes after it."""

    def __init__(self, project: Project, plan: Plan, landed_at: datetime, tools: Tools) -> None:
        self._plan = plan
        self._tools = tools
        self._types = project.file.identifiers
        self._is_reference = plan.source.kind == "reference"
        self._gate = Gate(plan, project.file.limits.memory_mb)
        several = len(plan.events) > 1
        self._makers = [(event, EventMaker(tools, event, landed_at, several=several)) for event in plan.events]

    def through(self, raw: RawFile, counts: Counts) -> Iterator[BatchResult]:
        """Every batch of the file, with its outcome; `counts` is kept up to date.

        Raises:
            IntakeError: the file as a whole cannot be used; nothing given before may be kept.
        """
        prepared = False
        for batch in raw.batches(self._plan.wanted):
            if not prepared:
                self._gate.prepare(batch.table.slice(0, 0))
                prepared = True
            yield self.take(batch, counts)

    def take(self, batch: RawBatch, counts: Counts) -> BatchResult:
        """One batch: every row is ignored, reference, quarantined, erased or held by events."""
        rows = len(batch.numbers)
        faults = Faults(rows)
        made: list[Made] = []
        records = [VAULT_SCHEMA.empty_table()]
        held = np.zeros(rows, np.bool_)
        if rows:
            answer = self._gate.evaluate(batch.table)
            open_rows = self._holds(self._plan.ignore, answer.values, faults, answer.fails, batch, default=False)
            open_rows = ~open_rows & ~faults.mask()
            for event, maker in self._makers:
                fits = self._holds(event.slots.get("when"), answer.values, faults, answer.fails, batch, default=True)
                chosen = Selection(event, answer, batch.table, np.flatnonzero(fits & open_rows), faults)
                held[chosen.rows] = True
                if len(chosen):
                    made.append(maker.make_links(chosen) if self._is_reference else maker.make(chosen))
                    records.append(_numbered(described(self._types, chosen, made[-1].links), batch))
        buried, erased = _erased(made, rows)
        faults.forgive(buried)
        bad = faults.mask()
        ignored = ~held & ~bad
        about = [table.select(BAD_ROWS.names) for one in made for table in (one.bad, one.links)] if bad.any() else []
        nothing = EVENTS_SCHEMA(self._tools.case_keys).empty_table()
        result = BatchResult(
            _in_order([nothing, *(_numbered(one.events, batch) for one in made)]),
            pa.concat_tables([LINK_ROWS.empty_table(), *(_numbered(one.links, batch) for one in made)]),
            pa.concat_tables(records),
            faults.table(batch.numbers, batch.malformed, pa.concat_tables([BAD_ROWS.empty_table(), *about])),
            ignored,
        )
        counts.times_resolved += sum(one.times_resolved for one in made)
        counts.anonymous_events += sum(one.anonymous for one in made)
        counts.rows_read += batch.rows
        counts.rows_ignored += int(ignored.sum())
        counts.rows_quarantined += int(bad.sum()) + len(batch.malformed)
        counts.rows_erased += int(erased.sum())
        counts.rows_reference += int((held & ~bad & ~erased).sum()) if self._is_reference else 0
        counts.events_made += result.events.num_rows
        return result

    def _holds(
        self,
        slot: Slot | None,
        values: dict[str, pa.Array],
        faults: Faults,
        fails: Callable[[Slot], Mask],
        batch: RawBatch,
        *,
        default: bool,
    ) -> Mask:
        """For which rows (n) a condition holds; `default` where there is none. Rows it fails for get their reason."""
        if slot is None:
            return np.full(len(batch.numbers), default)
        failed = np.flatnonzero(fails(slot))
        if len(failed):
            details: pa.Array | str = "the condition fails on it"
            if slot.column in batch.table.column_names:
                texts = as_text(batch.table.column(slot.column).combine_chunks()).take(pa.array(failed))
                details = pc.binary_join_element_wise(
                    found(texts, personal=slot.raw_personal), "the condition fails on it", "; "
                )
            faults.add(failed, "expression_failed", slot.column, details)
        mask: Mask = np.asarray(pc.fill_null(values[slot.name], False).to_numpy(zero_copy_only=False), np.bool_)
        return mask


def _erased(made: list[Made], rows: int) -> tuple[Mask, Mask]:
    """Rows (n) of a forgotten person, and those of them that hold nothing of anybody else."""
    buried = np.zeros(rows, np.bool_)
    for one in made:
        buried[one.erased] = True
    if not buried.any():
        return buried, buried
    alone = buried.copy()
    for table in (part for one in made for part in (one.events, one.links)):
        alone[table.column("row_number").to_numpy()] = False
    return buried, alone


def _numbered(rows: pa.Table, batch: RawBatch) -> pa.Table:
    """Events, links or records with the file's row numbers instead of positions in the batch."""
    at = rows.schema.get_field_index("row_number")
    numbers = pa.array(batch.numbers[rows.column(at).to_numpy()])
    return rows.set_column(at, rows.schema.field(at), numbers)


def _in_order(parts: list[pa.Table]) -> pa.Table:
    """The events of a batch by row, then by position: as the file has them."""
    events = pa.concat_tables(parts)
    if sum(part.num_rows > 0 for part in parts) <= 1:
        return events  # one kind of event is in order already
    return events.sort_by([("row_number", "ascending"), ("position", "ascending")])


def _write_links(aside: Path, memory_mb: int) -> None:
    """`links.parquet` from the rows just written: one for each distinct set of identifiers, mapping and day.

    A day (UTC) is as exact as guards that count within windows of time need it.
    """
    rows = literal(str(aside / "link_rows.parquet"))
    links = aside / "links.parquet"
    query = f"""
        SELECT identifier_set, position, list_sort(any_value(identifiers)) AS identifiers, min(occurred_at) AS first_seen,
            max(occurred_at) AS last_seen, count(*) AS rows,
            arg_max(persona, (occurred_at, row_number)) FILTER (persona IS NOT NULL) AS persona
        FROM read_parquet({rows}) GROUP BY identifier_set, position, epoch_us(occurred_at) // 86400000000
        ORDER BY identifier_set, position, first_seen"""
    con = _spilling_connection(memory_mb, str(aside.parent / ".tmp-spill"))
    with pq.ParquetWriter(links, LINKS_SCHEMA, compression="zstd") as writer:
        for batch in con.sql(query).to_arrow_reader(_LINK_BATCH):
            writer.write_table(pa.Table.from_batches([batch]).cast(LINKS_SCHEMA))
    (aside / "link_rows.parquet").unlink()


@lru_cache(maxsize=2)
def _spilling_connection(memory_mb: int, spill: str) -> duckdb.DuckDBPyConnection:
    """A database for large groupings; its folder is swept with whatever a crash leaves of the ledger."""
    return duckdb.connect(config={"threads": 1, "memory_limit": f"{memory_mb}MB", "temp_directory": spill})

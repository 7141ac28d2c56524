"""One folder of the ledger: what of it is the person's, and the folder without it.

Looking changes nothing. Rewriting builds the whole folder aside, from the parts that stay, and exchanges it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.forget.request import Request
from klantspoor.forget.sets import Held, Sets, is_theirs, lists_holding, rows_holding, set_number, sort_sets, without
from klantspoor.intake.finish import content_sql
from klantspoor.intake.ledger import IDENTIFIERS, LINKS_SCHEMA, QUARANTINE_SCHEMA, Ledger, LedgerFile
from klantspoor.lake.connection import limited

_BATCH = 65_536
_COLUMNS = ["row_number", "event_id", "identifier_set"]
Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Look:
    """What one folder holds of the person.

    `events` counts theirs, `event_ids` are the ids among them that the request did not name, each with its row. `erased`
    are the rows that hold nothing of anybody else, `quarantined` those of them that were quarantined, `reference` the
    number of rows that only link.
    """

    file: LedgerFile
    sets: Sets
    events: int = 0
    event_ids: list[tuple[str, int]] = field(default_factory=list)
    erased: set[int] = field(default_factory=set)
    quarantined: set[int] = field(default_factory=set)
    reference: int = 0
    stripped: bool = False

    @property
    def rows(self) -> int:
        """How many rows of the file are the person's."""
        return len(self.erased) + self.reference

    @property
    def is_clean(self) -> bool:
        """Whether nothing of the folder need change."""
        return not (self.sets.left or self.events or self.erased or self.stripped)


def look(file: LedgerFile, request: Request, priorities: dict[str, int]) -> Look:
    """What the folder holds of the person; reads all of its events, in bounded memory."""
    seen = Look(file, sort_sets(file.links, request, priorities))
    gone: set[int] = set()
    named = set(request.events)
    for batch in pq.ParquetFile(file.events).iter_batches(_BATCH, columns=_COLUMNS):
        mask = _theirs(batch, seen.sets, request, file.record.sequence)
        seen.events += int(mask.sum())
        for row, event_id, _ in zip(
            *(batch.column(n).filter(pa.array(mask)).to_pylist() for n in _COLUMNS), strict=True
        ):
            gone.add(row)
            if event_id not in named:
                seen.event_ids.append((event_id, row))
    for row, held in lists_holding(file.quarantine, "row_number", request.pseudonyms):
        if is_theirs(held, request, priorities):
            seen.quarantined.add(row)
        else:
            seen.stripped = True
    stay = _staying(seen, request, gone) if gone else set()
    seen.quarantined |= {row for row in gone - stay if row}
    seen.erased = (gone | seen.quarantined) - stay
    seen.quarantined = _present(file.quarantine, seen.quarantined)
    seen.reference = _reference(seen)
    return seen


def _theirs(batch: pa.RecordBatch, sets: Sets, request: Request, sequence: int) -> Mask:
    """Which events (n) are the person's: by id, or by their identifiers unless the row is spared."""
    ids = batch.column("event_id")
    by_id = pc.is_in(ids, value_set=pa.array(request.events, pa.string()))
    by_set = pc.is_in(batch.column("identifier_set"), value_set=pa.array(sorted(sets.dead), pa.uint64()))
    spared = [(row, event_id) for of, row, event_id in request.spared if of == sequence]
    if spared:
        rows = pa.array([row for row, _ in spared], pa.int64())
        names = pa.array([event_id for _, event_id in spared], pa.string())
        free = pc.and_(pc.is_in(batch.column("row_number"), value_set=rows), pc.is_in(ids, value_set=names))
        by_set = pc.and_(by_set, pc.invert(free))
    return np.asarray(pc.or_(by_id, by_set).to_numpy(zero_copy_only=False), np.bool_)


def _staying(seen: Look, request: Request, gone: set[int]) -> set[int]:
    """Of the rows that lose an event, those that hold another one."""
    rows = pa.array(sorted(gone), pa.int64())
    stay: set[int] = set()
    for batch in pq.ParquetFile(seen.file.events).iter_batches(_BATCH, columns=_COLUMNS):
        among = batch.filter(pc.is_in(batch.column("row_number"), value_set=rows))
        mask = _theirs(among, seen.sets, request, seen.file.record.sequence)
        stay |= set(among.column("row_number").filter(pa.array(~mask)).to_pylist())
    return stay


def _present(quarantine: Path, rows: set[int]) -> set[int]:
    found = pq.read_table(quarantine, columns=["row_number"]).column(0)
    return set(pc.unique(found.filter(pc.is_in(found, value_set=pa.array(sorted(rows), pa.int64())))).to_pylist())


def _reference(seen: Look) -> int:
    """Rows that only link the person: links count them by position, and a row may hold several."""
    if not seen.sets.dead or not seen.file.record.rows_reference:
        return 0
    links = pq.read_table(seen.file.links, columns=["identifier_set", "position", "rows"])
    theirs = links.filter(pc.is_in(links["identifier_set"], value_set=pa.array(sorted(seen.sets.dead), pa.uint64())))
    rows = theirs.group_by("position").aggregate([("rows", "sum")])["rows_sum"].to_pylist()
    return min(max(rows, default=0), seen.file.record.rows_reference)


def rewrite(ledger: Ledger, seen: Look, request: Request, memory_mb: int, scratch: Path) -> None:
    """Exchanges the folder for one without the person; needs the ledger's lock.

    The counts still add up: rows of the person are counted as erased and as nothing else.
    """
    file, record = seen.file, seen.file.record
    aside = ledger.new_folder(record.sequence)
    if _write_events(file, seen, request, aside):
        _write_links(file, seen.sets, aside, memory_mb, scratch)
    else:
        _write_reference_links(file, seen.sets, aside, memory_mb, scratch)
    _write_quarantine(file, seen, request, aside)
    ledger.replace(
        aside,
        replace(
            record,
            rows_erased=record.rows_erased + seen.rows,
            rows_reference=record.rows_reference - seen.reference,
            rows_quarantined=record.rows_quarantined - len(seen.quarantined),
            events_made=record.events_made - seen.events,
        ),
    )


def _write_events(file: LedgerFile, seen: Look, request: Request, aside: Path) -> bool:
    """The events that stay; tells whether the file is one of events at all."""
    old = pa.array(sorted(seen.sets.left), pa.uint64())
    new = pa.array([set_number(seen.sets.left[number]) for number in sorted(seen.sets.left)], pa.uint64())
    source = pq.ParquetFile(file.events)
    with (
        duckdb.connect() as connection,
        pq.ParquetWriter(aside / "events.parquet", source.schema_arrow, compression="zstd") as writer,
    ):
        for batch in source.iter_batches(_BATCH):
            mask = _theirs(batch, seen.sets, request, file.record.sequence)
            table = pa.Table.from_batches([batch]).filter(pa.array(~mask))
            place = pc.index_in(table.column("identifier_set"), value_set=old)
            if place.null_count < len(place):
                number = pc.coalesce(new.take(place), table.column("identifier_set"))
                table = _said_anew(connection, _put(table, "identifier_set", number))
            writer.write_table(table)
    return bool(source.metadata.num_rows)


def _said_anew(connection: duckdb.DuckDBPyConnection, events: pa.Table) -> pa.Table:
    """Events (n) with the hash of what they say made anew: a row that is delivered again must be known for a duplicate."""
    connection.register("batch", events)
    made = connection.sql(f"SELECT {content_sql(events.schema)} AS content FROM batch").to_arrow_table()
    return _put(events, "content", made.column("content"))


def _put(table: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(at), values.cast(table.schema.field(at).type))


def _write_links(file: LedgerFile, sets: Sets, aside: Path, memory_mb: int, scratch: Path) -> None:
    """The links of a file of events follow from its events: they are made from those that stay, as intake makes them."""
    left = pa.table(
        {
            "identifier_set": pa.array([set_number(held) for held in sets.left.values()], pa.uint64()),
            "identifiers": pa.array([_sorted(held) for held in sets.left.values()], IDENTIFIERS),
        }
    )
    with limited(memory_mb, scratch) as connection:
        connection.register("remains", left)
        connection.execute(
            """CREATE TEMP TABLE known AS
               SELECT identifier_set, any_value(identifiers) AS identifiers FROM (
                   SELECT identifier_set, identifiers FROM read_parquet($links)
                   UNION ALL SELECT identifier_set, identifiers FROM remains WHERE len(identifiers) > 0)
               GROUP BY identifier_set""",
            {"links": str(file.links)},
        )
        reader = connection.sql(
            """SELECT identifier_set, position, any_value(identifiers) AS identifiers, min(occurred_at) AS first_seen,
                      max(occurred_at) AS last_seen, count(*) AS rows,
                      arg_max(persona, (occurred_at, row_number)) FILTER (persona IS NOT NULL) AS persona
               FROM read_parquet($events) JOIN known USING (identifier_set)
               GROUP BY identifier_set, position, epoch_us(occurred_at) // 86400000000
               ORDER BY identifier_set, position, first_seen""",
            params={"events": str(aside / "events.parquet")},
        ).to_arrow_reader(_BATCH)
        _copy(reader, aside / "links.parquet")


def _sorted(held: list[Held]) -> list[Held]:
    return sorted(held, key=lambda one: (one["type"], one["identifier"], one["guard"] or ""))


def _copy(reader: pa.RecordBatchReader, path: Path) -> None:
    with pq.ParquetWriter(path, LINKS_SCHEMA, compression="zstd") as writer:
        for batch in reader:
            writer.write_table(pa.Table.from_batches([batch]).cast(LINKS_SCHEMA))


def _write_reference_links(file: LedgerFile, sets: Sets, aside: Path, memory_mb: int, scratch: Path) -> None:
    """The links of a list that stay, and of other people's rows what is left of them."""
    touched = pa.array(sorted(sets.left), pa.uint64())
    changed = []
    for batch in pq.ParquetFile(file.links).iter_batches(_BATCH):
        for row in batch.filter(pc.is_in(batch.column("identifier_set"), value_set=touched)).to_pylist():
            left = sets.left[row["identifier_set"]]
            if row["identifier_set"] not in sets.dead and left:
                changed.append(row | {"identifier_set": set_number(left), "identifiers": _sorted(left)})
    with limited(memory_mb, scratch) as connection:
        connection.register("touched", pa.table({"identifier_set": touched}))
        connection.register("changed", pa.Table.from_pylist(changed, LINKS_SCHEMA))
        reader = connection.sql(
            """SELECT identifier_set, position, any_value(identifiers) AS identifiers, min(first_seen) AS first_seen,
                      max(last_seen) AS last_seen, sum(rows)::BIGINT AS rows,
                      arg_max(persona, last_seen) FILTER (persona IS NOT NULL) AS persona
               FROM (SELECT * FROM read_parquet($links) ANTI JOIN touched USING (identifier_set)
                     UNION ALL SELECT * FROM changed)
               GROUP BY identifier_set, position, epoch_us(first_seen) // 86400000000
               ORDER BY identifier_set, position, first_seen""",
            params={"links": str(file.links)},
        ).to_arrow_reader(_BATCH)
        _copy(reader, aside / "links.parquet")


def _write_quarantine(file: LedgerFile, seen: Look, request: Request, aside: Path) -> None:
    gone = pa.array(sorted(seen.quarantined), pa.int64())
    theirs = pa.array(sorted(request.pseudonyms), pa.string())
    with pq.ParquetWriter(aside / "quarantine.parquet", QUARANTINE_SCHEMA, compression="zstd") as writer:
        for batch in pq.ParquetFile(file.quarantine).iter_batches(_BATCH):
            table = pa.Table.from_batches([batch])
            table = table.filter(pc.invert(pc.is_in(table["row_number"], value_set=gone)))
            writer.write_table(_strip(table, theirs, request) if table.num_rows else table)


def _strip(table: pa.Table, theirs: pa.Array, request: Request) -> pa.Table:
    """Other people's rows, without what they hold of the person."""
    lists = table["identifiers"].combine_chunks()
    at = rows_holding(lists, theirs)
    if not len(at):
        return table
    fresh = pa.array([without(held, request) for held in lists.take(at).to_pylist()], IDENTIFIERS)
    places = np.arange(len(lists))
    places[at.to_numpy()] = len(lists) + np.arange(len(at))
    every = pa.concat_arrays([lists.cast(IDENTIFIERS), fresh])
    column = table.schema.get_field_index("identifiers")
    return table.set_column(column, QUARANTINE_SCHEMA.field("identifiers"), every.take(pa.array(places)))

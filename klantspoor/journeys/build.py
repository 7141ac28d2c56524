"""The stage `journeys`: sorts the canonical events once, and runs the kernel over slices of whole persons.

DuckDB sorts (and spills when it must); the slices stream through, so memory is set by their size, not by the number of
events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.journeys.keeping import JOURNEY_TABLES, Keeper, open_before
from klantspoor.journeys.kernel import Reconstructed, Setting, reconstruct
from klantspoor.journeys.prepare import prepare
from klantspoor.journeys.publish import UNKNOWN_INSTANT
from klantspoor.journeys.segments import Bools
from klantspoor.journeys.settled import settled
from klantspoor.journeys.slices import Earlier, Slice
from klantspoor.lake import Staging
from klantspoor.lake.connection import limited
from klantspoor.project.model import Project

_BATCH = 100_000


@dataclass(frozen=True, slots=True)
class JourneysReport:
    """What the stage did. `unseen` counts journeys without any touchpoint: the customer never met them."""

    events: int
    slices: int
    unseen: int
    rows: dict[str, int]


def build(project: Project, staging: Staging, progress: Callable[[str], None] | None = None) -> JourneysReport:
    """Writes the six journey tables from `canonical/`.

    Args:
        project: the loaded project.
        staging: the night's staging folder, with `canonical/` filled by the events stage.
        progress: told a short line after each slice.

    Raises:
        ConfigError: the journey files contradict themselves about an activity (R3).
    """
    folder = staging.work("canonical")
    personas = pq.read_table(folder / "personas.parquet")
    persona = personas["persona"].combine_chunks().dictionary_encode()
    owners = personas["person"].to_numpy()
    codes = persona.indices.to_numpy(zero_copy_only=False)
    events = slices = unseen = 0
    with ExitStack() as stack:
        connection = stack.enter_context(limited(project.file.limits.memory_mb, staging.work("scratch")))
        before = open_before(connection, staging)
        source = str(folder / "events.parquet")
        span = 'SELECT min("at"), max(until) FROM read_parquet($path)'
        [(first, last)] = connection.execute(span, {"path": source}).fetchall()
        clock = round(staging.as_of.timestamp() * 1_000_000)
        setting = prepare(
            project,
            pq.read_table(folder / "kinds.parquet"),
            persona.dictionary.to_pylist(),
            staging.as_of,
            clock if first is None else first,
            clock if last is None else last,
        )
        earlier = before.earlier([rule.name for rule in setting.rules])
        writers = {name: stack.enter_context(staging.writer(name)) for name in JOURNEY_TABLES}
        keeper = stack.enter_context(Keeper(before, staging, writers))
        for table in whole_persons(_in_order(connection, source, before.is_sorted), project.file.limits.slice_rows):
            is_settled = _settled(table, clock) if before.settles else None
            found = reconstruct_table(table, owners, codes, setting, earlier, is_settled)
            keeper.write(found)
            events, slices, unseen = events + len(table), slices + 1, unseen + found.unseen
            if progress is not None:
                progress(f"{events:,} events")
    return JourneysReport(events, slices, unseen, {name: writer.rows for name, writer in writers.items()})


def _in_order(connection: duckdb.DuckDBPyConnection, source: str, is_sorted: bool) -> Iterator[pa.RecordBatch]:
    """The canonical events in the order of docs/journeys.md, in batches."""
    if is_sorted:
        yield from pq.ParquetFile(source).iter_batches(_BATCH)
        return
    yield from connection.sql(
        """SELECT * FROM read_parquet($path)
           ORDER BY person, "at", tie_order, position, source_number, event_id""",
        params={"path": source},
    ).to_arrow_reader(_BATCH)


def _settled(table: pa.Table, clock: int) -> Bools:
    columns = [table[name].to_numpy() for name in ("person", "at", "deadline")]
    keys = [table[name].to_numpy() for name in table.column_names if name.startswith("key_")]
    return settled(columns[0], columns[1], columns[2], keys, clock)


def whole_persons(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Tables of about `rows` rows that never divide a person; the batches must be sorted by `person`."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += len(batch)
        if count < rows:
            continue
        table = pa.Table.from_batches(held)
        person = table["person"].to_numpy()
        # The last person may go on in the next batch: keep them back.
        cut = int(np.searchsorted(person, person[-1], side="left"))
        if cut:
            yield table.slice(0, cut)
            held = table.slice(cut).to_batches()
            count -= cut
    if count:
        yield pa.Table.from_batches(held)


def reconstruct_table(
    table: pa.Table,
    owners: npt.NDArray[np.uint64],
    personas: npt.NDArray[np.int32],
    setting: Setting,
    earlier: Earlier | None = None,
    is_settled: Bools | None = None,
) -> Reconstructed:
    """Runs the kernel on canonical events of whole persons, in order.

    Args:
        table: the columns of `canonical/events.parquet`.
        owners: persons whose persona is known, sorted.
        personas: their personas' codes.
        setting: of the night.
        earlier: what is settled of them.
        is_settled: by event, whether it is from tonight on.
    """
    column = {name: table[name] for name in table.column_names}
    person = column["person"].to_numpy()
    events = Slice(
        person=person,
        at=column["at"].to_numpy(),
        until=column["until"].to_numpy(),
        kind=column["kind"].to_numpy(),
        account=column["account"].to_numpy(),
        topic=column["topic"].to_numpy(),
        tie_order=column["tie_order"].to_numpy(),
        keys={name.removeprefix("key_"): column[name].to_numpy() for name in column if name.startswith("key_")},
    )
    return reconstruct(
        events,
        column["need"].fill_null(UNKNOWN_INSTANT).to_numpy(),
        column["event_id"].combine_chunks(),
        (_floats(column["score"]), _floats(column["score_0_100"])),
        _personas(person, owners, personas),
        setting,
        earlier,
        is_settled,
    )


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.asarray(column.fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _personas(
    person: npt.NDArray[np.uint64], owners: npt.NDArray[np.uint64], personas: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    if not len(owners):
        return np.full(len(person), -1, dtype=np.int32)
    place = np.minimum(np.searchsorted(owners, person), len(owners) - 1)
    return np.where(owners[place] == person, personas[place], -1).astype(np.int32)

"""Which live events are settled tonight, so that later nights leave them as they are.

Settling moves rows to parts of their own, which costs; so it waits until enough of what is live can be settled.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.events.base import Base
from klantspoor.journeys.build import whole_persons
from klantspoor.journeys.settled import settled
from klantspoor.lake import Staging

WORTH_IT = 0.2
"""Share of what is live that can be settled before it is: what is live costs every night, settling once."""
UNMAPPED_AFTER = timedelta(days=30)
"""Events that no journey can hold are settled after this: nothing but their own correction changes them."""
_BATCH = 100_000


def settle(connection: duckdb.DuckDBPyConnection, base: Base, staging: Staging, slice_rows: int) -> bool:
    """Makes `settling` (event_id, deadline): the live events that are settled tonight; gives whether there are any.

    `deadline` is null for events that the kernel does not see. Needs `canonical/events.parquet`, in order.
    """
    folder = staging.work("canonical")
    clock = round(staging.as_of.timestamp() * 1_000_000)
    with pq.ParquetWriter(folder / "settling.parquet", _SCHEMA) as writer:
        for rows in _settled_rows(folder / "events.parquet", clock, slice_rows):
            writer.write_table(rows)
    connection.execute(
        """CREATE TEMP TABLE settling AS
           SELECT event_id, deadline FROM read_parquet($path)
           UNION ALL
           SELECT w.event_id, NULL FROM winners w JOIN seen_kinds k USING (kind)
           WHERE (w.person_id IS NULL OR NOT k.is_mapped) AND epoch_us(w.occurred_at) < $clock - $after""",
        {
            "path": str(folder / "settling.parquet"),
            "clock": clock,
            "after": round(UNMAPPED_AFTER.total_seconds() * 1_000_000),
        },
    )
    [(live, ripe)] = connection.execute(
        "SELECT (SELECT count(*) FROM winners), (SELECT count(*) FROM settling)"
    ).fetchall()
    is_worth_it = bool(ripe) and (base.version is None or ripe >= WORTH_IT * live)
    if not is_worth_it:
        connection.execute("DELETE FROM settling")
    return is_worth_it


_SCHEMA = pa.schema([("event_id", pa.string()), ("deadline", pa.int64())])


def _settled_rows(path: object, clock: int, slice_rows: int) -> Iterator[pa.Table]:
    """The events of the canonical file, which is in order, that are settled."""
    file = pq.ParquetFile(path)
    names = file.schema_arrow.names
    keys = [name for name in names if name.startswith("key_")]
    batches = file.iter_batches(_BATCH, columns=["person", "at", "deadline", "event_id", *keys])
    for table in whole_persons(batches, slice_rows):
        column = {name: table[name].to_numpy() for name in ("person", "at", "deadline", *keys)}
        is_settled = settled(column["person"], column["at"], column["deadline"], [column[key] for key in keys], clock)
        yield table.select(["event_id", "deadline"]).filter(pa.array(np.asarray(is_settled))).cast(_SCHEMA)

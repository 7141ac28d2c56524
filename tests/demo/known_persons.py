"""The demo's night once more with every person known: what is missing then is the kernel's doing, not identity's.

The ledger is copied with one identifier for each event, which is its true person, and the night's stages run on the copy.
Events that the truth does not know (broken lines that parse) have none, and so no person.
"""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor import events, identity, journeys
from klantspoor.intake.ledger import LINKS_SCHEMA, Ledger
from klantspoor.lake import Lake, Staging
from klantspoor.project.model import Project


def rebuild(project: Project, lake: Lake, truth: Path, folder: Path, as_of: datetime) -> Staging:
    """The tables `events` and those of the journeys, staged in a lake of its own in `folder`."""
    known = pq.read_table(truth / "events.parquet", columns=["source", "source_event_id", "true_person"])
    # Of a type that is not limited to a number of persons or neighbours: nothing shall come between.
    types = project.file.identifiers.items()
    name = next(name for name, kind in types if kind.at_most_persons is None and not kind.at_most)
    for file in Ledger(lake.root).files():
        of_source = known.filter(pc.equal(known["source"], file.record.source))
        _copy(file.path, folder / "ledger" / file.path.name, of_source, name, file.record.landed_at)
    apart = Lake(folder, timezone=lake.timezone)
    staging = apart.open_run("known", as_of)
    identity.resolve(project, apart, staging)
    events.build(project, apart, staging)
    journeys.build(project, staging)
    return staging


def _copy(folder: Path, to: Path, known: pa.Table, type_name: str, landed_at: datetime) -> None:
    shutil.copytree(folder, to)
    table = pq.read_table(folder / "events.parquet")
    place = pc.index_in(table["source_event_id"].combine_chunks(), value_set=known["source_event_id"].combine_chunks())
    number = np.asarray(pc.fill_null(place, 0).to_numpy(), np.int64)
    there = np.asarray(pc.is_valid(place).to_numpy(zero_copy_only=False), np.bool_)
    persons = known["true_person"].combine_chunks()
    # P000017 is the 18th: a set of one identifier, with a number of its own that is not 0.
    sets = np.array([int(name[1:]) + 1 for name in persons.to_pylist()] or [0], np.uint64)
    at = table.column_names.index("identifier_set")
    held = pa.array(np.where(there, sets[number], np.uint64(0)))
    pq.write_table(table.set_column(at, table.schema.field(at), held), to / "events.parquet")
    distinct = persons.take(place.drop_null()).unique().to_pylist()
    rows = [
        {
            "identifier_set": int(name[1:]) + 1,
            "position": 1,
            "identifiers": [{"type": type_name, "identifier": name, "guard": None}],
            "first_seen": landed_at,
            "last_seen": landed_at,
            "rows": 1,
            "persona": None,
        }
        for name in distinct
    ]
    pq.write_table(pa.Table.from_pylist(rows, LINKS_SCHEMA), to / "links.parquet")

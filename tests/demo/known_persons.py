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
from klantspoor.intake.ledger import IDENTIFIERS, LINKS_SCHEMA, Ledger
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
    persons = known["true_person"].combine_chunks().take(place)
    identifiers = _one_each(persons, type_name)
    at = table.column_names.index("identifiers")
    pq.write_table(table.set_column(at, table.schema.field(at), identifiers), to / "events.parquet")
    distinct = _one_each(persons.drop_null().unique(), type_name)
    links = {
        "identifiers": distinct,
        "first_seen": pa.array([landed_at] * len(distinct)),
        "last_seen": pa.array([landed_at] * len(distinct)),
        "rows": pa.array(np.ones(len(distinct), np.int64)),
        "persona": pa.nulls(len(distinct), pa.string()),
    }
    pq.write_table(pa.table(links).cast(LINKS_SCHEMA), to / "links.parquet")


def _one_each(persons: pa.Array, type_name: str) -> pa.Array:
    """One identifier of that type for each person (n), none for null."""
    there = np.asarray(pc.is_valid(persons).to_numpy(zero_copy_only=False), np.int32)
    values = persons.drop_null()
    held = pa.StructArray.from_arrays(
        [pa.repeat(type_name, len(values)), values, pa.array(np.zeros(len(values), np.bool_))],
        names=["type", "identifier", "blocked"],
    )
    offsets = np.concatenate([[0], np.cumsum(there)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), held).cast(IDENTIFIERS)

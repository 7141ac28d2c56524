"""Evidence that no landing file holds: the pairs of records that the linkage found to be of one person, probably.

Each run of the linkage writes one file, `ledger/linkage/NNNNNN.parquet`, and the newest counts: it judged all records.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

LINKAGE_SCHEMA = pa.schema(
    [
        pa.field("left_type", pa.string(), nullable=False),
        pa.field("left", pa.string(), nullable=False),
        pa.field("right_type", pa.string(), nullable=False),
        pa.field("right", pa.string(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
        pa.field("probability", pa.float64(), nullable=False),
        pa.field("agreed", pa.list_(pa.string()), nullable=False),
        pa.field("differed", pa.list_(pa.string()), nullable=False),
        pa.field("found_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


def linkage_evidence(lake_root: Path) -> pa.Table:
    """The pairs of the newest run of the linkage, in `LINKAGE_SCHEMA`; none where it never ran."""
    files = sorted((Path(lake_root) / "ledger" / "linkage").glob("[0-9]*.parquet"))
    return pq.read_table(files[-1], schema=LINKAGE_SCHEMA) if files else LINKAGE_SCHEMA.empty_table()

"""Fuzzy evidence in the ledger: which records were told to be one person by the newest run of the linkage.

Pseudonyms, weights and names of fields only. One file per run, `linkage/NNNNNN.parquet`; the newest counts, for it was
made of all records there were. How links are found is in `klantspoor.linkage`.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.errors import LakeError
from klantspoor.intake.ledger import Ledger, sync, write_table
from klantspoor.lake.durable import make_folder

EVIDENCE_SCHEMA = pa.schema(
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
"""Two identifiers (type and pseudonym) told to be one person's: the match weight (log2), the probability it stands for,
and the fields that agreed and differed."""
_NAME = re.compile(r"^(\d{6,})\.parquet$")


def linkage_evidence(lake_root: Path) -> pa.Table:
    """The evidence of the newest run (`EVIDENCE_SCHEMA`); no rows where the linkage never ran.

    Raises:
        LakeError: its file cannot be read.
    """
    files = evidence_files(lake_root)
    if not files:
        return EVIDENCE_SCHEMA.empty_table()
    try:
        return pq.read_table(files[-1]).cast(EVIDENCE_SCHEMA)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise LakeError(
            f"ledger/linkage/{files[-1].name} cannot be read ({type(error).__name__}); remove it and start"
            " `klantspoor identity link`"
        ) from None


def evidence_files(lake_root: Path) -> list[Path]:
    """The files of all runs, the newest last."""
    folder = Ledger(lake_root).folder / "linkage"
    found = [path for path in folder.iterdir() if _NAME.match(path.name)] if folder.is_dir() else []
    return sorted(found, key=_number)


def keep_evidence(lake_root: Path, links: pa.Table, found_at: datetime) -> Path:
    """Keeps what a run found as the newest evidence, whole or not at all; for the holder of the ledger's lock.

    `links` has `left` and `right` ("type:pseudonym"), `weight`, `probability`, `agreed` and `differed`.
    """
    ledger = Ledger(lake_root).folder
    folder = ledger / "linkage"
    make_folder(folder)
    number = max(map(_number, evidence_files(lake_root)), default=0) + 1
    columns = [*_parts(links["left"]), *_parts(links["right"])]
    columns += [links[name] for name in ("weight", "probability", "agreed", "differed")]
    columns.append(pa.repeat(pa.scalar(found_at, pa.timestamp("us", tz="UTC")), links.num_rows))
    # Aside in the ledger itself, where it is swept with whatever else was never finished.
    aside, path = ledger / ".tmp-linkage", folder / f"{number:06d}.parquet"
    write_table(aside, pa.table(columns, names=EVIDENCE_SCHEMA.names).cast(EVIDENCE_SCHEMA))
    sync(aside)
    aside.rename(path)
    sync(folder)
    return path


def _number(path: Path) -> int:
    return int(path.stem)


def _parts(records: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The type and the pseudonym of "type:pseudonym"."""
    parts = pc.split_pattern(records, ":", max_splits=1)
    return pc.list_element(parts, 0), pc.list_element(parts, 1)

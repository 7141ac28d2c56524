"""The table over the nights: tonight's rows beside those of earlier nights, in files that later nights only link to.

A night writes one file; the nights of a month that is over are put into one. What earlier nights told is part of
earlier versions: when somebody is forgotten it goes as far as it could say anything of them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.dictionary import TABLES
from klantspoor.lake import Staging, Version
from klantspoor.lake.connection import literal
from klantspoor.lake.months import local_months
from klantspoor.restatements.changed import files_of

_TABLE = "restatements"
_BATCH = 100_000
_KEPT = """SELECT * REPLACE (NULL::DOUBLE AS before, NULL::DOUBLE AS after)
    WHERE persons_changed IS NOT NULL AND change IS NOT NULL"""
"""What stays of earlier rows after somebody was forgotten: changes that enough persons made, without the figures of the
version before, from which smaller changes in between could be told."""


def write(
    con: duckdb.DuckDBPyConnection, staging: Staging, before: Version | None, tonight: pa.Table, *, forgotten: bool
) -> int:
    """Stages the table; gives its number of rows.

    Args:
        con: any connection.
        staging: the run's.
        before: the version before.
        tonight: tonight's rows.
        forgotten: whether somebody was forgotten since the version before.
    """
    files = files_of(before.root / _TABLE) if before is not None and before.has(_TABLE) else []
    files = [path for path in files if pq.read_metadata(path).num_rows]
    linked = [] if forgotten else _to_link(files, staging)
    rewritten = [path for path in files if path not in linked]
    with staging.writer(_TABLE) as writer:
        writer.write(tonight)
        if rewritten:
            for batch in _rows(con, rewritten, forgotten):
                writer.write(pa.Table.from_batches([batch]))
    folder = staging.folder(_TABLE)
    for path in files_of(folder):
        if linked and not writer.rows:
            path.unlink()
        else:
            path.rename(path.with_name(f"{staging.as_of:%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}.parquet"))
    for path in linked:
        _link(path, folder / path.relative_to(path.parent.parent))
    return staging.rows(_TABLE)


def was_forgotten(con: duckdb.DuckDBPyConnection, staging: Staging, before: Version) -> bool:
    """Whether rows of files that the version before knew are erased now: somebody was forgotten since."""
    ((found,),) = con.execute(
        "SELECT coalesce(bool_or(t.erased > b.erased), false) FROM read_parquet($before) AS b"
        " JOIN read_parquet($tonight) AS t USING (sequence)",
        {"before": before.glob("intake"), "tonight": staging.glob("intake")},
    ).fetchall()
    return bool(found)


def _to_link(files: list[Path], staging: Staging) -> list[Path]:
    """All but the files of a month that is over and has several."""
    this_month = local_months(pa.array([staging.as_of], pa.timestamp("us", tz="UTC")), staging.timezone)[0].as_py()
    of_month: dict[str, list[Path]] = {}
    for path in files:
        of_month.setdefault(path.parent.name, []).append(path)
    return [
        path
        for month, together in of_month.items()
        for path in together
        if len(together) == 1 or month == f"month={this_month}"
    ]


def _rows(con: duckdb.DuckDBPyConnection, files: list[Path], forgotten: bool) -> pa.RecordBatchReader:
    listed = ", ".join(literal(str(path)) for path in files)
    columns = ", ".join(f'"{name}"' for name in TABLES[_TABLE].names)
    order = ", ".join(f'"{name}"' for name in TABLES[_TABLE].order)
    source = f"FROM read_parquet([{listed}], hive_partitioning = false)"
    kept = f"{source} {_KEPT}" if forgotten else source
    return con.sql(f"SELECT {columns} FROM ({kept}) ORDER BY {order}").to_arrow_reader(_BATCH)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)

"""The mart `freshness`: of every source, how far its data reaches, and whether its files came and look as usual.

The verdict, the first that holds:

- `missing`: no file of it that could be used has ever come;
- `stale`: the next file is overdue at `as_of`: later than `expected_by` and the time of grace (6 hours for a nightly
  file, a day for a weekly one). `expected_by` is the newest usable file's landing plus a day or a week, `as_of` where
  nothing has come yet;
- `small`: the newest usable file has fewer rows than `smallest_share` of the median of the usable ones before it (at
  least three);
- `fresh`.

How far the data reaches, `complete_up_to`, and the share that comes late are of `klantspoor.marts.deliveries`.

`odd` says in words whatever else is out of the ordinary. What a verdict leads to (`if_missing`) is not decided here. It
describes sources, not people: it is not suppressed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import median
from typing import Any

import pyarrow as pa

from klantspoor.dictionary import TABLES
from klantspoor.lake.staging import Staging
from klantspoor.marts.reach import load
from klantspoor.project.model import Expected, Project

PERIODS = {"night": timedelta(days=1), "week": timedelta(days=7)}
GRACE = {"night": timedelta(hours=6), "week": timedelta(days=1)}
FILES_TO_KNOW = 3
"""Earlier files that are needed to say what is usual."""
ODD_LATE_SHARE = 0.1
QUIET_PERIODS = 3
"""A source that is complete no further than so many periods before its newest file brings nothing new."""
_DAY = 24 * 3600.0

_FILES = """
    SELECT source::VARCHAR AS source, file, landed_at, rows_read, quarantined, file_status::VARCHAR AS file_status
    FROM intake ORDER BY landed_at, sequence
"""


def build(project: Project, staging: Staging) -> tuple[pa.Table, int]:
    """The mart; nothing is left out of it."""
    with staging.connect() as con:
        files: dict[str, list[dict[str, Any]]] = {}
        for row in con.sql(_FILES).to_arrow_table().to_pylist():
            files.setdefault(row["source"], []).append(row)
    reach = load(project, staging)
    warn = project.file.limits.quarantine_warn_share
    rows = []
    for source in sorted({*project.sources, *files}):
        known = project.sources.get(source)
        expected = known.expected if known else Expected()
        row = _verdict(source, expected, files.get(source, []), staging.as_of)
        found = reach.get(source)
        upto, late = (found.complete_up_to, found.late_share) if found is not None else (None, None)
        oddities = [*row.pop("oddities"), *_odd_events(expected, upto, late, row["last_landed_at"])]
        oddities += _odd_file(files.get(source, []), warn)
        if known is None:
            oddities.append("no file in sources/ describes it any more")
        rows.append(row | {"complete_up_to": upto, "late_share": late, "odd": "; ".join(oddities) or None})
    schema = pa.schema([pa.field(c.name, c.type) for c in TABLES["freshness"].columns])
    return pa.Table.from_pylist(rows, schema=schema), 0


def _verdict(source: str, expected: Expected, files: list[dict[str, Any]], as_of: datetime) -> dict[str, Any]:
    """How the source stands by its files (in order of landing)."""
    usable = [file for file in files if file["file_status"] == "used"]
    newest = files[-1] if files else None
    earlier = [file["rows_read"] for file in usable[:-1]]
    usual = round(median(earlier)) if len(earlier) >= FILES_TO_KNOW else None
    expected_by = None
    if expected.every != "never":
        expected_by = usable[-1]["landed_at"] + PERIODS[expected.every] if usable else as_of
    oddities, freshness = [], "fresh"
    if not usable:
        freshness = "missing"
        oddities.append("no file of it has ever come" if not files else "none of its files could be used")
    elif expected_by is not None and as_of > expected_by + GRACE[expected.every]:
        freshness = "stale"
        oddities.append(
            f"a file is expected every {expected.every}; none could be used for {_ago(as_of - usable[-1]['landed_at'])}"
        )
    elif usual is not None and usable[-1]["rows_read"] < expected.smallest_share * usual:
        freshness = "small"
        oddities.append(f"{usable[-1]['rows_read']} rows where {usual} are usual")
    return {
        "source": source,
        "freshness": freshness,
        "expected_by": expected_by,
        "last_file": newest["file"] if newest else None,
        "last_landed_at": newest["landed_at"] if newest else None,
        "last_rows": newest["rows_read"] if newest else None,
        "usual_rows": usual,
        "oddities": oddities,
    }


def _odd_events(
    expected: Expected, complete: datetime | None, late: float | None, landed: datetime | None
) -> list[str]:
    """What is odd about the events of a source that should come regularly."""
    if expected.every == "never" or complete is None or landed is None:
        return []
    oddities = []
    if late is not None and late > ODD_LATE_SHARE:
        oddities.append(f"{late:.0%} of its events reached us more than a day late")
    if landed - complete > QUIET_PERIODS * PERIODS[expected.every]:
        oddities.append(f"it is complete only to {_ago(landed - complete)} before its newest file")
    return oddities


def _odd_file(files: list[dict[str, Any]], warn: float) -> list[str]:
    """What is odd about the newest file."""
    if not files:
        return []
    newest = files[-1]
    if newest["file_status"] != "used":
        return ["its newest file could not be used: see quarantine"]
    share = newest["quarantined"] / newest["rows_read"] if newest["rows_read"] else 0.0
    return [f"{share:.0%} of the rows of its newest file were quarantined"] if share > warn else []


def _ago(span: timedelta) -> str:
    days = span.total_seconds() / _DAY
    return f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"

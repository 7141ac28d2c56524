"""From coded columns back to a mart's Arrow table.

Only the turning of codes into texts and of NaN into null: what the columns mean is each mart's own matter.
"""

from __future__ import annotations

import pyarrow as pa

from klantspoor.dictionary import TABLES
from klantspoor.marts.cube import Flags, Floats, Ints
from klantspoor.marts.paths import month_name

SECONDS_PER_HOUR = 3600.0


def texts(codes: Ints, names: list[str]) -> pa.Array:
    """The texts that `codes` stand for; negative codes are null."""
    return pa.array(names, pa.string()).take(pa.array(codes, pa.int64(), mask=codes < 0))


def months(codes: Ints) -> pa.Array:
    """Month numbers as YYYY-MM; negative ones (all months) are null."""
    return pa.array([None if month < 0 else month_name(int(month)) for month in codes], pa.string())


def hours(seconds: Floats) -> pa.Array:
    """Seconds as hours; NaN is null."""
    return pa.array(seconds / SECONDS_PER_HOUR, pa.float64(), from_pandas=True)


def table(mart: str, columns: dict[str, object], keep: Flags) -> pa.Table:
    """The rows in `keep` (booleans) as a table with the mart's columns of the dictionary, in its order.

    Raises:
        KeyError: where `columns` lacks one that the dictionary names.
    """
    data = pa.table({name: columns[name] for name in TABLES[mart].names})
    return data.filter(pa.array(keep))


def ordered(mart: str, parts: list[pa.Table]) -> pa.Table:
    """The parts of a mart as one table in the dictionary's order of rows."""
    return pa.concat_tables(parts).sort_by([(name, "ascending") for name in TABLES[mart].order])

"""Local months of instants, and cutting a batch by month without copying where it can be avoided.

Pure column work: no files here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from klantspoor.errors import LakeError

Codes = npt.NDArray[np.int64]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def local_months(instants: pa.Array | pa.ChunkedArray, timezone: str) -> pa.DictionaryArray:
    """The local month "YYYY-MM" of every instant, as dictionary<int32, string>.

    `instants` is timestamp[us, UTC] without nulls; `timezone` an IANA name.

    Raises:
        LakeError: where an instant is null.
    """
    if isinstance(instants, pa.ChunkedArray):
        instants = instants.combine_chunks()
    if instants.null_count:
        raise LakeError(f"cannot tell the month of {instants.null_count} instants that are null")
    values = instants.cast(pa.int64()).to_numpy(zero_copy_only=False)
    if len(values) == 0:
        return pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), pa.array([], pa.string()))
    names, starts = _month_starts(int(values.min()), int(values.max()), ZoneInfo(timezone))
    codes = np.searchsorted(starts, values, side="right") - 1
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names, pa.string()))


def _month_starts(first: int, last: int, zone: ZoneInfo) -> tuple[list[str], Codes]:
    """Every local month from that of `first` to that of `last` (µs since 1970), and the instants they begin at."""
    month = (
        (_EPOCH + timedelta(microseconds=first))
        .astimezone(zone)
        .replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    )
    names: list[str] = []
    starts: list[int] = []
    while True:
        # Through UTC: the difference of two datetimes of one zone ignores its clock changes.
        start = (month.replace(fold=0).astimezone(UTC) - _EPOCH) // _MICROSECOND
        if start > last:
            return names, np.array(starts, dtype=np.int64)
        names.append(f"{month.year:04d}-{month.month:02d}")
        starts.append(start)
        month = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def split(data: pa.Table, codes: Codes) -> Iterator[tuple[int, pa.Table]]:
    """Cut `data` into slices of one code each, keeping the order of rows within a code.

    Rows that already lie together are sliced, not copied.
    """
    if len(codes) == 0:
        return
    edges = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    # More stretches than codes: sort (stably), so that each code is written once.
    if len(edges) + 1 > len(np.unique(codes[np.concatenate(([0], edges))])):
        order = np.argsort(codes.astype(np.int16) if int(codes.max()) < 2**15 else codes, kind="stable")
        data, codes = data.combine_chunks().take(pa.array(order)), codes[order]
        edges = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    starts = [0, *edges.tolist()]
    for start, end in zip(starts, [*starts[1:], len(codes)], strict=True):
        yield int(codes[start]), data.slice(start, end - start)

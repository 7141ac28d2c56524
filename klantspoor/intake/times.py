"""Times as a source writes them, read into UTC instants, each with a verdict.

Formats, epochs, typed columns and offsets are understood here; what becomes of a row whose time is bad is decided by
the caller. Instants are int64 microseconds since 1970 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from enum import IntEnum
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.intake.faults import as_text
from klantspoor.intake.sandbox import literal
from klantspoor.intake.zones import Mask, Micros, Zone, to_micros, zone
from klantspoor.project.model import SourceFile, TimeRules

_UNIT_MICROS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_FAR = 9e18


class Verdict(IntEnum):
    """What is wrong with a time; the names are the quarantine's reasons."""

    FINE = 0
    MISSING_TIME = 1
    UNPARSABLE_TIME = 2
    NONEXISTENT_TIME = 3
    AMBIGUOUS_TIME = 4
    IMPLAUSIBLY_OLD = 5
    FAR_FUTURE = 6


@dataclass(frozen=True, slots=True)
class Times:
    """Read times (n): instants, verdicts (an instant counts only where FINE), and which a rule resolved."""

    at: Micros
    verdict: npt.NDArray[np.uint8]
    resolved: Mask


class TimeReader:
    """Reads the times of one file: its source's rules, with its landing as the limit of the future."""

    def __init__(self, con: duckdb.DuckDBPyConnection, source: SourceFile, landed_at: datetime) -> None:
        self._con = con
        self.rules: TimeRules = source.time
        info = ZoneInfo(source.timezone)
        oldest = datetime.combine(self.rules.not_before, time.min, info)
        self._oldest = to_micros(oldest)
        self._newest = to_micros(landed_at + self.rules.max_future)
        self._zone: Zone = zone(source.timezone, max(oldest.year - 1, 1), (landed_at + self.rules.max_future).year + 1)
        self.expected = " or ".join(self.rules.formats)
        if self.rules.epoch is not None:
            self.expected = f"a number ({self.rules.epoch} since 1970) or {self.expected}"

    def read(self, values: pa.Array) -> Times:
        """Instants and verdicts of a column of times (n), of whatever type the mapping gave it."""
        at, known, local, missing = self._parse(values)
        verdict = np.where(missing, Verdict.MISSING_TIME, np.where(known, Verdict.FINE, Verdict.UNPARSABLE_TIME))
        meant = self._zone.to_utc(np.where(local, at, 0))
        gap, twice = meant.nonexistent & local & known, meant.ambiguous & local & known
        at = np.where(local, meant.later if self.rules.ambiguous == "later" else meant.earlier, at)
        verdict = np.where(known & (at < self._oldest), Verdict.IMPLAUSIBLY_OLD, verdict)
        verdict = np.where(known & (at > self._newest), Verdict.FAR_FUTURE, verdict)
        if self.rules.nonexistent == "quarantine":
            verdict = np.where(gap, Verdict.NONEXISTENT_TIME, verdict)
        if self.rules.ambiguous == "quarantine":
            verdict = np.where(twice, Verdict.AMBIGUOUS_TIME, verdict)
        return Times(at, verdict.astype(np.uint8), (gap | twice) & (verdict == Verdict.FINE))

    def seconds(self, values: pa.Array) -> tuple[npt.NDArray[np.float64], Mask, Mask]:
        """Numbers as they are and times as seconds since 1970, for versions: (value, known, missing), each (n)."""
        texts = _texts(values)
        number = self._query("TRY_CAST(t AS DOUBLE) AS n", texts).column(0)
        numbers = _floats(number)
        at, known, local, missing = self._parse(values)
        micros = np.where(local, self._zone.to_utc(np.where(local, at, 0)).earlier, at)
        is_number = np.isfinite(numbers) & (not pa.types.is_temporal(values.type))
        return np.where(is_number, numbers, micros / _UNIT_MICROS["s"]), is_number | known, missing

    def _parse(self, values: pa.Array) -> tuple[Micros, Mask, Mask, Mask]:
        """(microseconds, which are known, which of these are local, which are missing), each (n)."""
        kind = values.type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            missing = _mask(pc.is_null(values))
            unit = pa.timestamp("us", tz=kind.tz if pa.types.is_timestamp(kind) else None)
            at = pc.cast(values, unit, safe=False).cast(pa.int64())
            known = ~missing
            return np.clip(_ints(at), -int(_FAR), int(_FAR)), known, known & (unit.tz is None), missing
        return self._parse_texts(_texts(values))

    def _parse_texts(self, texts: pa.Array) -> tuple[Micros, Mask, Mask, Mask]:
        zoned, utc, local = _by_kind(self.rules.formats)
        scale = _UNIT_MICROS[self.rules.epoch] if self.rules.epoch is not None else None
        number = "TRY_CAST(t AS DOUBLE)" if scale is not None else "NULL::DOUBLE"
        answer = self._query(
            f"""{number} AS number, {_strptime("regexp_replace(t, '[Zz]$', '+00:00')", zoned)} AS zoned,
                {_strptime("t", utc)} AS utc, {_strptime("t", local)} AS local""",
            texts,
        )
        missing = _mask(pc.is_null(texts))
        numbers = _floats(answer.column("number")) * (scale or 1)
        at = np.clip(np.round(np.nan_to_num(numbers)), -_FAR, _FAR).astype(np.int64)
        known = np.isfinite(numbers)
        is_local = np.zeros(len(texts), np.bool_)
        for name in ("zoned", "utc", "local"):
            column = answer.column(name).combine_chunks()
            found = ~known & _mask(pc.is_valid(column))
            at = np.where(found, _ints(column), at)
            known |= found
            if name == "local":
                is_local = found
        return at, known, is_local, missing

    def _query(self, columns: str, texts: pa.Array) -> pa.Table:
        self._con.register("batch", pa.table({"t": texts}))
        return self._con.sql(f"SELECT {columns} FROM batch").to_arrow_table()


def _by_kind(formats: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Formats with an offset or zone, those that end in a literal Z (UTC), and local ones."""
    zoned = [f for f in formats if "%z" in f or "%Z" in f]
    utc = [f for f in formats if f not in zoned and f.endswith("Z")]
    return zoned, utc, [f for f in formats if f not in zoned and f not in utc]


def _strptime(text: str, formats: list[str]) -> str:
    if not formats:
        return "NULL::BIGINT"
    listed = ", ".join(literal(f) for f in formats)
    # DuckDB reads the words "infinity" and "epoch" as times, whatever the format.
    read = f"epoch_us(try_strptime({text}, [{listed}]))"
    return f"CASE WHEN lower(t) IN ('infinity', '-infinity', 'epoch') THEN NULL ELSE {read} END"


def _texts(values: pa.Array) -> pa.Array:
    """Trimmed texts; blank ones are null."""
    texts = pc.utf8_trim_whitespace(as_text(values))
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _mask(values: pa.Array) -> Mask:
    return np.asarray(values.to_numpy(zero_copy_only=False), np.bool_)


def _ints(values: pa.Array) -> Micros:
    return np.asarray(pc.fill_null(values, 0).to_numpy(zero_copy_only=False), np.int64)


def _floats(values: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.asarray(pc.fill_null(values, float("nan")).to_numpy(), np.float64)

"""The night's journeys as narrow columns of whole numbers: made once, shared by the marts that count along them.

Four small tables in the run's work folder, never published: `journeys`, `visits`, `steps` (one touchpoint, with the
wait after it) and `stretches`. Texts and identifiers are replaced by numbers; mystery guests' journeys are left out
here, once and for all (R21). No figure is computed here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from klantspoor.dictionary import COLUMNS
from klantspoor.errors import LakeError
from klantspoor.lake.months import local_months
from klantspoor.lake.staging import Staging
from klantspoor.marts import segments
from klantspoor.marts.cube import Ints
from klantspoor.marts.segments import TABLES, Segment, as_numbers, joined, keep, kept, person_key, show
from klantspoor.project.model import Project

UNKNOWN = "unknown"
"""What the marts call the persona of a person of whom none is known: a null there means all personas."""
TURNS = COLUMNS["turn"].values or ()
CAUSES = COLUMNS["cause"].values or ()
Column = npt.NDArray[Any]
"""Whole numbers (codes, places, seconds) or flags."""
_BLOCK = 1_000_000
"""Rows of the longest table that are in memory at a time."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The narrow columns of one night; `names` gives the texts that codes stand for, by kind (activity, phase, …)."""

    folder: Path
    names: dict[str, list[str]]
    this_month: int

    def read(self, table: str, *columns: str) -> tuple[Column, ...]:
        """Columns of one of the four tables as NumPy arrays."""
        return tuple(
            np.load(self.folder / f"{table}.{name}.npy", mmap_mode="r", allow_pickle=False) for name in columns
        )

    def blocks(self, table: str, *columns: str) -> Iterator[tuple[Column, ...]]:
        """The same columns, a bounded number of rows at a time: for sums over the longest table."""
        whole = self.read(table, *columns)
        for begin in range(0, len(whole[0]), _BLOCK):
            yield tuple(column[begin : begin + _BLOCK] for column in whole)


def load(project: Project, staging: Staging) -> Paths:
    """The narrow columns of this night's staged journeys: made now, or found as made from the very same files."""
    zone = project.file.timezone
    this_month = month_number(staging.as_of, zone)
    folder = staging.work("marts") / f"paths-{_fingerprint(staging, zone)}"
    if not folder.exists():
        for old in staging.work("marts").glob("paths-*"):
            shutil.rmtree(old)
        aside = folder.with_name(f"making-{uuid4().hex[:8]}")
        aside.mkdir(parents=True)
        _write(_of_tonight(staging, zone, this_month), aside)
        aside.rename(folder)
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    return Paths(folder, names, this_month)


def _of_tonight(staging: Staging, zone: str, this_month: int) -> Segment:
    """The columns of all staged journeys: of what was settled before tonight they are kept, and not made anew."""
    known = kept(staging, [Path(__file__), Path(segments.__file__)], zone)
    made = []
    for settled in (True, False) if known.generation is not None else (False,):
        files = known.files(staging, settled=settled)
        with staging.connect() as con:
            show(con, files, staging)
            segment = _segment(con, zone, this_month)
        if settled:
            keep(staging, known, segment if files["journeys"] else None)
        made.append(segment)
    return joined([*known.segments, *made])


def make(con: duckdb.DuckDBPyConnection, zone: str, this_month: int, folder: Path) -> Paths:
    """The narrow columns of the journeys that `con` holds, written into `folder`.

    Leaves in `con` the table `numbered` (journey_id, journey): which journey has which number.

    Args:
        con: has the tables or views journeys, touchpoints, phase_visits and waits, whole journeys only.
        zone: the time zone of months.
        this_month: the number of the month that open waits and stays are told in.
        folder: an empty folder.
    """
    segment = _segment(con, zone, this_month)
    _write(segment, folder)
    return Paths(folder, segment.names, this_month)


def month_number(instant: datetime, zone: str) -> int:
    """The local month of an aware instant as a number: years times twelve, plus the month from 0."""
    return int(_months(pa.array([instant], pa.timestamp("us", tz="UTC")), zone)[0])


def month_name(month: int) -> str:
    """YYYY-MM of a month number (years times twelve, plus the month from 0)."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def _fingerprint(staging: Staging, zone: str) -> str:
    """Changes whenever a table that the columns are made from is written again."""
    files = sorted(path for table in TABLES for path in staging.folder(table).rglob("*.parquet"))
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return sha256(repr((stats, zone, staging.as_of)).encode()).hexdigest()[:16]


def _segment(con: duckdb.DuckDBPyConnection, zone: str, this_month: int) -> Segment:
    names = {kind: _enum(con, kind) for kind in ("activity", "channel", "phase", "journey_type", "persona")}
    journeys = _journeys(con)
    visits, first_visit = _visits(con, zone, this_month, journeys["is_open"])
    steps, first_step = _steps(con, zone, first_visit)
    stretches = _stretches(con, first_step, len(steps["journey"]))
    _add_waits(steps, stretches, this_month)
    return Segment(names, {"journeys": journeys, "visits": visits, "steps": steps, "stretches": stretches})


def _write(segment: Segment, folder: Path) -> None:
    for table, columns in segment.columns.items():
        for name, values in columns.items():
            shown = as_numbers(values) if name == "person" else values
            np.save(folder / f"{table}.{name}.npy", shown, allow_pickle=False)
    (folder / "names.json").write_text(json.dumps(segment.names), encoding="utf-8")


def _enum(con: duckdb.DuckDBPyConnection, kind: str) -> list[str]:
    """Make an enumeration of all texts of one kind; their places in the returned list are their codes."""
    found = {
        "activity": "SELECT DISTINCT activity FROM touchpoints",
        "channel": "SELECT DISTINCT channel FROM touchpoints WHERE channel IS NOT NULL",
        "phase": "SELECT DISTINCT phase FROM touchpoints WHERE phase IS NOT NULL",
        "journey_type": "SELECT DISTINCT journey_type FROM journeys",
        "persona": f"SELECT DISTINCT coalesce(persona, '{UNKNOWN}') FROM journeys",
    }[kind]
    con.execute(f"CREATE TEMP TYPE {kind}_code AS ENUM (SELECT name::VARCHAR FROM ({found}) found(name) ORDER BY 1)")
    rows = con.execute(f"SELECT unnest(enum_range(NULL::{kind}_code))::VARCHAR").fetchall()
    return [str(name) for (name,) in rows]


def _column(data: pa.Table, name: str, dtype: type[np.generic]) -> Column:
    """A result column as whole numbers: the codes of an enumeration, -1 for null."""
    column = data.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(column.type):
        column = column.indices
    if column.null_count:
        column = column.cast(pa.int64()).fill_null(-1)
    return np.asarray(column.to_numpy(zero_copy_only=False)).astype(dtype)


def _journeys(con: duckdb.DuckDBPyConnection) -> dict[str, Column]:
    """One row per journey that counts, by person; its place is its number.

    Leaves the table `numbered` (journey_id, journey) in the connection, for joins.
    """
    data = con.sql(f"""
        SELECT journey_id, {person_key("person_id")} AS person, epoch_us(started_at) AS started,
            journey_type::journey_type_code AS journey_type,
            coalesce(persona, '{UNKNOWN}')::persona_code AS persona, status = 'open' AS is_open,
            outcome <> 'achieved' AND (status = 'abandoned' OR outcome = 'failed') AS is_lost
        FROM journeys WHERE NOT is_mystery_guest
    """).to_arrow_table()
    person = data.column("person").to_numpy()
    by_person = np.argsort(person, kind="stable")
    data, person = data.take(pa.array(by_person)), person[by_person]
    con.register(
        "numbered_rows",
        data.select(["journey_id"]).append_column("journey", pa.array(np.arange(len(data), dtype=np.int32))),
    )
    con.execute("CREATE TEMP TABLE numbered AS SELECT * FROM numbered_rows")
    con.unregister("numbered_rows")
    is_open = _column(data, "is_open", np.bool_)
    return {
        "person": person,
        "started": _column(data, "started", np.int64),
        "journey_type": _column(data, "journey_type", np.int32),
        "persona": _column(data, "persona", np.int32),
        "is_open": is_open,
        "is_lost": _column(data, "is_lost", np.bool_),
    }


def _visits(
    con: duckdb.DuckDBPyConnection, zone: str, this_month: int, is_open: Ints
) -> tuple[dict[str, Column], Ints]:
    """The phase visits by journey and number, and the place of each journey's first."""
    data = con.sql("""
        SELECT journey, visit_number AS number, phase::phase_code AS phase, phase_number, left_at, dwell_seconds,
            is_last
        FROM phase_visits JOIN numbered USING (journey_id)
    """).to_arrow_table()
    order, journey, first = _in_order(data, len(is_open))
    last = _column(data, "is_last", np.bool_)[order]
    still_in = last & is_open[journey]
    columns = {
        "journey": journey,
        "phase": _column(data, "phase", np.int32)[order],
        "phase_number": _column(data, "phase_number", np.int32)[order],
        "month": np.where(still_in, this_month, _months(data.column("left_at"), zone)[order]).astype(np.int32),
        "dwell": _column(data, "dwell_seconds", np.int64)[order],
        "is_last": last,
    }
    return columns, first


def _steps(con: duckdb.DuckDBPyConnection, zone: str, first_visit: Ints) -> tuple[dict[str, Column], Ints]:
    """The touchpoints by journey and number, and the place of each journey's first.

    `known` is the last phase known up to a touchpoint, `visit` the place of the phase visit that it belongs to (-1:
    it has no phase).
    """
    data = con.sql("""
        SELECT journey, touchpoint_number AS number, activity::activity_code AS activity, phase::phase_code AS phase,
            channel::channel_code AS channel, started_at, wait_before_seconds
        FROM touchpoints JOIN numbered USING (journey_id)
    """).to_arrow_table()
    order, journey, first = _in_order(data, len(first_visit))
    phase = _column(data, "phase", np.int32)[order]
    own_first = first[journey]
    place = np.arange(len(phase), dtype=np.int32)
    last_phased = np.maximum.accumulate(np.where(phase >= 0, place, np.int32(-1))) if len(phase) else place
    known = np.where(last_phased >= own_first, phase[last_phased], np.int32(-1))
    known_before = np.where(place > own_first, np.roll(known, 1), np.int32(-1))
    begun = np.cumsum((phase >= 0) & (phase != known_before), dtype=np.int32)
    begun -= np.where(own_first > 0, begun[own_first - 1], np.int32(0))
    columns = {
        "journey": journey,
        "activity": _column(data, "activity", np.int32)[order],
        "channel": _column(data, "channel", np.int32)[order],
        "known": known,
        "visit": np.where(phase >= 0, first_visit[journey] + begun - 1, np.int32(-1)),
        "month": _months(data.column("started_at"), zone)[order],
        "wait_before": _column(data, "wait_before_seconds", np.int64)[order],
    }
    return columns, first


def _stretches(con: duckdb.DuckDBPyConnection, first_step: Ints, steps: int) -> dict[str, Column]:
    """The stretches of all waits, each with the place of the touchpoint before its wait."""
    reader = con.sql(f"""
        SELECT journey, touchpoint_number AS number, turn::ENUM({_quoted(TURNS)}) AS turn,
            cause::ENUM({_quoted(CAUSES)}) AS cause, seconds, is_open
        FROM waits JOIN numbered USING (journey_id)
    """).to_arrow_reader(_BLOCK)
    # There are several for each wait: only their narrow columns are ever held whole.
    parts = [_stretch_columns(pa.Table.from_batches([batch]), first_step) for batch in reader]
    parts = parts or [_stretch_columns(reader.schema.empty_table(), first_step)]
    columns = {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
    if len(columns["step"]) and int(columns["step"].max()) >= steps:
        raise LakeError(
            "table waits names touchpoints that table touchpoints does not hold: write both in the same run"
        )
    return columns


def _stretch_columns(data: pa.Table, first_step: Ints) -> dict[str, Column]:
    return {
        "step": first_step[_column(data, "journey", np.int32)] + _column(data, "number", np.int32) - 1,
        "turn": _column(data, "turn", np.int8),
        "cause": _column(data, "cause", np.int8),
        "seconds": _column(data, "seconds", np.int64),
        "is_open": _column(data, "is_open", np.bool_),
    }


def _add_waits(steps: dict[str, Column], stretches: dict[str, Column], this_month: int) -> None:
    """Add to every touchpoint the wait after it: its length (-1: none), whether it is open, the month it ended in."""
    size = len(steps["journey"])
    step = stretches["step"]
    length = np.bincount(step, weights=stretches["seconds"], minlength=size).astype(np.int64)
    waits = np.zeros(size, dtype=np.bool_)
    waits[step] = True
    is_open = np.zeros(size, dtype=np.bool_)
    is_open[step[stretches.pop("is_open")]] = True
    # A closed wait ends when the next touchpoint starts.
    month = np.roll(steps.pop("month"), -1)
    steps["wait"] = np.where(waits, length, -1)
    steps["wait_open"] = is_open
    steps["wait_month"] = np.where(is_open, this_month, month).astype(np.int32)


def _in_order(data: pa.Table, journeys: int) -> tuple[Ints, Ints, Ints]:
    """The order of rows by journey and number (1, 2, …), their journeys in it, and the place of each journey's first row."""
    journey, number = _column(data, "journey", np.int32), _column(data, "number", np.int32)
    per_journey = np.bincount(journey, minlength=journeys)
    first = (np.cumsum(per_journey) - per_journey).astype(np.int32)
    # The numbers say where each row belongs: nothing needs to be compared to sort them.
    order = np.full(len(number), -1, dtype=np.int32)
    fits = (number >= 1) & (number <= per_journey[journey])
    order[(first[journey] + number - 1)[fits]] = np.flatnonzero(fits)
    if (order < 0).any():
        raise LakeError("touchpoints and phase visits must be numbered 1, 2, … within each journey")
    return order, journey[order], first


def _months(instants: pa.Array | pa.ChunkedArray, zone: str) -> Ints:
    """Local months as numbers: years times twelve, plus the month from 0."""
    coded = local_months(instants, zone)
    numbers = np.array(
        [int(name[:4]) * 12 + int(name[5:]) - 1 for name in coded.dictionary.to_pylist()], dtype=np.int32
    )
    return numbers[coded.indices.to_numpy()] if len(numbers) else np.zeros(0, dtype=np.int32)


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)

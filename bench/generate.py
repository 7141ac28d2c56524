"""Makes the benchmark's events: what the events stage would have left in `canonical/`, and the tables that marts read.

Vectorised, in blocks of persons that depend on nothing but their number: the same size gives the same files. The events
are drawn from `bench.story`; they lie in order of arrival (by day and source), not by person. Run as a process of its
own: `python -m bench.generate FOLDER EVENTS`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bench.story import PERSONAS, STORIES, TOPICS, Story
from bench.world import AS_OF, open_bench
from klantspoor.journeys.segments import mix
from klantspoor.lake import Staging
from klantspoor.lake.connection import limited

KEYS = tuple(story.case_key for story in STORIES if story.case_key)
SOURCES = ("crm", "phone", "survey", "web")
_BEGIN = round(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)
_END = round(AS_OF.timestamp() * 1_000_000)
_MINUTE, _HOUR = 60_000_000, 3_600_000_000
_PERSONS_A_BLOCK = 20_000
_SEED = 20240101
_FRONT, _NAMES = "events.parquet", ("source", "activity", "channel", "initiator", "team", "instrument")

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of events, and for each story the kind of each of its steps."""

    rows: list[tuple[str | None, ...]]
    of_step: list[npt.NDArray[np.int32]]


def all_kinds() -> Kinds:
    """The distinct kinds of all steps, numbered in the order of the events stage."""
    found = {
        (s.source, s.activity, s.channel, s.initiator, s.team, "nps" if s.source == "survey" else None)
        for story in STORIES
        for s in story.steps
    }
    rows = sorted(found, key=lambda row: tuple(value or "" for value in row))
    place = {row: number for number, row in enumerate(rows)}
    return Kinds(
        list(rows),
        [
            np.array(
                [
                    place[
                        (s.source, s.activity, s.channel, s.initiator, s.team, "nps" if s.source == "survey" else None)
                    ]
                    for s in story.steps
                ],
                dtype=np.int32,
            )
            for story in STORIES
        ],
    )


def blocks(events: int) -> Iterator[pa.Table]:
    """Canonical events, a block of persons at a time, `events` in all."""
    kinds, made, number = all_kinds(), 0, 0
    while made < events:
        block = _block(number, kinds).slice(0, events - made)
        made, number = made + len(block), number + 1
        yield block


def _block(number: int, kinds: Kinds) -> pa.Table:
    rng = np.random.default_rng([_SEED, number])
    parts = [_journeys(rng, story, kind) for story, kind in zip(STORIES, kinds.of_step, strict=True)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    index = columns.pop("index")
    order = np.argsort(index, kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    first = np.uint64(number * _PERSONS_A_BLOCK + 1)
    person = index[order].astype(np.uint64) + first
    # One person in six has a second account; half of the events say for which account they are.
    account = person * np.uint64(2) + ((mix(person) % np.uint64(6) == 0) & (columns.pop("side") == 1))
    known = columns.pop("says_account")
    columns["account"] = np.where(known, mix(account), np.uint64(0))
    columns["person"] = mix(person)
    answer = np.isin(columns["kind"], [k for k, row in enumerate(kinds.rows) if row[-1] is not None])
    score = np.where(answer, rng.integers(0, 11, len(answer)), np.nan).astype(np.float64)
    need = np.where(rng.random(len(answer)) < 0.03, columns["at"] - rng.integers(0, 240, len(answer)) * _HOUR, 0)
    return pa.table(
        columns
        | {
            "source_number": np.searchsorted(SOURCES, [row[0] for row in kinds.rows])[columns["kind"]].astype(np.int16)
            + 1,
            "position": np.zeros(len(answer), dtype=np.int16),
            "need": pa.array(need, mask=need == 0),
            "score": pa.array(score, from_pandas=True),
            "score_0_100": pa.array(score * 10, from_pandas=True),
            "event_id": _event_ids(rng, len(answer)),
        }
    )


def _event_ids(rng: np.random.Generator, count: int) -> pa.Array:
    raw = rng.bytes(12 * count).hex().encode()
    offsets = np.arange(count + 1, dtype=np.int32) * 24
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(raw))


@dataclass(frozen=True, slots=True)
class Drawn:
    """n journeys of one story, with the m steps that each might hold: whose, which steps happen, when, and for how long."""

    index: Ints
    happens: npt.NDArray[np.bool_]
    at: Ints
    lasts: Ints


def draw(rng: np.random.Generator, story: Story, persons: int, per_person: float, begin: int, end: int) -> Drawn:
    """Journeys that `persons` people begin between two instants (µs since 1970 UTC), `per_person` each on average."""
    index = np.repeat(np.arange(persons, dtype=np.int64), rng.poisson(per_person, persons))
    journeys, steps = len(index), len(story.steps)
    happens = rng.random((journeys, steps)) < np.array([step.share for step in story.steps])
    delay = np.array([step.delay for step in story.steps]) * _HOUR
    later = np.where(happens, delay * rng.lognormal(0.0, 0.9, (journeys, steps)), 0.0)
    lasts = np.array([step.lasts for step in story.steps]) * _MINUTE * rng.lognormal(0.0, 0.6, (journeys, steps))
    began = rng.integers(begin, end, journeys)
    at = began[:, None] + np.cumsum(later + lasts, axis=1).astype(np.int64) - lasts.astype(np.int64)
    # The back office notes whole minutes, which makes ties; the web whole milliseconds, the others whole seconds.
    unit = np.array([{"crm": _MINUTE, "web": 1000}.get(step.source, 1_000_000) for step in story.steps])
    at -= at % unit
    return Drawn(index, happens, at, lasts.astype(np.int64))


def _journeys(
    rng: np.random.Generator, story: Story, kind: npt.NDArray[np.int32]
) -> dict[str, npt.NDArray[np.generic]]:
    """The events of one story's journeys of a block's persons, in columns."""
    drawn = draw(rng, story, _PERSONS_A_BLOCK, story.per_person, _BEGIN, _END)
    index, at, journeys = drawn.index, drawn.at, len(drawn.index)
    keep = drawn.happens & (at < _END)
    row, step = np.nonzero(keep)
    from_crm = np.array([s.source == "crm" for s in story.steps])[step]
    case = mix(rng.integers(1, 2**62, journeys).astype(np.uint64)) | np.uint64(1)
    # A quarter of the other events name the case too: a page of the case itself, a call about it.
    keyed = np.where(from_crm | (rng.random(len(row)) < 0.25), case[row], np.uint64(0))
    number = STORIES.index(story)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "index": index[row],
        "at": at[keep],
        "until": (at + drawn.lasts)[keep],
        "kind": kind[step],
        "tie_order": np.where(from_crm, step + 1, 0).astype(np.int64),
        "topic": np.where(rng.random(len(row)) < 0.25, number, -1).astype(np.int32),
        "side": rng.integers(0, 2, journeys)[row],
        "says_account": from_crm | (rng.random(len(row)) < 0.2),
    }
    return columns | {f"key_{key}": keyed if key == story.case_key else np.zeros(len(row), np.uint64) for key in KEYS}


def generate(folder: Path, events: int) -> None:
    """Fills the staging folder of a run called "bench" in a lake at `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    with open_bench(folder) as staging:
        canonical, aside = staging.work("canonical"), staging.work("aside")
        writer = None
        for block in blocks(events):
            writer = writer or pq.ParquetWriter(aside / "blocks.parquet", block.schema, compression="lz4")
            writer.write_table(block)
        if writer is not None:
            writer.close()
        with limited(3000, staging.work("scratch")) as connection:
            # Files arrive night by night: the events of one person lie far apart.
            connection.execute(
                """COPY (SELECT * FROM read_parquet($blocks) ORDER BY "at" // 86400000000, source_number, event_id)
                   TO $path (FORMAT parquet, COMPRESSION zstd)""",
                {"blocks": str(aside / "blocks.parquet"), "path": str(canonical / _FRONT)},
            )
            _code_books(connection, canonical)
            _published(connection, staging)
        shutil.rmtree(aside)


def _code_books(connection: duckdb.DuckDBPyConnection, canonical: Path) -> None:
    rows = all_kinds().rows
    kinds = pa.table(
        {"kind": pa.array(range(len(rows)), pa.int32())}
        | {name: pa.array([row[place] for row in rows], pa.string()) for place, name in enumerate(_NAMES)}
    ).add_column(6, "declared_visibility", pa.nulls(len(rows), pa.string()))
    pq.write_table(kinds, canonical / "kinds.parquet")
    connection.register("kinds", kinds)
    paths = {"events": str(canonical / _FRONT)}
    counted = connection.sql(
        """SELECT k.*, coalesce(e.events, 0)::BIGINT AS events
           FROM kinds k LEFT JOIN (SELECT kind, count(*) AS events FROM read_parquet($events) GROUP BY kind) e USING (kind)
           ORDER BY kind""",
        params=paths,
    ).to_arrow_table()
    pq.write_table(counted, canonical / "all_kinds.parquet")
    topics = {"topic": pa.array(range(len(TOPICS)), pa.int32()), "name": pa.array(TOPICS, pa.string())}
    pq.write_table(pa.table(topics), canonical / "topics.parquet")
    connection.register("personas", pa.table({"code": range(len(PERSONAS)), "persona": PERSONAS}))
    connection.execute(
        """COPY (SELECT person, persona FROM (SELECT DISTINCT person FROM read_parquet($events)) e
                 JOIN personas p ON p.code = e.person % 7 ORDER BY person)
           TO $path (FORMAT parquet, COMPRESSION zstd)""",
        paths | {"path": str(canonical / "personas.parquet")},
    )


def _published(connection: duckdb.DuckDBPyConnection, staging: Staging) -> None:
    """The tables `events` and `intake`, which the mart `freshness` and the checks read."""
    folder = staging.root / "tables" / "events"
    folder.mkdir(parents=True, exist_ok=True)
    connection.execute(
        f"""COPY (
            SELECT e.event_id, k.source, left(e.event_id, 10) AS source_event_id, make_timestamp(e."at")::TIMESTAMPTZ
                AS occurred_at, CASE WHEN e.until > e."at" THEN make_timestamp(e.until)::TIMESTAMPTZ END AS ended_at,
                make_timestamp(e."at" + 3600000000)::TIMESTAMPTZ AS received_at, k.activity, k.channel, k.initiator,
                CASE WHEN k.channel IS NULL THEN 'internal' ELSE 'visible' END AS visibility,
                'by channel' AS visibility_rule, printf('%016x', e.person) AS person_id,
                CASE WHEN e.account > 0 THEN printf('%016x', e.account) END AS account_id, NULL::VARCHAR AS topic, k.team,
                NULL::VARCHAR AS outcome, NULL::VARCHAR AS attributes, 1::BIGINT AS file_sequence,
                (row_number() OVER ())::BIGINT AS row_number,
                strftime(make_timestamp(e."at"), '%Y-%m') AS month
            FROM read_parquet($events) e JOIN kinds k USING (kind))
            TO '{folder}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (month), OVERWRITE true)""",
        {"events": str(staging.work("canonical") / _FRONT)},
    )
    count = len(SOURCES)
    numbers = ("rows_read", "used", "reference", "ignored", "duplicates", "superseded", "quarantined", "erased")
    intake = {
        "sequence": range(1, count + 1),
        "source": SOURCES,
        "file": [f"{source}/all.parquet" for source in SOURCES],
        "content_hash": SOURCES,
        "landed_at": [AS_OF] * count,
        "file_status": ["used"] * count,
        "dialect": ["as it is"] * count,
    } | dict.fromkeys((*numbers, "events_made", "times_resolved", "anonymous_events"), [0] * count)
    columns = {name: pa.array(values, _TYPES.get(name, pa.int64())) for name, values in intake.items()}
    staging.write("intake", pa.table(columns))


_TYPES = {"landed_at": pa.timestamp("us", tz="UTC")} | dict.fromkeys(
    ("source", "file", "content_hash", "file_status", "dialect"), pa.string()
)

if __name__ == "__main__":
    generate(Path(sys.argv[1]), int(sys.argv[2]))

"""Writing what the events stage found: the table, the kernel's input, and what the next night goes on from.

Rows that are settled tonight go to new parts of the table, those of earlier nights are taken over; the rest, what is
live, is written anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.dictionary import TABLES
from klantspoor.events.base import BESIDE, Base, columns_of
from klantspoor.events.dedupe import ID_WORD
from klantspoor.lake import Staging
from klantspoor.lake.connection import literal
from klantspoor.lake.parts import A_GENERATION, by_part, part_name, take_over

PART_ROWS = 4096
"""Rows of a part, about: late data and merges rewrite whole parts, readers open them one by one (docs/adr/0017)."""
_BATCH = 200_000


def write_events(connection: duckdb.DuckDBPyConnection, base: Base, staging: Staging) -> None:
    """Writes the table `events`."""
    columns = ", ".join(TABLES["events"].names)
    _number_parts(connection, base)
    with staging.writer("events") as writer:
        if base.version is not None:
            dropped = connection.sql("SELECT event_id, part FROM dropped").to_arrow_table()
            take_over(writer, base.version.root / "events", "event_id", by_part(dropped, "event_id"))
        for batch in connection.sql(
            f"""SELECT {columns} FROM published ANTI JOIN parts USING (event_id)
                ORDER BY person_id, occurred_at, event_id"""
        ).to_arrow_reader(_BATCH):
            writer.write(pa.Table.from_batches([batch]))
        ordered = connection.sql(
            f"""SELECT {columns}, part FROM published JOIN parts USING (event_id)
                ORDER BY part, person_id, occurred_at, event_id"""
        ).to_arrow_reader(_BATCH)
        for rows in whole_parts(ordered):
            writer.settle(rows.drop_columns(["part"]), part_name(rows["part"][0].as_py()))


def whole_parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """One table for each part; the batches must be sorted by `part`."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        table = pa.Table.from_batches(held)
        edges = pc.run_end_encode(table["part"].combine_chunks())
        start = 0
        for end in edges.run_ends.to_pylist()[:-1]:
            yield table.slice(start, end - start)
            start = end
        held = table.slice(start).to_batches()
    if held:
        yield pa.Table.from_batches(held)


def _number_parts(connection: duckdb.DuckDBPyConnection, base: Base) -> None:
    """`parts` (event_id, part): where events that are settled tonight go.

    A part holds neighbours by their owner, a person or else a set of identifiers; of events without any, by themselves. All
    are hashes, so parts are about equal.
    """
    connection.execute(
        f"""CREATE TEMP TABLE parts AS
            WITH rows AS (
                SELECT event_id, coalesce(('0x' || person_id)::UBIGINT, nullif(identifier_set, 0), {ID_WORD.format("event_id")})
                       AS owner
                FROM winners SEMI JOIN settling USING (event_id))
            SELECT event_id, ($first + (owner >> 32) * greatest(1, (count(*) OVER () + {PART_ROWS} - 1) // {PART_ROWS})::UBIGINT
                              // 4294967296)::BIGINT AS part
            FROM rows""",
        {"first": base.generation * A_GENERATION},
    )


def write_canonical(connection: duckdb.DuckDBPyConnection, staging: Staging, keys: list[str]) -> None:
    """What the kernel reads: numbers where it compares, and only kinds that a journey type maps or that hold a score."""
    folder = staging.work("canonical")
    connection.execute(
        """CREATE TEMP TABLE topics AS SELECT (row_number() OVER (ORDER BY topic) - 1)::INTEGER AS code, topic
           FROM (SELECT DISTINCT topic FROM winners WHERE topic IS NOT NULL)"""
    )
    connection.execute(
        "COPY (SELECT code AS topic, topic AS name FROM topics ORDER BY code) TO $path (FORMAT parquet)",
        {"path": str(folder / "topics.parquet")},
    )
    word = "coalesce(('0x' || {0})::UBIGINT, 0::UBIGINT) AS {1}"
    case = "".join(", " + word.format(f'"key_{name}"', f'"key_{name}"') for name in keys)
    connection.execute(
        f"""COPY (
            SELECT ('0x' || w.person_id)::UBIGINT AS person, epoch_us(w.occurred_at) AS "at",
                   epoch_us(coalesce(w.ended_at, w.occurred_at)) AS until, k.mapped AS kind, k.source_number, w.tie_order,
                   w.position, {word.format("w.account_id", "account")}, coalesce(t.code, -1)::INTEGER AS topic{case},
                   epoch_us(w.need_started_at) AS need, w.score, w.score_0_100, w.event_id,
                   epoch_us(greatest(w.occurred_at, coalesce(w.ended_at, w.occurred_at))) + k.reach AS deadline
            FROM winners w JOIN kinds k USING (kind) LEFT JOIN topics t USING (topic)
            WHERE w.person_id IS NOT NULL AND k.mapped IS NOT NULL
            ORDER BY person, "at", w.tie_order, w.position, k.source_number, w.event_id)
            TO $path (FORMAT parquet, COMPRESSION zstd)""",
        {"path": str(folder / "events.parquet")},
    )


def remember_events(connection: duckdb.DuckDBPyConnection, base: Base, staging: Staging, keys: list[str]) -> None:
    """Keeps what is live, and what is needed of events that are settled tonight."""
    listed = ", ".join(f'w."{name}"' for name in columns_of("live", keys))
    base.replace(connection, staging, "live", f"SELECT {listed} FROM published w ANTI JOIN settling USING (event_id)")
    cases = [f"key_{name}" for name in keys]
    beside = ", ".join(f'w."{name}"' for name in [*BESIDE, *cases])
    base.keep(
        connection,
        staging,
        "settled",
        f"""SELECT w.event_id, {ID_WORD.format("w.event_id")} AS id, ('0x' || w.person_id)::UBIGINT AS person, w.person_rule,
                   epoch_us(w.occurred_at) AS "at", s.deadline, {beside}, p.part, {base.generation}::BIGINT AS generation
            FROM winners w JOIN settling s USING (event_id) JOIN parts p USING (event_id)""",
    )
    settled_cases = [
        f"""SELECT DISTINCT ('0x' || w.person_id)::UBIGINT AS person, {literal(name)} AS key,
                   ('0x' || w."key_{name}")::UBIGINT AS word
            FROM winners w JOIN settling s USING (event_id) WHERE s.deadline IS NOT NULL AND w."key_{name}" IS NOT NULL"""
        for name in keys
    ]
    if settled_cases:
        base.keep(connection, staging, "cases", " UNION ALL ".join(settled_cases))
    base.keep(
        connection,
        staging,
        "persons",
        f"""SELECT e.person, e.deadline, p.persona, {base.generation}::BIGINT AS generation FROM (
                SELECT ('0x' || w.person_id)::UBIGINT AS person, max(s.deadline) AS deadline
                FROM winners w JOIN settling s USING (event_id) WHERE s.deadline IS NOT NULL GROUP BY 1) e
            LEFT JOIN personas p USING (person)
            UNION ALL
            SELECT r.person, r.deadline, p.persona, {base.generation}::BIGINT
            FROM remaining r LEFT JOIN personas p USING (person)""",
    )


def note_base(base: Base, staging: Staging, *, settles: bool) -> None:
    """Tells the next stage what it goes on from: `canonical/base.json`."""
    said = {
        "version": str(base.version.root) if base.version else None,
        "generation": base.generation,
        "settles": settles,
        "made_of": base.made_of,
    }
    staging.set_rules(base.rules)
    staging.set_generation(base.generation if base.version else 0)
    (staging.work("canonical") / "base.json").write_text(json.dumps(said), "utf-8")

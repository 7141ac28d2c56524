"""The stage `events`: from the ledger and the persons to the tables `events`, `intake`, `quarantine`, and the kernel's input.

Every step is one query; rows are neither copied into Python nor looped over.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from klantspoor.dictionary import TABLES
from klantspoor.events.dedupe import find_winners, load_raw, row_outcomes
from klantspoor.events.kinds import number_kinds
from klantspoor.identity.encode import ledger_files
from klantspoor.intake.ledger import Ledger
from klantspoor.lake import Lake, Staging, Version
from klantspoor.lake.connection import limited
from klantspoor.project.model import Project

_BATCH = 200_000


@dataclass(frozen=True, slots=True)
class EventsReport:
    """What the stage found. `unmapped` counts events of kinds that no journey type maps."""

    events: int
    duplicates: int
    superseded: int
    anonymous: int
    unmapped: int
    quarantined: int


def case_key_names(project: Project) -> list[str]:
    """Every case key that a source maps or a journey is cut by, sorted."""
    names = {file.cut.case_key for file in project.journeys.values() if file.cut.case_key is not None}
    for source in project.sources.values():
        for mapping in (source.defaults, *source.events):
            names |= set(mapping.case_keys or {})
    return sorted(names)


def build(project: Project, lake: Lake, staging: Staging) -> EventsReport:
    """Writes `events`, `intake`, `quarantine` and the folder `canonical/` of docs/architecture.md.

    Needs `canonical/sets.parquet` and `turns.parquet` from the identity stage.

    Raises:
        ConfigError: the journey files contradict themselves about an activity (R3).
    """
    keys = case_key_names(project)
    files = ledger_files(lake.root)
    with limited(project.file.limits.memory_mb, staging.work("scratch")) as connection:
        quarantined = _quarantine(connection, lake, staging)
        if not len(files):
            files = _no_files(staging, keys)
        load_raw(connection, files, keys)
        find_winners(connection)
        _winners(connection, staging, keys)
        number_kinds(connection, project, staging)
        intake = _intake(connection, lake)
        staging.write("intake", intake)
        _known(connection, staging, lake.current())
        _write_events(connection, staging)
        _write_canonical(connection, staging, keys)
        _write_personas(connection, staging, files)
        [(events, anonymous, unmapped)] = connection.execute(
            """SELECT count(*), count(*) FILTER (person_id IS NULL), count(*) FILTER (visibility = 'unknown')
               FROM winners JOIN kinds USING (kind)"""
        ).fetchall()
    total = {name: sum(intake[name].to_pylist()) for name in ("duplicates", "superseded")}
    return EventsReport(events, total["duplicates"], total["superseded"], anonymous, unmapped, quarantined)


def _no_files(staging: Staging, keys: list[str]) -> pa.Table:
    """A ledger without usable files still makes whole, empty tables."""
    import pyarrow.parquet as pq

    from klantspoor.intake.ledger import EVENTS_SCHEMA, LINKS_SCHEMA

    events, links = staging.work("scratch") / "no_events.parquet", staging.work("scratch") / "no_links.parquet"
    pq.write_table(EVENTS_SCHEMA(keys).empty_table(), events)
    pq.write_table(LINKS_SCHEMA.empty_table(), links)
    return pa.table({"sequence": [0], "source": [""], "events": [str(events)], "links": [str(links)]})


def _quarantine(connection: duckdb.DuckDBPyConnection, lake: Lake, staging: Staging) -> int:
    """Writes `quarantine`, and keeps which rows it holds as `quarantined_rows`."""
    files = Ledger(lake.root).files()
    connection.register(
        "all_files",
        pa.table(
            {
                "sequence": pa.array([f.record.sequence for f in files], pa.int64()),
                "source": pa.array([f.record.source for f in files], pa.string()),
                "file": pa.array([f.record.file for f in files], pa.string()),
                "path": pa.array([str(f.quarantine) for f in files], pa.string()),
            }
        ),
    )
    rows = (
        """SELECT f.source, f.file, f.sequence, q.row_number, q.quarantine_number, q.reason, q."column", q.detail
           FROM read_parquet($paths, filename = true) q JOIN all_files f ON f.path = q.filename"""
        if files
        else "SELECT '' AS source, '' AS file, 0 AS sequence, 0 AS row_number, 0 AS quarantine_number, '' AS reason,"
        " NULL::VARCHAR AS \"column\", '' AS detail WHERE false"
    )
    paths = {"paths": [str(file.quarantine) for file in files]} if files else {}
    connection.execute(f"CREATE TEMP TABLE quarantine AS {rows}", paths)
    connection.execute(
        "CREATE TEMP TABLE quarantined_rows AS SELECT DISTINCT sequence, row_number FROM quarantine WHERE row_number > 0"
    )
    table = connection.sql("SELECT * FROM quarantine ORDER BY sequence, row_number, quarantine_number")
    return staging.write("quarantine", table.to_arrow_table().select(list(TABLES["quarantine"].names)))


def _winners(connection: duckdb.DuckDBPyConnection, staging: Staging, keys: list[str]) -> None:
    """`found`: the events, each with its person: that of its set of identifiers, or whoever's turn it was at the time."""
    folder = staging.work("canonical")
    case = "".join(f', r."key_{name}"' for name in keys)
    connection.execute(
        f"""CREATE TEMP TABLE found AS
            SELECT r.event_id, r.source, r.source_event_id, r.occurred_at, r.ended_at, r.need_started_at, r.received_at,
                   r.activity, r.channel, r.initiator, r.team, r.topic, r.outcome, r.persona, r.declared_visibility,
                   r.account_id, r.attributes, r.sequence AS file_sequence, r.row_number, r.position, r.tie_order,
                   CASE WHEN r.score IS NOT NULL THEN r.instrument END AS instrument, r.score, r.score_0_100,
                   r.identifier_set, coalesce(s.person_id, t.person_id) AS person_id,
                   CASE WHEN s.person_id IS NOT NULL THEN 'identifier' WHEN t.person_id IS NOT NULL THEN 'in_turn' END
                   AS person_rule{case}
            FROM raw r ANTI JOIN losers USING (sequence, row_number, position)
            LEFT JOIN read_parquet($sets) s USING (identifier_set)
            LEFT JOIN read_parquet($turns) t ON t.identifier_set = r.identifier_set
                 AND epoch_us(r.occurred_at) BETWEEN t.since AND t.until""",
        {"sets": str(folder / "sets.parquet"), "turns": str(folder / "turns.parquet")},
    )
    connection.execute(
        """CREATE TEMP TABLE by_topic AS
           SELECT e.event_id, min(o.person_id) AS person_id
           FROM found e JOIN read_parquet($candidates) c USING (identifier_set)
           JOIN found o ON o.person_id = c.person_id AND o.topic = e.topic
                AND o.occurred_at BETWEEN e.occurred_at - to_microseconds(c.within)
                                      AND e.occurred_at + to_microseconds(c.within)
           WHERE e.person_id IS NULL GROUP BY e.event_id HAVING count(DISTINCT o.person_id) = 1""",
        {"candidates": str(folder / "candidates.parquet")},
    )
    connection.execute(
        """UPDATE found SET person_id = b.person_id, person_rule = 'same_topic'
           FROM by_topic b WHERE found.event_id = b.event_id"""
    )


def _known(connection: duckdb.DuckDBPyConnection, staging: Staging, before: Version | None) -> None:
    """`known` (event_id, known_person_id): events of the version before, and whose they were known to be at first.

    An id that is nobody's now and no former one either says nothing any more: its person was forgotten, or the key was
    rotated. Such events are left out.
    """
    connection.execute("CREATE TEMP TABLE known (event_id VARCHAR, known_person_id VARCHAR)")
    if before is None or not before.has("person_aliases"):
        return
    connection.execute(
        """INSERT INTO known
           WITH ids AS (SELECT person_id FROM read_parquet($identities)
                        UNION SELECT former_person_id FROM read_parquet($aliases))
           SELECT b.event_id, b.known_person_id FROM read_parquet($events, hive_partitioning = false) b
           LEFT JOIN ids ON ids.person_id = b.known_person_id
           WHERE b.known_person_id IS NULL OR ids.person_id IS NOT NULL""",
        {
            "events": before.glob("events"),
            "identities": staging.glob("identities"),
            "aliases": staging.glob("person_aliases"),
        },
    )


def _intake(connection: duckdb.DuckDBPyConnection, lake: Lake) -> pa.Table:
    """One row per file, by the law rows_read = used + reference + ignored + duplicates + superseded + quarantined + erased."""
    records = [file.record for file in Ledger(lake.root).files()]
    fields = (
        "sequence", "source", "file", "content_hash", "landed_at", "file_status", "dialect", "rows_read", "rows_ignored",
        "rows_reference", "rows_quarantined", "rows_erased", "events_made", "times_resolved", "anonymous_events",
    )  # fmt: skip
    types = {"landed_at": pa.timestamp("us", tz="UTC")} | dict.fromkeys(
        ("source", "file", "content_hash", "file_status", "dialect"), pa.string()
    )
    connection.register(
        "records",
        pa.table({f: pa.array([getattr(r, f) for r in records], types.get(f, pa.int64())) for f in fields}),
    )
    connection.register("outcomes", row_outcomes(connection))
    table = connection.sql(
        """SELECT r.* EXCLUDE (rows_ignored, rows_reference, rows_quarantined, rows_erased), rows_reference AS reference,
                  rows_ignored AS ignored, rows_quarantined AS quarantined, coalesce(o.used, 0) AS used,
                  coalesce(o.duplicates, 0) AS duplicates, coalesce(o.superseded, 0) AS superseded, r.rows_erased AS erased
           FROM records r LEFT JOIN outcomes o USING (sequence) ORDER BY sequence"""
    ).to_arrow_table()
    return table.select(list(TABLES["intake"].names))


def _write_events(connection: duckdb.DuckDBPyConnection, staging: Staging) -> None:
    """`events`, by month and then person, so that batches reach the writer almost one month at a time."""
    columns = ", ".join(TABLES["events"].names)
    reader = connection.sql(
        f"""SELECT {columns} FROM (
                SELECT w.*, k.visibility, k.visibility_rule,
                       CASE WHEN b.event_id IS NULL THEN w.person_id ELSE b.known_person_id END AS known_person_id
                FROM winners w JOIN kinds k USING (kind) LEFT JOIN known b ON b.event_id = w.event_id)
            ORDER BY year(occurred_at) * 12 + month(occurred_at), person_id, occurred_at, event_id"""
    ).to_arrow_reader(_BATCH)
    with staging.writer("events") as writer:
        for batch in reader:
            writer.write(pa.Table.from_batches([batch]))


def _write_canonical(connection: duckdb.DuckDBPyConnection, staging: Staging, keys: list[str]) -> None:
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
                   epoch_us(w.need_started_at) AS need, w.score, w.score_0_100, w.event_id
            FROM winners w JOIN kinds k USING (kind) LEFT JOIN topics t USING (topic)
            WHERE w.person_id IS NOT NULL AND k.mapped IS NOT NULL)
            TO $path (FORMAT parquet, COMPRESSION zstd)""",
        {"path": str(folder / "events.parquet")},
    )


def _write_personas(connection: duckdb.DuckDBPyConnection, staging: Staging, files: pa.Table) -> None:
    """`canonical/personas.parquet`: each person's latest known persona."""
    folder = staging.work("canonical")
    connection.execute(
        """COPY (
            WITH held AS (
                SELECT s.person_id, r.persona, r.last_seen, f.sequence
                FROM read_parquet($links, filename = true) r JOIN ledger_files f ON f.links = r.filename
                JOIN read_parquet($sets) s USING (identifier_set)
                WHERE r.persona IS NOT NULL)
            SELECT ('0x' || person_id)::UBIGINT AS person, arg_max(persona, (last_seen, sequence, persona)) AS persona
            FROM held GROUP BY person_id ORDER BY person) TO $path (FORMAT parquet, COMPRESSION zstd)""",
        {
            "links": files["links"].to_pylist(),
            "sets": str(folder / "sets.parquet"),
            "path": str(folder / "personas.parquet"),
        },
    )

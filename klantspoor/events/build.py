"""The stage `events`: from the ledger and the persons to the tables `events`, `intake`, `quarantine`, and the kernel's input.

Every step is one query; rows are neither copied into Python nor looped over. Tonight's files and what is live are looked
at; of what is settled, only what tonight changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.dictionary import TABLES
from klantspoor.events.base import Base, open_base
from klantspoor.events.changes import write_changes
from klantspoor.events.dedupe import ID_WORD, find_winners, load_raw, row_outcomes
from klantspoor.events.kinds import count_kinds, find_kinds, remember_kinds
from klantspoor.events.persons import attribute
from klantspoor.events.reopen import remember, reopen, take_back
from klantspoor.events.spells import settle
from klantspoor.events.written import note_base, remember_events, write_canonical, write_events
from klantspoor.intake.ledger import EVENTS_SCHEMA, LINKS_SCHEMA, Ledger, LedgerFile
from klantspoor.lake import Lake, Staging
from klantspoor.lake.connection import limited, literal
from klantspoor.project.model import Project

_VIEWS = ("live", "settled", "ids", "losers", "kinds", "personas", "persons", "dropped", "reopened", "cases", "sets")
_FIELDS = (
    "sequence", "source", "file", "content_hash", "landed_at", "file_status", "dialect", "rows_read", "rows_ignored",
    "rows_reference", "rows_quarantined", "rows_erased", "events_made", "times_resolved", "anonymous_events",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EventsReport:
    """What the stage found. `unmapped` counts events of kinds that no journey type maps.

    `live` are the events that were looked at, `reopened` the persons whose settled history was; `is_anew` says that all was.
    """

    events: int
    duplicates: int
    superseded: int
    anonymous: int
    unmapped: int
    quarantined: int
    live: int
    reopened: int
    is_anew: bool


def case_key_names(project: Project) -> list[str]:
    """Every case key that a source maps or a journey is cut by, sorted."""
    names = {file.cut.case_key for file in project.journeys.values() if file.cut.case_key is not None}
    for source in project.sources.values():
        for mapping in (source.defaults, *source.events):
            names |= set(mapping.case_keys or {})
    return sorted(names)


def build(project: Project, lake: Lake, staging: Staging) -> EventsReport:
    """Writes `events`, `intake`, `quarantine` and the folder `canonical/` of docs/architecture.md.

    Needs `canonical/sets.parquet`, `turns.parquet` and `candidates.parquet` from the identity stage.

    Raises:
        ConfigError: the journey files contradict themselves about an activity (R3).
    """
    keys = case_key_names(project)
    files = Ledger(lake.root).files()
    base = open_base(project, lake, staging, files, keys)
    new = files[base.files :]
    with limited(project.file.limits.memory_mb, staging.work("scratch")) as connection:
        connection.register("ledger", _ledger(files))
        for name in reversed(_VIEWS):
            base.view(connection, name)
        quarantined = _quarantine(connection, base, staging, new)
        load_raw(connection, _usable(new) if _usable(new).num_rows else _no_files(staging, keys), keys)
        earlier = find_winners(connection, base, _usable(files), keys)
        _intake(connection, base, staging, files, new, earlier)
        attribute(connection, base, staging, keys)
        find_kinds(connection, project)
        _personas(connection, base, staging, _usable(new))
        reopen(connection, base, keys)
        write_changes(connection, base, lake.current(), staging)
        take_back(connection)
        _know(connection)
        count_kinds(connection, staging)
        write_canonical(connection, staging, keys)
        settles = settle(connection, base, staging, project.file.limits.slice_rows)
        write_events(connection, base, staging)
        _remember(connection, base, staging, keys)
        note_base(base, staging, settles=settles)
        return _report(connection, base, staging, quarantined)


def _usable(files: Sequence[LedgerFile]) -> pa.Table:
    """Those of the files that could be used: sequence, source, paths of events and links."""
    used = [file for file in files if file.record.file_status == "used"]
    return pa.table(
        {
            "sequence": pa.array([file.record.sequence for file in used], pa.int64()),
            "source": pa.array([file.record.source for file in used], pa.string()),
            "events": pa.array([str(file.events) for file in used], pa.string()),
            "links": pa.array([str(file.links) for file in used], pa.string()),
        }
    )


def _no_files(staging: Staging, keys: list[str]) -> pa.Table:
    """A night without new files still makes whole tables: it reads files without rows."""
    events, links = staging.work("scratch") / "no_events.parquet", staging.work("scratch") / "no_links.parquet"
    pq.write_table(EVENTS_SCHEMA(keys).empty_table(), events)
    pq.write_table(LINKS_SCHEMA.empty_table(), links)
    return pa.table({"sequence": [0], "source": [""], "events": [str(events)], "links": [str(links)]})


def _ledger(files: Sequence[LedgerFile]) -> pa.Table:
    types = {"landed_at": pa.timestamp("us", tz="UTC")} | dict.fromkeys(
        ("source", "file", "content_hash", "file_status", "dialect"), pa.string()
    )
    columns = {f: pa.array([getattr(x.record, f) for x in files], types.get(f, pa.int64())) for f in _FIELDS}
    return pa.table(columns | {"quarantine": pa.array([str(file.quarantine) for file in files], pa.string())})


def _quarantine(connection: duckdb.DuckDBPyConnection, base: Base, staging: Staging, new: Sequence[LedgerFile]) -> int:
    """Writes `quarantine`, and keeps which rows it holds as `quarantined_rows`."""
    names = ", ".join(f'"{name}"' for name in TABLES["quarantine"].names)
    parts = ["SELECT '' AS source, '' AS file, 0 AS sequence, 0 AS row_number, 0 AS quarantine_number, '' AS reason,"
             " NULL::VARCHAR AS \"column\", '' AS detail WHERE false"]  # fmt: skip
    given: dict[str, object] = {}
    if base.version is not None:
        parts.append(f"SELECT {names} FROM read_parquet($before)")
        given["before"] = base.version.glob("quarantine")
    if new:
        parts.append(
            """SELECT f.source, f.file, f.sequence, q.row_number, q.quarantine_number, q.reason, q."column", q.detail
               FROM read_parquet($paths, filename = true) q JOIN ledger f ON f.quarantine = q.filename"""
        )
        given["paths"] = [str(file.quarantine) for file in new]
    connection.execute(f"CREATE TEMP TABLE quarantine AS {' UNION ALL BY NAME '.join(parts)}", given or None)
    connection.execute(
        "CREATE TEMP TABLE quarantined_rows AS SELECT DISTINCT sequence, row_number FROM quarantine WHERE row_number > 0"
    )
    table = connection.sql(f"SELECT {names} FROM quarantine ORDER BY sequence, row_number, quarantine_number")
    return staging.write("quarantine", table.to_arrow_table())


def _intake(
    connection: duckdb.DuckDBPyConnection,
    base: Base,
    staging: Staging,
    files: Sequence[LedgerFile],
    new: Sequence[LedgerFile],
    earlier: list[int],
) -> None:
    """One row per file, by the law rows_read = used + reference + ignored + duplicates + superseded + quarantined + erased.

    Files of which no row was looked at again have the outcome they had.
    """
    again = [file for file in files if file.record.sequence in {*earlier}]
    looked_at = _usable([*again, *new])
    if looked_at.num_rows:
        load_raw(connection, looked_at, [], "judged")
        connection.register("outcomes", row_outcomes(connection, "judged"))
    else:
        connection.register("outcomes", row_outcomes(connection))
    before = (
        f"SELECT sequence, used, superseded, duplicates FROM read_parquet({literal(base.version.glob('intake'))})"
        if base.version is not None
        else "SELECT * FROM outcomes WHERE false"
    )
    table = connection.sql(
        f"""WITH known AS (
                SELECT * FROM outcomes UNION ALL SELECT * FROM ({before}) ANTI JOIN outcomes USING (sequence))
            SELECT l.* EXCLUDE (rows_ignored, rows_reference, rows_quarantined, rows_erased, quarantine),
                   rows_reference AS reference, rows_ignored AS ignored, rows_quarantined AS quarantined,
                   coalesce(k.used, 0) AS used, coalesce(k.duplicates, 0) AS duplicates,
                   coalesce(k.superseded, 0) AS superseded, l.rows_erased AS erased
            FROM ledger l LEFT JOIN known k USING (sequence) ORDER BY sequence"""
    ).to_arrow_table()
    staging.write("intake", table.select(list(TABLES["intake"].names)))


def _personas(connection: duckdb.DuckDBPyConnection, base: Base, staging: Staging, new: pa.Table) -> None:
    """`personas` and `canonical/personas.parquet`: each person's latest known persona."""
    given = {"links": new["links"].to_pylist()} if new.num_rows else None
    connection.register("new_files", new)
    seen = (
        """SELECT r.identifier_set, r.persona, r.last_seen, f.sequence
           FROM read_parquet($links, filename = true) r JOIN new_files f ON f.links = r.filename
           WHERE r.persona IS NOT NULL"""
        if given
        else "SELECT * FROM base_personas WHERE false"
    )
    connection.execute(
        f"""CREATE TEMP TABLE new_personas AS
            SELECT identifier_set, arg_max(persona, (last_seen, sequence, persona)) AS persona, max(last_seen) AS last_seen,
                   arg_max(sequence, (last_seen, sequence, persona)) AS sequence
            FROM ({seen}) GROUP BY identifier_set""",
        given,
    )
    connection.execute(
        """CREATE TEMP TABLE personas AS
           SELECT o.person, arg_max(persona, (last_seen, sequence, persona)) AS persona
           FROM (SELECT * FROM base_personas UNION ALL SELECT * FROM new_personas) JOIN owners o USING (identifier_set)
           GROUP BY o.person"""
    )
    connection.execute(
        "COPY (SELECT person, persona FROM personas ORDER BY person) TO $path (FORMAT parquet, COMPRESSION zstd)",
        {"path": str(staging.work("canonical") / "personas.parquet")},
    )
    base.keep(connection, staging, "personas", "SELECT identifier_set, persona, last_seen, sequence FROM new_personas")


def _know(connection: duckdb.DuckDBPyConnection) -> None:
    """`published`: the live events as the table has them; whose they were known to be at first is never forgotten."""
    connection.execute(
        """CREATE TEMP VIEW published AS
           SELECT w.* REPLACE (
                      CASE WHEN NOT w.is_new THEN w.known_person_id WHEN b.event_id IS NULL THEN w.person_id
                           ELSE b.known_person_id END AS known_person_id),
                  k.visibility, k.visibility_rule
           FROM winners w JOIN seen_kinds k USING (kind) LEFT JOIN known b USING (event_id)"""
    )


def _remember(connection: duckdb.DuckDBPyConnection, base: Base, staging: Staging, keys: list[str]) -> None:
    """Makes the state that the next night goes on from."""
    remember(connection, base, staging)
    remember_kinds(connection, base, staging)
    remember_events(connection, base, staging, keys)
    base.replace(connection, staging, "losers", "SELECT * FROM losers")
    base.keep(connection, staging, "ids", f"SELECT {ID_WORD.format('event_id')} AS id, sequence FROM raw")
    for table in ("reopened", "dropped"):
        path = {"path": str(staging.work("canonical") / f"{table}.parquet")}
        connection.execute(f"COPY {table} TO $path (FORMAT parquet)", path)
    base.note(staging)


def _report(connection: duckdb.DuckDBPyConnection, base: Base, staging: Staging, quarantined: int) -> EventsReport:
    [(events, unmapped)] = connection.execute(
        """SELECT coalesce(sum(events), 0)::BIGINT, coalesce(sum(events) FILTER (visibility = 'unknown'), 0)::BIGINT
           FROM kinds"""
    ).fetchall()
    [(live, reopened)] = connection.execute(
        "SELECT (SELECT count(*) FROM winners), (SELECT count(*) FROM reopened)"
    ).fetchall()
    with staging.connect() as reader:
        [(anonymous,)] = reader.execute("SELECT count(*) FILTER (person_id IS NULL) FROM events").fetchall()
        [(duplicates, superseded)] = reader.execute(
            "SELECT coalesce(sum(duplicates), 0)::BIGINT, coalesce(sum(superseded), 0)::BIGINT FROM intake"
        ).fetchall()
    return EventsReport(
        events, duplicates, superseded, anonymous, unmapped, quarantined, live, reopened, base.version is None
    )

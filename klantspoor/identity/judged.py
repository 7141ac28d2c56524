"""A published version held against a truth: which of its records the truth knows, and which person each was given.

Joins and pseudonyms only. Reading the truth is `klantspoor.identity.truth`'s matter, the reckoning `klantspoor.identity.score`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.errors import TruthError
from klantspoor.identity.encode import ledger_files
from klantspoor.identity.score import NOBODY, Ints, Scores, evidence_bound, score
from klantspoor.identity.truth import TruthFile, private_connection
from klantspoor.intake.identifiers import DIGITS, IdentifierMaker
from klantspoor.intake.pseudonyms import MARK, Pseudonymiser
from klantspoor.intake.sandbox import locked_connection
from klantspoor.lake import Lake, Version
from klantspoor.project.key import load_key
from klantspoor.project.model import Project
from klantspoor.project.privacy import personal_columns
from klantspoor.project.sql import merged_events

LEFT_OUT = {
    "not_published": "are no events of the published version",
    "no_such_type": "are of a type that klantspoor.yaml does not have, or hold nothing",
    "guarded": "are nobody's, by a list or as they cannot be valid",
    "never_seen": "were seen in no file",
    "shared": "are shared by several true persons",
    "divided": "are given to several persons, each for a time",
}
"""Why rows of a truth are not scored, in words."""
# Several events of one row that share its id are told apart by a number behind it.
_NUMBER = "'#[0-9]+$'"
_PSEUDONYM = f"'{MARK}[0-9a-f]{{{DIGITS}}}(#[0-9]+)?'"


@dataclass(frozen=True, slots=True)
class Judged:
    """The records (n) of a version that the truth knows.

    `tied` is the truth refined by evidence (`score.evidence_bound`), `household` None where the truth has none. `left_out`
    says why rows of the truth were not scored (the keys of LEFT_OUT), and how many.
    """

    predicted: Ints
    truth: Ints
    tied: Ints
    household: Ints | None
    left_out: dict[str, int]

    def scores(self) -> tuple[Scores, Scores]:
        """Scored against the truth, and against the truth refined by evidence."""
        return score(self.predicted, self.truth, self.household), score(self.predicted, self.tied, self.household)


@dataclass(frozen=True, slots=True)
class _Ledger:
    """Paths of the ledger files that the version was made from: events, links, and the links of reference sources."""

    events: list[str]
    links: list[str]
    references: list[str]


def judge(project: Project, lake: Lake, version: Version, truth: TruthFile) -> Judged:
    """Finds the truth's events or identifiers in the version.

    Raises:
        ConfigError: the project's key cannot be read, which pseudonymises what is personal in the truth.
        TruthError: the truth gives one event two persons, or nothing in it is in the version.
    """
    with version.connect() as connection:
        ledger = _ledger(connection, project, lake)
        if truth.kind == "events":
            connection.register("asked", _events_asked(project, truth))
            left_out = _find_events(connection, truth)
            seen = _seen_in_events(connection, ledger)
            listed = _listed(connection, ledger.references)
        else:
            connection.register("asked", _identifiers_asked(project, truth))
            left_out = _find_identifiers(connection)
            seen = _pair(connection, "SELECT record, code FROM found JOIN codes USING (identifier_type, identifier)")
            listed = _listed(connection, ledger.links)
        found = connection.sql("SELECT true_person, person_id, household, scored FROM found ORDER BY record")
        return _judged(found.to_arrow_table(), seen, listed, truth, left_out)


def _judged(found: pa.Table, seen: tuple[Ints, Ints], listed: tuple[Ints, Ints], truth: TruthFile,
            left_out: dict[str, int]) -> Judged:  # fmt: skip
    scored = np.asarray(found["scored"].to_numpy(), np.bool_)
    if not scored.any():
        reasons = "; ".join(f"{count:,} {LEFT_OUT[reason]}" for reason, count in left_out.items() if count)
        raise TruthError(f"{truth.path}: none of its {len(truth.rows):,} rows can be scored: {reasons}")
    true = _codes(found["true_person"])
    household = _codes(found["household"])
    return Judged(
        predicted=_codes(found["person_id"])[scored],
        truth=true[scored],
        tied=evidence_bound(true, *seen, *listed)[scored],
        household=household[scored] if (household >= 0).any() else None,
        left_out=left_out,
    )


def _codes(texts: pa.ChunkedArray) -> Ints:
    """Texts (n) as numbers from 0, NOBODY for null."""
    indices = texts.combine_chunks().dictionary_encode().indices
    return np.asarray(indices.fill_null(NOBODY).to_numpy(zero_copy_only=False), np.int64)


def _pair(connection: duckdb.DuckDBPyConnection, query: str, **paths: list[str]) -> tuple[Ints, Ints]:
    """The two columns of whole numbers that a query gives."""
    answer = connection.sql(query, params=paths or None).to_arrow_table()
    first, second = (np.asarray(column.to_numpy(), np.int64) for column in answer.columns)
    return first, second


# --- what was asked, as pseudonyms ---


def _pseudonymiser(project: Project) -> tuple[duckdb.DuckDBPyConnection, Pseudonymiser]:
    connection = locked_connection(project.file.limits.memory_mb)
    return connection, Pseudonymiser(connection, load_key(project))


def _events_asked(project: Project, truth: TruthFile) -> pa.Table:
    """The truth's rows with each id that their event may have in the table `events`: as given, and as a pseudonym.

    A raw id that is personal goes no further than this.
    """
    shown, personal = _sources_by_ids(project)
    columns = '"row", source, true_person, household, source_event_id AS id'
    with private_connection() as connection:
        connection.register("truth", truth.rows)
        given = connection.sql(
            f"""SELECT {columns} FROM truth
                WHERE source IN (SELECT unnest($shown)) OR regexp_full_match(source_event_id, {_PSEUDONYM})""",
            params={"shown": shown},
        ).to_arrow_table()
        raw = connection.sql(
            f"SELECT {columns} FROM truth WHERE source IN (SELECT unnest($personal))", params={"personal": personal}
        ).to_arrow_table()
    if not len(raw):
        return given
    made = _pseudonymiser(project)[1].marked(raw["id"].combine_chunks(), "id", DIGITS)
    at = raw.column_names.index("id")
    return pa.concat_tables([given, raw.set_column(at, "id", made)])


def _sources_by_ids(project: Project) -> tuple[list[str], list[str]]:
    """The sources whose ids the table `events` shows as they are, and those of which it shows a pseudonym; some do both."""
    shown: set[str] = set()
    personal: set[str] = set()
    for name, source in project.sources.items():
        for mapping in merged_events(source):
            if source.kind == "events" and mapping.id is not None:
                (personal if personal_columns(source, mapping.id) else shown).add(name)
    return sorted(shown), sorted(personal)


def _identifiers_asked(project: Project, truth: TruthFile) -> pa.Table:
    """The truth's rows with the pseudonym of their value, made as the gate makes it; null where its type is unknown."""
    connection, pseudonymiser = _pseudonymiser(project)
    maker = IdentifierMaker(connection, pseudonymiser, project.file.identifiers)
    kept = ["row", "identifier_type", "true_person", "household"]
    made = []
    with private_connection() as rows:
        rows.register("truth", truth.rows)
        for [name] in rows.sql("SELECT DISTINCT identifier_type FROM truth ORDER BY 1").fetchall():
            query = """SELECT * FROM truth WHERE identifier_type = $name ORDER BY "row" """
            of_type = rows.sql(query, params={"name": name}).to_arrow_table()
            pseudonyms = guards = pa.nulls(len(of_type), pa.string())
            if name in project.file.identifiers:
                column = maker.column(name, of_type["raw_value"].combine_chunks())
                pseudonyms, guards = column.pseudonyms, column.guards
            table = of_type.select(kept).append_column("identifier", pseudonyms)
            made.append(table.append_column("guarded", pc.is_valid(guards)))
    return pa.concat_tables(made)


# --- what the version and its ledger say ---


def _ledger(connection: duckdb.DuckDBPyConnection, project: Project, lake: Lake) -> _Ledger:
    """Makes `codes` too: every identifier ever seen that may be somebody's, numbered from 0."""
    connection.register("files", ledger_files(lake.root))
    # Only what this version was made from: files may have come in since.
    files = connection.sql("SELECT * FROM files SEMI JOIN intake USING (sequence) ORDER BY sequence").to_arrow_table()
    if not len(files):
        raise TruthError("the published version was made from no usable file: there is nothing to score")
    links = files["links"].to_pylist()
    connection.execute(
        """CREATE TEMP TABLE codes AS
           SELECT row_number() OVER () - 1 AS code, i."type" AS identifier_type, i.identifier
           FROM (SELECT DISTINCT unnest(identifiers) AS i FROM read_parquet($paths)) WHERE i.guard IS NULL""",
        {"paths": links},
    )
    reference = {name for name, source in project.sources.items() if source.kind == "reference"}
    sources = files["source"].to_pylist()
    return _Ledger(
        files["events"].to_pylist(),
        links,
        [path for path, source in zip(links, sources, strict=True) if source in reference],
    )


def _find_events(connection: duckdb.DuckDBPyConnection, truth: TruthFile) -> dict[str, int]:
    """`found`: the version's events that the truth knows, with `record`, numbered from 0; gives what was left out."""
    connection.execute(
        f"""CREATE TEMP TABLE matched AS
            WITH known AS (
                SELECT event_id, person_id, source, source_event_id AS id FROM events
                UNION ALL
                SELECT event_id, person_id, source, regexp_replace(source_event_id, {_NUMBER}, '') FROM events
                WHERE regexp_matches(source_event_id, {_NUMBER}))
            SELECT k.event_id, k.person_id, a.true_person, a.household, a."row" FROM known k JOIN asked a USING (source, id)"""
    )
    connection.execute(
        """CREATE TEMP TABLE found AS
           SELECT row_number() OVER (ORDER BY event_id) - 1 AS record, event_id, any_value(person_id) AS person_id,
                  min(true_person) AS true_person, any_value(household) AS household, true AS scored,
                  count(DISTINCT true_person) AS persons, arg_min("row", (true_person, "row")) AS one,
                  arg_max("row", (true_person, "row")) AS other
           FROM matched GROUP BY event_id"""
    )
    twice = connection.execute("SELECT one, other FROM found WHERE persons > 1 ORDER BY one LIMIT 1").fetchall()
    if twice:
        one, other = sorted(twice[0])
        raise TruthError(f"{truth.path}: rows {one} and {other} give one event two true persons: keep one of them")
    matched = _one(connection, 'SELECT count(DISTINCT "row") FROM matched')
    return {"not_published": len(truth.rows) - matched}


def _find_identifiers(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """`found`: every identifier and true person who has it, if it was ever seen; `scored` are those of one person alone."""
    connection.execute(
        """CREATE TEMP TABLE found AS
           WITH pairs AS (
               SELECT identifier_type, identifier, true_person, any_value(household) AS household
               FROM asked WHERE identifier IS NOT NULL AND NOT guarded GROUP BY ALL),
           given AS (
               SELECT identifier_type, identifier, min(person_id) AS person_id, count(DISTINCT person_id) AS persons
               FROM identities GROUP BY ALL)
           SELECT row_number() OVER (ORDER BY p.identifier_type, p.identifier, p.true_person) - 1 AS record, p.*,
                  g.person_id, coalesce(g.persons, 0) > 1 AS divided,
                  count(*) OVER (PARTITION BY p.identifier_type, p.identifier) > 1 AS shared,
                  NOT shared AND NOT divided AS scored
           FROM pairs p SEMI JOIN codes USING (identifier_type, identifier)
                LEFT JOIN given g USING (identifier_type, identifier)"""
    )
    [counts] = connection.execute(
        """SELECT count(*) FILTER (a.identifier IS NULL), count(*) FILTER (a.guarded),
                  count(*) FILTER (a.identifier IS NOT NULL AND NOT a.guarded AND f.record IS NULL),
                  count(*) FILTER (f.shared), count(*) FILTER (f.divided AND NOT f.shared)
           FROM asked a LEFT JOIN found f USING (identifier_type, identifier, true_person)"""
    ).fetchall()
    reasons = ("no_such_type", "guarded", "never_seen", "shared", "divided")
    return dict(zip(reasons, map(int, counts), strict=True))


def _seen_in_events(connection: duckdb.DuckDBPyConnection, ledger: _Ledger) -> tuple[Ints, Ints]:
    """Record and identifier of everything seen in an event that was found, in any version of it."""
    return _pair(
        connection,
        """SELECT DISTINCT s.record, c.code
           FROM (SELECT f.record, unnest(k.identifiers) AS i
                 FROM read_parquet($paths, union_by_name = true) l JOIN found f USING (event_id)
                 JOIN (SELECT identifier_set, any_value(identifiers) AS identifiers FROM read_parquet($links) GROUP BY ALL) k
                 USING (identifier_set)) s
           JOIN codes c ON c.identifier_type = s.i."type" AND c.identifier = s.i.identifier""",
        paths=ledger.events,
        links=ledger.links,
    )


def _listed(connection: duckdb.DuckDBPyConnection, paths: list[str]) -> tuple[Ints, Ints]:
    """Row and identifier of the distinct sets of identifiers in links, rows numbered from 0."""
    if not paths:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return _pair(
        connection,
        """WITH sets AS (SELECT row_number() OVER () - 1 AS "row", identifiers
                         FROM (SELECT DISTINCT identifiers FROM read_parquet($paths) WHERE len(identifiers) > 1))
           SELECT s."row", c.code FROM (SELECT "row", unnest(identifiers) AS i FROM sets) s
           JOIN codes c ON c.identifier_type = s.i."type" AND c.identifier = s.i.identifier""",
        paths=paths,
    )


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(connection.execute(sql).fetchall()[0][0])

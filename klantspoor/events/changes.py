"""What is different about tonight's events, and why: what `restatements` explains changed figures with.

`canonical/changes.parquet` has a row for each event whose row in the table differs from that of the version before:
`event_id`, `person_before`, `person` (null: none, or the event is not there), `cause`. `canonical/changed.json` says
whether the configuration decides differently now.
"""

from __future__ import annotations

import json

import duckdb

from klantspoor.dictionary import TABLES
from klantspoor.events.base import ABOUT, Base
from klantspoor.events.kinds import same_kind
from klantspoor.lake import Staging, Version
from klantspoor.lake.connection import literal

_NOT_SAID = (
    "event_id",
    "person_id",
    "person_rule",
    "known_person_id",
    "visibility",
    "visibility_rule",
    "file_sequence",
)


def write_changes(connection: duckdb.DuckDBPyConnection, base: Base, before: Version | None, staging: Staging) -> None:
    """Writes both files, and the table `known` (event_id, known_person_id): whose events that are looked at anew were said to be.

    Needs `winners` before what was settled comes back, `leaving`, `changed` and `gone`, and the views of the base.
    """
    if base.version is not None:
        _since_base(connection, base.version)
        if not base.same_rules:
            _by_rules(connection, base.version)
    else:
        _since_version(connection, staging, before)
    connection.execute(
        "COPY changes TO $path (FORMAT parquet)", {"path": str(staging.work("canonical") / "changes.parquet")}
    )
    said = {"rules": before is not None and _rules_of(before) not in (None, base.rules)}
    (staging.work("canonical") / "changed.json").write_text(json.dumps(said), "utf-8")


def _rules_of(before: Version) -> str | None:
    try:
        return str(json.loads((before.state / "about" / ABOUT).read_text("utf-8"))["rules"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _complete(before: Version) -> str:
    """SQL: up to when the data of each source was said to be complete."""
    if not before.has("freshness"):
        return "(SELECT NULL::VARCHAR AS source, NULL::TIMESTAMPTZ AS complete_up_to WHERE false)"
    return f"(SELECT source, complete_up_to FROM read_parquet({literal(before.glob('freshness'))}))"


_OTHER_RULE = "(b.visibility IS DISTINCT FROM k.visibility OR b.visibility_rule IS DISTINCT FROM k.visibility_rule)"
_NEW = "CASE WHEN w.occurred_at <= c.complete_up_to THEN 'late' ELSE 'new' END"


def _since_base(connection: duckdb.DuckDBPyConnection, before: Version) -> None:
    connection.execute(
        """CREATE TEMP TABLE known AS
           SELECT event_id, known_person_id, person_id AS person_before FROM base_live SEMI JOIN gone USING (event_id)
           UNION ALL
           SELECT event_id, known_person_id, was_person_id FROM leaving SEMI JOIN gone USING (event_id)"""
    )
    connection.execute(
        f"""CREATE TEMP TABLE changes AS
            SELECT w.event_id, k.person_before, w.person_id AS person,
                   CASE WHEN k.event_id IS NOT NULL THEN 'corrected' ELSE {_NEW} END AS cause
            FROM winners w LEFT JOIN known k USING (event_id) LEFT JOIN {_complete(before)} c ON c.source = w.source
            WHERE w.is_new
            UNION ALL
            SELECT w.event_id, w.was_person_id, w.person_id, 'identity' FROM winners w
            WHERE NOT w.is_new AND w.was_person_id IS DISTINCT FROM w.person_id
            UNION ALL
            SELECT b.event_id, b.was_person_id, b.person_id, 'identity' FROM back b
            WHERE b.was_person_id IS DISTINCT FROM b.person_id"""
    )


def _by_rules(connection: duckdb.DuckDBPyConnection, before: Version) -> None:
    """Adds events of which only the configuration says something else."""
    connection.execute(
        f"""INSERT INTO changes
            WITH now AS (
                SELECT event_id, was_person_id, person_id, kind FROM winners WHERE NOT is_new
                UNION ALL SELECT b.event_id, b.was_person_id, b.person_id, k.kind FROM back b
                          JOIN seen_kinds k ON {same_kind("b")})
            SELECT n.event_id, n.was_person_id, n.person_id, 'rule' FROM now n JOIN seen_kinds k USING (kind)
            JOIN read_parquet($events, hive_partitioning = false) b USING (event_id)
            WHERE n.was_person_id IS NOT DISTINCT FROM n.person_id AND {_OTHER_RULE}""",
        {"events": before.glob("events")},
    )


def _since_version(connection: duckdb.DuckDBPyConnection, staging: Staging, before: Version | None) -> None:
    """All was looked at anew: both versions of the table are compared."""
    connection.execute("CREATE TEMP TABLE known (event_id VARCHAR, known_person_id VARCHAR, person_before VARCHAR)")
    connection.execute(
        "CREATE TEMP TABLE changes (event_id VARCHAR, person_before VARCHAR, person VARCHAR, cause VARCHAR)"
    )
    if before is None or not before.has("person_aliases"):
        return
    # An id that is nobody's now and no former one either says nothing any more: its person was forgotten, or the key was
    # rotated.
    connection.execute(
        """INSERT INTO known
           WITH ids AS (SELECT person_id FROM read_parquet($identities)
                        UNION SELECT former_person_id FROM read_parquet($aliases))
           SELECT b.event_id, b.known_person_id, b.person_id FROM read_parquet($events, hive_partitioning = false) b
           LEFT JOIN ids ON ids.person_id = b.known_person_id
           WHERE b.known_person_id IS NULL OR ids.person_id IS NOT NULL""",
        {
            "events": before.glob("events"),
            "identities": staging.glob("identities"),
            "aliases": staging.glob("person_aliases"),
        },
    )
    said = [name for name in TABLES["events"].names if name not in _NOT_SAID]
    other = " OR ".join(f"b.{name} IS DISTINCT FROM w.{name}" for name in said)
    connection.execute(
        f"""INSERT INTO changes
            SELECT coalesce(w.event_id, b.event_id), b.person_id, w.person_id,
                   CASE WHEN w.event_id IS NULL THEN 'erased' WHEN b.event_id IS NULL THEN {_NEW}
                        WHEN {other} THEN 'corrected' WHEN b.person_id IS DISTINCT FROM w.person_id THEN 'identity'
                        ELSE 'rule' END
            FROM winners w
            FULL JOIN (SELECT * FROM read_parquet($events, hive_partitioning = false)) b ON b.event_id = w.event_id
            LEFT JOIN {_complete(before)} c ON c.source = w.source
            LEFT JOIN seen_kinds k ON k.kind = w.kind
            WHERE w.event_id IS NULL OR b.event_id IS NULL OR {other} OR b.person_id IS DISTINCT FROM w.person_id
               OR {_OTHER_RULE}""",
        {"events": before.glob("events")},
    )

"""Whose an event is: its set's person, or whoever's turn it was, or the one it can be about by its topic.

Live events are asked every night. Of settled ones those are looked at whose set is another person's now, and those that
a turn or a topic decides: their person may change with what others did.
"""

from __future__ import annotations

import duckdb

from klantspoor.events.base import LIVE, SHARED, Base
from klantspoor.events.lookup import look_up
from klantspoor.lake import Staging
from klantspoor.lake.connection import literal

_RULE = """CASE WHEN o.person_id IS NOT NULL THEN 'identifier' WHEN t.person_id IS NOT NULL THEN 'in_turn' END"""


def attribute(connection: duckdb.DuckDBPyConnection, base: Base, staging: Staging, keys: list[str]) -> None:
    """Makes `found` and `changed`, and the state `sets`: whose each set of identifiers is.

    `found` holds the live events, those of the base and tonight's, each with its person; `was_person_id` and
    `known_person_id` are what the base says, `is_new` that it has no such row. `changed` holds settled events
    (event_id, at, identifier_set, was, was_rule, person, person_id, person_rule) whose person or the reason for it is
    another tonight; persons as numbers but for `person_id`.
    """
    folder = staging.work("canonical")
    for name in ("sets", "turns", "candidates"):
        path = literal(str(folder / f"{name}.parquet"))
        connection.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM read_parquet({path})")
    connection.execute(
        """CREATE TEMP TABLE owners AS
           SELECT identifier_set, person_id, ('0x' || person_id)::UBIGINT AS person FROM sets"""
    )
    _live(connection, keys)
    _asked(connection, base)
    base.replace(connection, staging, "sets", "SELECT identifier_set, person FROM owners WHERE person IS NOT NULL")
    _settled(connection)
    _by_topic(connection)
    connection.execute(
        """CREATE TEMP TABLE changed AS
           SELECT event_id, "at", identifier_set, was, was_rule, person_id, ('0x' || person_id)::UBIGINT AS person, person_rule
           FROM contested
           WHERE ('0x' || person_id)::UBIGINT IS DISTINCT FROM was OR person_rule IS DISTINCT FROM was_rule
           UNION ALL SELECT event_id, "at", identifier_set, was, was_rule, person_id, person, person_rule FROM moved"""
    )


def _live(connection: duckdb.DuckDBPyConnection, keys: list[str]) -> None:
    columns = ", ".join([*LIVE, *(f'"key_{name}"' for name in keys)])
    connection.execute(
        f"""CREATE TEMP TABLE found AS
            SELECT e.*, coalesce(o.person_id, t.person_id) AS person_id, {_RULE} AS person_rule
            FROM (SELECT {columns}, person_id AS was_person_id, known_person_id, false AS is_new
                  FROM base_live ANTI JOIN gone USING (event_id)
                  UNION ALL SELECT {columns}, NULL, NULL, true FROM fresh) e
            LEFT JOIN owners o USING (identifier_set)
            LEFT JOIN turns t ON t.identifier_set = e.identifier_set AND epoch_us(e.occurred_at) BETWEEN t.since AND t.until"""
    )


def _asked(connection: duckdb.DuckDBPyConnection, base: Base) -> None:
    """`settled`: of the settled events those that may be another's now, and those that can tell whose others are.

    An event that an identifier decides is whose its set was the night before. So where a set is another's now, its events
    are among those that this person had, or that were nobody's.
    """
    connection.execute(
        "CREATE TEMP TABLE contested_sets AS SELECT identifier_set FROM turns UNION SELECT identifier_set FROM candidates"
    )
    connection.execute(
        """CREATE TEMP TABLE asked_sets AS
           SELECT identifier_set, b.person AS was FROM base_sets b FULL JOIN owners o USING (identifier_set)
           WHERE b.person IS DISTINCT FROM o.person
           UNION SELECT identifier_set, b.person FROM contested_sets LEFT JOIN base_sets b USING (identifier_set)"""
    )
    persons = "SELECT was FROM asked_sets UNION SELECT ('0x' || person_id)::UBIGINT FROM candidates"
    nobodys = "SELECT identifier_set FROM asked_sets"
    look_up(connection, base, "looked_at", persons=persons, nobodys=nobodys, shared=True)
    connection.execute("CREATE TEMP VIEW settled AS SELECT * FROM looked_at ANTI JOIN gone USING (event_id)")


def _settled(connection: duckdb.DuckDBPyConnection) -> None:
    """`contested`: settled events that a turn or topic decides, with tonight's answer; `moved`: others, if it differs."""
    connection.execute(
        f"""CREATE TEMP TABLE contested AS
            SELECT s.event_id, s.identifier_set, s."at", s.topic, s.person AS was, s.person_rule AS was_rule,
                   coalesce(o.person_id, t.person_id) AS person_id, {_RULE} AS person_rule
            FROM settled s LEFT JOIN owners o USING (identifier_set)
            LEFT JOIN turns t ON t.identifier_set = s.identifier_set AND s."at" BETWEEN t.since AND t.until
            WHERE s.person_rule IN {SHARED}
               OR s.identifier_set IN (SELECT identifier_set FROM contested_sets)"""
    )
    connection.execute(
        """CREATE TEMP TABLE moved AS
           SELECT s.event_id, s.identifier_set, s.topic, s."at", s.person AS was, s.person_rule AS was_rule, o.person_id,
                  o.person, CASE WHEN o.person IS NOT NULL THEN 'identifier' END AS person_rule
           FROM settled s LEFT JOIN owners o USING (identifier_set)
           WHERE s.person IS DISTINCT FROM o.person AND coalesce(s.person_rule, 'identifier') = 'identifier'
             AND s.identifier_set NOT IN (SELECT identifier_set FROM contested_sets)"""
    )


def _by_topic(connection: duckdb.DuckDBPyConnection) -> None:
    """Gives events that are nobody's to the one candidate who was about the same topic in that time."""
    [(asked,)] = connection.execute("SELECT count(*) FROM candidates").fetchall()
    if not asked:
        return
    connection.execute(
        """CREATE TEMP TABLE witnesses AS
           WITH asked AS (SELECT DISTINCT person_id, ('0x' || person_id)::UBIGINT AS person FROM candidates),
           told AS (
               SELECT person_id, topic, epoch_us(occurred_at) AS "at" FROM found WHERE person_id IS NOT NULL
               UNION ALL SELECT person_id, topic, "at" FROM contested WHERE person_id IS NOT NULL
               UNION ALL SELECT person_id, topic, "at" FROM moved WHERE person_id IS NOT NULL
               UNION ALL SELECT a.person_id, s.topic, s."at" FROM settled s JOIN asked a ON a.person = s.person
                         WHERE s.person_rule = 'identifier' AND s.event_id NOT IN (SELECT event_id FROM contested)
                           AND s.event_id NOT IN (SELECT event_id FROM moved))
           SELECT told.* FROM told SEMI JOIN asked USING (person_id) WHERE topic IS NOT NULL"""
    )
    connection.execute(
        """CREATE TEMP TABLE by_topic AS
           SELECT e.event_id, min(o.person_id) AS person_id
           FROM (SELECT event_id, identifier_set, topic, epoch_us(occurred_at) AS "at" FROM found WHERE person_id IS NULL
                 UNION ALL SELECT event_id, identifier_set, topic, "at" FROM contested WHERE person_id IS NULL) e
           JOIN candidates c USING (identifier_set)
           JOIN witnesses o ON o.person_id = c.person_id AND o.topic = e.topic
                AND o."at" BETWEEN e."at" - c.within AND e."at" + c.within
           GROUP BY e.event_id HAVING count(DISTINCT o.person_id) = 1"""
    )
    for table in ("found", "contested"):
        connection.execute(
            f"""UPDATE {table} SET person_id = b.person_id, person_rule = 'same_topic'
                FROM by_topic b WHERE {table}.event_id = b.event_id"""
        )

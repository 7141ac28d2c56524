"""Which settled persons are reopened tonight, since when, and their events.

What is settled was left as it is because nothing that was known could change it. A person is reopened where that is no
longer so: an event of theirs became another's or is another row; one comes close to what is settled, or names a case that
is settled: then from the last cut before it on. Wholly, where their persona is another, or the configuration says
something else. docs/journeys.md says why these are all: nothing else reaches across a silence that is longer than the
patience of every rule.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from klantspoor.events.base import BESIDE, LIVE, Base
from klantspoor.events.kinds import same_kind
from klantspoor.events.lookup import look_up
from klantspoor.journeys.rules import KIND_COLUMNS
from klantspoor.journeys.segments import changes, starts_of
from klantspoor.journeys.settled import settled
from klantspoor.lake import Staging
from klantspoor.lake.connection import literal
from klantspoor.lake.parts import parts

WHOLLY = -(2**62)
"""Since when a person is reopened of whom nothing stays settled, in microseconds."""
PUBLISHED = [name for name in LIVE if name not in BESIDE] + ["topic", "file_sequence", "row_number"]


def reopen(connection: duckdb.DuckDBPyConnection, base: Base, keys: list[str]) -> None:
    """Makes `reopened` (person, since), `dropped` (event_id, part) and `back`.

    Where the configuration says something else of kinds of events than it did, who has such events is reopened too.

    `dropped` are the settled events that leave their parts: those of reopened persons since then, those that changed hands,
    and `gone` ones; `back` holds them with the columns of `found`, but for the gone ones. `remaining` (person, deadline) says
    what stays settled of who is not reopened wholly.

    Needs what `dedupe`, `persons` and `kinds` have made, `personas` (person, persona), and the views of the base.
    """
    _differing(connection, base)
    _persons(connection, base, keys)
    connection.execute(
        """CREATE TEMP TABLE dropped AS
           SELECT s.event_id, s.part FROM near s LEFT JOIN reopened r USING (person)
           WHERE s.deadline IS NOT NULL AND s."at" >= r.since OR event_id IN (SELECT event_id FROM changed)
              OR event_id IN (SELECT event_id FROM differing)
              OR event_id IN (SELECT event_id FROM gone)"""
    )
    hit = [int(part) for (part,) in connection.execute("SELECT DISTINCT part FROM dropped ORDER BY ALL").fetchall()]
    _rows(connection, base, hit, keys)


def _differing(connection: duckdb.DuckDBPyConnection, base: Base) -> None:
    """`differing` (event_id, person, identifier_set): settled events of kinds that the configuration says other things of."""
    connection.execute("CREATE TEMP TABLE differing (event_id VARCHAR, person UBIGINT, identifier_set UBIGINT)")
    columns = ", ".join(f"b.{name}" for name in KIND_COLUMNS)
    connection.execute(
        f"""CREATE TEMP TABLE other_kinds AS
            SELECT {columns} FROM base_kinds b JOIN seen_kinds k ON {same_kind("b")} WHERE b.said <> k.said"""
    )
    [(some,)] = connection.execute("SELECT count(*) FROM other_kinds").fetchall()
    if some and base.version is not None:
        kind = same_kind("e", beside={"declared_visibility": "s", "instrument": "s"})
        connection.execute(
            f"""INSERT INTO differing
                SELECT s.event_id, s.person, s.identifier_set FROM base_settled s
                JOIN read_parquet($paths, hive_partitioning = false) e USING (event_id) JOIN other_kinds k ON {kind}""",
            {"paths": base.version.glob("events")},
        )


def _persons(connection: duckdb.DuckDBPyConnection, base: Base, keys: list[str]) -> None:
    """`touched` (person, at): persons with anything settled whom something concerns, and the earliest moment it is about.

    Live events that are what they were the night before were asked about then: only with other rules they are asked again.
    """
    connection.execute(
        """CREATE TEMP TABLE settled_persons AS
           SELECT person, max(deadline) AS deadline, arg_max(persona, generation) AS persona
           FROM (SELECT person, deadline, coalesce(persona, '') AS persona, generation FROM base_persons) GROUP BY person"""
    )
    _near(connection, base, keys)
    reasons = [
        'SELECT was AS person, "at" FROM changed UNION ALL SELECT person, "at" FROM changed',
        'SELECT person, "at" FROM gone',
        f"SELECT person, {WHOLLY} FROM differing",
        f"SELECT person, {WHOLLY} FROM others",
        """SELECT m.person, m.first FROM (SELECT person, min("at") AS first FROM coming GROUP BY person) m
           JOIN settled_persons p USING (person) WHERE m.first <= p.deadline""",
        *(_CASES.format(key=f"key_{name}") for name in keys),
    ]
    connection.execute(
        f"""CREATE TEMP TABLE touched AS
            SELECT person, min("at") AS "at" FROM ({" UNION ALL ".join(f"({reason})" for reason in reasons)})
            SEMI JOIN settled_persons USING (person) GROUP BY person"""
    )
    _since(connection, keys)


def _near(connection: duckdb.DuckDBPyConnection, base: Base, keys: list[str]) -> None:
    """`near`: of all that is settled, what tonight can concern, with all that the state has of it.

    Makes also `others`, persons whose persona is another; `mapped`, the live events that the kernel sees of persons with
    anything settled; and `coming`, those of them that the night before did not ask about.
    """
    cases = "".join(f', "key_{name}"' for name in keys)
    connection.execute(
        """CREATE TEMP TABLE others AS
           SELECT p.person FROM settled_persons p LEFT JOIN personas n USING (person)
           WHERE coalesce(n.persona, '') <> p.persona"""
    )
    connection.execute(
        f"""CREATE TEMP VIEW seen AS
            SELECT ('0x' || w.person_id)::UBIGINT AS person, epoch_us(w.occurred_at) AS "at"{cases},
                   w.is_new OR w.was_person_id IS DISTINCT FROM w.person_id AS is_coming
            FROM winners w JOIN seen_kinds k USING (kind)
            WHERE w.person_id IS NOT NULL AND k.is_mapped
              AND ('0x' || w.person_id)::UBIGINT IN (SELECT person FROM settled_persons)"""
    )
    new = "WHERE is_coming" if base.same_rules else ""
    connection.execute(f"CREATE TEMP TABLE asking AS SELECT * FROM seen {new}")
    # Whoever comes after all patience, with no case that is settled, concerns nothing settled.
    named = [
        f"""SELECT person FROM (SELECT DISTINCT person, ('0x' || "key_{name}")::UBIGINT AS word FROM asking) a
            SEMI JOIN (SELECT person, word FROM base_cases WHERE key = {literal(name)}) USING (person, word)"""
        for name in keys
    ]
    persons = " UNION ".join(
        [
            "SELECT was FROM changed UNION SELECT person FROM changed UNION SELECT person FROM differing",
            "SELECT person FROM gone UNION SELECT person FROM others",
            """SELECT person FROM asking JOIN settled_persons p USING (person) WHERE asking."at" <= p.deadline""",
            *named,
        ]
    )
    nobodys = """SELECT identifier_set FROM changed WHERE was IS NULL
                 UNION SELECT identifier_set FROM differing WHERE person IS NULL
                 UNION SELECT identifier_set FROM gone WHERE person IS NULL"""
    look_up(connection, base, "near", persons=persons, nobodys=nobodys)
    # A settled event that changes hands comes to its new person as a live one does.
    connection.execute(
        f"""CREATE TEMP VIEW mapped AS
            SELECT * FROM seen
            UNION ALL
            SELECT c.person, c."at"{cases}, true FROM changed c JOIN near USING (event_id)
            WHERE c.person IN (SELECT person FROM settled_persons)"""
    )
    connection.execute(f"CREATE TEMP TABLE coming AS SELECT * FROM mapped {new}")


def _since(connection: duckdb.DuckDBPyConnection, keys: list[str]) -> None:
    """`reopened` and `remaining`: where the last cut lies before what touches each person; what lies before it stays settled."""
    cases = "".join(f', coalesce((\'0x\' || "key_{name}")::UBIGINT, 0)::UBIGINT AS "key_{name}"' for name in keys)
    rows = connection.sql(
        f"""SELECT e.*, t."at" AS touched_at FROM (
                SELECT person, "at", deadline, true AS is_settled{cases} FROM near WHERE deadline IS NOT NULL
                UNION ALL SELECT person, "at", "at", false{cases} FROM mapped) e
            JOIN touched t USING (person) ORDER BY e.person, e."at\""""
    ).to_arrow_table()
    column = {name: rows[name].to_numpy() for name in rows.column_names}
    person, since, stay = column["person"], np.empty(0, np.int64), np.zeros(0, bool)
    if len(person):
        held = [column[f"key_{name}"] for name in keys]
        stay = settled(person, column["at"], column["deadline"], held, column["touched_at"])
        first = changes(person)
        since = np.minimum.reduceat(np.where(stay, np.iinfo(np.int64).max, column["at"]), starts_of(first))
        person = person[starts_of(first)]
        since = np.where(np.maximum.reduceat(stay, starts_of(first)), since, WHOLLY)
    rest = np.flatnonzero(stay)
    connection.register("reopened_rows", pa.table({"person": person, "since": since}))
    left = {"person": column["person"][rest], "deadline": column["deadline"][rest]}
    connection.register("remaining_rows", pa.table(left))
    connection.execute("CREATE TEMP TABLE reopened AS SELECT person::UBIGINT AS person, since FROM reopened_rows")
    connection.execute(
        """CREATE TEMP TABLE remaining AS
           SELECT person::UBIGINT AS person, max(deadline) AS deadline FROM remaining_rows GROUP BY person"""
    )


_CASES = """
    SELECT m.person, s."at" FROM (SELECT DISTINCT person, "{key}" FROM coming WHERE "{key}" IS NOT NULL) m
    JOIN near s ON s.person = m.person AND s."{key}" = m."{key}" WHERE s.deadline IS NOT NULL"""


def _rows(connection: duckdb.DuckDBPyConnection, base: Base, hit: list[int], keys: list[str]) -> None:
    """`leaving` (dropped events with the columns of `found`) and `back`, from the published parts and what lies beside them."""
    columns = [*LIVE, *(f"key_{name}" for name in keys)]
    if hit and base.version is not None:
        known = parts(base.version.root / "events")
        paths = [str(known[number]) for number in hit]
        beside = [name for name in columns if name.startswith("key_") or (name in BESIDE and name not in PUBLISHED)]
        listed = ", ".join(f'{"s" if name in beside else "e"}."{name}"' for name in columns)
        connection.execute(
            f"""CREATE TEMP TABLE leaving AS
                SELECT {listed}, e.person_id AS was_person_id, e.person_rule AS was_rule, e.known_person_id
                FROM read_parquet($paths, hive_partitioning = false) e
                JOIN (SELECT * FROM near SEMI JOIN dropped USING (event_id)) s USING (event_id)""",
            {"paths": paths},
        )
    else:
        listed = ", ".join(f'"{name}"' for name in columns)
        connection.execute(
            f"""CREATE TEMP TABLE leaving AS SELECT {listed}, was_person_id, person_rule AS was_rule, known_person_id
                FROM winners WHERE false"""
        )
    connection.execute(
        """CREATE TEMP TABLE back AS
           SELECT l.* EXCLUDE (was_rule), false AS is_new,
                  CASE WHEN c.event_id IS NULL THEN l.was_person_id ELSE c.person_id END AS person_id,
                  CASE WHEN c.event_id IS NULL THEN l.was_rule ELSE c.person_rule END AS person_rule
           FROM leaving l ANTI JOIN gone USING (event_id) LEFT JOIN changed c ON c.event_id = l.event_id"""
    )


def take_back(connection: duckdb.DuckDBPyConnection) -> None:
    """Puts the events that came back among the live ones: `winners` holds all that is not settled from here on."""
    connection.execute(
        f"INSERT INTO winners BY NAME SELECT b.*, k.kind FROM back b JOIN seen_kinds k ON {same_kind('b')}"
    )


def remember(connection: duckdb.DuckDBPyConnection, base: Base, staging: Staging) -> None:
    """Notes what of the settled state counts no more."""
    base.keep(
        connection, staging, "dropped", f"SELECT event_id, {base.generation - 1}::BIGINT AS generation FROM dropped"
    )
    base.keep(
        connection,
        staging,
        "reopened",
        f"SELECT person, since, {base.generation - 1}::BIGINT AS generation FROM reopened",
    )

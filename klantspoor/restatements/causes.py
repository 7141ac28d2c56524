"""Why journeys differ: the one cause that each changed journey is told under.

The first that holds, and among changes of events the strongest (`figures.CAUSES`):

1. an event that is or was in it changed;
2. an event changed of the journey of its type that holds, or held, events of it on the other side: a journey is called
   after its first event, so that an earlier one gives it another name;
3. its person's persona is another one, though the configuration is the same: what is known of the person changed;
4. an event of its person changed: through cycles, cutting and joining it may change others of their journeys;
5. the configuration, or the software, is another one: `rule`;
6. nothing but the time: `clock`.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import duckdb

from klantspoor.errors import LakeError
from klantspoor.lake import Staging, Version
from klantspoor.lake.connection import literal
from klantspoor.lake.publishing import dictionary_fingerprint
from klantspoor.restatements.figures import CAUSES

_IDENTITY, _RULE, _CLOCK = CAUSES.index("identity"), CAUSES.index("rule"), CAUSES.index("clock")


def read_changes(con: duckdb.DuckDBPyConnection, staging: Staging) -> None:
    """Makes the tables `event_causes` (event_id, cause) and `persons` (person_id, cause): the strongest of each.

    Raises:
        LakeError: the events stage has not said what changed.
    """
    path = _said(staging, "changes.parquet")
    places = ", ".join(f"({literal(cause)}, {place})" for place, cause in enumerate(CAUSES))
    con.execute(
        f"""CREATE TEMP TABLE changes AS
            SELECT c.event_id, c.person_before, c.person, p.place AS cause FROM read_parquet($path) AS c
            JOIN (VALUES {places}) AS p(name, place) ON p.name = c.cause""",
        {"path": str(path)},
    )
    con.execute("CREATE TABLE event_causes AS SELECT event_id, min(cause) AS cause FROM changes GROUP BY event_id")
    con.execute(
        """CREATE TABLE persons AS SELECT person_id, min(cause) AS cause FROM (
            SELECT person_before AS person_id, cause FROM changes UNION ALL SELECT person, cause FROM changes)
            WHERE person_id IS NOT NULL GROUP BY person_id"""
    )


def rules_changed(staging: Staging, before: Version) -> bool:
    """Whether the configuration, the software or the dictionary is another than that of the version before.

    Raises:
        LakeError: the events stage has not said what changed.
    """
    said = json.loads(_said(staging, "changed.json").read_text("utf-8"))
    made_by = (before.manifest["software"], before.manifest["dictionary"])
    return bool(said["rules"]) or made_by != (_software(), dictionary_fingerprint())


def find_causes(con: duckdb.DuckDBPyConnection, *, rules: bool) -> None:
    """Makes the table `why` (journey_id, cause): the place in `CAUSES` of the cause of each changed journey.

    Args:
        con: holds what `read_changes` and `changed.find_changed` made.
        rules: whether the configuration changed.
    """
    con.execute(
        f"""CREATE TABLE why AS
        WITH kinds AS (SELECT journey_id, any_value(journey_type) AS journey_type, list_distinct(list(person_id)) AS mine,
                count(DISTINCT coalesce(persona, '')) > 1 AS has_new_persona
            FROM (SELECT * FROM before_journeys UNION ALL SELECT * FROM tonight_journeys) SEMI JOIN changed USING (journey_id)
            GROUP BY journey_id),
        own AS (SELECT journey_id, min(cause) AS cause FROM members JOIN event_causes USING (event_id) GROUP BY journey_id),
        -- With its type on each row, and made once: joined by type alone, journeys would be very many pairs.
        typed AS MATERIALIZED (SELECT members.*, journey_type FROM members JOIN kinds USING (journey_id)),
        other AS (SELECT m.journey_id, min(own.cause) AS cause
            FROM typed m JOIN typed o ON o.event_id = m.event_id AND o.journey_type = m.journey_type AND o.side <> m.side
                AND o.journey_id <> m.journey_id
            JOIN own ON own.journey_id = o.journey_id GROUP BY m.journey_id),
        person AS (SELECT journey_id, min(persons.cause) AS cause
            FROM (SELECT journey_id, unnest(mine) AS person_id FROM kinds) JOIN persons USING (person_id)
            GROUP BY journey_id)
        SELECT kinds.journey_id, coalesce(own.cause, other.cause,
            CASE WHEN has_new_persona AND NOT {rules} THEN {_IDENTITY} END,
            person.cause, {_RULE if rules else _CLOCK})::TINYINT AS cause
        FROM kinds LEFT JOIN own USING (journey_id) LEFT JOIN other USING (journey_id) LEFT JOIN person USING (journey_id)"""
    )


def _said(staging: Staging, name: str) -> Path:
    path = staging.work("canonical") / name
    if not path.is_file():
        raise LakeError(
            f"the events stage of run {staging.run_id} has not written {name}, which says what changed since the"
            " version before: run the whole night"
        )
    return path


def _software() -> str:
    try:
        return version("klantspoor")
    except PackageNotFoundError:
        return "unknown"

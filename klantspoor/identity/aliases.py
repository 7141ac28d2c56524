"""`person_aliases`: ids that earlier versions used and this one does not, and whose they are now.

An id is made from an identifier, the person's anchor. So whose a former id is now is never remembered: it is whose that
identifier is now.
"""

from __future__ import annotations

from datetime import datetime

import duckdb
import pyarrow as pa

from klantspoor.dictionary import TABLES
from klantspoor.identity.ids import person_id_sql
from klantspoor.lake import Version


def person_aliases(connection: duckdb.DuckDBPyConnection, as_of: datetime, before: Version | None) -> pa.Table:
    """The table, from the version before and the tables `nodes`, `types` and `persons` on the connection."""
    if before is None:
        return TABLES["person_aliases"].schema.empty_table()
    with before.connect() as reader:
        known = reader.sql("SELECT * FROM person_aliases").to_arrow_table()
        used = reader.sql("SELECT DISTINCT person_id AS former_person_id FROM identities").to_arrow_table()
    connection.register("known_aliases", known)
    connection.register("used_ids", used)
    connection.execute(
        """CREATE TEMP TABLE former AS
           SELECT former_person_id FROM (SELECT former_person_id FROM used_ids UNION SELECT former_person_id FROM known_aliases)
           ANTI JOIN (SELECT person_id AS former_person_id FROM persons) USING (former_person_id)"""
    )
    table = connection.sql(
        f"""WITH anchors AS (
               SELECT {person_id_sql("t.identifier_type", "n.identifier")} AS former_person_id, n.person
               FROM nodes n JOIN types t USING (kind)),
           now AS (
               SELECT f.former_person_id, p.person_id
               FROM former f JOIN anchors a USING (former_person_id)
               LEFT JOIN persons p USING (person))
           SELECT n.former_person_id, n.person_id,
                  CASE WHEN k.person_id IS NOT DISTINCT FROM n.person_id AND k.since IS NOT NULL THEN k.since
                       ELSE $as_of::TIMESTAMPTZ END AS since,
                  CASE WHEN n.person_id IS NULL THEN 'nobodys' ELSE 'merged' END AS why
           FROM now n LEFT JOIN known_aliases k USING (former_person_id) ORDER BY n.former_person_id""",
        params={"as_of": as_of},
    ).to_arrow_table()
    return table.select(list(TABLES["person_aliases"].names))

"""Which of the ledger's rows is the event, which repeat it, and which gave way to a newer version.

Of the rows with one `event_id` the one with the highest version wins, then the latest file, then the latest row. What it
says is the event; of the rows that say the same the earliest is kept (so that `received_at` is when we first knew),
the others are duplicates, and rows that say something else are superseded.

Only tonight's rows are looked at, and of what was read before only rows that share an id with one of them.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from klantspoor.events.base import LIVE, Base
from klantspoor.events.lookup import look_up

USED, SUPERSEDED, DUPLICATE = 0, 1, 2
ID_WORD = "('0x' || left({0}, 16))::UBIGINT"
"""SQL: the first 64 bits of an event's id."""


def load_raw(connection: duckdb.DuckDBPyConnection, files: pa.Table, case_keys: list[str], name: str = "raw") -> None:
    """The view `name`: every canonical event of some files as read, with `sequence` and `source` of its file.

    `files` has the columns sequence, source and events (paths), and at least one row. Case keys that a file does not
    carry are null.
    """
    connection.register(f"{name}_files", files)
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in files["events"].to_pylist())
    have = {
        row[0]
        for row in connection.execute(
            f"SELECT column_name FROM (DESCRIBE SELECT * FROM read_parquet([{listed}], union_by_name = true))"
        ).fetchall()
    }
    missing = "".join(f', NULL::VARCHAR AS "key_{key}"' for key in case_keys if f"key_{key}" not in have)
    connection.execute(
        f"""CREATE OR REPLACE TEMP VIEW {name} AS
            SELECT r.* EXCLUDE (filename){missing}, f.sequence, f.source
            FROM read_parquet([{listed}], union_by_name = true, filename = true) r
            JOIN {name}_files f ON f.events = r.filename"""
    )


def find_winners(connection: duckdb.DuckDBPyConnection, base: Base, files: pa.Table, case_keys: list[str]) -> list[int]:
    """What becomes of every row of `raw`, and of rows that were read before and share an id with one of them.

    Needs the views `raw`, `base_ids`, `base_losers`, `base_live` and `base_dropped`. `files` are all files of the ledger.
    Makes the tables `losers` (event_id, sequence, row_number, position, outcome: every row of the ledger that is not an
    event), `stays` and `gone` (event_id, …: events of the base that are looked at again, and are the same row, or another
    now), and the view `fresh`: rows of events that the base does not have, or has as another row.

    Returns:
        The sequences of the earlier files that hold a row which is looked at again.
    """
    connection.execute(
        f"""CREATE TEMP TABLE again AS
            SELECT event_id FROM raw GROUP BY event_id HAVING count(*) > 1
            UNION SELECT r.event_id FROM raw r SEMI JOIN base_ids i ON i.id = {ID_WORD.format("r.event_id")}"""
    )
    earlier = _load_earlier(connection, files, case_keys)
    place = "event_id, sequence, row_number, position"
    connection.execute(
        f"""CREATE TEMP TABLE copies AS
            SELECT {place}, version, content FROM raw SEMI JOIN again USING (event_id)
            UNION ALL SELECT {place}, version, content FROM earlier"""
    )
    rank_copies(connection)
    connection.execute(
        """CREATE TEMP TABLE losers AS
           SELECT * FROM base_losers ANTI JOIN again USING (event_id) UNION ALL SELECT * FROM new_losers"""
    )
    _compare(connection, base, place)
    said = {"file_sequence": "sequence", "instrument": "CASE WHEN score IS NOT NULL THEN instrument END"}
    columns = [f"{said[name]} AS {name}" if name in said else name for name in LIVE]
    columns += [f'"key_{name}"' for name in case_keys]
    parts = [
        f"""SELECT {", ".join(columns)} FROM {rows} ANTI JOIN new_losers USING (sequence, row_number, position)
            ANTI JOIN stays USING (event_id)"""
        for rows in ("raw", "earlier")
    ]
    connection.execute(f"CREATE TEMP VIEW fresh AS {' UNION ALL '.join(parts)}")
    return earlier


def rank_copies(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes the table `new_losers`: the rows of `copies` that are not the event of their id, and why."""
    connection.execute(
        f"""CREATE TEMP TABLE new_losers AS
            WITH said AS (
                SELECT *, first_value(content) OVER (PARTITION BY event_id
                           ORDER BY coalesce(version, '-infinity'::DOUBLE) DESC, sequence DESC, row_number DESC,
                                    position DESC) AS said
                FROM copies),
            ranked AS (
                SELECT *, row_number() OVER (PARTITION BY event_id, content = said
                                             ORDER BY sequence, row_number, position) AS place
                FROM said)
            SELECT event_id, sequence, row_number, position,
                   CASE WHEN content = said THEN {DUPLICATE} ELSE {SUPERSEDED} END AS outcome
            FROM ranked WHERE content <> said OR place > 1"""
    )


def _load_earlier(connection: duckdb.DuckDBPyConnection, files: pa.Table, case_keys: list[str]) -> list[int]:
    """The table `earlier`: rows like those of `raw` of the files read before that have an id which came again."""
    rows = connection.execute(
        f"""SELECT DISTINCT i.sequence FROM base_ids i
            SEMI JOIN again a ON {ID_WORD.format("a.event_id")} = i.id ORDER BY ALL"""
    ).fetchall()
    sequences = [int(sequence) for (sequence,) in rows]
    source = "SELECT * FROM raw WHERE false"
    if sequences:
        chosen = files.filter(pa.compute.is_in(files["sequence"], pa.array(sequences, pa.int64())))
        load_raw(connection, chosen, case_keys, "earlier_rows")
        source = "SELECT * FROM earlier_rows SEMI JOIN again USING (event_id)"
    connection.execute(f"CREATE TEMP TABLE earlier AS {source}")
    return sequences


def _compare(connection: duckdb.DuckDBPyConnection, base: Base, place: str) -> None:
    """`stays` and `gone`: events of the base with an id that came again, whose row is the same, or another now."""
    look_up(connection, base, "settled_again", ids=f"SELECT {ID_WORD.format('event_id')} FROM again")
    there = "event_id, file_sequence AS sequence, row_number, position, identifier_set"
    connection.execute(
        f"""CREATE TEMP TABLE held AS
            SELECT {there}, NULL::UBIGINT AS person, NULL::BIGINT AS "at" FROM base_live SEMI JOIN again USING (event_id)
            UNION ALL
            SELECT {there}, person, "at" FROM settled_again SEMI JOIN again USING (event_id)"""
    )
    connection.execute(
        f"""CREATE TEMP TABLE stays AS SELECT h.event_id FROM held h
            JOIN (SELECT {place} FROM copies ANTI JOIN new_losers USING (sequence, row_number, position)) k
            USING (event_id, sequence, row_number, position)"""
    )
    connection.execute("CREATE TEMP TABLE gone AS SELECT * FROM held ANTI JOIN stays USING (event_id)")


def row_outcomes(connection: duckdb.DuckDBPyConnection, rows: str = "raw") -> pa.Table:
    """Per file (`sequence`) how many rows hold an event, gave way, or only repeat; quarantined rows apart.

    Needs the view `rows`, and the tables `losers` and `quarantined_rows` (sequence, row_number).
    """
    return connection.sql(
        f"""SELECT sequence, count(*) FILTER (best = {USED}) AS used, count(*) FILTER (best = {SUPERSEDED}) AS superseded,
                   count(*) FILTER (best = {DUPLICATE}) AS duplicates
            FROM (SELECT r.sequence, r.row_number, min(coalesce(l.outcome, {USED})) AS best
                  FROM (SELECT sequence, row_number, position FROM {rows}) r
                  LEFT JOIN losers l USING (sequence, row_number, position)
                  ANTI JOIN quarantined_rows q USING (sequence, row_number)
                  GROUP BY ALL)
            GROUP BY sequence"""
    ).to_arrow_table()

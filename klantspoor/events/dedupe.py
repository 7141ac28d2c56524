"""Which of the ledger's rows is the event, which repeat it, and which gave way to a newer version.

Of the rows with one `event_id` the one with the highest version wins, then the latest file, then the latest row. What it
says is the event; of the rows that say the same the earliest is kept (so that `received_at` is when we first knew),
the others are duplicates, and rows that say something else are superseded.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

USED, SUPERSEDED, DUPLICATE = 0, 1, 2


def load_raw(connection: duckdb.DuckDBPyConnection, files: pa.Table, case_keys: list[str]) -> None:
    """The view `raw`: every canonical event of the ledger as read, with `sequence` and `source` of its file.

    `files` has the columns sequence, source and events (paths). Case keys that a file does not carry are null.
    """
    connection.register("ledger_files", files)
    paths = files["events"].to_pylist()
    if not paths:
        raise LookupError("the ledger is empty")
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    have = {
        row[0]
        for row in connection.execute(
            f"SELECT column_name FROM (DESCRIBE SELECT * FROM read_parquet([{listed}], union_by_name = true))"
        ).fetchall()
    }
    missing = "".join(f', NULL::VARCHAR AS "key_{name}"' for name in case_keys if f"key_{name}" not in have)
    connection.execute(
        f"""CREATE OR REPLACE TEMP VIEW raw AS
            SELECT r.* EXCLUDE (filename){missing}, f.sequence, f.source
            FROM read_parquet([{listed}], union_by_name = true, filename = true) r
            JOIN ledger_files f ON f.events = r.filename"""
    )


def find_winners(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes the table `losers` (sequence, row_number, position, outcome): every row of `raw` that is not an event.

    Only ids that occur more than once are sorted; the great majority is passed through.
    """
    connection.execute("CREATE TEMP TABLE again AS SELECT event_id FROM raw GROUP BY event_id HAVING count(*) > 1")
    connection.execute(
        f"""CREATE TEMP TABLE losers AS
            WITH copies AS (
                SELECT event_id, sequence, row_number, position, content,
                       first_value(content) OVER (PARTITION BY event_id
                           ORDER BY coalesce(version, '-infinity'::DOUBLE) DESC, sequence DESC, row_number DESC,
                                    position DESC) AS said
                FROM raw SEMI JOIN again USING (event_id)),
            ranked AS (
                SELECT *, row_number() OVER (PARTITION BY event_id, content = said
                                             ORDER BY sequence, row_number, position) AS place
                FROM copies)
            SELECT sequence, row_number, position,
                   CASE WHEN content = said THEN {DUPLICATE} ELSE {SUPERSEDED} END AS outcome
            FROM ranked WHERE content <> said OR place > 1"""
    )


def row_outcomes(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Per file (`sequence`) how many rows hold an event, gave way, or only repeat; quarantined rows apart.

    Needs the views or tables `raw`, `losers` and `quarantined_rows` (sequence, row_number).
    """
    return connection.sql(
        f"""SELECT sequence, count(*) FILTER (best = {USED}) AS used, count(*) FILTER (best = {SUPERSEDED}) AS superseded,
                   count(*) FILTER (best = {DUPLICATE}) AS duplicates
            FROM (SELECT r.sequence, r.row_number, min(coalesce(l.outcome, {USED})) AS best
                  FROM (SELECT sequence, row_number, position FROM raw) r
                  LEFT JOIN losers l USING (sequence, row_number, position)
                  ANTI JOIN quarantined_rows q USING (sequence, row_number)
                  GROUP BY ALL)
            GROUP BY sequence"""
    ).to_arrow_table()

"""One person's journeys, read from the published tables, and finding them by (the beginning of) an id.

Queries and the shapes they fill; printing is in `klantspoor.cli.explain`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import duckdb

from klantspoor.cli.context import clean
from klantspoor.errors import NotFoundError

_ID = re.compile(r"^(J[0-9a-f]{0,40}|[0-9a-f]{1,40})$")
_SHORTEST = 3
_NEAREST = 3
_LISTED = 5


@dataclass
class Path:
    """One journey: its row of `journeys`, and in order its touchpoints, stretches of waiting, internal steps, answers.

    `events` holds, per touchpoint number, the visible events of that touchpoint.
    """

    journey: dict[str, Any]
    touchpoints: list[dict[str, Any]] = field(default_factory=list)
    stretches: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    events: dict[int, list[dict[str, Any]]] = field(default_factory=dict)


def find(connection: duckdb.DuckDBPyConnection, wanted: str) -> tuple[str, str]:
    """Which column and full id is meant by `wanted`: ("person_id" or "journey_id", id).

    Raises:
        NotFoundError: where nothing begins so, or several do; the nearest ids are named.
    """
    text = wanted.strip()
    if not _ID.match(text):
        # Not repeated: it may be a name or a number of a real person.
        raise NotFoundError(
            "That is not an id: a person's is hexadecimal digits (3f9c…), a journey's a J and such digits (J3f9c…). "
            'Customer numbers and addresses are not in the tables. For some ids: klantspoor sql "SELECT journey_id, '
            'person_id FROM journeys LIMIT 10"'
        )
    column = "journey_id" if text.startswith("J") else "person_id"
    found = _column(
        connection,
        f"SELECT DISTINCT {column} FROM journeys WHERE starts_with({column}, ?) ORDER BY 1 LIMIT ?",
        [text, _LISTED + 1],
    )
    if (len(found) == 1 and len(text) >= _SHORTEST) or text in found:
        return column, text if text in found else found[0]
    kind = "journey" if column == "journey_id" else "person"
    if not found:
        raise NotFoundError(f"No {kind} has an id that begins with {text}. {_nearest(connection, column, text)}")
    more = ", …" if len(found) > _LISTED else ""
    listed = ", ".join(found[:_LISTED])
    raise NotFoundError(f"{text} could be more than one {kind}: {listed}{more}. Give more of the id.")


def _nearest(connection: duckdb.DuckDBPyConnection, column: str, text: str) -> str:
    near = _column(
        connection,
        f"""SELECT {column} FROM (SELECT DISTINCT {column} FROM journeys)
            ORDER BY levenshtein(left({column}, {len(text)}), ?), {column} LIMIT ?""",
        [text, _NEAREST],
    )
    return f"The nearest: {', '.join(near)}." if near else "There are no journeys in this version."


def _column(connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any]) -> list[str]:
    return [clean(row[0]) for row in connection.execute(sql, parameters).fetchall()]


def read(connection: duckdb.DuckDBPyConnection, column: str, value: str, at_most: int) -> tuple[list[Path], int]:
    """The journeys of a person, or the one journey: the latest `at_most` in order of start, and how many there are."""
    total = connection.execute(f"SELECT count(*) FROM journeys WHERE {column} = ?", [value]).fetchall()[0][0]
    journeys = _rows(
        connection,
        f"""SELECT * FROM (SELECT * FROM journeys WHERE {column} = ? ORDER BY started_at DESC, journey_id LIMIT ?)
            ORDER BY started_at, journey_id""",
        [value, at_most],
    )
    paths = {row["journey_id"]: Path(row) for row in journeys}
    ids = list(paths)
    for row in _rows(connection, _of("touchpoints", "touchpoint_number"), [ids]):
        paths[row["journey_id"]].touchpoints.append(row)
    for row in _rows(connection, _of("waits", "touchpoint_number, stretch_number"), [ids]):
        paths[row["journey_id"]].stretches.append(row)
    for row in _rows(connection, _of("experiences", "answered_at, event_id"), [ids]):
        paths[row["journey_id"]].answers.append(row)
    for row in _rows(connection, _EVENTS, [ids]):
        path = paths[row["journey_id"]]
        if row["touchpoint_number"]:
            path.events.setdefault(row["touchpoint_number"], []).append(row)
        else:
            path.steps.append(row)
    return list(paths.values()), int(total)


_EVENTS = """
SELECT m.journey_id, m.touchpoint_number, m.joined_by, e.activity, e.team, e.occurred_at
FROM touchpoint_events m JOIN events e USING (event_id)
WHERE list_contains(?, m.journey_id) ORDER BY e.occurred_at, e.event_id
"""


def _of(table: str, order: str) -> str:
    return f"SELECT * FROM {table} WHERE list_contains(?, journey_id) ORDER BY journey_id, {order}"


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = connection.sql(sql, params=parameters).to_arrow_table().to_pylist()
    return rows

"""A handful of rows that satisfy every rule, and ways to plant what breaks one. Imported by tests, holds none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.dictionary import TABLES, Table
from klantspoor.lake import Lake, Staging
from klantspoor.lake.domain_rules import Facts

AS_OF = datetime(2024, 6, 1, 3, 0, tzinfo=UTC)
T0 = datetime(2024, 5, 1, 9, 0, tzinfo=UTC)
FACTS = Facts(
    phases={"moving": ("orientation", "use")}, suppress_below=2, largest_person=1, must_come=("crm",), unmapped_warn_share=0.5,
    quarantine_warn_share=0.5,
)  # fmt: skip
Row = dict[str, Any]


def row(table: Table, number: int = 1, **given: Any) -> Row:
    """A row that the dictionary allows, other than that of any other `number`."""
    made: Row = {}
    for column in table.columns:
        if column.name in table.nulls and column.name not in table.key:
            made[column.name] = None
        elif column.values is not None:
            made[column.name] = column.values[0]
        elif column.maximum is not None:
            made[column.name] = column.maximum
        elif pa.types.is_timestamp(column.type):
            made[column.name] = T0
        elif pa.types.is_boolean(column.type):
            made[column.name] = False
        elif pa.types.is_list(column.type):
            made[column.name] = ["a", "b"]
        elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            made[column.name] = number
        else:
            made[column.name] = f"{column.name} {number:04d}"
    return made | given


def world() -> dict[str, list[Row]]:
    """Two journeys of one person that hold together in every respect."""
    hour = timedelta(hours=1)
    tables = {
        name: [row(table, persons=9) if "persons" in table.names else row(table)] for name, table in TABLES.items()
    }
    tables["events"] = [
        row(TABLES["events"], 1),
        row(TABLES["events"], 2, occurred_at=T0 + 2 * hour),
        row(TABLES["events"], 3, visibility="internal"),
    ]
    ids = [event["event_id"] for event in tables["events"]]
    tables["journeys"] = [
        _moving("journeys", touchpoints=2, ended_at=T0 + 2 * hour, lead_time_seconds=7200, status="completed"),
        _moving("journeys", journey_id="J2", touchpoints=1, previous_journey_id="J1"),
    ]
    tables["touchpoints"] = [
        _moving("touchpoints", touchpoint_number=1, phase="orientation"),
        _moving("touchpoints", touchpoint_number=2, wait_before_seconds=7200, phase="use"),
        _moving("touchpoints", journey_id="J2", touchpoint_number=1),
    ]
    tables["touchpoint_events"] = [
        _moving("touchpoint_events", touchpoint_number=1, event_id=ids[0]),
        _moving("touchpoint_events", touchpoint_number=2, event_id=ids[1]),
        _moving("touchpoint_events", touchpoint_number=0, event_id=ids[2]),
    ]
    tables["phase_visits"] = [
        _moving("phase_visits", visit_number=1, phase="orientation", phase_number=1),
        _moving("phase_visits", visit_number=2, phase="use", phase_number=2),
    ]
    first = {"stretch_number": 1, "turn": "organisation", "cause": "working", "ended_at": T0 + hour}
    second = {"stretch_number": 2, "turn": "customer", "cause": "customer", "started_at": T0 + hour}
    tables["waits"] = [
        _moving("waits", touchpoint_number=1, seconds=3600, **first),
        _moving("waits", touchpoint_number=1, seconds=3600, ended_at=T0 + 2 * hour, **second),
    ]
    tables["experiences"] = [row(TABLES["experiences"], journey_id="J1"), row(TABLES["experiences"], 2)]
    count = {"rows_read": 10, "used": 9, "reference": 0, "ignored": 0, "duplicates": 0, "superseded": 0, "erased": 0}
    tables["intake"] = [row(TABLES["intake"], quarantined=1, **count)]
    tables["coverage"] = [
        row(TABLES["coverage"], source="crm", role="phase", events=9),
        row(TABLES["coverage"], 2, source="crm", role="unmapped", journey_type=None, events=1),
    ]
    tables["freshness"] = [row(TABLES["freshness"], source="crm"), row(TABLES["freshness"], source="web")]
    return tables


def _moving(name: str, **given: Any) -> Row:
    table = TABLES[name]
    ours = {key: value for key, value in {"journey_id": "J1", "journey_type": "moving"}.items() if key in table.names}
    return row(table, **ours | given)


def staging_of(root: Path, tables: dict[str, list[Row]]) -> Staging:
    """A run that has staged these rows, written without the lake's own enforcement."""
    staging = Lake(root / "lake").open_run("night", AS_OF)
    for name, rows in tables.items():
        plant(staging, name, pa.Table.from_pylist(rows, schema=loose(TABLES[name])))
    return staging


def plant(staging: Staging, name: str, data: pa.Table) -> None:
    """Put `data` where the table is, whatever the dictionary says."""
    folder = staging.folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(data, folder / "part-0.parquet")


def loose(table: Table) -> pa.Schema:
    """The table's schema with nulls allowed everywhere and texts as plain texts."""
    return pa.schema([(c.name, c.type.value_type if pa.types.is_dictionary(c.type) else c.type) for c in table.columns])

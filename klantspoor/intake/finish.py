"""The last step of an event: its id, the hash of what it says, its attributes as JSON, in the ledger's schema."""

from __future__ import annotations

import json
from datetime import datetime

import pyarrow as pa

from klantspoor.intake.ledger import EVENTS_SCHEMA
from klantspoor.intake.plan import EventPlan
from klantspoor.intake.pseudonyms import SEPARATOR
from klantspoor.intake.sandbox import literal
from klantspoor.intake.tools import Tools
from klantspoor.project.sql import quote

_SAID = (
    *("version", "occurred_at", "ended_at", "need_started_at", "tie_order", "activity", "channel", "initiator", "team"),
    *("topic", "outcome", "persona", "account_id", "instrument", "score"),
)
"""What an event says, besides case keys, attributes and identifiers: two deliveries that agree in it are duplicates."""
EVENT_ID = "left(sha256($prefix || source_event_id), 24)"
"""SQL for `event_id`; `$prefix` is the source's name and the separator."""


def content_sql(schema: pa.Schema) -> str:
    """SQL for `content`, the hash of what an event says, over a table with the columns of a ledger's events.

    It is made of nothing but what the ledger keeps, so that it can be made anew when pseudonyms change.
    """
    said = [*_SAID, *(name for name in schema.names if name.startswith("key_")), "attributes", "identifier_set"]
    texts = ", ".join(f"coalesce(CAST({_exact(schema, name)} AS VARCHAR), chr(30))" for name in said)
    # MD5, as this hash is kept for years and DuckDB's own may change with its version.
    return f"md5_number_lower(concat_ws(chr(31), {texts}))"


def finish(tools: Tools, plan: EventPlan, draft: pa.Table, landed_at: datetime) -> pa.Table:
    """Events (n) in the ledger's schema, but for `row_number`, which is the row's position in the batch.

    `draft` has the columns of that schema as far as they are known, and `attribute_NAME` texts.
    """
    schema = EVENTS_SCHEMA(tools.case_keys)
    if draft.num_rows == 0:
        return schema.empty_table()
    tools.con.register("batch", draft)
    attributes = [name for name in draft.column_names if name.startswith("attribute_")]
    answer = tools.con.sql(
        f"""SELECT {EVENT_ID} AS event_id, {content_sql(schema)} AS content, attributes
            FROM (SELECT *, {_json(attributes)} AS attributes FROM batch)""",
        params={"prefix": f"{tools.source.source}{SEPARATOR}"},
    ).to_arrow_table()
    rows = draft.num_rows
    constant = {
        "position": pa.repeat(pa.scalar(plan.position, pa.int16()), rows),
        "received_at": pa.repeat(pa.scalar(landed_at, pa.timestamp("us", tz="UTC")), rows),
        "declared_visibility": pa.repeat(pa.scalar(plan.mapping.visibility, pa.string()), rows),
        "row_number": draft.column("row"),
    }
    computed = {name: answer.column(name) for name in ("event_id", "content", "attributes")}
    columns = [constant.get(n, computed.get(n)) for n in schema.names]
    filled = [draft.column(n) if c is None else c for n, c in zip(schema.names, columns, strict=True)]
    return pa.table(filled, names=schema.names).cast(schema)


def _exact(schema: pa.Schema, name: str) -> str:
    """Times as whole numbers: quicker to write, and in no time zone."""
    column = quote(name)
    return f"epoch_us({column})" if pa.types.is_timestamp(schema.field(name).type) else column


def _json(attributes: list[str]) -> str:
    """SQL for the JSON object of the attributes that are not null; null where none is."""
    if not attributes:
        return "NULL::VARCHAR"
    pairs = ", ".join(
        f"CASE WHEN {quote(a)} IS NOT NULL THEN {_json_key(a)} || CAST(to_json({quote(a)}) AS VARCHAR) END"
        for a in attributes
    )
    return f"nullif('{{' || concat_ws(',', {pairs}) || '}}', '{{}}')"


def _json_key(attribute: str) -> str:
    return literal(json.dumps(attribute.removeprefix("attribute_")) + ":")

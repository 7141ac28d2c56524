"""The call centre: JSON lines, gzipped, in the shape of an Amazon Connect contact trace record.

Belongs here: the record's fields. All times are UTC.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from simulation.clock import Clock
from simulation.log import CallRow, World
from simulation.systems.export import Export, FileKind, as_is, make_ids, no_header

FILES = FileKind("calls", ".jsonl.gz", "utf-8", no_header, as_is)


def iso(t: int) -> str:
    """An instant in ISO 8601, UTC."""
    return str(np.datetime64(t, "s")) + "Z"


def record(row: CallRow, case: str, contact_id: str) -> dict[str, Any]:
    """The contact trace record of a call."""
    attributes: dict[str, str] = {}
    if row.account is not None:
        attributes["klantnummer"] = row.account.customer
        attributes["contractnummer"] = row.account.contract
    if case:
        attributes["zaaknummer"] = case
    if row.reason:
        attributes["reden"] = row.reason
    if row.since:
        attributes["storing_sinds"] = iso(row.since)
    queued = min(45, (row.t_end - row.t) // 3)
    agent = None
    if row.agent:
        agent = {
            "Username": f"agent{row.agent:03d}",
            "ConnectedToAgentTimestamp": iso(row.t + queued),
            "AgentInteractionDuration": row.t_end - row.t - queued,
        }
    return {
        "ContactId": contact_id,
        "Channel": "VOICE",
        "InitiationMethod": "OUTBOUND" if row.outbound else "INBOUND",
        "InitiationTimestamp": iso(row.t),
        "DisconnectTimestamp": iso(row.t_end),
        "LastUpdateTimestamp": iso(row.t_end + 30),
        "Queue": {"Name": row.queue, "Duration": queued},
        "Agent": agent,
        "CustomerEndpoint": {"Type": "TELEPHONE_NUMBER", "Address": row.phone},
        "Attributes": attributes,
    }


def export(world: World) -> Export:
    """All calls, in the order of the log (surveys refer to them by that order)."""
    clock: Clock = world.clock
    rows = world.log.calls
    ids = make_ids(world.seed, "calls", len(rows))
    times = np.array([row.t for row in rows], dtype=np.int64)
    return Export(
        name="calls",
        lines=[
            json.dumps(record(row, world.case_numbers[row.case], key), separators=(",", ":"))
            for row, key in zip(rows, ids, strict=True)
        ],
        ids=ids,
        times_us=times * 1_000_000,
        days=clock.day_index(times),
        keyed=np.array([bool(row.case) for row in rows], dtype=np.bool_),
        late=np.zeros(len(rows), dtype=np.bool_),
    )

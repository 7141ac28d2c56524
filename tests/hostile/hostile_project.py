"""The project on which everything bad is tried: its files as dictionaries, and writing them. Holds no test.

Contacts of their own (no gap), every activity mapped by a glob and nothing suppressed, so that whatever a source says
becomes a touchpoint and reaches every table and page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

KEY_VARIABLE = "KLANTSPOOR_HOSTILE_KEY"

PROJECT: dict[str, Any] = {
    "name": "Kwaad & Zonen <b>",
    "timezone": "Europe/Amsterdam",
    "pseudonym_key": {"env": KEY_VARIABLE},
    "identifiers": {
        "customer": {"priority": 1, "block": ["TEST*"]},
        "email": {"priority": 2, "normalise": "lower", "at_most": {"customer": 1}},
        "phone": {"priority": 3, "normalise": "digits", "at_most": {"customer": 1}},
    },
    "limits": {"suppress_below": 1},
    "linkage": {},
}
_SHOWN = [
    "ticket",
    "moment",
    "ended",
    "activity",
    "channel",
    "who",
    "team",
    "topic",
    "segment",
    "rev",
    "score",
    "happy",
]
TICKETS: dict[str, Any] = {
    "source": "tickets",
    "title": "Tickets",
    "files": ["tickets/*.csv", "tickets/*.csv.gz"],
    "reader": {"format": "csv"},
    "timezone": "Europe/Amsterdam",
    "time": {"ambiguous": "quarantine"},
    "not_personal": _SHOWN,
    "contact_gap": "0 minutes",
    "ignore_when": "activity = 'heartbeat'",
    "defaults": {
        "id": "ticket",
        "version": "rev",
        "occurred_at": "moment",
        "ended_at": "ended",
        "activity": "activity",
        "channel": "channel",
        "initiator": "who",
        "team": "team",
        "topic": "topic",
        "persona": "segment",
        "account": "iban",
        "identifiers": [
            {"type": "customer", "value": "customer"},
            {"type": "email", "value": "email"},
            {"type": "phone", "value": "phone"},
        ],
        "survey": {"instrument": "csat", "score": "score", "lowest": 1, "highest": 5},
        # The cast fails where the note is no number: DuckDB's message then holds the note.
        "tie_order": "CAST(note AS INTEGER)",
        "attributes": {"happy": "happy"},
    },
    "expected": {"every": "night"},
}
CHATS: dict[str, Any] = {
    "source": "chats",
    "title": "Chats",
    "files": ["chats/*.jsonl", "chats/*.jsonl.gz"],
    "reader": {
        "format": "jsonl",
        "fields": {
            "chat": "$.chat",
            "began": "$.began",
            "took": "$.took",
            "what": "$.what",
            "customer": "$.who.customer",
            "email": "$.who.email",
            "words": "$.words",
        },
    },
    "time": {"epoch": "ms"},
    "not_personal": ["chat", "began", "took", "what"],
    "anonymous": "quarantine",
    "contact_gap": "0 minutes",
    "defaults": {
        "id": "chat",
        "occurred_at": "began",
        "ended_at": "CAST(began AS BIGINT) + CAST(took AS BIGINT)",
        "activity": "what",
        "channel": "'chat'",
        "initiator": "'customer'",
        "identifiers": [{"type": "customer", "value": "customer"}, {"type": "email", "value": "email"}],
    },
}
ORDERS: dict[str, Any] = {
    "source": "orders",
    "title": "Orders",
    "files": ["orders/*.parquet"],
    "reader": {"format": "parquet"},
    "timezone": "Europe/Amsterdam",
    "time": {"ambiguous": "later", "nonexistent": "shift"},
    "not_personal": ["what", "moment"],
    "contact_gap": "0 minutes",
    # The id holds the customer's number, so it is personal.
    "defaults": {
        "id": "customer || '-' || number",
        "occurred_at": "moment",
        "activity": "what",
        "channel": "'web'",
        "initiator": "'customer'",
        "identifiers": [{"type": "customer", "value": "customer"}],
    },
    "expected": {"every": "night", "smallest_share": 0.5, "if_small": "warn"},
}
LETTERS: dict[str, Any] = {
    "source": "letters",
    "title": "Letters",
    "files": ["letters/*.csv"],
    "reader": {"format": "csv"},
    "not_personal": ["what"],
    "defaults": {"occurred_at": "sent", "activity": "what", "identifiers": [{"type": "customer", "value": "customer"}]},
    "expected": {"every": "night"},
}
PAYMENTS: dict[str, Any] = {
    "source": "payments",
    "title": "Payments",
    "files": ["payments/*.csv"],
    "reader": {"format": "csv"},
    "not_personal": ["what"],
    "contact_gap": "0 minutes",
    "defaults": {
        "occurred_at": "paid_at",
        "activity": "what",
        "channel": "'bank'",
        "initiator": "'customer'",
        "identifiers": [{"type": "customer", "value": "customer"}],
    },
    "expected": {"every": "night", "if_missing": "stop"},
}
CLAIMS: dict[str, Any] = {
    "source": "claims",
    "title": "Claims",
    "files": ["claims/*.csv"],
    "reader": {"format": "csv"},
    # Fails in a way that DuckDB cannot catch row by row, for an escape is one character.
    "defaults": {
        "when": "like_escape(name, '%', email)",
        "occurred_at": "'2026-04-01 10:00:00'",
        "activity": "'Claimed'",
        "identifiers": [{"type": "customer", "value": "customer"}],
    },
}
CLIENTS: dict[str, Any] = {
    "source": "clients",
    "title": "Client list",
    "kind": "reference",
    "files": ["clients/*.csv"],
    "reader": {"format": "csv"},
    "defaults": {
        "identifiers": [
            {"type": "customer", "value": "customer"},
            {"type": "email", "value": "email"},
            {"type": "phone", "value": "phone"},
        ],
        "record": {"full_name": "name", "email": "email", "phone": "phone"},
    },
}
HELP: dict[str, Any] = {
    "journey": "help",
    "title": "Getting <i>help</i>",
    "cut": {"gap": "400 days"},
    "phases": [
        {"id": "asking", "says": "I ask for help", "activities": [{"activity": "*", "source": "tickets"}]},
        {"id": "talking", "says": "I talk it over", "activities": [{"activity": "*", "source": "chats"}]},
        {"id": "ordering", "says": "I order what I need", "activities": [{"activity": "*", "source": "orders"}]},
        {"id": "paying", "says": "I pay for it", "activities": [{"activity": "*", "source": "payments"}]},
    ],
    "turns": {"asks_us": [{"activity": "*", "source": "tickets"}]},
    "internal": ["Looked up"],
    "completes": ["Paid"],
}
SOURCES = (TICKETS, CHATS, ORDERS, LETTERS, PAYMENTS, CLAIMS, CLIENTS)


def write_project(root: Path, **changed: Any) -> Path:
    """Write the project's files into `root`; `changed` replaces keys of `klantspoor.yaml`."""
    _write(root / "klantspoor.yaml", PROJECT | changed)
    for source in SOURCES:
        write_source(root, source)
    _write(root / "journeys" / "help.yaml", HELP)
    return root


def write_source(root: Path, source: dict[str, Any]) -> None:
    _write(root / "sources" / f"{source['source']}.yaml", source)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")

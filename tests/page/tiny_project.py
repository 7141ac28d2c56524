"""The project that describes the tiny data set: its three kinds of file as dictionaries, and loaded."""

from __future__ import annotations

from typing import Any

from klantspoor.project.model import Project

PROJECT_FILE: dict[str, Any] = {
    "name": "Tiny Energy",
    "timezone": "Europe/Amsterdam",
    "pseudonym_key": {"file": "key"},
    "identifiers": {"customer": {"priority": 1}},
}
SOURCE: dict[str, Any] = {
    "source": "crm",
    "title": "Customer system",
    "files": ["crm/*.csv"],
    "reader": {"format": "csv"},
    "timezone": "Europe/Amsterdam",
    "not_personal": ["activity", "channel", "who", "happened_at", "move"],
    "defaults": {
        "occurred_at": "happened_at",
        "activity": "activity",
        "channel": "channel",
        "initiator": "who",
        "identifiers": [{"type": "customer", "value": "customer"}],
        "case_keys": {"move": "move"},
    },
}
MOVING: dict[str, Any] = {
    "journey": "moving",
    "title": "Verhuizen",
    "language": "nl",
    "cut": {"case_key": "move", "gap": "60 days"},
    "phases": [
        {"id": "orientation", "says": "Ik kijk rond", "activities": ["Page viewed"]},
        {"id": "reporting", "says": "Ik geef mijn verhuizing door", "activities": ["Move reported"]},
        {"id": "arranging", "says": "Ik regel alles", "activities": ["Data requested", "Data sent", "Called"]},
        {
            "id": "moving_in",
            "says": "Ik woon er",
            "activities": ["Move confirmed", "Lange*", "Meter reading sent", "Called"],
        },
        {"id": "final_bill", "says": "Ik krijg mijn eindnota", "activities": ["Final bill sent", "<script>*"]},
    ],
    "internal": ["Address checked", "Grid operator answered"],
    "turns": {"asks_us": ["Move reported"], "asks_customer": ["Data requested"], "settles": ["Final bill sent"]},
    "completes": ["Final bill sent"],
}
OUTAGE: dict[str, Any] = {
    "journey": "outage",
    "title": "Outage",
    "cut": {"opens": ["Outage reported"], "gap": "10 days"},
    "phases": [
        {"id": "noticing", "says": "My power is out", "activities": ["Outage reported"]},
        {"id": "repair", "says": "I get it repaired", "activities": ["Engineer came"]},
    ],
}


def make_project(root: str = "tiny") -> Project:
    """The project as loaded; `root` is its folder, which need not exist."""
    return Project.model_validate(
        {
            "root": root,
            "file": PROJECT_FILE,
            "sources": {"crm": SOURCE},
            "journeys": {"moving": MOVING, "outage": OUTAGE},
        }
    )

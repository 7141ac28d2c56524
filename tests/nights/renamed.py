"""Tables without what depends on which file came first: for deliveries in another order, or all at once. Holds no test."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.dictionary import TABLES
from klantspoor.lake import Version
from tests.nights.compare import compared, read

OF_FILES = ("intake", "quarantine", "freshness")
"""What tells of files, one by one."""
OF_ORDER = {
    "events": ("received_at", "file_sequence", "row_number"),
    "identities": ("rule",),
    "identity_audit": ("audit_number",),
    "journey_map": ("is_provisional",),
    "bottlenecks": ("is_provisional",),
}
"""Columns that say which file brought something and when, or who stands at the head of a person for it."""
_SEEN = ("valid_from", "valid_to", "evidence")
"""Of a list without times, when it landed counts as when its identifiers were seen."""


def names_of(version: Version, *, by_time: bool = True) -> dict[str, str]:
    """By person id a name that does not depend on who came first: made of the identifiers, and stretches, that are theirs."""
    columns = ["person_id", "identifier_type", "identifier", *(["valid_from"] if by_time else [])]
    table = read(version.root / "identities", TABLES["identities"])
    held: dict[str, list[str]] = {}
    for row in table.select(columns).to_pylist():
        held.setdefault(row.pop("person_id"), []).append(repr(row))
    return {person: hashlib.sha256("".join(sorted(rows)).encode()).hexdigest()[:16] for person, rows in held.items()}


def named(version: Version, *, by_time: bool = True) -> dict[str, pa.Table]:
    """The tables with those names, without what tells of the order of files; nor, but `by_time`, when identifiers were seen."""
    names = names_of(version, by_time=by_time)
    known, new = pa.array([*names, None], pa.string()), pa.array([*names.values(), None], pa.string())
    found = {}
    for name in compared():
        if name in OF_FILES:
            continue
        rows = read(version.root / name, TABLES[name]).drop_columns(list(OF_ORDER.get(name, ())))
        if name == "identities" and not by_time:
            rows = rows.drop_columns(list(_SEEN))
        if "person_id" in rows.column_names:
            place = pc.index_in(rows["person_id"], value_set=known)
            rows = rows.set_column(rows.column_names.index("person_id"), "person_id", new.take(place))
        found[name] = rows
    return found

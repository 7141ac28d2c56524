"""`identity_audit`: what the guards decided, told so that it can be understood and undone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa

from klantspoor.dictionary import TABLES
from klantspoor.identity.carried import FORBIDDEN, OF_PERSONS, SETTLED, UNIQUE, Pairs
from klantspoor.identity.encode import GUARDS, kinds
from klantspoor.identity.evidence import Extra, Ints, ordered_types
from klantspoor.identity.memory import Memory
from klantspoor.lake import Version
from klantspoor.project.model import Cap, IdentifierType

_LISTS = """
SELECT g.node, NULL::BIGINT AS other, g.guard, 'is nobody''s' AS decision,
       CASE g.guard WHEN 'blocked' THEN 'its value is on the block list of its type'
            WHEN 'invalid' THEN 'its value cannot be one of its type'
            WHEN 'staff' THEN 'its value is one of the organisation''s own people'
            WHEN 'test' THEN 'its value is one that testers use'
            ELSE 'a steward says so' END AS reason
FROM guarded g
"""


def identity_audit(
    connection: duckdb.DuckDBPyConnection,
    memory: Memory,
    pairs: Pairs,
    types: dict[str, IdentifierType],
    as_of: datetime,
    before: Version | None,
) -> pa.Table:
    """The table, from what the memory holds of the guards' decisions, and the tables `nodes` and `types` on the connection.

    A decision that the version before knows too keeps the night in which it was first taken.
    """
    rows = [*_caps(memory, types), *_links(memory, pairs.forced, types), *_still_shared(memory, pairs.kept)]
    names = ("node", "other", "guard", "decision", "reason")
    form = (pa.int64(), pa.int64(), pa.string(), pa.string(), pa.string())
    columns = {n: pa.array([row[i] for row in rows], form[i]) for i, n in enumerate(names)}
    connection.register("decided", pa.table(columns))
    guard = memory.columns.read("guard")
    guarded = np.flatnonzero(guard)
    by = pa.DictionaryArray.from_arrays(pa.array(guard[guarded] - np.int8(1)), pa.array(GUARDS))
    connection.register("guarded", pa.table({"node": guarded, "guard": by.cast(pa.string())}))
    connection.execute(
        f"CREATE TEMP TABLE decisions AS SELECT DISTINCT * FROM ({_LISTS} UNION ALL SELECT * FROM decided)"
    )
    _earlier_decisions(connection, before)
    table = connection.sql(
        """SELECT coalesce(e.decided_at, $as_of::TIMESTAMPTZ) AS decided_at, d.guard, t.identifier_type, n.identifier,
                  row_number() OVER (PARTITION BY d.node, d.guard ORDER BY o.kind, o.identifier, d.reason) AS audit_number,
                  u.identifier_type AS other_type, o.identifier AS other_identifier, d.decision, d.reason
           FROM decisions d JOIN nodes n ON n.node = d.node JOIN types t ON t.kind = n.kind
           LEFT JOIN nodes o ON o.node = d.other LEFT JOIN types u ON u.kind = o.kind
           LEFT JOIN earlier e ON e.guard = d.guard AND e.identifier_type = t.identifier_type
                AND e.identifier = n.identifier AND e.other_identifier IS NOT DISTINCT FROM o.identifier
           ORDER BY t.identifier_type, n.identifier, d.guard, audit_number""",
        params={"as_of": as_of},
    ).to_arrow_table()
    return table.select(list(TABLES["identity_audit"].names))


def _earlier_decisions(connection: duckdb.DuckDBPyConnection, before: Version | None) -> None:
    known = TABLES["identity_audit"].schema.empty_table()
    if before is not None:
        with before.connect() as reader:
            known = reader.sql("SELECT * FROM identity_audit").to_arrow_table()
    connection.register("known_decisions", known)
    connection.execute(
        """CREATE TEMP TABLE earlier AS SELECT guard, identifier_type, identifier, other_identifier, min(decided_at) AS decided_at
           FROM known_decisions GROUP BY ALL"""
    )
    connection.unregister("known_decisions")


Row = tuple[int, int | None, str, str, str]


def _caps(memory: Memory, types: dict[str, IdentifierType]) -> Iterator[Row]:
    ordered, columns = ordered_types(types), memory.columns
    node = columns.read("capped_node")
    kind = kinds(columns.read("key")[node]).tolist()
    told = [columns.read(f"capped_{name}").tolist() for name in ("other", "total", "most", "in_turn")]
    for one, of, other, total, most, in_turn in zip(node.tolist(), kind, *told, strict=True):
        rule, name = ordered[of][1], None if other < 0 else ordered[other][0]
        cap = rule.at_most_persons if name is None else rule.at_most[name]
        assert cap is not None  # noqa: S101 - it decided
        decision = "is each person's in turn" if in_turn else "links nobody, is nobody's"
        yield one, None, "at_most_persons" if name is None else "at_most", decision, _counted(cap, name, total, most)


def _counted(cap: Cap, other: str | None, total: int, most: int) -> str:
    what = "persons" if other is None else f"identifiers of type {other}"
    allowed = f"at most {cap.most}" + (f" in {_days(cap.within)}" if cap.within else "")
    if cap.within and most <= cap.most:
        return f"seen with {total} {what}, one after another; {allowed}"
    return f"seen with {most} {what}{' in one stretch of time' if cap.within else ''}, {allowed}"


def _days(time: timedelta) -> str:
    days = time.total_seconds() / 86400
    return f"{days:g} day{'' if days == 1 else 's'}"


def _still_shared(memory: Memory, kept: Ints) -> Iterator[Row]:
    """What is shared only because it was before somebody was forgotten: caps do not say so by themselves."""
    columns = memory.columns
    shared = kept[np.isin(columns.read("person")[kept], (OF_PERSONS, SETTLED))]
    for node in np.setdiff1d(shared, columns.read("capped_node")).tolist():
        reason = "was shared before one of those who had it was forgotten"
        yield node, None, "at_most_persons", "links nobody, is nobody's", reason


def _links(memory: Memory, forced: Extra, types: dict[str, IdentifierType]) -> Iterator[Row]:
    left_out, ordered, columns = "link left out", ordered_types(types), memory.columns
    told = (columns.read(f"refused_{name}").tolist() for name in ("node", "other", "rule"))
    for u, v, rule in zip(*told, strict=True):
        if rule >= UNIQUE:
            detail = ordered[rule - UNIQUE][0]
            yield v, u, "one_per_person", left_out, f"it would give one person two identifiers of type {detail}"
        elif rule == FORBIDDEN:
            yield v, u, "forbidden", left_out, "it would join two identifiers that a steward keeps apart"
        else:
            yield v, u, "at_most_persons", left_out, "it would make one person of two"
    person, key = columns.read("person"), columns.read("key")
    unmet = np.flatnonzero((person[forced.left] < 0) | (person[forced.right] < 0))
    for left, right in zip(forced.left[unmet].tolist(), forced.right[unmet].tolist(), strict=True):
        u, v = sorted((left, right), key=lambda node: bytes(key[node]))
        yield v, u, "steward", left_out, "a steward joins them, but one of them is nobody's"

"""`identity_audit`: what the guards decided, told so that it can be understood and undone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from klantspoor.dictionary import TABLES
from klantspoor.identity.evidence import Evidence, ordered_types
from klantspoor.identity.kernel import Assignment, Capped
from klantspoor.lake import Version
from klantspoor.project.model import IdentifierType

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
    evidence: Evidence,
    made: Assignment,
    types: dict[str, IdentifierType],
    as_of: datetime,
    before: Version | None,
) -> pa.Table:
    """The table, from the guards' decisions and the tables `guarded`, `nodes` and `types` on the connection.

    A decision that the version before knows too keeps the night in which it was first taken.
    """
    rows = [*_caps(evidence, made, types), *_links(evidence, made), *_still_shared(made)]
    names = ("node", "other", "guard", "decision", "reason")
    kinds = (pa.int64(), pa.int64(), pa.string(), pa.string(), pa.string())
    columns = {n: pa.array([row[i] for row in rows], kinds[i]) for i, n in enumerate(names)}
    connection.register("decided", pa.table(columns))
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


def _caps(evidence: Evidence, made: Assignment, types: dict[str, IdentifierType]) -> Iterator[Row]:
    ordered = ordered_types(types)
    for one in made.capped:
        decision = "is each person's in turn" if one.in_turn else "links nobody, is nobody's"
        yield one.node, None, one.guard, decision, _counted(one, ordered[evidence.kind[one.node]][1])


def _counted(one: Capped, kind: IdentifierType) -> str:
    cap = kind.at_most_persons if one.other is None else kind.at_most[one.other]
    assert cap is not None  # noqa: S101 - it decided
    what = "persons" if one.other is None else f"identifiers of type {one.other}"
    allowed = f"at most {cap.most}" + (f" in {_days(cap.within)}" if cap.within else "")
    if cap.within and one.most <= cap.most:
        return f"seen with {one.total} {what}, one after another; {allowed}"
    return f"seen with {one.most} {what}{' in one stretch of time' if cap.within else ''}, {allowed}"


def _days(time: timedelta) -> str:
    days = time.total_seconds() / 86400
    return f"{days:g} day{'' if days == 1 else 's'}"


def _still_shared(made: Assignment) -> Iterator[Row]:
    for node in made.kept:
        reason = "was shared before one of those who had it was forgotten"
        yield node, None, "at_most_persons", "links nobody, is nobody's", reason


def _links(evidence: Evidence, made: Assignment) -> Iterator[Row]:
    left_out = "link left out"
    for refused in made.refused:
        for u, v, name in zip(refused.u.tolist(), refused.v.tolist(), refused.name, strict=True):
            rule, _, detail = name.partition(" ")
            if rule == "one_per_person":
                yield v, u, rule, left_out, f"it would give one person two identifiers of type {detail}"
            elif rule == "forbidden":
                yield v, u, rule, left_out, "it would join two identifiers that a steward keeps apart"
            else:
                yield v, u, rule, left_out, "it would make one person of two"
    for position in made.unmet:
        u, v = sorted((int(evidence.forced.left[position]), int(evidence.forced.right[position])))
        yield v, u, "steward", left_out, "a steward joins them, but one of them is nobody's"

"""How far the sources reach tonight: asked of the events once, and shared by the marts and the report that need it.

What it means is in `klantspoor.marts.deliveries`; here it is kept in the run's work folder, as long as the tables it is
made from are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import pyarrow.parquet as pq
from pydantic import TypeAdapter

from klantspoor.journeys.rules import roles_table
from klantspoor.lake.staging import Staging
from klantspoor.marts.deliveries import Delivery, arrivals, complete_up_to
from klantspoor.project.model import Project

_MADE_FROM = ("events", "intake")


@dataclass(frozen=True, slots=True)
class SourceReach:
    """A source: its recent deliveries, the oldest first, how far it is complete, and the share of its events that come late."""

    deliveries: tuple[Delivery, ...]
    complete_up_to: datetime | None
    late_share: float | None


_ADAPTER = TypeAdapter(dict[str, SourceReach])


def load(project: Project, staging: Staging) -> dict[str, SourceReach]:
    """By source, of all of which files came: made now, or found as made from the very same tables.

    Raises:
        LakeError: where `events` or `intake` is not staged.
    """
    path = staging.work("marts") / f"reach-{_fingerprint(project, staging)}.json"
    if not path.exists():
        path.write_bytes(_ADAPTER.dump_json(_made(project, staging)))
    return _ADAPTER.validate_json(path.read_bytes())


def _made(project: Project, staging: Staging) -> dict[str, SourceReach]:
    share = project.file.limits.complete_share
    with staging.connect() as con:
        found = arrivals(con, staging.as_of, project.file.timezone)
        return {
            source: SourceReach(came.deliveries, complete_up_to(con, source, came, share), came.late_share)
            for source, came in found.items()
        }


def _fingerprint(project: Project, staging: Staging) -> str:
    """Changes whenever one of the tables is written again."""
    for table in _MADE_FROM:
        staging.glob(table)
    files = sorted(path for table in _MADE_FROM for path in staging.folder(table).rglob("*.parquet"))
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    of = (stats, project.file.timezone, project.file.limits.complete_share, staging.as_of)
    return sha256(repr(of).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class HeldBack:
    """How far all that feeds a journey type reaches, and the source that reaches least far."""

    complete_up_to: datetime
    source: str


def of_journeys(project: Project, staging: Staging) -> dict[str, HeldBack]:
    """By journey type; types that nothing feeds are not in it.

    A source feeds a type that maps some activity of it. Sources of which no file is expected at a fixed time (a history
    that came once) count only where a type has no other.

    Raises:
        LakeError: where `events` or `intake` is not staged.
    """
    reach = load(project, staging)
    kinds = pq.read_table(staging.root / "canonical" / "all_kinds.parquet")
    source_of = dict(zip(kinds["kind"].to_pylist(), kinds["source"].to_pylist(), strict=True))
    roles = roles_table(project, kinds)
    fed: dict[str, set[str]] = {}
    for kind, journey_type in zip(roles["kind"].to_pylist(), roles["journey_type"].to_pylist(), strict=True):
        fed.setdefault(journey_type, set()).add(source_of[kind])
    regular = {name for name, source in project.sources.items() if source.expected.every != "never"}
    found = {}
    for journey_type, sources in fed.items():
        told = [(reach[s].complete_up_to, s) for s in sources & regular or sources if s in reach]
        known = [HeldBack(moment, source) for moment, source in told if moment is not None]
        if known:
            found[journey_type] = min(known, key=lambda held: (held.complete_up_to, held.source))
    return found

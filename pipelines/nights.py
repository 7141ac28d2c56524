"""Nights as Dagster's daily partitions: which moments each holds, which are due, and the clock of a run of some of them.

A night is called by the day on which it begins: 2026-11-24 holds what landed from `nightly_at` on that day until `nightly_at` on
the next, in the project's zone, so that the run at its end takes in exactly that one. Only the ledger and the job have
partitions: tables are made as a whole from everything that was read (docs/adr/0016).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg

from klantspoor.errors import NotFoundError
from klantspoor.intake import Ledger
from klantspoor.lake import Lake, open_lake
from klantspoor.project.model import Project

AS_OF_TAG = "klantspoor/as_of"
LANDED_BEFORE_TAG = "klantspoor/landed_before"
ONE_TAG = "dagster/partition"
FIRST_TAG = "dagster/asset_partition_range_start"
LAST_TAG = "dagster/asset_partition_range_end"
BACKFILL_TAG = "dagster/backfill"
DEFAULT = ("03:00", "UTC")
_LONG_AGO = datetime(2000, 1, 1)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """What a run goes by: its `as_of`, from which moment on landing files are left (None: none is), and the nights it is for."""

    as_of: datetime
    landed_before: datetime | None = None
    nights: dg.PartitionKeyRange | None = None

    @property
    def tags(self) -> dict[str, str]:
        """The tags by which a run has this clock, and Dagster knows its nights."""
        before = {LANDED_BEFORE_TAG: self.landed_before.isoformat()} if self.landed_before is not None else {}
        return {AS_OF_TAG: self.as_of.isoformat(), **before, **range_tags(self.nights)}


def nights(project: Project | None) -> dg.DailyPartitionsDefinition:
    """The nights of a project, from when the first file landed to the one that is going on.

    Without a project, or with a lake that cannot be read, from long ago: definitions must load all the same.
    """
    nightly_at, zone = (project.file.nightly_at, project.file.timezone) if project is not None else DEFAULT
    hour, minute = (int(part) for part in nightly_at.split(":"))
    began = _LONG_AGO
    if project is not None:
        local = _first_landing(project).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        began = (local - timedelta(hours=hour, minutes=minute)).replace(hour=0, minute=0, second=0, microsecond=0)
    return dg.DailyPartitionsDefinition(
        start_date=began, timezone=zone, hour_offset=hour, minute_offset=minute, end_offset=1
    )


def due(project: Project, lake: Lake, as_of: datetime) -> dg.PartitionKeyRange | None:
    """The nights that a run at `as_of` takes in: those that are over and that the current version does not hold whole.

    Where it holds them all, the night that is going on; None where there is no such night (nothing landed before `as_of`).
    """
    days = nights(project)
    keys = days.get_partition_keys(current_time=min(as_of, datetime.now(UTC)))
    if not keys:
        return None
    *over, going_on = keys
    since = published_as_of(lake)
    if since is None or since < days.time_window_for_partition_key(keys[0]).start:
        first = keys[0]
    else:
        first = days.get_partition_key_for_timestamp(since.timestamp())
    if not over or first > over[-1]:  # keys are ISO days: they sort as text
        return dg.PartitionKeyRange(going_on, going_on)
    return dg.PartitionKeyRange(first, over[-1])


def clock(tags: Mapping[str, str], made_at: datetime, project: Project, lake: Lake) -> Clock:
    """The clock of a run by its tags: the one that is given, else the end of its nights, else when the run was made.

    A run of nights goes by the end of the last, and leaves what landed after it. It never goes back behind what is published:
    nights that the current version holds are made again as of that version, whatever was asked for.

    Args:
        tags: the run's tags.
        made_at: when the run was made.
        project: its project.
        lake: the project's lake, whose current version is looked at.
    """
    asked = asked_nights(tags)
    if AS_OF_TAG in tags:
        before = tags.get(LANDED_BEFORE_TAG)
        as_of = datetime.fromisoformat(tags[AS_OF_TAG])
        return Clock(as_of, datetime.fromisoformat(before) if before else None, asked)
    if asked is None:
        return Clock(made_at)
    end = nights(project).time_window_for_partition_key(asked.end).end.astimezone(UTC)
    moment = max(min(end, made_at), published_as_of(lake) or _NEVER)
    return Clock(moment, moment if end <= made_at else None, asked)


def named(first: str | None, last: str | None, project: Project, lake: Lake, now: datetime) -> dg.PartitionKeyRange:
    """The nights from `first` to `last`, both ISO days; without one of them, from or to where nights are due now.

    Raises:
        NotFoundError: they are no nights of the project, or end before they begin.
    """
    keys = nights(project).get_partition_keys()
    now_due = due(project, lake, now)
    until = last or (now_due.end if now_due is not None else keys[-1])
    since = first or min(now_due.start if now_due is not None else keys[0], until)
    for key in (since, until):
        if key not in keys:
            raise NotFoundError(f"{key} is no night of this project: they go from {keys[0]} to {keys[-1]}")
    if since > until:
        raise NotFoundError(f"the nights end on {until}, before they begin on {since}")
    return dg.PartitionKeyRange(since, until)


def asked_nights(tags: Mapping[str, str]) -> dg.PartitionKeyRange | None:
    """The nights a run is for, by its tags; None for a run that is for none."""
    if FIRST_TAG in tags and LAST_TAG in tags:
        return dg.PartitionKeyRange(tags[FIRST_TAG], tags[LAST_TAG])
    return dg.PartitionKeyRange(tags[ONE_TAG], tags[ONE_TAG]) if ONE_TAG in tags else None


def range_tags(asked: dg.PartitionKeyRange | None) -> dict[str, str]:
    """The tags by which a run is for these nights."""
    return {FIRST_TAG: asked.start, LAST_TAG: asked.end} if asked is not None else {}


def published_as_of(lake: Lake) -> datetime | None:
    """The moment up to which the current version holds everything; None where nothing is published."""
    version = lake.current()
    return datetime.fromisoformat(version.manifest["as_of"]) if version is not None else None


def _first_landing(project: Project) -> datetime:
    """When the first file landed: by the ledger, else by the oldest file in the landing folder, else now."""
    first = Ledger(open_lake(project).root).first()
    if first is not None:
        return first.record.landed_at
    landing = Path(project.root) / project.file.landing
    files = landing.rglob("*") if landing.is_dir() else ()
    times = [path.stat().st_mtime for path in files if path.is_file()]
    return min(datetime.fromtimestamp(min(times), UTC), datetime.now(UTC)) if times else datetime.now(UTC)

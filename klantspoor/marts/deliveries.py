"""What each source delivered lately, day by day, and up to which moment that makes it complete.

A *delivery* is all files of a source that landed within one day, counted back from the night's clock in the project's
zone: in a project that runs at three, what landed from three to three. Looked at are those of the last eight weeks, and
at least the last eight of each source.

**Complete up to.** An event was *missed* by so long as it had happened before the delivery before the one that brought it:
had the source been called complete up to that delivery, it would have been late by that much. The margin of a source is
the smallest one that would have kept the share of its missed events, as a mean over its deliveries, at or below what
`limits.complete_share` allows; the worst tenth of the deliveries is left out of the mean, so that one delivery of old rows
does not decide for weeks. The source is complete up to its newest delivery less the margin.

Two bounds hold beside the margin. It is never nearer to the delivery than the newest event was to any recent one: a file
of a day that ended at midnight says nothing of one o'clock. And it is never further ahead of the newest event than three
of four deliveries were that came while there still were new events: files may go on coming with nothing new in them.
Newest is the second newest of its delivery, where there are two, so that one wrong time moves nothing. Until a source has
brought events three times after its first delivery, that newest event is all that is said.

A correction counts as coming when the corrected form does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import duckdb
import numpy as np
import numpy.typing as npt

RECENT_DAYS = 56
LEAST_DELIVERIES = 8
ENOUGH_TO_KNOW = 3
"""Deliveries with events, after the first, that are needed to know how late a source is."""
_WORST_TENTH = 10
_LATE = "INTERVAL 24 HOURS"
Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Delivery:
    """What a source delivered on one day; `age` counts days back from the night.

    Files that could not be used are not in it. `events` are those that the night's version has from it, `channels` their
    number by channel where they name one; `late` came more than a day after they happened, `unmapped` are mapped by no
    journey type. `reach` is its newest event, but for one.
    """

    age: int
    landed_at: datetime
    is_first: bool
    files: int = 0
    rows: int = 0
    quarantined: int = 0
    events: int = 0
    late: int = 0
    unmapped: int = 0
    channels: dict[str, int] = field(default_factory=dict)
    reach: datetime | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """Events that a delivery brought too late for the one before it: by its age, the minutes (rounded up), how many."""

    age: Ints
    minutes: Ints
    events: Ints


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The recent deliveries of a source, the oldest first, and what of them was missed."""

    deliveries: tuple[Delivery, ...]
    missed: Missed

    @property
    def late_share(self) -> float | None:
        """Share of events that came more than a day late; None where there is none after the source's first delivery."""
        told = [delivery for delivery in self.deliveries if not delivery.is_first]
        events = sum(delivery.events for delivery in told)
        return sum(delivery.late for delivery in told) / events if events else None


def arrivals(con: duckdb.DuckDBPyConnection, as_of: datetime, timezone: str) -> dict[str, Arrivals]:
    """Every source's, from the tables `events` and `intake` on the connection.

    Args:
        con: with views of the two tables.
        as_of: the night's clock, aware.
        timezone: the project's, an IANA name.
    """
    con.execute(
        """CREATE OR REPLACE TEMP TABLE landings AS
           WITH aged AS (
               SELECT source::VARCHAR AS source, sequence, landed_at, rows_read, quarantined,
                   greatest(0, epoch_us(timezone($zone, $as_of::TIMESTAMPTZ)) - epoch_us(timezone($zone, landed_at)))
                   // 86400000000 AS age
               FROM intake WHERE file_status = 'used'),
           by_day AS (
               SELECT source, age, max(landed_at) AS landed, lag(max(landed_at)) OVER w AS before,
                   row_number() OVER w AS number, count(*) OVER (PARTITION BY source) AS known
               FROM aged GROUP BY source, age WINDOW w AS (PARTITION BY source ORDER BY age DESC))
           SELECT a.*, d.landed, d.before FROM aged a JOIN by_day d USING (source, age)
           WHERE a.age < $recent OR d.known - d.number < $least""",
        {"zone": timezone, "as_of": as_of, "recent": RECENT_DAYS, "least": LEAST_DELIVERIES},
    )
    delivered: dict[str, dict[int, Delivery]] = {}
    rows = con.execute(
        """SELECT source, age, any_value(landed), bool_and(before IS NULL), count(*), sum(rows_read)::BIGINT,
               sum(quarantined)::BIGINT
           FROM landings GROUP BY source, age ORDER BY source, age DESC"""
    ).fetchall()
    for source, age, landed, is_first, files, read, quarantined in rows:
        delivered.setdefault(source, {})[age] = Delivery(age, landed, is_first, files, read, quarantined)
    _brought(con)
    for source, by_age in delivered.items():
        _add_events(con, source, by_age)
    return {source: Arrivals(tuple(by.values()), _missed(con, source)) for source, by in delivered.items()}


def complete_up_to(con: duckdb.DuckDBPyConnection, source: str, found: Arrivals, share: float) -> datetime | None:
    """The moment before which at most one minus `share` of the source's events is still to come; None: it has no events.

    Args:
        con: with a view of `events`, which is asked only where no recent delivery brought any.
        source: the source.
        found: its arrivals.
        share: `limits.complete_share`.
    """
    reached, gaps, dry = None, [], 0
    for delivery in found.deliveries:
        dry += 1
        if delivery.reach is not None and (reached is None or delivery.reach > reached):
            reached, dry = delivery.reach, 0
        if reached is not None:
            gaps.append(delivery.landed_at - reached)
    # The dry spell that is on says nothing of what is usual.
    gaps = sorted(gaps[: len(gaps) - dry])
    if reached is None:
        return _newest(con, source)
    brought = [delivery for delivery in found.deliveries if delivery.events and not delivery.is_first]
    if len(brought) < ENOUGH_TO_KNOW:
        return reached
    allowed = timedelta(minutes=margin(found.missed, {d.age: d.events for d in brought}, 1 - share))
    return min(found.deliveries[-1].landed_at - max(allowed, gaps[0]), reached + gaps[len(gaps) * 3 // 4])


def margin(missed: Missed, events: dict[int, int], share: float) -> int:
    """The fewest minutes by which events may be missed so that the share missed by more is at most `share`.

    The share is the mean over deliveries (`events`: by age, how many events each brought), but for the worst tenth of
    them, at least one.
    """
    ages = np.array(sorted(events), np.int64)
    brought = np.array([events[int(age)] for age in ages], np.float64)
    known = np.isin(missed.age, ages)
    place, minutes, number = np.searchsorted(ages, missed.age[known]), missed.minutes[known], missed.events[known]
    left_out = -(-len(ages) // _WORST_TENTH)

    def is_enough(least: int) -> bool:
        beyond = minutes > least
        shares = np.bincount(place[beyond], weights=number[beyond], minlength=len(ages)) / brought
        kept = np.sort(shares)[: len(ages) - left_out]
        return float(kept.sum()) <= share * len(kept)

    tried = np.concatenate(([0], np.unique(minutes)))
    low, high = 0, len(tried) - 1  # with the greatest nothing is missed
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(int(tried[middle])) else (middle + 1, high)
    return int(tried[low])


def _brought(con: duckdb.DuckDBPyConnection) -> None:
    """`brought`: the events of all recent files, so that the table is looked through once.

    The bounds are plain numbers, so that parts with older files are not read.
    """
    [(first, last)] = con.execute(
        "SELECT coalesce(min(sequence), 0), coalesce(max(sequence), 0) FROM landings"
    ).fetchall()
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE brought AS
            SELECT f.source, f.age, f.landed, f.before, e.channel::VARCHAR AS channel, e.occurred_at,
                   e.received_at - e.occurred_at > {_LATE} AS is_late, e.visibility = 'unknown' AS is_unmapped
            FROM events e JOIN landings f ON f.sequence = e.file_sequence
            WHERE e.file_sequence BETWEEN {int(first)} AND {int(last)}"""
    )


def _add_events(con: duckdb.DuckDBPyConnection, source: str, by_age: dict[int, Delivery]) -> None:
    """Count the events of the source's deliveries, by channel."""
    rows = con.execute(
        """SELECT age, channel, count(*), count(*) FILTER (is_late), count(*) FILTER (is_unmapped),
               max(occurred_at, 2) FILTER (occurred_at <= landed)
           FROM brought WHERE source = $source GROUP BY ALL""",
        {"source": source},
    ).fetchall()
    newest: dict[int, list[datetime]] = {}
    for age, channel, events, late, unmapped, latest in rows:
        delivery = by_age[age]
        delivery.events += events
        delivery.late += late
        delivery.unmapped += unmapped
        if channel is not None:
            delivery.channels[channel] = events
        newest.setdefault(age, []).extend(latest or [])
    for age, moments in newest.items():
        by_age[age].reach = min(sorted(moments)[-2:], default=None)


def _missed(con: duckdb.DuckDBPyConnection, source: str) -> Missed:
    rows = con.execute(
        """SELECT age, (epoch_us(before) - epoch_us(occurred_at) + 59999999) // 60000000 AS minutes, count(*) AS events
           FROM brought WHERE source = $source AND occurred_at < before GROUP BY ALL""",
        {"source": source},
    ).fetchnumpy()
    return Missed(*(np.asarray(rows[name], np.int64) for name in ("age", "minutes", "events")))


def _newest(con: duckdb.DuckDBPyConnection, source: str) -> datetime | None:
    """The newest event but one of a source whose recent files brought none."""
    [(latest,)] = con.execute(
        "SELECT max(occurred_at, 2) FILTER (occurred_at <= received_at) FROM events WHERE source = $source",
        {"source": source},
    ).fetchall()
    return min(latest, default=None) if latest else None

"""What a map page shows, read from the published tables into the shapes of `klantspoor.page.shapes`.

Queries only. No HTML, no formatting (`units`), and no thresholds of its own but the least number of answers below which
a page abstains from a verdict (R9).
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from klantspoor.page.shapes import (
    OTHER_CAUSE,
    OUR_CAUSES,
    TURNS,
    Bottleneck,
    Figures,
    JourneyPage,
    PhaseColumn,
    Split,
    Totals,
    Voice,
    Voices,
)

if TYPE_CHECKING:
    import duckdb

    from klantspoor.project.model import Project

LEAST_ANSWERS = 30
WORST = 12
_MAIN_CHANNELS = 3


def collect(
    connection: duckdb.DuckDBPyConnection, project: Project, name: str, as_of: datetime, run_id: str
) -> JourneyPage:
    """The page of journey type `name`, from a connection with a view per published table."""
    journey = project.journeys[name]
    smallest = project.file.limits.suppress_below
    rows = _map_rows(connection, name)
    causes = _causes_by_phase(connection, name)
    waiting = {r["from_step"]: r for r in _open_by_phase(connection, name)}
    overall = {
        r["phase"]: _figures(r, causes.get(r["phase"])) for r in rows if r["persona"] is None and r["month"] is None
    }
    phases = [
        PhaseColumn(
            number,
            phase.id,
            phase.says,
            overall.get(phase.id),
            waiting.get(phase.id, {}).get("open_waits", 0),
            waiting.get(phase.id, {}).get("open_wait_total_hours", 0.0),
        )
        for number, phase in enumerate(journey.phases, start=1)
    ]
    months = _by(rows, "month")
    personas = _by(rows, "persona")
    filled = sum(len(cells) for cells in (*months.values(), *personas.values()))
    bottlenecks = _bottlenecks(connection, name)
    return JourneyPage(
        journey=journey,
        totals=_totals(connection, name, smallest),
        phases=phases,
        months=[(m, any(f.is_provisional for f in cells.values()), cells) for m, cells in months.items()],
        personas=list(personas.items()),
        worst=[b for b in bottlenecks if b.to_step is not None and b.waiting.blamed > 0][:WORST],
        still_open=sorted((b for b in bottlenecks if b.open_waits), key=lambda b: -b.open_wait_total_hours)[:WORST],
        voices=_voices(connection, name, smallest),
        smallest=smallest,
        as_of=as_of,
        run_id=run_id,
        withheld=len(phases) * (len(months) + len(personas)) - filled,
    )


def fetch(connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
    """The rows a query gives, as dictionaries; for small results only."""
    rows: list[dict[str, Any]] = connection.sql(sql, params=parameters).to_arrow_table().to_pylist()
    return rows


def _split(row: dict[str, Any], causes: dict[str, float] | None) -> Split:
    """Turns from the row's `*_wait_hours`; ours cut by the causes known, the rest of ours as `few`."""
    known = causes or {}
    ours = row["organisation_wait_hours"] or 0.0
    parts = {c: known.get(c, 0.0) for c in OUR_CAUSES}
    parts[OTHER_CAUSE] = max(0.0, ours - sum(parts.values()))
    parts |= {turn: row[f"{turn}_wait_hours"] or 0.0 for turn in TURNS[1:]}
    least = 1e-6 * max(1.0, sum(parts.values()))
    return Split({k: v for k, v in parts.items() if v > least})


def _map_rows(connection: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    return fetch(
        connection,
        """select * from journey_map where journey_type = ? and (persona is null or month is null)
           order by persona, month, phase_number""",
        [name],
    )


def _figures(row: dict[str, Any], causes: dict[str, float] | None = None) -> Figures:
    taken = {key: row[key] for key in Figures.__dataclass_fields__ if key in row}
    return Figures(**taken, channels=_main_channels(row["channel_mix"]), waiting=_split(row, causes))


def _main_channels(mix: str) -> list[tuple[str, float]]:
    shares = sorted(json.loads(mix).items(), key=lambda item: (-item[1], item[0]))
    main = [(str(name), float(part)) for name, part in shares[:_MAIN_CHANNELS]]
    rest = sum(float(part) for _, part in shares[_MAIN_CHANNELS:])
    return [*main, (f"{len(shares) - _MAIN_CHANNELS} more", rest)] if rest > 0 else main


def _by(rows: list[dict[str, Any]], key: str) -> dict[str, dict[str, Figures]]:
    """The rows that are about one value of `key` (and all of the other), by that value and then by phase."""
    other = "persona" if key == "month" else "month"
    grouped: dict[str, dict[str, Figures]] = {}
    for row in rows:
        if row[key] is not None and row[other] is None:
            grouped.setdefault(row[key], {})[row["phase"]] = _figures(row)
    return dict(sorted(grouped.items()))


def _causes_by_phase(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, dict[str, float]]:
    """Our hours by cause, of the closed waits that began in each phase; transitions of too few people are not in it."""
    sums = ", ".join(f"sum({cause}_hours) as {cause}" for cause in OUR_CAUSES)
    rows = fetch(
        connection,
        f"""select from_step, {sums} from bottlenecks
            where journey_type = ? and level = 'phase' and persona is null and month is null and to_step is not null
            group by from_step""",
        [name],
    )
    return {row.pop("from_step"): row for row in rows}


def _open_by_phase(connection: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    return fetch(
        connection,
        """select from_step, sum(open_waits)::bigint as open_waits, sum(open_wait_total_hours) as open_wait_total_hours
           from bottlenecks where journey_type = ? and level = 'phase' and persona is null and month is null
           group by from_step having sum(open_waits) > 0""",
        [name],
    )


def _bottlenecks(connection: duckdb.DuckDBPyConnection, name: str) -> list[Bottleneck]:
    """The transitions between activities, those that cost most of our and partners' time first."""
    rows = fetch(
        connection,
        """select * from bottlenecks
           where journey_type = ? and level = 'touchpoint' and persona is null and month is null
           order by organisation_wait_hours + partner_wait_hours desc, from_step, to_step""",
        [name],
    )
    found = []
    for row in rows:
        taken = {key: row[key] for key in Bottleneck.__dataclass_fields__ if key in row}
        causes = {cause: row[f"{cause}_hours"] for cause in OUR_CAUSES}
        found.append(Bottleneck(**taken, waiting=_split(row, causes)))
    return found


def _totals(connection: duckdb.DuckDBPyConnection, name: str, smallest: int) -> Totals | None:
    waits = ", ".join(f"sum({turn}_wait_seconds) / 3600 as {turn}_wait_hours" for turn in TURNS)
    counts = ", ".join(
        f"""case when count(distinct person_id) filter ({which}) >= {int(smallest)}
              then count(*) filter ({which}) end as {column}"""
        for column, which in _COUNTED.items()
    )
    row = fetch(
        connection,
        f"""select count(*) as journeys, count(distinct person_id) as persons, {counts},
              count(*) filter (status <> 'open' and outcome = 'achieved') as achieved,
              count(need_started_at) as with_need, avg(touchpoints) as touchpoints,
              median(lead_time_seconds) / 3600 as lead_median_hours,
              quantile_cont(lead_time_seconds, 0.9) / 3600 as lead_p90_hours, min(started_at) as first, {waits}
            from journeys where journey_type = ? and not is_mystery_guest""",
        [name],
    )[0]
    if row["persons"] < smallest:
        return None
    guests = fetch(connection, "select 1 from journeys where journey_type = ? and is_mystery_guest limit 1", [name])
    # Journeys are asked of each wait only where it can make a difference: there are many waits.
    invited = "anti join (from journeys where is_mystery_guest) using (journey_id)" if guests else ""
    causes = fetch(
        connection,
        f"""select cause::varchar as cause, sum(seconds) / 3600 as hours
            from waits {invited} where journey_type = ? and turn = 'organisation' group by 1""",
        [name],
    )
    if row["settled"] is None:
        row |= {"lead_median_hours": None, "lead_p90_hours": None, "achieved_share": None}
    else:
        row["achieved_share"] = row["achieved"] / row["settled"]
    if row["is_open"] is None:
        row["settled"] = None  # else the difference to all journeys would tell
    taken = {key: row[key] for key in Totals.__dataclass_fields__ if key in row}
    return Totals(**taken, waiting=_split(row, {c["cause"]: c["hours"] for c in causes}))


_COUNTED = {
    "is_open": "status = 'open'",
    "settled": "status <> 'open'",
    "abandoned": "status = 'abandoned'",
    "failed": "status <> 'open' and outcome = 'failed'",
}


def _voices(connection: duckdb.DuckDBPyConnection, name: str, smallest: int) -> Voices:
    [whole, *rows] = fetch(
        connection,
        """select grouping(e.instrument) = 1 as is_whole, e.instrument::varchar as instrument, count(*) as answers,
             count(distinct j.person_id) as persons, count(distinct j.journey_id) as journeys,
             avg(e.score_0_100) as mean, 1.96 * stddev_samp(e.score_0_100) / sqrt(count(*)) as margin
           from experiences e join journeys j using (journey_id)
           where j.journey_type = ? and not j.is_mystery_guest
           group by grouping sets ((), (e.instrument)) order by is_whole desc, answers desc, instrument""",
        [name],
    )
    return Voices(whole["journeys"], whole["persons"], [_voice(row) for row in rows if row["persons"] >= smallest])


def _voice(row: dict[str, Any]) -> Voice:
    head = (row["instrument"], row["answers"], row["persons"])
    if row["answers"] < LEAST_ANSWERS:
        return Voice(*head, None, None, None)
    margin = row["margin"] or 0.0
    return Voice(*head, row["mean"], max(0.0, row["mean"] - margin), min(100.0, row["mean"] + margin))

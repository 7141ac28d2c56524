"""The marts of the tiny data set, by plain SQL over its journeys: what the pages are fed in their tests."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from klantspoor.dictionary import TABLES

SMALLEST = 5

_PREPARE = """
create table waits_of as
select w.journey_id, w.touchpoint_number, w.journey_type, j.person_id, j.persona,
       strftime(max(w.ended_at) at time zone 'Europe/Amsterdam', '%Y-%m') as month,
       bool_or(w.is_open) as is_open, sum(w.seconds) / 3600 as hours,
       {turns}, {causes},
       any_value(a.phase) as from_phase, any_value(b.phase) as to_phase,
       any_value(a.activity) as from_activity, any_value(b.activity) as to_activity
from waits w join journeys j using (journey_id)
join touchpoints a on a.journey_id = w.journey_id and a.touchpoint_number = w.touchpoint_number
left join touchpoints b on b.journey_id = w.journey_id and b.touchpoint_number = w.touchpoint_number + 1
group by w.journey_id, w.touchpoint_number, w.journey_type, j.person_id, j.persona;
create table visits_of as
select v.*, j.person_id, j.persona, j.status, j.outcome,
       strftime(v.left_at at time zone 'Europe/Amsterdam', '%Y-%m') as month
from phase_visits v join journeys j using (journey_id);
create table mixes as
select journey_type, phase, cast(to_json(map(list(channel order by share desc, channel),
                                            list(share order by share desc, channel))) as varchar) as channel_mix
from (select journey_type, phase, channel, count(*) / sum(count(*)) over (partition by journey_type, phase) as share
      from touchpoints group by journey_type, phase, channel order by share desc)
group by journey_type, phase;
"""

_MAP = """
select v.journey_type, v.persona, v.month, v.phase, any_value(v.phase_number) as phase_number,
       coalesce(v.month = '2026-06', false) as is_provisional, count(distinct v.journey_id) as journeys,
       count(distinct v.person_id) as persons, count(*) as visits, sum(v.touchpoints)::bigint as touchpoints,
       median(v.dwell_seconds) / 3600 as dwell_median_hours,
       quantile_cont(v.dwell_seconds, 0.9) / 3600 as dwell_p90_hours,
       any_value(w.wait_median_hours) as wait_median_hours, any_value(w.wait_p90_hours) as wait_p90_hours,
       {sums}, any_value(m.channel_mix) as channel_mix,
       coalesce(count(*) filter (v.is_last and v.status = 'abandoned')
         / nullif(count(*) filter (v.status <> 'open'), 0), 0)
         as drop_off_share
from {cube_visits} v
left join (select journey_type, persona, month, from_phase, median(hours) as wait_median_hours,
                  quantile_cont(hours, 0.9) as wait_p90_hours, {totals}
           from {cube_waits} where not is_open group by journey_type, persona, month, from_phase) w
  on w.journey_type = v.journey_type and w.persona is not distinct from v.persona
  and w.month is not distinct from v.month and w.from_phase = v.phase
join mixes m on m.journey_type = v.journey_type and m.phase = v.phase
group by v.journey_type, v.persona, v.month, v.phase
having count(distinct v.person_id) >= {smallest}
"""

_BOTTLENECKS = """
select journey_type, persona, month, '{level}' as level, from_{step} as from_step, to_{step} as to_step,
       coalesce(month = '2026-06', false) as is_provisional, count(distinct journey_id) as journeys,
       count(distinct person_id) as persons, count(*) filter (not is_open) as waits,
       median(hours) filter (not is_open) as wait_median_hours,
       quantile_cont(hours, 0.9) filter (not is_open) as wait_p90_hours,
       coalesce(sum(hours) filter (not is_open), 0) as wait_total_hours, {totals},
       coalesce(sum(organisation + partner)
         / sum(sum(organisation + partner)) over (partition by journey_type, persona, month), 0) as blame_share,
       count(*) filter (is_open) as open_waits, coalesce(sum(hours) filter (is_open), 0) as open_wait_total_hours
from {cube_waits} group by journey_type, persona, month, from_{step}, to_{step}
qualify count(distinct person_id) >= {smallest}
"""

TURNS = ("organisation", "partner", "customer", "nobody", "undetermined")
CAUSES = ("working", "closed", "handover", "queueing", "unexplained")


def add_marts(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """The tables with `journey_map` and `bottlenecks` filled from them."""
    connection = duckdb.connect()
    for name, table in tables.items():
        connection.register(name, table)
    per_turn = ", ".join(f"coalesce(sum(w.seconds) filter (w.turn = '{t}'), 0) / 3600 as {t}" for t in TURNS)
    per_cause = ", ".join(f"coalesce(sum(w.seconds) filter (w.cause = '{c}'), 0) / 3600 as {c}" for c in CAUSES)
    connection.execute(_PREPARE.format(turns=per_turn, causes=per_cause))
    filled = dict(tables)
    for name, queries in _queries().items():
        found = connection.sql(" union all ".join(f"({query})" for query in queries)).to_arrow_table()
        schema = TABLES[name].schema
        filled[name] = pa.table([found[field.name].cast(field.type) for field in schema], schema=schema)
    return filled


def _cube(table: str) -> str:
    return (
        f"(select * replace (case when p then persona end as persona, case when m then month end as month) from {table}"
        " cross join (values (true), (false)) ps(p) cross join (values (true), (false)) ms(m)"
        " where (not p or persona is not null))"
    )


def _queries() -> dict[str, list[str]]:
    totals = ", ".join(
        [f"coalesce(sum({t}), 0) as {t}_wait_hours" for t in TURNS]
        + [f"coalesce(sum({c}), 0) as {c}_hours" for c in CAUSES]
        + ["coalesce(sum(partner), 0) as partner_cause_hours"]
    )
    sums = ", ".join(f"coalesce(any_value(w.{t}_wait_hours), 0) as {t}_wait_hours" for t in TURNS)
    shared = {
        "cube_visits": _cube("visits_of"),
        "cube_waits": _cube("waits_of"),
        "smallest": SMALLEST,
        "totals": totals,
    }
    levels = (("phase", "phase"), ("touchpoint", "activity"))
    return {
        "journey_map": [_MAP.format(sums=sums, **shared)],
        "bottlenecks": [_BOTTLENECKS.format(level=level, step=step, **shared) for level, step in levels],
    }

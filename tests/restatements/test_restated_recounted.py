"""Random nights: what the table says against a recount in plain Python, and against its own law."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from tempfile import TemporaryDirectory
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recount import ORDER, recount
from restated_world import World, at, restatements, row

ACTIVITIES = ("looked", "asked", "ordered", "delivered", "complained", "checked")
MOMENTS = st.integers(0, 44 * 24).map(lambda hours: datetime(2026, 2, 17) + timedelta(hours=hours))


@st.composite
def shop_rows(draw: st.DrawFn) -> tuple[str, ...]:
    """An event, new or another version of one, of one of four customers, or of an address that may be theirs."""
    number = draw(st.integers(1, 4))
    who = draw(st.sampled_from(["customer", "customer", "mail", "both"]))
    case = draw(st.sampled_from(["", "", f"O{number}", f"P{number}"]))
    id_, version, moment, activity, customer, email, _ = row(
        f"e{draw(st.integers(1, 60))}",
        f"{draw(MOMENTS)}",
        draw(st.sampled_from(ACTIVITIES)),
        number,
        f"m{number}@home.example" if who != "customer" else "",
        version=draw(st.integers(1, 3)),
    )
    return (id_, version, moment, activity, "" if who == "mail" else customer, email, case)


NIGHTS = st.lists(
    st.fixed_dictionaries(
        {
            "shop": st.lists(shop_rows(), min_size=1, max_size=8),
            "clients": st.lists(
                st.builds(
                    lambda number, knows, segment: (f"K{number}", f"m{number}@home.example" if knows else "", segment),
                    st.integers(1, 4),
                    st.booleans(),
                    st.sampled_from(["", "young", "old"]),
                ),
                max_size=2,
            ),
            "days": st.sampled_from([1, 1, 12]),
            "forget": st.sampled_from(["", "", "", "K1", "K2"]),
            "move": st.sampled_from(["", "", "", "asked", "complained"]),
        }
    ),
    min_size=2,
    max_size=2,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(first=st.lists(shop_rows(), min_size=15, max_size=40), nights=NIGHTS, limit=st.sampled_from([1, 2]))
def test_every_night_tells_what_plain_python_counts(
    first: Sequence[tuple[str, ...]], nights: list[dict[str, Any]], limit: int
) -> None:
    with TemporaryDirectory() as folder:
        world, as_of = World(Path(folder), suppress_below=limit), at(2)
        before = world.night(as_of, first)
        for night in nights:
            as_of += timedelta(days=night["days"])
            if night["forget"]:
                forget_if_known(world, night["forget"], as_of)
            rules = move(world, night["move"])
            after = world.night(as_of, night["shop"], night["clients"])
            told = by_figure(restatements(after, as_of))
            assert told == recount(before, after, zone=world.timezone, limit=limit, rules=rules)
            for found in told.values():
                assert found["new"] is None or sum(found[name] for name in ORDER) == found["change"]
            before = after


def forget_if_known(world: World, customer: str, now: datetime) -> None:
    from klantspoor.errors import NotFoundError

    try:
        world.forget(customer, now)
    except NotFoundError:
        return


def move(world: World, activity: str) -> bool:
    """Puts the activity into another phase; gives whether that changed anything."""
    phases = world.journeys["buying"]["phases"]
    if not activity:
        return False
    for phase in phases:
        if activity in phase["activities"] and len(phase["activities"]) > 1:
            phase["activities"] = [one for one in phase["activities"] if one != activity]
            phases[1]["activities"] = [*phases[1]["activities"], activity]
            return True
    return False


def by_figure(rows: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    place = ("mart", "month", "level", "phase", "from_step", "to_step", "journey_type", "persona")
    told = ("before", "after", "change", "persons_changed", *ORDER)
    return {(tuple(found[name] for name in place), found["figure"]): {name: found[name] for name in told} for found in rows}

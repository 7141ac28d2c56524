"""Random nights: what the table says against a recount in plain Python, and against its own law."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from recount import ORDER, recount
from restated_world import World, at, order, restatements, row

from klantspoor.errors import NotFoundError

ACTIVITIES = ("looked", "asked", "ordered", "delivered", "complained", "checked")
Found = dict[str, Any]
AS_IT_WAS = [
    *(line for number in range(1, 6) for line in order(number, email=f"m{number}@home.example" if number < 3 else "")),
    *(row(f"open{number}", f"2026-03-{10 + 4 * number} 12:00:00", "looked", number) for number in range(1, 4)),
    row("asked6", "2026-03-15 12:00:00", "asked", 6),
]
"""Five whole orders, three who looked once more, one who asked: what March is before a night changes it."""


@st.composite
def shop_rows(draw: st.DrawFn) -> tuple[str, ...]:
    """An event of March, or another version of one, of one of six customers or of an address that may be theirs."""
    number = draw(st.integers(1, 6))
    who = draw(st.sampled_from(["customer", "customer", "mail", "both"]))
    # Some are of the last evening: the first night did not know of it yet.
    hours = draw(st.one_of(st.integers(0, 30 * 24), st.integers(30 * 24 + 20, 30 * 24 + 23)))
    fresh = [f"e{event}" for event in range(1, 20)]
    known = [line[0] for line in AS_IT_WAS]
    return (
        draw(st.sampled_from(fresh + known)),
        str(draw(st.integers(1, 3))),
        str(datetime(2026, 3, 1, 1) + timedelta(hours=hours)),
        draw(st.sampled_from(ACTIVITIES)),
        "" if who == "mail" else f"K{number}",
        f"m{number}@home.example" if who != "customer" else "",
        draw(st.sampled_from(["", f"O{number}", f"P{number}"])),
    )


CLIENTS = st.builds(
    lambda number, knows, segment: (f"K{number}", f"m{number}@home.example" if knows else "", segment),
    st.integers(1, 6),
    st.booleans(),
    st.sampled_from(["", "young", "old"]),
)
NIGHT = st.fixed_dictionaries(
    {
        "shop": st.lists(shop_rows(), max_size=4),
        "clients": st.lists(CLIENTS, max_size=2),
        "days": st.sampled_from([1, 1, 12]),
        "forget": st.sampled_from(["", "", "K1", "K2"]),
        "move": st.sampled_from(["", "", "", "asked", "complained"]),
    }
)


def follow(first: Sequence[tuple[str, ...]], nights: list[Found], limit: int) -> None:
    """Has the nights, and counts each again."""
    with TemporaryDirectory() as folder:
        world, as_of = World(Path(folder), suppress_below=limit), at(1)
        before = world.night(as_of, [*AS_IT_WAS, *first], judged=False)
        for night in nights:
            as_of += timedelta(days=night["days"])
            with suppress(NotFoundError):  # nobody has the number, or not any more
                world.forget(night["forget"], as_of)
            rules = move(world, night["move"])
            after = world.night(as_of, night["shop"], night["clients"], judged=False)
            told = by_figure(restatements(after, as_of))
            assert told == recount(before, after, zone=world.timezone, limit=limit, rules=rules)
            for found in told.values():
                event(", ".join(cause for cause in ORDER if found[cause]) or "no split")
                assert found["new"] is None or sum(found[name] for name in ORDER) == found["change"]
            before = after


def move(world: World, activity: str) -> bool:
    """Puts the activity into another phase; gives whether that changed anything."""
    looking, ordering, using = (phase["activities"] for phase in world.journeys["buying"]["phases"])
    for phase in (looking, using):
        if activity in phase:
            phase.remove(activity)
            ordering.append(activity)
            return True
    return False


def by_figure(rows: list[Found]) -> dict[Any, Found]:
    place = ("mart", "month", "level", "phase", "from_step", "to_step", "journey_type", "persona")
    told = ("before", "after", "change", "persons_changed", *ORDER)
    return {
        (tuple(found[name] for name in place), found["figure"]): {name: found[name] for name in told} for found in rows
    }


CHECKED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
GIVEN = {"first": st.lists(shop_rows(), max_size=12), "limit": st.sampled_from([1, 2, 3])}


@settings(max_examples=6, **CHECKED)
@given(nights=st.lists(NIGHT, min_size=2, max_size=2), **GIVEN)
def test_every_night_tells_what_plain_python_counts(
    first: Sequence[tuple[str, ...]], nights: list[Found], limit: int
) -> None:
    follow(first, nights, limit)


@pytest.mark.soak
@settings(max_examples=300, **CHECKED)
@given(nights=st.lists(NIGHT, min_size=1, max_size=4), **GIVEN)
def test_many_nights_tell_what_plain_python_counts(
    first: Sequence[tuple[str, ...]], nights: list[Found], limit: int
) -> None:
    follow(first, nights, limit)

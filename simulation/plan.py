"""Which journeys are made, by whom, for which account, and when: base journeys, companions, repeats, storms.

Belongs here: the choice of journeys and the running of their stories. What happens within a journey belongs to
`journeys/`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from simulation.clock import DAY, HOUR
from simulation.journeys import TELL
from simulation.log import JourneyRow, World
from simulation.people import Account, Person
from simulation.story import PeriodOverError, Story

JOURNEYS_PER_YEAR = 0.9
COMPANION_SHARE = 0.13
REPEAT_SHARE = 0.1
EARLY_REPEAT_SHARE = 0.03  # R5: the next of the same kind begins before this one ends
STORM_SHARE = 0.012
_KINDS = ("moving", "joining", "outage", "billing")
_WEIGHTS = (0.24, 0.12, 0.28, 0.36)
_COMPANION = {"moving": "billing", "joining": "billing", "outage": "billing", "billing": "outage"}


class Wish(NamedTuple):
    """A journey somebody is going to make."""

    t: int
    kind: str
    person: Person
    account: Account
    repeat: bool = False


@dataclass
class _Diary:
    """What one person has been through: per account and kind the last end and the number of journeys."""

    ends: dict[tuple[str, str], int] = field(default_factory=dict)
    cycles: dict[tuple[str, str], int] = field(default_factory=dict)


def live(world: World) -> None:
    """Let everybody make their journeys, person by person."""
    storms = storm_moments(world)
    for person in world.people.persons:
        _live_person(world, person, _wishes(world, person, storms))


def storm_moments(world: World) -> list[int]:
    """Nights of storm, on which many notice an outage at once: among them those in which the clock changes."""
    clock = world.clock
    fixed = [clock.start + int(share * (clock.end - clock.start)) for share in (0.18, 0.55, 0.86)]
    return [t for t in fixed if clock.days >= 20] + [switch - 2 * HOUR for switch in clock.switches]


def _wishes(world: World, person: Person, storms: list[int]) -> list[Wish]:
    rng, clock = world.rng, world.clock
    last = clock.end - DAY
    wishes: list[Wish] = []
    if person.prospect:
        return [Wish(rng.randrange(clock.start, last), "joining", person, person.accounts[0])]
    rate = JOURNEYS_PER_YEAR * clock.days / 365
    t = clock.start + int(rng.expovariate(rate) * clock.days * DAY)
    while t < last:
        kind = rng.choices(_KINDS, _WEIGHTS)[0]
        wishes.append(Wish(t, kind, person, rng.choice(person.accounts)))
        t += int(rng.expovariate(rate) * clock.days * DAY)
    struck = max(STORM_SHARE, min(0.3, 15 / len(world.people.persons)))  # some, in a small world too
    for storm in storms:
        if rng.random() < struck:
            wishes.append(Wish(storm + rng.randrange(3 * HOUR), "outage", person, person.accounts[0]))
    return wishes


def _companion(world: World, row: JourneyRow) -> Wish | None:
    """A second journey that begins during this one: a question about the bill, or the same on the other account."""
    rng = world.rng
    end = row.ended or world.clock.end
    if end - row.started < 2 * HOUR or rng.random() >= COMPANION_SHARE:
        return None
    t = row.started + int(rng.uniform(0.1, 0.7) * (end - row.started))
    account, kind = row.account, _COMPANION[row.kind]
    others = [other for other in row.person.accounts if other is not account]
    if others and rng.random() < 0.6:
        account = others[0]
        kind = row.kind if rng.random() < 0.4 else kind
    if account.active_from is None or account.active_from > t:
        return None
    return Wish(t, kind, row.person, account)


def _next_cycle(world: World, row: JourneyRow) -> Wish | None:
    """The same kind again, later, or (seldom) already before this one has ended."""
    rng = world.rng
    chance = rng.random()
    if row.ended and row.account.active_from is not None:
        if chance < EARLY_REPEAT_SHARE and row.ended - row.started > 5 * DAY:
            t = row.started + int(rng.uniform(0.6, 0.9) * (row.ended - row.started))
            return Wish(max(t, row.account.active_from), row.kind, row.person, row.account, repeat=True)
        if chance < EARLY_REPEAT_SHARE + REPEAT_SHARE:
            t = row.ended + int(rng.uniform(4, 60) * DAY)
            return Wish(t, row.kind, row.person, row.account, repeat=True)
    return None


def _live_person(world: World, person: Person, wishes: list[Wish]) -> None:
    """Make the journeys in the order in which they begin; each can lead to another."""
    diary = _Diary()
    queue = sorted(wishes, key=lambda wish: wish.t)
    depth = 0
    while queue and depth < 12:
        wish = queue.pop(0)
        depth += 1
        row = _make(world, wish, diary)
        if row is None:
            continue
        for extra in (_companion(world, row), _next_cycle(world, row)):
            if extra is not None and extra.t < world.clock.end - DAY:
                queue.append(extra)
        if person.prospect and row.kind == "joining" and row.account.active_from is not None:
            queue.extend(_life_as_customer(world, row))
        queue.sort(key=lambda item: item.t)


def _life_as_customer(world: World, row: JourneyRow) -> list[Wish]:
    """Somebody who has just become a customer can have a question or an outage like everybody else."""
    rng, begin = world.rng, row.account.active_from or world.clock.end
    t = begin + int(rng.uniform(10, 150) * DAY)
    if row.cycle > 1 or t >= world.clock.end - DAY or rng.random() > 0.35:
        return []
    return [Wish(t, rng.choice(("outage", "billing", "moving")), row.person, row.account)]


def _make(world: World, wish: Wish, diary: _Diary) -> JourneyRow | None:
    """Tell the story of one wish; the same kind for the same account waits until the earlier one is over."""
    key = (wish.account.customer, wish.kind)
    t = wish.t if wish.repeat else max(wish.t, diary.ends.get(key, 0))
    if t >= world.clock.end - HOUR:
        return None
    cycle = diary.cycles.get(key, 0) + 1
    name = f"J{len(world.log.journeys) + 1:07d}"
    story = Story(world, wish.person, wish.account, kind=wish.kind, key=name, t=t)
    open_ = False
    try:
        TELL[wish.kind](story)
    except PeriodOverError:
        open_ = True
    row = story.finish(cycle, open_=open_)
    if row is not None:
        diary.cycles[key] = cycle
        diary.ends[key] = max(diary.ends.get(key, 0), (row.ended or world.clock.end) + 3 * DAY)
    return row

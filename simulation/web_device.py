"""Which device and which telephone somebody uses this time.

Belongs here: the choice among what a person (or their household) has, noted for the truth.
"""

from __future__ import annotations

from simulation.log import World
from simulation.people import Person, cookie

WITHHELD = "anonymous"


def choose(world: World, person: Person) -> int:
    """The device for a visit: the household's tablet nearly half of the time, where there is one."""
    if person.tablet >= 0 and world.rng.random() < 0.45:
        return person.tablet
    return person.devices[0] if world.rng.random() < 0.65 else person.devices[-1]


def cookie_of(world: World, person: Person, device: int, t: int) -> str:
    """The cookie on that device, remembered as used by this person."""
    value = cookie(world.seed, device, t)
    world.cookies.add((value, person.index))
    return value


def calling_from(world: World, person: Person) -> str:
    """The number a call comes from: mostly the registered one, now and then another, a housemate's, or withheld."""
    chance = world.rng.random()
    if chance < 0.03:
        return WITHHELD
    number = person.phone
    if chance < 0.08:
        number = person.other_phone
    elif chance < 0.11:
        number = world.rng.choice(world.people.households[person.household]).phone
    world.called_from.add((number, person.index))
    return number

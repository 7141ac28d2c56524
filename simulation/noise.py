"""What happens outside any journey: somebody looks at the usage, reads the news, dials wrong, gets a newsletter.

Belongs here: events that belong to no journey. Faults of the systems (duplicates, late rows) belong to `mess.py`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulation import web_device
from simulation.clock import CALL_CENTRE, DAY
from simulation.log import CallRow, CrmRow, WebRow, World
from simulation.people import Person

VISITS_PER_YEAR = 3.5
CALLS_PER_YEAR = 0.18
NEWSLETTER_SHARE = 0.25
_LOGGED_IN = (
    ("Dashboard Viewed", "Usage Viewed"),
    ("Dashboard Viewed", "Usage Viewed"),
    ("Dashboard Viewed",),
    ("Dashboard Viewed", "Invoice Viewed"),
    ("Usage Viewed", "Meter Reading Submitted"),
)
_ANONYMOUS = (
    ("Landing Page Viewed", "News Article Viewed"),
    ("News Article Viewed",),
    ("Landing Page Viewed",),
    ("Landing Page Viewed", "FAQ Viewed"),
    ("Site Searched", "FAQ Viewed"),
    ("Outage Map Viewed",),
    ("Tariffs Viewed",),
)
_SMALL_CALLS = ("tarief vraag", "correspondentie", "verkeerd verbonden", "overig")


def make_noise(world: World) -> None:
    """Add all of it to the log."""
    generator = np.random.default_rng([world.seed, 7])
    people = world.people.persons
    for t, who in _draw(world, generator, VISITS_PER_YEAR):
        _visit(world, people[who], world.clock.next_waking(t))
    for t, who in _draw(world, generator, CALLS_PER_YEAR):
        _call(world, people[who], world.clock.next_open(t, CALL_CENTRE))
    _newsletters(world, generator)


def _draw(world: World, generator: np.random.Generator, per_year: float) -> list[tuple[int, int]]:
    """Moments, spread evenly, each with the number of a person."""
    people, clock = len(world.people.persons), world.clock
    count = int(generator.poisson(per_year * clock.days / 365 * people))
    moments = np.sort(generator.integers(clock.start, clock.end, count))
    who: npt.NDArray[np.int64] = generator.integers(0, people, count)
    return list(zip(moments.tolist(), who.tolist(), strict=True))


def _visit(world: World, person: Person, t: int) -> None:
    rng = world.rng
    active = person.accounts[0].active_from
    login = active is not None and active <= t and rng.random() < 0.6
    pages = ("Logged In", *rng.choice(_LOGGED_IN)) if login else rng.choice(_ANONYMOUS)
    cookie = web_device.cookie_of(world, person, web_device.choose(world, person), t)
    account = rng.choice(person.accounts) if login and rng.random() < 0.8 else None
    user = person.login if login else ""
    for name in pages:
        moment = t * 1000 + rng.randrange(1000)
        world.log.web.append(WebRow(moment, person, None, None, name, cookie, user, account, "", "", 0))
        t += 4 + int(rng.expovariate(1 / 55))


def _call(world: World, person: Person, t: int) -> None:
    rng = world.rng
    account = rng.choice(person.accounts)
    known = account.active_from is not None and account.active_from <= t and rng.random() < 0.5
    row = CallRow(
        t=t,
        t_end=t + int(rng.uniform(20, 400)),
        person=person,
        journey=None,
        phase=None,
        queue="Klantenservice",
        reason=rng.choice(_SMALL_CALLS),
        account=account if known else None,
        case="",
        phone=web_device.calling_from(world, person),
        agent=rng.randint(1, 60),
        outbound=False,
        since=0,
    )
    if t < world.clock.end:
        world.log.calls.append(row)


def _newsletters(world: World, generator: np.random.Generator) -> None:
    """A mailing on every thirtieth day, to a quarter of the customers."""
    clock = world.clock
    for t in range(clock.start + 9 * DAY // 24 + 4 * DAY, clock.end, 30 * DAY):
        chosen = generator.random(len(world.people.persons)) < NEWSLETTER_SHARE
        for who in np.flatnonzero(chosen).tolist():
            person = world.people.persons[who]
            account = person.accounts[0]
            if account.active_from is None or account.active_from > t:
                continue
            text = "Nieuwsbrief verzonden"
            moment = t + who * 7 % 3600
            world.log.crm.append(
                CrmRow(moment, 0, person, None, None, False, "", "Marketing", account, text, "Marketing", 0, "systeem")
            )

"""Events at a constant daily volume, as numbers: what happened, whose it was, and in which night it was delivered.

Drawn from `bench.story` in blocks of persons, and within a block year by year, counted back from the last day. What is
chosen for an event is worked out from its number alone. So the last year, and the night after it, are the same whether
one year lies behind them or two. Written down as a ledger by `bench.delivered`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bench.generate import all_kinds, draw
from bench.story import STORIES
from klantspoor.journeys.segments import mix

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

DAY = 86_400_000_000
YEAR = 365
LAST = round(datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1_000_000) // DAY - 1
"""The last day that the full run knows, in days since 1970; the night to measure brings the next one."""
NIGHT = LAST + 1
KINDS = all_kinds()
SOURCE = np.array([row[0] for row in KINDS.rows])
WEB, CRM, PHONE = (np.equal(SOURCE, name) for name in ("web", "crm", "phone"))
"""Which kinds (by number) are of the source."""
A_YEAR = sum(story.per_person * sum(step.share for step in story.steps) for story in STORIES)
"""Events of a person in a year, on average."""

LATE, DUPLICATED, CORRECTED = 0.0217, 0.01, 0.005
"""Shares of events. Late: of all but the first sight of a cookie, so that it is 2 % of all."""
FEWEST_HOURS, TAIL, MOST_DAYS = 4.0, 0.5, 360.0
"""What comes late comes a night late, and by a Pareto law later still: x_min, α, and where it is cut off."""
MERGING = 0.00078
"""Share of the crm's events that name a second customer: so many that they are 0.1 % of a day's persons."""
WALKS = 7
"""Walks of life: of two numbers of one customer the same is known, so that nobody's persona changes from night to night."""
_PERSONS_A_BLOCK = 20_000
_SEED = 20230101
_LIFE, _FORGETS = 182 * DAY, 180 * DAY
_HALF_HOUR = 1_800_000_000
ORIGINAL, DUPLICATE, CORRECTION = 0, 1, 2


@dataclass(frozen=True, slots=True)
class World:
    """What is made: persons 0, 1, … of whom events come on every day from `first` to `LAST`, days since 1970."""

    persons: int
    first: int

    @staticmethod
    def of(events_a_year: int, years: int) -> World:
        """The world with so many events a year, after so many years."""
        return World(max(round(events_a_year / A_YEAR), 2), LAST + 1 - years * YEAR)


def chance(event: Words, purpose: int) -> npt.NDArray[np.float64]:
    """(n) A number in [0, 1) for each event, of its number and the purpose alone."""
    return (word(event, purpose) >> np.uint64(11)) * 2.0**-53


def word(event: Words, purpose: int) -> Words:
    """(n) A random-looking word for each event, of its number and the purpose alone."""
    return mix(mix(event ^ np.uint64(purpose * 0x9E3779B97F4A7C15 % 2**64)) + np.uint64(purpose))


def blocks(world: World) -> Iterator[pa.Table]:
    """Every row that is delivered up to the night to measure, a block of persons at a time, in no order.

    Columns, n rows: `event` uint64 (its number), `person` int64, `kind` int32, `at`, `until` int64 (µs since 1970 UTC),
    `tie_order` int64, `story` int8, `case` uint64 (0: none), `account` uint64 (0: none), `copy` int8, `night` int32 (the day
    that brings it, since 1970), `one`, `two` uint64: the identifiers of the row (0: none), see `bench.delivered`.
    """
    for block in range(-(-world.persons // _PERSONS_A_BLOCK)):
        rows = _events(world, block)
        _identifiers(rows, world)
        rows = _delivered(rows)
        rows = _where(rows, (rows["at"] >= world.first * DAY) & (rows["night"] <= NIGHT))
        yield pa.table(rows)


Rows = dict[str, npt.NDArray[np.generic]]


def _where(rows: Rows, keep: Flags | Ints) -> Rows:
    return {name: values[keep] for name, values in rows.items()}


def _joined(parts: list[Rows]) -> Rows:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _events(world: World, block: int) -> Rows:
    """The events of a block of persons, with a year before the first day, so that no journey begins out of nothing."""
    first = block * _PERSONS_A_BLOCK
    years = (NIGHT - world.first) // YEAR
    spans = [(NIGHT, 1), *((NIGHT - back * YEAR, YEAR) for back in range(1, years + 2))]
    parts = []
    for number, (begin, days) in enumerate(spans):
        for story in range(len(STORIES)):
            rng = np.random.default_rng([_SEED, block, number, story])
            parts.append(_journeys(rng, story, begin * DAY, days, (number << 58) | (block << 40) | (story << 38)))
    rows = _joined(parts)
    rows["person"] += first
    return _where(rows, (rows["person"] < world.persons) & (rows["at"] < (NIGHT + 1) * DAY))


def _journeys(rng: np.random.Generator, place: int, begin: int, days: int, number: int) -> Rows:
    story = STORIES[place]
    drawn = draw(rng, story, _PERSONS_A_BLOCK, story.per_person * days / YEAR, begin, begin + days * DAY)
    row, step = np.nonzero(drawn.happens)
    event = np.uint64(number) + (row * 64 + step).astype(np.uint64)
    journey = mix(np.uint64(number) + (row * 64 + 63).astype(np.uint64))
    kind = KINDS.of_step[place][step]
    person = drawn.index[row]
    from_crm = CRM[kind]
    at = drawn.at[drawn.happens]
    # A quarter of the other events name the case too; one person in six has a second account.
    keyed = (from_crm | (chance(event, 1) < 0.25)) & (story.case_key is not None)
    second = (mix(person.astype(np.uint64)) % np.uint64(6) == 0) & (journey % np.uint64(2) == 1)
    account = mix(person.astype(np.uint64) * np.uint64(2) + second + np.uint64(2**40)) | np.uint64(1)
    return {
        "event": event,
        "person": person,
        "kind": kind,
        "at": at,
        "until": at + drawn.lasts[drawn.happens],
        "tie_order": np.where(from_crm, step + 1, 0).astype(np.int64),
        "story": np.full(len(row), place, np.int8),
        "case": np.where(keyed, journey | np.uint64(1), np.uint64(0)),
        "account": np.where(from_crm | (chance(event, 2) < 0.2), account, np.uint64(0)),
    }


CUSTOMER, TELEPHONE, COOKIE = range(3)
TYPES = ("customer", "telephone", "cookie")


def identifier(number: npt.NDArray[np.generic], kind: int) -> Words:
    """(n) Identifiers as words: a number times 4, and 1 more than the place of the type among `TYPES`."""
    return number.astype(np.uint64) * np.uint64(4) + np.uint64(kind + 1)


def _identifiers(rows: Rows, world: World) -> None:
    """Adds `one` and `two`, and whether the row is the `first_sight` of its cookie.

    The crm names customer and telephone, but for the few rows that name a second customer instead: a contract that was
    taken over, a number given twice. Surveys name the customer. Half of the visits are logged in and name the customer
    beside the cookie; a cookie lives half a year, and the first visit with it is always logged in. One visit in twenty
    has a cookie that never comes again, one in fifty none. Calls have the telephone, one in fifty none; half of them
    name the customer too, and all of those by whom nothing was heard of for half a year. So no night brings two persons
    together unless a row with two customers does.
    """
    event, kind, at = (rows[name] for name in ("event", "kind", "at"))
    person = rows["person"].astype(np.int64)
    is_web, is_call = WEB[kind], PHONE[kind]
    visit = mix(person.astype(np.uint64) * np.uint64(1 << 24) + (at // _HALF_HOUR).astype(np.uint64))
    device = person * 2 + (visit % np.uint64(2) * (mix(person.astype(np.uint64)) % np.uint64(2))).astype(np.int64)
    life = (at + (mix(device.astype(np.uint64)) % np.uint64(_LIFE)).astype(np.int64)) // _LIFE
    kept = identifier(device * 1024 + life, COOKIE)
    fleeting = identifier((visit >> np.uint64(4)) | np.uint64(1 << 60), COOKIE)
    says = visit % np.uint64(100)
    cookie = np.where(says < 2, np.uint64(0), np.where(says < 7, fleeting, kept))
    stays = is_web & (says >= 7)
    first = np.zeros(len(event), np.bool_)
    first[_firsts(np.flatnonzero(stays), cookie, at, None)] = True
    rows["first_sight"] = first
    heard = CRM[kind] | is_call
    unheard = np.zeros(len(event), np.bool_)
    unheard[_firsts(np.flatnonzero(heard), person.astype(np.uint64), at, _FORGETS)] = True
    half = chance(event, 3) < 0.5
    logged_in = stays & (first | (visit // np.uint64(100) % np.uint64(2) == 0))
    withheld = is_call & (chance(event, 4) < 0.02)
    telephone = identifier(person, TELEPHONE)
    named = np.where(is_web, logged_in, ~is_call | unheard | (half & ~withheld))
    alike = np.uint64(max(world.persons // WALKS, 1))
    other = (word(event, 5) % alike).astype(np.int64) * WALKS + person % WALKS
    merging = CRM[kind] & (chance(event, 6) < MERGING) & (other != person)
    rows["one"] = np.where(named, identifier(person, CUSTOMER), np.uint64(0))
    beside = np.where(is_web, cookie, np.where(CRM[kind] | (is_call & ~withheld), telephone, np.uint64(0)))
    rows["two"] = np.where(merging, identifier(other, CUSTOMER), beside)


def _firsts(rows: Ints, group: Words, at: Ints, quiet: int | None) -> Ints:
    """Of `rows` the first of each group in time, and with `quiet` (µs) those after which it was quiet for longer."""
    order = rows[np.lexsort((at[rows], group[rows]))]
    opens = np.ones(len(order), np.bool_)
    opens[1:] = group[order[1:]] != group[order[:-1]]
    if quiet is not None:
        opens[1:] |= at[order[1:]] - at[order[:-1]] > quiet
    return order[opens]


def _delivered(rows: Rows) -> Rows:
    """With `copy` and `night`: the originals, those that are delivered again, and those that are put right later."""
    event = rows["event"]
    late = (chance(event, 7) < LATE) & ~rows.pop("first_sight")
    night = rows["at"] // DAY
    rows["night"] = np.where(late, night + 1 + _delay(event, 8), night).astype(np.int32)
    rows["copy"] = np.full(len(event), ORIGINAL, np.int8)
    again = _where(rows, chance(event, 9) < DUPLICATED)
    later = chance(again["event"], 10) < 0.5
    again["night"] = again["night"] + np.where(later, 1 + _delay(again["event"], 11), 0).astype(np.int32)
    again["copy"] = np.full(len(again["event"]), DUPLICATE, np.int8)
    right = _where(rows, chance(event, 12) < CORRECTED)
    right["night"] = right["night"] + (1 + _delay(right["event"], 13)).astype(np.int32)
    right["copy"] = np.full(len(right["event"]), CORRECTION, np.int8)
    # One correction in three moves the event, by up to two hours; all of them change its outcome and its end.
    moves = chance(right["event"], 14) < 1 / 3
    by = np.where(moves, (chance(right["event"], 15) * 120).astype(np.int64) * 60_000_000, 0)
    right["at"] = right["at"] - by
    return _joined([rows, again, right])


def _delay(event: Words, purpose: int) -> Ints:
    """(n) Whole days by the Pareto law, cut off at `MOST_DAYS`."""
    least = FEWEST_HOURS / 24
    cut = 1 - (least / MOST_DAYS) ** TAIL
    return np.floor(least * (1 - chance(event, purpose) * cut) ** (-1 / TAIL)).astype(np.int64)

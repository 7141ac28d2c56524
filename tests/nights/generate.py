"""Histories by dice, as awkward as can be told from the rules: everything happens where something changes. No test.

Few persons, identifiers, keys, accounts and topics, so that conflicts are the rule; and times that lie a gap, a patience or
a contact's gap from each other, or one microsecond more or less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Protocol, TypeVar

from tests.nights.config import ACTIVITIES, GAPS, KNOBS, MADE_OF, SOURCES
from tests.nights.history import (
    DAY,
    HOUR,
    IDENTIFIERS,
    MINUTE,
    Again,
    Configure,
    Decide,
    Forget,
    History,
    Land,
    Linkage,
    Lose,
    Moment,
    Named,
    Night,
    ReadAgain,
    RollBack,
    Row,
    Sizes,
    Step,
)
from tests.nights.world import FAILURES

T = TypeVar("T")
FUTURE = 30 * DAY
"""No row lies further ahead of the night than this: what lies too far ahead is quarantined."""
_SMALL = (MINUTE, 20 * MINUTE, 90 * MINUTE, 5 * HOUR)
_EDGES = (-1, 0, 0, 1)
_AHEAD = (HOUR, DAY, DAY, DAY, 4 * DAY, 31 * DAY, 100 * DAY, 410 * DAY)
_INITIATORS = ("", "customer", "customer", "organisation", "system", "partner")
_CHANNELS = ("", "", "phone", "site")
_TEAMS = ("", "north", "south")
_ORDERS, _CLAIMS = ("", "", "O1", "O2", "O3"), ("", "", "", "C1", "C2")
_CONTRACTS, _TOPICS = ("", "", "", "A", "B"), ("", "t", "t", "u")
_PERSONAS = ("silver", "gold")
_KNOWN_BY = (
    *[("customer",)] * 4,
    ("customer", "email"),
    ("customer", "phone"),
    ("customer", "tablet"),
    ("customer", "cookie"),
    ("email",),
    ("email", "cookie"),
    ("email", "tablet"),
    ("email", "phone"),
    ("phone",),
    ("phone",),
    ("tablet",),
    ("tablet",),
    ("cookie",),
    ("cookie",),
    (),
)
_SHARED = (("phone",), ("tablet",), ("cookie",), ("customer", "phone"), ("customer", "tablet"), ("email", "cookie"))
_ANONYMOUS = {("phone",), ("tablet",), ("cookie",), ("email",)}


class Pick(Protocol):
    """Picks one of the options: Hypothesis, which shrinks, or a seeded generator, which is even and quick."""

    def __call__(self, options: Sequence[T], /) -> T: ...


@dataclass
class Teller:
    """Tells what happens next; remembers what was told. `now` is the last night's moment."""

    pick: Pick
    persons: int = 2
    now: Moment = 0
    gaps: list[int] = field(default_factory=list)
    kinds: list[tuple[str, str]] = field(default_factory=list)
    known_by: list[tuple[str, ...]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    decisions: list[Decide] = field(default_factory=list)
    landed: int = 0
    numbers: int = 0

    def begin(self) -> list[Step]:
        """Who and what there is in this history, and how the knobs stand at first."""
        pick = self.pick
        self.persons = pick((1, 2, 2, 2, 3, 4))
        self.gaps = list(dict.fromkeys(pick(GAPS) for _ in range(pick((2, 3, 5)))))
        types = dict.fromkeys(pick(tuple(MADE_OF)) for _ in range(pick((1, 2, 2, 3))))
        parts = list(dict.fromkeys(activity for name in types for activity in MADE_OF[name]))
        everything = [(source, name) for source, names in ACTIVITIES.items() for name in names if name in parts]
        self.kinds = list(dict.fromkeys(pick(everything) for _ in range(pick(range(3, 10)))))
        self.known_by = [("customer",), pick(_SHARED), *(pick(_KNOWN_BY) for _ in range(pick((1, 3, 6))))]
        self.now = pick((0, 40 * DAY, 400 * DAY))
        turned = dict.fromkeys(pick(tuple(KNOBS)) for _ in range(pick((0, 0, 1, 2, 3))))
        sizes = Sizes(pick((1, 2, 8192)), pick((1, 2, 24)), pick((0.0, 0.0, 0.2)), pick((2, 4, 24, 24)))
        return [sizes, *(self.configure(knob) for knob in turned)]

    # --- when --------------------------------------------------------------------------------------------------------

    def near(self, *moments: Moment) -> Moment:
        """A moment that lies a telling distance from one of these, or from anything there is."""
        pick = self.pick
        known = moments or tuple(m for row in self.rows for m in (row.at, row.until) if m is not None) or (self.now,)
        far = pick((0, pick(_SMALL), pick(self.gaps), pick(self.gaps)))
        return self.held(pick(known) + pick((-1, 1, 1)) * far + pick(_EDGES))

    def recent(self) -> Moment:
        return self.held(self.now + self.pick((-2 * DAY, -DAY, -HOUR, -10 * MINUTE, 0, 5 * MINUTE, HOUR, DAY)))

    def held(self, moment: Moment) -> Moment:
        return max(min(moment, self.now + FUTURE), -2000 * DAY)

    def night(self, *, quiet: bool = False, whole: bool = False) -> Night:
        """The next night: soon, after a long time, or just when something has become old enough."""
        pick = self.pick
        latest = max((row.at for row in self.rows), default=self.now)
        at = self.now + pick((100 * DAY, 410 * DAY, 600 * DAY) if quiet else _AHEAD)
        if pick(range(3)) == 0:
            edge = pick([latest, *(row.at for row in self.rows)]) + pick(self.gaps) + pick(_EDGES)
            at = edge if edge > self.now else at
        if pick(range(25)) == 0:
            at = self.now - pick((0, HOUR, 30 * DAY))  # the clock goes back
        fails = pick(FAILURES) if not whole and pick(range(6)) == 0 else ""
        self.now = at
        return Night(at, fails, bool(fails) and pick((True, False)))

    # --- rows --------------------------------------------------------------------------------------------------------

    def row(self, at: Moment, kind: tuple[str, str] | None = None, **said: Any) -> Row:
        """A row of one of this history's kinds."""
        pick = self.pick
        source, activity = kind or pick(self.kinds)
        made: dict[str, Any] = {
            "activity": activity,
            "channel": pick(_CHANNELS),
            "initiator": pick(_INITIATORS),
            "topic": pick(_TOPICS),
            "contract": pick(_CONTRACTS),
        }
        if source != "web":
            self.numbers += 1
            made |= {"id": f"i{self.numbers}"}
            made |= {"claim": pick(_CLAIMS), "order": pick(_ORDERS)}
        if source in ("desk", "shop", "work"):
            made |= {"until": pick((None, None, at + pick(self.gaps) + pick(_EDGES)))}
        if source in ("desk", "work"):
            made |= {"team": pick(_TEAMS), "need": pick((*[None] * 5, at - DAY, at + 1)) if source == "desk" else None}
        if source == "shop":
            made |= {"tie": pick((None, None, None, 1, 2))}
        if source == "voice":
            made |= {"score": pick((None, 0, 5, 10))}
        if pick(range(8)) == 0:
            made["persona"] = pick(_PERSONAS)
        made |= said or self.identified()
        if made.get("until") is not None:
            made["until"] = self.held(max(at, made["until"]))
        return Row(source, at, **made)

    def person(self) -> int:
        return self.pick(range(1, self.persons + 1))

    def identified(self, by: tuple[str, ...] | None = None, person: int | None = None) -> dict[str, str]:
        """Identifiers of one person; telephones and tablets are those of two."""
        person = self.person() if person is None else person
        names = {
            "customer": f"K{person}",
            "email": f"m{person}",
            "phone": f"T{(person + 1) // 2}",
            "tablet": "B",
            "cookie": self.pick((f"c{person}", f"c{person}", "c")),
        }
        return {kind: names[kind] for kind in (self.pick(self.known_by) if by is None else by)}

    def old(self, *fields: str) -> Row | None:
        """A row there is already, which has all of these."""
        fitting = [row for row in self.rows if all(getattr(row, name) not in ("", None) for name in fields)]
        return self.pick(fitting) if fitting else None

    def land(self, *rows: Row) -> Land:
        self.rows += rows
        self.landed += len({row.source for row in rows})
        return Land(rows, apart=len(rows) > 1 and self.pick(range(6)) == 0)

    # --- what happens ------------------------------------------------------------------------------------------------

    def new(self) -> Step:
        return self.land(*(self.row(self.recent()) for _ in range(self.pick((1, 3, 5, 8)))))

    def storm(self) -> Step:
        """Much of one person at once, at telling distances."""
        person = self.person()
        rows = []
        for _ in range(self.pick((5, 9, 14))):
            row = self.row(self.near(), **self.identified(person=person))
            rows.append(row)
            self.rows.append(row)
        self.rows = self.rows[: -len(rows)]
        return self.land(*rows)

    def late(self) -> Step:
        return self.land(*(self.row(self.near()) for _ in range(self.pick((1, 1, 2, 4)))))

    def repeated(self) -> Step:
        """Rows that came before, alone, or with one that did not."""
        if not self.rows or self.pick(range(4)) == 0:
            return Again(self.pick(range(max(self.landed, 1))))
        rows = list(dict.fromkeys(self.pick(self.rows) for _ in range(self.pick((1, 2)))))
        if self.pick((True, False)):
            rows.append(self.row(self.near()))
        return self.land(*rows)

    def corrected(self) -> Step:
        """A row of before says something else, is moved, is another's, or is newer in name only."""
        row = self.old("id")
        if row is None:
            return self.new()
        for _ in range(self.pick((1, 1, 2))):
            row = replace(row, **self.pick(self.corrections(row))())
        version = (row.version or 0) + self.pick((1, 1, 1, 0, -1))
        return self.land(replace(row, version=version))

    def corrections(self, row: Row) -> tuple[Callable[[], dict[str, Any]], ...]:
        pick = self.pick
        return (
            lambda: {"at": self.near(row.at)},
            lambda: {"at": self.near()},
            lambda: self.identified(("customer",)),
            lambda: dict.fromkeys(IDENTIFIERS, "") | self.identified(),
            lambda: {"activity": pick(ACTIVITIES.get(row.source, ("",)))},
            lambda: {"order": pick(_ORDERS), "claim": pick(_CLAIMS)},
            lambda: {"contract": pick(_CONTRACTS)},
            lambda: {"topic": pick(_TOPICS)},
            lambda: {"until": pick((None, row.at, row.at + pick(self.gaps)))},
            lambda: {"score": pick((None, 0, 10))},
            lambda: {"team": pick(_TEAMS), "initiator": pick(_INITIATORS)},
            lambda: {"tie": pick((None, 1, 2)), "need": pick((None, row.at - DAY))},
        )

    def merged(self) -> Step:
        """A row with identifiers of two persons."""
        one, other = self.person(), self.person()
        both = self.identified(person=one) | self.identified(person=other)
        by = self.pick((("customer", "email"), ("email", "cookie"), ("customer", "cookie"), ("phone", "customer")))
        both |= self.identified(by[:1], one) | self.identified(by[1:], other)
        if self.pick((True, False)):
            return self.land(Row("clients", self.near(), persona=self.pick(("", *_PERSONAS)), **both))
        return self.land(self.row(self.near(), **both))

    def known_later(self) -> Step:
        """Whoever came without a name, or by what several share, gives one; sometimes years later."""
        anonymous = [row for row in self.rows if tuple(n for n in IDENTIFIERS if getattr(row, n)) in _ANONYMOUS]
        if not anonymous:
            return self.late()
        seen = self.pick(anonymous)
        shared = {name: getattr(seen, name) for name in IDENTIFIERS if getattr(seen, name)}
        whose = self.identified(("customer",)) | shared
        at = self.near(seen.at, self.now)
        if self.pick((True, False)):
            return self.land(Row("clients", at, **whose))
        return self.land(self.row(at, **whose))

    def reopened(self) -> Step:
        """The same case, person or account again, at a telling distance, often long after."""
        row = self.old(self.pick(("order", "claim", "contract", "customer", "activity")))
        if row is None:
            return self.late()
        whose = {name: getattr(row, name) for name in IDENTIFIERS}
        kind = self.pick((None, (row.source, row.activity)))
        made = self.row(self.near(row.at, self.now), kind if row.source in ACTIVITIES else None, **whose)
        keep = self.pick((("order",), ("claim",), ("contract",), ("order", "claim", "contract"), ("topic", "contract")))
        kept = {name: getattr(row, name) for name in keep if made.source != "web" or name == "contract"}
        return self.land(replace(made, **kept))

    def account(self) -> Step:
        """A person of whom no account, or another, was known is seen with one."""
        row = self.old("customer")
        if row is None:
            return self.late()
        made = self.row(self.near(row.at, self.now), customer=row.customer)
        return self.land(replace(made, contract=self.pick(("A", "B"))))

    def answered(self) -> Step:
        row = self.old()
        if row is None:
            return self.new()
        whose = {name: getattr(row, name) for name in IDENTIFIERS}
        made = self.row(self.near(row.at, self.now), ("voice", "rated"), **whose)
        keep = self.pick(((), (), ("order",), ("claim",), ("contract", "topic")))
        made = replace(made, order="", claim="", score=self.pick((0, 5, 10)))
        return self.land(replace(made, **{name: getattr(row, name) for name in keep}))

    def persona(self) -> Step:
        whose = self.identified(self.pick((("customer",), ("email",), ("customer", "email"))))
        return self.land(Row("clients", self.near(self.now, self.now), persona=self.pick(_PERSONAS), **whose))

    def decided(self) -> Step:
        """A steward decides, or takes back what was decided."""
        if self.decisions and self.pick(range(3)) == 0:
            taken_back = self.pick(self.decisions)
            return Decide("withdraw", taken_back.a, taken_back.b)
        verb = self.pick(("force", "force", "forbid", "forbid", "block"))
        a, b = self.name(), self.name()
        if a == b:
            verb = "block"
        made = Decide(verb, a, None if verb == "block" else b)
        self.decisions.append(made)
        return made

    def name(self) -> Named:
        kind = self.pick(("customer", "customer", "email", "email", "phone", "tablet", "cookie"))
        return kind, self.identified((kind,))[kind]

    def linked(self) -> Step:
        pairs = [(self.name(), self.name(), self.pick((5.0, 7.5))) for _ in range(self.pick((0, 1, 2)))]
        return Linkage(tuple(pair for pair in pairs if pair[0] != pair[1]))

    def forgotten(self) -> Step:
        return Forget(self.name())

    def configure(self, knob: str | None = None) -> Configure:
        knob = self.pick(tuple(KNOBS)) if knob is None else knob
        return Configure(knob, self.pick(range(len(KNOBS[knob]) + 1)))

    def rolled_back(self) -> Step:
        return RollBack(self.pick((1, 1, 2, 3)))

    def lost(self) -> Step:
        return Lose()

    def read_again(self) -> Step:
        return ReadAgain(self.pick(SOURCES))


KINDS: dict[str, Callable[[Teller], Step]] = {
    "new": Teller.new,
    "storm": Teller.storm,
    "late": Teller.late,
    "repeated": Teller.repeated,
    "corrected": Teller.corrected,
    "merged": Teller.merged,
    "known later": Teller.known_later,
    "reopened": Teller.reopened,
    "account": Teller.account,
    "answered": Teller.answered,
    "persona": Teller.persona,
    "decided": Teller.decided,
    "linked": Teller.linked,
    "forgotten": Teller.forgotten,
    "configured": Teller.configure,
    "rolled back": Teller.rolled_back,
    "lost": Teller.lost,
    "read again": Teller.read_again,
}
"""What may happen before a night."""
_OFTEN = (
    *("corrected", "corrected", "corrected", "late", "late", "reopened", "reopened", "reopened"),
    *("new", "merged", "merged", "known later", "known later", "account", "answered", "configured", "configured"),
)


def a_history(pick: Pick, most_nights: int = 4) -> History:
    """A whole history: some nights with much, some with little, some with nothing."""
    teller = Teller(pick)
    steps: list[Step] = teller.begin()
    first = teller.night(whole=True)
    steps += [teller.storm(), teller.new(), *([teller.storm()] if pick((True, False)) else [])]
    steps.append(first)
    options = (*KINDS, *_OFTEN)
    for _ in range(pick(range(1, most_nights))):
        steps += [KINDS[pick(options)](teller) for _ in range(pick((0, 1, 1, 2, 2, 3, 4)))]
        steps.append(teller.night(quiet=pick(range(5)) == 0))
    return tuple(steps)


def seeded(seed: int, most_nights: int = 4) -> History:
    """The history of that seed."""
    return a_history(Random(seed).choice, most_nights)

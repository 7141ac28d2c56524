"""Who is who by a naive rule in plain Python, which shares no code with the kernel: docs/identity.md, read literally."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Identifier = tuple[str, str]
Pair = tuple[Identifier, Identifier]


@dataclass(frozen=True)
class Limit:
    most: int
    within: int | None = None  # µs


@dataclass(frozen=True)
class Kind:
    priority: int
    one_per_person: bool = False
    at_most: dict[str, Limit] = field(default_factory=dict)
    at_most_persons: Limit | None = None
    when_shared: str = "nobody"


@dataclass(frozen=True)
class Row:
    """Identifiers seen together in one file, first and last at."""

    sequence: int
    members: frozenset[Identifier]
    first: int
    last: int


@dataclass
class World:
    rows: list[Row]
    kinds: dict[str, Kind]
    guarded: frozenset[Identifier] = frozenset()
    kept: frozenset[Identifier] = frozenset()  # were shared before somebody was forgotten
    forced: Sequence[Pair] = ()
    forbidden: Sequence[Pair] = ()
    fuzzy: Sequence[tuple[Identifier, Identifier, float]] = ()


@dataclass
class Found:
    groups: set[frozenset[Identifier]]
    anchors: dict[frozenset[Identifier], Identifier]
    shared: set[Identifier]
    in_turn: set[Identifier]
    refused: set[tuple[Identifier, Identifier]]
    of_set: dict[frozenset[Identifier], frozenset[Identifier] | None]


class Resolver:
    def __init__(self, world: World) -> None:
        self.world = world
        self.sets = {row.members for row in world.rows}
        self.everyone = {member for row in world.rows for member in row.members}
        self.alive = self.everyone - world.guarded
        self.group = {one: n for n, one in enumerate(sorted(self.everyone))}
        self.linked: set[str] = set()
        self.shared: set[Identifier] = set()
        self.in_turn: set[Identifier] = set()
        self.refused: set[tuple[Identifier, Identifier]] = set()

    def trust(self, one: Identifier) -> tuple[int, str, str]:
        return (self.world.kinds[one[0]].priority, *one)

    def hub(self, members: frozenset[Identifier], types: set[str]) -> Identifier | None:
        fit = [one for one in members if one in self.alive and one[0] in types]
        return min(fit, key=self.trust) if fit else None

    def run(self) -> Found:
        kinds = self.world.kinds
        over = {x for x in self.alive for other, cap in kinds[x[0]].at_most.items() if self.beside(x, other) > cap}
        self.shared |= over | {one for one in self.world.kept & self.alive if kinds[one[0]].at_most_persons is None}
        self.alive -= self.shared
        order = sorted(kinds, key=lambda name: (kinds[name].priority, name))
        self.link({name for name in order if kinds[name].at_most_persons is None})
        for name in order:
            cap = kinds[name].at_most_persons
            if cap is not None:
                self.cap_persons(name, cap)
                self.link({name})
        return self.found()

    def beside(self, x: Identifier, other: str) -> Count:
        seen = [
            (moment, y)
            for row in self.world.rows
            if x in row.members
            for y in row.members
            if y[0] == other and y in self.alive
            for moment in (row.first, row.last)
        ]
        return Count(seen)

    def cap_persons(self, name: str, cap: Limit) -> None:
        for x in sorted(one for one in self.alive if one[0] == name):
            seen = []
            for row in self.world.rows:
                if x in row.members and (hub := self.hub(row.members, self.linked)) is not None:
                    seen += [(row.first, self.group[hub]), (row.last, self.group[hub])]
            count = Count(seen)
            if len({who for _, who in seen}) <= cap.most:
                continue
            if count > cap and self.world.kinds[name].when_shared == "nobody":
                self.shared.add(x)
            else:
                self.in_turn.add(x)
        self.shared |= {one for one in self.world.kept & self.alive - self.in_turn if one[0] == name}
        self.alive -= self.shared | self.in_turn

    def link(self, new: set[str]) -> None:
        before = set(self.linked)
        self.linked |= new
        kinds = self.world.kinds
        forbids = [
            {one: {f"forbidden {n}": k} for k, one in enumerate(pair)} for n, pair in enumerate(self.world.forbidden)
        ]
        self.join(self.pairs([(*pair, 0.0) for pair in self.world.forced], new), self.values(forbids))
        values = self.values([*forbids, *self.unique()])
        caps = [kinds[name].at_most_persons for name in new]
        if before and all(cap is not None and cap.most == 1 for cap in caps):
            for one in self.alive:
                if one[0] in before:
                    values.setdefault(self.group[one], {})["persons"] = self.group[one]
        edges = []
        for members in self.sets:
            hub = self.hub(members, self.linked)
            first = min(row.first for row in self.world.rows if row.members == members)
            for v in members:
                if hub is not None and v in self.alive and v[0] in self.linked and v != hub and {hub[0], v[0]} & new:
                    edges.append(
                        ((self.trust(v)[:2], self.trust(hub)[:2], first, self.trust(hub), self.trust(v)), hub, v)
                    )
        self.join([(u, v) for _, u, v in sorted(edges)], values)
        self.join(self.pairs(self.world.fuzzy, new), self.values([*forbids, *self.unique()]))

    def pairs(self, pairs: Sequence[tuple[Identifier, Identifier, float]], new: set[str]) -> list[Pair]:
        fit = [
            (-weight, *sorted((a, b), key=self.trust))
            for a, b, weight in pairs
            if a in self.alive and b in self.alive and {a[0], b[0]} <= self.linked and {a[0], b[0]} & new and a != b
        ]
        return [(a, b) for _, a, b in sorted(fit, key=lambda e: (e[0], self.trust(e[1]), self.trust(e[2])))]

    def unique(self) -> list[dict[Identifier, dict[str, int]]]:
        kinds = self.world.kinds
        return [
            {one: {f"unique {one[0]}": self.group[one]}}
            for one in self.alive
            if kinds[one[0]].one_per_person and one[0] in self.linked
        ]

    def values(self, said: list[dict[Identifier, dict[str, int]]]) -> dict[int, dict[str, int]]:
        values: dict[int, dict[str, int]] = {}
        for part in said:
            for one, named in part.items():
                if one in self.group:
                    values.setdefault(self.group[one], {}).update(named)
        return values

    def join(self, edges: list[Pair], values: dict[int, dict[str, int]]) -> None:
        for u, v in edges:
            a, b = self.group[u], self.group[v]
            if a == b:
                continue
            mine, theirs = values.get(a, {}), values.get(b, {})
            if any(mine.get(name, value) != value for name, value in theirs.items()):
                self.refused.add((u, v))
                continue
            values[a] = {**mine, **theirs}
            self.group = {one: a if g == b else g for one, g in self.group.items()}

    def found(self) -> Found:
        groups: dict[int, set[Identifier]] = {}
        for one in self.alive:
            groups.setdefault(self.group[one], set()).add(one)
        first = {one: min(r.sequence for r in self.world.rows if one in r.members) for one in self.everyone}
        frozen = {number: frozenset(members) for number, members in groups.items()}
        anchors = {g: min(g, key=lambda one: (first[one], self.trust(one))) for g in frozen.values()}
        of_set = {}
        for members in self.sets:
            hub = self.hub(members, set(self.world.kinds))
            of_set[members] = frozen[self.group[hub]] if hub is not None else None
        return Found(set(frozen.values()), anchors, self.shared, self.in_turn, self.refused, of_set)


class Count:
    """How many different others in `seen` (moment, other): compared with a limit."""

    def __init__(self, seen: Sequence[tuple[int, object]]) -> None:
        self.seen = seen

    def __gt__(self, limit: Limit) -> bool:
        if limit.within is None:
            return len({other for _, other in self.seen}) > limit.most
        ends = {moment for moment, _ in self.seen}
        return any(
            len({other for moment, other in self.seen if end - limit.within <= moment <= end}) > limit.most
            for end in ends
        )


def whose(sightings: Sequence[tuple[int, object]], at: int, between: str, reach: float = float("inf")) -> object | None:
    """Whose an identifier is at a moment, by all (moment, person) in which it was seen with somebody."""
    at_moment: dict[int, set[object]] = {}
    for moment, person in sightings:
        at_moment.setdefault(moment, set()).add(person)
    if len(at_moment.get(at, {None})) > 1:
        return None  # two persons at this very moment
    moments = sorted(at_moment)
    before = [m for m in moments if m <= at]
    after = [m for m in moments if m >= at]
    previous = at_moment[before[-1]] if before else None
    following = at_moment[after[0]] if after else None
    near_before = bool(before) and at - before[-1] <= reach
    near_after = bool(after) and after[0] - at <= reach
    if previous is not None and previous == following and len(previous) == 1:
        return next(iter(previous)) if near_before or near_after else None
    chosen = {"nobody": None, "next": following if near_after else None, "previous": previous if near_before else None}[
        between
    ]
    return next(iter(chosen)) if chosen is not None and len(chosen) == 1 else None


__all__ = ["Count", "Found", "Identifier", "Kind", "Limit", "Pair", "Resolver", "Row", "World", "whose"]

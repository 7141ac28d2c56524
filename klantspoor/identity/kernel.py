"""The kernel of identity: evidence in, persons out, by linear passes over columns. No input or output here.

The rule in words is docs/identity.md; a naive twin in plain Python, which shares no code with this, is
`tests/identity/identity_oracle.py`. Every part of the evidence that is not connected with another can be resolved alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from klantspoor.identity.evidence import Evidence, Extra, Ints, Mask, ordered_types
from klantspoor.identity.guards import Crowd, Pairs, crowded, several
from klantspoor.identity.joining import Constraint, Edges, Labels, Rank, Refused, join
from klantspoor.project.model import IdentifierType

PERSONS, GUARDED, SHARED, IN_TURN = 0, 1, 2, 3
"""What an identifier is: some person's, nobody's by a list, nobody's as it is shared, several persons' in turn."""


class Capped(NamedTuple):
    """A decision of a cap: the `node` was seen with `total` others, `most` in a window if the cap has one."""

    node: int
    guard: str
    other: str | None
    total: int
    most: int
    in_turn: bool


@dataclass(slots=True)
class Assignment:
    """Who is who.

    Attributes:
        label: (n) the person of each identifier, counted from 0; means nothing where `status` is not PERSONS.
        status: (n) PERSONS, GUARDED, SHARED or IN_TURN.
        anchor: (persons) the node that names each person: the one of the lowest sequence, then the most trusted.
        set_person: (m) the person of each set: that of its most trusted identifier that is a person's; -1: nobody.
        capped, refused: what the guards decided.
    """

    label: Labels
    status: npt.NDArray[np.int8]
    anchor: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    set_person: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    capped: list[Capped] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def assign(evidence: Evidence, types: dict[str, IdentifierType]) -> Assignment:
    """Persons from evidence.

    Args:
        evidence: with nodes numbered by the trust in `types`.
        types: the project's identifier types by name.
    """
    return _Resolution(evidence, types).run()


def counted(evidence: Evidence, types: dict[str, IdentifierType]) -> list[Capped]:
    """What `at_most` decides of the nodes that are not settled, and nothing else."""
    return _Resolution(evidence, types).caps()


@dataclass(frozen=True, slots=True)
class _Sighted:
    """Where identifiers of one type were seen (n): `node`, in which `set`, and its most trusted linked one, `hub` (-1: none)."""

    node: Ints
    set: Ints
    hub: Ints


class _Resolution:
    """One call of `assign`."""

    def __init__(self, evidence: Evidence, types: dict[str, IdentifierType]) -> None:
        self._evidence = evidence
        self._types = ordered_types(types)
        self._number = {name: number for number, (name, _) in enumerate(self._types)}
        self._set = evidence.set_of_member()
        status = np.where(evidence.guarded, GUARDED, PERSONS).astype(np.int8)
        self._made = Assignment(np.arange(evidence.nodes, dtype=np.int64), status)
        self._linked = np.zeros(len(self._types), np.bool_)
        # (m) the most trusted identifier of each set, as far as types have been linked; -1: none.
        self._hub = np.full(evidence.sets, -1, np.int64)

    def run(self) -> Assignment:
        made = self._made
        if self._evidence.nodes == 0:
            made.set_person = np.full(self._evidence.sets, -1, np.int64)
            return made
        made.capped += self.caps()
        made.status[[one.node for one in made.capped]] = SHARED
        if self._evidence.settled is not None:
            made.status[self._evidence.settled] = SHARED
        self._keep_shared(np.array([kind.at_most_persons is None for _, kind in self._types], np.bool_))
        self._link([number for number, (_, kind) in enumerate(self._types) if kind.at_most_persons is None])
        for number, (_, kind) in enumerate(self._types):
            if kind.at_most_persons is not None:
                sighted = self._sighted(number)
                self._cap_persons(sighted, kind)
                self._keep_shared(self._kinds(number))
                self._link([number], sighted)
        self._name()
        return made

    # --- guards

    def caps(self) -> list[Capped]:
        """`at_most`: what was seen with too many identifiers of another type is shared. All caps look at the same state."""
        found: list[Capped] = []
        for number, (_, kind) in enumerate(self._types):
            for other, cap in sorted(kind.at_most.items()):
                pairs = self._beside(self._kinds(number), self._kinds(self._number[other]))
                crowd = crowded(self._evidence, pairs, cap)
                found += self._told(crowd, "at_most", other, in_turn=False)
        return found

    def _keep_shared(self, kinds: Mask) -> None:
        """What was shared before one of those who had it was forgotten stays so, if caps do not say so anyway."""
        kept = self._evidence.shared
        kept = kept[(self._made.status[kept] == PERSONS) & kinds[self._evidence.kind[kept]]]
        self._made.status[kept] = SHARED

    def _beside(self, these: Mask, those: Mask) -> Pairs:
        """Every pair of an unsettled identifier of the types `these` and one of the types `those` in the same set."""
        member, held = self._evidence.member, self._set
        asked = self._fit(these)
        if self._evidence.settled is not None:
            asked &= ~self._evidence.settled
        first = np.flatnonzero(asked[member])
        second = np.flatnonzero(self._fit(those)[member])
        other_set, other = held[second], member[second]
        of_set = np.bincount(other_set, minlength=self._evidence.sets)
        begin, count = (np.cumsum(of_set) - of_set)[held[first]], of_set[held[first]]
        if (count <= 1).all():
            some = count == 1
            return Pairs(member[first[some]], other[begin[some]], held[first[some]])
        repeated = np.repeat(first, count)
        offset = np.arange(len(repeated)) - np.repeat(np.cumsum(count) - count, count)
        return Pairs(member[repeated], other[np.repeat(begin, count) + offset], held[repeated])

    def _cap_persons(self, sighted: _Sighted, kind: IdentifierType) -> None:
        """`at_most_persons`: an identifier is held against the persons that those linked before it make."""
        cap = kind.at_most_persons
        assert cap is not None  # noqa: S101 - the caller has looked
        known = np.flatnonzero(sighted.hub >= 0)
        pairs = Pairs(sighted.node[known], self._made.label[sighted.hub[known]], sighted.set[known])
        node, total = several(pairs, cap.most)
        if len(node) == 0:
            return
        crowd = crowded(self._evidence, pairs, cap)
        split = kind.when_shared == "split"
        found = self._told(crowd, "at_most_persons", None, in_turn=split)
        # Several persons, but never at once: it passed from one to the next.
        passed = ~np.isin(node, crowd.node)
        found += self._told(Crowd(node[passed], total[passed], total[passed]), "at_most_persons", None, in_turn=True)
        self._made.capped += found
        for one in found:
            self._made.status[one.node] = IN_TURN if one.in_turn else SHARED

    def _sighted(self, number: int) -> _Sighted:
        """Where identifiers of a type were seen, and with whom."""
        mine = np.flatnonzero(self._fit(self._kinds(number))[self._evidence.member])
        held = self._set[mine]
        return _Sighted(self._evidence.member[mine], held, self._hub[held])

    @staticmethod
    def _told(crowd: Crowd, guard: str, other: str | None, *, in_turn: bool) -> list[Capped]:
        rows = zip(crowd.node.tolist(), crowd.total.tolist(), crowd.most.tolist(), strict=True)
        return [Capped(node, guard, other, total, most, in_turn) for node, total, most in rows]

    # --- links

    def _kinds(self, number: int) -> Mask:
        chosen = np.zeros(len(self._types), np.bool_)
        chosen[number] = True
        return chosen

    def _fit(self, kinds: Mask) -> Mask:
        """(n) whether each identifier is some person's and of a type for which `kinds` holds."""
        return np.asarray((self._made.status == PERSONS) & kinds[self._evidence.kind])

    def _hubs(self, kinds: Mask) -> Ints:
        """(m) the most trusted identifier of each set among the types for which `kinds` holds; -1: none."""
        evidence = self._evidence
        hub = np.full(evidence.sets, -1, np.int64)
        some = np.flatnonzero(np.diff(evidence.start))
        if len(some):
            # Members are in order of trust: the lowest that fits is the most trusted.
            fit = np.where(self._fit(kinds)[evidence.member], evidence.member, evidence.nodes)
            lowest = np.minimum.reduceat(fit, evidence.start[some])
            hub[some] = np.where(lowest < evidence.nodes, lowest, -1)
        return hub

    def _link(self, numbers: list[int], sighted: _Sighted | None = None) -> None:
        """Lets identifiers of some types link: first what a steward says, then what was seen, then what is likely."""
        before = self._linked.copy()
        self._linked[numbers] = True
        new = self._linked & ~before
        keep_apart = self._forbidden()
        forced = self._extra(self._evidence.forced, new)
        self._join(forced, keep_apart)
        one_person = before.any() and all(self._one_person(number) for number in numbers)
        decided = len(keep_apart) + len(forced.u)
        if one_person and sighted is not None and not decided and self._is_plain(numbers[0], before):
            edges = self._attach(sighted)
        else:
            self._hub = self._hubs(self._linked)
            edges = self._seen_together(new)
        constraints = [*keep_apart, *self._unique()] if len(edges.u) else []
        if one_person and len(edges.u):
            constraints.append(self._no_merge(before))
        self._join(edges, constraints)
        self._join(self._extra(self._evidence.fuzzy, new), [*keep_apart, *self._unique()])

    def _is_plain(self, number: int, before: Mask) -> bool:
        """Whether a type is less trusted than all that were linked before, and nobody is limited to one of it."""
        return number > int(np.flatnonzero(before).max()) and not self._types[number][1].one_per_person

    def _attach(self, sighted: _Sighted) -> Edges:
        """Gives new identifiers to the one person they were seen with; what is left are links among new ones.

        A shortcut for what `join` would do: where each is seen with one person at most, no two persons can meet.
        """
        alive = self._made.status[sighted.node] == PERSONS
        known = np.flatnonzero(alive & (sighted.hub >= 0))
        self._made.label[sighted.node[known]] = self._made.label[sighted.hub[known]]
        alone = np.flatnonzero(alive & (sighted.hub < 0))
        held, node = sighted.set[alone], sighted.node[alone]
        # Sets come together, their members in order of trust: the first of a set is its hub.
        first = np.flatnonzero(np.r_[True, held[1:] != held[:-1]]) if len(held) else alone
        self._hub[held[first]] = node[first]
        hub = np.repeat(node[first], np.diff(np.r_[first, len(held)]))
        rest = np.flatnonzero(hub != node)
        return self._edges(hub[rest], node[rest], held[rest])

    def _edges(self, u: Ints, v: Ints, held: Ints) -> Edges:
        """Links seen in the sets `held`: the least trusted types last, then what was seen later."""
        kinds = self._evidence.kind

        def rank(chosen: Ints) -> Rank:
            seen = self._evidence.first_seen()[held[chosen]]
            return kinds[v[chosen]].astype(np.int64), kinds[u[chosen]].astype(np.int64), seen

        return Edges(u, v, rank)

    def _join(self, edges: Edges, constraints: list[Constraint]) -> None:
        if len(edges.u):
            self._made.label, refused = join(self._made.label, edges, self._of_groups(constraints))
            if len(refused.u):
                self._made.refused.append(refused)

    def _of_groups(self, constraints: list[Constraint]) -> list[Constraint]:
        """Constraints over nodes as constraints over the groups that they are in now."""
        return [Constraint(c.name, self._made.label[c.group], c.value) for c in constraints]

    def _one_person(self, number: int) -> bool:
        cap = self._types[number][1].at_most_persons
        return cap is not None and cap.most == 1

    def _seen_together(self, new: Mask) -> Edges:
        """From the most trusted identifier of each set to the others, where one of the two is of a new type."""
        evidence, kinds = self._evidence, self._evidence.kind
        hub = np.repeat(self._hub, np.diff(evidence.start))
        at = np.flatnonzero(self._fit(self._linked)[evidence.member] & (evidence.member != hub))
        u, v = hub[at], evidence.member[at]
        if not new[self._linked].all():
            fresh = np.flatnonzero(new[kinds[u]] | new[kinds[v]])
            at, u, v = at[fresh], u[fresh], v[fresh]
        return self._edges(u, v, self._set[at])

    def _extra(self, pairs: Extra, new: Mask) -> Edges:
        """A steward's or likely pairs, both ends of which can link by now and one only now."""
        kinds, status = self._evidence.kind, self._made.status
        u, v = np.minimum(pairs.left, pairs.right), np.maximum(pairs.left, pairs.right)
        use = self._linked[kinds[u]] & self._linked[kinds[v]] & (new[kinds[u]] | new[kinds[v]])
        use &= (status[u] == PERSONS) & (status[v] == PERSONS) & (u != v)
        weight = pairs.weight[use]
        return Edges(u[use], v[use], lambda chosen: (-weight[chosen],))

    def _forbidden(self) -> list[Constraint]:
        pairs = zip(self._evidence.forbidden.left.tolist(), self._evidence.forbidden.right.tolist(), strict=True)
        values = np.array([0, 1], np.int64)
        return [
            Constraint(f"forbidden {number}", np.array([left, right], np.int64), values)
            for number, (left, right) in enumerate(pairs)
            if left != right
        ]

    def _unique(self) -> list[Constraint]:
        """`one_per_person`, once a steward's pairs are joined: what those put together counts as one."""
        made = []
        for number, (name, kind) in enumerate(self._types):
            if kind.one_per_person and self._linked[number]:
                nodes = np.flatnonzero((self._evidence.kind == number) & (self._made.status == PERSONS))
                made.append(Constraint(f"one_per_person {name}", nodes, self._made.label[nodes]))
        return made

    def _no_merge(self, before: Mask) -> Constraint:
        """What may be one person's only must not make one person of two."""
        nodes = np.flatnonzero(before[self._evidence.kind] & (self._made.status == PERSONS))
        return Constraint("at_most_persons", nodes, self._made.label[nodes])

    # --- persons

    def _name(self) -> None:
        """Numbers the persons, finds their anchors, and gives each set its person."""
        made, evidence = self._made, self._evidence
        alive = np.flatnonzero(made.status == PERSONS)
        used = np.zeros(int(made.label.max()) + 1, np.bool_)
        used[made.label[alive]] = True
        label = (np.cumsum(used) - 1)[made.label[alive]]
        made.label = np.full(evidence.nodes, -1, np.int64)
        made.label[alive] = label
        # Sequence first, then the node's number, which is its trust: both in one whole number.
        key = evidence.sequence[alive] * evidence.nodes + alive
        best = np.full(int(used.sum()), np.iinfo(np.int64).max, np.int64)
        np.minimum.at(best, label, key)
        made.anchor = best % evidence.nodes
        made.set_person = np.where(self._hub >= 0, made.label[self._hub], -1)

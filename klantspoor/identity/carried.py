"""What is decided again tonight, and what is carried over.

Identifiers seen together, and pairs of a steward or of the linkage, make parts of the evidence that have nothing to do
with each other: what the kernel finds of one does not depend on any other. So only the parts with something new are given
to it. An identifier that a list guards connects nothing, and neither does one that `at_most` has made shared: the
others it was seen with only become more, so it stays so. Of such a one tonight's count is made apart, of all it was seen with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from klantspoor.identity.columns import Column
from klantspoor.identity.encode import kinds
from klantspoor.identity.evidence import Evidence, Extra, Ints, Mask, ordered_types
from klantspoor.identity.joining import components
from klantspoor.identity.kernel import GUARDED, IN_TURN, PERSONS, SHARED, Assignment, Capped, assign, counted
from klantspoor.identity.memory import Memory, Tonight, ranges
from klantspoor.project.model import IdentifierType

BY_LIST, OF_PERSONS, TURNS, SETTLED = -1, -2, -3, -4
"""In place of a person: guarded; shared, or several persons' in turn, by `at_most_persons`; shared by `at_most`."""
_CODE = {PERSONS: 0, GUARDED: BY_LIST, SHARED: OF_PERSONS, IN_TURN: TURNS}
NO_MERGE, FORBIDDEN, UNIQUE = 0, 1, 2
"""Why a link was left out; from UNIQUE on: `one_per_person` of the type with that place."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """A steward's and the linkage's pairs, by the memory's numbers; `kept` was shared before somebody was forgotten."""

    forced: Extra
    forbidden: Extra
    fuzzy: Extra
    kept: Ints


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the evidence: its identifiers (n) in order of trust and its sets (m), by the memory's numbers."""

    node: Ints
    sets: Ints
    seen: Ints
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Anew:
    """What was decided again: `part` of the evidence, and what the kernel made of it; `touched` (all nodes) are its own."""

    part: Part
    made: Assignment
    touched: Mask


def decide(memory: Memory, tonight: Tonight, pairs: Pairs, types: dict[str, IdentifierType]) -> Anew:
    """Decides again what is touched, and writes all decisions to the memory.

    By identifier: `person` (its person's anchor, or what stands in place of it) and `component`; by set `set_person` (the
    anchor, -1: nobody); the decisions `capped_…` and `refused_…`.
    """
    columns = memory.columns
    guard = columns.read("guard")
    person = _grown(memory, "person", np.where(guard > 0, BY_LIST, 0).astype(np.int32))
    component = _grown(memory, "component", np.arange(len(guard), dtype=np.int32))
    settled = person == SETTLED
    connects = (guard == 0) & ~settled
    touched = _touched(component, connects, tonight, pairs)
    part = take(memory, touched, pairs, settled)
    made = assign(part.evidence, types)
    recounted = np.unique(tonight.node[settled[tonight.node]])
    capped = _counts(memory, made, part, recounted, pairs, types)
    _write_capped(memory, capped, touched, recounted, types)
    _write_refused(memory, made, part, touched, types)
    code = np.array([_CODE[status] for status in range(4)], np.int32)[made.status]
    of_persons = np.flatnonzero(made.status == PERSONS)
    code[of_persons] = part.node[made.anchor[made.label[of_persons]]]
    full = _settled_now(made, part)
    code[full] = SETTLED
    person[part.node] = code
    component[part.node] = _components(part, ~(full | part.evidence.guarded))
    columns.replace("person", person)
    columns.replace("component", component)
    of_set = _grown(memory, "set_person", np.full(columns.rows("number"), -1, np.int32))
    known = np.flatnonzero(made.set_person >= 0)
    of_set[part.sets] = -1
    of_set[part.sets[known]] = part.node[made.anchor[made.set_person[known]]]
    columns.replace("set_person", of_set)
    return Anew(part, made, touched)


def take(memory: Memory, touched: Mask, pairs: Pairs, settled: Mask) -> Part:
    """The evidence of the sets that hold any of the nodes `touched`, in numbers of its own."""
    columns = memory.columns
    start, member, observed = columns.read("start"), columns.read("member"), columns.read("observed")
    chosen = _with_any(touched[member], start)
    sets = np.flatnonzero(chosen)
    size = start[sets + 1] - start[sets]
    held = member[ranges(start[sets], size)]
    used = np.zeros(len(touched), np.bool_)
    used[held] = True
    node = np.flatnonzero(used)
    key = columns.read("key")[node]
    if len(node) and node[-1] >= memory.in_order:
        order = np.argsort(key, kind="stable")
        node, key = node[order], key[order]
    place = np.full(len(touched), -1, np.int64)
    place[node] = np.arange(len(node))
    seen = np.flatnonzero(chosen[observed])
    evidence = Evidence(
        kind=kinds(key),
        sequence=columns.read("sequence")[node].astype(np.int64),
        guarded=columns.read("guard")[node] > 0,
        start=np.r_[0, np.cumsum(size)],
        member=_ascending(place[held], size, len(node)),
        observed=(np.cumsum(chosen) - 1)[observed[seen]],
        first=columns.read("first")[seen],
        last=columns.read("last")[seen],
        shared=np.sort(place[pairs.kept][place[pairs.kept] >= 0]),
        forced=_among(pairs.forced, place),
        forbidden=_among(pairs.forbidden, place),
        fuzzy=_among(pairs.fuzzy, place),
        settled=settled[node],
    )
    return Part(node, sets, seen, evidence)


def _grown(memory: Memory, name: str, new: Column) -> Column:
    """A copy of a column to write in, with what is new since, of which `new` holds the values."""
    known = memory.columns.read(name) if name in memory.columns else new[:0]
    return np.concatenate([known, new[len(known) :]])


def _touched(component: Column, connects: Mask, tonight: Tonight, pairs: Pairs) -> Mask:
    """(nodes) Whose part of the evidence has something new."""
    hit = np.zeros(len(component), np.bool_)
    hit[component[tonight.node[connects[tonight.node]]]] = True
    for pair in (pairs.forced, pairs.fuzzy):
        both = connects[pair.left] & connects[pair.right]
        left, right = component[pair.left[both]], component[pair.right[both]]
        either = hit[left] | hit[right]
        hit[left[either]] = hit[right[either]] = True
    return np.asarray(hit[component] & connects)


def _with_any(chosen: Mask, start: Column) -> Mask:
    """(m) Whether any member of each set is chosen."""
    some = np.flatnonzero(np.diff(start))
    found = np.zeros(len(start) - 1, np.bool_)
    if len(some):
        found[some] = np.logical_or.reduceat(chosen, start[some])
    return found


def _ascending(member: Ints, size: Ints, nodes: int) -> Ints:
    """Members of sets one after another, in order within each."""
    if nodes == 0:
        return member
    both = np.repeat(np.arange(len(size), dtype=np.int64) * nodes, size) + member
    if (both[1:] > both[:-1]).all():
        return member
    both.sort()
    return both % nodes


def _among(pairs: Extra, place: Ints) -> Extra:
    left, right = place[pairs.left], place[pairs.right]
    both = (left >= 0) & (right >= 0)
    return Extra(left[both], right[both], pairs.weight[both])


def _settled_now(made: Assignment, part: Part) -> Mask:
    """(n) What `at_most` has made shared, tonight or before."""
    assert part.evidence.settled is not None  # noqa: S101 - `take` gives it
    full = part.evidence.settled.copy()
    full[[one.node for one in made.capped if one.other is not None]] = True
    return full


def _components(part: Part, connects: Mask) -> Ints:
    """(n) A node of the same part of the evidence, the same for all of it."""
    evidence = part.evidence
    size = np.diff(evidence.start)
    fit = np.where(connects[evidence.member], evidence.member, evidence.nodes)
    some = np.flatnonzero(size)
    hub = np.full(evidence.sets, evidence.nodes, np.int64)
    if len(some):
        hub[some] = np.minimum.reduceat(fit, evidence.start[some])
    hub = np.repeat(hub, size)
    rest = np.flatnonzero((fit < evidence.nodes) & (fit != hub))
    left, right = [hub[rest]], [fit[rest]]
    for pair in (evidence.forced, evidence.fuzzy):
        both = connects[pair.left] & connects[pair.right]
        left.append(pair.left[both])
        right.append(pair.right[both])
    label = components(np.concatenate(left), np.concatenate(right), evidence.nodes)
    one = np.empty(evidence.nodes, np.int64)
    one[label] = part.node
    return np.asarray(one[label])


def _counts(
    memory: Memory, made: Assignment, part: Part, recounted: Ints, pairs: Pairs, types: dict[str, IdentifierType]
) -> list[Capped]:
    """What the caps decided tonight, by the memory's numbers: of what was touched, and of shared ones seen again."""
    found = [_of_memory(one, part) for one in made.capped]
    if len(recounted):
        asked = np.zeros(memory.columns.rows("key"), np.bool_)
        asked[recounted] = True
        around = take(memory, asked, pairs, ~asked)
        found += [_of_memory(one, around) for one in counted(around.evidence, types)]
    return found


def _of_memory(one: Capped, part: Part) -> Capped:
    return Capped(int(part.node[one.node]), one.guard, one.other, one.total, one.most, one.in_turn)


def _write_capped(
    memory: Memory, capped: list[Capped], touched: Mask, recounted: Ints, types: dict[str, IdentifierType]
) -> None:
    number = {name: place for place, (name, _) in enumerate(ordered_types(types))}
    gone = touched.copy()
    gone[recounted] = True
    values = {
        "node": ([one.node for one in capped], np.int32),
        "other": ([-1 if one.other is None else number[one.other] for one in capped], np.int16),
        "total": ([one.total for one in capped], np.int64),
        "most": ([one.most for one in capped], np.int64),
        "in_turn": ([one.in_turn for one in capped], np.bool_),
    }
    replace_rows(memory, "capped", gone, {name: np.array(rows, kind) for name, (rows, kind) in values.items()})


def _write_refused(
    memory: Memory, made: Assignment, part: Part, touched: Mask, types: dict[str, IdentifierType]
) -> None:
    number = {f"one_per_person {name}": UNIQUE + place for place, (name, _) in enumerate(ordered_types(types))}
    why = [
        FORBIDDEN if name.startswith("forbidden") else number.get(name, NO_MERGE)
        for refused in made.refused
        for name in refused.name
    ]
    nothing = np.empty(0, np.int64)
    rows = {
        "node": part.node[np.concatenate([nothing, *(refused.u for refused in made.refused)])].astype(np.int32),
        "other": part.node[np.concatenate([nothing, *(refused.v for refused in made.refused)])].astype(np.int32),
        "rule": np.array(why, np.int16),
    }
    replace_rows(memory, "refused", touched, rows)


def replace_rows(memory: Memory, table: str, gone: Mask, rows: dict[str, Column]) -> None:
    """Replaces the rows of some nodes among columns called `table_…`, of which one is `node`."""
    columns = memory.columns
    known = f"{table}_node" in columns
    stays = np.flatnonzero(~gone[columns.read(f"{table}_node")]) if known else None
    for name, new in rows.items():
        old = columns.read(f"{table}_{name}")[stays] if stays is not None else new[:0]
        columns.replace(f"{table}_{name}", np.concatenate([old, new]))

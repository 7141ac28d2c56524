"""The oracle's worlds as the kernel's evidence, and what the kernel finds in the oracle's words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from identity_oracle import Found, Identifier, Kind, Limit, World

from klantspoor.identity.evidence import Evidence, Extra
from klantspoor.identity.kernel import IN_TURN, PERSONS, SHARED, assign
from klantspoor.project.model import IdentifierType


def types_of(kinds: dict[str, Kind]) -> dict[str, IdentifierType]:
    return {
        name: IdentifierType.model_validate(
            {
                "priority": kind.priority,
                "one_per_person": kind.one_per_person,
                "at_most": {other: _limit(cap) for other, cap in kind.at_most.items()},
                "at_most_persons": _limit(kind.at_most_persons),
                "when_shared": kind.when_shared,
            }
        )
        for name, kind in kinds.items()
    }


def _limit(limit: Limit | None) -> dict[str, Any] | None:
    if limit is None:
        return None
    return {"most": limit.most, "within": None if limit.within is None else timedelta(microseconds=limit.within)}


def kernel(world: World) -> Found:
    kinds = world.kinds
    order = sorted(kinds, key=lambda name: (kinds[name].priority, name))
    everyone = sorted({m for row in world.rows for m in row.members}, key=lambda m: (order.index(m[0]), m[1]))
    number = {one: n for n, one in enumerate(everyone)}
    sets = sorted({row.members for row in world.rows}, key=sorted)
    place = {members: n for n, members in enumerate(sets)}
    members = [sorted(number[one] for one in held) for held in sets]
    evidence = Evidence(
        kind=np.array([order.index(one[0]) for one in everyone], np.int16),
        sequence=np.array([min(r.sequence for r in world.rows if one in r.members) for one in everyone], np.int64),
        guarded=np.array([one in world.guarded for one in everyone], np.bool_),
        start=np.cumsum([0, *map(len, members)]).astype(np.int64),
        member=np.array([n for held in members for n in held], np.int64),
        observed=np.array([place[row.members] for row in world.rows], np.int64),
        first=np.array([row.first for row in world.rows], np.int64),
        last=np.array([row.last for row in world.rows], np.int64),
        shared=np.array(sorted(number[one] for one in world.kept if one in number), np.int64),
        forced=_extra([(a, b, 0.0) for a, b in world.forced], number),
        forbidden=_extra([(a, b, 0.0) for a, b in world.forbidden], number),
        fuzzy=_extra(list(world.fuzzy), number),
    )
    made = assign(evidence, types_of(kinds))
    persons: dict[int, set[Identifier]] = {}
    for node in np.flatnonzero(made.status == PERSONS).tolist():
        persons.setdefault(int(made.label[node]), set()).add(everyone[node])
    frozen = {label: frozenset(held) for label, held in persons.items()}
    return Found(
        groups=set(frozen.values()),
        anchors={frozen[label]: everyone[int(node)] for label, node in enumerate(made.anchor)},
        shared={everyone[n] for n in np.flatnonzero(made.status == SHARED).tolist()},
        in_turn={everyone[n] for n in np.flatnonzero(made.status == IN_TURN).tolist()},
        refused={
            (everyone[u], everyone[v]) for r in made.refused for u, v in zip(r.u.tolist(), r.v.tolist(), strict=True)
        },
        of_set={held: frozen.get(int(made.set_person[place[held]])) for held in sets},
    )


def _extra(pairs: list[tuple[Identifier, Identifier, float]], number: dict[Identifier, int]) -> Extra:
    known = [(number[a], number[b], weight) for a, b, weight in pairs if a in number and b in number]
    left, right, weight = (list(column) for column in zip(*known, strict=True)) if known else ([], [], [])
    return Extra(np.array(left, np.int64), np.array(right, np.int64), np.array(weight, np.float64))

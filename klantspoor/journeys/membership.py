"""Which journey each event is in: the order of the rules of docs/journeys.md, "Cutting".

The rules themselves are in `klantspoor.journeys.sheets` (cutting) and `klantspoor.journeys.loose` (joining).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from klantspoor.journeys.loose import (
    Pairs,
    answers_by_case,
    answers_without_case,
    contacts_of,
    join_companions,
    join_loose,
)
from klantspoor.journeys.rules import TypeRules
from klantspoor.journeys.segments import Ints, changes, numbers
from klantspoor.journeys.sheets import NONE, TypeSheet, direct_members, directs_of, openings_without_key
from klantspoor.journeys.slices import Earlier, KindTraits, Slice


@dataclass(slots=True)
class Members:
    """Who is in which journey: parallel columns. `journey` indexes the journey columns below.

    Journeys: `type` (index into the rules), `first_direct` (position of the event that founded it), `account`, `topic`.
    """

    event: Ints
    journey: Ints
    joined_by: npt.NDArray[np.int8]
    type: npt.NDArray[np.int16]
    first_direct: Ints
    account: npt.NDArray[np.uint64]


def find_members(events: Slice, traits: KindTraits, rules: list[TypeRules], earlier: Earlier) -> Members:
    """Applies rules 1 to 5 to a slice of whole persons, but for what is settled of them.

    Returns:
        Members in no particular order; journeys without any touchpoint are still among them.
    """
    person = numbers(changes(events.person))
    sheets = [direct_members(events, person, rule, earlier.had_several(rule.name, events.person)) for rule in rules]
    # An event that names its case is not looking for another journey.
    named = np.concatenate([NONE, *(event for sheet in sheets if sheet.rules.key for event in sheet.direct_event)])
    for sheet in sheets:
        sheet.loose[named] = False
        sheet.companion[named] = False
        sheet.directs = directs_of(events, sheet)
    contact = contacts_of(events, traits, person, sheets)
    loose = join_loose(events, contact, person, sheets)
    for sheet in sheets:
        openings_without_key(events, person, sheet, loose.event)
        sheet.directs = directs_of(events, sheet)
    companions = join_companions(events, contact, sheets, loose)
    cases = [answers_by_case(person, sheet, number) for number, sheet in enumerate(sheets)]
    answers = answers_without_case(events, person, sheets, np.concatenate([part.event for part in cases]))
    return _gather(sheets, [loose, companions, answers, *cases])


def _gather(sheets: list[TypeSheet], others: list[Pairs]) -> Members:
    """All types' members in one set of columns, journeys numbered across types."""
    offsets = np.concatenate([[0], np.cumsum([sheet.count for sheet in sheets])]).astype(np.int64)
    event, journey, how = [], [], []
    for number, sheet in enumerate(sheets):
        event += sheet.direct_event
        journey += [part + offsets[number] for part in sheet.direct_journey]
        how += sheet.direct_how
    for part in others:
        there = part.journey >= 0
        event.append(part.event[there])
        journey.append(part.journey[there] + offsets[part.type[there]])
        how.append(part.rule[there])
    return Members(
        event=np.concatenate(event),
        journey=np.concatenate(journey),
        joined_by=np.concatenate(how),
        type=np.repeat(np.arange(len(sheets), dtype=np.int16), [sheet.count for sheet in sheets]),
        first_direct=np.concatenate([sheet.first for sheet in sheets]),
        account=np.concatenate([sheet.directs.account for sheet in sheets]),
    )

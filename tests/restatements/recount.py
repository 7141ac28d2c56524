"""The table of one night counted again from the two versions, journey by journey, in plain Python. Holds no test."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from restated_world import changed_events

from klantspoor.lake import Version

Row = dict[str, Any]
ORDER = ("erased", "identity", "corrected", "late", "new", "rule", "clock")
TURNS = ("organisation", "partner", "customer", "nobody", "undetermined")
CAUSES = ("working", "closed", "handover", "queueing", "unexplained")
JOURNEY_MAP = ["journeys", "persons", "visits", "touchpoints", *(f"{turn}_wait_hours" for turn in TURNS)]
BOTTLENECKS = ["journeys", "persons", "waits", "wait_total_hours", *(f"{turn}_wait_hours" for turn in TURNS)]
BOTTLENECKS += [f"{cause}_hours" for cause in CAUSES] + ["partner_cause_hours"]
SUMS = {"journey_map": JOURNEY_MAP, "bottlenecks": BOTTLENECKS}
OTHERS = {
    "journey_map": ["dwell_median_hours", "dwell_p90_hours", "wait_median_hours", "wait_p90_hours", "drop_off_share"],
    "bottlenecks": ["wait_median_hours", "wait_p90_hours", "blame_share"],
}
Place = tuple[Any, ...]
"""mart, month, level, phase, from_step, to_step"""
Cell = tuple[Any, ...]
"""A place, journey type and persona (None: all)"""


@dataclass
class Side:
    """One version, journey by journey."""

    journeys: dict[str, Row]
    events: dict[str, set[str]]
    amounts: dict[str, dict[Place, dict[str, int]]] = field(default_factory=dict)

    def persons(self) -> dict[Cell, dict[str, set[str]]]:
        """Who is in which cell, by which of their journeys."""
        found: dict[Cell, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for journey_id, places in self.amounts.items():
            for place, amounts in places.items():
                if amounts["journeys"]:
                    for cell in cells(self.journeys[journey_id], place):
                        found[cell][self.journeys[journey_id]["person_id"]].add(journey_id)
        return found


def cells(journey: Row, place: Place) -> list[Cell]:
    return [(*place, journey["journey_type"], persona) for persona in (journey["persona"] or "unknown", None)]


def rows_of(version: Version, table: str) -> list[Row]:
    with version.connect() as connection:
        found: list[Row] = connection.sql(f"SELECT * FROM {table}").to_arrow_table().to_pylist()
    return found


def month_of(instant: datetime, zone: str) -> str:
    return instant.astimezone(ZoneInfo(zone)).strftime("%Y-%m")


def clock_month(version: Version, zone: str) -> str:
    return month_of(datetime.fromisoformat(version.manifest["as_of"]), zone)


def side(version: Version, zone: str, first_open: str) -> Side:
    """What every journey gives to every place of a month that is over."""
    found = Side({row["journey_id"]: row for row in rows_of(version, "journeys")}, defaultdict(set))
    for row in rows_of(version, "touchpoint_events"):
        found.events[row["journey_id"]].add(row["event_id"])
    grouped: dict[str, dict[str, list[Row]]] = {}
    for table, number in (
        ("touchpoints", "touchpoint_number"),
        ("phase_visits", "visit_number"),
        ("waits", "stretch_number"),
    ):
        by_journey = grouped.setdefault(table, defaultdict(list))
        for row in sorted(rows_of(version, table), key=lambda row: row[number]):
            by_journey[row["journey_id"]].append(row)
    for journey_id, journey in found.journeys.items():
        if not journey["is_mystery_guest"]:
            places: dict[Place, dict[str, int]] = defaultdict(lambda: defaultdict(int))
            own = {table: rows[journey_id] for table, rows in grouped.items()}
            _visits(journey, own, places, zone)
            _waits(own, places, zone)
            found.amounts[journey_id] = {place: dict(a) for place, a in places.items() if place[1] < first_open}
    return found


def _visits(journey: Row, own: dict[str, list[Row]], places: dict[Place, dict[str, int]], zone: str) -> None:
    for visit in own["phase_visits"]:
        if visit["is_last"] and journey["status"] == "open":
            continue
        amounts = places["journey_map", month_of(visit["left_at"], zone), None, visit["phase"], None, None]
        amounts["journeys"] = 1
        amounts["visits"] += 1
        amounts["touchpoints"] += visit["touchpoints"]


def _waits(own: dict[str, list[Row]], places: dict[Place, dict[str, int]], zone: str) -> None:
    steps = {row["touchpoint_number"]: row for row in own["touchpoints"]}
    known: dict[int, str | None] = {0: None}
    for number in sorted(steps):
        known[number] = steps[number]["phase"] or known[number - 1]
    waits: dict[int, list[Row]] = defaultdict(list)
    for row in own["waits"]:
        if not row["is_open"]:
            waits[row["touchpoint_number"]].append(row)
    for number, stretches in waits.items():
        month = month_of(steps[number + 1]["started_at"], zone)
        told = [
            ("bottlenecks", month, "touchpoint", None, steps[number]["activity"], steps[number + 1]["activity"]),
        ]
        if known[number]:
            told.append(("bottlenecks", month, "phase", None, known[number], known[number + 1]))
            told.append(("journey_map", month, None, known[number], None, None))
        for place in told:
            amounts = places[place]
            amounts["journeys"] += 0
            for stretch in stretches:
                amounts[f"{stretch['turn']}_wait_hours"] += stretch["seconds"]
            if place[0] == "bottlenecks":
                amounts["journeys"] = 1
                amounts["waits"] += 1
                for stretch in stretches:
                    amounts["wait_total_hours"] += stretch["seconds"]
                    column = "partner_cause_hours" if stretch["cause"] == "partner" else f"{stretch['cause']}_hours"
                    if column in BOTTLENECKS:
                        amounts[column] += stretch["seconds"]


class Why:
    """The cause of each journey."""

    def __init__(self, before: Side, after: Side, changes: list[Row], rules: bool) -> None:
        self.sides, self.rules = (before, after), rules
        self.of_event: dict[str, int] = {}
        self.of_person: dict[str, int] = {}
        for change in changes:
            cause = ORDER.index(change["cause"])
            self.of_event[change["event_id"]] = cause
            for person in {change["person_before"], change["person"]} - {None}:
                self.of_person[person] = min(cause, self.of_person.get(person, 99))

    def own(self, journey_id: str) -> int | None:
        events = self.sides[0].events[journey_id] | self.sides[1].events[journey_id]
        return min((self.of_event[event] for event in events if event in self.of_event), default=None)

    def __call__(self, journey_id: str) -> int:
        own = self.own(journey_id)
        if own is not None:
            return own
        rows = [side.journeys[journey_id] for side in self.sides if journey_id in side.journeys]
        others = [
            self.own(other)
            for mine, theirs in (self.sides, self.sides[::-1])
            for other, row in theirs.journeys.items()
            if other != journey_id
            and row["journey_type"] == rows[0]["journey_type"]
            and mine.events.get(journey_id, set()) & theirs.events.get(other, set())
        ]
        if known := [cause for cause in others if cause is not None]:
            return min(known)
        if len({row["persona"] for row in rows}) > 1 and not self.rules:
            return ORDER.index("identity")
        persons = [self.of_person[row["person_id"]] for row in rows if row["person_id"] in self.of_person]
        return min(persons, default=ORDER.index("rule" if self.rules else "clock"))


def recount(before: Version, after: Version, *, zone: str, limit: int, rules: bool) -> dict[tuple[Any, ...], Row]:
    """Every row of the table that the night of `after` should have written, by cell and figure."""
    first_open = min(clock_month(version, zone) for version in (before, after))
    sides = side(before, zone, first_open), side(after, zone, first_open)
    parts, people = _parts(sides, Why(*sides, changed_events(before, after), rules))
    figures = _published(before, first_open), _published(after, first_open)
    erased_months = {(cell[-2], cell[1]) for (cell, _), by_cause in people.items() if by_cause.get(0)}
    result = {}
    for key in figures[0].keys() | figures[1].keys():
        was, now = (side.get(key) for side in figures)
        cell, figure = key
        if was == now:
            continue
        adds_up = figure in SUMS[cell[0]]
        row: Row = {"before": was, "after": now, "change": None if was is None or now is None else now - was}
        amounts = parts.get(key, {})
        by_cause = people.get(key, {})
        behind = set().union(*by_cause.values()) if adds_up else _all_behind(people, cell)
        row["persons_changed"] = len(behind) if len(behind) >= limit else None
        if (cell[-2], cell[1]) in erased_months if not adds_up else _is_hidden(people, key, limit):
            if now is None:
                continue
            row["before"] = row["change"] = None
        row |= dict.fromkeys(ORDER)
        if adds_up and row["change"] is not None:
            split = {name: amounts.get(place, 0) for place, name in enumerate(ORDER)}
            if rules:
                split["rule"] = row["change"] - sum(amount for name, amount in split.items() if name != "rule")
            assert sum(split.values()) == row["change"], key
            behind_it = [name for name, amount in split.items() if amount]
            enough = all(len(by_cause.get(ORDER.index(name), ())) >= limit for name in behind_it)
            if enough or (len(behind_it) == 1 and behind_it != ["erased"]):
                row |= split
        result[key] = row
    return result


def _parts(sides: tuple[Side, Side], why: Why) -> tuple[dict[Any, dict[int, int]], dict[Any, dict[int, set[str]]]]:
    """By cell and figure, and by cause: the amounts, and who is behind them."""
    parts: dict[Any, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    people: dict[Any, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for journey_id in sides[0].journeys.keys() | sides[1].journeys.keys():
        deltas: dict[tuple[Cell, str], int] = defaultdict(int)
        for sign, one in zip((-1, 1), sides, strict=True):
            for place, amounts in one.amounts.get(journey_id, {}).items():
                for cell in cells(one.journeys[journey_id], place):
                    for figure, amount in amounts.items():
                        deltas[cell, figure] += sign * amount
        for key, delta in deltas.items():
            if delta:
                newest = (
                    sides[1] if (journey_id in sides[1].journeys and _is_in(sides[1], journey_id, key[0])) else sides[0]
                )
                parts[key][why(journey_id)] += delta
                people[key][why(journey_id)].add(newest.journeys[journey_id]["person_id"])
    was, now = (one.persons() for one in sides)
    for cell in was.keys() | now.keys():
        for sign, there, elsewhere in ((-1, was[cell], now[cell]), (1, now[cell], was[cell])):
            for person, journeys in there.items():
                if person not in elsewhere:
                    cause = min(why(journey_id) for journey_id in journeys)
                    parts[cell, "persons"][cause] += sign
                    people[cell, "persons"][cause].add(person)
    return parts, people


def _is_in(one: Side, journey_id: str, cell: Cell) -> bool:
    return any(cell in cells(one.journeys[journey_id], place) for place in one.amounts.get(journey_id, {}))


def _all_behind(people: dict[Any, dict[int, set[str]]], cell: Cell) -> set[str]:
    return {person for (one, _), by in people.items() if one == cell for found in by.values() for person in found}


def _is_hidden(people: dict[Any, dict[int, set[str]]], key: tuple[Cell, str], limit: int) -> bool:
    (*place, persona), figure = key
    looked_at = [
        by.get(0, set())
        for ((*other, whose), name), by in people.items()
        if other == place and name == figure and (persona is None or whose == persona)
    ]
    return any(0 < len(found) < limit for found in looked_at)


def _published(version: Version, first_open: str) -> dict[Any, float | None]:
    found = {}
    for mart in ("journey_map", "bottlenecks"):
        for row in rows_of(version, mart):
            if row["month"] is not None and row["month"] < first_open:
                place = (mart, row["month"], *(row.get(name) for name in ("level", "phase", "from_step", "to_step")))
                for figure in [*SUMS[mart], *OTHERS[mart]]:
                    value = row[figure]
                    if figure in SUMS[mart] and figure.endswith("_hours") and value is not None:
                        value = round(value * 3600)
                    found[(*place, row["journey_type"], row["persona"]), figure] = value
    return found

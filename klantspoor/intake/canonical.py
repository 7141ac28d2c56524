"""From the gate's answer to canonical events: everything is judged, pseudonymised and given its final form.

One `EventMaker` makes one of the events that a row of a source may hold, a batch at a time. A row whose event is bad
gets its reasons in `Faults` and no event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.dictionary.columns import INITIATORS
from klantspoor.intake.faults import Faults, Mask, as_text, found
from klantspoor.intake.finish import finish
from klantspoor.intake.gate import Evaluated
from klantspoor.intake.identifiers import DIGITS, IdentifierColumn, together
from klantspoor.intake.ledger import EVENTS_SCHEMA, IDENTIFIERS
from klantspoor.intake.plan import EventPlan, Slot
from klantspoor.intake.pseudonyms import MARK, SEPARATOR
from klantspoor.intake.times import Times, Verdict
from klantspoor.intake.tools import Tools

Positions = npt.NDArray[np.int64]
_INSTANT = pa.timestamp("us", tz="UTC")
_ROLE_DIGITS = 16
LINK_ROWS = pa.schema(
    [
        ("row_number", pa.int64()),
        ("position", pa.int16()),
        ("occurred_at", _INSTANT),
        ("persona", pa.string()),
        ("identifier_set", pa.uint64()),
        ("identifiers", IDENTIFIERS),
    ]
)
"""What one row says of identifiers that belong together."""
BAD_ROWS = pa.schema([("row_number", pa.int64()), ("identifiers", IDENTIFIERS)])
_SHOWN = ("activity", "channel", "initiator", "team", "topic", "outcome", "persona")
_TIMES = ("occurred_at", "ended_at", "need_started_at")
_ADVICE = {
    Verdict.MISSING_TIME: "a time is needed",
    Verdict.NONEXISTENT_TIME: "the clocks went forward then; time.nonexistent: shift would take the first moment after",
    Verdict.AMBIGUOUS_TIME: "the clocks went back then; time.ambiguous: earlier or later would choose",
    Verdict.IMPLAUSIBLY_OLD: "it is before time.not_before",
    Verdict.FAR_FUTURE: "it is later than the file's landing by more than time.max_future",
}


@dataclass(frozen=True, slots=True)
class Made:
    """What was made from a batch: events, the identifiers of their rows, and who the bad rows are about.

    `row_number` is the position in the batch everywhere. `links` (`LINK_ROWS`) has a row for each event with identifiers,
    `bad` (row_number, identifiers) one for each row with a reason against it. `times_resolved` counts times that a rule
    resolved, `anonymous` events without a usable identifier, `erased` are the rows of which an event was a forgotten
    person's: nothing else is said of those events.
    """

    events: pa.Table
    links: pa.Table
    bad: pa.Table
    erased: Positions
    times_resolved: int = 0
    anonymous: int = 0


class Selection:
    """The rows of a batch that hold one event: their columns, and the reasons against them."""

    def __init__(self, plan: EventPlan, answer: Evaluated, raw: pa.Table, rows: Positions, faults: Faults) -> None:
        self.plan, self.rows, self.raw = plan, rows, raw
        self.bad: Mask = np.zeros(len(rows), np.bool_)
        self.answer = answer
        self._faults = faults
        self._all = len(rows) == answer.rows

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, key: str) -> pa.Array | None:
        """The values of one key of the mapping (n); None where the mapping has it not."""
        slot = self.plan.slots.get(key)
        if slot is None:
            return None
        values = self.answer.values[slot.name]
        return values if self._all else values.take(pa.array(self.rows))

    def text(self, key: str, *, trim: bool = False) -> pa.Array:
        """The texts of one key (n); blank ones are null. Otherwise they stay as they are, but for `trim`."""
        values = self.column(key)
        if values is None:
            return pa.nulls(len(self), pa.string())
        values = values.cast(pa.string())
        trimmed = pc.utf8_trim_whitespace(values)
        kept = trimmed if trim else values
        return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), kept)

    def blame(
        self, mask: Mask, reason: str, slot: Slot | None, values: pa.Array | None, advice: str, *, raw: bool = False
    ) -> None:
        """Notes a reason against the rows of `mask` (n), with what stands in `values` (n) as far as it may be told.

        `values` are what the slot gave, or with `raw` what stands in its raw column.
        """
        at = np.flatnonzero(mask)
        if len(at) == 0:
            return
        self.bad |= mask
        details: pa.Array | str = advice
        if values is not None:
            said = found(
                values.take(pa.array(at)), personal=slot is None or (slot.raw_personal if raw else slot.personal)
            )
            details = pc.binary_join_element_wise(said, advice, "; ")
        self._faults.add(self.rows[at], reason, slot.column if slot is not None else None, details)

    def blame_failures(self) -> None:
        """Notes each expression that raised an error, with the raw value it read first."""
        source = self.plan
        for key, slot in source.slots.items():
            mask = self.answer.fails(slot)[self.rows]
            if key != "when" and mask.any():
                self.blame(
                    mask, "expression_failed", slot, self._first_raw(slot), f"the expression of {key} fails", raw=True
                )

    def _first_raw(self, slot: Slot) -> pa.Array | None:
        if slot.column not in self.raw.column_names:
            return None
        return as_text(self.raw.column(slot.column).combine_chunks()).take(pa.array(self.rows))


class EventMaker:
    """Makes the event of one plan, for one file."""

    def __init__(self, tools: Tools, plan: EventPlan, landed_at: datetime, *, several: bool) -> None:
        self._tools = tools
        self._plan = plan
        self._mapping = plan.mapping
        self._landed_at = landed_at
        self._number_ids = several and (plan.mapping.id is None or plan.mapping.id_from_defaults)

    def make(self, chosen: Selection) -> Made:
        """The events of the chosen rows; rows with a reason against them give none."""
        chosen.blame_failures()
        draft: dict[str, Any] = {}
        times = self._times(chosen, draft)
        self._shown(chosen, draft)
        self._numbers(chosen, draft)
        self._survey(chosen, draft)
        self._roles(chosen, draft)
        at, dated = _instants(draft["occurred_at"])
        usable, erased = self._identifiers(chosen, draft, at, dated)
        draft["source_event_id"] = self._ids(chosen)
        kept = ~chosen.bad & ~erased
        table = pa.table(draft) if kept.all() else pa.table(draft).filter(pa.array(kept))
        events = finish(self._tools, self._plan, table, self._landed_at)
        if self._tools.graves is not None:
            gone = self._tools.graves.events(events["event_id"], _instants(events["occurred_at"])[0])
            erased |= np.isin(chosen.rows, events["row_number"].to_numpy()[gone])
            events = events.filter(pa.array(~gone))
        kept &= ~erased
        resolved = sum(int((t.resolved & kept).sum()) for t in times.values())
        links, bad = self._split(chosen, draft, erased)
        return Made(events, links, bad, chosen.rows[erased], resolved, int((~usable & kept).sum()))

    def _split(self, chosen: Selection, draft: dict[str, Any], erased: Mask) -> tuple[pa.Table, pa.Table]:
        """The links of the good rows and the identifiers of the bad ones; of the erased ones neither."""
        draft = {**draft, "row_number": chosen.rows, "position": np.full(len(chosen), self._plan.position, np.int16)}
        links = pa.table({name: draft[name] for name in LINK_ROWS.names}).cast(LINK_ROWS)
        known = np.asarray(draft["identifier_set"]) != 0
        bad = links.filter(pa.array(chosen.bad & ~erased)).select(BAD_ROWS.names)
        return links.filter(pa.array(known & ~chosen.bad & ~erased)), bad

    def make_links(self, chosen: Selection) -> Made:
        """What reference rows say: no events, and for the time of a link the row's own, else the landing."""
        chosen.blame_failures()
        at = np.full(len(chosen), int(self._landed_at.timestamp() * 1_000_000), np.int64)
        dated = np.zeros(len(chosen), np.bool_)
        values = chosen.column("occurred_at")
        if values is not None:
            times = self._read_time(chosen, "occurred_at", values, optional=True)
            dated = times.verdict == Verdict.FINE
            at = np.where(dated, times.at, at)
        draft: dict[str, Any] = {"persona": chosen.text("persona"), "occurred_at": pa.array(at).cast(_INSTANT)}
        _, erased = self._identifiers(chosen, draft, at, dated)
        events = EVENTS_SCHEMA(self._tools.case_keys).empty_table()
        return Made(events, *self._split(chosen, draft, erased), chosen.rows[erased])

    def _times(self, chosen: Selection, draft: dict[str, Any]) -> dict[str, Times]:
        times: dict[str, Times] = {}
        draft["row"] = chosen.rows
        for key in _TIMES:
            values = chosen.column(key)
            if values is None:
                if key == "occurred_at":
                    chosen.blame(
                        np.ones(len(chosen), np.bool_), "missing_time", None, None, "the mapping has no occurred_at"
                    )
                draft[key] = pa.nulls(len(chosen), _INSTANT)
                continue
            times[key] = self._read_time(chosen, key, values, optional=key != "occurred_at")
            known = times[key].verdict == Verdict.FINE
            draft[key] = pa.array(times[key].at, mask=~known).cast(_INSTANT)
        if "occurred_at" in times and "ended_at" in times:
            start, end = times["occurred_at"], times["ended_at"]
            both = (start.verdict == Verdict.FINE) & (end.verdict == Verdict.FINE)
            slot = chosen.plan.slots["ended_at"]
            texts = chosen.column("ended_at")
            chosen.blame(both & (end.at < start.at), "end_before_start", slot, texts, "it is before occurred_at")
        return times

    def _read_time(self, chosen: Selection, key: str, values: pa.Array, *, optional: bool) -> Times:
        times = self._tools.times.read(values)
        slot = chosen.plan.slots[key]
        failed = chosen.answer.fails(slot)[chosen.rows]
        for verdict in Verdict:
            if verdict == Verdict.FINE or (verdict == Verdict.MISSING_TIME and optional):
                continue
            advice = _ADVICE.get(verdict, f"expected {self._tools.times.expected}")
            mask = (times.verdict == verdict) & ~failed
            chosen.blame(mask, verdict.name.lower(), slot, values, f"{advice} ({key})")
        return times

    def _shown(self, chosen: Selection, draft: dict[str, Any]) -> None:
        for key in _SHOWN:
            draft[key] = chosen.text(key)
        slots = chosen.plan.slots
        activity = slots.get("activity")
        failed = chosen.answer.fails(activity)[chosen.rows] if activity is not None else chosen.bad & False
        missing = _mask(pc.is_null(draft["activity"])) & ~failed
        chosen.blame(
            missing, "missing_activity", activity, None, "an event needs an activity; see the mapping's activity"
        )
        known = pc.is_in(draft["initiator"], value_set=pa.array(INITIATORS))
        unknown = _mask(pc.and_(pc.is_valid(draft["initiator"]), pc.invert(known)))
        advice = f"expected {', '.join(INITIATORS)} or nothing"
        chosen.blame(unknown, "unknown_initiator", slots.get("initiator"), draft["initiator"], advice)
        for name in self._mapping.attributes or {}:
            texts = chosen.column(f"attributes.{name}")
            if slots[f"attributes.{name}"].personal:
                texts = self._tools.pseudonyms.marked(texts, f"attribute{SEPARATOR}{name}", DIGITS)
            draft[f"attribute_{name}"] = texts

    def _numbers(self, chosen: Selection, draft: dict[str, Any]) -> None:
        """`version` and `tie_order`: what is given but is no number (or time) is a failed expression."""
        draft["version"] = pa.nulls(len(chosen), pa.float64())
        draft["tie_order"] = pa.repeat(pa.scalar(0, pa.int64()), len(chosen))
        version, order = chosen.column("version"), chosen.text("tie_order", trim=True)
        slots = chosen.plan.slots
        if version is not None:
            numbers, known, missing = self._tools.times.seconds(version)
            wrong = ~known & ~missing
            chosen.blame(wrong, "expression_failed", slots["version"], version, "expected a number or a time (version)")
            draft["version"] = pa.array(numbers, mask=~known)
        if "tie_order" in slots:
            integers, known = self._tools.integers(order)
            wrong = ~known & _mask(pc.is_valid(order))
            chosen.blame(wrong, "expression_failed", slots["tie_order"], order, "expected an integer (tie_order)")
            draft["tie_order"] = pa.array(integers)

    def _survey(self, chosen: Selection, draft: dict[str, Any]) -> None:
        survey = self._mapping.survey
        if survey is None:
            draft["instrument"] = pa.nulls(len(chosen), pa.string())
            draft["score"] = draft["score_0_100"] = pa.nulls(len(chosen), pa.float64())
            return
        texts = chosen.text("survey.score", trim=True)
        score = self._tools.numbers(texts)
        low, high = sorted((survey.lowest, survey.highest))
        given = _mask(pc.is_valid(texts))
        fine = (score >= low) & (score <= high)  # false for what is no number
        advice = f"expected a number from {survey.lowest:g} (worst) to {survey.highest:g} (best)"
        chosen.blame(given & ~fine, "score_out_of_range", chosen.plan.slots["survey.score"], texts, advice)
        none = ~(given & fine)
        draft["instrument"] = pc.if_else(pa.array(none), pa.scalar(None, pa.string()), survey.instrument)
        draft["score"] = pa.array(score, mask=none)
        # An exact 0 for the worst, whichever end of the scale it is.
        draft["score_0_100"] = pa.array(
            np.abs((score - survey.lowest) / (survey.highest - survey.lowest)) * 100, mask=none
        )

    def _roles(self, chosen: Selection, draft: dict[str, Any]) -> None:
        of = self._tools.pseudonyms.of
        draft["account_id"] = of(chosen.text("account", trim=True), "account", _ROLE_DIGITS)
        mapped = self._mapping.case_keys or {}
        for name in self._tools.case_keys:
            texts = (
                chosen.text(f"case_keys.{name}", trim=True) if name in mapped else pa.nulls(len(chosen), pa.string())
            )
            draft[f"key_{name}"] = of(texts, f"case{SEPARATOR}{name}", _ROLE_DIGITS)

    def _identifiers(self, chosen: Selection, draft: dict[str, Any], at: Positions, dated: Mask) -> tuple[Mask, Mask]:
        """The identifiers of the rows (n): which rows have a usable one, and which are a forgotten person's.

        `at` are the rows' times in µs, of a reference row without one (`dated` is false) the file's landing.
        """
        columns: list[IdentifierColumn] = []
        for number, identifier in enumerate(self._mapping.identifiers or []):
            values = chosen.column(f"identifiers.{number}")
            if values is not None:
                columns.append(self._tools.identifiers.column(identifier.type, values))
        erased, columns = self._forgotten(columns, at, dated)
        found = together(columns, len(chosen))
        draft["identifiers"], draft["identifier_set"], usable = found.lists, found.sets, found.usable
        if self._tools.source.anonymous == "quarantine":
            slot = chosen.plan.slots.get("identifiers.0")
            advice = "no identifier that is neither empty nor guarded; anonymous: keep would keep the event"
            chosen.blame(~usable & ~chosen.bad & ~erased, "no_identifier", slot, None, advice)
        return usable, erased

    def _forgotten(
        self, columns: list[IdentifierColumn], at: Positions, dated: Mask
    ) -> tuple[Mask, list[IdentifierColumn]]:
        """Which rows (n) are a forgotten person's, and the columns without what the others have of such a person."""
        graves = self._tools.graves
        if graves is None or not columns:
            return np.zeros(len(at), np.bool_), columns
        if self._tools.source.kind == "reference":
            judged = graves.judge(columns, at, np.ones(len(at), np.bool_))  # where nothing else is known, the landing
            return judged.erased | (~dated & graves.nothing_else(columns)), judged.columns
        judged = graves.judge(columns, at, dated)
        return judged.erased, judged.columns

    def _ids(self, chosen: Selection) -> pa.Array:
        """`source_event_id`: plain where it is not personal, else a pseudonym; of the whole row where there is none."""
        slot = chosen.plan.slots.get("id")
        texts = chosen.text("id")
        if slot is not None and slot.personal:
            texts = self._tools.pseudonyms.marked(texts, "id", DIGITS)
        if texts.null_count:
            none = np.flatnonzero(_mask(pc.is_null(texts)))
            rows = chosen.raw.take(pa.array(chosen.rows[none]))
            made = pc.binary_join_element_wise(MARK, self._tools.pseudonyms.of_rows(rows, DIGITS), "")
            texts = pc.replace_with_mask(texts, pc.is_null(texts), made)
        if self._number_ids:
            texts = pc.binary_join_element_wise(texts, f"#{self._plan.position}", "")
        return texts


def _instants(values: pa.Array | pa.ChunkedArray) -> tuple[Positions, Mask]:
    """Instants (n) in µs since 1970, 0 for nulls, and which are known."""
    whole = pc.fill_null(values.cast(pa.int64()), 0)
    return np.asarray(whole.to_numpy(), np.int64), _mask(pc.is_valid(values))


def _mask(values: pa.Array) -> Mask:
    return np.asarray(values.to_numpy(zero_copy_only=False), np.bool_)

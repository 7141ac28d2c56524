"""What is odd against the usual: a few rules, each a figure of tonight against the same one of the days or nights before.

When a figure is odd is in `klantspoor.report.usual`. Beside that a difference must be worth telling (the constants below),
and some are odd in one direction only. Of a source its newest delivery is judged, in the night that brings it; that
nothing came is the matter of the mart `freshness`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from klantspoor.marts.deliveries import RECENT_DAYS, Delivery
from klantspoor.report.facts import Activity, Facts, SourceFacts
from klantspoor.report.usual import Usual, of_amount, of_count, of_share
from klantspoor.report.words import counted, listed, percent, span

NIGHT = "night"
WORTH_ROWS = 0.25
"""Rows: by so much more or less than usual, as a share of the usual."""
WORTH_SHARE = 0.02
"""Shares: by so much higher."""
WORTH_MERGED = 10
WORTH_TIME = (1.5, 60.0)
"""Time: so many times the usual, and so many seconds more."""
WORTH_MEMORY = (1.25, 100.0)
"""Memory: so many times the usual, and so many MiB more."""
LAST_NIGHTS = 28
PUBLISHING = "publication"


@dataclass(frozen=True, slots=True)
class Odd:
    """One figure that is odd: by which rule, of what, in words, and in which step's row of `runs` it is said."""

    rule: str
    subject: str
    says: str
    step: str


def oddities(facts: Facts) -> list[Odd]:
    """Everything that is odd about the night."""
    return [*(odd for source in facts.sources for odd in _of_source(source)), *_of_night(facts)]


def _of_source(source: SourceFacts) -> Iterator[Odd]:
    if source.new_activities:
        yield _odd(source, "new_activities", _unseen(source.new_activities))
    if not source.deliveries or source.deliveries[-1].landed_at != source.newest_landed_at:
        return
    *earlier, now = source.deliveries
    # Of a source that comes seldom more deliveries are known than the last weeks'; to be usual they need not be recent.
    before = [delivery for delivery in earlier if not delivery.is_first][-RECENT_DAYS:]
    if source.freshness != "small":
        yield from _rows(source, now, before)
    shares = {
        "quarantined": (
            "of its rows were quarantined",
            [(d.quarantined, d.rows) for d in before],
            now.quarantined,
            now.rows,
        ),
        "late": ("of its events came more than a day late", [(d.late, d.events) for d in before], now.late, now.events),
        "unmapped": (
            "of its events are of activities that no journey type maps",
            [(d.unmapped, d.events) for d in before],
            now.unmapped,
            now.events,
        ),
    }
    for rule, (what, history, part, whole) in shares.items():
        usual = of_share(part, whole, history)
        if usual is not None and usual.is_high and part / whole - usual.median >= WORTH_SHARE:
            yield _odd(source, rule, f"{percent(part / whole)} {what}; usual: {percent(usual.median)}{_of(usual)}")
    yield from _channels(source, now, before)


def _rows(source: SourceFacts, now: Delivery, before: Sequence[Delivery]) -> Iterator[Odd]:
    usual = of_count(now.rows, [(d.age % 7, d.rows) for d in before], now.age % 7)
    if usual is None or not (usual.is_low or usual.is_high):
        return
    if abs(now.rows - usual.median) >= WORTH_ROWS * usual.median:
        yield _odd(source, "rows", f"{counted(now.rows, 'row')} came; usual: {round(usual.median):,}{_of(usual)}")


def _channels(source: SourceFacts, now: Delivery, before: Sequence[Delivery]) -> Iterator[Odd]:
    """Channels through which nothing came, while something came through others."""
    if not now.events:
        return
    gone = []
    for channel in sorted({channel for d in before for channel in d.channels} - set(now.channels)):
        usual = of_count(0, [(d.age % 7, d.channels.get(channel, 0)) for d in before], now.age % 7)
        if usual is not None and usual.is_low:
            gone.append(f"{channel} (usual: {counted(round(usual.median), 'event')})")
    if gone:
        yield _odd(source, "channels", f"nothing came through {listed(gone)}")


def _unseen(activities: Sequence[Activity]) -> str:
    names = [
        f"{a.name} ({counted(a.events, 'event')}{'' if a.is_mapped else ', unmapped'})"
        for a in sorted(activities, key=lambda a: (a.is_mapped, -a.events, a.name))
    ]
    what = "an activity" if len(names) == 1 else f"{len(names)} activities"
    return f"{what} never seen before: {listed(names)}"


def _of_night(facts: Facts) -> Iterator[Odd]:
    if facts.merged is not None:
        merged, before = facts.merged
        usual = of_count(merged, [(0, number) for number in before[-LAST_NIGHTS:]], 0)
        if usual is not None and usual.is_high and merged - usual.median >= WORTH_MERGED:
            says = f"{counted(merged, 'person')} merged into others; usual: {round(usual.median):,} (last {usual.number} nights)"
            yield Odd("merged", NIGHT, says, "identity")
    steps = [step for step in facts.steps if step.step != PUBLISHING and step.elapsed_seconds is not None]
    nights = [night for night in facts.nights if night.status == "published"][-LAST_NIGHTS:]
    if not steps:
        return
    slowest = max(steps, key=lambda step: step.elapsed_seconds or 0.0)
    seconds = sum(step.elapsed_seconds or 0.0 for step in steps)
    usual = of_amount(seconds, [night.seconds for night in nights])
    if usual is not None and usual.is_high and _is_worth(seconds, usual, WORTH_TIME):
        most = f"{slowest.step} took {span(slowest.elapsed_seconds or 0.0)}"
        says = f"it took {span(seconds)}; usual: {span(usual.median)} (last {usual.number} nights); {most}"
        yield Odd("time", NIGHT, says, slowest.step)
    held = [(step.peak_memory_mb, step.step) for step in steps if step.peak_memory_mb is not None]
    if held:
        memory, where = max(held)
        usual = of_amount(memory, [night.memory_mb for night in nights if night.memory_mb is not None])
        if usual is not None and usual.is_high and _is_worth(memory, usual, WORTH_MEMORY):
            says = f"{where} held {memory:,.0f} MiB of memory; usual at most: {usual.median:,.0f} (last {usual.number} nights)"
            yield Odd("memory", NIGHT, says, where)


def _is_worth(value: float, usual: Usual, worth: tuple[float, float]) -> bool:
    times, more = worth
    return value >= times * usual.median and value - usual.median >= more


def _odd(source: SourceFacts, rule: str, says: str) -> Odd:
    return Odd(rule, source.source, says, "ledger")


def _of(usual: Usual) -> str:
    """What the usual is of."""
    return f" (last {usual.number}{' of this weekday' if usual.is_weekday else ' deliveries'})"

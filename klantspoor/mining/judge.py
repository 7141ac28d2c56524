"""How well a model fits the variants it is made from, and how much else it would allow.

- *Fitness*: per variant by alignments (the cheapest way to make it fit the model), as a mean over journeys.
  Alignments can take for ever on some models: they get `ALIGNMENT_SECONDS`; where that is not enough, token-based
  replay judges all of them, and the report says so.
- *Precision*: ETConformance by token-based replay: of what the model allows after each beginning of a variant, how
  much happens, weighted by journeys. The weights are scaled to a log of about `PRECISION_TRACES` traces: its cost
  follows them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from klantspoor.mining.xmltext import quiet_pm4py

ALIGNMENT_SECONDS = 5
PRECISION_TRACES = 1000
_HIDDEN = {"show_progress_bar": False}


@dataclass(frozen=True, slots=True)
class Judgement:
    """Fitness and precision from 0 to 1 (null: there is no model), and how they were computed."""

    fitness: float | None
    precision: float | None
    how: str


def judge(variants: Counter[tuple[str, ...]], net: Any, start: Any, end: Any) -> Judgement:
    """Judge a Petri net (with its initial and final marking) on variants with their journeys."""
    fitness = _aligned(variants, net, start, end)
    method = "alignments"
    if fitness is None:
        fitness, method = _replayed(variants, net, start, end), "token-based replay"
    how = f"fitness: mean over journeys by {method}; precision: ETConformance by token-based replay"
    return Judgement(round(fitness, 6), round(_precision(variants, net, start, end), 6), how)


def _aligned(variants: Counter[tuple[str, ...]], net: Any, start: Any, end: Any) -> float | None:
    """Mean fitness over journeys; None where the alignments were not found in time."""
    quiet_pm4py()
    from pm4py.algo.conformance.alignments.petri_net import algorithm

    limits = {
        algorithm.Parameters.PARAM_MAX_ALIGN_TIME: ALIGNMENT_SECONDS,
        algorithm.Parameters.PARAM_MAX_ALIGN_TIME_TRACE: ALIGNMENT_SECONDS / 4,
    }
    found = algorithm.apply_log(_log(dict.fromkeys(variants, 1)), net, start, end, parameters=_HIDDEN | limits)
    if any(alignment is None for alignment in found):
        return None
    return _mean(variants, [alignment["fitness"] for alignment in found])


def _replayed(variants: Counter[tuple[str, ...]], net: Any, start: Any, end: Any) -> float:
    """Mean fitness over journeys by token-based replay."""
    quiet_pm4py()
    from pm4py.algo.conformance.tokenreplay import algorithm

    found = algorithm.apply(_log(dict.fromkeys(variants, 1)), net, start, end, parameters=_HIDDEN)
    return _mean(variants, [replay["trace_fitness"] for replay in found])


def _precision(variants: Counter[tuple[str, ...]], net: Any, start: Any, end: Any) -> float:
    quiet_pm4py()
    from pm4py.algo.evaluation.precision import algorithm

    whole = variants.total()
    scale = min(1.0, PRECISION_TRACES / whole)
    log = _log({variant: max(1, round(count * scale)) for variant, count in variants.items()})
    token = algorithm.Variants.ETCONFORMANCE_TOKEN
    return float(algorithm.apply(log, net, start, end, variant=token, parameters=_HIDDEN))


def _mean(variants: Counter[tuple[str, ...]], fitness: list[float]) -> float:
    """The mean of the variants' fitness (in their order), each counting for its journeys."""
    return sum(fit * count for fit, count in zip(fitness, variants.values(), strict=True)) / variants.total()


def _log(variants: dict[tuple[str, ...], int]) -> Any:
    """An event log in which each variant occurs as often as given."""
    from pm4py.objects.log.obj import Event, EventLog, Trace

    log = EventLog()
    for variant, times in variants.items():
        trace = Trace([Event({"concept:name": step}) for step in variant])
        for _ in range(times):
            log.append(trace)
    return log

"""Process models of every journey type, from its most frequent variants: BPMN and PNML, with how well they fit.

PM4Py is fed distinct variants with counts, never events. Its inductive miner filters nothing out: what is rare is
already left out by taking only the most frequent variants that cover `limits.model_coverage` of the journeys. So it
allows all of these, and its fitness on them is 1 unless PM4Py errs; how much else it allows, its precision tells, and
how many journeys it is about, `share`. What a model is judged by is in `klantspoor.mining.judge`.

Privacy: variants that fewer than `limits.suppress_below` persons followed do not shape a model, for a model shows the
paths it is made from. Mystery guests' journeys are not in the variants (R21).
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from klantspoor.lake.staging import Staging
from klantspoor.marts.variants import write_all
from klantspoor.mining.judge import Judgement, judge
from klantspoor.mining.xmltext import quiet_pm4py, visible
from klantspoor.project.model import Project

LEVELS = ("phase", "touchpoint")
MOST_VARIANTS = 200
"""No model is made from more variants: beyond that it says nothing, and takes long."""

_CHOSEN = """
    WITH mine AS (
        SELECT sequence, journeys, persons, variant_id, sum(journeys) OVER () AS all_journeys
        FROM read_parquet($file) WHERE journey_type = $journey_type AND level = $level
    ),
    usable AS (
        SELECT *, coalesce(sum(journeys) OVER (ORDER BY journeys DESC, variant_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS covered_before
        FROM mine WHERE persons >= $limit AND len(sequence) > 0
    )
    SELECT sequence, journeys FROM usable WHERE covered_before < $coverage * all_journeys
    ORDER BY journeys DESC, variant_id LIMIT $most
"""
_ALL = """
    SELECT coalesce(sum(journeys), 0)::BIGINT FROM read_parquet($file)
    WHERE journey_type = $journey_type AND level = $level
"""


@dataclass(frozen=True, slots=True)
class Model:
    """One model, or why there is none.

    `journeys` are all of the type; `variants` those the model is made from, followed by `covered_journeys`, which is
    `share` of all. `fitness` and `precision` (0 to 1) are about these variants, weighted by journeys; null where
    there is no model.
    """

    journey_type: str
    level: str
    journeys: int
    variants: int
    covered_journeys: int
    share: float
    fitness: float | None
    precision: float | None
    how: str


@dataclass(frozen=True, slots=True)
class MiningReport:
    """All models of one night, by journey type and level."""

    models: tuple[Model, ...]


def discover(project: Project, staging: Staging) -> MiningReport:
    """Discover a model per journey type at phase and at touchpoint level.

    Writes TYPE_LEVEL.bpmn and TYPE_LEVEL.pnml into `staging.extra("models")`, and models.json: a list of the fields
    of `Model`. Of a journey type without usable variants there are no files, and models.json says why.
    """
    file = staging.work("mining") / "variants.parquet"
    if not file.exists():
        write_all(staging)
    folder = staging.extra("models")
    models = []
    for journey_type in sorted(project.journeys):
        for level in LEVELS:
            variants, journeys = _variants(project, staging, file, journey_type, level)
            models.append(_model(variants, journeys, journey_type, level, folder))
    text = json.dumps([asdict(model) for model in models], indent=2, ensure_ascii=False)
    (folder / "models.json").write_text(text + "\n", encoding="utf-8")
    return MiningReport(tuple(models))


def _variants(
    project: Project, staging: Staging, file: Path, journey_type: str, level: str
) -> tuple[list[tuple[tuple[str, ...], int]], int]:
    """The variants that shape the model, most frequent first, with their journeys; and all journeys of the type."""
    of = {"file": str(file), "journey_type": journey_type, "level": level}
    limits = project.file.limits
    chosen = {"limit": limits.suppress_below, "coverage": limits.model_coverage, "most": MOST_VARIANTS}
    with staging.connect() as con:
        ((journeys,),) = con.execute(_ALL, of).fetchall()
        rows = con.execute(_CHOSEN, of | chosen).fetchall()
    return [(tuple(sequence), int(count)) for sequence, count in rows], int(journeys)


def _model(
    variants: list[tuple[tuple[str, ...], int]], journeys: int, journey_type: str, level: str, folder: Path
) -> Model:
    covered = sum(count for _, count in variants)
    if variants:
        judgement = _discover(variants, folder / f"{journey_type}_{level}")
    else:
        why = "no journeys" if not journeys else "no variant is followed by enough persons to be shown"
        judgement = Judgement(None, None, f"no model: {why}")
    return Model(
        journey_type=journey_type,
        level=level,
        journeys=journeys,
        variants=len(variants),
        covered_journeys=covered,
        share=covered / journeys if journeys else 0.0,
        fitness=judgement.fitness,
        precision=judgement.precision,
        how=judgement.how,
    )


def _discover(variants: list[tuple[tuple[str, ...], int]], path: Path) -> Judgement:
    """Mine, judge and write one model; `path` is without ending."""
    quiet_pm4py()
    from pm4py.algo.discovery.inductive.dtypes.im_ds import IMDataStructureUVCL
    from pm4py.algo.discovery.inductive.variants.im import IMUVCL
    from pm4py.objects.bpmn.exporter import exporter as bpmn_exporter
    from pm4py.objects.conversion.process_tree import converter
    from pm4py.objects.petri_net.exporter import exporter as pnml_exporter
    from pm4py.objects.process_tree.utils import generic

    # Activities are mined by number: PM4Py joins them with commas in places, and their texts may hold any.
    names = sorted({step for sequence, _ in variants for step in sequence})
    number = {name: f"a{place}" for place, name in enumerate(names)}
    counted: Counter[tuple[str, ...]] = Counter()
    for sequence, count in variants:
        counted[tuple(number[step] for step in sequence)] += count
    tree = generic.fold(IMUVCL({}).apply(IMDataStructureUVCL(counted), {}))
    net, start, end = converter.apply(tree, variant=converter.Variants.TO_PETRI_NET)
    judgement = judge(counted, net, start, end)
    labels = {code: visible(name) for name, code in number.items()}
    for transition in net.transitions:
        transition.label = labels.get(transition.label)
    _relabel(tree, labels)
    pnml_exporter.apply(net, start, f"{path}.pnml", final_marking=end)
    bpmn_exporter.apply(converter.apply(tree, variant=converter.Variants.TO_BPMN), f"{path}.bpmn")
    return judgement


def _relabel(tree: Any, labels: dict[str, str]) -> None:
    """Give the leaves of a process tree the activities' names instead of their numbers."""
    if tree.label is not None:
        tree.label = labels[tree.label]
    for child in tree.children:
        _relabel(child, labels)

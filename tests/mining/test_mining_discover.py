"""Discovered models: valid files, honest scores, and nothing in them that only few persons did."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mart_world import AS_OF, Rows, journey_rows, project, stage

from klantspoor.mining import discover
from klantspoor.mining import judge as judging
from klantspoor.mining.xmltext import quiet_pm4py, visible


def journeys_of(paths: list[tuple[list[str], int]]) -> Rows:
    """Journeys of type buy, each of another person: the given touchpoint activities, as often as given."""
    rows: Rows = {"journeys": [], "touchpoints": [], "phase_visits": [], "waits": []}
    template = journey_rows(1, journeys=1)
    for steps, times in paths:
        for _ in range(times):
            number = len(rows["journeys"])
            own = {"journey_id": f"J{number:024x}", "journey_type": "buy"}
            variant = {"variant_id": "|".join(steps), "phase_variant_id": "look", "person_id": f"{number:016x}"}
            rows["journeys"].append(template["journeys"][0] | own | variant | {"is_mystery_guest": False})
            for place, activity in enumerate(steps, start=1):
                at = {"started_at": AS_OF - timedelta(days=9 - place), "ended_at": AS_OF - timedelta(days=9 - place)}
                step = template["touchpoints"][0] | own | at
                rows["touchpoints"].append(step | {"touchpoint_number": place, "activity": activity, "phase": "look"})
            rows["phase_visits"].append(
                {"visit_number": 1, "phase": "look", "phase_number": 1, "entered_at": AS_OF, "left_at": AS_OF}
                | {"dwell_seconds": 0, "touchpoints": len(steps), "main_channel": None, "is_last": True}
                | own
            )
    return rows


def mined(root: Path, paths: list[tuple[list[str], int]], **limits: Any) -> tuple[list[dict[str, Any]], Path]:
    with stage(root, journeys_of(paths)) as staging:
        discover(project(root, limits=limits), staging)
        folder = staging.extra("models")
    return json.loads((folder / "models.json").read_text(encoding="utf-8")), folder


def labels(folder: Path, name: str) -> set[str]:
    quiet_pm4py()
    import pm4py

    net, _, _ = pm4py.read_pnml(str(folder / f"{name}.pnml"))
    bpmn = pm4py.read_bpmn(str(folder / f"{name}.bpmn"))
    in_net = {transition.label for transition in net.transitions if transition.label}
    in_bpmn = {node.get_name() for node in bpmn.get_nodes() if type(node).__name__ == "Task"}
    assert in_net == in_bpmn
    return in_net


def test_any_text_is_an_activity_in_valid_files(tmp_path: Path) -> None:
    hostile = [
        "<script>alert('x')</script>",
        "a\nb\r\tc",
        "null\x00 bell\x07 \x1b[31m",
        "]]>&amp;\"'",
        "\ud7ff\uffff",
        "x" * 10_000,
        "a,b",
    ]
    _, folder = mined(tmp_path, [(hostile, 10)], suppress_below=5)
    assert labels(folder, "buy_touchpoint") == {visible(text) for text in hostile}
    assert len({visible(text) for text in hostile}) == len(hostile)


def test_a_model_of_one_path_is_exact(tmp_path: Path) -> None:
    models, folder = mined(tmp_path, [(["a", "b", "c"], 10)])
    touchpoint = next(m for m in models if m["journey_type"] == "buy" and m["level"] == "touchpoint")
    assert (touchpoint["fitness"], touchpoint["precision"], touchpoint["share"]) == (1.0, 1.0, 1.0)
    assert labels(folder, "buy_touchpoint") == {"a", "b", "c"}
    assert labels(folder, "buy_phase") == {"look"}


def test_paths_of_few_persons_shape_no_model(tmp_path: Path) -> None:
    models, folder = mined(tmp_path, [(["a", "b"], 20), (["a", "rare", "b"], 4)], suppress_below=5, model_coverage=1.0)
    assert labels(folder, "buy_touchpoint") == {"a", "b"}
    touchpoint = next(m for m in models if m["journey_type"] == "buy" and m["level"] == "touchpoint")
    assert (touchpoint["journeys"], touchpoint["variants"], touchpoint["covered_journeys"]) == (24, 1, 20)
    assert touchpoint["share"] == pytest.approx(20 / 24)


def test_the_most_frequent_variants_up_to_the_coverage(tmp_path: Path) -> None:
    paths = [(["a"], 50), (["b"], 30), (["c"], 15), (["d"], 5)]
    models, folder = mined(tmp_path, paths, model_coverage=0.8)
    assert labels(folder, "buy_touchpoint") == {"a", "b"}
    assert models[1]["share"] == pytest.approx(0.8)


def test_a_type_without_journeys_has_no_model_and_says_so(tmp_path: Path) -> None:
    models, folder = mined(tmp_path, [(["a"], 9), (["b"], 3)], suppress_below=5)
    moving = [m for m in models if m["journey_type"] == "moving"]
    assert {m["how"] for m in moving} == {"no model: no journeys"}
    assert {m["fitness"] for m in moving} == {None}
    assert not list(folder.glob("moving*"))


def test_fitness_and_precision_of_a_model_by_hand() -> None:
    """The model is a, then b or c, then d: allowed after nothing: a; after a: b, c; after a b: d; after a c: d."""
    quiet_pm4py()
    from pm4py.objects.conversion.process_tree import converter
    from pm4py.objects.process_tree.utils.generic import parse

    net = converter.apply(parse("->('a', X('b', 'c'), 'd')"), variant=converter.Variants.TO_PETRI_NET)
    # c never happens: of the edges allowed by 10 journeys, a 10, b and c 20, d 10: c escapes 10 times.
    assert judging.judge(Counter({("a", "b", "d"): 10}), *net).precision == pytest.approx(30 / 40)
    # Without b or c one model move is needed: cost 1, of a worst 2 (a, d in the log) + 3 (a, b, d in the model).
    half = judging.judge(Counter({("a", "b", "d"): 30, ("a", "d"): 10}), *net)
    assert half.fitness == pytest.approx((30 * 1.0 + 10 * (1 - 1 / 5)) / 40)
    assert "alignments" in half.how


def test_without_time_for_alignments_token_replay_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet_pm4py()
    from pm4py.objects.conversion.process_tree import converter
    from pm4py.objects.process_tree.utils.generic import parse

    net = converter.apply(parse("->('a', X('b', 'c'), 'd')"), variant=converter.Variants.TO_PETRI_NET)
    monkeypatch.setattr(judging, "ALIGNMENT_SECONDS", -1)
    judged = judging.judge(Counter({("a", "b", "d"): 30, ("a", "c", "d"): 10}), *net)
    assert judged.fitness == 1.0
    assert "fitness: mean over journeys by token-based replay" in judged.how


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mined(tmp_path, [(["a", "b"], 20)])
    assert capfd.readouterr() == ("", "")

"""Two public sets of records of which the truth is known; docs/linkage.md has the figures of the whole sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bench.linkage import DATA, ROOT, b_cubed, clusters, fake_people, historical_figures
from klantspoor.linkage import LinkageSettings, find_links

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/people beside the project"),
]


def judge(records: pa.Table, tmp_path: Path) -> tuple[float, float, float]:
    result = find_links(records, LinkageSettings(scratch=tmp_path))
    ids = records["record"].to_pylist()
    found = clusters(ids, result.links["left"].to_pylist(), result.links["right"].to_pylist())
    return b_cubed(records["cluster"].to_pylist(), found)


def test_historical_figures_are_told_apart(tmp_path: Path) -> None:
    everybody = historical_figures()
    persons = np.sort(pc.unique(everybody["cluster"]).to_numpy(zero_copy_only=False))[:800]
    records = everybody.filter(pc.is_in(everybody["cluster"], pa.array(persons)))
    precision, recall, f1 = judge(records, tmp_path)
    assert precision > 0.97
    assert recall > 0.8
    assert f1 > 0.9


def test_made_up_people_with_many_errors_are_found(tmp_path: Path) -> None:
    precision, recall, _ = judge(fake_people(), tmp_path)
    assert precision > 0.99
    assert recall > 0.75


def test_b_cubed_is_what_its_definition_says() -> None:
    truth, found = ["a", "a", "a", "b", "b"], [0, 0, 1, 1, 1]
    # By hand: precisions 1, 1, 1/3, 2/3, 2/3; recalls 2/3, 2/3, 1/3, 1, 1.
    precision, recall = (1 + 1 + 1 / 3 + 2 / 3 + 2 / 3) / 5, (2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5
    assert b_cubed(truth, found) == pytest.approx((precision, recall, 2 * precision * recall / (precision + recall)))
    assert ROOT.joinpath("klantspoor").is_dir()

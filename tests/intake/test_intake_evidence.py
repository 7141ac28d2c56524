"""Fuzzy evidence in the ledger: kept whole, the newest counts, and no file taken in is confused with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from intake_world import SIMPLE, World

from klantspoor.errors import LakeError
from klantspoor.intake import EVIDENCE_SCHEMA, Ledger, evidence, linkage_evidence
from klantspoor.intake.evidence import evidence_files, keep_evidence

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


def links(*pairs: tuple[str, str]) -> pa.Table:
    rows = [
        {"left": a, "right": b, "weight": 9.5, "probability": 0.998, "agreed": ["email"], "differed": ["city"]}
        for a, b in pairs
    ]
    text = pa.list_(pa.string())
    kinds = [pa.string(), pa.string(), pa.float64(), pa.float64(), text, text]
    names = ("left", "right", "weight", "probability", "agreed", "differed")
    return pa.Table.from_pylist(rows, pa.schema(list(zip(names, kinds, strict=True))))


def test_a_lake_without_a_run_has_none(tmp_path: Path) -> None:
    assert linkage_evidence(tmp_path / "lake").equals(EVIDENCE_SCHEMA.empty_table())
    assert not (tmp_path / "lake").exists()


def test_the_newest_run_counts(tmp_path: Path) -> None:
    first = keep_evidence(tmp_path, links(("customer:aa", "email:bb"), ("customer:aa", "customer:cc")), NOON)
    assert linkage_evidence(tmp_path).to_pylist()[0] == {
        "left_type": "customer", "left": "aa", "right_type": "email", "right": "bb", "weight": 9.5, "probability": 0.998,
        "agreed": ["email"], "differed": ["city"], "found_at": NOON,
    }  # fmt: skip
    second = keep_evidence(tmp_path, links(), NOON + timedelta(days=7))
    assert [first.name, second.name] == ["000001.parquet", "000002.parquet"]
    assert linkage_evidence(tmp_path).num_rows == 0
    assert linkage_evidence(tmp_path).schema.equals(EVIDENCE_SCHEMA)
    # Runs are told apart by number: the millionth is newer than the last of six digits.
    first.rename(first.with_name("1000000.parquet"))
    assert linkage_evidence(tmp_path).num_rows == 2
    assert [path.stem for path in evidence_files(tmp_path)] == ["000002", "1000000"]


def test_what_a_crash_leaves_is_no_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = keep_evidence(tmp_path, links(("customer:aa", "customer:bb")), NOON)

    def crash(_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(evidence, "sync", crash)
        with pytest.raises(KeyboardInterrupt):
            keep_evidence(tmp_path, links(), NOON)
    assert linkage_evidence(tmp_path).num_rows == 1
    assert [path.name for path in kept.parent.iterdir()] == ["000001.parquet"]
    with Ledger(tmp_path).writing():
        assert sorted(path.name for path in kept.parents[1].iterdir()) == [".lock", "linkage"]
        assert keep_evidence(tmp_path, links(), NOON).name == "000002.parquet"


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    keep_evidence(tmp_path, links(), NOON).write_bytes(b"nothing")
    with pytest.raises(LakeError, match=r"ledger/linkage/000001\.parquet cannot be read"):
        linkage_evidence(tmp_path)


def test_nights_go_on_beside_it(world: World) -> None:
    world.source(defaults=SIMPLE)
    keep_evidence(world.root / "lake", links(("customer:aa", "customer:bb")), NOON)
    world.land("crm.csv", "id,moment,activity,customer\n1,2024-05-01 10:00:00,call,C1\n")
    world.night()
    assert [file.record.sequence for file in Ledger(world.root / "lake").files()] == [1]
    assert linkage_evidence(world.root / "lake").num_rows == 1

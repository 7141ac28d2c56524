"""A run of the linkage: from the vault's records to evidence in the ledger, with nothing left on the way."""

from __future__ import annotations

import random
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from klantspoor.errors import ConfigError, LakeError, LinkageError
from klantspoor.identity.duplicates import find_duplicates
from klantspoor.intake import Ledger, linkage_evidence, read_records, take_in
from klantspoor.linkage import LINKS, LinkageReport, LinkageResult, LinkageSettings
from klantspoor.project.model import Project

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
FIRST = ["Anna", "Bram", "Cees", "Daan", "Eva", "Fleur", "Gijs", "Hanna", "Iris", "Joost", "Karin", "Lars"]
LAST = ["Bakker", "Visser", "Smit", "Mulder", "Bos", "Vos", "Peters", "Hendriks", "Dekker", "Brouwer", "Koning", "Maas"]
REPORT = LinkageReport(
    records=2, fields=("last_name",), compared=1, links=1, held_back=0, prior=0.5, rules=(), levels=(), trained_on={},
    warnings=(),
)  # fmt: skip


def project(root: Path, linkage: dict[str, Any] | None, *rows: str) -> Project:
    record = {"first_name": "first", "last_name": "last", "birth_date": "born", "city": "city", "email": "mail"}
    source = {
        "source": "list", "title": "List", "kind": "reference", "files": ["*.csv"], "reader": {"format": "csv"},
        "defaults": {"identifiers": [{"type": "customer", "value": "nr"}], "record": record},
    }  # fmt: skip
    file = {
        "name": "Test", "timezone": "UTC", "pseudonym_key": {"env": "KLANTSPOOR_TEST_KEY"}, "linkage": linkage,
        "identifiers": {"customer": {"priority": 1}},
    }  # fmt: skip
    (root / "landing").mkdir()
    (root / "landing" / "list.csv").write_text("nr,first,last,born,city,mail\n" + "".join(f"{row}\n" for row in rows))
    made = Project.model_validate({"root": str(root), "file": file, "sources": {"list": source}, "journeys": {}})
    take_in(made, root / "lake", NOON)
    return made


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "k" * 20)


def test_a_run_hands_on_the_records_and_keeps_the_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def compare(records: pa.Table, settings: LinkageSettings) -> LinkageResult:
        scratch = settings.scratch
        assert scratch is not None
        assert scratch.parent == tmp_path / "vault"  # what is spilled is personal too
        assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
        with pytest.raises(LakeError, match="another run"), Ledger(tmp_path / "lake").writing():
            pass
        given.extend((records, settings))
        left, right = sorted(records["record"].to_pylist())
        row = {
            "left": left,
            "right": right,
            "weight": 7.0,
            "probability": 0.99,
            "agreed": ["last_name"],
            "differed": [],
        }
        return LinkageResult(pa.Table.from_pylist([row], LINKS), REPORT)

    monkeypatch.setattr("klantspoor.linkage.find_links", compare)
    made = project(tmp_path, {"threshold": 0.9, "max_pairs": 5, "seed": 3}, "C1,A,B,,,", "C2,A,B,,,")
    found = find_duplicates(made, tmp_path / "lake", NOON)
    records, settings = given
    assert records.equals(read_records(made))
    assert (settings.threshold, settings.max_pairs, settings.seed) == (0.9, 5, 3)
    assert found.report is REPORT
    (row,) = linkage_evidence(tmp_path / "lake").to_pylist()
    assert (row["left_type"], row["right_type"], row["found_at"]) == ("customer", "customer", NOON)
    assert [f"customer:{row['left']}", f"customer:{row['right']}"] == sorted(records["record"].to_pylist())
    assert [path.suffix for path in (tmp_path / "vault").iterdir()] == [".parquet"]


def test_without_linkage_or_records_it_says_what_is_missing(tmp_path: Path) -> None:
    one = project(tmp_path, {}, "C1,A,B,,,")
    with pytest.raises(LinkageError, match=r"holds 1 record\(s\)"):
        find_duplicates(one, tmp_path / "lake", NOON)
    none = one.model_copy(update={"file": one.file.model_copy(update={"linkage": None})})
    with pytest.raises(ConfigError, match="linkage: is not there"):
        find_duplicates(none, tmp_path / "lake", NOON)
    assert not (tmp_path / "lake" / "ledger" / "linkage").exists()


def test_a_failure_leaves_the_evidence_there_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise LinkageError("comparing the records failed")

    made = project(tmp_path, {}, "C1,A,B,,,", "C2,A,B,,,")
    monkeypatch.setattr("klantspoor.linkage.find_links", fail)
    with pytest.raises(LinkageError):
        find_duplicates(made, tmp_path / "lake", NOON)
    assert linkage_evidence(tmp_path / "lake").num_rows == 0
    assert [path.suffix for path in (tmp_path / "vault").iterdir()] == [".parquet"]


def test_mistyped_duplicates_are_found_and_nothing_plain_reaches_the_lake(tmp_path: Path) -> None:
    pytest.importorskip("splink", reason="the extra linkage is not installed")
    chance = random.Random(5)
    rows, twins = [], []
    for number in range(600):
        first, last = chance.choice(FIRST), f"{chance.choice(LAST)}{chance.choice(LAST).lower()}"
        born = f"19{chance.randrange(40, 99)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}"
        mail = f"{chance.getrandbits(40):010x}@example.org"
        rows.append(f"C{number},{first},{last},{born},Zoetermeer,{mail}")
        if number % 4 == 0:
            rows.append(f"D{number},{first},{last[:2]}{last[3:]},{born},Zoetermeer,{mail}")
            twins.append(number)
    made = project(tmp_path, {}, *rows)
    found = find_duplicates(made, tmp_path / "lake", NOON)
    pairs = linkage_evidence(tmp_path / "lake")
    names = {record["record"]: record["email"] for record in read_records(made).to_pylist()}
    same = [
        names[f"customer:{row['left']}"] == names[f"customer:{row['right']}"]
        for row in pairs.select(["left", "right"]).to_pylist()
    ]
    assert sum(same) >= 0.9 * len(twins)
    assert same.count(False) <= 0.05 * len(same)
    assert found.report.links == pairs.num_rows
    lake = b"".join(path.read_bytes() for path in (tmp_path / "lake").rglob("*") if path.is_file())
    assert all(text not in lake for text in (b"Zoetermeer", b"example.org", b"bakker", b"Bakker"))

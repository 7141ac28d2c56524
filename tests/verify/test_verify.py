"""Verifying a lake: what was planted is found, what happens meanwhile changes no verdict, and nothing stays behind."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from klantspoor.errors import LakeError
from klantspoor.forget import forget, person_with
from klantspoor.identity.typed import made_of
from klantspoor.intake.evidence import EVIDENCE_SCHEMA
from klantspoor.lake import BusyError, Lake
from klantspoor.rotation import rotate
from klantspoor.verify import Report, rebuild, verify
from tests.verify.verify_world import DAY, FIRST_NIGHT, JOURNEY, Company, found

SECOND_NIGHT = FIRST_NIGHT + DAY


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return found(tmp_path_factory.mktemp("verify") / "company").root


@pytest.fixture
def company(first: Path, tmp_path: Path) -> Company:
    """A company of its own after its first night; a copy keeps when its files were written."""
    return Company(shutil.copytree(first, tmp_path / "company"))


def run(company: Company) -> Report:
    return verify(company.project, company.lake)


def files(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_ino for path in root.rglob("*")}


def rewrite(company: Company, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Changes the rows of a published table's first file that has any, as no software of ours does."""
    for path in sorted((company.version.root / table).rglob("*.parquet")):
        rows = pq.read_table(path, partitioning=None)
        if rows.num_rows:
            pq.write_table(change(rows), path)
            return
    raise AssertionError(table)


def set_cell(rows: pa.Table, column: str, value: Any) -> pa.Table:
    values = [value, *rows[column].to_pylist()[1:]]
    at = rows.schema.get_field_index(column)
    return rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type))


def test_what_was_published_is_what_the_ledger_says(company: Company) -> None:
    before = files(company.root)
    report = run(company)
    assert (report.verdict, report.differences, report.changed) == ("equal", (), ())
    assert (report.version, report.as_of, report.files) == ("000001", FIRST_NIGHT, 3)
    assert report.rows["events"] == 119
    assert not set(report.rows) & {"runs", "person_aliases"}
    assert files(company.root) == before, "nothing is left, and nothing was touched"


def test_so_it_is_after_more_nights(company: Company) -> None:
    company.land_calls(35, 60, SECOND_NIGHT - DAY / 2)
    company.decide("forbid", "K4", "K5")
    company.night(SECOND_NIGHT)
    company.land_calls(55, 70, SECOND_NIGHT + DAY / 2)
    company.night(SECOND_NIGHT + DAY)
    report = run(company)
    assert (report.verdict, report.version, report.files) == ("equal", "000003", 5)


@pytest.mark.parametrize(
    ("table", "change", "counts", "columns"),
    [
        ("waits", lambda rows: set_cell(rows, "seconds", 1), (1, 1), (("seconds", 1),)),
        ("experiences", lambda rows: set_cell(rows, "score", 3.25), (1, 1), (("score", 1),)),
        ("events", lambda rows: rows.slice(1), (0, 1), ()),
        ("journeys", lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]), (1, 0), ()),
        ("identities", lambda rows: pa.concat_tables([rows.slice(2), rows.slice(2, 1)]), (1, 2), ()),
    ],
)
def test_what_was_planted_is_found(
    company: Company, table: str, change: Callable[[pa.Table], pa.Table], counts: tuple[int, int], columns: Any
) -> None:
    rewrite(company, table, change)
    report = run(company)
    assert report.verdict == "different"
    [difference] = report.differences
    assert difference.table == table
    assert (difference.only_one, difference.only_other) == counts
    assert difference.columns == columns
    assert [len(keys) for keys in (difference.keys_one, difference.keys_other)] == list(counts)


def test_the_smallest_change_of_a_number_is_found(company: Company) -> None:
    changed = []

    def change(rows: pa.Table) -> pa.Table:
        value = rows["wait_median_hours"][0].as_py()
        changed.append(value)
        return set_cell(rows, "wait_median_hours", value * (1 + 2**-52))

    rewrite(company, "directly_follows", change)
    assert changed[0] > 0
    [difference] = run(company).differences
    assert difference.columns == (("wait_median_hours", 1),)


Meanwhile = Callable[[Callable[[], None]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Has something happen when all is pinned, before anything is rebuilt."""
    build = rebuild.build

    def arrange(call: Callable[[], None]) -> None:
        def after(*given: Any) -> None:
            call()
            build(*given)

        monkeypatch.setattr(rebuild, "build", after)

    return arrange


def test_a_night_may_be_published_meanwhile(company: Company, meanwhile: Meanwhile) -> None:
    def night() -> None:
        company.land_calls(38, 60, SECOND_NIGHT - DAY / 2)
        company.decide("forbid", "K4", "K5", timedelta(minutes=1))
        company.night(SECOND_NIGHT)
        shutil.rmtree(company.lake.versions / "000001")  # as if many nights had passed

    meanwhile(night)
    report = run(company)
    assert (report.verdict, report.version, report.changed) == ("equal", "000001", ())
    assert company.version.name == "000002"


def test_the_key_may_be_rotated_meanwhile(company: Company, meanwhile: Meanwhile) -> None:
    def turn() -> None:
        assert rotate(company.project).outcome == "rotated"

    meanwhile(turn)
    assert run(company).verdict == "equal"
    report = run(company)
    assert report.verdict == "changed"
    assert sum(said.endswith("was written anew") for said in report.changed) == 3


def test_who_forgets_a_person_meanwhile_leaves_no_trace_in_the_rebuild(company: Company, meanwhile: Meanwhile) -> None:
    def erase() -> None:
        assert (company.lake.root / "verifying").is_dir()
        forget(company.project, company.lake, person(company, "K7"))
        assert not (company.lake.root / "verifying").exists()

    meanwhile(erase)
    with pytest.raises(LakeError, match="person was forgotten meanwhile"):
        run(company)
    assert not list(company.lake.root.glob("*verifying*"))


def person(company: Company, value: str) -> str:
    return person_with(company.version, made_of(company.project, "customer", value).identifier)


def test_decisions_and_evidence_of_later_do_not_count(company: Company) -> None:
    held = [made_of(company.project, "customer", value).identifier for value in ("K20", "K21")]
    company.decide("force", "K10", "K11", timedelta(minutes=1))
    pair = {
        "left_type": "customer", "left": held[0].identifier, "right_type": "customer", "right": held[1].identifier,
        "weight": 20.0, "probability": 1.0, "agreed": [], "differed": [], "found_at": datetime.now(UTC),
    }  # fmt: skip
    (company.lake.ledger / "linkage").mkdir()
    pq.write_table(pa.Table.from_pylist([pair], EVIDENCE_SCHEMA), company.lake.ledger / "linkage/000001.parquet")
    report = run(company)
    assert (report.verdict, report.version, report.changed) == ("equal", "000001", ())
    company.night(SECOND_NIGHT)
    rows = company.tables()["identities"]
    persons = {row["identifier"]: row["person_id"] for row in rows}
    assert persons[held[0].identifier] == persons[held[1].identifier], "now they do"
    assert run(company).verdict == "equal"


def change_journey(company: Company) -> None:
    (company.root / "journeys/moving.yaml").write_text(yaml.safe_dump(JOURNEY | {"title": "Moved"}), "utf-8")


def add_source(company: Company) -> None:
    text = (company.root / "sources/calls.yaml").read_text("utf-8")
    (company.root / "sources/later.yaml").write_text(text.replace("calls", "later"), "utf-8")


def take_source_away(company: Company) -> None:
    (company.root / "sources/clients.yaml").unlink()


def read_again(company: Company) -> None:
    shutil.rmtree(next(company.lake.ledger.glob("00000002-*")))


def forget_somebody(company: Company) -> None:
    forget(company.project, company.lake, person(company, "K7"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (change_journey, "journeys/moving.yaml was changed"),
        (add_source, "sources/later.yaml was changed"),
        (take_source_away, "sources/ has other files"),
        (read_again, "is gone"),
        (forget_somebody, "tombstones.parquet was written anew: a person was forgotten"),
    ],
)
def test_what_was_changed_since_is_said_instead_of_a_false_difference(
    company: Company, change: Callable[[Company], None], told: str
) -> None:
    change(company)
    report = run(company)
    assert report.verdict == "changed"
    assert any(told in said for said in report.changed), report.changed
    assert report.differences == ()


def test_a_decision_of_the_moment_in_which_they_were_read_is_told(company: Company) -> None:
    company.decide("forbid", "K4", "K5")

    def longer(rows: pa.Table) -> pa.Table:
        """As if identity had gone on until after the decision."""
        at = rows.schema.get_field_index("elapsed_seconds")
        seconds = pc.if_else(pc.equal(rows["step"], "identity"), 1e6, rows["elapsed_seconds"])
        return rows.set_column(at, rows.schema.field(at), seconds)

    rewrite(company, "runs", longer)
    assert run(company).changed == ("identity-decisions.jsonl: a decision was taken while that night was reading them",)


def test_nothing_is_left_when_the_rebuild_fails(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rebuild, "build", fail)
    before = files(company.root)
    with pytest.raises(OSError, match="No space"):
        run(company)
    assert files(company.root) == before


def test_a_folder_elsewhere_is_made_and_removed(company: Company, tmp_path: Path) -> None:
    aside = tmp_path / "deep" / "aside"
    assert verify(company.project, company.lake, aside).verdict == "equal"
    assert not aside.exists()
    aside.mkdir()
    (aside / "mine.txt").write_text("mine")
    with pytest.raises(LakeError, match=r"mine\.txt"):
        verify(company.project, company.lake, aside)
    assert (aside / "mine.txt").read_text() == "mine"


def test_where_links_fail_files_are_copied(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", fail)
    assert run(company).verdict == "equal"


def test_before_the_first_night_there_is_nothing_to_verify(tmp_path: Path, company: Company) -> None:
    with pytest.raises(LakeError, match="Nothing has been published yet"):
        verify(company.project, Lake(tmp_path / "empty"))


@pytest.fixture
def left(company: Company) -> Iterator[Path]:
    """What a verification left whose process was killed."""
    folder = company.lake.root / "verifying"
    (folder / "lake").mkdir(parents=True)
    (folder / "lake" / "rows").write_text("of somebody")
    (folder / ".klantspoor-verifying").touch()
    yield folder


def test_what_a_killed_one_left_is_removed_by_the_next_night(company: Company, left: Path) -> None:
    company.night(SECOND_NIGHT)
    assert not left.exists()


def test_what_a_killed_one_left_is_removed_by_the_next_verification(company: Company, left: Path) -> None:
    assert run(company).verdict == "equal"
    assert not left.exists()


def test_one_verification_at_a_time_and_nights_leave_it_alone(company: Company, left: Path) -> None:
    with (left / ".klantspoor-verifying").open() as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another verification"):
            run(company)
        company.night(SECOND_NIGHT + timedelta(hours=1))
        assert (left / "lake" / "rows").exists()

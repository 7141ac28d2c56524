"""The vault: what rows say of persons, kept apart, for its owner alone, once, and no byte of it anywhere else."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_world import AS_OF, KEY, SIMPLE, World, take_csv

from klantspoor.errors import ConfigError, IntakeError, LakeError
from klantspoor.intake import VAULT_SCHEMA, Vault, preview, read_records, take
from klantspoor.intake.vault import FIELDS
from klantspoor.linkage import KINDS
from klantspoor.project.model import RecordField

HEAD = "id,moment,activity,customer,mail,first,last,born\n"
RECORD = {"first_name": "first", "last_name": "last", "birth_date": "born"}
BOTH = [{"type": "customer", "value": "customer"}, {"type": "email", "value": "mail"}]
MAPPING = SIMPLE | {"identifiers": BOTH, "record": RECORD}
MAY = datetime(2024, 5, 1, 10, tzinfo=UTC)


def line(number: int, customer: str, mail: str, first: str, last: str = "", born: str = "", day: int = 1) -> str:
    return f"{number},2024-05-{day:02d} 10:00:00,call,{customer},{mail},{first},{last},{born}\n"


def vault(world: World) -> list[Path]:
    folder = world.root / "vault"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def kept(world: World, index: int = -1) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(vault(world)[index]).to_pylist()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def told(world: World) -> list[dict[str, Any]]:
    """The records, without the fields that nobody knows."""
    return [{k: v for k, v in row.items() if v is not None} for row in read_records(world.project).to_pylist()]


def test_the_fields_are_those_that_linkage_compares() -> None:
    assert get_args(RecordField) == KINDS == FIELDS


def test_a_vault_file_lies_beside_its_ledger_folder_for_its_owner_alone(world: World) -> None:
    old = os.umask(0)
    try:
        take_csv(world, HEAD + line(1, "C1", "", " Ann ", "Pool", "1980-02-03"), defaults=MAPPING)
    finally:
        os.umask(old)
    (path,) = vault(world)
    assert path.stem == world.ledger[0].path.name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert pq.read_schema(path).equals(VAULT_SCHEMA)
    pseudonym = world.events()[0]["identifiers"][0]["identifier"]
    assert kept(world) == [
        {"record_type": "customer", "record": pseudonym, "row_number": 1, "seen_at": MAY, "first_name": "Ann",
         "last_name": "Pool", "birth_date": "1980-02-03"}
    ]  # fmt: skip


def test_a_record_is_that_of_the_most_trusted_usable_identifier(world: World) -> None:
    rows = [
        line(1, "C1", "a@x.nl", "both"), line(2, "", "b@x.nl", "mail"), line(3, "TEST1", "c@x.nl", "tester"),
        line(4, "", "", "nobody"), line(5, "TEST2", "d@example.test", "guarded"), line(6, "C6", "", ""),
    ]  # fmt: skip
    take_csv(world, HEAD + "".join(rows), defaults=MAPPING | {"identifiers": BOTH[::-1]})
    assert [(r["record_type"], r["first_name"]) for r in kept(world)] == [
        ("customer", "both"), ("email", "mail"), ("email", "tester"),
    ]  # fmt: skip
    held = {e["row_number"]: {i["type"]: i["identifier"] for i in e["identifiers"]} for e in world.events()}
    assert [r["record"] for r in kept(world)] == [held[1]["customer"], held[2]["email"], held[3]["email"]]


def test_what_was_said_twice_is_kept_once_as_it_was_said_last(world: World) -> None:
    rows = [line(1, "C1", "", "Ann", day=3), line(2, "C1", "", "Ann", day=1), line(3, "C1", "", "Anne", day=2),
            line(4, "C2", "", "Ann", day=1)]  # fmt: skip
    take_csv(world, HEAD + "".join(rows), defaults=MAPPING)
    assert [(r["row_number"], r["first_name"], r["seen_at"].day) for r in kept(world)] == [
        (1, "Ann", 3), (3, "Anne", 2), (4, "Ann", 1),
    ]  # fmt: skip


CELL = st.sampled_from(["", "x", "y"])


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(["", "C1", "C2"]), CELL, CELL, st.integers(1, 3)), max_size=6), max_size=3
    )
)
def test_records_are_the_newest_known_value_of_each_field(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[tuple[str, str, str, int]]]
) -> None:
    world = World(tmp_path_factory.mktemp("vault"))
    world.source(defaults=MAPPING)
    expected: dict[str, dict[str, tuple[tuple[int, int, int], str]]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KLANTSPOOR_TEST_KEY", KEY)
        for number, rows in enumerate(files, start=1):
            text = HEAD + "".join(line(i, c, f"{number}@x", f, s, day=d) for i, (c, f, s, d) in enumerate(rows))
            world.land(f"crm{number}.csv", text, datetime(2024, 5, 31, number, tzinfo=UTC))
            world.night()
            for i, (customer, first, last, day) in enumerate(rows):
                for name, value in (("first_name", first), ("last_name", last)):
                    if value and customer:
                        said = expected.setdefault(customer, {})
                        said[name] = max(said.get(name, ((0, 0, 0), "")), ((day, number, i), value))
        records = [record for record in told(world) if record["record"].startswith("customer:")]
        names = [{k: v for k, v in record.items() if k.endswith("_name")} for record in records]
    assert sorted(map(repr, map(sorted, (n.items() for n in names)))) == sorted(
        repr(sorted((name, value) for name, (_, value) in said.items())) for said in expected.values()
    )


def test_records_come_as_linkage_reads_them(world: World) -> None:
    world.source(defaults=MAPPING)
    world.source(
        "list", kind="reference", defaults={"identifiers": BOTH, "record": {"last_name": "last", "city": "born"}}
    )
    world.land("crm.csv", HEAD + line(1, "C1", "", "Ann", "Pool", day=2) + line(2, "C2", "", "Bo"))
    world.land("list.csv", HEAD + line(7, "C1", "", "Nobody reads this", "Jansen", "Delft"))
    world.night()
    records = read_records(world.project)
    assert records.schema.names == ["record", "sequence", *FIELDS]
    one, two = sorted(told(world), key=lambda record: record["first_name"])
    customer = next(e["identifiers"][0]["identifier"] for e in world.events(0) if e["row_number"] == 1)
    # The list has no time of its own: its landing, the 31st, is later than the call.
    assert one == {
        "record": f"customer:{customer}", "sequence": 2, "first_name": "Ann", "last_name": "Jansen", "city": "Delft",
    }  # fmt: skip
    assert (two["sequence"], two["first_name"]) == (1, "Bo")
    assert records["record"].to_pylist() == sorted(records["record"].to_pylist())


def test_a_project_without_records_has_no_vault(world: World) -> None:
    take_csv(world, HEAD + line(1, "C1", "", "Ann"), defaults=SIMPLE)
    assert not (world.root / "vault").exists()
    assert read_records(world.project).num_rows == 0
    assert read_records(world.project).schema.names == ["record", "sequence", *FIELDS]


# --- where it may lie ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["lake/vault", "landing/vault", "lake", ".", "lake/../landing/x", "link/vault"])
def test_it_never_lies_in_the_lake_or_the_landing_folder(world: World, folder: str) -> None:
    world.source(defaults=MAPPING)
    (world.root / "lake").mkdir()
    (world.root / "link").symlink_to(world.root / "lake")
    world.land("crm.csv", HEAD + line(1, "C1", "", "Ann"))
    project = world.project
    project = project.model_copy(update={"file": project.file.model_copy(update={"vault": folder})})
    with pytest.raises(ConfigError, match="vault: lies in the"):
        take.take_in(project, world.root / "lake", AS_OF)
    assert world.ledger == []


# --- crashes ---------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("when", ["before the vault file", "after the vault file"])
def test_a_crash_leaves_nothing_that_counts(world: World, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    def crash(*_: object) -> None:
        raise Crash

    world.source(defaults=MAPPING)
    world.land("crm.csv", HEAD + line(1, "C1", "", "Ann"))
    with monkeypatch.context() as patch:
        where = "klantspoor.intake.vault.VaultPart.keep" if "before" in when else "klantspoor.intake.ledger.Ledger.add"
        patch.setattr(where, crash)
        with pytest.raises(Crash):
            world.night()
    assert len(vault(world)) == 1  # a file aside, or one without its ledger folder
    assert told(world) == []
    world.land("crm.csv", HEAD + line(1, "C1", "", "Anne"))
    world.night()
    assert [path.stem for path in vault(world)] == [file.path.name for file in world.ledger]
    assert [record["first_name"] for record in told(world)] == ["Anne"]


def test_a_file_that_is_not_used_leaves_no_record(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault_at_the_end(*_: object) -> None:
        (rows,) = (world.root / "vault").rglob("rows.parquet")  # its records are written by then
        assert stat.S_IMODE(rows.stat().st_mode) == 0o600
        raise IntakeError("unreadable_file", "its last row is broken")

    world.source(defaults=MAPPING)
    world.land("crm.csv", HEAD + line(1, "C1", "", "Ann"))
    with monkeypatch.context() as patch:
        patch.setattr("klantspoor.intake.reading._write_links", fault_at_the_end)
        assert [file.outcome for file in world.night().files] == ["quarantined"]
    assert vault(world) == []
    changing = world.land("crm2.csv", HEAD + line(2, "C2", "", "Bo"))
    real = take.read_file

    def meddle(*given: Any) -> Any:
        done = real(*given)
        changing.write_text("other")
        return done

    monkeypatch.setattr(take, "read_file", meddle)
    assert [file.outcome for file in world.night().files] == ["known", "changing"]
    assert vault(world) == []


def test_a_bad_row_leaves_no_record(world: World) -> None:
    rows = line(1, "C1", "", "Ann").replace("2024-05-01", "someday") + line(2, "C2", "", "Bo")
    take_csv(world, HEAD + rows, defaults=MAPPING)
    assert [record["first_name"] for record in kept(world)] == ["Bo"]


def test_a_file_whose_ledger_folder_was_removed_goes_with_it(world: World) -> None:
    take_csv(world, HEAD + line(1, "C1", "", "Ann"), defaults=MAPPING)
    world.land("crm2.csv", HEAD + line(2, "C2", "", "Bo"))
    world.night()
    folder = world.ledger[0].path
    for part in folder.iterdir():
        part.unlink()
    folder.rmdir()
    assert [record["first_name"] for record in told(world)] == ["Bo"]
    (world.root / "landing" / "crm.csv").unlink()
    world.night()
    assert [path.stem for path in vault(world)] == [file.path.name for file in world.ledger]


def test_a_ledger_that_knows_nothing_empties_no_vault(world: World) -> None:
    """It may be another folder than it was, or a disk that is not mounted."""
    take_csv(world, HEAD + line(1, "C1", "", "Ann"), defaults=MAPPING)
    (world.root / "lake").rename(world.root / "elsewhere")
    (world.root / "landing" / "crm.csv").unlink()
    world.night()
    assert len(vault(world)) == 1


def test_what_was_never_finished_is_swept(world: World) -> None:
    take_csv(world, HEAD + line(1, "C1", "", "Ann"), defaults=MAPPING)
    (path,) = Vault(world.project).files()
    for name in (".tmp-00000007", ".tmp-scratch", ".tmp-rotating"):
        (world.root / "vault" / name).mkdir()
    world.night()
    assert [each.name for each in vault(world)] == [path.name]
    assert len(told(world)) == 1


def test_a_broken_vault_file_is_named_without_its_content(world: World) -> None:
    take_csv(world, HEAD + line(1, "C1", "", "Wilhelmina"), defaults=MAPPING)
    vault(world)[0].write_bytes(b"PAR1 Wilhelmina")
    with pytest.raises(LakeError, match="cannot be read") as caught:
        read_records(world.project)
    assert "Wilhelmina" not in str(caught.value)


# --- nothing of it anywhere else -------------------------------------------------------------------------------------

PLANTED = ["Wilhelmina", "Kerkstraat", "Zoetermeer", "1971-12-31", "jan.jansen"]


def test_no_byte_of_a_record_lies_in_the_lake_or_is_said(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    head = "id,moment,activity,customer,name,street,city,born,mail\n"
    person = "Wilhelmina de Vries,Kerkstraat,Zoetermeer,1971-12-31,jan.jansen@x.nl"
    rows = [
        f"1,2024-05-01 10:00:00,call,C1,{person}",
        f"2,soon,call,C2,{person}",
        f"3,2024-05-01 10:00:00,call,,{person}",
    ]
    record = {
        "full_name": "name", "street": "street", "city": "city", "birth_date": "born", "email": "mail",
        "house_number": "CASE WHEN id = '1' THEN CAST(name AS INTEGER)::VARCHAR END",
    }  # fmt: skip
    world.source("crm", defaults=SIMPLE | {"record": record})
    fine = {name: text for name, text in record.items() if name != "house_number"}
    world.source("fine", defaults=SIMPLE | {"record": fine})
    world.source("broken", defaults=SIMPLE | {"record": fine})
    for name in ("crm", "fine"):
        world.land(f"{name}.csv", head + "\n".join(rows) + "\n")
    world.land("broken.csv", (head + "\n".join(rows) + "\n").encode() + b"\xff")
    report = world.night()
    assert [file.path.name.split("-")[0] for file in world.ledger] == ["00000001", "00000002", "00000003"]
    assert len(vault(world)) == 1
    assert "Wilhelmina de Vries" in str(kept(world))
    assert (1, "expression_failed") in [pair for i in range(3) for pair in world.reasons(i)]
    seen = "".join(map(repr, (report, *preview(world.project, "fine", 5)))) + "".join(capfd.readouterr())
    for index in range(3):
        seen += repr([world.events(index), world.links(index), world.quarantine(index)])
    lake = b"".join(path.read_bytes() for path in (world.root / "lake").rglob("*") if path.is_file())
    for secret in PLANTED:
        assert secret.lower() not in seen.lower()
        assert secret.lower().encode() not in lake.lower()


def test_no_table_of_the_ledger_has_a_field_of_a_record(world: World) -> None:
    take_csv(world, HEAD + line(1, "C1", "", "Ann"), defaults=MAPPING)
    columns = {name for part in world.ledger[0].path.glob("*.parquet") for name in pq.read_schema(part).names}
    assert columns.isdisjoint(FIELDS)

"""Restoring: the night after it makes the same tables, nothing that was there is lost, and it is never half."""

from __future__ import annotations

import shutil
import stat
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from klantspoor.backup import back_up, read_manifest, restore
from klantspoor.errors import BackupError, ConfigError, LakeError
from klantspoor.forget import forget, pending, person_with, resume_all
from klantspoor.identity.typed import made_of
from klantspoor.lake import BusyError, Lake
from klantspoor.rotation import rotate
from klantspoor.verify import compare_versions, verify
from tests.backup.backup_fuse import Fuse
from tests.verify.verify_world import DAY, FIRST_NIGHT, Company

SECOND_NIGHT = FIRST_NIGHT + DAY
KEPT = ("ledger", "receipts", "vault", "project")


def make(company: Company, target: Path, **given: Any) -> Path:
    back_up(company.project, company.lake, target, **given)
    return target


def inside(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def kept(source: Path) -> dict[str, bytes]:
    manifest = read_manifest(source)
    assert manifest is not None
    return inside(source / manifest.folder)


def there(root: Path) -> dict[str, bytes]:
    """What a project holds of all that is backed up, but the key."""
    found = {f"vault/{name}": content for name, content in inside(root / "vault").items() if "/" not in name}
    for part in ("ledger", "receipts"):
        found |= {f"{part}/{name}": content for name, content in inside(root / "lake" / part).items()}
    for path in [
        root / "klantspoor.yaml",
        root / "identity-decisions.jsonl",
        *(root / "sources").iterdir(),
        *(root / "journeys").iterdir(),
    ]:
        found[f"project/{path.relative_to(root)}"] = path.read_bytes()
    return found


def without_key(content: dict[str, bytes]) -> dict[str, bytes]:
    return {name: value for name, value in content.items() if name != "key"}


@pytest.mark.parametrize("delivered", [False, True])
def test_the_night_after_makes_the_same_tables(company: Company, target: Path, tmp_path: Path, delivered: bool) -> None:
    """`delivered`: whether the landing files are there too, of which none is read twice."""
    company.land_calls(35, 60, SECOND_NIGHT - DAY / 2)
    company.night(SECOND_NIGHT)
    make(company, target, with_key=True)
    report = restore(target, tmp_path / "new")
    assert (report.files, report.aside, report.own_configuration, report.key) == (4, (), (), "fits")
    again = Company(tmp_path / "new")
    assert there(again.root) == without_key(kept(target)) == there(company.root)
    if delivered:
        shutil.copytree(company.root / "landing", again.root / "landing", dirs_exist_ok=True)
    version = again.night(SECOND_NIGHT)
    assert compare_versions(company.version, version) == []
    ids = [{row["person_id"] for row in one.tables()["identities"]} for one in (company, again)]
    assert ids[0] == ids[1]
    assert len(ids[0]) > 40
    assert len(again.tables()["intake"]) == 4
    assert verify(again.project, again.lake).verdict == "equal"


def test_modes_and_times_come_back(company: Company, target: Path, tmp_path: Path) -> None:
    make(company, target, with_key=True)
    restore(target, tmp_path / "new")
    root = tmp_path / "new"
    modes = {
        name: stat.S_IMODE((root / name).stat().st_mode)
        for name in ("vault", "pseudonym.key", "identity-decisions.jsonl")
    }
    assert modes == {"vault": 0o700, "pseudonym.key": 0o600, "identity-decisions.jsonl": 0o600}
    [vault] = (root / "vault").iterdir()
    assert stat.S_IMODE(vault.stat().st_mode) == 0o600
    report = back_up(Company(root).project, Company(root).lake, target)
    assert report.copied_bytes < 10_000, "what is as it was is not copied again"
    assert (report.new, report.replaced) == (0, 0)


def test_without_the_key_it_says_so(company: Company, target: Path, tmp_path: Path) -> None:
    make(company, target)
    report = restore(target, tmp_path / "new")
    assert (report.key, report.key_is_in_backup) == ("absent", False)
    with pytest.raises(ConfigError, match="does not exist"):
        Company(tmp_path / "new").night(SECOND_NIGHT)
    again = restore(make(company, target, with_key=True), tmp_path / "other")
    assert (again.key, again.key_is_in_backup) == ("fits", True)


def test_a_key_that_is_there_is_never_overwritten(company: Company, target: Path) -> None:
    make(company, target, with_key=True)
    key = company.root / "pseudonym.key"
    key.write_text("another key, of sixteen bytes or more")
    shutil.rmtree(company.root / "lake")
    assert restore(target, company.root).key == "other"
    assert key.read_text() == "another key, of sixteen bytes or more"


def test_a_back_up_of_before_a_rotation_is_brought_to_the_new_key(company: Company, target: Path) -> None:
    make(company, target)
    rotate(company.project)
    assert restore(target, company.root, replace=True).key == "rotated"
    assert rotate(company.project).outcome == "rotated"
    company.night(SECOND_NIGHT)
    assert len(company.tables()["intake"]) == 3, "nothing was read twice"


def test_a_lake_that_was_lost(company: Company, target: Path) -> None:
    make(company, target)
    before = there(company.root)
    shutil.rmtree(company.root / "lake")
    (company.root / "journeys/moving.yaml").write_text((company.root / "journeys/moving.yaml").read_text() + "# mine\n")
    (company.root / "sources/new.yaml").write_text(
        (company.root / "sources/calls.yaml").read_text().replace("calls", "new")
    )
    report = restore(target, company.root)
    assert report.own_configuration == ("journeys/moving.yaml", "sources/new.yaml")
    assert (report.aside, report.key) == ((), "fits")
    now = there(company.root)
    assert {name for name in now if now[name] != before.get(name)} == {
        "project/journeys/moving.yaml",
        "project/sources/new.yaml",
    }


def test_what_is_there_is_in_the_way(company: Company, target: Path) -> None:
    make(company, target)
    company.decide("forbid", "K4", "K5")
    before = inside(company.root)
    with pytest.raises(
        BackupError, match=r"holds something already \(current, diary, history.json, klantspoor.duckdb\); .*decisions"
    ):
        restore(target, company.root)
    assert inside(company.root) == before


def forget_one(company: Company, value: str = "K7") -> str:
    person = person_with(company.version, made_of(company.project, "customer", value).identifier)
    return forget(company.project, company.lake, person).id


def test_what_is_there_is_kept_aside(company: Company, target: Path) -> None:
    make(company, target)
    receipt = forget_one(company)
    company.land_calls(40, 60, SECOND_NIGHT - DAY / 2)
    company.decide("forbid", "K4", "K5")
    company.night(SECOND_NIGHT)
    assert [one.state for one in resume_all(company.project, company.lake)] == ["done"]
    before, files = there(company.root), inside(company.root / "lake")
    report = restore(target, company.root, replace=True)
    assert there(company.root) == kept(target)
    assert (report.receipts_since, report.read_since) == ((receipt,), 1)
    lake_aside, vault_aside = report.aside
    assert lake_aside.parent == company.root / "lake"
    assert stat.S_IMODE(lake_aside.stat().st_mode) == stat.S_IMODE(vault_aside.stat().st_mode) == 0o700
    put_away = inside(lake_aside)
    assert put_away.pop("identity-decisions.jsonl") == before["project/identity-decisions.jsonl"]
    gone = {name for name in files if name.startswith(("state/", "work/"))}
    assert put_away == {name: content for name, content in files.items() if name not in gone | {".klantspoor"}}
    assert inside(vault_aside) == {name[6:]: content for name, content in before.items() if name.startswith("vault/")}
    assert company.lake.current() is None
    again = company.night(SECOND_NIGHT)
    assert again.name == "000001"
    assert len(company.tables()["intake"]) == 4, "the file that landed since is read again"


def test_a_person_being_forgotten_when_it_was_made_is_forgotten_after_it(
    company: Company, target: Path, tmp_path: Path
) -> None:
    forget_one(company)
    make(company, target, with_key=True)
    restore(target, tmp_path / "new")
    again = Company(tmp_path / "new")
    assert [request.versions for request in pending(again.root / "lake")] == [[]]
    folder = again.root / "lake/ledger/forgetting"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())] == [0o700, 0o600]
    again.night(SECOND_NIGHT)
    assert [one.state for one in resume_all(again.project, again.lake)] == ["done"]
    assert pending(again.root / "lake") == []


def test_a_damaged_back_up_changes_nothing(company: Company, target: Path, tmp_path: Path) -> None:
    make(company, target)
    path = next(target.glob("*/ledger/*/links.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    before = inside(company.root)
    with pytest.raises(BackupError, match=r"is damaged: ledger/.*holds something else"):
        restore(target, company.root, replace=True)
    assert inside(company.root) == before
    with pytest.raises(BackupError, match="damaged"):
        restore(target, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_file_that_changes_while_it_is_read_changes_nothing(
    company: Company, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(company, target)
    monkeypatch.setattr(
        "klantspoor.backup.restoring.check", lambda source: SimpleNamespace(faults=(), manifest=read_manifest(source))
    )
    path = next(target.glob("*/vault/*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    before = inside(company.root)
    with pytest.raises(BackupError, match="was changed while it was read"):
        restore(target, company.root, replace=True)
    assert inside(company.root) == before


def test_where_it_cannot_be_restored_to(
    company: Company, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(company, target)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    with pytest.raises(BackupError, match=r"is no project and holds 'dear\.txt'"):
        restore(target, tmp_path / "letters")
    with pytest.raises(BackupError, match="is no place for a back-up"):
        restore(target, target / "in")
    with pytest.raises(BackupError, match="holds no back-up"):
        restore(tmp_path / "letters", tmp_path / "new")
    with company.lake.open_run("night", SECOND_NIGHT), pytest.raises(BusyError):
        restore(target, company.root, replace=True)
    monkeypatch.setattr("klantspoor.backup.putting.shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 24))
    before = inside(company.root)
    with pytest.raises(BackupError, match="free and restoring needs"):
        restore(target, company.root, replace=True)
    assert inside(company.root) == before
    (company.root / "klantspoor.yaml").write_text("name: [")
    with pytest.raises(ConfigError):
        restore(target, company.root, replace=True)


def ledger(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("replaces", [False, True])
def test_interrupted_anywhere_the_same_call_comes_to_the_same(
    company: Company, target: Path, tmp_path: Path, fuse: Fuse, replaces: bool
) -> None:
    make(company, target, with_key=True)
    company.decide("forbid", "K4", "K5")
    company.land_calls(40, 60, SECOND_NIGHT - DAY / 2)
    company.night(SECOND_NIGHT)
    wanted, place, noted = without_key(kept(target)), tmp_path / "place", 0

    def begin() -> None:
        shutil.rmtree(place, ignore_errors=True)
        if replaces:
            shutil.copytree(company.root, place)

    begin()
    assert not fuse.kill(lambda: restore(target, place, replace=replaces), 10**6)
    operations = fuse.done
    # Copying aside is many times the same; what comes after it is tried one by one.
    for at in (number for number in range(1, operations) if number % 15 == 1 or number > operations - 45):
        begin()
        assert fuse.kill(lambda: restore(target, place, replace=replaces), at)
        is_noted = (place / "lake/restoring.json").exists()
        if is_noted:
            noted += 1
            with pytest.raises(LakeError, match="interrupted"), Lake(place / "lake").open_run("n", SECOND_NIGHT):
                pass
        elif (place / "klantspoor.yaml").exists() and there(place) == wanted:
            continue  # it had come to its end
        elif replaces:
            assert there(place) == there(company.root), "nothing was changed yet"
        restore(target, place, replace=replaces and not is_noted)
        assert there(place) == wanted
        assert not list(place.rglob(".tmp-*"))
        if replaces:
            [aside] = (place / "lake").glob("before-restore-*")
            assert ledger(aside / "ledger") == ledger(company.lake.ledger)
            assert (aside / "identity-decisions.jsonl").read_bytes() == (
                company.root / "identity-decisions.jsonl"
            ).read_bytes()
    assert noted > 20


def test_copies_that_were_never_put_in_their_place_are_swept(company: Company) -> None:
    left = company.root / "vault" / ".tmp-restoring"
    left.mkdir()
    (left / "names").write_text("Name1")
    company.night(SECOND_NIGHT + timedelta(hours=1))
    assert not left.exists()

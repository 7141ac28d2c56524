"""Making a back-up: what is in it, what it costs to make again, what it refuses, and that it is never half."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from klantspoor.backup import BackupReport, back_up, check
from klantspoor.backup.make import MARK
from klantspoor.backup.manifest import MANIFEST, read_manifest
from klantspoor.errors import BackupError, ConfigError, LakeError
from klantspoor.forget import forget, needles, person_with, resume_all, scan
from klantspoor.identity.typed import made_of
from klantspoor.lake import BusyError
from klantspoor.lake.lake import Lake
from klantspoor.rotation import rotate
from tests.backup.backup_fuse import Fuse
from tests.verify.verify_world import DAY, FIRST_NIGHT, Company, write


def make(company: Company, target: Path, **given: Any) -> BackupReport:
    return back_up(company.project, company.lake, target, **given)


def held(target: Path) -> Path:
    """The folder that the manifest names."""
    manifest = read_manifest(target)
    assert manifest is not None
    return target / manifest.folder


def inside(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def expected(company: Company) -> dict[str, bytes]:
    """What cannot be made again, by hand."""
    root, lake = company.root, company.root / "lake"
    kept = {f"project/{name}": (root / name).read_bytes() for name in (
        "klantspoor.yaml", "sources/calls.yaml", "sources/clients.yaml", "journeys/moving.yaml", "identity-decisions.jsonl",
    )}  # fmt: skip
    kept |= {f"vault/{path.name}": path.read_bytes() for path in (root / "vault").glob("*.parquet")}
    kept |= {f"receipts/{path.name}": path.read_bytes() for path in (lake / "receipts").glob("*")}
    ledger = [path for path in (lake / "ledger").rglob("*") if path.is_file() and path.name != ".lock"]
    return kept | {str(path.relative_to(lake)): path.read_bytes() for path in ledger}


def forget_one(company: Company, value: str = "K7") -> Any:
    person = person_with(company.version, made_of(company.project, "customer", value).identifier)
    return forget(company.project, company.lake, person)


def test_it_holds_what_cannot_be_made_again(company: Company, target: Path) -> None:
    report = make(company, target)
    kept = inside(held(target))
    assert kept == expected(company)
    assert sum(name.endswith("file.json") for name in kept) == 3 == report.ledger_files
    assert (report.is_first, report.new, report.files) == (True, len(kept), len(kept))
    assert report.copied_bytes == report.bytes == sum(map(len, kept.values()))
    assert (report.has_key, report.has_vault) == (False, True)
    assert b"5c" * 32 not in b"".join(kept.values())
    assert check(target).faults == ()


def test_nobody_else_may_read_it(company: Company, target: Path) -> None:
    old = os.umask(0o022)
    try:
        make(company, target, with_key=True)
    finally:
        os.umask(old)
    folder = held(target)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (target, folder, target / MANIFEST, folder / "key")}
    assert list(modes.values()) == [0o700, 0o700, 0o600, 0o600]
    [vault] = (folder / "vault").iterdir()
    assert stat.S_IMODE(vault.stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "project/identity-decisions.jsonl").stat().st_mode) == 0o600


def test_the_key_only_if_asked_for(company: Company, target: Path) -> None:
    assert make(company, target, with_key=True).has_key
    assert (held(target) / "key").read_bytes() == (company.root / "pseudonym.key").read_bytes()
    assert check(target).faults == ()
    again = make(company, target)
    assert (again.has_key, again.lost_key) == (False, True)
    assert not (held(target) / "key").exists()
    (company.root / "pseudonym.key").write_text("another key, of sixteen bytes or more")
    with pytest.raises(ConfigError, match="another than the ledger was made with"):
        make(company, target, with_key=True)


def test_what_did_not_change_is_not_copied_again(company: Company, target: Path) -> None:
    make(company, target)
    first = {name: (held(target) / name).stat().st_ino for name in inside(held(target))}
    report = make(company, target)
    assert (report.new, report.replaced, report.removed, report.copied_bytes) == (0, 0, 0, 0)
    assert {name: (held(target) / name).stat().st_ino for name in first} == first
    company.land_calls(40, 45, FIRST_NIGHT + DAY / 2)
    company.decide("forbid", "K4", "K5")
    company.night(FIRST_NIGHT + DAY)
    report = make(company, target)
    assert (report.new, report.replaced, report.removed) == (4, 1, 0), (
        "a ledger folder of four files, and the decisions"
    )
    assert inside(held(target)) == expected(company)
    kept = {name for name, inode in first.items() if (held(target) / name).stat().st_ino == inode}
    assert set(first) - kept == {"project/identity-decisions.jsonl"}
    assert sorted(path.name for path in target.iterdir()) == [MARK, "000003", MANIFEST]


def test_a_forgotten_person_is_forgotten_by_the_next_one(company: Company, target: Path) -> None:
    make(company, target)
    request = forget_one(company)
    sought = needles(request, set())
    assert scan(sought, [target], []).traces, "the back-up of before still has them"
    company.night(FIRST_NIGHT + DAY)
    assert [one.state for one in resume_all(company.project, company.lake)] == ["done"]
    report = make(company, target)
    assert report.replaced >= 2
    found = scan(sought, [target], [])
    assert found.files > 10
    assert found.traces == ()
    assert inside(held(target)) == expected(company)
    assert any(name.startswith("receipts/") for name in inside(held(target)))


def test_a_rotated_lake_replaces_all_pseudonyms(company: Company, target: Path) -> None:
    make(company, target, with_key=True)
    before = read_manifest(target)
    rotate(company.project)
    make(company, target, with_key=True)
    after = read_manifest(target)
    assert before is not None
    assert after is not None
    assert before.key_check != after.key_check
    assert inside(held(target)) == expected(company) | {"key": (company.root / "pseudonym.key").read_bytes()}
    assert check(target).faults == ()


def test_a_file_taken_out_of_the_ledger_is_taken_out_and_named(company: Company, target: Path) -> None:
    make(company, target)
    out = next(company.lake.ledger.glob("00000002-*"))
    shutil.rmtree(out)
    report = make(company, target)
    assert report.gone == (out.name,)
    assert report.removed == 4
    assert inside(held(target)) == expected(company)


def test_a_lake_that_lost_its_ledger_does_not_take_the_back_up_with_it(
    company: Company, target: Path, tmp_path: Path
) -> None:
    make(company, target)
    before = inside(target)
    for folder in list(company.lake.ledger.glob("0000000[12]-*")):
        shutil.rmtree(folder)
    with pytest.raises(BackupError, match=r"of the ledger's 3 files .* most \(2\) are not there any more"):
        make(company, target)
    shutil.rmtree(company.lake.ledger)
    with pytest.raises(LakeError, match="Nothing was read into this lake yet"):
        make(company, target)
    other = write(tmp_path / "other")
    other.land_calls(0, 5, FIRST_NIGHT - DAY)
    other.night()
    with pytest.raises(BackupError, match="the back-up of another lake, or this one was lost"):
        make(other, target)
    assert inside(target) == before


def test_a_vault_that_is_not_there_does_not_take_its_back_up_with_it(company: Company, target: Path) -> None:
    make(company, target)
    shutil.rmtree(company.root / "vault")
    with pytest.raises(BackupError, match=r"of the vault's 1 files .* most \(1\)"):
        make(company, target)


@pytest.mark.parametrize("place", ["", "aside", "lake", "lake/backup", "landing/b", "vault", "..", "link/in"])
def test_a_back_up_lies_apart_from_what_it_is_of(company: Company, tmp_path: Path, place: str) -> None:
    (company.root / "lake" / "empty").mkdir()
    (tmp_path / "elsewhere").symlink_to(company.root / "lake" / "empty")
    target = tmp_path / "elsewhere" / "in" if place.startswith("link") else company.root / place
    with pytest.raises(BackupError, match="is no place for a back-up"):
        make(company, target)


def test_a_folder_that_holds_something_else_is_left_alone(company: Company, target: Path) -> None:
    target.mkdir(parents=True)
    (target / "lost+found").mkdir()
    make(company, target)
    other = target.parent / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(BackupError, match=r"'letter\.txt' and is no back-up"):
        make(company, other)
    assert inside(other) == {"letter.txt": b"dear"}
    with pytest.raises(BackupError, match="is no folder"):
        make(company, other / "letter.txt")


def test_room_is_forecast(company: Company, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(map(len, expected(company).values()))
    free = SimpleNamespace(free=size + (16 << 20) - 1)
    monkeypatch.setattr("klantspoor.backup.make.shutil.disk_usage", lambda _: free)
    with pytest.raises(BackupError, match="free and the back-up needs"):
        make(company, target)
    free.free += 1
    make(company, target)
    free.free = 16 << 20
    make(company, target)  # all of it is linked
    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(BackupError, match="free and the back-up needs"):
        make(company, target)


def fail(*given: Any) -> None:
    raise OSError(95, "Operation not supported")


def test_where_links_fail_files_are_copied(company: Company, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", fail)
    make(company, target)
    make(company, target)
    assert inside(held(target)) == expected(company)
    assert check(target).faults == ()


def test_one_at_a_time_and_not_during_a_night(company: Company, target: Path) -> None:
    make(company, target)
    with company.lake.open_run("night", FIRST_NIGHT + DAY), pytest.raises(BusyError):
        make(company, target)
    with (target / MARK).open() as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another process is making a back-up"):
            make(company, target)
    with pytest.raises(LakeError, match="Nothing was read"):
        back_up(company.project, Lake(target.parent / "no lake"), target)
    assert not (target.parent / "no lake").exists()


def test_interrupted_anywhere_the_back_up_is_the_one_before_or_the_new_one(
    company: Company, target: Path, fuse: Fuse
) -> None:
    at = 0
    while True:
        at += 1
        if at == 1 or at % 5 == 0:  # from the first one on, and from one that is there
            shutil.rmtree(target, ignore_errors=True)
        (company.root / "sources/calls.yaml").write_text(
            f"# {at}\n" + (company.root / "sources/calls.yaml").read_text()
        )
        before = read_manifest(target) if target.exists() else None
        if not fuse.kill(lambda: make(company, target), at):
            break
        after = read_manifest(target) if target.exists() else None
        if after is not None:
            assert check(target).faults == ()
            assert after == before or inside(held(target)) == expected(company)
        else:
            assert before is None
        if at % 5 == 4:
            make(company, target)
            assert check(target).left_over == ()
    assert at > 30
    make(company, target)
    assert check(target).left_over == check(target).faults == ()
    assert inside(held(target)) == expected(company)


def damage(change: Callable[[Path], None]) -> Callable[[Path], None]:
    """Damages the first file of links of a back-up."""
    return lambda folder: change(next(iter(sorted(folder.glob("ledger/*/links.parquet")))))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (damage(flip), "links.parquet holds something else than was written"),
        (damage(lambda path: path.write_bytes(path.read_bytes()[:-1])), "bytes instead of"),
        (damage(Path.unlink), "links.parquet is missing"),
        (lambda folder: (folder / "vault/note.txt").write_text("x"), "vault/note.txt is not of this back-up"),
    ],
)
def test_damage_is_found_and_a_whole_back_up_mends_it(
    company: Company, target: Path, change: Callable[[Path], object], told: str
) -> None:
    make(company, target)
    change(held(target))
    [fault] = check(target).faults
    assert told in fault
    make(company, target, whole=True)
    assert check(target).faults == ()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda said: said["files"].update({"ledger/../../../x": next(iter(said["files"].values()))}),
        lambda said: said["files"].update({"/etc/x": next(iter(said["files"].values()))}),
        lambda said: said["files"].update({"project/.git/hooks": next(iter(said["files"].values()))}),
        lambda said: said.update(folder="../000001"),
        lambda said: said.update(format=2),
        lambda said: said.pop("made_at"),
        lambda said: said["files"].update({"key": {"sha256": "x", "bytes": 1, "mode": 0, "modified_ns": 0}}),
    ],
)
def test_a_manifest_that_cannot_be_trusted(
    company: Company, target: Path, spoil: Callable[[dict[str, Any]], Any]
) -> None:
    make(company, target)
    said = json.loads((target / MANIFEST).read_text())
    spoil(said)
    (target / MANIFEST).write_text(json.dumps(said))
    with pytest.raises(BackupError, match=r"klantspoor-backup\.json"):
        check(target)
    with pytest.raises(BackupError):
        make(company, target)


def test_where_there_is_no_back_up(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="holds no back-up"):
        check(tmp_path)

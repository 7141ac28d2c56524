"""`klantspoor key check` and `key rotate`, as one sees them; what they say never holds a key."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from klantspoor.cli.context import console, errors
from klantspoor.cli.main import app
from klantspoor.intake import take_in
from klantspoor.lake import Lake, open_lake
from klantspoor.lake.lock import acquire
from klantspoor.lake.rotating import JOURNAL
from klantspoor.project.load import load_project
from klantspoor.project.scaffold import init_project

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("KLANTSPOOR_PROJECT", raising=False)
    for one in (console, errors):
        monkeypatch.setattr(one, "width", 200)
    folder = tmp_path / "shop"
    init_project(folder)
    return folder


def night(folder: Path) -> None:
    loaded = load_project(folder)
    lake = open_lake(loaded)
    lake.prepare()
    take_in(loaded, lake.root, AS_OF)


def run(folder: Path, verb: str) -> tuple[int, str]:
    keys = [path.read_text().strip() for path in folder.glob("pseudonym.key*")]
    result = CliRunner().invoke(app, ["key", verb, "--project", str(folder)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    said = result.stdout + result.stderr
    keys += [path.read_text().strip() for path in folder.glob("pseudonym.key*")]
    assert keys
    assert not [key for text in keys for key in text.split() if key in said]
    return result.exit_code, " ".join(said.split())


def test_check_before_and_after_a_rotation(project: Path) -> None:
    code, said = run(project, "check")
    assert (code, "The ledger is empty" in said) == (0, True)
    assert "The key comes from the file pseudonym.key (mode 0600)." in said
    night(project)
    assert "The ledger was made with it (files: 1)." in run(project, "check")[1]
    code, said = run(project, "rotate")
    assert code == 0
    assert "Rotated: the ledger (files: 1) was made with 2 keys" in said
    assert "Back up the key" in said
    assert "Older versions go after the readers' grace" in said
    code, said = run(project, "check")
    assert (code, "there are 2 keys" in said) == (0, True)
    night(project)


def test_nothing_to_rotate(project: Path) -> None:
    code, said = run(project, "rotate")
    assert code == 1
    assert "Nothing was read into this lake yet" in said


def test_an_old_or_a_foreign_key(project: Path) -> None:
    night(project)
    shutil.copy(project / "pseudonym.key", project / "pseudonym.key.old")
    run(project, "rotate")
    shutil.copy(project / "pseudonym.key.old", project / "pseudonym.key")
    for verb in ("check", "rotate"):
        code, said = run(project, verb)
        assert code == 2
        assert "the key is another than the ledger was made with" in said
        assert "where it was rotated, every key, the oldest first" in said


def test_a_variable(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night(project)
    monkeypatch.setenv("SHOP_KEY", (project / "pseudonym.key").read_text().strip())
    file = project / "klantspoor.yaml"
    file.write_text(file.read_text().replace("file: pseudonym.key", "env: SHOP_KEY"))
    assert "The key comes from the environment variable SHOP_KEY." in run(project, "check")[1]
    code, said = run(project, "rotate")
    assert code == 0
    assert "1. Set SHOP_KEY to what is in" in said
    assert (project / "pseudonym.key.new").is_file()
    monkeypatch.setenv("SHOP_KEY", ":".join((project / "pseudonym.key.new").read_text().split()))
    code, said = run(project, "check")
    assert (code, "there are 2 keys, and the lake was made with the first 1 alone" in said) == (2, True)
    assert "Rotated" in run(project, "rotate")[1]
    assert run(project, "check")[0] == 0


def test_another_writer_and_an_interruption(project: Path) -> None:
    night(project)
    lock, _ = acquire(project / "lake/.lock", "night")
    code, said = run(project, "rotate")
    assert (code, "night" in said) == (3, True)
    lock.release()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("klantspoor.rotation.swap._move", _interrupt)
        from klantspoor.rotation import rotate

        rotate(load_project(project))
    assert (project / "lake" / JOURNAL).is_file()
    code, said = run(project, "check")
    assert (code, "run `klantspoor key rotate` to finish it" in said) == (1, True)
    code, said = run(project, "rotate")
    assert (code, "An interrupted rotation was finished." in said) == (0, True)
    assert run(project, "check")[0] == 0
    with Lake(project / "lake").open_run("night", AS_OF) as staging:
        assert staging.is_open


def _interrupt(_: object) -> None:
    raise KeyboardInterrupt

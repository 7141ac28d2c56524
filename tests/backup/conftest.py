from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.backup.backup_fuse import Fuse
from tests.verify.verify_world import Company, found


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return found(tmp_path_factory.mktemp("backup") / "company").root


@pytest.fixture
def company(founded: Path, tmp_path: Path) -> Company:
    """A company of its own after its first night."""
    return Company(shutil.copytree(founded, tmp_path / "company"))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "disk" / "backup"


@pytest.fixture
def fuse(monkeypatch: pytest.MonkeyPatch) -> Fuse:
    return Fuse(monkeypatch)

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from intake_world import KEY, World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", KEY)
    (tmp_path / "landing").mkdir()
    return World(tmp_path)

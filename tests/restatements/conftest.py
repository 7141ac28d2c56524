from __future__ import annotations

import pytest
from restated_world import KEY


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", KEY)

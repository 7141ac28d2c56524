"""What holds for all tests: `make test` says the same of the same code; `make soak` looks further every time."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# No test is about the project that whoever runs them works on: definitions look at it as they load.
os.environ.pop("KLANTSPOOR_PROJECT", None)
settings.register_profile("same", derandomize=True)


def pytest_configure(config: pytest.Config) -> None:
    if "not soak" in config.option.markexpr and "KLANTSPOOR_EXAMPLES" not in os.environ:
        settings.load_profile("same")

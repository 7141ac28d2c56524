"""Ending the process before any of the operations by which a back-up changes the disk. Holds no test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

OPERATIONS: list[tuple[Any, str]] = [
    (Path, "rename"),
    (Path, "replace"),
    (Path, "unlink"),
    (Path, "mkdir"),
    (Path, "rmdir"),
    (shutil, "rmtree"),
    (shutil, "copyfile"),
    (os, "fsync"),
    (os, "link"),
    (os, "fchmod"),
]


class Killed(BaseException):
    """The process ends here."""


class Fuse:
    """Counts operations, and ends the process when `at` of them are done and another begins (0: never)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = self.done = 0
        for owner, name in OPERATIONS:
            monkeypatch.setattr(owner, name, self._wrap(getattr(owner, name)))

    def _wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def counted(*given: Any, **named: Any) -> Any:
            if self.at and self.done >= self.at:
                raise Killed  # what runs on while the error rises changes nothing any more
            self.done += 1
            return call(*given, **named)

        return counted

    def kill(self, call: Callable[[], Any], at: int) -> bool:
        """Calls; whether it was ended after `at` operations (one at least)."""
        self.at, self.done = at, 0
        try:
            call()
        except Killed:
            return True
        finally:
            self.at = 0
        return False

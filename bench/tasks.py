"""What is measured, each as a process of its own: `python -m bench.tasks TASK FOLDER`.

A task reads the lake that `bench.generate` filled, does its work, and prints one line of JSON: CPU seconds by part (that
of imports not included) and figures that show that tasks compared with each other reckoned the same.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench import DATA_COLUMNS

Told = dict[str, Any]


class Parts:
    """CPU seconds (user and system, all threads) by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.process_time()

    def done(self, part: str) -> None:
        """Books what was spent since the last call, or since the beginning, on `part`."""
        now = time.process_time()
        self.seconds[part] = round(now - self._since, 2)
        self._since = now

"""Makes the helpers of this room, and those that compare the kernel with its oracle, known to the tests here."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "journeys"), str(TESTS / "docs")]

"""Ending in order when the system asks a command to stop: what it made aside is removed first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_BY_SIGNAL = 128


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Makes a request to terminate (SIGTERM) end what is inside as an exception does; the exit code says by which signal."""
    asked: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        raise SystemExit(_BY_SIGNAL + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except Exception as error:
        if asked:  # DuckDB, stopped in the middle of a query, raises an error of its own instead
            raise SystemExit(_BY_SIGNAL + asked[0]) from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)

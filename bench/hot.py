"""Where the CPU of a stage goes, by line of our code: what it does itself, in libraries and in queries, all threads.

A second thread looks two hundred times a second where the code stands, and books what was spent since it looked last.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

MOST = 12
_OURS = ("/klantspoor/", "/expectations/")
_SECONDS = 0.005


@contextmanager
def hottest(told: dict[str, Any], stage: str) -> Iterator[None]:
    """Adds to `told[stage]` the lines that took most CPU: pairs of place and seconds, at most `MOST`."""
    spent: dict[tuple[str, int, str], float] = {}
    watched, ended = threading.get_ident(), threading.Event()

    def watch() -> None:
        since = time.process_time()
        while not ended.wait(_SECONDS):
            here: FrameType | None = sys._current_frames()[watched]
            while here is not None and not any(part in here.f_code.co_filename for part in _OURS):
                here = here.f_back
            now = time.process_time()
            if here is not None:
                place = (here.f_code.co_filename, here.f_lineno, here.f_code.co_name)
                spent[place] = spent.get(place, 0.0) + now - since
            since = now

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        top = sorted(spent.items(), key=lambda item: -item[1])[:MOST]
        told[stage] = [(_named(*place), round(seconds, 2)) for place, seconds in top]


def _named(file: str, line: int, function: str) -> str:
    path = Path(file)
    return f"{path.parent.name}/{path.name}:{line} {function}"

"""Waiting for the lake's one writer: trying again until it is free, with a clock that is looked at anew each time."""

import time
from collections.abc import Callable
from datetime import timedelta

from klantspoor.lake import BusyError, Lake, Staging
from pipelines.nights import Clock

LOOK_SECONDS = 5.0


def open_when_free(
    lake: Lake, run_id: str, clock: Callable[[], Clock], wait: timedelta, tell: Callable[[str], None]
) -> tuple[Staging, Clock]:
    """Opens the run as soon as no other is writing; gives its staging and the clock it was opened with.

    The clock is asked before every try: what was published while this waited may have moved it.

    Args:
        lake: the lake to write to.
        run_id: names the run.
        clock: gives the run's clock as of now.
        wait: how long to try; zero: once.
        tell: is told once that this waits, and for whom.

    Raises:
        BusyError: another run still writes after `wait`.
        LakeError: as `Lake.open_run` raises it.
    """
    until = time.monotonic() + wait.total_seconds()
    is_told = False
    while True:
        tonight = clock()
        try:
            return lake.open_run(run_id, tonight.as_of), tonight
        except BusyError as error:
            left = until - time.monotonic()
            if left <= 0:
                raise
            if not is_told:
                tell(f"{error}. Waiting for at most {wait}")
                is_told = True
        time.sleep(min(LOOK_SECONDS, left))

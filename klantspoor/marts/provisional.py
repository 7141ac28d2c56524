"""Which months are provisional: those up to whose end a source that feeds the journey type is not complete yet.

The month of `as_of` always is, and so are all after the first that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from klantspoor.lake.staging import Staging
from klantspoor.marts.reach import of_journeys
from klantspoor.project.model import Project

Months = npt.NDArray[np.int64]


def provisional_since(project: Project, staging: Staging, journey_types: Sequence[str]) -> Months:
    """Of each journey type the first month (years times twelve, plus the month from 0) that is provisional.

    Raises:
        LakeError: where `events` or `intake` is not staged.
    """
    zone = project.file.timezone
    now = _month_of(staging.as_of, zone)
    reached = of_journeys(project, staging)
    months = [
        min(now, _month_of(reached[name].complete_up_to, zone)) if name in reached else now for name in journey_types
    ]
    return np.array(months, np.int64)


def _month_of(moment: datetime, timezone: str) -> int:
    local = moment.astimezone(ZoneInfo(timezone))
    return local.year * 12 + local.month - 1

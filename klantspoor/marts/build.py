"""The one entry to the marts: builds the mart of a name from the run's staged tables and stages it.

What a mart means is in the module of its name; what is left out of all of them in `klantspoor.marts.suppression`.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from klantspoor.errors import NotFoundError, did_you_mean
from klantspoor.lake.staging import Staging
from klantspoor.marts import bottlenecks, coverage, directly_follows, freshness, journey_map, variants
from klantspoor.marts.suppression import note
from klantspoor.project.model import Project

_BUILDERS: dict[str, Callable[[Project, Staging], tuple[pa.Table, int]]] = {
    "journey_map": journey_map.build,
    "bottlenecks": bottlenecks.build,
    "directly_follows": directly_follows.build,
    "variants": variants.build,
    "coverage": coverage.build,
    "freshness": freshness.build,
}
MARTS: tuple[str, ...] = tuple(_BUILDERS)
"""The marts, in the order in which they are built."""


def build(name: str, project: Project, staging: Staging) -> int:
    """Build the mart called `name` and stage it; gives its number of rows.

    How many rows were left out of it because they are about too few persons, `suppressed` tells afterwards.

    Raises:
        NotFoundError: where there is no such mart.
        LakeError: where a table that it is made from is not staged, or not as the dictionary says.
    """
    if name not in _BUILDERS:
        hint = did_you_mean(name, MARTS)
        raise NotFoundError(f"there is no mart {name!r}; there are {', '.join(MARTS)}." + (f" {hint}" if hint else ""))
    mart, left_out = _BUILDERS[name](project, staging)
    rows = staging.write(name, mart)
    note(staging, name, left_out)
    return rows

"""What going over to this software changes in what is published, told before a night does it.

The tables are built aside from what the current version was made from, by its own clock, and held against it. Whether a
night may go on is `klantspoor.lake.upgrading`'s matter.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from klantspoor import night
from klantspoor.errors import LakeError
from klantspoor.intake.ledger import Ledger
from klantspoor.lake import Lake, Version
from klantspoor.lake.comparison import Comparison, compare
from klantspoor.lake.forecast import Forecast, told
from klantspoor.lake.rotating import refuse_while_rotating
from klantspoor.lake.upgrading import Maker, SchemaChange, accept, is_same, maker_of, schema_changes, this_code
from klantspoor.project.model import Project
from klantspoor.verify import DIARY

HOLDER = "upgrade"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What would change.

    `before` made the current version, `now` would make the next; `changes` are those of tables and columns. All is made
    anew from so many `files` of the ledger, in place of so many published `rows`; `disk.whole` is what that needs.
    """

    version: str
    before: Maker
    now: Maker
    changes: tuple[SchemaChange, ...]
    files: int
    rows: int
    disk: Forecast

    @property
    def is_needed(self) -> bool:
        """Whether a night refuses until it was accepted."""
        return not is_same(self.before, self.now)


def look(lake: Lake) -> Upgrade:
    """What this software changes, as far as it can be told without building anything.

    Raises:
        LakeError: nothing was published yet, so nothing can change; or the version or the ledger cannot be read.
    """
    version = _current(lake)
    return Upgrade(
        version=version.name,
        before=maker_of(version),
        now=this_code(),
        changes=tuple(schema_changes(version)),
        files=len(Ledger(lake.root).files()),
        rows=sum(version.manifest["tables"].values()),
        disk=lake.expect(0),
    )


def try_out(project: Project, lake: Lake, most: int = 20) -> Comparison:
    """Builds all tables aside, as of the current version and from its files, and compares them with it.

    It holds the writer's place meanwhile. Settings, decisions of stewards and fuzzy evidence are those of now.

    Raises:
        BusyError: a run is writing to this lake.
        LakeError: nothing was published yet, a rotation of the key was interrupted, or the disk has no room for all
            tables once more.
    """
    with lake.writing(HOLDER):
        refuse_while_rotating(lake.root)
        version = _current(lake)
        expected = lake.expect(0)
        if expected.whole > expected.free:
            raise LakeError(
                f"building all tables aside needs about {told(expected.whole)} on the disk of the lake, where"
                f" {told(expected.free)} are free: nothing was built. `klantspoor upgrade --quick` tells the rest"
            )
        with _aside(project, lake, version) as inner:
            as_of = datetime.fromisoformat(version.manifest["as_of"])
            with inner.open_run(HOLDER, as_of) as staging:
                night.build(project, inner, staging)
                return compare(version, staging, project.file.limits.memory_mb, most, DIARY)


def accept_upgrade(lake: Lake) -> Upgrade:
    """Lets the next night publish with this software what another made before.

    Raises:
        BusyError: a run is writing to this lake.
        LakeError: nothing was published yet.
    """
    with lake.writing(HOLDER):
        found = look(lake)
        if found.is_needed:
            accept(lake.root, found.before, found.now, datetime.now(UTC))
    return found


def _current(lake: Lake) -> Version:
    version = lake.current()
    if version is None:
        raise LakeError(
            "Nothing has been published yet, so no figure can change. Start the nightly job: klantspoor run"
        )
    return version


@contextmanager
def _aside(project: Project, lake: Lake, version: Version) -> Iterator[Lake]:
    """A lake of its own whose ledger shows, by links, what the version was made from; removed at the end.

    It lies among the staging of runs, which the next run sweeps if a crash leaves it.
    """
    root = lake.root / "work" / HOLDER
    shutil.rmtree(root, ignore_errors=True)
    try:
        (root / "ledger").mkdir(parents=True)
        with version.connect() as connection:
            used = {sequence for (sequence,) in connection.execute("SELECT sequence FROM intake").fetchall()}
        newer = {file.path.name for file in Ledger(lake.root).files() if file.record.sequence not in used}
        for path in lake.ledger.iterdir():
            if not path.name.startswith(".") and path.name not in newer:
                (root / "ledger" / path.name).symlink_to(path, target_is_directory=path.is_dir())
        yield Lake(root, timezone=project.file.timezone, memory_mb=project.file.limits.memory_mb)
    finally:
        shutil.rmtree(root, ignore_errors=True)

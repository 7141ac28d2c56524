"""A project on disk that lives through a history, and after every night the same ledger built as a whole. Holds no test."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pyarrow as pa

from klantspoor import night as nights
from klantspoor.dictionary import TABLES
from klantspoor.errors import KlantspoorError, LakeError, NotFoundError
from klantspoor.forget import forget, person_with
from klantspoor.identity.decisions import DecisionError, Identifier, append
from klantspoor.identity.typed import made_of
from klantspoor.intake.evidence import keep_evidence
from klantspoor.intake.ledger import Ledger
from klantspoor.lake import Lake, Staging, Version, lake, open_lake
from klantspoor.marts.build import MARTS
from klantspoor.project.model import Project
from tests.nights.changes import Events, read_events, wrongly_told
from tests.nights.compare import compared, difference
from tests.nights.config import KEY, project_of
from tests.nights.history import (
    COLUMNS,
    HOUR,
    START,
    Again,
    Configure,
    Decide,
    Forget,
    History,
    Land,
    Linkage,
    Lose,
    Moment,
    Named,
    Night,
    ReadAgain,
    RollBack,
    Row,
    Sizes,
    Step,
    instant,
)

STAGES = ("ledger", "identity", "events", "journeys", *MARTS, "publication")
PUBLISHING = ("build_version", "write_database", "move_pointer")
FAILURES = tuple(f"{when} {what}" for what in (*STAGES, *PUBLISHING) for when in ("before", "after"))
"""Where a night may end: before or after any stage, and before or after any step of publishing."""
FEW_MARTS = ("directly_follows", "freshness")
"""What other nights need of a night's marts: the columns that are kept, and how far the data of each source went."""
ASIDE = "aside"
_EPOCH = round(START.timestamp()) * 1_000_000
_INSTANTS = ("at", "until", "need")


class BrokenOffError(Exception):
    """The night ends here."""


class DifferentError(AssertionError):
    """The tables after some nights are not those of the ledger built as a whole."""


class _Shared:
    """Makes in-memory connections, each with a database of its own, in an instance that is there: fifteen times cheaper."""

    _PLAIN = frozenset(("threads", "memory_limit", "temp_directory"))
    _MOST = 400

    def __init__(self) -> None:
        self._connect = duckdb.connect
        self._made = 0

    def __call__(self, *path: Any, **given: Any) -> Any:
        if path or not self._PLAIN.issuperset(given.get("config", {})):
            return self._connect(*path, **given)
        if self._made % self._MOST == 0:  # what was attached goes with its instance
            self._instance = self._connect(config={"threads": 1})
        self._made += 1
        made = self._instance.cursor()
        made.execute(f"ATTACH ':memory:' AS own{self._made}")
        made.execute(f"USE own{self._made}")
        return made


@contextmanager
def hurried(*, whole: bool = False) -> Iterator[None]:
    """Nights without what no table that is compared holds, but where they are to be `whole`.

    That is: comments on views, waiting for the disk, an instance of DuckDB for each query, checks, reports, and restatements.
    """
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, {KEY: "a secret of more than sixteen characters"}))
        stack.enter_context(patch("os.fsync", _nothing))
        if not whole:
            stack.enter_context(patch("duckdb.connect", _Shared()))
            stack.enter_context(patch("klantspoor.lake.version.comment_view", _nothing))
            stack.enter_context(patch.object(nights, "judge", _nothing))
            stack.enter_context(patch.object(nights, "gate", _nothing))
            stack.enter_context(patch.object(nights, "build_restatements", _nothing_else))
            stack.enter_context(patch.object(nights, "Ending", _Ending))
            stack.enter_context(patch.object(nights, "close_night", _nothing))
        yield


class _Ending:
    """In place of the night's report: a table of runs without any."""

    def __init__(self, project: Project, lake: Lake, staging: Staging) -> None:
        staging.write("runs", TABLES["runs"].schema.empty_table())

    def published(self, version: Version) -> None:
        """Says nothing."""


def _nothing(*given: Any) -> None:
    """In place of what costs time only."""


def _nothing_else(project: Project, lake: Lake, staging: Staging) -> None:
    """In place of the restatements: whatever table is not there yet is empty."""
    for name, table in TABLES.items():
        if name != "runs" and not staging.has(name):
            staging.write(name, table.schema.empty_table())


@dataclass
class World:
    """Where a history happens. `settings` are the knobs as they stand, `nights` counts those that published.

    `whole` says that its nights do all that a night does (see `hurried`).
    """

    root: Path
    settings: dict[str, int] = field(default_factory=dict)
    nights: int = 0
    runs: int = 0
    marts_every: int = 1
    whole: bool = False
    marts: tuple[str, ...] = MARTS
    sizes: Sizes | None = None
    _known: Events | None = None
    _twice: bool = False
    _landing: list[Row | tuple[Row, ...]] = field(default_factory=list)
    _files: list[Path] = field(default_factory=list)

    @property
    def project(self) -> Project:
        return project_of(self.root, self.settings)

    @property
    def lake(self) -> Lake:
        return open_lake(self.project)

    def live(self, history: History) -> None:
        """Does all steps, and compares after every night.

        Raises:
            DifferentError: as soon as a night's tables are not those of its ledger.
        """
        last = max((number for number, step in enumerate(history) if isinstance(step, Night)), default=-1)
        for number, step in enumerate(history):
            self.do(step, is_last=number == last)
        self.untouched()

    def do(self, step: Step, *, is_last: bool = False) -> None:
        match step:
            case Night():
                self.marts = MARTS if is_last or (self.nights + 1) % self.marts_every == 0 else FEW_MARTS
                if self.night(step):
                    self.nights += 1
                    self.compare()
                    self.judge_changes()
            case Land():
                self._landing += step.rows if step.apart else [step.rows]
            case Again():
                self._land_again(step.file)
            case Decide():
                self._decide(step)
            case Linkage():
                self._link(step)
            case Forget():
                self._forget(step.who)
            case Configure():
                self.settings[step.knob] = step.option
            case RollBack():
                self._roll_back(step.versions)
            case Lose():
                shutil.rmtree(self.lake.root / "state", ignore_errors=True)
            case ReadAgain():
                self._read_again(step.source)
            case Sizes():
                self.sizes = step

    # --- nights ----------------------------------------------------------------------------------------------------

    def night(self, step: Night) -> bool:
        """One night, and if it fails once more where the step says so; gives whether something was published."""
        self._land_all(step.at)
        before = self.lake.current()
        self._known = None if before is None else read_events(before)
        self.runs += 1
        try:
            with failing(step.fails):
                self._run(step.at)
        except BrokenOffError:
            if step.again:
                self._run(step.at)
        # Of a night that was published and run again, the changes are those since its own first version.
        self._twice = step.again and bool(step.fails)
        after = self.lake.current()
        return after is not None and (before is None or after.name != before.name)

    def judge_changes(self) -> None:
        """Sees that the last night told rightly which events it changed.

        Raises:
            DifferentError: naming events, and what was told of them.
        """
        version = self.lake.current()
        assert version is not None
        told = self.lake.root / "work" / f"run-{self.runs}" / "canonical" / "changes.parquet"
        if self._twice or self.whole:  # whole nights use the file up
            return
        wrong = wrongly_told(self._known, read_events(version), told)
        if wrong is not None:
            raise DifferentError(f"changes of night {self.nights} (version {version.name}):\n{wrong}")

    def _run(self, at: Moment) -> Version:
        with ExitStack() as stack:
            if self.sizes is not None:
                for name, value in _sized(self.sizes).items():
                    stack.enter_context(patch(f"klantspoor.{name}", value))
            stack.enter_context(patch.object(nights, "MARTS", self.marts))
            return nights.night(self.project, self.lake, instant(at), f"run-{self.runs}", with_pages=False)

    def compare(self) -> None:
        """Builds the ledger as a whole in a lake that knows nothing of the nights, and compares.

        Raises:
            DifferentError: naming table, key, column and both values.
        """
        version = self.lake.current()
        assert version is not None
        with self.at_once(version) as staging:
            found = self.differs(version.root, staging)
        if found is not None:
            raise DifferentError(f"after night {self.nights} (version {version.name}):\n{found}")

    @contextmanager
    def at_once(self, version: Version) -> Iterator[Staging]:
        """What the ledger makes when it is built as a whole at the moment of a version."""
        aside = self.root / ASIDE
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        (aside / "ledger").symlink_to(self.lake.ledger.resolve())
        file = self.project.file
        lake_aside = Lake(aside, timezone=file.timezone, memory_mb=file.limits.memory_mb)
        with lake_aside.open_run("whole", as_of(version)) as staging:
            with patch.object(nights, "MARTS", self.marts), patch.object(nights, "build_restatements", _nothing_else):
                nights.build(self.project, lake_aside, staging)
            yield staging

    def differs(self, tables: Path, staging: Staging) -> str | None:
        return difference(tables, staging.root / "tables", [name for name in compared() if staging.has(name)])

    def untouched(self) -> None:
        """No file of a version was changed after it was published: versions may share files."""
        for name in self.lake.version_names():
            folder = self.lake.versions / name
            manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
            for file, said in manifest["files"].items():
                assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == said["sha256"], (name, file)

    # --- what lands ------------------------------------------------------------------------------------------------

    def _land_all(self, at: Moment) -> None:
        for group in self._landing:
            rows = (group,) if isinstance(group, Row) else group
            for source in sorted({row.source for row in rows}):
                self._write(source, [row for row in rows if row.source == source], at)
        self._landing = []

    def _write(self, source: str, rows: list[Row], at: Moment) -> None:
        path = self._new_file(source)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows([[_cell(row, name) for name in COLUMNS] for row in rows])
        self._landed(path, at)

    def _new_file(self, source: str) -> Path:
        folder = self.root / "landing"
        folder.mkdir(exist_ok=True)
        path = folder / f"{source}-{len(self._files):04d}.csv"
        self._files.append(path)
        return path

    def _landed(self, path: Path, at: Moment) -> None:
        moment = instant(at - HOUR).timestamp() + len(self._files)
        os.utime(path, (moment, moment))

    def _land_again(self, number: int) -> None:
        if number < len(self._files):
            source = self._files[number].name.partition("-")[0]
            shutil.copy2(self._files[number], self._new_file(source))

    def _read_again(self, source: str) -> None:
        files = [file for file in Ledger(self.lake.root).files() if file.record.source == source]
        if files:
            shutil.rmtree(files[-1].path)

    # --- what people do --------------------------------------------------------------------------------------------

    def made(self, named: Named) -> Identifier:
        return made_of(self.project, *named).identifier

    def _decide(self, step: Decide) -> None:
        b = None if step.b is None else self.made(step.b)
        try:
            append(self.root, step.verb, self.made(step.a), b, "a steward", "so it is", START)
        except DecisionError:
            return

    def _link(self, step: Linkage) -> None:
        sides = [[self.made(pair[side]) for pair in step.pairs] for side in (0, 1)]
        names = [pa.array([f"{one.type}:{one.identifier}" for one in side], pa.string()) for side in sides]
        weights = pa.array([pair[2] for pair in step.pairs], pa.float64())
        nothing = pa.array([[]] * len(step.pairs), pa.list_(pa.string()))
        said = {"left": names[0], "right": names[1], "weight": weights, "probability": weights}
        keep_evidence(self.lake.root, pa.table(said | {"agreed": nothing, "differed": nothing}), START)

    def _forget(self, who: Named) -> None:
        version = self.lake.current()
        if version is None:
            return
        try:
            person = person_with(version, self.made(who))
        except NotFoundError:
            return
        try:
            forget(self.project, self.lake, person, as_of(version) + timedelta(hours=1))
        except KlantspoorError:  # files were taken in that no version has, or it is asked for already
            return

    def _roll_back(self, versions: int) -> None:
        current = self.lake.current()
        if current is None:
            return
        earlier = [name for name in self.lake.version_names() if name < current.name][-versions:]
        if earlier:
            with suppress(LakeError):  # it holds somebody who was forgotten
                self.lake.roll_back(earlier[0])


def _sized(sizes: Sizes) -> dict[str, float]:
    """The constants that say how settled rows are stored: in a small world they would never matter."""
    return {
        "events.written.PART_ROWS": sizes.part,
        "journeys.keeping.PART_JOURNEYS": sizes.part,
        "events.base.MOST_FILES": sizes.files,
        "events.base.MOST_GENERATIONS": sizes.generations,
        "marts.segments.MOST_SEGMENTS": sizes.files,
        "events.spells.WORTH_IT": sizes.worth,
    }


def as_of(version: Version) -> datetime:
    return datetime.fromisoformat(version.manifest["as_of"])


def _cell(row: Row, name: str) -> Any:
    value = getattr(row, name)
    return value + _EPOCH if name in _INSTANTS and value is not None else value


@contextmanager
def failing(where: str) -> Iterator[None]:
    """A night inside ends with `BrokenOffError` there (one of FAILURES; empty: nowhere)."""
    if not where:
        yield
        return
    when, _, what = where.partition(" ")
    owner, name = (lake, what) if what in PUBLISHING else (nights, "measured")
    around = _step if what in PUBLISHING else _stage
    with patch.object(owner, name, partial(around, getattr(owner, name), when, what)):
        yield


def _step(call: Any, when: str, what: str, *given: Any) -> Any:
    if when == "before":
        raise BrokenOffError
    call(*given)
    raise BrokenOffError


@contextmanager
def _stage(measured: Any, when: str, what: str, staging: Any, name: str) -> Iterator[Any]:
    if name == what and when == "before":
        raise BrokenOffError
    with measured(staging, name) as step:
        yield step
    if name == what:
        raise BrokenOffError

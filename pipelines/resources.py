"""The one resource: tonight's project, lake and staging.

Loading is lazy: definitions load without a project, a run says what is wrong with it. No stage is called here.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from klantspoor.errors import ConfigError, KlantspoorError, LakeError
from klantspoor.lake import Lake, Staging, open_lake
from klantspoor.project.load import ENVIRONMENT, load_project
from klantspoor.project.model import Project
from pipelines.nights import BACKFILL_TAG, asked_nights, clock, nights, range_tags
from pipelines.waiting import open_when_free

WAIT = timedelta(hours=2)
"""How long a run that Dagster started waits for the lake; the queue lets one run at a time go, but a command may hold it."""


class Night(dg.ConfigurableResource):
    """Project, lake and staging of one run; holds the lake for it from its first step to its last."""

    _project: Any = PrivateAttr(default=None)
    _lake: Any = PrivateAttr(default=None)
    _staging: Any = PrivateAttr(default=None)
    _landed_before: Any = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Night"]:
        """Load the project named by KLANTSPOOR_PROJECT and open the run in its lake."""
        try:
            self._project = named_project()
            self._lake = open_lake(self._project)
            run = _run(context)
            tonight = partial(clock, _tags(context, run), _made_at(context, run), self._project, self._lake)
            staging, opened = open_when_free(self._lake, run.run_id, tonight, WAIT, _teller(context))
            self._landed_before = opened.landed_before
        except KlantspoorError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from error
        with staging:
            self._staging = staging
            yield self

    @property
    def project(self) -> Project:
        """The loaded project."""
        return self._project

    @property
    def lake(self) -> Lake:
        """The project's lake."""
        return self._lake

    @property
    def staging(self) -> Staging:
        """Where this run puts its tables."""
        return self._staging

    @property
    def landed_before(self) -> datetime | None:
        """The moment from which on this run leaves what landed; None: it takes in everything that is there."""
        return self._landed_before


def named_project() -> Project:
    """The project that the environment names, or that of the current folder.

    Raises:
        ConfigError: where there is none, or its files hold mistakes.
    """
    return load_project()


def is_project_named() -> bool:
    """Whether the environment names a project at all."""
    return bool(os.environ.get(ENVIRONMENT))


def named_nights() -> dg.DailyPartitionsDefinition:
    """The nights of the project that the environment names, for loading definitions; without one, or with mistakes, any."""
    try:
        return nights(named_project() if is_project_named() else None)
    except (ConfigError, LakeError, OSError):
        return nights(None)  # the run says what is wrong; definitions must load all the same


def _tags(context: dg.InitResourceContext, run: dg.DagsterRun) -> dict[str, str]:
    """The run's tags, with its nights.

    A backfill of assets reads in one run and makes the tables in a second: they are of the same nights.
    """
    if context.instance is None or BACKFILL_TAG not in run.tags or asked_nights(run.tags) is not None:
        return run.tags
    others = context.instance.get_runs(dg.RunsFilter(tags={BACKFILL_TAG: run.tags[BACKFILL_TAG]}))
    asked = [found for other in others if (found := asked_nights(other.tags)) is not None]
    return run.tags | range_tags(max(asked, key=lambda found: found.end, default=None))


def _made_at(context: dg.InitResourceContext, run: dg.DagsterRun) -> datetime:
    """When the run was made: each process of a run finds the same."""
    record = context.instance.get_run_record_by_id(run.run_id) if context.instance is not None else None
    return record.create_timestamp.astimezone(UTC) if record is not None else datetime.now(UTC)


def _run(context: dg.InitResourceContext) -> dg.DagsterRun:
    if context.run is None:
        raise dg.Failure("the night is only made within a run: start the job `nightly`", allow_retries=False)
    return context.run


def _teller(context: dg.InitResourceContext) -> Callable[[str], None]:
    return context.log.info if context.log is not None else lambda _: None

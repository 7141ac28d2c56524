"""The one resource: tonight's project, lake and staging.

Loading is lazy: definitions load without a project, a run says what is wrong with it. No stage is called here.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from klantspoor.errors import KlantspoorError
from klantspoor.lake import Lake, Staging, open_lake
from klantspoor.project.load import ENVIRONMENT, load_project
from klantspoor.project.model import Project

AS_OF_TAG = "klantspoor/as_of"


class Night(dg.ConfigurableResource):
    """Project, lake and staging of one run; holds the lake for it from its first step to its last."""

    _project: Any = PrivateAttr(default=None)
    _lake: Any = PrivateAttr(default=None)
    _staging: Any = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Night"]:
        """Load the project named by KLANTSPOOR_PROJECT and open the run in its lake."""
        try:
            self._project = named_project()
            self._lake = open_lake(self._project)
            staging = self._lake.open_run(_run(context).run_id, _as_of(context))
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


def named_project() -> Project:
    """The project that the environment names, or that of the current folder.

    Raises:
        ConfigError: where there is none, or its files hold mistakes.
    """
    return load_project()


def is_project_named() -> bool:
    """Whether the environment names a project at all."""
    return bool(os.environ.get(ENVIRONMENT))


def _as_of(context: dg.InitResourceContext) -> datetime:
    """The night's clock: as the run's tag says, else when the run was made. Each process of a run finds the same."""
    run = _run(context)
    said = run.tags.get(AS_OF_TAG)
    if said is not None:
        return datetime.fromisoformat(said)
    record = context.instance.get_run_record_by_id(run.run_id) if context.instance is not None else None
    return record.create_timestamp.astimezone(UTC) if record is not None else datetime.now(UTC)


def _run(context: dg.InitResourceContext) -> dg.DagsterRun:
    if context.run is None:
        raise dg.Failure("the night is only made within a run: start the job `nightly`", allow_retries=False)
    return context.run

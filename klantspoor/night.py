"""A whole night without an orchestrator: what the job does, one library call after another.

For tests, notebooks and rebuilds aside. The nightly job calls the same stages, one asset each.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from uuid import uuid4

from klantspoor.dictionary import TABLES
from klantspoor.errors import KlantspoorError
from klantspoor.events.build import build as build_events
from klantspoor.forget.steps import resume_all
from klantspoor.identity.resolve import resolve
from klantspoor.intake.take import take_in
from klantspoor.intake.waiting import ledger_bytes_waiting
from klantspoor.journeys.build import build as build_journeys
from klantspoor.lake import Lake, Staging, Version
from klantspoor.lake.checks import run_queries
from klantspoor.lake.domain_rules import domain_rules, facts_of
from klantspoor.lake.forecast import Forecast
from klantspoor.lake.rules import table_rules
from klantspoor.lake.steps import gate, measured, note_verdicts
from klantspoor.marts.build import MARTS
from klantspoor.marts.build import build as build_mart
from klantspoor.mining.discover import discover
from klantspoor.page.pages import write as write_pages
from klantspoor.project.model import Project
from klantspoor.report import Ending, close_night, intake_facts
from klantspoor.restatements import build as build_restatements


def night(
    project: Project, lake: Lake, as_of: datetime, run_id: str | None = None, *, with_pages: bool = True
) -> Version:
    """Takes in what landed, builds every table, judges them by queries, and publishes them.

    Args:
        project: a loaded, valid project.
        lake: its lake.
        as_of: the night's clock, with its zone.
        run_id: names the run; made up where it is not given.
        with_pages: whether to discover models and write pages, which cost more than a small night.

    Raises:
        BusyError: another run is writing to this lake.
        PublicationStoppedError: something critical failed; the version before stays.
        KlantspoorError: as the stages raise it.
    """
    with lake.open_run(run_id or str(uuid4()), as_of) as staging:
        try:
            require_disk(project, lake, staging)
            return _published(project, lake, staging, with_pages)
        except BaseException as error:
            with suppress(OSError, KlantspoorError):  # what it failed of is what must be known
                close_night(project, lake, staging, error)
            raise


def _published(project: Project, lake: Lake, staging: Staging, with_pages: bool) -> Version:
    with measured(staging, "ledger") as noted:
        resume_all(project, lake, staging=staging)
        intake_facts(noted, take_in(project, lake.root, staging.as_of))
    build(project, lake, staging)
    if with_pages:
        with measured(staging, "models"):
            discover(project, staging)
        with measured(staging, "pages"):
            write_pages(project, staging)
    with measured(staging, "publication"):
        ending = Ending(project, lake, staging)
        judge(project, staging)
        gate(staging)
        version = lake.publish(staging)
    ending.published(version)
    return version


def require_disk(project: Project, lake: Lake, staging: Staging) -> Forecast:
    """Sees, before a night reads or writes anything, that what it will need fits on the disk of the lake.

    Raises:
        LakeError: it does not; the message names both figures and what to do.
    """
    return lake.require_disk(ledger_bytes_waiting(project, lake.root, staging.as_of))


def build(project: Project, lake: Lake, staging: Staging) -> None:
    """Builds every table but `runs` from the ledger, as far as the version before does not hold it already."""
    stages: dict[str, Callable[[], object]] = {
        "identity": partial(resolve, project, lake, staging),
        "events": partial(build_events, project, lake, staging),
        "journeys": partial(build_journeys, project, staging),
    }
    stages |= {name: partial(build_mart, name, project, staging) for name in MARTS}
    stages["restatements"] = partial(build_restatements, project, lake, staging)
    for name, call in stages.items():
        with measured(staging, name):
            call()


def judge(project: Project, staging: Staging) -> None:
    """Judges every staged table by every rule on it, and notes the verdicts for `gate`."""
    rules = domain_rules(facts_of(project))
    for name, table in TABLES.items():
        asked = [*table_rules(table), *(rule for rule in rules if rule.table == name)]
        note_verdicts(staging, name, run_queries(staging, table, asked))

"""A small project and stages that stage ready-made rows, so that the orchestration alone is tested. Holds no test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from klantspoor.dictionary import TABLES
from klantspoor.identity import IdentityReport
from klantspoor.intake import IntakeReport
from klantspoor.lake import Lake, Staging
from tests.lake.small_world import AS_OF, Row, loose, world

FILES = {
    "klantspoor.yaml": """
        name: Test
        timezone: Europe/Amsterdam
        nightly_at: "02:30"
        pseudonym_key: {env: KLANTSPOOR_TEST_KEY}
        identifiers: {customer: {priority: 1}}
        limits: {suppress_below: 2, unmapped_warn_share: 0.5, quarantine_warn_share: 0.5}
        """,
    "sources/crm.yaml": """
        source: crm
        title: CRM
        files: ["crm/*.csv"]
        reader: {format: csv}
        not_personal: [what]
        defaults: {occurred_at: moment, activity: what, identifiers: [{type: customer, value: customer}]}
        expected: {every: night, if_missing: stop}
        """,
    "journeys/moving.yaml": """
        journey: moving
        title: Moving house
        cut: {gap: 30 days}
        phases:
          - {id: orientation, says: I look around, activities: [looked]}
          - {id: use, says: I live there, activities: [moved]}
        """,
}


def make_project(root: Path, **replaced: str) -> Path:
    """The project's folder, with some of its files replaced."""
    for name, text in (FILES | {key.replace("__", "/") + ".yaml": value for key, value in replaced.items()}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line[8:] for line in text.splitlines()), "utf-8")
    return root


def stage(staging: Staging, tables: dict[str, list[Row]], *names: str) -> None:
    """Write rows as a stage would."""
    for name in names:
        data = pa.Table.from_pylist(tables[name], schema=loose(TABLES[name]))
        staging.write(name, data)


def publish_before(lake: Lake) -> None:
    """A version that was published some night before, without going through the job."""
    staging = lake.open_run("before", AS_OF)
    stage(staging, world(), *TABLES)
    lake.publish(staging)


def patch_stages(patched: pytest.MonkeyPatch, tables: dict[str, list[Row]] | None = None) -> dict[str, list[Row]]:
    """Replace every stage of the library by one that stages these rows; gives the rows, to be spoilt."""
    rows = tables if tables is not None else world()

    def stages(*names: str) -> Callable[..., None]:
        return lambda *arguments: stage(arguments[-1], rows, *names)  # the staging comes last in every stage

    def resolve(*arguments: Any) -> IdentityReport:
        stage(arguments[-1], rows, "identities", "identity_audit", "person_aliases")
        return IdentityReport(identifiers=3, persons=2, guarded=0, shared=1, in_turn=0, links_left_out=0, largest=2)

    def mart(name: str, *arguments: Any) -> None:
        stage(arguments[-1], rows, name)

    for call, fake in {
        "intake.take_in": lambda *arguments, **_: IntakeReport(arguments[-1], ()),
        "identity.resolve": resolve,
        "events.build": stages("events", "intake", "quarantine"),
        "journeys.build": stages(*(name for name, table in TABLES.items() if table.layer == "journeys")),
        "marts.build": mart,
        "restatements.build": stages("restatements"),
        "mining.discover": lambda *arguments: _file(arguments[-1], "models"),
        "page.write": lambda *arguments: _file(arguments[-1], "pages"),
    }.items():
        patched.setattr(f"klantspoor.{call}", fake)
    return rows


def _file(staging: Staging, extra: str) -> None:
    (staging.extra(extra) / "index.html").write_text("<p>made</p>", "utf-8")

"""The tiny data set as a project on disk with a published lake, for the tests of the command line and the notebook."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import yaml

from klantspoor.lake import Lake
from klantspoor.page import write
from tests.page import tiny_project as config
from tests.page import tiny_tables as tiny

LANDED = """\
customer,happened_at,activity,channel,who,move
1001,2026-03-12 09:15:00,Page viewed,web,customer,
1001,2026-03-13 10:00:00,Move reported,phone,customer,M1
1001,2026-03-14 11:00:00,Address checked,,organisation,M1
1002,2026-03-14 11:30:00,Something else,phone,customer,
1002,2026-03-14 12:30:00,Called,phone,customer,M2
1003,no time,Move reported,phone,customer,M3
"""


def write_project(folder: Path) -> Path:
    """The project's files in `folder`, with a key for pseudonyms; nothing is published."""
    (folder / "sources").mkdir(parents=True)
    (folder / "journeys").mkdir()
    (folder / "landing" / "crm").mkdir(parents=True)
    (folder / "klantspoor.yaml").write_text(yaml.safe_dump(config.PROJECT_FILE), encoding="utf-8")
    (folder / "sources" / "crm.yaml").write_text(yaml.safe_dump(config.SOURCE), encoding="utf-8")
    for journey in (config.MOVING, config.OUTAGE):
        path = folder / "journeys" / f"{journey['journey']}.yaml"
        path.write_text(yaml.safe_dump(journey, allow_unicode=True), encoding="utf-8")
    (folder / "landing" / "crm" / "crm.csv").write_text(LANDED, encoding="utf-8")
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_text("ab" * 32, encoding="ascii")
    return folder


def publish(folder: Path, **replaced: pa.Table) -> Path:
    """The project's files and one published version, some of whose tables may be given; gives `folder`."""
    write_project(folder)
    lake = Lake(folder / "lake", timezone="Europe/Amsterdam", memory_mb=300)
    tables = tiny.make_tables() | replaced
    with lake.open_run(tiny.RUN_ID, tiny.AS_OF) as staging:
        for name, table in tables.items():
            staging.write(name, table)
        staging.extra("models")
        write(config.make_project(str(folder)), staging)
        lake.publish(staging)
    return folder

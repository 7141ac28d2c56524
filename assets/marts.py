"""Marts: one asset per aggregate that analysts read."""

import dagster as dg

from assets.checking import checks_of
from assets.reporting import made, needs, step
from assets.specs import table_spec
from klantspoor.dictionary import TABLES as ALL
from klantspoor.marts import MARTS
from pipelines.resources import Night

TABLES = MARTS


def mart(name: str) -> dg.AssetsDefinition:
    """The asset of one mart."""
    sources = [source for source in ALL[name].made_from if source in ALL]

    @dg.multi_asset(name=name, specs=[table_spec(name)])
    def build_mart(night: Night) -> dg.MaterializeResult:
        from klantspoor.marts import build

        needs(night.staging, *sources)
        with step(night.staging, name) as noted:
            build(name, night.project, night.staging)
            noted.rows_out = night.staging.rows(name)
        return next(made(night.staging, name))

    return build_mart


marts = [mart(name) for name in TABLES]
marts_checks = checks_of("marts_checks", TABLES)

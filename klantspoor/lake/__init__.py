"""The lake: staging, table writing, versions, the pointer, `klantspoor.duckdb`, and checks as queries."""

from klantspoor.lake.lake import Lake
from klantspoor.lake.lock import BusyError
from klantspoor.lake.months import local_months
from klantspoor.lake.of_project import open_lake
from klantspoor.lake.staging import Staging
from klantspoor.lake.version import Version
from klantspoor.lake.writer import TableWriter

__all__ = ["BusyError", "Lake", "Staging", "TableWriter", "Version", "local_months", "open_lake"]

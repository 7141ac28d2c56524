"""Verifying that what is published is what the ledger says: everything rebuilt aside, and compared."""

from klantspoor.verify.compare import DIARY, Difference, compare_versions
from klantspoor.verify.rebuild import Report, verify

__all__ = ["DIARY", "Difference", "Report", "compare_versions", "verify"]

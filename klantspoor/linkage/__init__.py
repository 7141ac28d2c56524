"""Fuzzy duplicates among records of persons, as evidence with a weight; needs the extra `linkage`."""

from klantspoor.linkage.fields import KINDS
from klantspoor.linkage.find import LINKS, LinkageResult, LinkageSettings, find_links
from klantspoor.linkage.report import LevelReport, LinkageReport, RuleReport

__all__ = [
    "KINDS",
    "LINKS",
    "LevelReport",
    "LinkageReport",
    "LinkageResult",
    "LinkageSettings",
    "RuleReport",
    "find_links",
]

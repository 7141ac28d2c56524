"""A run of the linkage: the vault's records are compared, and what is found is kept in the ledger as evidence.

How records are compared is in `klantspoor.linkage`; what evidence does to persons is the identity stage's matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from klantspoor.errors import ConfigError, LinkageError, Problem
from klantspoor.intake import Ledger, Vault, read_records
from klantspoor.intake.evidence import keep_evidence

if TYPE_CHECKING:
    from klantspoor.linkage import LinkageReport
    from klantspoor.project.model import Project


@dataclass(frozen=True, slots=True)
class DuplicatesFound:
    """Where the evidence of a run lies, and how it was found."""

    path: Path
    report: LinkageReport


def find_duplicates(project: Project, lake_root: Path, found_at: datetime) -> DuplicatesFound:
    """Compares all records of the vault, and keeps the pairs that are probably one person's as the newest evidence.

    The ledger is locked meanwhile, so that nobody is forgotten, and no file read, between reading and keeping.

    Args:
        project: a loaded, valid project.
        lake_root: the lake's folder.
        found_at: when, an aware datetime.

    Raises:
        ConfigError: the project has no `linkage`.
        MissingExtraError: the extra `linkage` is not installed.
        LinkageError: the vault holds fewer than two records, or they cannot be compared.
        LakeError: another process is taking files in, or a file cannot be read.
    """
    settings = project.file.linkage
    if settings is None:
        expected = "linkage: {}, and `record` in the sources whose records are to be compared"
        raise ConfigError([Problem("klantspoor.yaml", "linkage", "is not there", expected=expected)])
    from klantspoor.linkage import LinkageSettings, find_links

    ledger = Ledger(lake_root)
    with ledger.writing():
        records = read_records(project)
        if records.num_rows < 2:
            raise LinkageError(
                f"the vault holds {records.num_rows} record(s): nothing to compare. Map `record` in the sources that tell"
                " of persons, and have their files read (again)"
            )
        with Vault(project).scratch() as scratch:
            chosen = LinkageSettings(
                threshold=settings.threshold,
                max_pairs=settings.max_pairs,
                seed=settings.seed,
                memory_mb=project.file.limits.memory_mb,
                scratch=scratch,
            )
            found = find_links(records, chosen)
        return DuplicatesFound(keep_evidence(lake_root, found.links, found_at), found.report)

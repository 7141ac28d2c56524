"""Taking files in: readers, the gate, pseudonyms, quarantine and the ledger."""

from klantspoor.intake.evidence import EVIDENCE_SCHEMA, linkage_evidence
from klantspoor.intake.ledger import EVENTS_SCHEMA, LINKS_SCHEMA, QUARANTINE_SCHEMA, FileRecord, Ledger, LedgerFile
from klantspoor.intake.preview import PreviewRow, preview
from klantspoor.intake.reading import Counts
from klantspoor.intake.take import FileResult, IntakeReport, take_in
from klantspoor.intake.vault import VAULT_SCHEMA, Vault, read_records

__all__ = [
    "EVENTS_SCHEMA",
    "EVIDENCE_SCHEMA",
    "LINKS_SCHEMA",
    "QUARANTINE_SCHEMA",
    "VAULT_SCHEMA",
    "Counts",
    "FileRecord",
    "FileResult",
    "IntakeReport",
    "Ledger",
    "LedgerFile",
    "PreviewRow",
    "Vault",
    "linkage_evidence",
    "preview",
    "read_records",
    "take_in",
]

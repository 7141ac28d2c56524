"""Taking files in: readers, the gate, pseudonyms, quarantine and the ledger."""

from klantspoor.intake.ledger import EVENTS_SCHEMA, LINKS_SCHEMA, QUARANTINE_SCHEMA, FileRecord, Ledger, LedgerFile
from klantspoor.intake.preview import PreviewRow, preview
from klantspoor.intake.reading import Counts
from klantspoor.intake.take import FileResult, IntakeReport, take_in

__all__ = [
    "EVENTS_SCHEMA",
    "LINKS_SCHEMA",
    "QUARANTINE_SCHEMA",
    "Counts",
    "FileRecord",
    "FileResult",
    "IntakeReport",
    "Ledger",
    "LedgerFile",
    "PreviewRow",
    "preview",
    "take_in",
]

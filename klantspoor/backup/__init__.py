"""Back-ups of what cannot be made again: ledger, receipts, decisions, configuration and vault; made, checked, restored."""

from klantspoor.backup.make import BackupReport, back_up, told_bytes
from klantspoor.backup.manifest import Check, Manifest, check, read_manifest
from klantspoor.backup.restoring import RestoreReport, restore

__all__ = [
    "BackupReport",
    "Check",
    "Manifest",
    "RestoreReport",
    "back_up",
    "check",
    "read_manifest",
    "restore",
    "told_bytes",
]

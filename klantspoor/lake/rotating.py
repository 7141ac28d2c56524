"""The notes that a rotation of the key, or restoring a back-up, leaves in the lake while it changes files in place.

Here, low down, is only how others notice them; `klantspoor.rotation` and `klantspoor.backup` write and remove them.
"""

from __future__ import annotations

from pathlib import Path

from klantspoor.errors import LakeError

JOURNAL = "rotation.json"
RESTORING = "restoring.json"


def refuse_while_rotating(lake_root: Path) -> None:
    """To be asked with the lock in hand, before anything of the ledger is read or written.

    Raises:
        LakeError: where a rotation was interrupted: part of the lake may be made with the new key and part with the old. Or
            where restoring a back-up was: part of the lake may not be there.
    """
    if (lake_root / RESTORING).exists():
        raise LakeError(
            "restoring a back-up was interrupted while it changed this lake: run the same `klantspoor restore` again to"
            " finish it; nothing is lost"
        )
    if (lake_root / JOURNAL).exists():
        raise LakeError(
            "a rotation of the key was interrupted while it changed this lake: run `klantspoor key rotate` to finish it;"
            " nothing is lost"
        )

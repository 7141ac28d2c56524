"""Which versions may not become the current one again, and why."""

from __future__ import annotations

from pathlib import Path

from klantspoor.errors import LakeError
from klantspoor.lake.dropping import being_forgotten, read_note
from klantspoor.lake.upgrading import difference, maker_of, this_code
from klantspoor.lake.version import Version


def refuse_roll_back(root: Path, version: Version, current: Version | None, *, other_dictionary: bool) -> None:
    """To be asked with the writer's place in hand.

    Raises:
        LakeError: where `version` is current, is to go, lacks a file, or was made with another dictionary of tables (unless
            `other_dictionary`).
    """
    name = version.name
    if current is not None and name == current.name:
        raise LakeError(f"version {name} is the current one already")
    if name in read_note(root) or name in being_forgotten(root):
        raise LakeError(
            f"version {name} holds a person who was forgotten since, or pseudonyms of an earlier key: it does not come back"
        )
    _refuse_damaged(version)
    before, now = maker_of(version), this_code()
    if before.dictionary != now.dictionary and not other_dictionary:
        raise LakeError(
            f"{difference(name, before, now)}: commands may not find their columns in it, and the next night will ask for"
            " `klantspoor upgrade`. If that is meant, say so with --other-dictionary"
        )


def _refuse_damaged(version: Version) -> None:
    for path, told in version.manifest["files"].items():
        try:
            found = (version.root / path).stat().st_size
        except OSError:
            found = None
        if found != told["bytes"]:
            raise LakeError(
                f"version {version.name} is damaged: {path} is {'missing' if found is None else 'of another size'}."
                " Choose another version"
            )

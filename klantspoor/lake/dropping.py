"""Versions that are to go before their time: noted with a moment, and removed by whoever comes next after it.

The moment is one of the wall clock, not of a night's `as_of`: it is there for people and programs that are still reading.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from klantspoor.errors import LakeError
from klantspoor.lake.durable import replace_text
from klantspoor.lake.pruning import remove_version

NOTE = "dropping.json"


def read_note(root: Path) -> dict[str, datetime]:
    """The versions that are to go, each with the moment after which it may.

    Raises:
        LakeError: where the note cannot be read.
    """
    try:
        noted = json.loads((root / NOTE).read_text("utf-8"))
        return {str(name): datetime.fromisoformat(due) for name, due in noted.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise LakeError(
            f"{NOTE} in the lake cannot be read ({type(error).__name__}): it names versions that must be removed."
            " Restore it, or remove those versions by hand and then the file"
        ) from None


def write_note(root: Path, noted: dict[str, datetime]) -> None:
    """Keeps the note; without versions there is none."""
    if noted:
        text = {name: due.isoformat() for name, due in sorted(noted.items())}
        replace_text(root / NOTE, json.dumps(text, indent=1) + "\n")
    else:
        (root / NOTE).unlink(missing_ok=True)


def drop_due(root: Path, current: str, now: datetime) -> list[str]:
    """Removes the noted versions whose moment has come, never the current one; gives the names of those still waiting."""
    noted = read_note(root)
    if not noted:
        return []
    for name, due in noted.items():
        if due <= now and name != current:
            remove_version(root / "versions", name)
    waiting = {name: due for name, due in noted.items() if (root / "versions" / name).is_dir()}
    if waiting != noted:
        write_note(root, waiting)
    return sorted(waiting)


def being_forgotten(root: Path) -> set[str]:
    """The versions that hold a person who was erased from the ledger, and whom the current one may still hold.

    `klantspoor.forget` writes these requests; here, low down, is only how a roll-back notices them.

    Raises:
        LakeError: where a request cannot be read.
    """
    found: set[str] = set()
    for path in sorted((root / "ledger" / "forgetting").glob("*.json")):
        try:
            found |= {str(name) for name in json.loads(path.read_text("utf-8"))["versions"]}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise LakeError(
                f"the request {path.name} in ledger/forgetting cannot be read ({type(error).__name__}): it may name versions"
                " that must not come back. Finish it first: klantspoor forget --resume"
            ) from None
    return found

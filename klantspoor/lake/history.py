"""What became of every version: which was current until when, and which were set aside by a roll-back.

The pointer alone says which version is current, and moves before this note is written. So the note is brought to what the
pointer says by whoever holds the writer's place next, and a crash between the two loses nothing. A version on disk that
the note does not know was built and never published.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from klantspoor.errors import LakeError
from klantspoor.lake.durable import replace_text

NOTE = "history.json"


@dataclass(frozen=True, slots=True)
class Past:
    """One published version: when it stopped being the current one (None: it is), and when a roll-back set it aside.

    `written` are the bytes that its night had added to the disk when it was published, `whole` those it would have added
    had nothing been hard-linked from the version before; None where that is not known.
    """

    until: datetime | None = None
    set_aside: datetime | None = None
    written: int | None = None
    whole: int | None = None


@dataclass(frozen=True, slots=True)
class History:
    """Every published version that is still on disk, by name, and the highest number that was ever published."""

    highest: int = 0
    versions: dict[str, Past] = field(default_factory=dict)

    def wrote(self, name: str, written: int, whole: int) -> History:
        """The same, with what the night of a version had written."""
        return replace(
            self, versions=self.versions | {name: replace(self.versions[name], written=written, whole=whole)}
        )


def read_history(root: Path) -> History | None:
    """The note as it stands; None where there is none: nothing was published yet, or by software before it.

    Raises:
        LakeError: where it cannot be read.
    """
    try:
        noted = json.loads((root / NOTE).read_text("utf-8"))
        return History(int(noted["highest"]), {str(name): _past(told) for name, told in noted["versions"].items()})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise LakeError(
            f"{NOTE} in the lake cannot be read ({type(error).__name__}): it tells published versions from unfinished ones."
            " Restore it, or remove it: then every version up to the current one counts as published, and newer ones go"
        ) from None


def write_history(root: Path, history: History) -> None:
    """Keeps the note, if it changed."""
    if history != read_history(root):
        text = {name: _told(past) for name, past in sorted(history.versions.items())}
        replace_text(root / NOTE, json.dumps({"highest": history.highest, "versions": text}, indent=1) + "\n")


def settled(history: History | None, current: str | None, on_disk: Sequence[str], now: datetime) -> History:
    """The history as the pointer says it is: `current` is the version it names, `on_disk` are the names of all there are.

    A pointer at a number above all means a publication, at another a roll-back (or one taken back).
    """
    if current is None:
        return history or History()
    history = history or _before_notes(current, on_disk, now)
    versions = {name: past for name, past in history.versions.items() if name in on_disk or name == current}
    past = versions.get(current)
    if past is None or past.until is not None:
        versions = {name: replace(other, until=other.until or now) for name, other in versions.items()}
        if current in versions or int(current) <= history.highest:
            versions = _rolled_back(versions, current, now)
        else:
            versions[current] = Past()
    return History(max(history.highest, int(current)), dict(sorted(versions.items())))


def _rolled_back(versions: dict[str, Past], current: str, now: datetime) -> dict[str, Past]:
    """What is newer is set aside. What was set aside together with `current`, and is older, is in line with it again."""
    together = versions[current].set_aside if current in versions else None
    back = {}
    for name, past in versions.items():
        if name > current:
            back[name] = replace(past, set_aside=past.set_aside or now)
        elif together is not None and past.set_aside == together:
            back[name] = replace(past, set_aside=None)
        else:
            back[name] = past
    back[current] = replace(versions.get(current, Past()), until=None, set_aside=None)
    return back


def _before_notes(current: str, on_disk: Sequence[str], now: datetime) -> History:
    """A lake of software that kept no note: numbers only ever rose, and when a version ended is not known."""
    earlier = {name: Past(until=now) for name in on_disk if name < current}
    return History(int(current), earlier | {current: Past()})


def _past(told: dict[str, Any]) -> Past:
    until, set_aside = (datetime.fromisoformat(told[name]) if told[name] else None for name in ("until", "set_aside"))
    written, whole = (None if told[name] is None else int(told[name]) for name in ("written", "whole"))
    return Past(until, set_aside, written, whole)


def _told(past: Past) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(past).items()}

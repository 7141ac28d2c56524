"""What is told of every published version on disk, for people who choose one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from klantspoor.errors import LakeError
from klantspoor.lake.disk import own_and_shared
from klantspoor.lake.history import Past
from klantspoor.lake.pins import Pin
from klantspoor.lake.version import Version

State = Literal["current", "earlier", "set aside"]


@dataclass(frozen=True, slots=True)
class Listed:
    """One version.

    `state` says whether it is the current one, was once, or was set aside by a roll-back to one before it; `until` when it
    stopped being current. `own` are bytes that are free when it goes, `shared` those that other versions hold too. `goes`
    is the moment after which it is removed because it holds a forgotten person or pseudonyms of an earlier key. Of a
    damaged version `made` is None; otherwise it is the manifest's word: `as_of`, `published_at`, `software`, `dictionary`,
    and the rows of `tables`.
    """

    name: str
    state: State
    until: datetime | None
    own: int
    shared: int
    pin: Pin | None
    goes: datetime | None
    made: Made | None


@dataclass(frozen=True, slots=True)
class Made:
    """What the manifest of a version says of it."""

    as_of: datetime
    published_at: datetime
    software: str
    dictionary: str
    rows: dict[str, int]


def listing(
    versions: Mapping[str, Version], pasts: Mapping[str, Past], pins: Mapping[str, Pin], going: Mapping[str, datetime]
) -> list[Listed]:
    """All of `versions`, newest first; what the lake notes of each is looked up by its name."""
    sizes = own_and_shared({name: version.root for name, version in versions.items()})
    return [
        Listed(
            name, _state(pasts[name]), pasts[name].until, *sizes[name], pins.get(name), going.get(name), _made(version)
        )
        for name, version in sorted(versions.items(), reverse=True)
    ]


def _state(past: Past) -> State:
    if past.until is None:
        return "current"
    return "earlier" if past.set_aside is None else "set aside"


def _made(version: Version) -> Made | None:
    try:
        said = version.manifest
        as_of, published_at = (datetime.fromisoformat(said[name]) for name in ("as_of", "published_at"))
        return Made(as_of, published_at, str(said["software"]), str(said["dictionary"]), dict(said["tables"]))
    except (LakeError, KeyError, ValueError, TypeError):
        return None

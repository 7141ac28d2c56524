"""The request to forget a person, as a file: what is to be erased, and how far that has come.

It lies in the ledger, readable by its owner alone, for as long as the erasing takes, and holds the person's pseudonyms;
when all is done it is removed and only the receipt stays, which holds none.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from klantspoor.errors import LakeError
from klantspoor.intake.ledger import Ledger
from klantspoor.lake.durable import OWNER_ONLY, make_folder, replace_text
from klantspoor.lake.publishing import force

Identifier = tuple[str, str]
"""Type and pseudonym."""
_FOLDER = "forgetting"
_PRIVATE = 0o700


@dataclass(slots=True)
class Request:
    """One request.

    `exclusive` are the identifiers that are this person's alone; only these get tombstones. `others` are other people's
    identifiers that stand in rows beside them, `shared` those that are nobody's alone (type, pseudonym, how). `events`
    are the ids of the person's events; `spared` are rows (sequence, row number, event id) that carry an exclusive
    identifier and yet are somebody else's. `journeys` and `accounts` (those that were only theirs) go with the events, and
    are looked for. `counts` and `landing` are for the receipt. `versions` are those that were on disk when the ledger had
    been cleaned at `erased_at`: these must go.
    """

    id: str
    requested_at: datetime
    person_id: str
    exclusive: list[Identifier] = field(default_factory=list)
    others: list[Identifier] = field(default_factory=list)
    shared: list[tuple[str, str, str]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    spared: list[tuple[int, int, str]] = field(default_factory=list)
    journeys: list[str] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    landing: list[dict[str, Any]] = field(default_factory=list)
    erased_at: datetime | None = None
    versions: list[str] = field(default_factory=list)

    @property
    def pseudonyms(self) -> set[str]:
        """The pseudonyms of the exclusive identifiers."""
        return {pseudonym for _, pseudonym in self.exclusive}


def new_request(person_id: str, now: datetime) -> Request:
    """A request made at `now`, an aware datetime."""
    now = now.astimezone(UTC)
    return Request(f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}", now, person_id)


def save(lake_root: Path, request: Request) -> None:
    """Keeps the request as it stands; from the first time on it will be carried out."""
    folder = lake_root / "ledger" / _FOLDER
    make_folder(folder, _PRIVATE)
    folder.chmod(_PRIVATE)
    values = asdict(request) | {
        "requested_at": request.requested_at.isoformat(),
        "erased_at": request.erased_at.isoformat() if request.erased_at else None,
    }
    replace_text(folder / f"{request.id}.json", json.dumps(values, indent=1) + "\n", OWNER_ONLY)


def pending(lake_root: Path) -> list[Request]:
    """The requests that are not done, oldest first.

    Raises:
        LakeError: one cannot be read.
    """
    return [_read(path) for path in sorted((Ledger(lake_root).folder / _FOLDER).glob("*.json"))]


def _read(path: Path) -> Request:
    try:
        values = json.loads(path.read_text("utf-8"))
        for name in ("requested_at", "erased_at"):
            values[name] = datetime.fromisoformat(values[name]) if values[name] else None
        for name in ("exclusive", "others", "shared", "spared"):
            values[name] = [tuple(entry) for entry in values[name]]
        return Request(**values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LakeError(
            f"the request {path.name} in ledger/{_FOLDER} cannot be read ({type(error).__name__}): a person may be"
            " forgotten by half. Restore it from a back-up, or remove it and ask for that person to be forgotten again"
        ) from None


def remove(lake_root: Path, request: Request) -> None:
    """Ends the request: its pseudonyms are gone."""
    folder = lake_root / "ledger" / _FOLDER
    (folder / f"{request.id}.json").unlink(missing_ok=True)
    force(folder)
    if not any(folder.iterdir()):
        folder.rmdir()

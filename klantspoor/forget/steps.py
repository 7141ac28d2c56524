"""Forgetting, step by step, from the request to the receipt.

The request is noted, tombstones are put up, the ledger and what lies beside it are cleaned; then, when a version without
the person is published, the older ones are dropped, everything is searched, and the receipt is written. Each step may be
done again: what interrupts them leaves either nothing begun or a request that `resume_all` carries out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Literal

from klantspoor.errors import LakeError
from klantspoor.forget.beside import (
    DECISIONS,
    clear_caches,
    clear_decisions,
    clear_linkage,
    clear_vault,
    put_up_tombstones,
)
from klantspoor.forget.folders import look, rewrite
from klantspoor.forget.person import priorities, trace, vault_of
from klantspoor.forget.request import Request, pending, remove, save
from klantspoor.forget.scan import Scan, needles, scan
from klantspoor.forget.sets import lists_holding
from klantspoor.intake.ledger import Ledger
from klantspoor.intake.pseudonyms import Pseudonymiser
from klantspoor.intake.sandbox import shared_connection
from klantspoor.lake import Lake, Staging
from klantspoor.lake.durable import make_folder, replace_text
from klantspoor.project.key import Keys, load_key
from klantspoor.project.model import Project

RECEIPTS = "receipts"
State = Literal["unpublished", "waiting", "traces", "done"]
_HOLDER = "forget"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a request has come.

    `unpublished`: all is erased, a night has to be published. `waiting`: older versions stay until `until`, for their
    readers. `traces`: the search found something, in the places that `scan` names. `done`: the receipt says so.
    """

    request: str
    state: State
    receipt: Path
    until: datetime | None = None
    scan: Scan | None = None


def forget(project: Project, lake: Lake, person_id: str, now: datetime | None = None) -> Request:
    """Erases a person from everything that versions are made from. A night must be published after it.

    Raises:
        BusyError: a run is writing to this lake.
        NotFoundError: the current version does not know the person.
        LakeError: nothing was published yet, files were taken in since, or this person is being forgotten already.
        ConfigError: the key for pseudonyms is not there.
    """
    now = now or datetime.now(UTC)
    with lake.writing(_HOLDER):
        version = lake.current()
        if version is None:
            raise LakeError(
                "Nothing has been published yet, so nobody is known. Start the nightly job with: klantspoor run"
            )
        if any(request.person_id == person_id for request in pending(lake.root)):
            raise LakeError(f"{person_id} is being forgotten already; to go on with it: klantspoor forget --resume")
        _settle(lake)
        _keys(project, lake)
        request = trace(project, lake, version, person_id, now)
        save(lake.root, request)
        _erase(project, lake, request, now, None)
        return request


def resume_all(
    project: Project,
    lake: Lake,
    *,
    now: datetime | None = None,
    staging: Staging | None = None,
    elsewhere: Sequence[Path] = (),
) -> list[Progress]:
    """Brings every request on as far as it can be brought; does nothing where there is none.

    To be called before a night takes files in, and after it was published. Within a run that holds the lake, give its
    `staging`, which is left alone. `elsewhere` are further places to search, such as Dagster's storage.

    Raises:
        BusyError: a run is writing to this lake.
        LakeError: a request or the ledger cannot be read.
        ConfigError: the key for pseudonyms is not there.
    """
    now = now or datetime.now(UTC)
    if not pending(lake.root):
        return []
    with _held(lake, staging):
        found = []
        for request in pending(lake.root):
            if request.erased_at is None:
                _erase(project, lake, request, now, staging)
            found.append(_conclude(project, lake, request, now, elsewhere))
        return found


@contextmanager
def _held(lake: Lake, staging: Staging | None) -> Iterator[None]:
    if staging is not None and not staging.is_open:
        raise LakeError(f"run {staging.run_id} does not hold this lake any more")
    with lake.writing(_HOLDER) if staging is None else nullcontext():
        yield


def _settle(lake: Lake) -> None:
    """Mends what an interrupted intake or exchange left in the ledger."""
    with Ledger(lake.root).writing():
        pass


def _keys(project: Project, lake: Lake) -> Keys:
    keys = load_key(project)
    if any(file.record.key_check != keys.check for file in Ledger(lake.root).files()):
        raise LakeError("the key for pseudonyms is another than the ledger was made with: bring that key back")
    return keys


def _erase(project: Project, lake: Lake, request: Request, now: datetime, staging: Staging | None) -> None:
    limits, trust = project.file.limits, priorities(project)
    pseudonyms = Pseudonymiser(shared_connection("tools", limits.memory_mb), _keys(project, lake))
    ledger = Ledger(lake.root)
    scratch = lake.root / "work" / _HOLDER
    with ledger.writing():
        request.counts["tombstones"] = put_up_tombstones(ledger.folder, request, pseudonyms)
        for file in ledger.files():
            seen = look(file, request, trust)
            if not seen.is_clean:
                clear_vault(vault_of(project), seen, request, trust)
                rewrite(ledger, seen, request, limits.memory_mb, scratch)
        clear_linkage(ledger.folder, request)
    clear_decisions(Path(project.root), request)
    clear_caches(lake.root)
    lake.sweep_work(staging.run_id if staging is not None else None)
    request.versions = lake.version_names()
    request.erased_at = now
    save(lake.root, request)


def _conclude(project: Project, lake: Lake, request: Request, now: datetime, elsewhere: Sequence[Path]) -> Progress:
    receipt = lake.root / RECEIPTS / f"{request.id}.json"
    current = lake.current()
    if current is None or current.name in request.versions:
        _write(receipt, _said(request))
        return Progress(request.id, "unpublished", receipt)
    due = datetime.fromisoformat(current.manifest["published_at"]) + project.file.limits.readers_grace
    lake.drop_versions([name for name in lake.version_names() if name in request.versions], due)
    waiting = sorted({*lake.drop_due(now)} & {*request.versions})
    until = lake.due(waiting)
    if waiting and _is_proved(receipt):
        return Progress(request.id, "waiting", receipt, until)  # searched already; once more when they are gone
    outside = [lake.versions / name for name in waiting]
    found = _search(project, lake, request, [*outside, lake.ledger / "forgetting"], elsewhere)
    said = _said(request) | {
        "published_version": current.name,
        "versions_dropped": [name for name in request.versions if name not in waiting],
        "versions_waiting": waiting,
        "drop_after": until.isoformat() if until else None,
        "scan": _told(project, found),
    }
    if found.traces:
        _write(receipt, said)
        return Progress(request.id, "traces", receipt, scan=found)
    if waiting:
        _write(receipt, said)
        return Progress(request.id, "waiting", receipt, until, found)
    _write(receipt, said | {"finished_at": now.isoformat()})
    remove(lake.root, request)
    return Progress(request.id, "done", receipt, scan=found)


def _is_proved(receipt: Path) -> bool:
    """Whether the receipt tells already of a search that found nothing."""
    try:
        return bool(json.loads(receipt.read_text("utf-8"))["scan"]["traces"] == [])
    except (OSError, ValueError, KeyError):
        return False


def _search(
    project: Project, lake: Lake, request: Request, leave_out: Sequence[Path], elsewhere: Sequence[Path]
) -> Scan:
    again = _came_again(lake, request)
    spare = again | {request.person_id, *request.accounts} if again else set()
    places = [lake.root, vault_of(project), Path(project.root) / DECISIONS, Path(gettempdir()) / "klantspoor-scratch"]
    landing = Path(project.root) / project.file.landing
    return scan(needles(request, spare), [*places, *elsewhere], [*leave_out, landing])


def _came_again(lake: Lake, request: Request) -> set[str]:
    """Pseudonyms that the ledger knows from after the request, and only from then: somebody new, with the same number."""
    first: dict[str, datetime] = {}
    for file in Ledger(lake.root).files():
        for seen, held in lists_holding(file.links, "first_seen", request.pseudonyms):
            for one in held:
                if one["identifier"] in request.pseudonyms:
                    first[one["identifier"]] = min(seen, first.get(one["identifier"], seen))
    return {pseudonym for pseudonym, seen in first.items() if seen >= request.requested_at}


def _said(request: Request) -> dict[str, Any]:
    """What a receipt says of a request; nothing in it leads back to the person."""
    return {
        "receipt": request.id,
        "requested_at": request.requested_at.isoformat(),
        "erased_at": request.erased_at.isoformat() if request.erased_at else None,
        "finished_at": None,
        "erased": request.counts,
        "landing_files": request.landing,
    }


def _told(project: Project, found: Scan) -> dict[str, Any]:
    return {
        "files_searched": found.files,
        "traces": [asdict(one) for one in found.traces],
        "not_searched": f"{project.file.landing}: landing files are the organisation's own",
    }


def _write(path: Path, said: dict[str, Any]) -> None:
    make_folder(path.parent)
    replace_text(path, json.dumps(said, indent=1) + "\n")

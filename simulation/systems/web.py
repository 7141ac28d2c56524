"""The website: JSON lines of track events in the shape of Segment's.

Belongs here: the fields of an event. Times are epoch milliseconds; the user is null until they log in.
"""

from __future__ import annotations

import json

import numpy as np

from simulation.log import WebRow, World
from simulation.systems.calls import iso
from simulation.systems.export import Export, FileKind, as_is, make_ids, no_header
from simulation.vocabulary import WEB_PATHS

FILES = FileKind("web", ".jsonl", "utf-8", no_header, as_is)
_REFERRER = {
    "google_ads": "https://www.google.com/",
    "vergelijker": "https://vergelijker.example/energie",
    "voorjaarsactie": "https://nieuwsbrief.voorbeeldenergie.example/",
    "buurtactie": "https://buurtapp.example/",
}
_FORMS = {
    "Offer Saved", "Order Placed", "Move Submitted", "Billing Question Submitted", "Compensation Requested",
    "Outage Reported",
}  # fmt: skip
_LANDING = {"Landing Page Viewed", "Tariffs Viewed", "News Article Viewed"}


def _line(row: WebRow, case: str, message: str) -> str:
    properties = {}
    if row.account is not None:
        properties["contractNumber"] = row.account.contract
    if case:
        properties["caseNumber"] = case
    if row.name in _FORMS:
        properties["email"] = row.person.accounts[0].email if row.account is None else row.account.email
    if row.since:
        properties["outageSince"] = iso(row.since)
    page = f'{{"path":"{WEB_PATHS[row.name]}"'
    if row.name in _LANDING and row.campaign:
        page += f',"referrer":"{_REFERRER[row.campaign]}"}},"campaign":{{"name":"{row.campaign}"}}'
    else:
        page += "}"
    user = f'"{row.user}"' if row.user else "null"
    return (
        f'{{"messageId":"{message}","type":"track","event":"{row.name}","timestamp":{row.t_ms},'
        f'"anonymousId":"{row.cookie}","userId":{user},"context":{{"page":{page}}},'
        f'"properties":{json.dumps(properties, separators=(",", ":")) if properties else "{}"}}}'
    )


def export(world: World) -> tuple[Export, list[WebRow]]:
    """All events in order of time, with the rows they came from."""
    clock = world.clock
    stop = clock.end * 1000
    rows = sorted((row for row in world.log.web if row.t_ms < stop), key=lambda row: row.t_ms)
    ids = make_ids(world.seed, "web", len(rows))
    times = np.array([row.t_ms for row in rows], dtype=np.int64)
    made = Export(
        name="web",
        lines=[_line(row, world.case_numbers.get(row.case, ""), key) for row, key in zip(rows, ids, strict=True)],
        ids=ids,
        times_us=times * 1000,
        days=clock.day_index(times // 1000),
        keyed=np.array([bool(row.case) for row in rows], dtype=np.bool_),
        late=np.zeros(len(rows), dtype=np.bool_),
    )
    return made, rows

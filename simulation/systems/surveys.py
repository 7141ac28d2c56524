"""The survey tool: a comma CSV in UTF-8, one row per invitation once it is answered or has expired.

Belongs here: the columns and the words customers write. Whether they answer, and the score, is `voice.py`'s.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np

from simulation.clock import DAY, ZONE
from simulation.log import SurveyRow, World
from simulation.systems.crm import quoted
from simulation.systems.export import Export, FileKind, as_is

COLUMNS = "response_id,instrument,score,sent_at,answered_at,klantnummer,email,telefoon,about,comment"
FILES = FileKind("surveys", ".csv", "utf-8", lambda _day: COLUMNS, as_is)
EXPIRES_AFTER = 14 * DAY
_TOP = {"NPS": 10, "CES": 7, "CSAT": 5}
_GOOD = ("Snel geholpen, dank aan {name}'s team", "Prima zo", "Vriendelijk en duidelijk", "Alles ging vanzelf 👍")
_FAIR = ("Het ging wel", "Duurde wat lang, maar opgelost", "Redelijk, mail was onduidelijk")
_BAD = (
    "Drie keer moeten bellen, {name} is er klaar mee",
    "Niemand belt terug op {phone}",
    "Veel te lang gewacht, en toen nog een fout",
    "Website werkte niet, daarna in de wacht",
)


def _comment(row: SurveyRow) -> str:
    pick = (row.sent * 31 + row.person.index) % 100
    if row.answered == 0 or pick >= 45:
        return ""
    share = row.score / _TOP[row.instrument]
    texts = _GOOD if share > 0.79 else _FAIR if share > 0.5 else _BAD
    name = f"{row.person.first_name} {row.person.last_name}"
    return quoted(texts[pick % len(texts)].format(name=name, phone=row.account.phone_raw))


def _iso(t: int) -> str:
    return datetime.fromtimestamp(t, ZONE).isoformat()


def _line(row: SurveyRow, case: str, number: int, contact_ids: list[str]) -> str:
    active = row.account.active_from is not None and row.account.active_from <= row.sent
    way = (row.sent + number) % 10
    customer = row.account.customer if active and way < 5 else ""
    email = row.account.email if not customer and (way < 8 or row.call < 0) else ""
    phone = row.account.phone if not customer and not email else ""
    about = contact_ids[row.call] if row.call >= 0 else case
    if about and number % 7 == 0:
        about = ""
    answered = _iso(row.answered) if row.answered else ""
    score = row.score if row.answered else ""
    return (
        f"R-{number:07d},{row.instrument},{score},{_iso(row.sent)},{answered},{customer},{email},{phone},{about},"
        f"{_comment(row)}"
    )


def closed_at(row: SurveyRow) -> int:
    """When the row is exported: answered, or given up."""
    return row.answered or row.sent + EXPIRES_AFTER


def export(world: World, contact_ids: list[str]) -> tuple[Export, list[SurveyRow]]:
    """All closed invitations, in the order in which they closed, with the rows they came from."""
    clock = world.clock
    rows = sorted((row for row in world.log.surveys if closed_at(row) < clock.end), key=closed_at)
    closed = np.array([closed_at(row) for row in rows], dtype=np.int64)
    happened = np.array([row.answered or row.sent for row in rows], dtype=np.int64)
    lines = [_line(row, world.case_numbers[row.case], n, contact_ids) for n, row in enumerate(rows, start=1)]
    keyed = [bool(row.case) and row.call < 0 and n % 7 != 0 for n, row in enumerate(rows, start=1)]
    made = Export(
        name="surveys",
        lines=lines,
        ids=[f"R-{n:07d}" for n in range(1, len(rows) + 1)],
        times_us=happened * 1_000_000,
        days=clock.day_index(closed),
        keyed=np.array(keyed, dtype=np.bool_),
        late=np.zeros(len(rows), dtype=np.bool_),
    )
    return made, rows

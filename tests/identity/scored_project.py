"""A small published project whose persons are known: Ann, Bob, Carl and Dave, and what the systems saw of them. No test.

Ann's third visit is on a cookie that ties her to nothing; Carl uses Bob's tablet once (w7); the list ties Carl's e-mail
address to his number; nothing at all is known of visit w9, which is Ann's.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from klantspoor import events, identity, journeys, marts, restatements
from klantspoor.intake import take_in
from klantspoor.lake import open_lake
from klantspoor.lake.steps import runs_table
from klantspoor.project.load import load_project
from klantspoor.project.model import Project

AS_OF = datetime(2026, 3, 9, 1, tzinfo=UTC)
FILES = {
    "klantspoor.yaml": """
        name: Scored
        timezone: UTC
        pseudonym_key: {file: key}
        identifiers:
          customer: {priority: 1, block: ["000"]}
          email: {priority: 2, normalise: lower}
          cookie: {priority: 3, at_most_persons: 1}
        """,
    "sources/web.yaml": """
        source: web
        title: Website
        files: ["web/*.csv"]
        reader: {format: csv}
        not_personal: [id, moment, what]
        defaults:
          id: id
          occurred_at: moment
          activity: what
          identifiers: [{type: customer, value: customer}, {type: cookie, value: cookie}]
        """,
    "sources/tickets.yaml": """
        source: tickets
        title: Tickets, whose numbers are personal
        files: ["tickets/*.csv"]
        reader: {format: csv}
        not_personal: [opened, closed]
        defaults:
          id: ticket
          identifiers: [{type: customer, value: customer}, {type: email, value: email}]
        events:
          - {occurred_at: opened, activity: "'opened'"}
          - {when: closed IS NOT NULL, occurred_at: closed, activity: "'closed'"}
        """,
    "sources/list.yaml": """
        source: list
        title: Customer list
        kind: reference
        files: ["list/*.csv"]
        reader: {format: csv}
        defaults: {identifiers: [{type: customer, value: customer}, {type: email, value: email}]}
        """,
    "journeys/helping.yaml": """
        journey: helping
        title: Getting help
        cut: {gap: 30 days}
        phases:
          - {id: looking, says: I look around, activities: [looked]}
          - {id: asking, says: I ask, activities: [opened, closed]}
        """,
    "landing/web/web.csv": """
        id,moment,what,customer,cookie
        w1,2026-03-01 10:00:00,looked,1,c1
        w2,2026-03-02 10:00:00,looked,,c1
        w3,2026-03-03 10:00:00,looked,,c9
        w4,2026-03-03 10:05:00,looked,,c9
        w5,2026-03-01 11:00:00,looked,2,c2
        w6,2026-03-02 11:00:00,looked,,c5
        w7,2026-03-04 11:00:00,looked,,c2
        w8,2026-03-05 11:00:00,looked,3,c4
        w9,2026-03-06 11:00:00,looked,,
        """,
    "landing/tickets/tickets.csv": """
        ticket,opened,closed,customer,email
        ann-1,2026-03-02 12:00:00,2026-03-03 12:00:00,1,a@x.nl
        carl-1,2026-03-06 12:00:00,,,C@X.nl
        """,
    "landing/list/list.csv": """
        customer,email
        3,c@x.nl
        4,d@x.nl
        """,
}
EVENTS = """\
source,source_event_id,true_person,household
web,w1,ann,h1
web,w2,ann,h1
web,w3,ann,h1
web,w4,ann,h1
web,w9,ann,h1
tickets,ann-1,ann,h1
web,w5,bob,h2
web,w6,bob,h2
web,w7,carl,h2
web,w8,carl,h2
tickets,carl-1,carl,h2
web,w404,dave,h3
"""
IDENTIFIERS = """\
identifier_type,raw_value,true_person
customer,1,ann
email, A@X.nl,ann
cookie,c1,ann
cookie,c9,ann
customer,2,bob
cookie,c5,bob
cookie,c2,bob
cookie,c2,carl
customer,3,carl
email,c@x.NL,carl
cookie,c4,carl
customer,4,dave
customer,000,dave
cookie,c77,dave
telegram,@dave,dave
"""


def write(folder: Path) -> Project:
    """The project's files, as loaded."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line[8:] for line in text.splitlines()[1:]), encoding="utf-8")
        if name.startswith("landing"):
            os.utime(path, (AS_OF.timestamp() - 3600, AS_OF.timestamp() - 3600))
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_text("cd" * 32, encoding="ascii")
    return load_project(folder)


def publish(folder: Path) -> Project:
    """The project with one published version, and the two truths as `events.csv` and `identifiers.csv` beside its files."""
    project = write(folder)
    lake = open_lake(project)
    take_in(project, lake.root, AS_OF)
    staging = lake.open_run("scored", AS_OF)
    identity.resolve(project, lake, staging)
    events.build(project, lake, staging)
    journeys.build(project, staging)
    for name in marts.MARTS:
        marts.build(name, project, staging)
    restatements.build(project, lake, staging)
    staging.write("runs", runs_table(staging, None))
    lake.publish(staging)
    (folder / "events.csv").write_text(EVENTS, encoding="utf-8")
    (folder / "identifiers.csv").write_text(IDENTIFIERS, encoding="utf-8")
    return project

"""Rules beyond single keys: each broken once in a project that is right otherwise."""

from __future__ import annotations

from datetime import timedelta

import pytest
from project_folder import ProjectFolder

from klantspoor.project.lint import lint
from klantspoor.project.load import load_project
from klantspoor.project.match import activity_test, fits, specificity
from klantspoor.project.model import ActivityMatcher, SourceFile
from klantspoor.project.privacy import is_not_personal
from klantspoor.project.wording import folded, is_first_person

FILE, SOURCE, JOURNEY = "klantspoor.yaml", "sources/tickets.yaml", "journeys/getting_help.yaml"
JSONL = "{format: jsonl, fields: {ticket: $.id, changed_at: $.at, status: $.s, via: $.v, team: $.t, product: $.p"


def one(project: ProjectFolder, where: str, level: str = "error") -> str:
    """The one problem at a place, as text; there must be no other of its level."""
    problems = project.problems(level)
    assert [p.where for p in problems] == [where], "\n".join(map(str, problems))
    return str(problems[0])


# --- klantspoor.yaml -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "where", "told"),
    [
        ("Europe/Amsterdam #", "europe/amsterdam #", "timezone", "'Europe/Amsterdam'"),
        ("Europe/Amsterdam #", "CET #", "timezone", "IANA"),
        ('"03:00"', '"24:30"', "nightly_at", "no time of day"),
        ('mon: ["08:30-17:30"]', 'mon: ["17:30-08:30"]', "calendar.hours.mon[0]", "ends before it begins"),
        ('mon: ["08:30-17:30"]', 'mon: ["08:30-08:30"]', "calendar.hours.mon[0]", "ends before it begins"),
        ('mon: ["08:30-17:30"]', 'mon: ["08:30-24:30"]', "calendar.hours.mon[0]", "00:00 to 24:00"),
        ('"13:00-17:00"]', '"11:59-17:00"]', "calendar.hours.fri[1]", "overlaps"),
        ("{customer: 1}", "{custmer: 1}", "identifiers.email.at_most.custmer", "'customer'"),
        ("{customer: 1}", "{email: 1}", "identifiers.email.at_most.email", "by itself"),
        ("  file: pseudonym.key", "  {}", "pseudonym_key", "neither"),
        ("  file: pseudonym.key", "  {env: A, file: b}", "pseudonym_key", "and a file"),
        ("  file: pseudonym.key", "  env: MY-KEY", "pseudonym_key.env", "environment variable"),
        ("lake: lake", "lake: .", "lake", "own folder"),
        ("lake: lake", "lake: landing/out", "landing", "two folders apart"),
        ("lake: lake", "lake: lake\nvault: lake/vault", "vault", "lies in the lake"),
        ("lake: lake", "lake: lake\nvault: landing", "vault", "landing folder"),
        ("lake: lake", "lake: safe/lake\nvault: safe", "vault", "a folder apart"),
        ("lake: lake", "lake: lake\nvault: .", "vault", "own folder"),
        ("lake: lake", "lake: lake\nalarms: {}", "alarms", "tells nobody"),
        ("lake: lake", "lake: lake\nalarms: {command: [mail, ops]}", "alarms.command[0]", "full path"),
        ("lake: lake", "lake: lake\nalarms: {webhook: {env: A-B}}", "alarms.webhook.env", "environment variable"),
        (
            "lake: lake",
            "lake: lake\nalarms: {webhook: {env: A}, published_within: 10 minutes}",
            "alarms.published_within",
            "an hour or more",
        ),
        ("lake: lake", "lake: lake\nalarms: {webhook: {env: A}, timeout: 6 minutes}", "alarms.timeout", "5 minutes"),
    ],
)
def test_project_file(project: ProjectFolder, old: str, new: str, where: str, told: str) -> None:
    project.change(FILE, old, new)
    found = [p for p in project.problems("error") if p.where == where]
    assert len(found) == 1
    assert told in str(found[0])


@pytest.mark.parametrize(
    "written", ["webhook: https://example.test/s3cr3t", "webhook: {env: https://example.test/s3cr3t}"]
)
def test_the_address_of_a_webhook_is_not_repeated(project: ProjectFolder, written: str) -> None:
    project.change(FILE, "lake: lake", f"lake: lake\nalarms:\n  {written}")
    said = "\n".join(map(str, project.problems("error")))
    assert "alarms.webhook" in said
    assert "s3cr3t" not in said


def test_alarms_have_defaults_that_suit_a_night(project: ProjectFolder) -> None:
    project.change(FILE, "lake: lake", "lake: lake\nalarms: {command: [/usr/local/bin/tell, --to, ops]}")
    alarms = load_project(project.root).file.alarms
    assert alarms is not None
    assert alarms.command == ["/usr/local/bin/tell", "--to", "ops"]
    assert (alarms.published_within, alarms.timeout) == (timedelta(hours=26), timedelta(seconds=10))
    assert alarms.webhook is None


GUARDED = "normalise: email\n    at_most: {customer: 1}"


@pytest.mark.parametrize(
    ("keys", "where", "told"),
    [
        ("normalise: email\n    country: NL", "country", "normalise: phone beside it"),
        ("country: NL", "country", "for telephone numbers"),
        ("normalise: phone\n    country: UK", "country", "'UK'"),
        ("when_shared: split", "when_shared", "at_most_persons: 1 beside it"),
        ("when_shared: split\n    at_most_persons: 2", "when_shared", "one person's at a time"),
        ("between: next", "between", "at_most_persons: 1 beside it"),
        ("same_topic_within: 7 days", "same_topic_within", "needs a limit"),
        ("between: previous\n    at_most_persons: {most: 2, within: 30 days}", "between", "at_most_persons: 1"),
        ("between: next\n    at_most_persons: 1", "between", "says nothing here"),
        ("turn_within: 1 day\n    at_most_persons: 1", "turn_within", "says nothing here"),
        ("at_most: {custmer: {most: 2, within: 90 days}}", "at_most.custmer", "Did you mean 'customer'?"),
        ("at_most: {email: {most: 2, within: 90 days}}", "at_most.email", "by itself"),
        ("at_most: {customer: 0}", "at_most.customer.most", "1"),
        ("at_most: {customer: {within: 90 days}}", "at_most.customer.most", "missing"),
        ("at_most: {customer: {most: 1, within: 90}}", "at_most.customer.within", "90"),
        ("at_most: {customer: {most: 1, within: 23 hours}}", "at_most.customer.within", "1 day or more"),
        ("at_most_persons: {most: 1, within: 0}", "at_most_persons.within", "1 day or more"),
        ("normalise: phon", "normalise", "'phone'"),
        ("normalise: phone\n    country: nl", "country", "nl"),
    ],
)
def test_identifier_types(project: ProjectFolder, keys: str, where: str, told: str) -> None:
    project.change(FILE, GUARDED, keys)
    found = [p for p in project.problems("error") if p.where == f"identifiers.email.{where}"]
    assert len(found) == 1, "\n".join(map(str, project.problems()))
    assert told in str(found[0])


@pytest.mark.parametrize(
    "keys",
    [
        "normalise: phone\n    country: NL",
        "normalise: phone",
        "at_most_persons: 1\n    when_shared: split",
        "at_most_persons: 1\n    when_shared: split\n    between: next",
        "at_most_persons: 1\n    same_topic_within: 7 days",
        "at_most_persons: 1\n    when_shared: split\n    turn_within: 1 day",
        "at_most_persons: {most: 1, within: 90 days}\n    between: previous",
        "at_most: {customer: {most: 2, within: 90 days}}\n    one_per_person: true",
        "at_most_persons: {most: 1, within: 24 hours}",
        "at_most_persons: {most: 3}\n    staff: ['*@shop.example']",
    ],
)
def test_identifier_types_that_are_fine(project: ProjectFolder, keys: str) -> None:
    project.change(FILE, GUARDED, keys)
    assert project.problems() == []


def test_a_bare_limit_is_one_over_all_time(project: ProjectFolder) -> None:
    project.change(FILE, GUARDED, "at_most: {customer: 2}\n    at_most_persons: {most: 1, within: 2 weeks}")
    kind = load_project(project.root).file.identifiers["email"]
    assert (kind.at_most["customer"].most, kind.at_most["customer"].within) == (2, None)
    assert kind.at_most_persons is not None
    assert (kind.at_most_persons.most, kind.at_most_persons.within) == (1, timedelta(days=14))


def test_hours_that_touch_are_fine_in_any_order(project: ProjectFolder) -> None:
    project.change(FILE, '["08:30-12:00", "13:00-17:00"]', '["12:00-24:00", "00:00-12:00"]')
    assert project.problems() == []


# --- sources ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "glob", ["../x.csv", "a/../../x.csv", "/etc/passwd", "~/x.csv", "C:/x.csv", "s3://b/x", "a\\b", " "]
)
def test_globs_stay_below_the_landing_folder(project: ProjectFolder, glob: str) -> None:
    project.change(SOURCE, 'files: ["tickets/*.csv"]', f"files: ['{glob}']")
    assert "a glob below the landing folder" in one(project, "files[0]")


def test_a_glob_that_nothing_fits_is_a_warning_once_files_land(project: ProjectFolder) -> None:
    project.change(SOURCE, "tickets/*.csv", "tickts/*.csv")
    assert "fits no file that has landed" in one(project, "files[0]", "warning")
    (project.root / "landing").rename(project.root / "elsewhere")
    assert project.problems() == []


@pytest.mark.parametrize(
    ("old", "new", "where", "told"),
    [
        ("timezone: Europe/Amsterdam", "timezone: Europe/Amsterdan", "timezone", "'Europe/Amsterdam'"),
        ("encoding: utf-8", "encoding: windows-1253x", "reader.encoding", "no text encoding"),
        ("encoding: utf-8", "encoding: rot13", "reader.encoding", "no text encoding"),
        ("encoding: utf-8", "encoding: lattin_1", "reader.encoding", "Did you mean 'latin_1'"),
        ('delimiter: ";"', "delimiter: '\"'", "reader.quote", "two different signs"),
        ('delimiter: ";"', 'delimiter: "\\n"', "reader.delimiter", "end of a line"),
        ('"%d-%m-%Y %H:%M"', '"%d-%m-%Q"', "time.formats[0]", "no time format"),
        ('"%d-%m-%Y %H:%M"', '"%H:%M"', "time.formats[0]", "no whole date"),
        ('["%d-%m-%Y %H:%M"]', "[]", "time", "neither formats nor epoch"),
        ("  occurred_at: changed_at\n", "", "defaults", "has no occurred_at"),
        ("{type: email, value: email}", "{type: emial, value: email}", "defaults.identifiers[1].type", "'email'"),
        ("    ticket: ticket", "    ticket: ticket\n    account: ticket", "defaults.case_keys.account", "no case key"),
        ("THEN 'customer'", "THEN 'custmer'", "defaults.initiator", "'customer'"),
        ("  team: team", "  team: web", "defaults.team", "not_personal"),
        ("  team: team", "  team: email || ''", "defaults.team", "`  - email`"),
        ("  team: team", "  team: current_date", "defaults.team", "clock"),
        ("  team: team", "  team: (SELECT team)", "defaults.team", "subquery"),
        ("  team: team", "  team: team + 1", "defaults.team", "TRY_CAST"),
        ("  team: team", "  team: team, via", "defaults.team", "several expressions"),
        ("  team: team", "  attributes: {a: email}", "defaults.attributes.a", "`  - email`"),
        ("  team: team", "  team: team\n  when: now() > x", "defaults.when", "clock"),
        ("defaults:\n", "ignore_when: lowr(status) = 'x'\ndefaults:\n", "ignore_when", "'lower'"),
        (
            "  team: team",
            "  survey: {instrument: nps, score: status, lowest: 5, highest: 5}",
            "defaults.survey",
            "two different numbers",
        ),
        (
            "  team: team",
            "  survey: {instrument: nps, score: status, lowest: nan, highest: 5}",
            "defaults.survey",
            "two different numbers",
        ),
        (
            "defaults:\n",
            "dialects: [{name: a, columns: {x: y}}, {name: a, columns: {x: z}}]\ndefaults:\n",
            "dialects",
            "'a'",
        ),
    ],
)
def test_source_file(project: ProjectFolder, old: str, new: str, where: str, told: str) -> None:
    project.change(SOURCE, old, new)
    assert told in one(project, where)


def test_every_event_needs_time_and_activity_after_the_defaults(project: ProjectFolder) -> None:
    project.change(SOURCE, "  occurred_at: changed_at\n", "")
    project.change(SOURCE, "expected:\n", "events:\n  - {occurred_at: changed_at}\n  - {team: team}\nexpected:\n")
    assert "has no occurred_at" in one(project, "events[1]")


CASE = "  case_keys:\n    ticket: ticket\n"


def test_a_record_is_linted_and_needs_linkage(project: ProjectFolder) -> None:
    project.change(SOURCE, CASE, CASE + "  record: {last_name: customer, city: upper(team)}\n")
    assert "linkage: {} in klantspoor.yaml" in one(project, "defaults.record", "warning")
    project.add(FILE, "linkage: {}\n")
    assert project.problems() == []
    project.change(SOURCE, "city: upper(team)", "city: uper(team)")
    assert "'upper'" in one(project, "defaults.record.city")
    project.change(SOURCE, "city: uper(team)", "sity: team")
    assert "Did you mean 'city'?" in one(project, "defaults.record.sity")


def test_a_record_shows_nothing_so_it_may_be_personal(project: ProjectFolder) -> None:
    project.change(SOURCE, CASE, CASE + "  record: {email: email, full_name: customer}\n")
    project.add(FILE, "linkage: {}\n")
    assert project.problems() == []


def test_events_without_identifiers(project: ProjectFolder) -> None:
    listed = "  identifiers:\n    - {type: customer, value: customer}\n    - {type: email, value: email}\n"
    project.change(SOURCE, listed, "")
    assert "nobody's event" in one(project, "defaults", "warning")
    project.change(SOURCE, "defaults:\n", "anonymous: quarantine\ndefaults:\n")
    assert "nobody's event" in one(project, "defaults")


def test_reference_sources_link_and_have_no_events(project: ProjectFolder) -> None:
    head = "source: customers\ntitle: List\nkind: reference\nfiles: [customers.csv]\nreader: {format: csv}\n"
    good = (
        head + "defaults:\n  persona: kind\n  identifiers: [{type: customer, value: id}, {type: email, value: mail}]\n"
    )
    project.write("sources/customers.yaml", good + "not_personal: [kind]\n")
    assert project.problems("error") == []
    project.write("sources/customers.yaml", good + "  activity: kind\nevents: [{team: kind}]\nnot_personal: [kind]\n")
    assert [p.where for p in project.problems("error")] == ["defaults.activity", "events"]
    project.write("sources/customers.yaml", head)
    assert "is missing" in one(project, "defaults.identifiers")


def test_columns_of_json_are_known(project: ProjectFolder) -> None:
    old = '  format: csv\n  delimiter: ";"\n  encoding: utf-8\n'
    project.change(SOURCE, "reader:\n" + old, f"reader: {JSONL}, customer: $.c, email: $.e}}}}\n")
    assert project.problems() == []
    project.change(SOURCE, "  topic: product", "  topic: prodct")
    text = one(project, "defaults.topic")
    assert "'prodct'" in text
    assert "Did you mean 'product'?" in text
    project.change(SOURCE, "  topic: prodct", "  topic: PRODUCT")
    project.change(SOURCE, "  - product", "  - Prodct")
    assert [(p.where, p.level) for p in project.problems()] == [
        ("not_personal[3]", "warning"),
        ("defaults.topic", "error"),
    ]


@pytest.mark.parametrize("path", ["id", "$x", "$.a[*]", "$..a", "", "$.*"])
def test_json_paths_lead_to_one_value(project: ProjectFolder, path: str) -> None:
    old = '  format: csv\n  delimiter: ";"\n  encoding: utf-8\n'
    project.change(SOURCE, "reader:\n" + old, f"reader: {JSONL}, customer: '{path}', email: $.\"e-mail\"}}}}\n")
    assert "is no JSON path" in one(project, "reader.fields.customer")


def test_the_line_to_add_to_not_personal_is_told_and_helps(project: ProjectFolder) -> None:
    project.change(SOURCE, "  topic: product", '  topic: upper("Kind of product")')
    text = one(project, "defaults.topic")
    assert '`  - "Kind of product"`' in text
    project.change(SOURCE, "  - product", '  - product\n  - "Kind of product"')
    assert project.problems() == []


def test_pseudonymised_keys_may_use_personal_columns(project: ProjectFolder) -> None:
    project.change(SOURCE, "    ticket: ticket", "    ticket: email || ticket")
    project.change(SOURCE, "  id: ticket", "  account: email\n  id: email || ticket")
    assert project.problems() == []


def dialects(*columns: dict[str, str], not_personal: list[str]) -> SourceFile:
    named = [{"name": f"d{number}", "columns": made} for number, made in enumerate(columns)]
    head = {"source": "s", "title": "S", "files": ["s"], "reader": {"format": "csv"}}
    return SourceFile.model_validate({**head, "dialects": named, "not_personal": not_personal})


def test_a_dialect_column_is_as_personal_as_what_it_is_made_of() -> None:
    source = dialects(
        {"kind": "upper(Soort)", "who": "mail"}, {"kind": "Type || soort"}, not_personal=["soort", "TYPE"]
    )
    assert is_not_personal(source, "Kind")
    assert not is_not_personal(source, "who")
    assert is_not_personal(source, "SOORT")
    assert not is_not_personal(source, "other")
    one_is_personal = dialects({"kind": "soort"}, {"kind": "mail"}, not_personal=["soort"])
    assert not is_not_personal(one_is_personal, "kind")
    one_is_raw = dialects({"kind": "soort"}, {"x": "soort"}, not_personal=["soort"])
    assert not is_not_personal(one_is_raw, "kind")
    assert not is_not_personal(dialects({"kind": "mail.lower()"}, not_personal=["soort"]), "kind")
    assert is_not_personal(dialects({"kind": "mail"}, not_personal=["kind"]), "kind")
    # A dialect may replace a column by one of the same name: then what it is made of counts, which is the raw one.
    assert not is_not_personal(dialects({"kind": "kind"}, not_personal=[]), "kind")


# --- journeys --------------------------------------------------------------------------------------------------------


def test_seven_phases_are_fine_and_eight_are_not(project: ProjectFolder) -> None:
    more = "".join(f"  - {{id: more_{n}, says: I go on {n}, activities: [answer given]}}\n" for n in range(3))
    project.change(JOURNEY, "# Steps the customer cannot see", more + "# Steps the customer cannot see")
    assert project.problems() == []
    project.change(JOURNEY, "# Steps the", "  - {id: last, says: I rest, activities: [answer given]}\n# Steps the")
    text = one(project, "phases[7]")
    assert "8 phases" in text
    assert text.endswith("[R2]")


@pytest.mark.parametrize(
    ("says", "kind", "rule"),
    [
        ("Telephone", "channel", "R4"),
        ("the  TELEPHONES", "channel", "R4"),
        ("e_mail", "channel", "R4"),
        ("Téléphone", "channel", "R4"),
        ("Tëlephone", "channel", "R4"),
        ("Call center", "channel", "R4"),
        ("call_centre", "channel", "R4"),
        ("Tickets", "source", "R1"),
        ("Question asked", "touchpoint", "R1"),
        ("passed to specialist", "touchpoint", "R1"),
        ("I call the call centre", None, ""),
        ("I ask my question by telephone", None, ""),
    ],
)
def test_a_phase_is_not_named_like_something_else(
    project: ProjectFolder, says: str, kind: str | None, rule: str
) -> None:
    project.change(JOURNEY, "says: I ask for help", f"says: {says}")
    found = project.problems("error")
    if kind is None:
        assert found == []
    else:
        assert [(p.where, p.rule) for p in found] == [("phases[0].says", rule)]
        assert kind in found[0].message


def test_a_phase_id_is_not_a_team_nor_a_channel_of_a_matcher(project: ProjectFolder) -> None:
    project.change(SOURCE, "  team: team", "  team: CASE team WHEN 'x' THEN 'Front desk' ELSE team END")
    project.change(JOURNEY, "  - id: asking", "  - id: front_desk")
    project.change(JOURNEY, "  - id: trying", "  - id: counter")
    project.change(JOURNEY, "source: tickets}", "channel: The Counter}")
    assert [(p.where, p.rule) for p in project.problems("error")] == [("phases[0].id", "R1"), ("phases[2].id", "R4")]


def test_ids_of_phases_differ(project: ProjectFolder) -> None:
    project.change(JOURNEY, "  - id: solved", "  - id: asking")
    assert "first as phases[0]" in one(project, "phases[3].id")


@pytest.mark.parametrize(
    ("says", "language", "own"),
    [
        ("I look around", "en", True),
        ("My bill", "en-GB", True),
        ("We choose", "EN", True),
        ("I'm stuck", "en", True),
        ("Looking around", "en", False),
        ("Ik kijk rond", "en", False),
        ("Ik kijk rond", "nl", True),
        ("Dit is m'n rekening", "nl", True),
        ("'k Zoek iets", "nl_BE", True),
        ("Wij verhuizen", "nl", True),
        ("Rondkijken", "nl", False),
        ("Je regarde", "fr", None),
    ],
)
def test_first_person(says: str, language: str, own: bool | None) -> None:
    assert is_first_person(says, language) is own


def test_words_that_are_not_the_customers_are_a_warning(project: ProjectFolder) -> None:
    project.change(JOURNEY, "says: I ask for help", "says: Asking for help")
    assert one(project, "phases[0].says", "warning").endswith("[R1]")
    assert lint(load_project(project.root)) == [
        p for p in map(_without_line, project.problems()) if p.level == "warning"
    ]


def _without_line(problem: object) -> object:
    from dataclasses import replace

    return replace(problem, line=None)  # type: ignore[type-var]


def test_an_unknown_language_is_said_once(project: ProjectFolder) -> None:
    project.change(JOURNEY, "language: en", "language: fr")
    assert "cannot be checked" in one(project, "language", "warning")


@pytest.mark.parametrize(
    ("phase", "internal", "is_refused"),
    [
        ("passed to specialist", "passed to specialist", True),
        ("passed *", "passed to *", True),
        ("/passed.*/", "/.*specialist/", True),
        ("passed *", "passed to specialist", False),
        ("passed to specialist", "passed *", False),
        ("passed *", "/passed.*/", False),
        ("{activity: passed to specialist, source: tickets}", "passed to specialist", False),
        (
            "{activity: passed to specialist, source: tickets}",
            "{activity: passed to specialist, channel: e-mail}",
            True,
        ),
        ("{activity: x, channel: e-mail}", "{activity: x, channel: telephone}", False),
        ("never made", "never made", True),
        ("no such *", "no such *", True),
        ("no such *", "no * such", False),
    ],
)
def test_an_internal_step_is_in_no_phase(project: ProjectFolder, phase: str, internal: str, is_refused: bool) -> None:
    project.change(JOURNEY, "activities: [answer given]", f"activities: [answer given, {phase}]")
    project.change(JOURNEY, "internal: [passed to specialist]", f"internal: [{internal}]")
    found = project.problems("error")
    assert [(p.where, p.rule) for p in found] == ([("phases[2].activities[1]", "R3")] if is_refused else [])


def test_an_internal_step_is_no_unphased_contact_either(project: ProjectFolder) -> None:
    project.add(JOURNEY, "unphased: [passed to specialist]\n")
    assert one(project, "unphased[0]").endswith("[R3]")


def test_what_a_source_declares_internal_is_in_no_phase(project: ProjectFolder) -> None:
    project.change(SOURCE, "      ELSE status\n", "")
    project.change(
        SOURCE, "expected:\n", "events:\n  - {}\n  - {activity: \"'on hold'\", visibility: internal}\nexpected:\n"
    )
    project.change(JOURNEY, "activities: [answer given]", 'activities: [answer given, "on *"]')
    assert project.problems("error") == []
    project.change(JOURNEY, '"on *"', "on hold")
    assert one(project, "phases[2].activities[1]").endswith("[R3]")


@pytest.mark.parametrize(
    ("old", "new", "where", "told"),
    [
        ("case_key: ticket", "case_key: tickt", "cut.case_key", "Did you mean 'ticket'?"),
        ("case_key: ticket", "case_key: account", "cut.case_key", "no case key"),
        ("source: tickets}", "source: ticket}", "phases[3].activities[0].source", "Did you mean 'tickets'?"),
        ("internal: [passed to specialist]", 'internal: ["/pas(/"]', "internal[0]", "no regular expression"),
        ("internal: [passed to specialist]", 'internal: [""]', "internal[0]", "is empty"),
        ("  settles: [answer given,", '  settles: ["/*/",', "turns.settles[0]", "no regular expression"),
        ("completes: [answer", "completes: [{source: x}, answer", "completes[0].source", "one of tickets"),
    ],
)
def test_journey_file(project: ProjectFolder, old: str, new: str, where: str, told: str) -> None:
    project.change(JOURNEY, old, new)
    assert told in one(project, where)


def test_what_nothing_makes_is_a_warning_where_all_is_known(project: ProjectFolder) -> None:
    project.change(JOURNEY, "activities: [answer given]", "activities: [answer gven]")
    assert project.problems() == []
    project.change(SOURCE, "      ELSE status\n", "")
    assert "Did you mean 'answer given'" in one(project, "phases[2].activities[0]", "warning")


def test_a_channel_that_no_source_has(project: ProjectFolder) -> None:
    project.change(SOURCE, " ELSE via END", " END")
    project.change(JOURNEY, "source: tickets}", "channel: telefone}")
    assert "Did you mean 'telephone'" in one(project, "phases[3].activities[0].channel", "warning")


def test_a_journey_with_nothing_mapped(project: ProjectFolder) -> None:
    project.change(SOURCE, "      ELSE status\n", "")
    project.write(
        "journeys/other.yaml",
        "journey: other\ntitle: Other\ncut: {}\nphases: [{id: one, says: I go, activities: [nothing]}]\n",
    )
    found = [(p.file, p.where) for p in project.problems("warning")]
    assert found == [("journeys/other.yaml", "phases"), ("journeys/other.yaml", "phases[0].activities[0]")]


# --- matchers and names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "text", "is_fitting"),
    [
        ("a", "a", True),
        ("a", "A", False),
        ("a*", "a\nb", True),
        ("a?c", "abc", True),
        ("a?c", "abbc", False),
        ("a[b]*", "a[b]c", True),
        ("a[b]*", "abc", False),
        ("a.c*", "abc", False),
        ("/a.c/", "abc", True),
        ("/a.c/", "abcd", False),
        ("/", "/", True),
        ("*", "", True),
    ],
)
def test_patterns(pattern: str, text: str, is_fitting: bool) -> None:
    assert activity_test(pattern)(text) is is_fitting


def test_more_specific_matchers() -> None:
    order = [
        ActivityMatcher(activity="a", source="s", channel="c"),
        ActivityMatcher(activity="a", channel="c"),
        ActivityMatcher(activity="a"),
        ActivityMatcher(activity="a*", source="s", channel="c"),
        ActivityMatcher(activity="a*"),
        ActivityMatcher(activity="/a/", source="s"),
        ActivityMatcher(activity="/a/"),
    ]
    assert sorted(order, key=specificity, reverse=True) == order
    assert all(fits(matcher, "s", "a", "c") for matcher in order)
    assert not fits(order[0], "s", "a", None)
    assert not fits(order[5], "t", "a", "c")


def test_folding_never_makes_everything_alike() -> None:
    assert folded("The Call-Centres") == folded("call_center") == "callcenter"
    assert folded("I ask") != folded("ask")
    assert folded("…") == ""

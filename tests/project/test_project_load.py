"""Loading: what is wrong with files and single keys, all at once, and never anything but ConfigError."""

from __future__ import annotations

import os
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from project_folder import ProjectFolder

from klantspoor.errors import ConfigError, Problem
from klantspoor.project.load import ENVIRONMENT, load_project

FILE, SOURCE, JOURNEY = "klantspoor.yaml", "sources/tickets.yaml", "journeys/getting_help.yaml"


def test_the_scaffold_loads_as_it_says(project: ProjectFolder) -> None:
    loaded = load_project(project.root, strict=True)
    assert loaded.root == str(project.root)
    assert list(loaded.sources) == ["tickets"]
    assert list(loaded.journeys) == ["getting_help"]
    assert loaded.file.calendar is not None
    assert loaded.file.calendar.holidays == [date(2026, 12, 25), date(2027, 1, 1)]
    assert loaded.journeys["getting_help"].cut.gap == timedelta(days=30)


def test_the_folder_is_given_or_in_the_environment_or_the_current_one(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ENVIRONMENT, str(project.root))
    assert load_project().root == str(project.root)
    monkeypatch.delenv(ENVIRONMENT)
    with pytest.raises(ConfigError, match=r"klantspoor init"):
        load_project()
    monkeypatch.chdir(project.root)
    assert load_project().file.name == "Example organisation"


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"", "is empty", ""),
        (b"# nothing\n", "is empty", ""),
        (b"just text\n", "does not hold keys and values", ""),
        (b"- a\n- b\n", "does not hold keys and values", ""),
        (b"source: tickets\ntitle: caf\xe9\n", "is not UTF-8", "save the file as UTF-8"),
        ("source: tickets".encode("utf-16"), "is not UTF-8", "save the file as UTF-8"),
        (b"a:\n\tb: 1\n", "is not valid YAML", "indent with spaces"),
        (b"a: [\n", "is not valid YAML", ""),
        (b"a: 'x' || b\n", "is not valid YAML", "must be quoted as a whole"),
        (b"a: b: c\n", "is not valid YAML", "must be quoted as a whole"),
        (b"a: *nobody\n", "is not valid YAML", ""),
        (b"a: 1\n---\na: 2\n", "is not valid YAML", "second ---"),
        (b"a: \x07\n", "is not valid YAML", ""),
        (b"[" * 1200, "is nested too deeply", ""),
        (b"a: &a [*a]\n", "is nested too deeply", ""),
        (b"a: " + b"x" * 2_100_000, "is larger than", ""),
    ],
)
def test_files_that_cannot_be_read(project: ProjectFolder, content: bytes, message: str, hint: str) -> None:
    (project.root / SOURCE).write_bytes(content)
    problem = project.only()
    assert (problem.file, problem.where) == (SOURCE, "")
    assert problem.message.startswith(message)
    assert hint in (problem.hint or "")


def test_a_bomb_of_aliases_is_refused_quickly(project: ProjectFolder) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    project.write(JOURNEY, "\n".join(lines))
    assert project.only().message.startswith("is nested too deeply or too large")


def test_tags_are_refused_and_never_run(project: ProjectFolder) -> None:
    project.change(SOURCE, "title: Help desk tickets", "title: !!python/object/apply:os.getcwd []")
    messages = {(p.where, p.message) for p in project.problems()}
    assert ("title", "has a tag, which is not supported") in messages


def test_missing_folders_and_empty_folders_are_problems(project: ProjectFolder) -> None:
    shutil.rmtree(project.root / "journeys")
    (project.root / SOURCE).rename(project.root / "sources" / "tickets.yml")
    problems = {(p.file, p.message): p.hint for p in project.problems("error")}
    assert ("journeys/", "is missing") in problems
    assert ("sources/", "holds no *.yaml file") in problems
    assert problems[("sources/tickets.yml", "is not read")] == "rename it to tickets.yaml"


def test_a_folder_in_place_of_a_file(project: ProjectFolder) -> None:
    (project.root / "sources" / "more.yaml").mkdir()
    assert project.only().message.startswith("cannot be read")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(project: ProjectFolder) -> None:
    (project.root / SOURCE).chmod(0)
    assert project.only().message.startswith("cannot be read")


@pytest.mark.parametrize("root", ["nowhere", "klantspoor.yaml"])
def test_no_project_there(project: ProjectFolder, root: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_project(project.root / root)
    assert caught.value.problems[0].message == "is no folder"


def test_the_name_of_the_file_is_the_name_inside(project: ProjectFolder) -> None:
    project.change(JOURNEY, "journey: getting_help", "journey: geting_help")
    problem = project.only()
    assert (problem.where, problem.value, problem.expected) == ("journey", "'geting_help'", "'getting_help'")
    assert problem.line == 5
    assert problem.hint == "write journey: getting_help, or rename the file to geting_help.yaml"


# --- keys and values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new", "where", "message", "hint"),
    [
        (FILE, "lake: lake", "laek: lake", "laek", "is not a key that is known here", "Did you mean 'lake'?"),
        (
            FILE,
            "name: Example organisation",
            "nme: x",
            "nme",
            "is not a key that is known here",
            "Did you mean 'name'?",
        ),
        (FILE, "normalise: email", "normalise: emial", "identifiers.email.normalise", "is not one of", "'email'"),
        (FILE, "    tue: [", "    tu: [", "calendar.hours.tu", "is not a key that is known here", "'tue'"),
        (FILE, "timezone: Europe/Amsterdam", "", "timezone", "is missing", ""),
        (FILE, "name: Example organisation", "name: 12", "name", "is not text", 'put it in quotes: "12"'),
        (FILE, "name: Example organisation", "name:", "name", "is empty", ""),
        (FILE, "name: Example organisation", "name: true", "name", "is not text", 'put it in quotes: "true"'),
        (FILE, "name: Example organisation", "name: {a: b}", "name", "is not text", ""),
        (FILE, 'nightly_at: "03:00"', "nightly_at: 3:00", "nightly_at", "is not written as it should be", ""),
        (FILE, 'nightly_at: "03:00"', "nightly_at: 3", "nightly_at", "is not text", 'put it in quotes: "3"'),
        (FILE, "suppress_below: 5", "suppress_below: 0", "limits.suppress_below", "is not allowed", ""),
        (FILE, "2027-01-01", "2027-02-30", "calendar.holidays[1]", "is not allowed", ""),
        (FILE, "priority: 1", "priority: first", "identifiers.customer.priority", "is not allowed", ""),
        (FILE, "{customer: 1}", "[customer]", "identifiers.email.at_most", "is not allowed", ""),
        (FILE, "  customer:\n", "  Customer:\n", "identifiers.Customer", "is not written", "for instance customer"),
        (SOURCE, "format: csv", "format: cvs", "reader", "has a format that is not known", "'csv'"),
        (SOURCE, "  format: csv\n", "", "reader", "has no format", ""),
        (SOURCE, '  delimiter: ";"', "  delimeter: x", "reader.delimeter", "is not a key", "Did you mean 'delimiter'?"),
        (SOURCE, 'files: ["tickets/*.csv"]', "files: tickets/*.csv", "files", "is not allowed", ""),
        (SOURCE, "  every: never", "  every: nights", "expected.every", "is not one of", "'night'"),
        (SOURCE, "  occurred_at:", "  occured_at:", "defaults.occured_at", "is not a key", "'occurred_at'"),
        (SOURCE, "{type: email, value: email}", "{type: email}", "defaults.identifiers[1].value", "is missing", ""),
        (SOURCE, "  channel: CASE", "  channel:\n  team2: CASE", "defaults.team2", "is not a key", "'team'"),
        (JOURNEY, "gap: 30 days", "gap: 30", "cut.gap", "is not allowed", ""),
        (JOURNEY, "gap: 30 days", "gap: 30 dasy", "cut.gap", "is not allowed", ""),
        (JOURNEY, "gap: 30 days", "gap: 99999999999999999999 days", "cut.gap", "is not allowed", ""),
        (JOURNEY, "source: tickets}", "sorce: tickets}", "phases[3].activities[0].sorce", "is not a key", "'source'"),
        (JOURNEY, "    activities: [answer given]", "    activities: []", "phases[2].activities", "is not allowed", ""),
        (JOURNEY, "    says: I ask for help", "", "phases[0].says", "is missing", ""),
        (JOURNEY, "  - id: asking", "  - id: Asking!", "phases[0].id", "is not written", "for instance asking"),
        (JOURNEY, "completes:", "complets:", "complets", "is not a key that is known here", "'completes'"),
    ],
)
def test_one_mistake_gives_one_problem_with_its_place(
    project: ProjectFolder, file: str, old: str, new: str, where: str, message: str, hint: str
) -> None:
    project.change(file, old, new)
    found = [p for p in project.problems("error") if p.where == where]
    assert len(found) == 1, project.problems()
    assert found[0].file == file
    assert found[0].message.startswith(message)
    assert hint in (found[0].hint or "")
    assert found[0].line is not None
    everything = project.problems("error")
    assert len(everything) <= 2, everything  # a misspelt name of a required key is missing as well


def test_keys_that_stand_twice_are_refused_with_both_lines(project: ProjectFolder) -> None:
    project.add(JOURNEY, "title: Once more\n")
    problem = project.only()
    assert problem.where == "title"
    assert problem.message == "stands twice, first in line 6"


def test_yaml_takes_texts_as_texts(project: ProjectFolder) -> None:
    """What YAML 1.1 makes of them: a number of seconds, a boolean, a date, an octal number."""
    project.change(FILE, 'nightly_at: "03:00"', "nightly_at: 13:30")
    project.change(FILE, 'block: ["noreply@*"]', "block: [000, no, 2026-01-01]")
    project.change(FILE, "name: Example organisation", "name: on")
    file = load_project(project.root).file
    assert (file.nightly_at, file.name, file.identifiers["email"].block) == ("13:30", "on", ["000", "no", "2026-01-01"])


def test_secrets_and_personal_values_are_not_repeated(project: ProjectFolder) -> None:
    project.change(FILE, "  file: pseudonym.key", "  env: hunter2 is my key\n  file: [hunter3]\n  key: hunter4")
    project.change(FILE, 'block: ["noreply@*"]', "block: [612345678]")
    told = "\n".join(map(str, project.problems()))
    assert "pseudonym_key.file" in told
    assert "identifiers.email.block[0]" in told
    assert not [word for word in ("hunter2", "hunter3", "hunter4", "612345678") if word in told]


def test_all_mistakes_of_all_files_at_once(project: ProjectFolder) -> None:
    """Wrong keys and values do not hide what is wrong beyond single keys, in their own file or another."""
    project.change(FILE, "timezone: Europe/Amsterdam", "timezone: Europe/Amsterdm")
    project.change(FILE, "lake: lake", "laek: lake")
    project.change(FILE, "{customer: 1}", "{custmer: 1}")
    project.change(SOURCE, "  format: csv", "  format: cvs")
    project.change(SOURCE, "{type: customer, value: customer}", "{type: costumer, value: customer}")
    project.change(SOURCE, "  team: team", "  team: lowr(team)")
    project.change(SOURCE, "  topic: product", "  topic: email")
    project.change(JOURNEY, "  case_key: ticket", "  case_key: tickets")
    project.change(JOURNEY, "    says: I ask for help", "")
    project.change(JOURNEY, "source: tickets}", "source: ticket}")
    project.change(JOURNEY, "  - id: solved", "  - id: asking")
    project.change(JOURNEY, "internal: [passed to specialist]", "internal: [answer given]")
    project.add(JOURNEY, "mystery: 1\n")
    project.change(FILE, "    tue: [", "    tu: [")
    expected = {
        (FILE, "timezone"),
        (FILE, "laek"),
        (FILE, "identifiers.email.at_most.custmer"),
        (FILE, "calendar.hours.tu"),
        (SOURCE, "reader"),
        (SOURCE, "defaults.identifiers[0].type"),
        (SOURCE, "defaults.team"),
        (SOURCE, "defaults.topic"),
        (JOURNEY, "cut.case_key"),
        (JOURNEY, "phases[0].says"),
        (JOURNEY, "phases[3].activities[0].source"),
        (JOURNEY, "phases[3].id"),
        (JOURNEY, "phases[2].activities[0]"),
        (JOURNEY, "mystery"),
    }
    with pytest.raises(ConfigError) as caught:
        load_project(project.root)
    assert {(p.file, p.where) for p in caught.value.problems} == expected
    assert all(p.line for p in caught.value.problems)
    assert str(caught.value).count("\n") == len(expected) - 1


def test_a_file_that_cannot_be_read_causes_no_follow_ups(project: ProjectFolder) -> None:
    project.write(SOURCE, "source: [")
    assert project.only().file == SOURCE
    project.write(FILE, "- nothing")
    assert {p.file for p in project.problems()} == {FILE, SOURCE}


def test_warnings_stop_only_the_strict(project: ProjectFolder) -> None:
    project.change(JOURNEY, "says: I ask for help", "says: Asking for help")
    assert load_project(project.root).journeys["getting_help"].phases[0].says == "Asking for help"
    with pytest.raises(ConfigError) as caught:
        load_project(project.root, strict=True)
    assert [(p.rule, p.level) for p in caught.value.problems] == [("R1", "warning")]


def test_a_problem_reads_as_one_line() -> None:
    problem = Problem("a.yaml", "b[0].c", "is wrong", "'x'", "y", "Did you mean 'y'?", "R2", line=7)
    assert str(problem) == "a.yaml:7: b[0].c: is wrong; found: 'x'; expected: y; Did you mean 'y'?; [R2]"


# --- whatever is written ---------------------------------------------------------------------------------------------

_PLAIN = [
    "",
    ":",
    "-",
    "{",
    "]",
    "'",
    '"',
    "*a",
    "&a",
    "!!int ",
    "null",
    "~",
    "-1",
    "1e999",
    ".nan",
    "yes",
    "[[]]",
    "{}",
]
_ODD = ["- ", "\t", "|\n", "\0", "\n", "\n\n  ", "\ud83d", "(select 1)", "a: b", "9" * 50, "9" * 30 + " days", "<<: {}"]
_SCRAPS = st.sampled_from([*_PLAIN, *_ODD, "? ", "é", "/(/", "99:99", "../x", "2026-99-99"])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), file=st.sampled_from([FILE, SOURCE, JOURNEY]))
def test_mutated_files_never_give_anything_but_config_errors(
    scaffold_folder: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, file: str
) -> None:
    root = _shared_copy(scaffold_folder, tmp_path_factory)
    original = (scaffold_folder / file).read_text(encoding="utf-8")
    lines = original.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        number = data.draw(st.integers(0, len(lines) - 1))
        line = lines[number]
        at = data.draw(st.integers(0, len(line)))
        how = data.draw(st.sampled_from(["insert", "cut", "after_colon", "double", "drop", "indent"]))
        if how == "insert":
            lines[number] = line[:at] + data.draw(_SCRAPS) + line[at:]
        elif how == "cut":
            lines[number] = line[:at] + line[at + data.draw(st.integers(1, 9)) :]
        elif how == "after_colon":
            lines[number] = line.split(":")[0] + ": " + data.draw(_SCRAPS) + "\n"
        elif how == "double":
            lines[number] = line + line
        elif how == "drop":
            lines[number] = ""
        else:
            lines[number] = "  " + line
    (root / file).write_bytes("".join(lines).encode("utf-8", "surrogatepass"))
    try:
        load_project(root)
    except ConfigError as error:
        assert str(error)
        assert all(problem.file and problem.message for problem in error.problems)
    finally:
        (root / file).write_text(original, encoding="utf-8")


_COPIES: list[Path] = []


def _shared_copy(scaffold_folder: Path, factory: pytest.TempPathFactory) -> Path:
    if not _COPIES:
        _COPIES.append(Path(shutil.copytree(scaffold_folder, factory.mktemp("mutated") / "project")))
    return _COPIES[0]

"""The scaffold, the JSON Schemas and the key."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import jsonschema
import pytest
import yaml
from project_folder import ProjectFolder

import klantspoor.project
from klantspoor.errors import ConfigError
from klantspoor.project.key import load_key, make_key
from klantspoor.project.load import load_project
from klantspoor.project.scaffold import init_project
from klantspoor.project.schema import schemas, write_schemas

KINDS = {
    "klantspoor.yaml": "klantspoor",
    "sources/tickets.yaml": "source",
    "journeys/getting_help.yaml": "journey",
}


# --- scaffold --------------------------------------------------------------------------------------------------------


def test_init_writes_a_project_without_any_problem(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "project"
    written = init_project(folder)
    assert [str(path.relative_to(folder)) for path in written] == [
        ".gitignore",
        "journeys/getting_help.yaml",
        "klantspoor.yaml",
        "landing/tickets/example.csv",
        "pseudonym.key",
        "schemas/journey.schema.json",
        "schemas/klantspoor.schema.json",
        "schemas/source.schema.json",
        "sources/tickets.yaml",
    ]
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == written
    project = load_project(folder, strict=True)
    assert [len(key) for key in load_key(project).chain] == [64]
    ignored = (folder / ".gitignore").read_text(encoding="utf-8").split()
    assert {"/landing/", "/lake/", "/pseudonym.key"} <= set(ignored)


def test_two_projects_have_two_keys(tmp_path: Path) -> None:
    init_project(tmp_path / "a")
    init_project(tmp_path / "b")
    assert (tmp_path / "a/pseudonym.key").read_bytes() != (tmp_path / "b/pseudonym.key").read_bytes()


def test_a_fresh_git_repository_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    init_project(tmp_path)
    assert load_project(tmp_path, strict=True).file.name == "Example organisation"


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"is not empty; found: notes\.txt"):
        init_project(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(ConfigError, match="is a file"):
        init_project(tmp_path / "notes.txt")


def test_every_activity_of_the_example_is_mapped(scaffold_folder: Path) -> None:
    """The example is read by the mapping as it stands: no status goes to ELSE, no phase stays without events."""
    import duckdb

    project = load_project(scaffold_folder)
    mapping = project.sources["tickets"].defaults
    rows = duckdb.sql(
        f"SELECT DISTINCT {mapping.activity} FROM"
        f" read_csv('{scaffold_folder}/landing/tickets/example.csv', delim=';', all_varchar=true)"
    ).fetchall()
    made = {row[0] for row in rows}
    assert made == {
        "question asked",
        "details asked",
        "details given",
        "passed to specialist",
        "answer given",
        "asked again",
        "answer confirmed",
    }


# --- schemas ---------------------------------------------------------------------------------------------------------


class JsonTypes(yaml.SafeLoader):
    """YAML as editors read it: with the types of JSON, so that dates are texts."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as in the class it overrides)
        first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def test_the_scaffold_names_its_schemas_and_fits_them(scaffold_folder: Path) -> None:
    for file, kind in KINDS.items():
        path = scaffold_folder / file
        first = path.read_text(encoding="utf-8").splitlines()[0]
        named = path.parent / first.removeprefix("# yaml-language-server: $schema=")
        schema = json.loads(named.read_text(encoding="utf-8"))
        assert schema == schemas()[kind]
        jsonschema.Draft202012Validator.check_schema(schema)
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=JsonTypes)  # noqa: S506 (a safe loader)
        assert list(jsonschema.Draft202012Validator(schema).iter_errors(data)) == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("klantspoor", {"laek": "x"}),
        ("klantspoor", {"alarms": {"command": []}}),
        ("klantspoor", {"alarms": {"webhook": "https://example.test"}}),
        ("source", {"kind": "evnts"}),
        ("journey", {"phases": []}),
        ("journey", {"internal": [1]}),
        ("journey", {"internal": [{"activty": "x"}]}),
    ],
)
def test_schemas_find_mistakes_and_take_matchers_as_texts(kind: str, change: dict[str, object]) -> None:
    good: dict[str, dict[str, object]] = {
        "klantspoor": {
            "name": "x",
            "timezone": "UTC",
            "pseudonym_key": {"env": "K"},
            "identifiers": {"c": {"priority": 1}},
            "alarms": {"command": ["/bin/true"], "webhook": {"env": "A"}, "published_within": "26 hours"},
        },
        "source": {
            "source": "s",
            "title": "S",
            "files": ["s"],
            "reader": {"format": "csv"},
            "contact_gap": "30 minutes",
        },
        "journey": {
            "journey": "j",
            "title": "J",
            "cut": {"opens": ["a"]},
            "phases": [{"id": "a", "says": "I", "activities": ["a", {"activity": "b", "channel": "c"}]}],
        },
    }
    validator = jsonschema.Draft202012Validator(schemas()[kind])
    assert list(validator.iter_errors(good[kind])) == []
    assert list(validator.iter_errors({**good[kind], **change})) != []


def test_schemas_are_written_by_kind(tmp_path: Path) -> None:
    paths = write_schemas(tmp_path / "schemas")
    assert {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths} == {
        f"{kind}.schema.json": schema for kind, schema in schemas().items()
    }


def test_templates_are_files_of_the_package() -> None:
    folder = Path(klantspoor.project.__file__).parent / "templates"
    assert (folder / "gitignore.txt").is_file()
    assert not list(folder.rglob(".gitignore"))


# --- key -------------------------------------------------------------------------------------------------------------


def test_a_key_is_made_for_its_owner_only_and_never_overwritten(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = make_key(tmp_path / "key")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        make_key(path)
    assert path.read_bytes() == before
    with pytest.raises(ConfigError, match="cannot be written"):
        make_key(tmp_path / "nowhere" / "key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o660])
def test_a_key_file_that_others_may_use_is_refused(project: ProjectFolder, mode: int) -> None:
    (project.root / "pseudonym.key").chmod(mode)
    with pytest.raises(ConfigError, match=r"chmod 600 pseudonym\.key") as caught:
        load_key(load_project(project.root))
    assert f"{mode:04o}" in str(caught.value)


def test_a_key_file_is_read_without_white_space(project: ProjectFolder) -> None:
    (project.root / "pseudonym.key").write_bytes(b"  sixteen bytes ok \r\n")
    assert load_key(load_project(project.root)).chain == (b"sixteen bytes ok",)


def test_a_key_that_is_missing_or_short(project: ProjectFolder) -> None:
    loaded = load_project(project.root)
    key = project.root / "pseudonym.key"
    key.write_bytes(b"fifteen bytes..\n")
    with pytest.raises(ConfigError, match="at least 16 bytes") as caught:
        load_key(loaded)
    assert "fifteen" not in str(caught.value)
    key.unlink()
    with pytest.raises(ConfigError, match=r"does not exist"):
        load_key(loaded)
    key.mkdir()
    with pytest.raises(ConfigError, match=r"cannot be read"):
        load_key(loaded)


def test_a_key_from_the_environment(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    project.change("klantspoor.yaml", "  file: pseudonym.key", "  env: KLANTSPOOR_TEST_KEY")
    loaded = load_project(project.root)
    with pytest.raises(ConfigError, match="KLANTSPOOR_TEST_KEY is not set"):
        load_key(loaded)
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "short")
    with pytest.raises(ConfigError, match="key of 5 bytes"):
        load_key(loaded)
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", " a key of enough bytes\n")
    assert load_key(loaded).chain == (b"a key of enough bytes",)

"""Alarms: who is told, what, and that nothing which goes wrong with it hurts the night or tells a secret."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listening import Listener, listening

from klantspoor.alarm import Alarm, overdue, raise_alarm
from klantspoor.dictionary import TABLES
from klantspoor.lake import Lake
from klantspoor.project.model import Project
from tests.lake.small_world import world
from tests.pipelines.staged_night import stage

FAILED = Alarm(
    "run_failed",
    job="nightly",
    run_id="79bbda28",
    as_of=datetime(2024, 6, 1, 1, tzinfo=UTC),
    steps=("marts_checks",),
    checks=("freshness.must_come", "waits.add_up"),
)
HIDDEN = "s3cr3t-token"


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


def project(root: Path, **alarms: Any) -> Project:
    file = {
        "name": "Shop",
        "timezone": "Europe/Amsterdam",
        "pseudonym_key": {"env": "KLANTSPOOR_TEST_KEY"},
        "identifiers": {"customer": {"priority": 1}},
    }
    if alarms:
        file["alarms"] = alarms
    return Project.model_validate({"root": str(root), "file": file, "sources": {}, "journeys": {}})


def hook(root: Path, monkeypatch: pytest.MonkeyPatch, address: str | None, **more: Any) -> Project:
    if address is None:
        monkeypatch.delenv("KLANTSPOOR_TEST_WEBHOOK", raising=False)
    else:
        monkeypatch.setenv("KLANTSPOOR_TEST_WEBHOOK", address)
    plain = {"plain_http": True} if more.pop("plain_http", False) else {}
    return project(root, webhook={"env": "KLANTSPOOR_TEST_WEBHOOK", **plain}, **more)


def failure(told: list[Any]) -> str:
    (one,) = told
    assert one.failure is not None
    return str(one)


def script(path: Path, text: str) -> list[str]:
    path.write_text(f"#!{sys.executable}\n{text}", "utf-8")
    path.chmod(0o755)
    return [str(path)]


def test_without_alarms_nobody_is_told(tmp_path: Path) -> None:
    assert raise_alarm(project(tmp_path), FAILED) == []


def test_a_webhook_gets_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: Listener) -> None:
    (told,) = raise_alarm(hook(tmp_path, monkeypatch, f"{listener.url}/hooks/{HIDDEN}"), FAILED)
    assert str(told) == "told the webhook in $KLANTSPOOR_TEST_WEBHOOK"
    assert listener.paths == [f"POST /hooks/{HIDDEN} application/json"]
    (got,) = listener.got
    at = datetime.fromisoformat(got.pop("at"))
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    lines = got.pop("text").splitlines()
    assert got == {
        "project": "Shop", "event": "run_failed", "job": "nightly", "run_id": "79bbda28",
        "as_of": "2024-06-01T01:00:00+00:00", "steps": ["marts_checks"],
        "checks": ["freshness.must_come", "waits.add_up"],
    }  # fmt: skip
    assert lines[0] == "Klantspoor, Shop: the run 79bbda28 of nightly of 2024-06-01T01:00+00:00 failed."
    assert lines[1:3] == ["Steps: marts_checks", "Checks: freshness.must_come, waits.add_up"]


def test_a_webhook_elsewhere_is_never_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    for status in (301, 302, 303, 307, 308):
        listener.status, listener.headers = status, {"Location": f"{listener.url}/elsewhere"}
        assert f"it answered {status}" in failure(raise_alarm(hook(tmp_path, monkeypatch, listener.url), FAILED))
    assert not [path for path in listener.paths if "elsewhere" in path]


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
def test_an_answer_that_is_no_success_is_told(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    listener.status = status
    said = failure(raise_alarm(hook(tmp_path, monkeypatch, f"{listener.url}/{HIDDEN}"), FAILED))
    assert said == f"could not tell the webhook in $KLANTSPOOR_TEST_WEBHOOK: it answered {status}"


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (None, "the environment variable KLANTSPOOR_TEST_WEBHOOK is not set"),
        ("  ", "is not set"),
        (HIDDEN, "holds no address that begins with https://"),
        (f"file:///etc/passwd?{HIDDEN}", "holds no address"),
        (f"ftp://example.test/{HIDDEN}", "holds no address"),
        (f"https:///{HIDDEN}", "holds no address"),
        (f"https://[::1/{HIDDEN}", "holds no address"),
        (f"http://example.test/{HIDDEN}", "http address of another machine"),
        (f"http://127.0.0.1.example.test/{HIDDEN}", "http address of another machine"),
        (f"http://127.0.0.1:1/{HIDDEN}", "no connection: ConnectionRefusedError"),
        (f"http://localhost:notaport/{HIDDEN}", ""),
        (f"http://127.0.0.1:1/{HIDDEN}\r\nX-Injected: yes", ""),
    ],
)
def test_an_address_that_cannot_be_is_told_without_it(
    address: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = failure(raise_alarm(hook(tmp_path, monkeypatch, address), FAILED))
    assert told in said
    assert HIDDEN not in said


def test_http_to_another_machine_has_to_be_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    # Another name of this machine: the rule looks at the name alone, before anything is looked up.
    address = listener.url.replace("127.0.0.1", "127.0.0.2")
    assert "another machine" in failure(raise_alarm(hook(tmp_path, monkeypatch, address), FAILED))
    allowed = failure(raise_alarm(hook(tmp_path, monkeypatch, address, plain_http=True), FAILED))
    assert "no connection" in allowed, "it tried"


def test_a_proxy_is_not_asked_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    (told,) = raise_alarm(hook(tmp_path, monkeypatch, listener.url), FAILED)
    assert told.failure is None


def test_a_webhook_that_hangs_costs_its_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    listener.delay = 30
    began = time.monotonic()
    said = failure(raise_alarm(hook(tmp_path, monkeypatch, listener.url, timeout="1 second"), FAILED))
    assert "TimeoutError" in said
    assert time.monotonic() - began < 20


def test_a_command_gets_the_text_and_its_own_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "k" * 64)
    monkeypatch.setenv("KLANTSPOOR_TEST_OTHER", "there")
    made = tmp_path / "made.json"
    keep = (
        "import json, os, sys\n"
        f"json.dump([sys.argv[1:], sys.stdin.read(), dict(os.environ)], open({str(made)!r}, 'w'))\n"
        "print('nobody sees this')\n"
    )
    arguments = ["--to", "ops; rm -rf $HOME", "$(id)", "*"]
    (told,) = raise_alarm(project(tmp_path, command=script(tmp_path / "tell", keep) + arguments), FAILED)
    assert str(told) == f"told the command {tmp_path / 'tell'}"
    given, text, environment = json.loads(made.read_text("utf-8"))
    assert given == arguments, "no shell looked at them"
    assert text == FAILED.text("Shop")
    assert environment["KLANTSPOOR_TEST_OTHER"] == "there"
    assert "KLANTSPOOR_TEST_KEY" not in environment


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import sys; sys.exit(3)", "it ended with code 3"),
        ("import time; time.sleep(60)", "it did not end within 1 s"),
    ],
)
def test_a_command_that_fails_is_told(text: str, told: str, tmp_path: Path) -> None:
    command = script(tmp_path / "tell", text)
    assert told in failure(raise_alarm(project(tmp_path, command=command, timeout="1 second"), FAILED))


def test_a_command_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    said = failure(raise_alarm(project(tmp_path, command=[str(tmp_path / "absent")]), FAILED))
    assert "it cannot be started: No such file or directory" in said


def test_one_that_fails_does_not_keep_the_other_from_being_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "made"
    command = script(tmp_path / "tell", f"open({str(made)!r}, 'w')")
    told = raise_alarm(hook(tmp_path, monkeypatch, None, command=command), FAILED)
    assert [one.failure is None for one in told] == [False, True]
    assert made.exists()


@given(st.text(), st.lists(st.text(), max_size=30))
def test_the_text_has_no_line_and_no_sign_but_its_own(name: str, steps: list[str]) -> None:
    text = replace(FAILED, steps=tuple(steps)).text(name)
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert len(text.splitlines()) == (4 if steps else 3)
    assert all(len(line) <= 480 for line in text.splitlines())


# --- overdue ---------------------------------------------------------------------------------------------------------


def publish(root: Path) -> tuple[Lake, datetime]:
    lake = Lake(root / "lake")
    staging = lake.open_run("r1", datetime(2024, 6, 1, tzinfo=UTC))
    stage(staging, world(), *TABLES)
    version = lake.publish(staging)
    return lake, datetime.fromisoformat(version.manifest["published_at"])


def test_a_version_is_overdue_by_when_it_was_published_not_by_its_clock(tmp_path: Path) -> None:
    lake, published_at = publish(tmp_path)
    opened = project(tmp_path, command=["/bin/true"], published_within="26 hours")
    assert overdue(opened, lake, published_at + timedelta(hours=26, seconds=-1)) is None
    found = overdue(opened, lake, published_at + timedelta(hours=26))
    assert found is not None
    assert (found.event, found.version, found.published_at) == ("not_published", "000001", published_at)
    when = published_at.isoformat(timespec="minutes")
    assert found.text("Shop") == (
        f"Klantspoor, Shop: no version was published for 26 hours; the last is version 000001, published {when}.\n"
    )
    assert found.payload("Shop")["within"] == 26 * 3600


def test_before_the_first_version_it_counts_from_the_lake(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    opened = project(tmp_path, command=["/bin/true"])
    now = datetime.now(UTC)
    assert overdue(opened, lake, now + timedelta(days=365)) is None, "no lake yet: nothing was ever begun"
    lake.prepare()
    assert overdue(opened, lake, now + timedelta(hours=25)) is None
    found = overdue(opened, lake, now + timedelta(hours=27))
    assert found is not None
    assert "none ever was" in found.text("Shop")
    old = (now - timedelta(hours=30)).timestamp()
    os.utime(lake.root / ".klantspoor", (old, old))
    assert overdue(opened, lake, now) is not None


def test_without_alarms_nothing_is_overdue(tmp_path: Path) -> None:
    lake, published_at = publish(tmp_path)
    assert overdue(project(tmp_path), lake, published_at + timedelta(days=365)) is None

"""The files for servers: units that systemd accepts, settings that Dagster loads, and a night that a real PostgreSQL keeps."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import dagster as dg
import pytest
import yaml

from klantspoor.lake.checks import run_queries
from pipelines import run
from pipelines.nights import FIRST_TAG, LAST_TAG
from pipelines.watch import crashed_runs
from tests.lake.small_world import AS_OF
from tests.pipelines.staged_night import FILES, make_project, patch_stages

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [path for path in UNITS if path.suffix == ".service"]
ANALYZE = shutil.which("systemd-analyze")


def settings(path: Path) -> dict[str, list[str]]:
    """What a unit file sets, each key with its values in order."""
    found: dict[str, list[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        if "=" in line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for path in UNITS:
        # The programs are not there where a server would have them.
        text = re.sub(r"/srv/klantspoor/\.venv/bin/\S+", sys.executable, path.read_text("utf-8"))
        (tmp_path / path.name).write_text(text, "utf-8")
    command = [str(ANALYZE), "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    ours = [line for line in finished.stderr.splitlines() if "klantspoor" in line]
    assert ours == []


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_a_service_may_do_little(path: Path) -> None:
    said = settings(path)
    assert said["User"] == ["klantspoor"]
    # Analysts of the group read what nights write; nobody else does, and nothing else writes anything to be read.
    assert said["UMask"] == ["0027" if path.stem in ("klantspoor-code", "klantspoor-night") else "0077"]
    assert said["NoNewPrivileges"] == ["yes"]
    assert said["ProtectSystem"] == ["strict"]
    assert said["CapabilityBoundingSet"] == [""]
    assert "Environment" not in said, "nothing secret in a file that everybody may read"


def test_only_what_runs_nights_and_alarms_knows_the_key() -> None:
    know = {path.stem for path in SERVICES if "/etc/klantspoor/secrets.env" in settings(path)["EnvironmentFile"]}
    assert know == {"klantspoor-code", "klantspoor-night", "klantspoor-alarm"}
    for name in ("klantspoor-daemon", "klantspoor-webserver"):
        said = settings(DEPLOY / "systemd" / f"{name}.service")
        assert said["InaccessiblePaths"] == ["-/srv/shop"]
        assert said["IPAddressAllow"] == ["localhost"]


def test_the_pages_are_on_this_machine_alone() -> None:
    (command,) = settings(DEPLOY / "systemd" / "klantspoor-webserver.service")["ExecStart"]
    assert "--host 127.0.0.1 " in command


def test_programs_and_options_exist() -> None:
    modules = {"dagster": "dagster", "dagster-daemon": "dagster._daemon", "dagster-webserver": "dagster_webserver"}
    for path in SERVICES:
        (command,) = settings(path)["ExecStart"]
        program, *words = command.split()
        name = Path(program).name
        if name not in modules:
            continue
        subcommand = [word for word in words[:2] if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
        shown = subprocess.run(
            [sys.executable, "-m", modules[name], *subcommand, "--help"], capture_output=True, text=True, check=True
        ).stdout
        for option in (word for word in words if word.startswith("--")):
            assert option in shown, f"{path.name}: {option}"


def test_both_settings_say_the_same_but_for_where_things_are_kept() -> None:
    local, server = (
        yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / "dagster.yaml", DEPLOY / "dagster.yaml")
    )
    for name in ("telemetry", "nux", "run_monitoring", "run_coordinator", "retention"):
        assert local[name] == server[name]
    assert server["telemetry"] == {"enabled": False}
    assert server["storage"] == {"postgres": {"postgres_url": {"env": "DAGSTER_PG_URL"}}}


def test_the_environment_files_hold_no_secret() -> None:
    lines = (DEPLOY / "secrets.env").read_text("utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["KLANTSPOOR_KEY=", "KLANTSPOOR_WEBHOOK="]


# --- a real PostgreSQL -----------------------------------------------------------------------------------------------


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty database of a server of its own, on a socket."""
    programs = {name: shutil.which(name) for name in ("initdb", "pg_ctl", "createdb")}
    absent = [name for name, path in programs.items() if path is None]
    if absent:
        pytest.skip(f"no PostgreSQL on this machine: {', '.join(absent)} not found")
    if find_spec("dagster_postgres") is None:
        pytest.skip("the extra `postgres` is not installed")
    # The server refuses to run as root, and a socket's path may have some hundred signs.
    owner = "postgres" if os.geteuid() == 0 else None
    home = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    if owner is not None:
        shutil.chown(home, owner)

    def call(name: str, *arguments: str) -> None:
        subprocess.run(
            [str(programs[name]), *arguments], user=owner, cwd=home, check=True, timeout=120, stdout=subprocess.DEVNULL
        )

    options = f"-c listen_addresses='' -c fsync=off -k {home}"
    try:
        call("initdb", "--auth=trust", "--username=klantspoor", "--encoding=UTF8", "-D", str(home / "data"))
        call("pg_ctl", "start", "-w", "-D", str(home / "data"), "-o", options, "-l", str(home / "log"))
        try:
            call("createdb", "-h", str(home), "-U", "klantspoor", "klantspoor")
            yield f"postgresql+psycopg2://klantspoor@/klantspoor?host={home}"
        finally:
            call("pg_ctl", "stop", "-m", "immediate", "-D", str(home / "data"))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def test_a_night_is_kept_in_postgresql(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copyfile(DEPLOY / "dagster.yaml", home / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("DAGSTER_PG_URL", postgres)
    # The definitions were loaded without a project, whose nights begin at 03:00 UTC: so must those of this one.
    said = FILES["klantspoor.yaml"].replace("Europe/Amsterdam", "UTC").replace("02:30", "03:00")
    monkeypatch.setenv("KLANTSPOOR_PROJECT", str(make_project(tmp_path / "project", klantspoor=said)))
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "k" * 64)
    monkeypatch.setattr("expectations.bridge.run_expectations", lambda *arguments: run_queries(*arguments[:3]))
    patch_stages(monkeypatch)
    assert run.main(["--as-of", AS_OF.isoformat()]) == run.PUBLISHED
    assert run.main([]) == run.PUBLISHED
    with dg.DagsterInstance.get() as instance:
        newest, _ = instance.get_runs()
        assert newest.status == dg.DagsterRunStatus.SUCCESS
        assert newest.tags[FIRST_TAG] == newest.tags[LAST_TAG]
        assert instance.get_materialized_partitions(dg.AssetKey("ledger")) == {newest.tags[FIRST_TAG]}
        assert crashed_runs.evaluate_tick(dg.build_sensor_context(instance=instance)).skip_message
        record = instance.get_latest_materialization_event(dg.AssetKey("publication"))
        assert record is not None
    assert [path.name for path in home.iterdir()] == ["dagster.yaml"], "nothing is kept in files"

"""Alarms: telling a webhook or a program that a night failed, or that no version was published for too long.

Who is told stands in `klantspoor.yaml` under `alarms`. What is told names the project, runs, steps and checks: no row, no file,
no text of an error, for nobody can say what an error nobody foresaw would hold. An alarm that cannot be delivered is said in
the result, and is never an error of the caller.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPException
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from klantspoor.lake import Lake
from klantspoor.lake.lake import MARKER
from klantspoor.project.model import Project, Webhook

Event = Literal["run_failed", "not_published", "test"]
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_LISTED = 20
_WIDTH = 120


@dataclass(frozen=True, slots=True)
class Alarm:
    """What happened; `steps` and `checks` are names of ours, `as_of` and `published_at` aware datetimes."""

    event: Event
    job: str | None = None
    run_id: str | None = None
    as_of: datetime | None = None
    steps: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    version: str | None = None
    published_at: datetime | None = None
    within: timedelta | None = None

    def text(self, project: str) -> str:
        """The alarm in a few lines, without anything a terminal would act on."""
        lines = [_line(f"Klantspoor, {project}: {_HEADINGS[self.event](self)}")]
        if self.steps:
            lines.append(_line(f"Steps: {_listed(self.steps)}"))
        if self.checks:
            lines.append(_line(f"Checks: {_listed(self.checks)}"))
        if self.event == "run_failed":
            lines.append(
                "The version before stays. Why: in the log of the run in Dagster, and at the end of `klantspoor run`."
            )
        return "\n".join(lines) + "\n"

    def payload(self, project: str) -> dict[str, Any]:
        """The alarm as JSON values: `text`, `project`, `at`, and what is known of the event, its run and its version."""
        known = {name: value for name, value in asdict(self).items() if value not in (None, ())}
        told = {name: _json(value) for name, value in known.items()}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return {"text": self.text(project), "project": project, "at": now, **told}


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one call: `way` says who was told, without the address; `failure` is None where it arrived."""

    way: str
    failure: str | None = None

    def __str__(self) -> str:
        return f"told {self.way}" if self.failure is None else f"could not tell {self.way}: {self.failure}"


def raise_alarm(project: Project, alarm: Alarm) -> list[Told]:
    """Tells everybody whom the project names; an empty list where it names nobody. Raises nothing.

    A call takes at most about `alarms.timeout` (each step of a connection has it, a program as a whole).
    """
    alarms = project.file.alarms
    if alarms is None:
        return []
    name, seconds = project.file.name, alarms.timeout.total_seconds()
    told = []
    if alarms.webhook is not None:
        send = partial(_post, alarms.webhook, alarm.payload(name), seconds)
        told.append(_told(f"the webhook in ${alarms.webhook.env}", send))
    if alarms.command is not None:
        start = partial(_call, alarms.command, alarm.text(name), seconds, _without_key(project))
        told.append(_told(f"the command {alarms.command[0]}", start))
    return told


def overdue(project: Project, lake: Lake, now: datetime) -> Alarm | None:
    """The alarm that no version was published for `alarms.published_within`, by the wall clock; None where one was.

    Before the first version the time counts from when the lake was made; where there is no lake, nothing is overdue.

    Raises:
        LakeError: the pointer names no version.
    """
    alarms = project.file.alarms
    if alarms is None:
        return None
    version = lake.current()
    if version is None:
        marker = lake.root / MARKER
        since = datetime.fromtimestamp(marker.stat().st_mtime, UTC) if marker.is_file() else None
    else:
        since = datetime.fromisoformat(version.manifest["published_at"])
    if since is None or now - since < alarms.published_within:
        return None
    name, published_at = (version.name, since) if version is not None else (None, None)
    return Alarm("not_published", version=name, published_at=published_at, within=alarms.published_within)


# --- telling ---------------------------------------------------------------------------------------------------------


class _UndeliverableError(Exception):
    """Why an alarm did not arrive; holds no address and no answer."""


def _told(way: str, call: Callable[[], None]) -> Told:
    try:
        call()
    except _UndeliverableError as error:
        return Told(way, str(error))
    except Exception as error:  # an alarm that breaks must not break the night; its text could hold the address
        return Told(way, type(error).__name__)
    return Told(way)


def _post(webhook: Webhook, payload: dict[str, Any], seconds: float) -> None:
    address = _address(webhook)
    data = json.dumps(payload).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "klantspoor"}
    request = Request(address, data=data, headers=headers, method="POST")  # noqa: S310 - _address saw to the scheme
    try:
        with _opener(address).open(request, timeout=seconds):
            pass  # any answer of 200 to 299 is a success, whatever it says
    except HTTPError as error:
        error.close()
        raise _UndeliverableError(f"it answered {error.code}") from None
    except URLError as error:
        raise _UndeliverableError(f"no connection: {type(error.reason).__name__}") from None
    except (OSError, HTTPException) as error:
        raise _UndeliverableError(f"the connection broke: {type(error).__name__}") from None


def _address(webhook: Webhook) -> str:
    address = os.environ.get(webhook.env, "").strip()
    if not address:
        raise _UndeliverableError(f"the environment variable {webhook.env} is not set")
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise _UndeliverableError(f"{webhook.env} holds no address that begins with https://")
    if parts.scheme == "http" and host not in _LOOPBACK and not webhook.plain_http:
        raise _UndeliverableError(
            f"{webhook.env} holds an http address of another machine: use https, or set alarms.webhook.plain_http"
        )
    return address


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        """Follows none: an alarm goes where the project says and nowhere else."""


def _opener(address: str) -> OpenerDirector:
    # A proxy of the environment is for other machines: this one's own address would not be what it means there.
    is_here = urlsplit(address).hostname in _LOOPBACK
    return build_opener(_NoRedirect, *([ProxyHandler({})] if is_here else []))


def _call(command: list[str], text: str, seconds: float, environment: dict[str, str]) -> None:
    try:
        finished = subprocess.run(  # noqa: S603 - no shell, and the arguments are the project's own
            command,
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _UndeliverableError(f"it did not end within {seconds:g} s") from None
    except OSError as error:
        raise _UndeliverableError(f"it cannot be started: {error.strerror or type(error).__name__}") from None
    if finished.returncode != 0:
        raise _UndeliverableError(f"it ended with code {finished.returncode}")


def _without_key(project: Project) -> dict[str, str]:
    """The environment, but for the key of pseudonyms: a program that tells people has no use for it."""
    return {name: value for name, value in os.environ.items() if name != project.file.pseudonym_key.env}


# --- saying ----------------------------------------------------------------------------------------------------------


def _failed(alarm: Alarm) -> str:
    when = f" of {alarm.as_of.isoformat(timespec='minutes')}" if alarm.as_of else ""
    return f"the run {alarm.run_id or ''} of {alarm.job or 'a job'}{when} failed."


def _overdue(alarm: Alarm) -> str:
    hours = alarm.within.total_seconds() / 3600 if alarm.within else 0
    last = (
        f"the last is version {alarm.version}, published {alarm.published_at.isoformat(timespec='minutes')}"
        if alarm.published_at
        else "none ever was"
    )
    return f"no version was published for {hours:g} hours; {last}."


_HEADINGS: dict[Event, Callable[[Alarm], str]] = {
    "run_failed": _failed,
    "not_published": _overdue,
    "test": lambda _: "this is a test of the alarm. Nothing is wrong.",
}


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _line(text: str) -> str:
    # The name of the project and those of steps are ours or the organisation's; a line stays a line whatever they hold.
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown if len(shown) <= _WIDTH * 4 else shown[: _WIDTH * 4 - 1] + "…"


def _json(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, timedelta):
        return value.total_seconds()
    return list(value) if isinstance(value, tuple) else value

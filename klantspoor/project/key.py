"""The secret from which pseudonyms are made: reading it as the project declares, and making one.

Whoever has the key can find a known person's pseudonym; whoever loses it can no longer connect new files with old ones.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from klantspoor.errors import ConfigError, Problem
from klantspoor.project.model import Project

FEWEST_BYTES = 16
_FILE = "klantspoor.yaml"
_MAKE = "make one with `klantspoor init`, or `python -c 'import secrets; print(secrets.token_hex(32))'`"


def load_key(project: Project) -> bytes:
    """The project's key, without white space around it: at least 16 bytes.

    Raises:
        ConfigError: where the variable is not set, the file is not there or open to others, or the key is too short.
    """
    declared = project.file.pseudonym_key
    if declared.env is not None:
        place, key = "pseudonym_key.env", _from_environment(declared.env)
    elif declared.file is not None:
        place, key = "pseudonym_key.file", _from_file(Path(project.root) / declared.file, declared.file)
    else:
        raise _problem("pseudonym_key", "names neither a variable nor a file", "either env: NAME or file: PATH", None)
    if len(key) < FEWEST_BYTES:
        raise _problem(place, f"gives a key of {len(key)} bytes", f"at least {FEWEST_BYTES} bytes", _MAKE)
    return key


def make_key(path: Path) -> Path:
    """Writes a new random key (64 hexadecimal digits) that only its owner may read.

    Raises:
        ConfigError: where the file exists (a key is never overwritten) or cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        hint = "the pseudonyms made with it would be lost: move it away if you are sure"
        raise ConfigError([Problem(str(path), "", "exists already", hint=hint)]) from None
    except OSError as error:
        raise ConfigError([Problem(str(path), "", f"cannot be written: {error.strerror}")]) from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
    return path


def _from_environment(name: str) -> bytes:
    value = os.environb.get(name.encode()) if os.supports_bytes_environ else os.environ.get(name, "").encode()
    if not value:
        hint = f"set it where the night runs; {_MAKE}"
        raise _problem("pseudonym_key.env", f"the environment variable {name} is not set", "a secret of your own", hint)
    return value.strip()


def _from_file(path: Path, name: str) -> bytes:
    place = "pseudonym_key.file"
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            key = file.read(4096)
    except FileNotFoundError:
        raise _problem(place, f"the file {name} does not exist", "a file that holds the key", _MAKE) from None
    except OSError as error:
        raise _problem(place, f"the file {name} cannot be read: {error.strerror}", "a readable file", None) from None
    if os.name == "posix" and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        found = f"mode {stat.S_IMODE(status.st_mode):04o}"
        message = f"the file {name} can be read by others ({found})"
        raise _problem(place, message, "mode 0600", f"run chmod 600 {name}")
    return key.strip()


def _problem(place: str, message: str, expected: str, hint: str | None) -> ConfigError:
    return ConfigError([Problem(_FILE, place, message, expected=expected, hint=hint)])

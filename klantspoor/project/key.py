"""The secret from which pseudonyms are made: reading it as the project declares, and making one.

Whoever has the key can find a known person's pseudonym; whoever loses it can no longer connect new files with old ones.
A key that was rotated is a chain of keys, the oldest first: see `Keys`, and `klantspoor.rotation`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from klantspoor.errors import ConfigError, Problem
from klantspoor.project.model import Project

FEWEST_BYTES = 16
_FILE = "klantspoor.yaml"
_MAKE = "make one with `klantspoor init`, or `python -c 'import secrets; print(secrets.token_hex(32))'`"


# Only what `klantspoor key rotate` makes is a further key, so that a first key may be any text, with colons or lines in it.
_FURTHER = re.compile(rb"(?:[ \t\r]*\n\s*|[ \t]*:[ \t]*)([0-9a-f]{64})\Z")
_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that pseudonyms are made with, the oldest first; a project that never rotated its key has one.

    A pseudonym is made with the first key and then hashed again with each of the others (`Pseudonymiser.of` in
    `klantspoor.intake.pseudonyms` has the formula). `chain` is not shown where keys are printed.
    """

    chain: tuple[bytes, ...] = field(repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError where there is no key at all."""
        if not self.chain:
            raise ValueError("a chain of keys has at least one key")

    def __len__(self) -> int:
        return len(self.chain)

    @property
    def check(self) -> str:
        """What the ledger remembers of the keys, so that others are noticed: 16 hex digits that give no key away."""
        return self.checks[-1]

    @property
    def checks(self) -> list[str]:
        """What `check` would be with only the first, the first two, … of the keys."""
        message, found = b"check\x1f", []
        for key in self.chain:
            found.append(hmac.new(key, message, hashlib.sha256).hexdigest()[:16])
            message = b"rotated\x1f" + found[-1].encode()
        return found

    def longer(self) -> Keys:
        """These keys and a new random one (64 hexadecimal digits) after them.

        Raises:
            ConfigError: where they would become longer than is read.
        """
        made = Keys((*self.chain, secrets.token_hex(32).encode()))
        if len(made.text()) > _MOST_BYTES:
            message = f"there are {len(self)} keys, and all of them may be {_MOST_BYTES} bytes together"
            raise _problem("pseudonym_key", message, "no further key", None)
        return made

    def text(self) -> bytes:
        """The keys as a file or a variable holds them: one a line."""
        return b"\n".join(self.chain) + b"\n"


def load_key(project: Project) -> Keys:
    """The project's keys, without white space around them; each has at least 16 bytes.

    What stands last, after a line end or a colon, and is 64 hexadecimal digits is a further key, as rotation makes them;
    all before is the first key.

    Raises:
        ConfigError: where the variable is not set, the file is not there or open to others, or the key is too short.
    """
    declared = project.file.pseudonym_key
    if declared.env is not None:
        place, text = "pseudonym_key.env", _from_environment(declared.env)
    elif declared.file is not None:
        place, text = "pseudonym_key.file", _from_file(Path(project.root) / declared.file, declared.file)
    else:
        raise _problem("pseudonym_key", "names neither a variable nor a file", "either env: NAME or file: PATH", None)
    keys = parse_keys(text)
    if len(keys.chain[0]) < FEWEST_BYTES:
        message = f"gives a key of {len(keys.chain[0])} bytes"
        raise _problem(place, message, f"at least {FEWEST_BYTES} bytes", _MAKE)
    return keys


def parse_keys(text: bytes) -> Keys:
    """The keys in a file's or a variable's text."""
    text, further = text.strip(), []
    while match := _FURTHER.search(text):
        further.append(match[1])
        text = text[: match.start()]
    return Keys((text, *reversed(further)))


def make_key(path: Path) -> Path:
    """Writes a new random key (64 hexadecimal digits) that only its owner may read.

    Raises:
        ConfigError: where the file exists (a key is never overwritten) or cannot be written.
    """
    return write_keys(path, Keys((secrets.token_hex(32).encode(),)))


def write_keys(path: Path, keys: Keys) -> Path:
    """Writes keys to a new file that only its owner may read, and sees that they are on the disk.

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
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(keys.text())
            file.flush()
            os.fsync(handle)
        _force_name(path)
    except OSError as error:
        path.unlink(missing_ok=True)  # half a key is none
        raise ConfigError([Problem(str(path), "", f"cannot be written: {error.strerror}")]) from None
    return path


def _force_name(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
            key = file.read(_MOST_BYTES)
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

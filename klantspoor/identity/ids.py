"""The id of a person: made from their anchor's pseudonym, which is a keyed hash, and so is what is made from it."""

from __future__ import annotations

import hashlib

_DIGITS = 16
_SEPARATOR = "\x1f"


def person_id(identifier_type: str, pseudonym: str) -> str:
    """The id of the person whose anchor this identifier is: 16 hexadecimal digits."""
    text = _SEPARATOR.join(("person", identifier_type, pseudonym))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def person_id_sql(identifier_type: str, pseudonym: str) -> str:
    """SQL for the same, of two columns."""
    return f"substr(sha256('person' || chr(31) || {identifier_type} || chr(31) || {pseudonym}), 1, {_DIGITS})"

"""How two values of a field are compared: the degrees of agreement, as Splink's settings spell them.

Every degree has an `m` to start from: the share of pairs of one person that agree so far, as one expects it of a customer
administration. Training moves it as far as the data has something to say (see `klantspoor.linkage.training`).

What a household shares as a whole is one comparison: street, number, postcode and city say the same thing four times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Level:
    """One degree of agreement: SQL over `x_l` and `x_r`, its first `m`, and the column whose `rare` values weigh more."""

    name: str
    sql: str
    m: float
    rare: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The degrees of agreement of one field or group of fields, best first; the last catches the rest."""

    name: str
    missing: str
    levels: tuple[Level, ...]

    def uses(self) -> set[str]:
        """The columns it looks at."""
        return set(re.findall(r"\b([a-z_]+)_[lr]\b", " ".join([self.missing, *(level.sql for level in self.levels)])))

    def settings(self) -> dict[str, Any]:
        """As Splink's settings spell it."""
        levels: list[dict[str, Any]] = [
            {"sql_condition": self.missing, "label_for_charts": "missing", "is_null_level": True}
        ]
        for level in self.levels:
            spelled: dict[str, Any] = {"sql_condition": level.sql, "label_for_charts": level.name}
            if level.rare is not None:
                spelled |= {"tf_adjustment_column": level.rare}
            levels.append(spelled | {"m_probability": level.m})
        return {"output_column_name": self.name, "comparison_levels": levels}


def _equal(column: str) -> str:
    return f"{column}_l = {column}_r"


def _alike(column: str, least: float) -> str:
    return f"jaro_winkler_similarity({column}_l, {column}_r) >= {least}"


def _typos(column: str, most: int) -> str:
    """At most so many letters added, left out, replaced or swapped with the next.

    Counting them takes ten times as long as Jaro's measure, and so few hardly ever lie below 0.8 of it: that is asked first.
    """
    counted = f"damerau_levenshtein({column}_l, {column}_r) <= {most}"
    return f"CASE WHEN jaro_similarity({column}_l, {column}_r) >= 0.8 THEN {counted} ELSE false END"


def _missing(column: str) -> str:
    return f"{column}_l IS NULL OR {column}_r IS NULL"


_INITIAL = "left(first_name_l, 1) = left(first_name_r, 1) AND (len(first_name_l) = 1 OR len(first_name_r) = 1)"
_PART = "len(list_intersect(last_parts_l, name_parts_r)) > 0 OR len(list_intersect(last_parts_r, name_parts_l)) > 0"
_PARTIAL = "starts_with(birth_date_l, birth_date_r) OR starts_with(birth_date_r, birth_date_l)"
_LOCAL = "split_part(email_l, '@', 1) = split_part(email_r, '@', 1)"
# Addresses are made of names: namesakes have jan.jansen1@ and jan.jansen2@. So only letters may be mistyped.
_NUMBERS = " = ".join(f"regexp_replace(email_{side}, '[^0-9]', '', 'g')" for side in "lr")
_EMAIL_TYPO = f"CASE WHEN {_alike('email', 0.92)} THEN {_NUMBERS} AND {_typos('email', 1)} ELSE false END"

FIRST_NAME = Comparison(
    "first_name",
    _missing("first_name"),
    (
        Level("equal", _equal("first_name"), 0.7, "first_name"),
        Level("in the other's last name", "first_name_l = last_name_r OR first_name_r = last_name_l", 0.01),
        Level("a typing error", _alike("first_name", 0.92), 0.08),
        Level("an initial", _INITIAL, 0.05),
        Level("alike", _alike("first_name", 0.8), 0.07),
        Level("same first letter", "left(first_name_l, 1) = left(first_name_r, 1)", 0.04),
        Level("different", "ELSE", 0.05),
    ),
)
LAST_NAME = Comparison(
    "last_name",
    _missing("last_name"),
    (
        Level("equal", _equal("last_name"), 0.75, "last_name"),
        Level("in the other's first name", "first_name_l = last_name_r OR first_name_r = last_name_l", 0.01),
        Level("a typing error", _alike("last_name", 0.92), 0.09),
        Level("alike", _alike("last_name", 0.85), 0.04),
        Level("a part in common", _PART, 0.04),
        Level("different", "ELSE", 0.07),
    ),
)
BIRTH_DATE = Comparison(
    "birth_date",
    _missing("birth_date"),
    (
        Level("equal", _equal("birth_date"), 0.84, "birth_date"),
        Level("one is a part of the other", _PARTIAL, 0.02),
        Level("one typing error", _typos("birth_date", 1), 0.08),
        Level("two typing errors", _typos("birth_date", 2), 0.03),
        Level("same year", "left(birth_date_l, 4) = left(birth_date_r, 4)", 0.01),
        Level("different", "ELSE", 0.02),
    ),
)
EMAIL = Comparison(
    "email",
    _missing("email"),
    (
        Level("equal", _equal("email"), 0.65, "email"),
        Level("same before the @", _LOCAL, 0.06),
        Level("one typing error", _EMAIL_TYPO, 0.04),
        Level("different", "ELSE", 0.25),
    ),
)
PHONE = Comparison(
    "phone",
    _missing("phone"),
    (
        Level("equal", _equal("phone"), 0.7, "phone"),
        Level("one typing error", _typos("phone", 1), 0.05),
        Level("different", "ELSE", 0.25),
    ),
)
GENDER = Comparison(
    "gender", _missing("gender"), (Level("equal", _equal("gender"), 0.97), Level("different", "ELSE", 0.03))
)


def _word(column: str, equal: float) -> Comparison:
    alike, rest = 0.3 * (1 - equal), 0.7 * (1 - equal)
    return Comparison(
        column,
        _missing(column),
        (
            Level("equal", _equal(column), equal, column),
            Level("alike", _alike(column, 0.9), alike),
            Level("different", "ELSE", rest),
        ),
    )


def _address(fields: set[str]) -> Comparison | None:
    """One comparison of where people live; None where neither a postcode nor a street is known."""
    numbered = "house_number" in fields
    same_number = " AND house_number_l = house_number_r" if numbered else ""
    levels: list[Level] = []
    if "postcode" in fields:
        if numbered:
            levels.append(Level("same house", _equal("postcode") + same_number, 0.6))
        levels += [
            Level("same postcode", _equal("postcode"), 0.1 if numbered else 0.65, "postcode"),
            Level("one typing error in the postcode", _typos("postcode", 1), 0.05),
        ]
    if "street" in fields:
        levels.append(Level("same street", _alike("street", 0.94) + same_number, 0.05))
    if "postcode" in fields:
        levels += [
            Level("same area", "left(postcode_l, 4) = left(postcode_r, 4)", 0.05),
            Level("same region", "left(postcode_l, 2) = left(postcode_r, 2)", 0.05),
        ]
    if not levels:
        return None
    levels.append(Level("different", "ELSE", 0.15))
    known = [column for column in ("postcode", "street") if column in fields]
    missing = " AND ".join(f"({_missing(column)})" for column in known)
    total = sum(level.m for level in levels)
    return Comparison(
        "address", missing, tuple(Level(level.name, level.sql, level.m / total, level.rare) for level in levels)
    )


def comparisons(fields: Sequence[str]) -> list[Comparison]:
    """The comparisons that these fields allow (first and last name among them where a full name told them)."""
    have = set(fields)
    found = [c for c in (FIRST_NAME, LAST_NAME, BIRTH_DATE, EMAIL, PHONE, GENDER) if c.name in have]
    address = _address(have)
    if address is not None:
        found.append(address)
    elif "city" in have:
        found.append(_word("city", 0.7))
    return found + [_word(name, 0.8) for name in ("birth_place", "occupation") if name in have]


# What counts as agreement of a single field, for the evidence: equal, or so near that a typing error explains it.
CLOSE = {
    "first_name": f"{_equal('first_name')} OR {_alike('first_name', 0.8)} OR {_INITIAL} OR first_name_l = last_name_r"
    " OR first_name_r = last_name_l",
    "last_name": f"{_equal('last_name')} OR {_alike('last_name', 0.85)} OR {_PART} OR first_name_l = last_name_r"
    " OR first_name_r = last_name_l",
    "full_name": _alike("full_name", 0.9),
    "birth_date": f"{_PARTIAL} OR {_typos('birth_date', 1)}",
    "birth_place": _alike("birth_place", 0.9),
    "street": _alike("street", 0.9),
    "house_number": _equal("house_number"),
    "postcode": _typos("postcode", 1),
    "city": _alike("city", 0.9),
    "email": f"{_LOCAL} OR {_EMAIL_TYPO}",
    "phone": _typos("phone", 1),
    "occupation": _alike("occupation", 0.9),
    "gender": _equal("gender"),
}

PERSONAL = ("first_name", "birth_date")
"""What members of a household do not share."""

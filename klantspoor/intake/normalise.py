"""How identifier values are cleaned before they are compared, and which of them cannot be what they are said to be.

Only texts here: what is nobody's by the project's lists, and pseudonyms, are in `klantspoor.intake.identifiers`.
"""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.project.model import IdentifierType

# One @, something before it, a dot after it. Not RFC 5322: an address that gets mail passes, a name or a remark does not.
_EMAIL = r"^[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;.]+$"
_PHONES_KNOWN = 1 << 17


def clean(texts: pa.Array, rules: IdentifierType) -> tuple[pa.Array, pa.Array]:
    """Identifier values (n) as they are compared (blank is null), and which of them (n, bool) are invalid.

    White space around a value is always cut off. `phone` gives E.164 (ITU-T recommendation E.164: a plus, the country
    code, the number), by Google's libphonenumber rules; `email` lower case without `mailto:` or angle brackets around it.
    A telephone number that no plan allows, or an address without its parts, is kept as it stands and is invalid.
    """
    trimmed = pc.utf8_trim_whitespace(texts)
    if rules.normalise == "phone":
        return _phones(_no_blanks(trimmed), rules.country)
    if rules.normalise == "email":
        trimmed = pc.utf8_normalize(trimmed, form="NFKC")
        bare = pc.replace_substring_regex(pc.utf8_lower(trimmed), r"^(?:mailto:)?<?|>$", "")
        trimmed = pc.utf8_trim_whitespace(bare)
    elif rules.normalise == "lower":
        trimmed = pc.utf8_lower(trimmed)
    elif rules.normalise == "digits":
        trimmed = pc.replace_substring_regex(trimmed, "[^0-9]", "")
    cleaned = _no_blanks(trimmed)
    if rules.normalise == "email":
        return cleaned, pc.fill_null(pc.invert(pc.match_substring_regex(cleaned, _EMAIL)), False)
    return cleaned, pa.repeat(pa.scalar(False), len(cleaned))


def _no_blanks(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _phones(texts: pa.Array, country: str | None) -> tuple[pa.Array, pa.Array]:
    # The library knows single numbers only. Callers hand on distinct values, and repeats over batches are remembered.
    made = [_e164(text, country) if text is not None else None for text in texts.to_pylist()]
    kept = [number if number is not None else text for number, text in zip(made, texts.to_pylist(), strict=True)]
    invalid = [number is None and text is not None for number, text in zip(made, texts.to_pylist(), strict=True)]
    return pa.array(kept, pa.string()), pa.array(invalid, pa.bool_())


@lru_cache(maxsize=_PHONES_KNOWN)
def _e164(text: str, country: str | None) -> str | None:
    """The number in E.164, or None where it can be none; `country` is assumed where no country code is written."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))

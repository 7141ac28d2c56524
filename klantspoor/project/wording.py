"""The two questions about wording: does the customer tell a phase, and is it named like what is no phase (R1).

Both look at words only; what a name is compared with is collected in `klantspoor.project.rules_journeys`.
"""

from __future__ import annotations

import re
import unicodedata

_FIRST_PERSON = {
    "en": {"i", "me", "my", "mine", "myself", "we", "us", "our", "ours", "ourselves"},
    "nl": {"ik", "k", "mij", "me", "mijn", "mijne", "mezelf", "mijzelf", "m", "wij", "we", "ons", "onze", "onszelf"},
}
_ARTICLES = {"the", "a", "an", "de", "het", "een"}
# Channels and departments whatever the sources call theirs; words that are also verbs ("shop", "chat") are left out.
_NEVER_A_PHASE = (
    "website",
    "web site",
    "webshop",
    "call centre",
    "contact centre",
    "customer service",
    "e-mail",
    "telephone",
    "phone",
    "sms",
    "whatsapp",
    "social media",
    "back office",
    "front office",
    "helpdesk",
    "klantenservice",
    "klantcontactcentrum",
    "telefoon",
    "afdeling",
    "department",
)


def is_first_person(text: str, language: str) -> bool | None:
    """Whether the words are a customer's own ("I look around", "mijn rekening"); None for a language we do not know."""
    words = _FIRST_PERSON.get(re.split(r"[-_]", language.lower())[0])
    return None if words is None else bool(words & set(re.findall(r"[^\W_]+", text.casefold())))


def folded(name: str) -> str:
    """The name without what does not matter: case, accents, articles, signs, plural s, British or American spelling."""
    bare = "".join(sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign))
    words = [word for word in re.findall(r"[^\W_]+", bare.casefold()) if word not in _ARTICLES]
    plain = [re.sub(r"tre$", "ter", word[:-1] if len(word) > 3 and word.endswith("s") else word) for word in words]
    return "".join(plain)


NEVER_A_PHASE = {folded(name): name for name in _NEVER_A_PHASE}
"""Folded names that no phase may have, with the names as written."""

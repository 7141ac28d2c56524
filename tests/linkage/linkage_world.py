"""A small customer administration, made by hand and by dice: strangers, and people who stand in it twice."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa

from klantspoor.linkage import KINDS

# fmt: off
FIRST = [
    "Anna", "Bart", "Carla", "Daan", "Emma", "Frits", "Greta", "Hugo", "Ilse", "Joris", "Karin", "Lars",
    "Mieke", "Niels", "Olga", "Peter", "Quinten", "Roos", "Sander", "Thea", "Ursula", "Victor", "Wendy",
    "Xander", "Yvonne", "Zeger", "Marijke", "Gerrit", "Fatima", "Mohammed", "Sanne", "Kees", "Willemijn",
    "Pieternel", "Bram", "Noor",
]
LAST = [
    "Jansen", "de Vries", "van Dijk", "Bakker", "Visser", "Smit", "Meijer", "de Boer", "Mulder", "de Groot",
    "Bos", "Vos", "Peters", "Hendriks", "van Leeuwen", "Dekker", "Brouwer", "de Wit", "Dijkstra", "Smits",
    "de Graaf", "van der Meer", "Kok", "Jacobs", "van Vliet", "Hermans", "van den Heuvel", "Willems",
    "Schouten", "Hoekstra", "Verhoeven", "Kuipers", "Post", "Molenaar", "Yilmaz", "El Amrani", "Koopman",
    "Prins", "Huisman", "Timmermans", "Wiersma", "Nijland",
]
# fmt: on
STREETS = [
    "Dorpsstraat",
    "Kerkweg",
    "Molenlaan",
    "Stationsplein",
    "Beukenhof",
    "Parallelweg",
    "Havenkade",
    "Schoolstraat",
]
CITIES = ["Utrecht", "Zwolle", "Breda", "Assen", "Delft", "Goes"]


def stranger(dice: random.Random) -> dict[str, Any]:
    """A person like no other, but for chance."""
    first, last = dice.choice(FIRST), dice.choice(LAST)
    return {
        "first_name": first,
        "last_name": last,
        "birth_date": f"{dice.randint(1935, 2004)}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}",
        "street": dice.choice(STREETS),
        "house_number": str(dice.randint(1, 180)),
        "postcode": f"{dice.randint(1000, 9999)} {dice.choice('ABCDEFGH')}{dice.choice('KLMNPRST')}",
        "city": dice.choice(CITIES),
        "email": f"{first}.{last.replace(' ', '')}{dice.randint(1, 999)}@example.org".lower(),
        "phone": f"06-{dice.randint(10_000_000, 99_999_999)}",
    }


def table(people: list[dict[str, Any]]) -> pa.Table:
    """Records of people; who has no `record` gets the next number, and a field nobody has is left out."""
    rows = [{"record": f"{number:06d}"} | person for number, person in enumerate(people)]
    kinds = [kind for kind in KINDS if any(kind in row for row in rows)]
    columns: dict[str, Any] = {
        name: pa.array([row.get(name) for row in rows], pa.string()) for name in ("record", *kinds)
    }
    return pa.table(columns | {"sequence": pa.array(range(len(rows)), pa.int64())})


def strangers(number: int, seed: int = 7) -> list[dict[str, Any]]:
    """Strangers, of whom no two share both names and the birth date."""
    dice = random.Random(seed)
    return [stranger(dice) for _ in range(number)]

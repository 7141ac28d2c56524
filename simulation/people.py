"""Who lives in the simulated world: households, persons, their accounts, telephones and devices.

Belongs here: what is true of people before anything happens to them, and how their particulars are written down. What
they do belongs to `plan.py` and `journeys/`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from random import Random

from simulation.clock import DAY

FIRST_NAMES = (  # noqa: SIM905
    "Anna René Daniëlle Jürgen Zoë Chloé Sanne Daan Emma Bram Fatima Mohammed Loïs Noël Lieke Thijs Eva Sem Julia "
    "Lucas Mila Finn Sara Milan Tess Jesse Nora Luuk Aïsha Björn Céline André"
).split()
LAST_NAMES = (  # noqa: SIM905
    "Jansen Bakker Visser Smit Müller Lefèbvre Mulder Bos Vos Peters Hendriks Dekker Brouwer Dijkstra Koëter Daniëls "
    "Kuipers Prins Schönfeld Blom Postma Willems Özdemir Haïdar Groot Geërts Kok Beaupré Jacobs Maas"
).split()
COMPANIES = ("Bakkerij", "Fietsen", "Studio", "Advies", "Bouw", "Café", "Crèche", "Kapper")
TEST_EMAILS = ("test@test.nl", "test@voorbeeldenergie.nl")
BLOCKED_CUSTOMER = "000000000"
_ASCII = str.maketrans("éëüèïöçâÖ", "eeueiocaO")


@dataclass(slots=True)
class Account:
    """A role of a person with the supplier: one customer number, one contract."""

    customer: str
    contract: str
    segment: str
    email: str
    email_raw: str
    phone: str
    phone_raw: str
    business: bool
    active_from: int | None = None


@dataclass(slots=True)
class Person:
    """Somebody, with the means by which they can be recognised."""

    index: int
    household: int
    first_name: str
    last_name: str
    login: str
    phone: str
    other_phone: str
    devices: list[int]
    tablet: int = -1
    shares_phone: bool = False
    prospect: bool = False
    mystery: bool = False
    accounts: list[Account] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The name of this person in the truth."""
        return f"P{self.index:06d}"


@dataclass(slots=True)
class People:
    """Everybody, and the households that share a telephone or a tablet."""

    persons: list[Person]
    households: list[list[Person]]
    phone_households: int = 0
    tablet_households: int = 0


def _code(text: str, length: int = 12) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()[:length]


def cookie(seed: int, device: int, t: int) -> str:
    """The anonymous id a browser holds at t: cookies last about four months, then the device gets a new one."""
    lifetime = (90 + device * 7919 % 80) * DAY
    code = _code(f"{seed}/{device}/{(t + device * 104729) // lifetime}", 32)
    return f"{code[:8]}-{code[8:12]}-{code[12:16]}-{code[16:20]}-{code[20:]}"


def _raw_phone(rng: Random, phone: str) -> str:
    """How somebody typed that number into a form or the CRM."""
    tail = phone[3:]
    forms = (phone, f"0{tail}", f"0{tail[0]}-{tail[1:]}", f"0031{tail}", f"0{tail[0]} {tail[1:5]} {tail[5:]}")
    return rng.choice(forms)


def _raw_email(rng: Random, email: str) -> str:
    return email.title() if rng.random() < 0.08 else email


class _Maker:
    """Makes persons with numbers that are unique."""

    def __init__(self, seed: int, rng: Random) -> None:
        self.seed = seed
        self.rng = rng
        self.accounts = 0
        self.devices = 0
        self.phones = 0

    def new_phone(self) -> str:
        """A Dutch mobile number in E.164 that nobody else has."""
        self.phones += 1
        return f"+316{(self.phones * 7368787 + self.seed * 13) % 90_000_000 + 10_000_000:08d}"

    def new_device(self) -> int:
        """The next device number."""
        self.devices += 1
        return self.devices

    def account(self, person: Person, *, business: bool, segment: str) -> Account:
        """An account of that person; a business account has its own customer number, often its own e-mail."""
        rng = self.rng
        self.accounts += 1
        serial = (self.accounts * 48271 + self.seed * 97) % 89_999_989
        name = f"{person.first_name}.{person.last_name}".lower().translate(_ASCII)
        email = f"{name}{person.index}@{rng.choice(('voorbeeldmail.nl', 'postvak.example', 'thuis.example'))}"
        if business and rng.random() < 0.4:
            email = f"info@{rng.choice(COMPANIES).lower().translate(_ASCII)}-{person.index}.example"
        if rng.random() < 0.004:
            email = rng.choice(TEST_EMAILS)
        if person.mystery and rng.random() < 0.5:
            email = f"mystery{person.index}@onderzoeksbureau.example"
        raw_email, raw_phone = _raw_email(rng, email), _raw_phone(rng, person.phone)
        return Account(
            f"1{serial:08d}", f"C-7{serial:08d}", segment, email, raw_email, person.phone, raw_phone, business
        )

    def person(self, index: int, household: int) -> Person:
        """One person, still without an account."""
        rng = self.rng
        devices = [self.new_device() for _ in range(1 if rng.random() < 0.45 else 2)]
        login = "mv-" + _code(f"{self.seed}/login/{index}")
        return Person(
            index=index,
            household=household,
            first_name=rng.choice(FIRST_NAMES),
            last_name=rng.choice(LAST_NAMES),
            login=login,
            phone=self.new_phone(),
            other_phone=self.new_phone(),
            devices=devices,
        )


def _segment(person: Person, size: int) -> str:
    if person.mystery:
        return "mysteryguest"
    return "single" if size == 1 else "stel" if size == 2 else "gezin"


def _share(rng: Random, people: People, members: list[Person], maker: _Maker) -> None:
    """Let a household share its telephone (all who live there register the same number) or its tablet."""
    if rng.random() < 0.44:
        people.phone_households += 1
        for member in members:
            member.phone = members[0].phone
            member.shares_phone = True
    if rng.random() < 0.25:
        people.tablet_households += 1
        tablet = maker.new_device()
        for member in members:
            member.tablet = tablet


def make_people(customers: int, seed: int, start: int) -> People:
    """Everybody who lives in the world: `customers` persons, about one in six not yet a customer."""
    rng = Random(f"people/{seed}")
    maker = _Maker(seed, rng)
    people = People([], [])
    guests = max(3, customers // 200)
    step = max(1, customers // guests)
    while len(people.persons) < customers:
        size = min(rng.choices((1, 2, 3, 4), (0.38, 0.42, 0.12, 0.08))[0], customers - len(people.persons))
        first = len(people.persons)
        members = [maker.person(first + n, len(people.households)) for n in range(size)]
        people.households.append(members)
        people.persons.extend(members)
        if size > 1:
            _share(rng, people, members, maker)
        for member in members:
            member.mystery = member.index % step == step // 2
            member.prospect = rng.random() < 0.14
            member.accounts.append(maker.account(member, business=False, segment=_segment(member, size)))
            if not member.prospect:
                member.accounts[0].active_from = start
            if rng.random() < 0.09 and not member.prospect:
                segment = "mysteryguest" if member.mystery else "ondernemer"
                member.accounts.append(maker.account(member, business=True, segment=segment))
                member.accounts[1].active_from = start
    _check(people)
    return people


def _check(people: People) -> None:
    numbers = [account.customer for person in people.persons for account in person.accounts]
    if len(numbers) != len(set(numbers)):
        raise ValueError("customer numbers must be unique")

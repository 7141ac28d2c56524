"""The telling of one journey: contacts, waits with their true turn, work behind the scenes.

Belongs here: the moves every journey is made of (visit, call, message, work, wait). Which moves a type of journey makes
belongs to `journeys/`. The story keeps one cursor, `t`; waits lie between contacts, so they cannot overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from simulation import voice, web_device
from simulation.clock import BACK_OFFICE, CALL_CENTRE, DAY, HOUR, OUTAGE_DESK, Hours
from simulation.log import CallRow, CrmRow, JourneyRow, WaitRow, WebRow, World
from simulation.people import Account, Person
from simulation.vocabulary import CASE_PREFIX, CASE_TYPE, CRM, CUSTOMER, NOBODY, ORGANISATION, PARTNER

UNLOGGED_INTERNAL = 0.07
UNLOGGED_VISIBLE = 0.015


class PeriodOverError(Exception):
    """The story reached the end of the simulated period."""


class Step(NamedTuple):
    """A step behind the scenes: time in a queue, then work. Status "" is the partner's part."""

    status: str
    team: str
    queue_hours: float
    work_minutes: float = 0.0


def partner(days: float) -> Step:
    """The grid operator does its part, in about that many days."""
    return Step("", "Netbeheer", days * 24)


class Story:
    """One journey being lived and noted down."""

    def __init__(self, world: World, person: Person, account: Account, *, kind: str, key: str, t: int) -> None:
        self.world = world
        self.rng = world.rng
        self.person = person
        self.account = account
        self.kind = kind
        self.key = key
        self.t = t
        self.phase = ""
        self.case = ""
        self.origin = "web"
        self.need = 0
        self.outcome = "completed"
        self.known = account.active_from is not None and account.active_from <= t
        self.hours: Hours = BACK_OFFICE
        self.patience_days = 7.0
        self.started = 0
        self.last = 0
        self.org_seconds = 0
        self.chases = 0
        self.grief = 0.0  # what went wrong, as the customer feels it
        self._turn = ""
        self._stretches: list[tuple[int, int, str]] = []
        self._device = web_device.choose(world, person)

    # ---- time

    def wait(self, turn: str, seconds: float) -> None:
        """Let time pass; `turn` is who really had to act."""
        self._elapse_to(self.t + max(1, int(seconds)), turn)

    def think(self, days: float, turn: str = NOBODY) -> None:
        """The customer gets on with life for about that many days."""
        self.wait(turn, self.rng.expovariate(1 / days) * DAY + HOUR)

    def _open(self, t: int, hours: Hours) -> int:
        """When it can be done: at once when open, else some time into the next morning."""
        start = self.world.clock.next_open(t, hours)
        return start if start == t else start + int(self.rng.uniform(60, 3 * HOUR))

    def _elapse_to(self, until: int, turn: str) -> None:
        if until <= self.t:
            return
        self._turn = turn
        stop = min(until, self.world.clock.end)
        if self.started and stop > self.t:
            if self._stretches and self._stretches[-1][1] == self.t and self._stretches[-1][2] == turn:
                self._stretches[-1] = (self._stretches[-1][0], stop, turn)
            else:
                self._stretches.append((self.t, stop, turn))
            if turn == ORGANISATION:
                self.org_seconds += stop - self.t
        self.t = until
        if until >= self.world.clock.end:
            raise PeriodOverError

    def _touch(self, t: int) -> None:
        self.started = self.started or t
        self.last = max(self.last, t)

    # ---- contacts

    def visit(self, *names: str, login: bool = False, since: int = 0, campaign: str = "") -> None:
        """A visit to the website: page after page, logging in before the first page that needs it."""
        self._elapse_to(self.world.clock.next_waking(self.t), self._turn or NOBODY)
        self.browse(*names, login=login, since=since, campaign=campaign)

    def browse(self, *names: str, login: bool = False, since: int = 0, campaign: str = "") -> None:
        """The same, at whatever hour it is."""
        rng, world = self.rng, self.world
        if rng.random() < 0.25:
            self._device = web_device.choose(world, self.person)
        cookie = web_device.cookie_of(world, self.person, self._device, self.t)
        pages = ["Logged In", *names] if login else list(names)
        user = ""
        for name in pages:
            user = self.person.login if login or name == "Account Created" else user
            account = self.account if user and rng.random() < 0.8 else None
            case = self.case if user and self.case and rng.random() < 0.85 else ""
            moment = self.t * 1000 + rng.randrange(1000)
            world.log.web.append(
                WebRow(moment, self.person, self.key, self.phase, name, cookie, user, account, case, campaign, since)
            )
            self._touch(self.t)
            campaign = ""
            self.t += 4 + int(rng.expovariate(1 / 55))
        self.t = self.last + 1

    def call(self, reason: str, *, minutes: float = 7, outbound: bool = False, since: int = 0) -> None:
        """A telephone call, in opening hours; now and then the caller first gives up in the queue."""
        hours = OUTAGE_DESK if reason in ("storing melden", "storing niet opgelost", "storing status") else CALL_CENTRE
        self._elapse_to(self._open(self.t, hours), self._turn or NOBODY)
        if not outbound and self.rng.random() < 0.06:
            self._ring("", self.rng.uniform(1, 5), outbound=False, agent=0, since=0)
            self.grief += 0.06
            self.wait(self._turn or ORGANISATION, self.rng.uniform(0.1, 1.5) * HOUR)
            self._elapse_to(self._open(self.t, hours), self._turn)
        self._ring(reason, minutes * self.rng.uniform(0.4, 2), outbound=outbound, agent=-1, since=since)
        voice.after_call(self, len(self.world.log.calls) - 1)

    def _ring(self, reason: str, minutes: float, *, outbound: bool, agent: int, since: int) -> None:
        rng, world = self.rng, self.world
        identified = self.known and agent != 0 and (outbound or rng.random() < 0.72)
        case = self.case if identified and self.case and (outbound or rng.random() < 0.6) else ""
        noted = "" if rng.random() < 0.07 else "overig" if rng.random() < 0.04 else reason
        phone = self.account.phone if outbound else web_device.calling_from(world, self.person)
        row = CallRow(
            t=self.t,
            t_end=self.t + max(20, int(minutes * 60)),
            person=self.person,
            journey=self.key,
            phase=self.phase,
            queue="Storingslijn" if self.kind == "outage" else "Klantenservice",
            reason=noted,
            account=self.account if identified else None,
            case=case,
            phone=phone,
            agent=agent if agent == 0 else rng.randint(1, 60),
            outbound=outbound,
            since=since if rng.random() < 0.6 else 0,
        )
        world.log.calls.append(row)
        self._touch(self.t)
        self._touch(row.t_end)
        self.t = row.t_end

    def message(self, status: str, team: str = "Klantenservice", amount: int = 0) -> None:
        """Something we send that the customer sees; the CRM forgets a few of them."""
        if self.rng.random() >= UNLOGGED_VISIBLE:
            self._note(status, team, self.t, 0, amount)
        self._touch(self.t)
        self.t += 1

    # ---- behind the scenes

    def open_case(self, status: str, origin: str) -> None:
        """The CRM opens a case for this journey, straight after the contact that asked for it."""
        if not self.case:
            self.case = self.world.new_case(CASE_PREFIX[self.kind])
        self.origin = origin
        self.wait(ORGANISATION, self.rng.uniform(5, 90))
        self._note(status, "Systeem", self.t, 0, 0)

    def internal(self, status: str, team: str, *, at: int = 0, end: int = 0) -> None:
        """A step the customer cannot see; some are never written down."""
        if self.rng.random() >= UNLOGGED_INTERNAL:
            self._note(status, team, at or self.t, end, 0)

    def _note(self, status: str, team: str, t: int, t_end: int, amount: int) -> None:
        internal = not CRM[status].visible
        self.world.log.crm.append(
            CrmRow(
                t,
                t_end,
                self.person,
                self.key,
                None if internal else self.phase,
                internal,
                self.case,
                CASE_TYPE[self.kind],
                self.account,
                status,
                team,
                amount,
                self.origin,
            )
        )

    def work(self, *steps: Step, chase: str = "") -> None:
        """We (or the partner) work on it, step by step; a customer who runs out of patience calls meanwhile."""
        rng, t = self.rng, self.t
        segments: list[tuple[int, str]] = []
        for step in steps:
            if not step.status:
                start = self._open(t + int(rng.expovariate(1 / 3) * HOUR), self.hours)
                t = start + int((0.2 + rng.gammavariate(2, 0.4)) * step.queue_hours * HOUR)
                self.internal("Uitgezet bij netbeheerder", step.team, at=start)
                self.internal("Retour van netbeheerder", step.team, at=t)
                segments += [(start, ORGANISATION), (t, PARTNER)]
                continue
            start = self._open(t + int(rng.expovariate(1 / max(step.queue_hours, 0.02)) * HOUR), self.hours)
            t = start + int(step.work_minutes * 60 * rng.uniform(0.5, 1.6))
            logged_end = t if step.work_minutes and rng.random() < 0.75 else 0
            self.internal(step.status, step.team, at=start, end=logged_end)
            segments.append((max(t, start + 1), ORGANISATION))
        self._pass(segments, self._chases(t) if chase else [], chase)

    def _chases(self, until: int) -> list[int]:
        """When the customer, left waiting, picks up the phone."""
        moments, t = [], self.t
        for _ in range(3):
            t += int((0.4 * self.patience_days + self.rng.expovariate(1 / self.patience_days)) * DAY)
            t = self._open(self.world.clock.next_waking(t), CALL_CENTRE)
            if t >= until:
                break
            moments.append(t)
        return moments

    def _pass(self, segments: Sequence[tuple[int, str]], chases: Sequence[int], reason: str) -> None:
        """Live through the segments, with the chasing calls at their moments."""
        waiting = list(chases)
        for until, turn in segments:
            while waiting and waiting[0] < until:
                moment = waiting.pop(0)
                if moment <= self.t:
                    continue
                self._elapse_to(moment, turn)
                self.chases += 1
                self.call(reason, minutes=5)
            self._elapse_to(until, turn)

    def ask_customer(self, status: str, reply: str, reply_call: str, days: float) -> None:
        """We ask the customer for something; they reply on the web, by phone, or by post (which nobody logs)."""
        self.grief += 0.05
        self.message(status)
        self.think(days, CUSTOMER)
        way = self.rng.random()
        if way < 0.6:
            self.visit("Dashboard Viewed", reply, login=True)
        elif way < 0.9:
            self.call(reply_call, minutes=5)
        self.work(Step("Gegevens ontvangen", "Klantenservice", 3))

    # ---- the end

    def finish(self, cycle: int, *, open_: bool) -> JourneyRow | None:
        """Write down how it went, unless nothing of it fell inside the period."""
        if not self.started:
            return None
        log, end = self.world.log, self.world.clock.end
        log.waits.extend(WaitRow(self.key, a, b, turn) for a, b, turn in self._trimmed(open_))
        row = JourneyRow(
            journey=self.key,
            person=self.person,
            kind=self.kind,
            account=self.account,
            need=self.need,
            started=self.started,
            ended=0 if open_ else min(self.last, end),
            outcome="open" if open_ else self.outcome,
            cycle=cycle,
        )
        log.journeys.append(row)
        return row

    def _trimmed(self, open_: bool) -> list[tuple[int, int, str]]:
        """The stretches that lie between contacts: what follows the last contact of an ended journey does not."""
        return [s for s in self._stretches if open_ or s[0] < self.last]

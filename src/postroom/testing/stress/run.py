"""A run: clients at random until the time is over, then everything must agree with what a fresh client sees.

On failure: Failed, which names the seed and the folder with the steps and the last words of each client.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from postroom.testing.stress.actions import NAMES, Actions
from postroom.testing.stress.belief import Belief
from postroom.testing.stress.client import Client, Manner, Server, Step
from postroom.testing.stress.ledger import Box, Known, Ledger, Lie
from postroom.testing.stress.record import Done, Record, again
from postroom.testing.stress.talk import Closed

#: seconds in which the news of the end must have arrived
SETTLE = 10.0


class Failed(AssertionError):
    """Something was not as it must be."""


@dataclass(frozen=True, slots=True)
class Person:
    """A login of the server under test."""

    login: str
    password: str


@dataclass(slots=True)
class Plan:
    """What to do. people: the first owns the mailboxes, which it shares with the others."""

    server: Server
    people: Sequence[Person]
    seed: int
    seconds: float = 8.0
    clients: int = 8
    reports: Path = Path()
    leaky: frozenset[str] = field(default_factory=frozenset)  # names whose messages others take away


@dataclass(frozen=True, slots=True)
class Outcome:
    """How much was done."""

    steps: int
    facts: int
    messages: int


class Run:
    """One run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ledger = Ledger(plan.leaky)
        self.record = Record()
        self.manners = _manners(plan)
        self.clients = [Client(n, plan.server, manner, self.ledger) for n, manner in enumerate(self.manners)]

    async def play(self) -> Outcome:
        """Random steps until the time is over. Raises Failed."""
        sort = await self._prepare()
        end = asyncio.get_running_loop().time() + self.plan.seconds
        try:
            await self._guarded([self._work(client, end, sort=sort) for client in self.clients])
            return await self._finish()
        finally:
            await self._hang_up()

    async def replay(self, steps: list[Done]) -> Outcome:
        """The steps of another run. Raises Failed."""
        await self._prepare()

        async def perform(number: int, step: Step) -> None:
            try:
                await self._perform(self.clients[number], step)
            except Closed:
                if step.kind != "cut":
                    raise

        try:
            await self._guarded([again(steps, perform)])
            return await self._finish()
        finally:
            await self._hang_up()

    async def _hang_up(self) -> None:
        for client in self.clients:
            client.close()
        await asyncio.sleep(0)

    async def _guarded(self, works: Sequence[object]) -> None:
        tasks = [asyncio.ensure_future(work) for work in works]  # type: ignore[call-overload]
        try:
            await asyncio.gather(*tasks)
        except BaseException as fault:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise self._failed(fault) from fault

    def _failed(self, fault: BaseException) -> Failed:
        folder = self.plan.reports / f"stress-{self.plan.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        self.record.write(folder / "steps.jsonl", self.manners)
        for client in self.clients:
            (folder / f"client-{client.number}.log").write_text("\n".join(client.log), encoding="utf-8")
        return Failed(f"seed {self.plan.seed}: {fault!r}; steps and dialogs are in {folder}")

    # --- before

    async def _prepare(self) -> bool:
        """Make and share the mailboxes; whether the server sorts."""
        owner = self._plain(self.plan.people[0])
        await owner.perform(Step("open"))
        _, told = await owner.say(b"CAPABILITY")
        for name in NAMES[: len(NAMES) - 1]:  # one name is free, so that a RENAME can begin
            await owner.say(f'CREATE "{name}"'.encode())
            for person in self.plan.people[1:]:
                await owner.say(f'SETACL "{name}" {person.login} lrswipkxte'.encode())
        for person in self.plan.people[1:]:
            await owner.say(f"SETACL INBOX {person.login} lrswipte".encode())
        await self._samples(owner)
        owner.talk.cut()
        return b"SORT" in told[0].split()

    async def _samples(self, owner: Client) -> None:
        """The messages that are there already."""
        await owner.perform(Step("select", b"SELECT INBOX", {"name": "INBOX"}))
        await owner.perform(Step("fetch", b"UID FETCH 1:* BODY.PEEK[]"))
        for known in self.ledger.boxes.values():
            self.ledger.digests.update(fact.digest for fact in known.facts.values())
            known.present.update(known.facts)

    def _plain(self, person: Person) -> Client:
        return Client(-1, self.plan.server, Manner(login=person.login, password=person.password), self.ledger)

    def _boxes(self, login: str) -> list[str]:
        """The mailboxes, as this login calls them."""
        owner = self.plan.people[0].login
        names = [*NAMES, "INBOX"]
        return names if login == owner else [f"Users/{owner}/{name}" for name in names]

    # --- during

    async def _work(self, client: Client, end: float, *, sort: bool) -> None:
        actions = Actions(client, self.plan.seed + client.number, self._boxes(client.manner.login), sort=sort)
        await self._perform(client, Step("open"))
        while asyncio.get_running_loop().time() < end:
            step = actions.next()
            await self._perform(client, step)
            if step.kind == "cut":
                await self._perform(client, Step("open", note={"back": True}))

    async def _perform(self, client: Client, step: Step) -> None:
        done = self.record.begin(client.number, step)
        try:
            await client.perform(step)
        except Closed as fault:
            raise Lie(f"the server has closed the connection of client {client.number}: {fault}") from fault
        except (Lie, ValueError, KeyError, IndexError) as fault:
            raise Lie(f"client {client.number}, {step.kind} {step.text[:100]!r}: {fault!r}") from fault
        finally:
            self.record.end(done)

    # --- after

    async def _finish(self) -> Outcome:
        try:
            truths = {person.login: await self._truth(person) for person in self.plan.people}
            for client in self.clients:
                await self._agrees(client, truths[client.manner.login])
            total = 0
            for box, belief in truths[self.plan.people[0].login].items():
                known = self.ledger.box(box)
                if not known.leaky:
                    self.ledger.at_the_end(box, set(belief.uids))
                self._from_somewhere(known, belief)
                total += len(belief.uids)
        except BaseException as fault:
            raise self._failed(fault) from fault
        return Outcome(sum(client.steps for client in self.clients), self.ledger.facts, total)

    def _from_somewhere(self, known: Known, belief: Belief) -> None:
        """No message is there that nobody made."""
        for uid in belief.uids:
            fact = known.facts[uid]
            if not self.plan.leaky and fact.digest not in self.ledger.digests | self.ledger.maybe:
                raise Lie(f"UID {uid} of {belief.box} is nobody's message: {fact}")

    async def _truth(self, person: Person) -> dict[Box, Belief]:
        """What a client sees that comes now, once two looks in a row are the same."""
        found: dict[Box, Belief] = {}
        for name in self._boxes(person.login):
            before = None
            while True:
                client = self._plain(person)
                await client.perform(Step("open"))
                await client.perform(Step("select", f'SELECT "{name}"'.encode(), {"name": name}))
                if client.belief is None:
                    break
                await client.perform(Step("fetch", b"UID FETCH 1:* (FLAGS BODY.PEEK[] RFC822.SIZE MODSEQ)"))
                now = (tuple(client.belief.uids), client.belief.flags)
                client.talk.cut()
                if now == before:
                    found[client.belief.box] = client.belief
                    break
                before = now
                await asyncio.sleep(0.2)
        return found

    async def _agrees(self, client: Client, truths: dict[Box, Belief]) -> None:
        """A client that was told everything believes what is true."""
        belief = client.belief
        if belief is not None:
            await client.say(b"NOOP")
            if belief.missing:
                by_uid = belief.uidonly or client.watched
                await client.say(b"UID FETCH 1:* (UID FLAGS)" if by_uid else b"FETCH 1:* (UID FLAGS)")
            truth = truths[belief.box]
            if belief.uids != truth.uids or belief.flags != truth.flags:
                raise Lie(f"client {client.number} believes {_difference(belief, truth)}")
        if client.watched:
            await self._was_told(client, truths)

    async def _was_told(self, client: Client, truths: dict[Box, Belief]) -> None:
        """NOTIFY has told of every mailbox that is not selected, too."""
        if client.belief is not None:
            await client.leave()
        told = dict(client.told)
        deadline = asyncio.get_running_loop().time() + SETTLE
        while True:
            wrong = self._untold(client, truths)
            if not wrong:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise Lie(f"client {client.number} was not told: {wrong}; it was told {told}")
            if await client.talk.more(0.2):
                client.hear(await client.talk.read(), expunge_ok=True)

    def _untold(self, client: Client, truths: dict[Box, Belief]) -> list[str]:
        by_validity = {(client.owner(name), found.get(b"UIDVALIDITY", 0)): name for name, found in client.told.items()}
        wrong = []
        for box, truth in truths.items():
            found = client.told.get(by_validity.get(box, ""), {})
            if found.get(b"MESSAGES") != len(truth.uids):
                wrong.append(f"{box} has {len(truth.uids)} messages, told was {found}")
        return wrong


def _difference(belief: Belief, truth: Belief) -> str:
    flags = {
        uid: (sorted(belief.flags.get(uid, ())), sorted(truth.flags[uid]))
        for uid in truth.uids
        if belief.flags.get(uid) != truth.flags[uid]
    }
    gone = [uid for uid in belief.uids if uid not in truth.uids]
    new = [uid for uid in truth.uids if uid not in belief.uids]
    return f"of {belief.box}: not there {gone}, not known {new}, flags {dict(list(flags.items())[:20])}"


def _manners(plan: Plan) -> list[Manner]:
    """Every kind of client, and the rest at random."""
    choice = random.Random(plan.seed)  # noqa: S311 - steps, not secrets
    manners = []
    for number in range(plan.clients):
        person = plan.people[number % len(plan.people) if number % 3 == 2 else 0]
        manners.append(
            Manner(
                login=person.login,
                password=person.password,
                compress=choice.random() < 0.3,
                qresync=number % 3 == 1 or choice.random() < 0.2,
                uidonly=number % 5 == 3,
                watching=number % 4 == 2,
            )
        )
    return manners

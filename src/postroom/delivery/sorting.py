"""Delivery by the account's active script: what it wants is done, once, or the message is kept.

The script runs first and decides everything; then what leaves is accepted by the queue; then everything that is filed
is one commit of the account, together with the mark that the message was delivered.
Owns: compiled programs, and an order of turns for accounts whose scripts remember. Trusts: nothing of scripts and
messages: a run is bounded, a long one goes to a thread, and any error keeps the message and tells the user once.
Standards: RFC 5228 2.10, RFC 5232, RFC 5490 3.2, RFC 8580, RFC 9042, RFC 8579.
On failure: StoreError and Refusal pass through, the delivery is tried again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final
from weakref import WeakValueDictionary

from postroom.delivery.account_world import world_of
from postroom.delivery.outgoing import Arrived, Means, Outgoing
from postroom.delivery.programs import Compiled, Programs
from postroom.delivery.work import Placement, Work
from postroom.mailbox.service import Account
from postroom.message.fields import field_values
from postroom.queue.outcome import Kind, Outcome
from postroom.sieve.actions import Discard, Keep, Notify, Redirect, Remember, Result, Vacation
from postroom.sieve.compiler import Program
from postroom.sieve.describe import describe
from postroom.sieve.interpreter import run_program
from postroom.sieve.mail import Mail
from postroom.sieve.run import Limits
from postroom.sieve.world import Environment, World
from postroom.store.api import Recipient

_SPAM: Final = frozenset(("spamtest", "spamtestplus"))
#: as intake.filtering writes it
_SCORE: Final = re.compile(rb"score=(-?\d{1,6}(?:\.\d{1,3})?)\s+required=(\d{1,6}(?:\.\d{1,3})?)")
#: the words of filter.scanners; what could not be looked at as a whole counts as not looked at
_VIRUS: Final = {b"clean": 1, b"suspicious": 4, b"encrypted": 4, b"infected": 5}
_WORD: Final = re.compile(rb"\s*([A-Za-z]+)")
_REMEMBERING: Final = frozenset(("vacation", "duplicate"))
_MOST_TOLD: Final = 12


#: what does nothing to the message itself
_BESIDE: Final = (Discard, Notify, Remember, Vacation)
#: what most scripts say of most mail: nothing
_PLAIN: Final = (Keep(implicit=True),)


class Sorter:
    """One per worker. zone: seconds east of Greenwich at a time; items: of the environment test."""

    def __init__(self, means: Means, limits: Limits, zone: Callable[[float], int], items: dict[str, str]) -> None:
        self.outgoing = Outgoing(means)
        self.programs = Programs(limits, means.directory)
        self._zone = zone
        self.items = items
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def sort(self, account: Account, mail: Arrived, placement: Placement) -> Outcome | None:
        """Do as the account's script says; None when it has none, or says nothing. Raises StoreError, Refusal."""
        compiled = await self.programs.of(account)
        if compiled is None:
            return None
        if compiled.program is None or _REMEMBERING.isdisjoint(compiled.program.uses):
            return await self._sorted(account, mail, placement, compiled)
        turn = self._turns.setdefault(account.store.id, asyncio.Lock())
        async with turn:  # two messages of one sender at once must not both be answered
            return await self._sorted(account, mail, placement, compiled)

    async def _sorted(
        self, account: Account, mail: Arrived, placement: Placement, compiled: Compiled
    ) -> Outcome | None:
        result = await self.run(account, mail, placement, compiled)
        if result.actions == _PLAIN and not result.error:
            return None  # as if there were no script
        work = Work(self.outgoing, account, mail, placement)
        work.alone = [type(each) for each in result.actions if not isinstance(each, _BESIDE)] == [Redirect]
        for action in result.actions:
            await work.do(action)
        error = result.error or work.error
        if error:
            await work.explain(compiled.name, compiled.serial, error, result.line)
        filed = await work.file()
        self.outgoing.means.event(
            "message.sorted",
            queue_id=mail.entry.id,
            recipient=mail.recipient.address,
            script=compiled.name,
            actions=[describe(each)[:200] for each in result.actions[:_MOST_TOLD]],
            reason=error,
        )
        return _outcome(mail.recipient, result, work, filed)

    async def run(self, account: Account, mail: Arrived, placement: Placement, compiled: Compiled) -> Result:
        """What the script wants; nothing is done. Raises StoreError."""
        if compiled.program is None:
            return Result(actions=(Keep(implicit=True),), error=f"it cannot be run: {compiled.fault}")
        now, zone = self.moment()
        world = await world_of(account.store, compiled.program.asks, now)
        spam, virus = self.scores(mail, compiled.program)
        environment = Environment(
            sender=mail.entry.sender,
            recipient=mail.recipient.address,
            now=now,
            zone=zone,
            items={**self.items, "remote-ip": mail.entry.peer, **_domain(mail)},
            separators=placement.separators,
            name=placement.name,
            spam=spam,
            virus=virus,
        )
        return await self.executed(compiled.program, mail, placement.index.parts, environment, world)

    def scores(self, mail: Arrived, program: Program) -> tuple[float | None, int]:
        """What our filter said of spam and viruses (Environment), for scripts that ask."""
        uses = program.uses
        spam = None if _SPAM.isdisjoint(uses) else spam_of(mail.content.read(0, mail.header))
        return spam, virus_of(mail.content.read(0, mail.header)) if "virustest" in uses else 0

    async def executed(
        self, program: Program, mail: Arrived, parts: bytes, environment: Environment, world: World
    ) -> Result:
        """What a program wants: on the loop while that takes some milliseconds, then in a thread."""
        content, limits = mail.content, self.programs.limits

        def run(limits: Limits, clock: Callable[[], float] | None) -> Result:
            looked_at = Mail(content.read, content.size, header=mail.header, parts=parts)
            return run_program(program, looked_at, environment, world, limits, clock)

        result = run(self.programs.quick, None)
        if result.out_of_budget and limits.steps > self.programs.quick.steps:
            result = await asyncio.to_thread(run, limits, self.outgoing.means.clock.monotonic)
        return result

    def moment(self) -> tuple[float, int]:
        """Now, and the zone of users: seconds east of Greenwich."""
        now = self.outgoing.means.clock.now()
        return now, self._zone(now)


def spam_of(header: bytes) -> float | None:
    """How certain our own filter is, in percent: 50 at its threshold, 100 at twice that; None when it has not looked.

    Its fields stand above those that the message came with: behind one Received field at most, which is ours.
    """
    values = field_values(_ours(header), b"x-spam-status")
    found = _SCORE.search(values[0]) if values else None
    if found is None or not float(found[2]):
        return None
    return min(max(float(found[1]) / float(found[2]) * 50.0, 0.0), 100.0)


def virus_of(header: bytes) -> int:
    """RFC 5235 3.3: 0 nobody looked, 1 nothing was found, 4 perhaps a virus, 5 surely one."""
    values = field_values(_ours(header), b"x-virus-status")
    word = _WORD.match(values[0]) if values else None
    return _VIRUS.get(word[1].lower(), 0) if word is not None else 0


def _ours(header: bytes) -> bytes:
    """The fields above all but our own Received field: nobody else can have written them."""
    ours = b"\n" + header.lower()
    second = ours.find(b"\nreceived:", ours.find(b"\nreceived:") + 1)
    return header if second < 0 else header[:second]


def _domain(mail: Arrived) -> dict[str, str]:
    return {"domain": mail.recipient.address.rpartition("@")[2]}


def _outcome(recipient: Recipient, result: Result, work: Work, filed: Sequence[tuple[int, int]]) -> Outcome:
    refused = work.refused
    if refused is not None:
        reason = " ".join(refused.reason.split())[:500]
        return Outcome(
            recipient=recipient,
            kind=Kind.FAILED,
            status="5.7.1",
            reply=reason,
            cause="refused",
            meaning="The recipient's own mail filter refused it.",
            reported=not refused.extended,
        )
    if not work.where:
        reply = "Discarded by the filter" if any(isinstance(each, Discard) for each in result.actions) else "Passed on"
        return Outcome(recipient=recipient, kind=Kind.DELIVERED, status="2.0.0", reply=reply, reported=work.alone)
    uid, message = filed[0]
    return Outcome(
        recipient=recipient,
        kind=Kind.DELIVERED,
        status="2.0.0",
        reply="Delivered",
        mailbox=work.where,
        uid=uid,
        message=message,
    )


__all__ = ["Arrived", "Means", "Placement", "Sorter"]

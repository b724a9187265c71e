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
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from postroom.delivery.account_world import AccountWorld, digest, world_of
from postroom.delivery.outgoing import Arrived, Means, Outgoing
from postroom.delivery.programs import Compiled, Programs
from postroom.mailbox.errors import MailboxError
from postroom.mailbox.incoming import Incoming
from postroom.mailbox.names import INBOX
from postroom.mailbox.service import Account
from postroom.message.compose import text_entity, unstructured
from postroom.message.dates import format_date
from postroom.message.fields import field_values
from postroom.message.index import MessageIndex
from postroom.queue.outcome import Kind, Outcome
from postroom.sieve.actions import (
    Action,
    Discard,
    FileInto,
    Form,
    Keep,
    Notify,
    Redirect,
    Reject,
    Remember,
    Result,
    Target,
    Vacation,
)
from postroom.sieve.describe import describe
from postroom.sieve.interpreter import run_program
from postroom.sieve.mail import Mail
from postroom.sieve.run import Limits
from postroom.sieve.world import Environment
from postroom.store.api import Filing, MailboxExists, NewMessage, NotFound, Recipient, Remembered
from postroom.values.content import Content
from postroom.values.flags import BITS

#: a script that has an error is told of once in so many seconds, unless it is changed
_TOLD_AGAIN: Final = 30 * 86400.0
_SPAM: Final = frozenset(("spamtest", "spamtestplus"))
#: as intake.filtering writes it
_SCORE: Final = re.compile(rb"score=(-?\d{1,6}(?:\.\d{1,3})?)\s+required=(\d{1,6}(?:\.\d{1,3})?)")
#: the words of filter.scanners; what could not be looked at as a whole counts as not looked at
_VIRUS: Final = {b"clean": 1, b"suspicious": 4, b"encrypted": 4, b"infected": 5}
_WORD: Final = re.compile(rb"\s*([A-Za-z]+)")
_REMEMBERING: Final = frozenset(("vacation", "duplicate"))
_MOST_TOLD: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a message goes that the script keeps. index: of the content; separator: of user and detail."""

    mailbox: str
    keywords: tuple[str, ...]
    index: MessageIndex
    separator: str = "+"


#: what most scripts say of most mail: nothing
_PLAIN: Final = (Keep(implicit=True),)


class Sorter:
    """One per worker. zone: seconds east of Greenwich at a time; items: of the environment test."""

    def __init__(self, means: Means, limits: Limits, zone: Callable[[float], int], items: dict[str, str]) -> None:
        self.outgoing = Outgoing(means)
        self.programs = Programs(limits)
        self._zone = zone
        self.items = items
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def sort(self, account: Account, mail: Arrived, placement: Placement) -> Outcome | None:
        """Do as the account's script says; None when it has none, or says nothing. Raises StoreError, Refusal."""
        compiled = await self.programs.of(account.store)
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
        work = _Work(self, account, mail, placement)
        for action in result.actions:
            await work.do(action)
        error = result.error or work.error
        if error:
            await work.explain(compiled, error, result.line)
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
        now = self.outgoing.means.clock.now()
        world = await world_of(account.store, compiled.program.uses, now)
        content, limits = mail.content, self.programs.limits
        environment = Environment(
            sender=mail.entry.sender,
            recipient=mail.recipient.address,
            now=now,
            zone=self._zone(now),
            items={**self.items, "remote-ip": mail.entry.peer, **_domain(mail)},
            separator=placement.separator,
            spam=spam_of(content.read(0, mail.header)) if not _SPAM.isdisjoint(compiled.program.uses) else None,
            virus=virus_of(content.read(0, mail.header)) if "virustest" in compiled.program.uses else 0,
        )

        def run(limits: Limits, clock: Callable[[], float] | None) -> Result:
            looked_at = Mail(content.read, content.size, header=placement.index.header, parts=placement.index.parts)
            assert compiled.program is not None
            return run_program(compiled.program, looked_at, environment, world, limits, clock)

        result = run(self.programs.quick, None)
        if result.out_of_budget and limits.steps > self.programs.quick.steps:
            result = await asyncio.to_thread(run, limits, self.outgoing.means.clock.monotonic)
        return result


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


class _Work:
    """What one message's actions come to. error: why some could not be done."""

    def __init__(self, sorter: Sorter, account: Account, mail: Arrived, placement: Placement) -> None:
        self._sorter = sorter
        self._account = account
        self._mail = mail
        self._placement = placement
        self._filings: list[Filing] = []
        self._remember: list[Remembered] = []
        self._made: dict[Form, NewMessage] = {}
        self._boxes: set[int] = set()
        self._sent = 0
        self.error = ""
        self.refused: Reject | None = None
        self.where = ""

    async def do(self, action: Action) -> None:
        """One action, in its turn."""
        outgoing, mail = self._sorter.outgoing, self._mail
        if isinstance(action, Keep):
            await self._keep(action.flags, action.form)
        elif isinstance(action, FileInto):
            await self._file_into(action)
        elif isinstance(action, Redirect):
            self._sent += 1
            if not await outgoing.redirect(mail, action, self._sent):
                await self._keep((), action.form)
        elif isinstance(action, Vacation):
            await self._copy(await outgoing.vacation(mail, action, self._account.store), action.fcc, action.fcc_flags)
        elif isinstance(action, Notify):
            self._sent += 1
            await self._copy(await outgoing.notify(mail, action, self._sent), action.fcc, action.fcc_flags)
        elif isinstance(action, Remember):
            until = outgoing.means.clock.now() + action.seconds
            self._remember.append(Remembered(digest("seen", action.key), until))
        elif isinstance(action, Reject):
            self.refused = action
            if not action.extended:
                await outgoing.refuse(mail, action)

    async def _keep(self, flags: tuple[str, ...], form: Form) -> None:
        info = await self._account.store.mailbox(self._placement.mailbox) or await self._account.find(INBOX)
        await self._put(info.id, info.name, flags, form)

    async def _file_into(self, action: FileInto) -> None:
        try:
            box, name = await self._mailbox(action.target)
        except (NotFound, MailboxError) as fault:
            self.error = self.error or f'the message could not be filed into "{action.target.name}": {fault}'
            await self._keep(action.flags, action.form)
            return
        await self._put(box, name, action.flags, action.form)

    async def _mailbox(self, target: Target) -> tuple[int, str]:
        """RFC 9042, RFC 8579: the id counts first, then the special use, then the name. Raises NotFound, …"""
        store = self._account.store
        if target.id:
            world = AccountWorld(store.id, await store.mailboxes(), (), frozenset())
            name = world.mailbox_with_id(target.id)
            if name is not None:
                target = Target(name=name)
        if target.special and (special := await self._account.special(target.special)) is not None:
            return special.id, special.name
        try:
            info = await self._account.find(target.name)
        except MailboxError:
            if not target.create:
                raise
            try:
                info = await self._account.create(target.name, (target.special,) if target.special else ())
            except MailboxExists:  # by another message, just now
                info = await self._account.find(target.name)
        return info.id, info.name

    async def _put(self, mailbox: int, name: str, flags: tuple[str, ...], form: Form) -> None:
        if mailbox in self._boxes:
            return  # RFC 5228 2.10.3: under another name it is the same mailbox
        self._boxes.add(mailbox)
        self.where = self.where or name
        new = self._made.get(form)
        if new is None:
            new = self._made[form] = await self._rendered(form)
        self._filings.append(_filing(mailbox, new, flags, self._placement.keywords))

    async def _rendered(self, form: Form) -> NewMessage:
        mail, index = self._mail, self._placement.index
        content, found = mail.content, index
        if form.header is not None or form.body is not None:
            header = form.header if form.header is not None else content.read(0, mail.header)
            body = form.body if form.body is not None else content.read(mail.header)
            return await self._account.render(
                Incoming(content=Content.of(header + body), internaldate=int(mail.entry.received))
            )
        return await self._account.render(Incoming(content=content, internaldate=int(mail.entry.received), index=found))

    async def _copy(self, octets: bytes | None, fcc: Target | None, flags: tuple[str, ...]) -> None:
        """RFC 8580 3: a copy of what was sent; when it cannot be filed there, nothing is kept of it."""
        if octets is None or fcc is None:
            return
        try:
            box, _ = await self._mailbox(fcc)
        except (NotFound, MailboxError) as fault:
            self.error = self.error or f'no copy could be filed into "{fcc.name}": {fault}'
            return
        new = await self._account.render(Incoming(content=Content.of(octets)))
        self._filings.append(_filing(box, new, flags or ("\\Seen",), ()))

    async def explain(self, compiled: Compiled, error: str, line: int) -> None:
        """The user is told once of each error of a script as it stands."""
        now = self._sorter.outgoing.means.clock.now()
        key = Remembered(digest("error", str(compiled.serial), error), now + _TOLD_AGAIN)
        if not await self._account.store.filters.claim(key, now):
            return
        octets = error_notice(self._mail, compiled.name, error, line, now)
        inbox = await self._account.find(INBOX)
        new = await self._account.render(Incoming(content=Content.of(octets)))
        self._filings.append(_filing(inbox.id, new, (), ()))

    async def file(self) -> Sequence[tuple[int, int]]:
        """Everything at once. Raises DeliveredAlready, OverQuota, StoreError."""
        mail = self._mail
        return await self._account.file(
            self._filings, delivery=(mail.entry.id, mail.recipient.address), remember=self._remember
        )


def _filing(mailbox: int, new: NewMessage, flags: tuple[str, ...], keywords: tuple[str, ...]) -> Filing:
    bits, names = new.flags, list(keywords)
    for flag in flags:
        bit = BITS.get(flag.lower().encode())
        if bit is not None:
            bits |= bit
        elif flag.lower() not in {name.lower() for name in names}:
            names.append(flag)
    return Filing(mailbox, new, bits, tuple(names))


def error_notice(mail: Arrived, script: str, error: str, line: int, now: float) -> bytes:
    """What the user reads when a script cannot do its work."""
    domain = mail.recipient.address.rpartition("@")[2]
    where = f", line {line}" if line else ""
    text = (
        f'Your filter "{script}" could not do its work{where}:\n\n  {error}\n\n'
        "Mail is kept in your inbox as long as this is so. You are told once; the filter is run again for each\n"
        "message. Correct it with your mail program's filter editor (ManageSieve), or ask your administrator for\n"
        f"  postroom sieve check {mail.row.login}\n"
    )
    head = [
        f"From: Mail server <postmaster@{domain}>",
        f"To: <{mail.recipient.address}>",
        unstructured("Subject", "Your mail filter has an error"),
        f"Date: {format_date(now)}",
        f"Message-ID: <sieve-error-{mail.entry.id}@{domain}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
    ]
    return "".join(f"{line}\r\n" for line in head).encode("utf-8") + text_entity(text)


def _outcome(recipient: Recipient, result: Result, work: _Work, filed: Sequence[tuple[int, int]]) -> Outcome:
    refused = work.refused
    if refused is not None:
        reason = " ".join(refused.reason.split())[:500]
        if refused.extended:
            return Outcome(recipient=recipient, kind=Kind.FAILED, status="5.7.1", reply=reason, cause="refused")
        return Outcome(
            recipient=recipient, kind=Kind.FAILED, status="5.7.1", reply=reason, cause="refused", reported=True
        )
    if not work.where:
        reply = "Discarded by the filter" if any(isinstance(each, Discard) for each in result.actions) else "Passed on"
        return Outcome(recipient=recipient, kind=Kind.DELIVERED, status="2.0.0", reply=reply)
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

"""What becomes of the actions of a script: what leaves is accepted by the queue, what is filed is one commit.

Owns: the filings of one message until they are committed. Trusts: nothing of the actions' names and addresses.
Standards: RFC 5228 2.10.3 (each mailbox once), RFC 5232, RFC 5490 3.2 (:create), RFC 8580, RFC 9042, RFC 8579.
On failure: StoreError and Refusal pass through; what cannot be filed where the script wants it is kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from postroom.delivery.account_world import AccountWorld, digest
from postroom.delivery.outgoing import Arrived, Outgoing, PassedOn
from postroom.mailbox.errors import MailboxError
from postroom.mailbox.incoming import Incoming
from postroom.mailbox.names import INBOX
from postroom.mailbox.service import Account
from postroom.message.compose import text_entity, unstructured
from postroom.message.dates import format_date
from postroom.message.index import MessageIndex
from postroom.sieve.actions import (
    Action,
    FileInto,
    Form,
    Keep,
    Notify,
    Redirect,
    Reject,
    Remember,
    Target,
    Vacation,
)
from postroom.store.api import Filing, MailboxExists, NewMessage, NotFound, Remembered
from postroom.values.content import Content
from postroom.values.flags import BITS

#: a script that has an error is told of once in so many seconds, unless it is changed
_TOLD_AGAIN: Final = 30 * 86400.0

_IN_INBOX: Final = "Mail is kept in your inbox"

#: keeps the message with these flags, in this form
Keeps: TypeAlias = Callable[[tuple[str, ...], Form], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a message goes that the script keeps. index: of the content; separators: of details; name: the
    local part of the recipient without its detail (sieve.world.Environment).
    """

    mailbox: str
    keywords: tuple[str, ...]
    index: MessageIndex
    separators: str = "+"
    name: str = ""


class Work:
    """What one message's actions come to. error: why some could not be done; where: the first mailbox, "" for none."""

    def __init__(
        self, outgoing: Outgoing, account: Account, mail: Arrived, placement: Placement, keep: Keeps | None = None
    ) -> None:
        """keep: what it means to keep the message; None: it is filed where the placement says."""
        self._outgoing = outgoing
        self._keep = keep or self._keep_there
        self._account = account
        self._mail = mail
        self._placement = placement
        self._filings: list[Filing] = []
        self._copies: list[Filing] = []  # of what was sent; behind the message, whose place is told
        self._remember: list[Remembered] = []
        self._made: dict[Form, NewMessage] = {}
        self._boxes: set[int] = set()
        self._sent = 0
        self.alone = False  # it is passed on to one address, and that is all
        self.error = ""
        self.refused: Reject | None = None
        self.where = ""

    async def do(self, action: Action) -> None:
        """One action, in its turn."""
        outgoing, mail = self._outgoing, self._mail
        if isinstance(action, Keep):
            await self._keep(action.flags, action.form)
        elif isinstance(action, FileInto):
            await self._file_into(action)
        elif isinstance(action, Redirect):
            self._sent += 1
            self.error = self.error or await self._redirect(action)
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

    async def _redirect(self, action: Redirect) -> str:
        """What the user should hear about it, "" for nothing."""
        # RFC 3461 5.2.7.2 and 5.2.7.3: the sender hears of one delivery, from who does it, or else from us
        notify = self._mail.recipient.notify
        notify = notify if self.alone else _without_success(notify)
        passed_on = await self._outgoing.redirect(self._mail, action, self._sent, notify)
        if passed_on is PassedOn.YES:
            return ""
        await self._keep((), action.form)
        if passed_on is PassedOn.NOWHERE:
            return f"the message could not be passed on to {action.address}: there is no such address here"
        return ""

    async def _keep_there(self, flags: tuple[str, ...], form: Form) -> None:
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
        self._copies.append(_filing(box, new, flags or ("\\Seen",), ()))

    async def explain(self, script: str, serial: int, error: str, line: int, *, kept: str = _IN_INBOX) -> None:
        """The user is told once of each error of a script as it stands. kept: what becomes of mail meanwhile."""
        now = self._outgoing.means.clock.now()
        key = Remembered(digest("error", str(serial), error), now + _TOLD_AGAIN)
        if not await self._account.store.filters.claim(key, now):
            return
        octets = error_notice(self._mail, script, (error, line, kept), now)
        inbox = await self._account.find(INBOX)
        new = await self._account.render(Incoming(content=Content.of(octets)))
        self._filings.append(_filing(inbox.id, new, (), ()))

    @property
    def idle(self) -> bool:
        """Is there nothing to file or to remember."""
        return not (self._filings or self._copies or self._remember)

    async def file(self) -> Sequence[tuple[int, int]]:
        """Everything at once. Raises DeliveredAlready, OverQuota, StoreError."""
        mail = self._mail
        return await self._account.file(
            [*self._filings, *self._copies], delivery=(mail.entry.id, mail.recipient.address), remember=self._remember
        )


def _without_success(notify: str) -> str:
    if "SUCCESS" not in notify:
        return notify
    return ",".join(each for each in notify.split(",") if each != "SUCCESS") or "NEVER"


def _filing(mailbox: int, new: NewMessage, flags: tuple[str, ...], keywords: tuple[str, ...]) -> Filing:
    bits, names = new.flags, list(keywords)
    for flag in flags:
        bit = BITS.get(flag.lower().encode())
        if bit is not None:
            bits |= bit
        elif flag.lower() not in {name.lower() for name in names}:
            names.append(flag)
    return Filing(mailbox, new, bits, tuple(names))


def error_notice(mail: Arrived, script: str, fault: tuple[str, int, str], now: float) -> bytes:
    """What the user reads when a script cannot do its work. fault: what, in which line, what becomes of mail."""
    error, line, kept = fault
    domain = mail.recipient.address.rpartition("@")[2]
    where = f", line {line}" if line else ""
    text = (
        f'Your filter "{script}" could not do its work{where}:\n\n  {error}\n\n'
        f"{kept} as long as this is so. You are told once; the filter is run again for each\n"
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

"""What a filter sends: messages that are passed on, vacation answers, notifications, refusals.

Everything that leaves is accepted by the queue before the account puts the message down as delivered, and carries a
key of its own (store.api.Once), so that a delivery that is repeated sends nothing twice. A vacation answer is claimed
in the account first: it is sent once at most.
Owns: nothing. Trusts: the script's addresses only as far as they can be parsed; authors only when they are the user's.
Standards: RFC 5228 4.2, 10; RFC 5230; RFC 3834; RFC 5429 2.2; RFC 5436 2.7; RFC 9228 (Delivered-To).
On failure: StoreError, Refusal: the delivery is tried again. What cannot be sent at all is an event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from postroom.delivery.account_world import digest
from postroom.delivery.letters import Desk, notification, vacation_reply
from postroom.identity.batv import bare
from postroom.message.compose import Person, Unsuitable
from postroom.message.decode import message_ids, parse_addresses
from postroom.message.disposition import Refused, refusal_notice
from postroom.queue.reports import Sign
from postroom.sieve.actions import AS_IT_CAME, Form, Notify, Redirect, Reject, Vacation
from postroom.sieve.courtesy import by_program, why_silent
from postroom.sieve.mail import Header
from postroom.sieve.mailto import BadMailto, parse_mailto
from postroom.store.api import (
    AccountRow,
    AccountStore,
    DirectoryStore,
    Entry,
    NewEntry,
    NewRecipient,
    Once,
    Recipient,
    Remembered,
    Taken,
)
from postroom.values.address import Address, BadAddress
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.values.refusal import Refusal

_HEADER: Final = 1024 * 1024
_RETURN_PATH: Final = b"return-path:"


class Queue(Protocol):
    """Where mail goes."""

    @property
    def new_id(self) -> Callable[[], str]: ...
    async def accept(self, entry: NewEntry) -> Entry: ...


class Event(Protocol):
    """Where lives of messages are told."""

    def __call__(self, name: str, /, **fields: object) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What sending needs. routes: queue recipients for an address, none when it is ours and unknown; hosted: is a
    domain ours; may_send_as: is an address the account's; answered: was a key used before; directory: for the scripts
    of the site.
    """

    queue: Queue
    answered: Callable[[bytes, float], Awaitable[Once | None]]
    routes: Callable[[Address], Awaitable[tuple[NewRecipient, ...]]]
    hosted: Callable[[str], Awaitable[bool]]
    may_send_as: Callable[[AccountRow, Address | None], Awaitable[bool]]
    sign: Sign
    directory: DirectoryStore
    clock: Clock
    event: Event
    hostname: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A message that a filter looks at. content: with the fields of delivery in front; header: octets of its header."""

    entry: Entry
    recipient: Recipient
    row: AccountRow
    content: Content
    header: int

    def header_as(self, form: Form) -> Header:
        """The header as the script had made it."""
        return Header(form.header if form.header is not None else self.content.read(0, min(self.header, _HEADER)))


class PassedOn(Enum):
    """What became of a redirect. NO: not now, for a reason that the script cannot help; NOWHERE: never there."""

    YES = "yes"
    NO = "no"
    NOWHERE = "nowhere"


class Limits(Protocol):
    """The limits on what an account sends to other domains (policy.outgoing)."""

    async def automatic(self, account: AccountRow, recipients: Sequence[str], message_id: str = "") -> Taken | None: ...
    async def give_back(self, taken: Taken) -> None: ...


class Outgoing:
    """Sends what a filter wants sent. limits: None limits nothing."""

    __slots__ = ("limits", "means")

    def __init__(self, means: Means) -> None:
        self.means = means
        self.limits: Limits | None = None

    async def redirect(self, mail: Arrived, action: Redirect, number: int, notify: str) -> PassedOn:
        """Pass the message on; when that cannot be it is to be kept. notify: what the sender wants to hear of it."""
        entry, to = mail.entry, Address.parse(action.address)
        if _has_been_here(mail):
            self._told(mail, f"not passed on to {to}: it has been here before")
            return PassedOn.NO
        recipients = await self.means.routes(to)
        if not recipients:
            self._told(mail, f"not passed on to {to}: there is no such address here")
            return PassedOn.NOWHERE
        sender = entry.sender
        # RFC 5228 4.2: the null sender stays; a foreign one leaves under an address of ours (identity.srs)
        foreign = bool(sender) and not await self.means.hosted(sender.rpartition("@")[2].lower())
        forwarder = mail.recipient.address if foreign else ""
        recipients = tuple(
            NewRecipient(
                address=each.address,
                route=each.route,
                orcpt=each.orcpt,
                notify=notify,
                forwarder=forwarder if each.route == "remote" else "",
            )
            for each in recipients
        )
        why = await self._accept(mail, f"redirect {number}", sender, recipients, _passed_on(mail, action.form))
        if why:
            self._told(mail, f"not passed on to {to}: {why}")
        return PassedOn.NO if why else PassedOn.YES

    async def vacation(self, mail: Arrived, action: Vacation, account: AccountStore) -> bytes | None:
        """Answer the sender, unless that would be impolite; the answer's octets."""
        header = mail.header_as(action.form)
        own = await self._own(mail, action.addresses)
        reason = why_silent(header, mail.entry.sender, own)
        if mail.entry.junk:
            reason = reason or "it is junk"
        if reason:
            self._told(mail, f"no vacation answer: {reason}")
            return None
        try:
            to = Address.parse(mail.entry.sender)
        except BadAddress:
            return None
        now = self.means.clock.now()
        key = digest("vacation", action.handle, str(bare(to)).lower())  # to a tag of theirs, which is another every day
        if action.seconds and not await account.filters.claim(Remembered(key, now + action.seconds), now):
            self._told(mail, f"no vacation answer: {to} has had it")
            return None
        desk = await self._desk(mail, action.sender)
        try:
            octets = vacation_reply(action, header, to, desk)
        except Unsuitable as fault:
            self._told(mail, f"no vacation answer: {fault}")
            return None
        recipients = _without_reports(await self.means.routes(to))
        why = await self._accept(mail, "vacation", "", recipients, Content.of(octets), desk.id)
        if why:
            self._told(mail, f"no vacation answer to {to}: {why}")
        return None if why else octets

    async def notify(self, mail: Arrived, action: Notify, number: int) -> bytes | None:
        """Tell somebody; the notification's octets."""
        header = mail.header_as(action.form)
        if by_program(header):  # RFC 5436 2.7
            self._told(mail, "no notification: it says that a program sent it (Auto-Submitted)")
            return None
        desk = await self._desk(mail, action.sender)
        try:
            to = parse_mailto(action.method)
            octets = notification(action, to, header, desk)
        except (BadMailto, Unsuitable, BadAddress) as fault:
            self._told(mail, f"no notification: {fault}")
            return None
        found: dict[str, NewRecipient] = {}
        for text in (*to.to, *to.cc):
            for each in await self.means.routes(Address.parse(text)):
                found.setdefault(each.address.lower(), each)
        sender = str(desk.author.address) if mail.entry.sender else ""  # RFC 5436 2.7
        recipients = _without_reports(tuple(found.values()))
        why = await self._accept(mail, f"notify {number}", sender, recipients, Content.of(octets), desk.id)
        if why:
            self._told(mail, f"no notification: {why}")
        return None if why else octets

    async def refuse(self, mail: Arrived, action: Reject) -> None:
        """RFC 5429 2.2.1: give the message back, saying why; not to the null sender, and not for junk."""
        entry = mail.entry
        if not entry.sender or entry.junk:
            self._told(mail, "refused without a notice: " + ("it is junk" if entry.junk else "it has no sender"))
            return
        try:
            recipients = _without_reports(await self.means.routes(Address.parse(entry.sender)))
        except BadAddress:
            return
        new_id = self.means.queue.new_id()
        octets = refusal_notice(
            Refused(
                author=mail.recipient.address,
                to=entry.sender,
                recipient=mail.recipient.address,
                original_recipient=mail.recipient.orcpt.replace(";", "; ", 1),
                reason=action.reason,
                original=mail.content.read(0, min(mail.header, 64 * 1024)),
                hostname=self.means.hostname,
                message_id=f"{new_id}@{self.means.hostname}",
                date=self.means.clock.now(),
                seed=new_id,
            )
        )
        await self._accept(mail, "reject", "", recipients, Content.of(octets), new_id)

    async def _own(self, mail: Arrived, more: tuple[str, ...]) -> set[str]:
        """RFC 5230 4.5: the addresses a message can be written to so that it is for the user."""
        original = mail.recipient.orcpt.partition(";")[2]
        found = {each.lower() for each in (mail.recipient.address, mail.row.login, original, *more) if each}
        for address in list(found):
            local, _, domain = address.rpartition("@")
            found.add(f"{local.partition('+')[0]}@{domain}")
        for name in ("to", "cc", "bcc"):  # aliases of the user
            for each in mail.header_as(AS_IT_CAME).addresses(name)[:20]:
                try:
                    if await self.means.may_send_as(mail.row, Address.parse(each.address)):
                        found.add(each.address.lower())
                except BadAddress:
                    continue
        return found

    async def _desk(self, mail: Arrived, sender: str) -> Desk:
        """Who writes: the user, under an address of the script's choice when it is the user's own."""
        author = Person(Address.parse(mail.recipient.address), mail.row.name)
        for wanted in parse_addresses(sender.encode())[:1] if sender else ():
            try:
                address = Address.parse(wanted.address)
                if await self.means.may_send_as(mail.row, address):
                    author = Person(address, wanted.name)
            except BadAddress:
                continue
        return Desk(
            author=author,
            owner=mail.row.login,
            id=self.means.queue.new_id(),
            hostname=self.means.hostname,
            now=self.means.clock.now(),
        )

    async def _accept(
        self,
        mail: Arrived,
        what: str,
        sender: str,
        recipients: tuple[NewRecipient, ...],
        content: Content,
        new_id: str = "",
    ) -> str:
        """Into the queue, once; why it may not leave, else "". Raises StoreError."""
        entry, now = mail.entry, self.means.clock.now()
        key = digest("sieve", entry.id, mail.recipient.address, what)
        if not recipients or await self.means.answered(key, now) is not None:
            return ""
        taken = None
        if self.limits is not None and what != "reject":  # which is a report, and what comes in limits it
            outside = dict.fromkeys([each.address.lower() for each in recipients if each.route == "remote"])
            try:
                reported_as = f"{new_id}@{self.means.hostname}" if new_id else await self._known_as(sender, content)
                taken = await self.limits.automatic(mail.row, tuple(outside), reported_as)
            except Refusal as fault:
                return fault.public
        passed_on = what.startswith("redirect")
        new = NewEntry(
            id=new_id or self.means.queue.new_id(),
            sender=sender,
            recipients=recipients,
            content=content,
            received=now,
            trace=b"" if passed_on else await self.means.sign(content, now),
            body=entry.body if passed_on else "8BITMIME",
            smtputf8=entry.smtputf8 if passed_on else not all(each.address.isascii() for each in recipients),
            tls=entry.tls if passed_on else "",
            bulk=entry.bulk if passed_on else False,
            ret=entry.ret if passed_on else "",
            envid=entry.envid if passed_on else "",
            told={"to": [each.address for each in recipients], "about": entry.id},
            once=Once(key=key, request=b"", answer=b""),
            peer=entry.peer if passed_on and not entry.account else "",  # a stranger's stays one
        )
        try:
            await self.means.queue.accept(new)
        except BaseException:
            if taken is not None and self.limits is not None:
                await self.limits.give_back(taken)
            raise
        return ""

    async def _known_as(self, sender: str, content: Content) -> str:
        """The Message-ID that reports on mail passed on will name, where they come to an address here; else ""."""
        if not sender or not await self.means.hosted(sender.rpartition("@")[2].lower()):
            return ""
        found = [one for raw in Header(content.read(0, _HEADER)).raw("message-id")[:1] for one in message_ids(raw)]
        return found[0].strip(b"<>").decode("utf-8", "replace")[:250] if found else ""

    def _told(self, mail: Arrived, text: str) -> None:
        self.means.event("sieve.withheld", queue_id=mail.entry.id, recipient=mail.recipient.address, reason=text)


def _without_reports(recipients: tuple[NewRecipient, ...]) -> tuple[NewRecipient, ...]:
    """RFC 5230 5.1: nobody is told what becomes of it."""
    return tuple(NewRecipient(address=each.address, route=each.route, notify="NEVER") for each in recipients)


def _has_been_here(mail: Arrived) -> bool:
    """RFC 5228 10: the field that delivery puts in front stands there already."""
    ours = len(mail.content.prefix) or mail.content.size - mail.entry.content.size
    header = Header(mail.entry.content.read(0, min(max(mail.header - ours, 0), _HEADER)))
    own = mail.recipient.address.lower()
    return any(value.lower().strip("<> ") == own for value in header.values("delivered-to"))


def _passed_on(mail: Arrived, form: Form) -> Content:
    """The message as it came, or as the script has made it, with the field that ends loops."""
    mark = f"Delivered-To: {mail.recipient.address}\r\n".encode()
    if form.header is None and form.body is None:
        source = mail.entry.content
        return Content.of(source.read()).with_prefix(mark) if source.path else source.with_prefix(mark)
    header = form.header if form.header is not None else mail.content.read(0, mail.header)
    body = form.body if form.body is not None else mail.content.read(mail.header)
    while header[: len(_RETURN_PATH)].lower() == _RETURN_PATH:
        header = header[header.index(b"\n") + 1 :]
    if not header.lower().startswith(b"delivered-to:"):
        header = mark + header
    return Content.of(header + body)

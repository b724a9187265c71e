"""The way in: MAIL, RCPT and content become an entry of the queue, or a refusal with its reply.

Owns: the checks between a parsed command and its reply. One Intake per worker, shared by SMTP, submission and LMTP.
Trusts: syntax was checked by `wire.smtp`; the login was verified by `identity`. Content is hostile bytes.
Standards: RFC 5321 3.3, 3.6, 4.4, 4.5.1, 6.3; RFC 1870; RFC 2033; RFC 3461; RFC 6409; RFC 6531.
On failure: `values.refusal.Refusal`, always; nothing was kept then.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from ipaddress import ip_address, ip_network

from postroom.config import Config
from postroom.identity.model import Permit, Sending
from postroom.intake import demands, forwarding, header, routing, trace
from postroom.intake.entries import filed, merged
from postroom.intake.model import Accepted, Envelope, Given, MailOptions, Peer, RcptOptions, RcptResult
from postroom.intake.outside import Examined
from postroom.intake.ownership import Authors, Foreign, check_authors
from postroom.intake.returns import Returns
from postroom.intake.room import Room
from postroom.intake.rooms import Rooms
from postroom.policy.greylist import Greylist
from postroom.policy.outgoing import Draft, Outgoing
from postroom.store.api import (
    AccountRow,
    NewEntry,
    NewRecipient,
    Spool,
    StoreError,
    StoreUnavailable,
)
from postroom.values.address import Address, BadAddress, parse_domain
from postroom.values.content import Content
from postroom.values.refusal import Refusal

_OWN = Permit(Sending.OWN)
_COPY = 256 * 1024  # octets copied in one go when a large message must be written again


class Intake:
    """Answers MAIL, RCPT and the content of every mail transaction of this worker."""

    def __init__(self, rooms: Rooms, config: Config) -> None:
        self._store = rooms.store
        self._outgoing = rooms.outgoing
        self._signer = rooms.signer
        self._sent = rooms.sent
        self._outside = rooms.outside
        self._bounces = rooms.bounces
        self._answers = rooms.answers
        self._returns = Returns(rooms.identity, rooms.srs, rooms.tags, rooms.clock)
        self._greylist = rooms.greylist
        self._suppressed = rooms.suppressed
        self._refuses = rooms.refuses
        self._scanning = rooms.scanning
        self._queue = rooms.queue
        self._identity = rooms.identity
        self._clock = rooms.clock
        self._room = Room(rooms.store, config.mailboxes, rooms.clock)
        self._limits = config.limits
        self._hostname = config.server.hostname
        self._second = -1
        self._date = ""
        self._relay_networks = tuple(ip_network(text, strict=False) for text in config.limits.relay_networks)
        self._may_relay = lru_cache(maxsize=1024)(self._in_relay_networks)

    async def sender(self, peer: Peer, mail: MailOptions) -> Envelope:
        """MAIL FROM: the transaction it opens. The null sender is always fine (RFC 5321 4.5.5).

        Raises Refusal 552 5.3.4 (announced too big), 550 5.6.7 (UTF-8 without SMTPUTF8), 530 5.7.0 (no login),
        553 5.7.1 (not the login's address), 554 5.5.4 (a date too far away), 550 5.7.1 (the account is frozen),
        451 4.3.0.
        """
        limit = self._limits.message_size
        if mail.size > limit:  # RFC 1870 6.1
            raise Refusal(552, "5.3.4", f"Message is too big: {mail.size} octets, {limit} are allowed")
        sender = mail.sender
        if sender is not None and not mail.smtputf8 and not sender.ascii:  # RFC 6531 3.5
            raise Refusal(550, "5.6.7", "An address that is not ASCII needs the SMTPUTF8 parameter")
        if mail.hold_for or mail.hold_until:
            demands.release(mail, self._clock.now())
        if peer.submitting:
            await self._check_own(peer, sender)
            if self._outgoing is not None and peer.account is not None:
                self._outgoing.check(peer.account)
        return Envelope(self._returns.sender(mail), id=self._queue.new_id())

    def latest_release(self) -> str:
        """The last date a submitted message may be given, for EHLO: midnight, so that it changes once a day."""
        return trace.day_of(self._clock.now() + demands.LONGEST_HOLD)

    async def recipient(self, peer: Peer, envelope: Envelope, rcpt: RcptOptions) -> None:
        """RCPT TO: add the recipient to the envelope, aliases expanded; a repeated one costs nothing.

        Raises Refusal 452 4.5.3 (too many), 550 5.1.1 (unknown here), 550 5.2.1 (disabled), 550 5.7.1 (not ours),
        553 5.6.7 (UTF-8 without SMTPUTF8), 452 4.2.2 (over quota), 450 4.2.0 (mailbox out of order),
        450 4.7.1 (a sending limit is reached), 451 4.7.1 (an unknown server has to wait), 451 4.3.0.
        """
        if len(envelope.given) >= self._limits.recipients:  # RFC 5321 4.5.3.1.10
            raise Refusal(452, "4.5.3", f"Too many recipients, {self._limits.recipients} are allowed in one message")
        address = await self._returns.opened(envelope, rcpt.address or self._postmaster())
        if not envelope.mail.smtputf8 and not address.ascii:  # RFC 6531 3.5
            raise Refusal(553, "5.6.7", "An address that is not ASCII needs the SMTPUTF8 parameter")
        key = address.key
        twin = envelope.index.get(key, -1)
        targets = () if twin >= 0 else await self._targets(peer, envelope, address, rcpt)
        if self._outgoing is not None:
            await self._limit(self._outgoing, peer, envelope, targets)
        if self._greylist is not None and peer.service == "smtp" and not self._may_relay(peer.ip):
            await self._wait(self._greylist, peer, envelope, address)
        envelope.index.setdefault(key, len(envelope.given))
        envelope.given.append(Given(str(address), targets, twin))

    async def accept(self, peer: Peer, envelope: Envelope, content: Content) -> Accepted:
        """The content has arrived: check its header, add the trace, and keep it. Durable when this returns.

        The content's file, if any, belongs to the queue afterwards; when this raises it is still the caller's.
        LMTP: a recipient can fail alone, see `Accepted.results`; if all fail, id is "".
        Raises Refusal 552 5.3.4, 554 5.4.6 (loop), 550 5.6.0 and 550 5.7.1 (From, on submission),
        554 5.5.1 (no recipients), 450 4.7.1 (a sending limit is reached), 452 4.3.1 (store full), 451 4.3.0.
        """
        if not envelope.given:
            raise Refusal(554, "5.5.1", "No valid recipients")
        if content.size > self._limits.message_size:  # RFC 1870 6.3
            raise Refusal(552, "5.3.4", f"Message is too big: {self._limits.message_size} octets are allowed")
        head = header.header_of(content, self._limits.header_size)
        envelope.named = header.named(head, "" if envelope.sender is None else str(envelope.sender))
        header.check_loops(head, self._limits.received_fields)
        results = await self._results(peer, envelope, content, head)
        targets = merged(envelope, results)
        if not targets:
            return Accepted("", results)
        entry = envelope.id or self._queue.new_id()
        now = self._clock.now()
        date = self._date_time(now)
        added = trace.received(peer, envelope, self._hostname, entry, date)
        spool: Spool | None = None
        examined: Examined | None = None
        try:
            if peer.submitting:
                fields, content, spool = await self._submitted(peer, envelope, head, content, (entry, now, date))
                targets = await self._looked_at(peer, entry, (fields, content), targets)
                targets += routing.copies(envelope.copies)
                added += fields
            else:
                strange = peer.service == "smtp" and not self._may_relay(peer.ip)
                if strange and self._bounces is not None and envelope.sender is None:
                    envelope.returned = await self._bounces.look(envelope, content)
                if strange and self._outside is not None:
                    examined = await self._outside.examine(peer, envelope, head, content, (entry, now))
                    content, spool = await self._cleaned(content, head, examined.head)
                    added += examined.added
                added += header.separator(head)
            told = _told(peer, envelope, f"{entry}@{self._hostname}")
            new = self._entry(peer, envelope, (entry, now, added, told), content, targets)
            new = filed(new, examined)
            await self._ask_filter(peer, new)
            await self._keep(envelope, demands.noted(new, envelope.mail, head))
        except StoreUnavailable as fault:
            raise Refusal(452, "4.3.1", "There is no room for the message now, try again later", reason=str(fault))
        except StoreError as fault:
            raise Refusal(451, "4.3.0", "The message cannot be kept now, try again later", reason=str(fault))
        finally:
            if spool is not None:
                spool.close()
        return Accepted(entry, results)

    async def _looked_at(
        self, peer: Peer, entry: str, message: tuple[bytes, Content], targets: tuple[NewRecipient, ...]
    ) -> tuple[NewRecipient, ...]:
        """Where a submitted message goes, as the filter wants it. Raises Refusal 550 5.7.1, 451 4.7.1."""
        if self._scanning is not None:
            await self._scanning.submitted(message[1])
        return targets if self._sent is None else await self._sent.look(peer.account, entry, message, targets)

    async def _ask_filter(self, peer: Peer, entry: NewEntry) -> None:
        """RFC 5429 2.1.1: better refused now than sent back later. Raises Refusal 550 5.7.1."""
        if self._refuses is None or len(entry.recipients) > 1 or peer.submitting:
            return
        if entry.recipients[0].route == routing.LOCAL and (reason := await self._refuses(entry)):
            raise Refusal(550, "5.7.1", reason)

    async def _keep(self, envelope: Envelope, entry: NewEntry) -> None:
        """Into the queue; what leaves for other domains is counted, and given back when it is not kept."""
        taken = None
        if self._outgoing is not None and envelope.draft is not None:
            taken = await self._outgoing.take(envelope.draft, str((entry.told or {}).get("message_id", "")))
        try:
            await self._queue.accept(entry)
        except BaseException:
            if self._outgoing is not None and taken is not None:
                await self._outgoing.give_back(taken)
            raise

    def _entry(
        self,
        peer: Peer,
        envelope: Envelope,
        stamp: tuple[str, float, bytes, dict[str, object]],
        content: Content,
        targets: tuple[NewRecipient, ...],
    ) -> NewEntry:
        mail = envelope.mail
        return NewEntry(
            id=stamp[0],
            sender="" if mail.sender is None else str(mail.sender),
            recipients=targets,
            content=content,
            received=stamp[1],
            trace=stamp[2],
            envid=mail.envid,
            ret=mail.ret,
            body=mail.body,
            smtputf8=mail.smtputf8,
            account=peer.account.id if peer.account else "",
            peer=peer.ip,
            told=stamp[3],
            once=envelope.once,
        )

    def new_id(self) -> str:
        """An id for a transaction that is refused before it begins."""
        return self._queue.new_id()

    # MAIL

    async def _check_own(self, peer: Peer, sender: Address | None) -> None:
        """RFC 6409 6.1: the sender must belong to the login."""
        if peer.account is None:
            raise Refusal(530, "5.7.0", "Authentication required")  # RFC 4954 6
        if sender is None:
            return
        if (await self._permit(peer.account, sender)).kind is Sending.NO:
            raise self._foreign(peer.account, 553, "", sender)

    def _foreign(self, account: AccountRow, code: int, what: str, address: Address) -> Refusal:
        """An address that does not belong to the login; once is a slip, often is a sign."""
        if self._outgoing is not None:
            self._outgoing.foreign(account)
        return Refusal(code, "5.7.1", what + _not_yours(address, account.login))

    async def _permit(self, account: AccountRow | None, address: Address) -> Permit:
        """How the login may use an address; without a login (a report of our own) any."""
        if account is None or address.key == account.login:
            return _OWN
        try:
            return await self._identity.permit(account, address)
        except StoreError as fault:
            raise Refusal(451, "4.3.0", "Addresses cannot be looked up now, try again later", reason=str(fault))

    # RCPT

    async def _limit(
        self, outgoing: Outgoing, peer: Peer, envelope: Envelope, targets: tuple[NewRecipient, ...]
    ) -> None:
        """What leaves for other domains on behalf of our own people is limited. Raises Refusal 450 4.7.1."""
        outside = [_key(target.address) for target in targets if target.route == routing.REMOTE]
        if not outside or not (peer.submitting or self._may_relay(peer.ip)):
            return
        if envelope.draft is None:
            login = peer.account.login if peer.account is not None else ""
            sender = envelope.sender.domain if envelope.sender is not None else login.rpartition("@")[2]
            envelope.draft = Draft(peer.account, sender)
        try:
            await outgoing.add(envelope.draft, outside)
        except StoreError as fault:
            raise Refusal(451, "4.3.0", "Limits cannot be looked up now, try again later", reason=str(fault)) from fault

    async def _wait(self, greylist: Greylist, peer: Peer, envelope: Envelope, address: Address) -> None:
        """RFC 6647; never for postmaster (RFC 5321 4.5.1). Raises Refusal."""
        if address.local.casefold() == "postmaster":
            return
        sender = "" if envelope.sender is None else str(envelope.sender)
        try:
            await greylist.check(peer.ip, sender, address.key)
        except StoreError:
            return  # rather a mail too many than one too few

    def _postmaster(self) -> Address:
        """RFC 5321 4.5.1: `<postmaster>` without a domain is this machine's."""
        try:
            return Address("postmaster", parse_domain(self._hostname))
        except BadAddress:
            return Address("postmaster", "localhost")

    async def _targets(
        self, peer: Peer, envelope: Envelope, address: Address, rcpt: RcptOptions
    ) -> tuple[NewRecipient, ...]:
        answer = await routing.resolve(self._identity, address)
        if not isinstance(answer, routing.NotHosted) and (made := await self._made(peer, envelope, address, answer)):
            return made
        if isinstance(answer, routing.Hosted):
            targets = routing.recipients(address, answer.targets, rcpt.orcpt, rcpt.notify)
            if not peer.submitting:
                targets = await forwarding.marked(self._identity, address, targets, envelope.sender)
            if len(targets) == 1 and answer.targets[0].account is not None:
                await self._room.check(answer.targets[0].account, _ascii(address), envelope.mail.size)
            return targets
        if isinstance(answer, routing.Closed):
            raise Refusal(550, "5.2.1", f"{answer.domain} takes no mail now, it is suspended")
        if isinstance(answer, routing.Unknown):
            raise Refusal(550, "5.1.1", f"<{_ascii(address)}> is not known here")
        if peer.submitting and self._suppressed is not None:
            forwarding.check_suppressed(self._suppressed(address.key, self._clock.now()))
        if peer.submitting or (peer.service == "smtp" and self._may_relay(peer.ip)):
            return (NewRecipient(address=str(address), route=routing.REMOTE, orcpt=rcpt.orcpt, notify=rcpt.notify),)
        raise Refusal(550, "5.7.1", f"Relaying denied: {address.domain} is not hosted here")

    async def _made(
        self, peer: Peer, envelope: Envelope, address: Address, answer: routing.Resolution
    ) -> tuple[NewRecipient, ...] | None:
        """Where mail to an address goes that only our keys make; None for any other. Raises Refusal."""
        release = self._answers(peer, address, answer) if self._answers is not None else None
        return release or await self._returns.unwrapped(address, envelope.sender)

    def _in_relay_networks(self, ip: str) -> bool:
        try:
            peer = ip_address(ip)
        except ValueError:
            return False
        return any(peer in network for network in self._relay_networks)

    # content

    async def _results(self, peer: Peer, envelope: Envelope, content: Content, head: bytes) -> tuple[RcptResult, ...]:
        """One result for each RCPT. Raises Refusal 554 5.4.6 when a recipient has had this message already."""
        seen = frozenset() if peer.submitting else header.delivered_to(head)
        alone = peer.service == "lmtp"
        results: list[RcptResult] = []
        for given in envelope.given:
            refusal = None
            if seen and any(_key(target.address) in seen for target in given.targets):
                refusal = Refusal(554, "5.4.6", "Mail loop: the message was delivered to this recipient before")
                if not alone:
                    raise refusal
            elif alone and envelope.mail.size < content.size:
                refusal = await self._still_room(given, content.size)
            if given.twin >= 0:
                refusal = results[given.twin].refusal
            results.append(RcptResult(given.address, refusal))
        return tuple(results)

    async def _still_room(self, given: Given, size: int) -> Refusal | None:
        """LMTP: the size is known now, each recipient hears for itself."""
        if len(given.targets) != 1 or given.targets[0].route != routing.LOCAL:
            return None
        address = Address.parse(given.targets[0].address)
        answer = await routing.resolve(self._identity, address)
        if isinstance(answer, routing.Hosted) and answer.targets[0].account is not None:
            try:
                await self._room.check(answer.targets[0].account, _ascii(address), size)
            except Refusal as refusal:
                return refusal
        return None

    async def _submitted(
        self, peer: Peer, envelope: Envelope, head: bytes, content: Content, stamp: tuple[str, float, str]
    ) -> tuple[bytes, Content, Spool | None]:
        """A submitted message made ready to leave (RFC 6409 8): fields to put before it, it, and its new file if any.

        stamp: queue id, Unix seconds, the same as a date. Raises Refusal, StoreError.
        """
        entry, now, date = stamp
        found = header.read_submitted(head)
        authors = await self._check_from(peer, found)
        envelope.copies = tuple(owner.login for owner in authors.owners if owner.sent_copies)
        missing = self._missing(found, entry, date)
        if authors.behalf and peer.account is not None:  # RFC 6409 8.1
            missing += f"Sender: {peer.account.login}\r\n".encode()
        spool: Spool | None = None
        start = len(head)
        if not content.path:
            if found.removed:
                content = Content.of(header.without(content.data, found.removed))
        elif missing or found.removed:
            content, spool = await self._rewritten(content, len(head), missing + header.without(head, found.removed))
            start += len(missing)
        start -= sum(last - first for first, last in found.removed)
        if self._signer is None:
            return (missing if spool is None else b""), content, spool
        try:
            leaving = missing + header.without(head, found.removed)
            body = start + 2  # the empty line
            signed = await self._signer.fields(authors.domain, leaving, content, body, now)
        except BaseException:
            if spool is not None:
                spool.close()
            raise
        return signed + (missing if spool is None else b""), content, spool

    async def _check_from(self, peer: Peer, found: header.Submitted) -> Authors:
        """RFC 6409 6.1 and 8: on submission From, and what else says who sends, is the login's or lent to it."""
        account = peer.account
        try:
            return await check_authors(found, lambda address: self._permit(account, address))
        except Foreign as fault:
            assert account is not None
            raise self._foreign(account, 550, f"{fault.name}: ", fault.address) from fault

    def _missing(self, found: header.Submitted, entry: str, date: str) -> bytes:
        """RFC 6409 8.2 and 8.3: the Date and Message-ID the client left out."""
        added = "" if found.has_date else f"Date: {date}\r\n"
        if not found.has_id:
            added += f"Message-ID: <{entry}@{self._hostname}>\r\n"
        return added.encode()

    async def _cleaned(self, content: Content, head: bytes, cleaned: bytes) -> tuple[Content, Spool | None]:
        """The content with another header, and its new file if it has one."""
        if cleaned is head or cleaned == head:
            return content, None
        if not content.path:
            return Content.of(cleaned + content.data[len(head) :]), None
        return await self._rewritten(content, len(head), cleaned)

    async def _rewritten(self, content: Content, skip: int, head: bytes) -> tuple[Content, Spool]:
        """A large content written again, beside the first: `head` instead of its first `skip` octets."""
        spool = self._store.spool()
        try:
            spool.write(head)
            for start in range(skip, content.size, _COPY):
                spool.write(content.read(start, start + _COPY))
                await asyncio.sleep(0)  # others may have their turn
            return await spool.seal(), spool
        except (StoreError, OSError) as fault:
            spool.close()
            raise StoreUnavailable(str(fault)) from fault

    def _date_time(self, now: float) -> str:
        if int(now) != self._second:
            self._second, self._date = int(now), trace.date_time(now)
        return self._date


def _told(peer: Peer, envelope: Envelope, missing: str) -> dict[str, object]:
    """What the event of acceptance says beyond what the queue knows; message texts and subjects are not in it.

    missing: the Message-ID a submitted message gets that has none.
    """
    told: dict[str, object] = {"service": peer.over or peer.service, "to": [given.address for given in envelope.given]}
    if peer.helo:
        told["helo"] = peer.helo[:255]
    if peer.tls:
        told["tls"] = peer.tls
    if peer.account is not None:
        told["login"] = peer.account.login
    told.update(envelope.named)
    if peer.submitting:
        told.setdefault("message_id", missing)
    return told


def _key(address: str) -> str:
    try:
        return Address.parse(address).key
    except BadAddress:
        return address.casefold()


def _ascii(address: Address) -> str:
    """For replies, which are ASCII (RFC 6531 3.7.4.2)."""
    return str(address).encode("ascii", "backslashreplace").decode()


def _not_yours(address: Address, login: str) -> str:
    shown = login.encode("ascii", "backslashreplace").decode()
    return f"<{_ascii(address)}> does not belong to the login {shown}"

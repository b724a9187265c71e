"""APPEND with one message or more, and REPLACE: octets go to a spool as they come, and into the mailbox all at once.

Owns: the spools of the messages that have arrived, until the store takes them over or the command fails.
Trusts: nothing in the messages. 8-bit header fields are taken from all clients: such mail exists, and its owner wants
to keep it. Where the configuration says so, only from those that have enabled UTF-8 (RFC 9755 4).
Standards: RFC 9051 6.3.12, RFC 3502, RFC 4469, RFC 8508, RFC 4315 3 (APPENDUID), RFC 7889 4 (TOOBIG),
RFC 9208 4.3.1 (OVERQUOTA).
On failure: the literal is refused before it comes where the reason is known; else its octets are thrown away and the
command ends with NO.
"""

from __future__ import annotations

import re
from typing import Final, cast

from postroom.mailbox.incoming import Incoming
from postroom.mailbox.places import Place, may_set
from postroom.servers.imap import amount, updates
from postroom.servers.imap.catenate import add_part
from postroom.servers.imap.copy import destination
from postroom.servers.imap.replies import Refused, Reply, no, ok, reply_for
from postroom.servers.imap.session import Session
from postroom.store.api import AppendResult, NotFound, Spool
from postroom.values import rights as right
from postroom.values.content import Content
from postroom.wire.imap import response
from postroom.wire.imap.commands import STAR, Append, AppendMessage, Command
from postroom.wire.imap.events import AppendData, AppendEnd, AppendStart
from postroom.wire.imap.sequence import ranges_of

#: octets of a message that is sealed only when the command is complete: a store keeps so many in memory
_FEW: Final = 64 * 1024
#: what REPLACE needs in the mailbox that the old message is in (RFC 8508 4.1)
_REMOVING: Final = right.DELETE_MESSAGE | right.EXPUNGE


class Appending:
    """The messages of one command so far. fault: why it will fail though its octets still come.

    uid, freed: of the message in the selected mailbox that goes (REPLACE), and its octets.
    """

    __slots__ = ("contents", "fault", "freed", "may", "place", "spools", "total", "uid")

    def __init__(self, place: Place) -> None:
        self.place: Final = place
        self.may: Final = may_set(place.rights)
        self.spools: list[Spool] = []
        self.contents: list[Content | None] = []
        self.total = 0
        self.uid: int | None = None
        self.freed = 0
        self.fault: Reply | None = None

    def close(self) -> None:
        """Forget what the store did not take over."""
        for spool in self.spools:
            spool.close()
        self.spools.clear()


async def start(session: Session, event: AppendStart) -> None:
    """Octets are announced: take them, or say why not."""
    try:
        appending = session.appending
        if appending is None:
            appending = await _begin(session, event.name, event.mailbox, event.replaces)
        amount.demand_all(session, event.index + 1, "appended")
        await _add_parts(session, appending, event.urls)
        appending.total += event.message.size
        _open(session, appending, event.index)
        await _check(appending, event.message, event.index)
    except Exception as fault:
        reply = reply_for(fault) or session.service.bug(session, event.name, fault)
        abandon(session)
        session.wire.refuse()
        session.send(reply.line(event.tag))
        return
    session.send(session.wire.accept())


async def _begin(session: Session, name: str, mailbox: str, replaces: int | None) -> Appending:
    """The command may be carried out, as far as one can know. Raises what becomes the reply."""
    session.appending = appending = Appending(await destination(session, mailbox))
    if replaces is not None:
        box = session.box
        selection = box.view.resolve(((replaces or STAR, replaces or STAR),), uid=name == "UID REPLACE")
        box.demand(_REMOVING)
        for _, page, begin, _ in selection.runs():
            appending.uid, appending.freed = page.uids[begin], page.sizes[begin]
        if appending.uid is None:
            raise Refused(no("There is no such message"))
    return appending


def _open(session: Session, appending: Appending, index: int) -> Spool:
    """The spool of the message at this place."""
    while len(appending.spools) <= index:
        appending.spools.append(session.service.store.spool())
        appending.contents.append(None)
    return appending.spools[index]


async def _add_parts(session: Session, appending: Appending, parts: tuple[tuple[int, str], ...]) -> None:
    """What URLs name goes where they stand (RFC 4469 3)."""
    for index, text in parts:
        spool = _open(session, appending, index)
        before = spool.size
        await add_part(session, text, spool, appending.place.account.append_limit)
        appending.total += spool.size - before


async def _check(appending: Appending, message: AppendMessage, index: int) -> None:
    """What is known before the octets come."""
    account = appending.place.account
    limit = account.append_limit
    if appending.spools[index].size + message.size > limit:
        raise Refused(no(f"Messages may have at most {limit} octets", b"TOOBIG"))
    may = await account.allowance()
    if not (may.octets or may.messages):
        return  # what is held need not be looked at
    quota = await account.quota()
    if not quota.has_room(appending.total - appending.freed, index + 1 - (appending.uid is not None)):
        raise Refused(no("There is not enough room left for this (quota)", b"OVERQUOTA"))


def data(session: Session, event: AppendData) -> None:
    """The next octets."""
    appending = session.appending
    if appending is None or appending.fault is not None:
        return
    try:
        appending.spools[-1].write(event.data)
    except Exception as fault:
        appending.fault = reply_for(fault) or session.service.bug(session, "APPEND", fault)
        appending.close()


def ends_in_memory(session: Session, event: AppendEnd) -> bool:
    """Nothing is to be done at the end of these octets: they are few, or wanted no more."""
    appending = session.appending
    if appending is None or appending.fault is not None or not event.complete:
        return True
    return appending.spools[event.index].size <= _FEW


async def end(session: Session, event: AppendEnd) -> None:
    """The octets have come; those of a complete message are durable before the command goes on."""
    appending = session.appending
    assert appending is not None
    try:
        appending.contents[event.index] = await appending.spools[event.index].seal()
    except Exception as fault:
        appending.fault = reply_for(fault) or session.service.bug(session, "APPEND", fault)
        appending.close()


async def append(session: Session, command: Command) -> Reply:
    """The command is complete: add the messages, all or none. For REPLACE, take the old one out."""
    args = cast(Append, command.args)
    try:
        appending = session.appending
        if appending is None:  # nothing but URLs
            appending = await _begin(session, command.name, args.mailbox, args.replaces)
        if appending.fault is not None:
            return appending.fault
        amount.demand_all(session, len(args.messages), "appended")
        await _add_parts(session, appending, args.urls)
        messages = [await _incoming(session, appending, index, message) for index, message in enumerate(args.messages)]
        if appending.uid is not None:
            return await _replace(session, appending, messages[0])
        result = await appending.place.account.append(appending.place.id, messages)
    except NotFound:
        return no("The mailbox was deleted meanwhile", b"TRYCREATE")
    finally:
        abandon(session)
    session.added(appending.place, result.uids)
    count = len(args.messages)
    return ok("Append completed" if count == 1 else f"Append of {count} messages completed", _appenduid(result))


#: octets of a header that are looked at in one go
_PIECE: Final = 64 * 1024
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")


def _is_plain(content: Content) -> bool:
    """No 8-bit octet before the empty line that ends the header."""
    at, before = 0, b"\n"
    while at < content.size:
        piece = before + content.read(at, min(at + _PIECE, content.size))
        end = _EMPTY_LINE.search(piece)
        if end is not None:
            return piece[: end.start()].isascii()
        if not piece.isascii():
            return False
        at += len(piece) - len(before)
        before = piece[-2:]
    return True


async def _incoming(session: Session, appending: Appending, index: int, message: AppendMessage) -> Incoming:
    """A message with all its octets, and what of its flags the client may set."""
    content = appending.contents[index]
    if content is None:
        if not appending.spools[index].size:
            raise Refused(no("An empty message cannot be appended"))
        content = await appending.spools[index].seal()
    if not (session.wire.utf8 or session.service.takes_8bit_headers or _is_plain(content)):
        raise Refused(no("The header has 8-bit characters: ENABLE UTF8=ACCEPT first (RFC 9755 4)", b"CANNOT"))
    return Incoming(
        content=content,
        internaldate=message.internaldate,
        flags=message.flags.bits & appending.may.flags,
        keywords=message.flags.keywords if appending.may.keywords else (),
    )


async def _replace(session: Session, appending: Appending, message: Incoming) -> Reply:
    """RFC 8508 3.4 and 4.3: both at once, APPENDUID untagged, then what became of the mailbox.

    Between two accounts there is no commit for both: the old message goes once the new one is safe.
    """
    box, place, uid = session.box, appending.place, appending.uid
    assert uid is not None
    if place.account.id == box.account.id:
        result = await place.account.append(place.id, [message], replaces=(box.id, uid))
    else:
        result = await place.account.append(place.id, [message])
        await box.account.store.expunge(box.id, [uid], only_deleted=False)
    session.added(place, result.uids)
    session.send(response.ok(b"*", "Replacement message added", _appenduid(result)))
    known = box.view.snapshot.uidnext
    changes = box.view.changes(await box.account.snapshot(box.id), expunge_ok=True)
    if changes.exists is not None:
        await box.claim_recent(known)
    await updates.send_changes(session, changes)
    if session.wire.qresync and changes.vanished:
        return ok("Replace completed", response.number_code(b"HIGHESTMODSEQ", box.view.modseq))
    return ok("Replace completed")


def _appenduid(result: AppendResult) -> bytes:
    return response.appenduid(result.uidvalidity, ranges_of(result.uids))


def abandon(session: Session) -> None:
    """Forget a command that will not be completed."""
    if session.appending is not None:
        session.appending.close()
        session.appending = None

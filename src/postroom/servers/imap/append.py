"""APPEND with one message or more: octets go to a spool as they come, and into the mailbox all at once.

Owns: the spools of the messages that have arrived, until the store takes them over or the command fails.
Trusts: nothing in the messages. 8-bit headers are accepted from every client (RFC 9051 4.3.1; RFC 6855 4 would refuse
them from clients that did not ENABLE UTF8=ACCEPT, but such mail exists and its owner wants to keep it).
Standards: RFC 9051 6.3.12, RFC 3502, RFC 4315 3 (APPENDUID), RFC 7889 4 (TOOBIG), RFC 9208 4.3.1 (OVERQUOTA).
On failure: the literal is refused before it comes where the reason is known; else its octets are thrown away and the
command ends with NO.
"""

from __future__ import annotations

from typing import Final, cast

from postroom.mailbox.places import Place, may_set
from postroom.mailbox.service import Account, Incoming
from postroom.servers.imap.copy import destination
from postroom.servers.imap.replies import Refused, Reply, no, ok, reply_for
from postroom.servers.imap.session import Session
from postroom.store.api import NotFound, Spool
from postroom.wire.imap import response
from postroom.wire.imap.commands import Append, AppendMessage, Command
from postroom.wire.imap.events import AppendData, AppendEnd, AppendStart
from postroom.wire.imap.sequence import ranges_of


class Appending:
    """The messages of one APPEND so far. fault: why the command will fail though its octets still come."""

    __slots__ = ("announced", "fault", "may", "messages", "place", "spools", "total")

    def __init__(self, place: Place) -> None:
        self.place: Final = place
        self.may: Final = may_set(place.rights)
        self.announced: list[AppendMessage] = []
        self.messages: list[Incoming] = []
        self.spools: list[Spool] = []
        self.total = 0
        self.fault: Reply | None = None

    def close(self) -> None:
        """Forget what the store did not take over."""
        for spool in self.spools:
            spool.close()
        self.spools.clear()


async def start(session: Session, event: AppendStart) -> None:
    """A message is announced: take it, or say why not."""
    try:
        if event.index == 0:
            session.appending = Appending(await destination(session, event.mailbox))
        appending = session.appending
        assert appending is not None
        appending.total += event.message.size
        await _check(appending.place.account, event.message, appending.total, event.index + 1)
        appending.announced.append(event.message)
        appending.spools.append(session.service.store.spool())
    except Exception as fault:
        reply = reply_for(fault) or session.service.bug(session, "APPEND", fault)
        abandon(session)
        session.wire.refuse()
        session.send(reply.line(event.tag))
        return
    session.send(session.wire.accept())


async def _check(account: Account, message: AppendMessage, total: int, count: int) -> None:
    """What is known before the octets come. total, count: octets and messages of this APPEND so far."""
    if not message.size:
        raise Refused(no("An empty message cannot be appended"))  # RFC 3502 6.3.11: and ends a MULTIAPPEND
    limit = account.append_limit
    if message.size > limit:
        raise Refused(no(f"Messages may have at most {limit} octets", b"TOOBIG"))
    quota = await account.quota()
    if not quota.has_room(total, count):
        raise Refused(no("There is not enough room left for this (quota)", b"OVERQUOTA"))


def data(session: Session, event: AppendData) -> None:
    """The next octets of the message."""
    appending = session.appending
    if appending is None or appending.fault is not None:
        return
    try:
        appending.spools[-1].write(event.data)
    except Exception as fault:
        appending.fault = reply_for(fault) or session.service.bug(session, "APPEND", fault)
        appending.close()


async def end(session: Session, event: AppendEnd) -> None:
    """The message is complete: its octets are durable before the command goes on."""
    appending = session.appending
    if appending is None or appending.fault is not None:
        return
    try:
        content = await appending.spools[event.index].seal()
    except Exception as fault:
        appending.fault = reply_for(fault) or session.service.bug(session, "APPEND", fault)
        appending.close()
        return
    message = appending.announced[event.index]
    appending.messages.append(
        Incoming(
            content=content,
            internaldate=message.internaldate,
            flags=message.flags.bits & appending.may.flags,
            keywords=message.flags.keywords if appending.may.keywords else (),
        )
    )


async def append(session: Session, command: Command) -> Reply:
    """The command is complete: add the messages, all or none."""
    appending = session.appending
    assert appending is not None
    try:
        if appending.fault is not None:
            return appending.fault
        result = await appending.place.account.append(appending.place.id, appending.messages)
    except NotFound:
        return no("The mailbox was deleted meanwhile", b"TRYCREATE")
    finally:
        abandon(session)
    session.added(appending.place, result.uids)
    count = len(cast(Append, command.args).messages)
    code = response.appenduid(result.uidvalidity, ranges_of(result.uids))
    return ok("Append completed" if count == 1 else f"Append of {count} messages completed", code)


def abandon(session: Session) -> None:
    """Forget an APPEND that will not be completed."""
    if session.appending is not None:
        session.appending.close()
        session.appending = None

"""Parts of messages that are here already, put into a new one (RFC 4469).

Octets are copied as they are, a slice at a time; nothing is marked as seen.
Trusts: mailbox.places for what the login may read.
On failure: NO [BADURL] for whatever the URL names that is not there or not to be read (RFC 4469 4.1).
"""

from __future__ import annotations

import re
from typing import Final

from postroom.mailbox import sections
from postroom.mailbox.errors import MailboxError
from postroom.mailbox.places import Place
from postroom.servers.imap.bodies import SLICE
from postroom.servers.imap.pace import Pace
from postroom.servers.imap.replies import Refused, no
from postroom.servers.imap.session import Session
from postroom.store.api import NotFound, Spool
from postroom.values import rights as right
from postroom.values.content import Content
from postroom.wire.imap import url as urls
from postroom.wire.imap.commands import Item
from postroom.wire.imap.errors import BadSyntax

#: octets that cannot stand in a response code (RFC 4469 5)
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x5c\x5e-\x7e]")


async def add_part(session: Session, text: str, spool: Spool, limit: int) -> None:
    """Put the octets that a URL names at the end of a message. Raises Refused, OSError, StoreError."""
    try:
        url = urls.parse(text)
        place = await _place(session, url.mailbox)
        snapshot = await place.account.snapshot(place.id)
        seq = snapshot.seq(url.uid)
        if seq is None or url.uidvalidity not in (None, snapshot.uidvalidity):
            raise _bad(text)
        page, where = snapshot.locate(seq)
        message = page.messages[where]
        content = await place.account.store.content(message)
        found = await _octets(place, message, content, url.item)
    except (BadSyntax, MailboxError, NotFound):
        raise _bad(text) from None
    if found is None:
        raise _bad(text)
    start, end = found if isinstance(found, tuple) else (0, len(found))
    if spool.size + end - start > limit:
        raise Refused(no(f"Messages may have at most {limit} octets", b"TOOBIG"))
    if isinstance(found, bytes):
        spool.write(found)
        return
    pace = Pace(session.link)
    while start < end:
        data = content.read(start, min(start + SLICE, end))
        if not data:
            raise OSError("the file of a message is shorter than it should be")
        spool.write(data)
        start += len(data)
        await pace.breathe()


async def _place(session: Session, mailbox: str | None) -> Place:
    if mailbox is not None:
        return await session.world.find(mailbox, right.READ)
    if session.selected is None:
        raise NotFound
    return session.selected.place


async def _octets(place: Place, message: int, content: Content, item: Item) -> bytes | tuple[int, int] | None:
    """Where a section lies in its message, or what it is; None when there is no such part."""
    (row,) = await place.account.store.rendered([message])
    if sections.needs_reading(item):
        return sections.read(item, content, row.header, row.parts)
    return sections.span(item, content.size, row.header, row.parts)


def _bad(text: str) -> Refused:
    printed = _UNPRINTABLE.sub(lambda found: f"%{ord(found[0]):02X}", text)[:1000]
    return Refused(no("There is no such message or part", b"BADURL " + printed.encode("ascii")))

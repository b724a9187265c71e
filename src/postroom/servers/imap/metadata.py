"""GETMETADATA and SETMETADATA, METADATA within LIST, and news of annotations that others changed.

The rules about entries are mailbox.metadata'; here they become IMAP. News is told to clients that enabled it, of all
mailboxes of the log-in's account and of the selected one: names of entries only (RFC 5464 4.4.2).
Standards: RFC 5464 4, RFC 9590 3.
On failure: errors of mailbox.metadata; a value too long is NO [METADATA MAXSIZE n].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, cast

from postroom.mailbox import metadata
from postroom.mailbox.errors import AnnotationTooLong
from postroom.mailbox.metadata import Subject, Value
from postroom.servers.imap import filters
from postroom.servers.imap.replies import Refused, Reply, no, ok
from postroom.store.api import Annotation, Hint, StoreError
from postroom.values import rights as right
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, GetMetadata, MetadataOptions, SetMetadata

if TYPE_CHECKING:
    from postroom.mailbox.places import Place
    from postroom.mailbox.service import Account
    from postroom.servers.imap.session import Session

_PLAIN: Final = MetadataOptions()


async def get_metadata(session: Session, command: Command) -> Reply:
    """GETMETADATA (RFC 5464 4.2)."""
    args = cast(GetMetadata, command.args)
    subject = await _subject(session, args.mailbox)
    values, longest = _short_enough(await _read(session, subject, args.entries, args.options), args.options.most)
    if values:
        session.send(response.metadata(subject.name, values, session.wire.utf8))
    return ok("Getmetadata completed", b"METADATA LONGENTRIES %d" % longest if longest else b"")


async def metadata_line(session: Session, place: Place, entries: Sequence[str], options: MetadataOptions) -> bytes:
    """The METADATA response of a mailbox in a LIST (RFC 9590 3); b"" when there is nothing to say."""
    subject = Subject(place, session.me)
    if not subject.allowed:
        return b""
    values, _ = _short_enough(await _read(session, subject, entries, options), options.most)
    return response.metadata(subject.name, values, session.wire.utf8) if values else b""


async def set_metadata(session: Session, command: Command) -> Reply:
    """SETMETADATA (RFC 5464 4.3)."""
    args = cast(SetMetadata, command.args)
    subject = await _subject(session, args.mailbox)
    if subject.place is None:
        filters.check(args.values)
    try:
        modseq = await metadata.write(subject, args.values)
    except AnnotationTooLong as fault:
        most = session.me.limits.annotation_size
        raise Refused(no(str(fault), b"METADATA MAXSIZE %d" % most)) from None
    if session.annotated is not None:
        session.annotated.did(subject.store.id, modseq)
    if session.watch is not None:
        session.watch.wrote(subject.store.id, modseq)
    return ok("Setmetadata completed")


async def _subject(session: Session, mailbox: str) -> Subject:
    """What a command is about; "" is the server."""
    return Subject(await session.world.find(mailbox, right.LOOKUP) if mailbox else None, session.me)


async def _read(
    session: Session, subject: Subject, entries: Sequence[str], options: MetadataOptions = _PLAIN
) -> list[Value]:
    return await metadata.read(subject, entries, options.depth, session.service.annotations)


def _short_enough(values: list[Value], most: int | None) -> tuple[list[Value], int]:
    """RFC 5464 4.2.1: the values within MAXSIZE, and the octets of the longest that is not."""
    if most is None:
        return values, 0
    sizes = [len(value or b"") for _, value in values]
    told = [value for value, size in zip(values, sizes, strict=True) if size <= most]
    return told, max((size for size in sizes if size > most), default=0)


# --- news


class _Ear:
    """What a client knows of the annotations of one account: changes up to MODSEQ `since`, and its own."""

    __slots__ = ("account", "end", "news", "own", "since")

    def __init__(self, account: Account, since: int, heard: Callable[[], None]) -> None:
        self.account: Final = account
        self.since = since
        self.own: set[int] = set()
        self.news = False

        def tell(_hint: Hint) -> None:
            self.news = True
            heard()

        self.end: Final = account.watch(0, tell)

    async def changes(self, login: str) -> list[Annotation]:
        """What others changed since the last time, as far as the log-in sees it."""
        self.news = False
        changed = await self.account.store.annotated(login, self.since)
        if not changed:
            return []
        self.since = changed[-1].modseq
        foreign = [one for one in changed if one.modseq not in self.own]
        self.own.clear()
        return foreign


class Annotated:
    """The ears of a client that enabled METADATA: on its own account, and on that of the mailbox it has selected."""

    __slots__ = ("_followed", "_heard", "_me", "_place")

    def __init__(self, me: Account, since: int, heard: Callable[[], None]) -> None:
        self._heard: Final = heard
        self._me: Final = _Ear(me, since, heard)
        self._followed: _Ear | None = None
        self._place: Place | None = None

    @property
    def news(self) -> bool:
        """Is there anything to look at?"""
        return self._me.news or (self._followed is not None and self._followed.news)

    def did(self, account: str, modseq: int) -> None:
        """The client made this change itself."""
        for ear in (self._me, self._followed):
            if ear is not None and ear.account.id == account:
                ear.own.add(modseq)

    async def follow(self, place: Place) -> None:
        """The client selected a mailbox of another account."""
        since = await _newest(place.account, self._me.account.id)
        self.unfollow()
        self._followed, self._place = _Ear(place.account, since, self._heard), place

    def unfollow(self) -> None:
        """And left it."""
        if self._followed is not None:
            self._followed.end()
            self._followed = self._place = None

    def close(self) -> None:
        """Stop listening."""
        self.unfollow()
        self._me.end()

    async def changes(self) -> list[tuple[str, list[str]]]:
        """Names of mailboxes ("" is the server) and of their entries that others changed."""
        login = self._me.account.id
        found: dict[str, dict[str, None]] = {}
        if self._me.news:
            changed = await self._me.changes(login)
            boxes = {info.id: info.name for info in await self._me.account.store.mailboxes()} if changed else {}
            for one in changed:
                if not one.mailbox or one.mailbox in boxes:
                    found.setdefault(boxes.get(one.mailbox, ""), {})[metadata.printed(one)] = None
        if self._followed is not None and self._place is not None and self._followed.news:
            place = self._place
            for one in await self._followed.changes(login):
                if one.mailbox == place.id:
                    found.setdefault(place.name, {})[metadata.printed(one)] = None
        return [(name, list(entries)) for name, entries in found.items()]

    def again(self) -> None:
        """The store did not answer: look once more at the next occasion."""
        for ear in (self._me, self._followed):
            if ear is not None:
                ear.news = True


async def _newest(account: Account, login: str) -> int:
    """MODSEQ of the last change of an annotation."""
    known = await account.store.annotated(login, 0)
    return known[-1].modseq if known else 0


async def listen(session: Session) -> None:
    """The client enabled METADATA: it hears of changes from now on."""
    if session.annotated is None:
        since = await _newest(session.me, session.me.id)
        session.annotated = Annotated(session.me, since, session.noticed)
        if session.selected is not None:
            await follow(session)


async def follow(session: Session) -> None:
    """A client that hears of changes has selected a mailbox."""
    if session.annotated is not None and session.box.account.id != session.me.id:
        await session.annotated.follow(session.box.place)


async def tell(session: Session) -> None:
    """Send the names of entries that others changed."""
    if session.annotated is None or not session.annotated.news or session.watch is not None:
        return  # a client that said NOTIFY hears what it asked for there
    try:
        changed = await session.annotated.changes()
    except StoreError:
        session.annotated.again()
        return
    for mailbox, entries in changed:
        session.send(response.metadata_changed(mailbox, entries, session.wire.utf8))

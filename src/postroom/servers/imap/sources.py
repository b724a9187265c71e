"""Which mailboxes an ESEARCH is for (RFC 7377 2.2).

Of messages that can be restored, and of saved searches, nothing is meant but by name: PERSONAL is the login's own
mailboxes. INBOXES is the same: a script may deliver anywhere (RFC 5465 6.3).
Owns: the list of the login's own mailboxes, for one command. Trusts: mailbox.places for what the login may see; what it
may not read is passed over without a word (RFC 7377 5).
Standards: RFC 7377 2.2; RFC 4314 ("r", and "l" for what was not named).
On failure: NO [LIMIT] for too many mailboxes, or too many names; the store's errors.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final

from postroom.mailbox import names
from postroom.mailbox.errors import MailboxError
from postroom.mailbox.places import Place, seen
from postroom.servers.imap.pace import Pace
from postroom.servers.imap.replies import Refused, no
from postroom.servers.imap.session import Session
from postroom.store.api import MailboxInfo, NotFound
from postroom.values import rights as right
from postroom.wire.imap.commands import Source

#: mailboxes that one command searches, and names that it gives
MOST: Final = 5000
MOST_NAMES: Final = 1000
_SHOWN: Final = right.LOOKUP | right.READ


class Sources:
    """What one command means. turns: lets others have theirs between names."""

    __slots__ = ("_own", "_session", "_turns")

    def __init__(self, session: Session, turns: Pace) -> None:
        self._session = session
        self._turns = turns
        self._own: list[MailboxInfo] | None = None

    async def places(self, sources: Sequence[Source]) -> list[Place]:
        """The mailboxes that the login may search, each once, in order. Raises Refused, StoreError."""
        if sum(len(source.names) for source in sources) > MOST_NAMES:
            raise Refused(no(f"{MOST_NAMES} names can be given at once", b"LIMIT"))
        found: dict[tuple[str, int], Place] = {}
        for source in sources:
            async for place in self._of(source):
                found.setdefault((place.account.id, place.id), place)
                if len(found) > MOST:
                    raise Refused(no(f"{MOST} mailboxes can be searched at once; name fewer", b"LIMIT"))
        return list(found.values())

    def _of(self, source: Source) -> AsyncIterator[Place]:
        match source.kind:
            case "SELECTED":
                return self._selected()
            case "INBOXES" | "PERSONAL":
                return self._personal()
            case "SUBSCRIBED":
                return self._subscribed()
            case "MAILBOXES":
                return self._named(source.names, right.READ)
            case _:
                return self._subtrees(source.names, deep=source.kind == "SUBTREE")

    async def _selected(self) -> AsyncIterator[Place]:
        """As it is called now: it may have another name than when it was selected."""
        box = self._session.box
        for info in await box.account.store.mailboxes():
            if info.id == box.id:
                yield Place(box.place.realm, info, box.granted)

    async def _personal(self) -> AsyncIterator[Place]:
        for info in await self._mine():
            yield self._session.world.own_place(info)

    async def _subscribed(self) -> AsyncIterator[Place]:
        subscribed = sorted(await self._session.world.subscribed(), key=names.place)
        async for place in self._named(subscribed, _SHOWN):
            yield place

    async def _named(self, wanted: Sequence[str], needed: int) -> AsyncIterator[Place]:
        """Those that are there for this login; nobody learns which of the others are."""
        for name in wanted:
            place = None
            with suppress(MailboxError, NotFound):
                place = await self._session.world.find(name, needed)
            if place is not None:
                yield place
            await self._turns.breathe()

    async def _subtrees(self, tops: Sequence[str], *, deep: bool) -> AsyncIterator[Place]:
        """Mailboxes that are named, and those below them that may be seen."""
        for top in tops:
            async for place in self._named([top], right.READ):
                yield place
            async for place in self._below(names.normalize(top), deep=deep):
                yield place

    async def _below(self, top: str, *, deep: bool) -> AsyncIterator[Place]:
        prefix = top + names.DELIMITER if top else ""
        world = self._session.world

        def lies_there(name: str) -> bool:
            return name.startswith(prefix) and (deep or names.DELIMITER not in name[len(prefix) :])

        if not world.is_foreign(prefix):
            for info in await self._mine():
                if lies_there(info.name):
                    yield world.own_place(info)
        async for realm in world.realms_at([top]):
            rights = {info.id: granted for info, granted in await seen(realm)}
            for info in _in_order(await realm.account.store.mailboxes()):
                granted = rights.get(info.id, right.NONE)
                if granted & _SHOWN == _SHOWN and lies_there(realm.prefix + info.name):
                    yield Place(realm, info, granted)
            await self._turns.breathe()

    async def _mine(self) -> list[MailboxInfo]:
        if self._own is None:
            self._own = _in_order(await self._session.me.store.mailboxes())
        return self._own


def _in_order(infos: Sequence[MailboxInfo]) -> list[MailboxInfo]:
    return sorted(infos, key=lambda info: names.place(info.name))

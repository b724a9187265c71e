"""News of annotations for a client that said NOTIFY: names of entries that others changed (RFC 5465 5.6 and 5.7).

Owns: up to which change of each account the client was told. What it changed itself is not told.
Standards: RFC 5464 4.4.2 (METADATA without values).
On failure: StoreError; the caller looks again later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from postroom.mailbox import metadata
from postroom.mailbox.metadata import Subject
from postroom.mailbox.places import Place, Realm
from postroom.servers.imap.interests import MAILBOX_METADATA_CHANGE
from postroom.servers.imap.relisting import Around
from postroom.servers.imap.session import Session
from postroom.wire.imap import response

#: the events of a name in a realm
EventsOf = Callable[[Realm, str], frozenset[str]]


class Annotations:
    """What one client knows."""

    __slots__ = ("_own", "_server", "_since")

    def __init__(self, *, server: bool) -> None:
        """server: the server's are told, too."""
        self._server = server
        self._since: dict[str, int] = {}
        self._own: set[tuple[str, int]] = set()

    def wrote(self, account: str, modseq: int) -> None:
        """The client made this change itself."""
        self._own.add((account, modseq))

    async def tell(self, session: Session, around: Around, events: EventsOf) -> None:
        """Send what changed in an account since the last time; the first time only note how things stand."""
        store = around.realm.account.store
        since = self._since.get(store.id)
        changed = await store.annotated(session.me.id, since or 0)
        if changed:
            self._since[store.id] = changed[-1].modseq
        else:
            self._since.setdefault(store.id, 0)
        if since is None:
            return
        own, self._own = self._own, {mine for mine in self._own if mine[0] != store.id}
        news = [one for one in changed if (store.id, one.modseq) not in own]
        if not news:
            return
        names = self._names(session, around, events)
        found: dict[str, dict[str, None]] = {}
        for one in news:
            name = names.get(one.mailbox)
            if name is not None:
                found.setdefault(name, {})[metadata.printed(one)] = None
        for name, entries in found.items():
            session.send(response.metadata_changed(name, entries, session.wire.utf8))

    def _names(self, session: Session, around: Around, events: EventsOf) -> dict[int, str]:
        """The mailboxes of an account whose annotations are watched; 0: those of the server."""
        realm: Final = around.realm
        found = {}
        for info, rights in around.visible:
            name = realm.prefix + info.name
            place = Place(realm, info, rights)
            if MAILBOX_METADATA_CHANGE in events(realm, name) and Subject(place, session.me).allowed:
                found[info.id] = name
        if self._server and not realm.prefix:
            found[0] = ""
        return found

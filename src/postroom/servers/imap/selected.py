"""The mailbox a client has selected: its view, and the ear on the change feed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from postroom.mailbox.places import Home, Place
from postroom.mailbox.recent import Recent
from postroom.mailbox.view import View
from postroom.mailbox.views import VIEW_REALMS
from postroom.servers.imap.contexts import Contexts
from postroom.servers.imap.replies import NO_PERMISSION, READ_ONLY, Refused
from postroom.store.api import Hint, SeenMode, Snapshot
from postroom.values import rights as right
from postroom.wire.imap.rows import FlagTexts

#: RFC 4314 5.2: who has none of these has the mailbox READ-ONLY; a \\Seen of one's own does not count
_CHANGING: Final = right.INSERT | right.EXPUNGE | right.SEEN | right.WRITE | right.DELETE_MESSAGE


class Selected:
    """A selected mailbox. place: as it was when selected; a rename does not matter to its client (RFC 2180 3.4).

    own: of the login's account, with all rights, always.
    granted: the login's rights, as of this command; rights: those that count here: none that change anything after
    EXAMINE.
    """

    __slots__ = (
        "_counts",
        "_end",
        "_texts",
        "account",
        "contexts",
        "examined",
        "granted",
        "modseqs",
        "own",
        "place",
        "recent",
        "recent_told",
        "rights",
        "view",
    )

    def __init__(self, place: Place, view: View, *, examined: bool) -> None:
        self.place: Final = place
        self.account: Final = place.account
        self.own: Final = isinstance(place.realm, Home)
        self.view: Final = view
        self.examined: Final = examined
        #: RFC 7162 3.1.2: False for a mailbox of the past, which has none
        self.modseqs: Final = not isinstance(place.realm, VIEW_REALMS)
        private = not self.own and place.info.seen is SeenMode.PRIVATE
        self._counts: Final = _CHANGING & ~right.SEEN if private else _CHANGING
        self.granted = self.rights = right.NONE
        self.grant(place.rights)
        self.recent: Final = Recent()
        self.contexts: Final = Contexts()
        self.recent_told = 0  # how many the client knows of
        self._end: Callable[[], None] | None = None
        self._texts: tuple[tuple[str, ...], FlagTexts] | None = None

    def grant(self, rights: int) -> None:
        """These are the login's rights from now on."""
        self.granted = rights
        self.rights = rights & ~_CHANGING if self.examined else rights

    @property
    def id(self) -> int:
        """The mailbox's id in its account's store."""
        return self.place.id

    @property
    def read_only(self) -> bool:
        """Nothing in it can be changed by this client."""
        return not self.rights & self._counts

    def demand(self, needed: int) -> None:
        """Stop the command unless the client has all of these rights. Raises Refused."""
        if self.rights & needed != needed:
            raise Refused(READ_ONLY if self.examined else NO_PERMISSION)

    async def claim_recent(self, since: int = 0) -> None:
        """Of the messages from UID `since` on, those that nobody was told of before are recent here.

        And nowhere else, unless the mailbox is open read-only (RFC 3501 2.3.2).
        """
        uidnext = self.view.snapshot.uidnext
        first = await self.account.store.recent(self.id, uidnext, claim=not self.read_only)
        self.recent.add(max(first, since), uidnext)

    def watch(self, news: Callable[[Hint], None]) -> None:
        """Call `news` on changes from now until `close`."""
        self._end = self.account.watch(self.id, news)

    def close(self) -> None:
        """Stop listening."""
        if self._end is not None:
            self._end()
            self._end = None

    def flag_texts(self, snapshot: Snapshot) -> FlagTexts:
        """Prints flags of this snapshot; kept while the keywords stay the same and there are any."""
        if not snapshot.keywords:
            return _NO_KEYWORDS
        if self._texts is None or self._texts[0] != snapshot.keywords:
            self._texts = (snapshot.keywords, FlagTexts(snapshot.keywords))
        return self._texts[1]


_NO_KEYWORDS: Final = FlagTexts(())

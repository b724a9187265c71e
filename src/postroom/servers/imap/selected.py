"""The mailbox a client has selected: its view, and the ear on the change feed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from postroom.mailbox.recent import Recent
from postroom.mailbox.view import View
from postroom.store.api import Hint, MailboxInfo, Snapshot
from postroom.wire.imap.rows import FlagTexts

if TYPE_CHECKING:
    from postroom.mailbox.service import Account


class Selected:
    """A selected mailbox. info: as it was when selected; a rename does not matter to its client (RFC 2180 3.4)."""

    __slots__ = ("_end", "_texts", "info", "read_only", "recent", "recent_told", "view")

    def __init__(self, info: MailboxInfo, view: View, *, read_only: bool) -> None:
        self.info: Final = info
        self.view: Final = view
        self.read_only: Final = read_only
        self.recent: Final = Recent()
        self.recent_told = 0  # how many the client knows of
        self._end: Callable[[], None] | None = None
        self._texts: tuple[tuple[str, ...], FlagTexts] | None = None

    @property
    def id(self) -> int:
        """The mailbox's id in the store."""
        return self.info.id

    async def claim_recent(self, account: Account, since: int = 0) -> None:
        """Of the messages from UID `since` on, those that nobody was told of before are recent here.

        And nowhere else, unless the mailbox is open read-only (RFC 3501 2.3.2).
        """
        uidnext = self.view.snapshot.uidnext
        first = await account.store.recent(self.id, uidnext, claim=not self.read_only)
        self.recent.add(max(first, since), uidnext)

    def watch(self, account: Account, news: Callable[[], None]) -> None:
        """Call `news` on changes from now until `close`."""

        def tell(_hint: Hint) -> None:
            news()

        self._end = account.watch(self.info.id, tell)

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

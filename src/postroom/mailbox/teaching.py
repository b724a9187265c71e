"""What readers' acts say of mail: moved or copied into Junk it is unwanted, taken out of it, it is wanted; and the
keywords by which mail programs say the same.

What the server files as junk by itself teaches nothing, and neither does mail that goes to Trash.
Owns: nothing; whoever learns is told after the change is durable.
Standards: $Junk, $NotJunk (RFC 9051 2.3.2); Junk and NonJunk are what Thunderbird writes.
On failure: nothing is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from postroom.store.api import AccountStore, FlagChange, FlagOp, StoreError

#: told (account id, mailbox, UIDs, unwanted)
Tell = Callable[[str, int, Sequence[int], bool], None]

_JUNK: Final = "\\Junk"
_SAYS_NOTHING: Final = frozenset((_JUNK, "\\Trash", "\\Drafts", "\\Sent"))
_UNWANTED: Final = frozenset(("$junk", "junk"))
_WANTED: Final = frozenset(("$notjunk", "nonjunk", "notjunk"))


class Teaching:
    """One for all accounts of a process. on: does anybody learn."""

    __slots__ = ("_tell", "on")

    def __init__(self, tell: Tell, *, on: bool = True) -> None:
        self._tell = tell
        self.on = on

    async def put(self, account: AccountStore, source: int, target: int, uids: Sequence[int]) -> None:
        """Messages went from one mailbox to another of the account; uids: those they have in the target."""
        if not (uids and self.on):
            return
        try:
            uses = {info.id: info.special_use for info in await account.mailboxes()}
        except StoreError:
            return  # what was asked for is done all the same
        before, after = uses.get(source, ""), uses.get(target, "")
        if after == _JUNK != before:
            self._tell(account.id, target, uids, True)
        elif before == _JUNK and after not in _SAYS_NOTHING:
            self._tell(account.id, target, uids, False)

    def marked(self, account: AccountStore, mailbox: int, change: FlagChange, uids: Sequence[int]) -> None:
        """Flags were added to messages, or set; uids: those whose flags changed."""
        if not self.on or not change.keywords or change.op is FlagOp.REMOVE or not uids:
            return
        said = {keyword.lower() for keyword in change.keywords}
        if said & _UNWANTED and not said & _WANTED:
            self._tell(account.id, mailbox, uids, True)
        elif said & _WANTED:
            self._tell(account.id, mailbox, uids, False)

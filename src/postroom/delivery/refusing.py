"""Would the recipient's filter refuse a message: asked before it is accepted, so that it need not be sent back.

Only scripts that can refuse are run, and nothing of what else they want is done.
Owns: nothing. Trusts: as `sorting`. Standards: RFC 5429 2.1.1, 2.2 (the text must be ASCII).
On failure: never; what cannot be said now is said at delivery.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from postroom.delivery.outgoing import Arrived
from postroom.delivery.sorting import Placement, Sorter
from postroom.identity.model import Found
from postroom.mailbox.names import INBOX
from postroom.mailbox.service import Mailboxes
from postroom.message.index import index
from postroom.sieve.actions import Reject
from postroom.store.api import NewEntry, StoreError, new_entry

_REFUSING: Final = frozenset(("reject", "ereject"))
#: octets of a message that is looked at now; characters of a reason
_LARGEST: Final = 1024 * 1024
_LONGEST: Final = 400
_PLAIN: Final = "The recipient's mail filter refuses this message"


class Refuses:
    """Asked by intake. find: the account that mail for an address is kept in."""

    def __init__(self, sorter: Sorter, mailboxes: Mailboxes, find: Callable[[str], Awaitable[Found | None]]) -> None:
        self._sorter = sorter
        self._mailboxes = mailboxes
        self._find = find

    async def __call__(self, new: NewEntry) -> str:
        """Why the only recipient of a message refuses it, "" when it does not."""
        try:
            found = await self._find(new.recipients[0].address)
            if found is None or not found.row.filtered or new.content.size > _LARGEST:
                return ""
            account = await self._mailboxes.open(found.row)
            compiled = await self._sorter.programs.of(account)
            if compiled is None or compiled.program is None or _REFUSING.isdisjoint(compiled.program.uses):
                return ""
            entry = new_entry(new, 0, new.content.with_prefix(new.trace))
            rendered = index(entry.content.source(), len(entry.content.prefix))
            mail = Arrived(
                entry=entry,
                recipient=entry.recipients[0],
                row=found.row,
                content=entry.content,
                header=rendered.header,
            )
            placement = Placement(
                mailbox=INBOX, keywords=(), index=rendered, separators=found.separators, name=found.name
            )
            result = await self._sorter.run(account, mail, placement, compiled)
        except StoreError:
            return ""
        for action in result.actions:
            if isinstance(action, Reject):
                return _spoken(action)
        return ""


def _spoken(action: Reject) -> str:
    """The text of the reply; of `reject` only when it can be said as it is (RFC 5429 2.2)."""
    reason = " ".join(action.reason.split())
    if reason.isascii() and reason.isprintable() and len(reason) <= _LONGEST:
        return reason or _PLAIN
    return _PLAIN if action.extended else ""

"""Copies of what members sent as a shared account, in its mailbox for sent mail, each message once.

A mail program may file its own copy there as well, before or after ours. Ours gives way: a message with the same
Message-ID among the newest ones that came lately is the same message, and a copy that a client appends replaces it,
because it may say more (Bcc). So there is one, and it has the client's words.
Owns: nothing. Trusts: Message-IDs only within this mailbox and ten minutes: who invents one twice hides his own copy.
Standards: RFC 5322 3.6.4, RFC 6154 2 (\\Sent).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from postroom.mailbox.envelope import MESSAGE_ID, field
from postroom.store.api import AccountStore, MailboxInfo, NewMessage

if TYPE_CHECKING:
    from postroom.mailbox.service import Account

#: messages, from the newest, and seconds in which both copies arrive
_LOOKED_AT: Final = 50
_WITHIN: Final = 600


async def mailbox_of(account: Account) -> MailboxInfo | None:
    r"""Where an account keeps sent mail: the mailbox with \Sent, or one of that name."""
    return await account.special("\\Sent") or await account.store.mailbox("Sent")


async def twin(store: AccountStore, mailbox: int, new: Sequence[NewMessage], now: float) -> tuple[int, int] | None:
    r"""What an appended message stands in for, as (mailbox, UID): the copy of it that is there, in a \Sent mailbox."""
    if len(new) != 1:
        return None
    info = next((one for one in await store.mailboxes() if one.id == mailbox), None)
    if info is None or info.special_use != "\\Sent":
        return None
    uid = await find(store, mailbox, new[0].envelope, now)
    return None if uid is None else (mailbox, uid)


async def find(store: AccountStore, mailbox: int, envelope: bytes, now: float) -> int | None:
    """The UID of the message with the Message-ID of an ENVELOPE, if it came within the last minutes."""
    wanted = field(envelope, MESSAGE_ID)
    if not isinstance(wanted, bytes) or not wanted:
        return None
    snapshot = await store.snapshot(mailbox)
    count = len(snapshot)
    recent = [
        (page.uids[place], page.messages[place])
        for _, page, begin, end in snapshot.runs(max(count - _LOOKED_AT + 1, 1), count)
        for place in range(begin, end)
        if page.saved[place] >= now - _WITHIN
    ]
    envelopes = await store.columns([message for _, message in recent], "envelope")
    pairs = zip(recent, envelopes, strict=True)
    return next(islice((uid for (uid, _), text in pairs if field(text, MESSAGE_ID) == wanted), 1), None)

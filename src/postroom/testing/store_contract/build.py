"""Small builders for store tests: a clock to set, messages, queue entries, and a snapshot as plain rows."""

from __future__ import annotations

from collections.abc import Set
from itertools import count
from typing import Any, NamedTuple

from postroom.store.api import AccountStore, MailboxInfo, NewEntry, NewMessage, NewRecipient, Snapshot, Store
from postroom.values.content import Content

_guids = count(1)


class SettableClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self.time

    def monotonic(self) -> float:
        """The same seconds."""
        return self.time


def message(octets: bytes | Content = b"Subject: x\r\n\r\nbody\r\n", **fields: Any) -> NewMessage:
    """A message to append; rendered fields name its number, so that mix-ups show."""
    number = next(_guids)
    content = octets if isinstance(octets, Content) else Content.of(octets)
    given: dict[str, Any] = {
        "content": content,
        "guid": f"{number:032x}",
        "internaldate": 1_600_000_000 + number,
        "envelope": b"(envelope %d)" % number,
        "structure": b"(structure %d)" % number,
        "bodystructure": b"(bodystructure %d)" % number,
        "parts": b"parts %d" % number,
        "header": min(12, content.size),
    }
    return NewMessage(**(given | fields))


def received(number: str, *recipients: str, octets: bytes | Content = b"hello\r\n", **fields: Any) -> NewEntry:
    """A queue entry for local recipients."""
    given: dict[str, Any] = {
        "id": number,
        "sender": "sender@example.org",
        "recipients": tuple(NewRecipient(address=address, route="local") for address in recipients or ("a@b.test",)),
        "content": octets if isinstance(octets, Content) else Content.of(octets),
        "received": 1000.0,
        "trace": b"Received: by test\r\n",
    }
    return NewEntry(**(given | fields))


class Row(NamedTuple):
    """One message of a snapshot."""

    uid: int
    flags: int
    keywords: Set[str]
    modseq: int
    message: int
    size: int
    date: int
    saved: int


def rows(snapshot: Snapshot) -> list[Row]:
    """A snapshot as plain rows, in order."""
    found = []
    for page in snapshot.pages:
        for place, uid in enumerate(page.uids):
            found.append(
                Row(
                    uid,
                    page.flags[place],
                    frozenset(snapshot.keyword_names(page.keywords[place])),
                    page.modseqs[place],
                    page.messages[place],
                    page.sizes[place],
                    page.dates[place],
                    page.saved[place],
                )
            )
    return found


def uids(snapshot: Snapshot) -> list[int]:
    """The UIDs of a snapshot."""
    return [uid for page in snapshot.pages for uid in page.uids]


async def open_account(store: Store, account: str = "acc1") -> tuple[AccountStore, MailboxInfo]:
    """A new account and its INBOX."""
    await store.create_account(account, [("INBOX", ""), ("Trash", "\\Trash")])
    opened = await store.account(account)
    inbox = await opened.mailbox("INBOX")
    assert inbox is not None
    return opened, inbox


async def named(account: AccountStore, name: str) -> MailboxInfo:
    """A mailbox that is there."""
    found = await account.mailbox(name)
    assert found is not None
    return found

"""Identifiers of mailboxes, messages and threads that outlive names, moves and copies (RFC 8474).

A mailbox's and a message's are made of the account and the number the store gave them, which it never gives twice; so
nothing is stored for them. A message copied from another account keeps what it was called there (store.api.Origin).
Threads have a 64-bit number that is the same in all accounts.
Each kind begins with a letter of its own, so no two identifiers of different kinds are equal (RFC 8474 5.2, 8.1).
Trusts nothing in texts of clients: what was not made here names nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from postroom.store.api import Origin

_EMAIL: Final = re.compile(r"M([0-9a-f]{16})-([1-9a-f][0-9a-f]{0,15})")
_THREAD: Final = re.compile(r"T([0-9a-f]{16})")


@lru_cache(maxsize=4096)
def _of_account(account: str) -> str:
    """16 hex digits that stand for an account: ids of accounts are not told to others who share its mailboxes."""
    return blake2b(account.encode(), digest_size=8).hexdigest()


def mailbox_id(account: str, mailbox: int) -> str:
    """MAILBOXID: of a mailbox for as long as it lives, whatever its name (RFC 8474 4)."""
    return f"F{_of_account(account)}-{mailbox:x}"


def email_ids(account: str, messages: Sequence[int], origins: Mapping[int, Origin]) -> list[bytes]:
    """EMAILIDs of messages; origins: those of them that came from another account."""
    prefix = b"M%b-" % _of_account(account).encode()
    if origins:
        printed = {message: origin.emailid.encode() for message, origin in origins.items()}
        return [printed.get(message) or b"%b%x" % (prefix, message) for message in messages]
    return [b"%b%x" % (prefix, message) for message in messages]


def message_of(account: str, emailid: str) -> int | None:
    """The message of this account that got this EMAILID here; None when it is not one of ours."""
    found = _EMAIL.fullmatch(emailid)
    return int(found[2], 16) if found and found[1] == _of_account(account) else None


def thread_id(number: int) -> bytes:
    """THREADID of a thread."""
    return b"T%016x" % number


def thread_of(threadid: str) -> int | None:
    """The number of a thread; None for a text that was not made here."""
    found = _THREAD.fullmatch(threadid)
    return int(found[1], 16) if found else None

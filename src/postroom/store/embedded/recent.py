r"""Up to which UID the messages of each mailbox were told to some session: what \Recent needs (RFC 3501 2.3.2).

One small file for each account: four octets a mailbox, at four times its id. Written with the selection of a mailbox
that has news, and never synced: what is lost makes messages recent once more, which RFC 3501 2.3.2 asks for when it
cannot be known. Two processes that look at the same instant may both call a message recent; that is undefined there.
On failure: never; a file that cannot be used is as if it were empty.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

_WIDTH: Final = 4
_MOST: Final = 2**32 - 1


class RecentMarks:
    """The marks of one account. Keeps what it has seen, so that only news cost a look at the file."""

    __slots__ = ("_known", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: dict[int, int] = {}

    def take(self, mailbox: int, uidnext: int, *, claim: bool) -> int:
        """The first UID below `uidnext` that no session was told of, or `uidnext`; claim: they are told now."""
        known = self._known.get(mailbox, 0)
        if known < uidnext:
            with suppress(OSError):
                known = max(known, self._exchange(mailbox, min(uidnext, _MOST), claim=claim))
            self._known[mailbox] = max(known, uidnext) if claim else known
        return min(known, uidnext)

    def _exchange(self, mailbox: int, uidnext: int, *, claim: bool) -> int:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            mark = int.from_bytes(os.pread(file, _WIDTH, mailbox * _WIDTH), "little")
            if claim and mark < uidnext:
                os.pwrite(file, uidnext.to_bytes(_WIDTH, "little"), mailbox * _WIDTH)
        finally:
            os.close(file)
        return mark

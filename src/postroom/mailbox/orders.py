"""What SORT and THREAD came to, kept for the client that asks again.

A client asks for the order of a mailbox whenever it opens it. What it is depends on nothing but the messages: a UID
stands for one message for ever (as long as UIDVALIDITY is the same), and what is sorted by never changes. So an answer
is known by the UIDs it is about, and is true whoever asks; there is nothing to be told of.
Owns: answers of large mailboxes, up to MOST octets in each process; those that were not asked for longest go first.
Pure. On failure: never; what is not known is made anew.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final, NamedTuple

#: octets in all
MOST: Final = 32 * 1024 * 1024
#: messages below which an answer is made as fast as it is looked up
LEAST: Final = 500
#: of an entry besides its columns
_OVERHEAD: Final = 512


class About(NamedTuple):
    """The messages an answer is about. mailbox: account, mailbox and UIDVALIDITY; uids: ascending."""

    mailbox: tuple[str, int, int]
    uids: array[int]


class _Kept(NamedTuple):
    columns: tuple[array[int], ...]
    answer: Any
    octets: int


class Orders:
    """The answers that are known."""

    __slots__ = ("_kept", "_most", "octets")

    def __init__(self, most: int = MOST) -> None:
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._most = most
        self.octets = 0

    def find(self, about: About, question: Hashable, *columns: array[int]) -> Any:
        """The answer to a question about these messages, None when it is not known. columns: what else it rests on."""
        key = about.mailbox, question
        kept = self._kept.get(key)
        if kept is None or kept.columns != (about.uids, *columns):
            return None
        self._kept.move_to_end(key)
        return kept.answer

    def before(self, mailbox: tuple[str, int, int], question: Hashable) -> tuple[array[int], Any] | None:
        """The UIDs that the question was answered for last, and the answer."""
        kept = self._kept.get((mailbox, question))
        return None if kept is None else (kept.columns[0], kept.answer)

    def keep(self, about: About, question: Hashable, answer: array[int] | bytes, *columns: array[int]) -> None:
        """Remember an answer in place of an older one; nobody may change it or the columns afterwards."""
        if len(about.uids) < LEAST:
            return
        size = len(answer) * (answer.itemsize if isinstance(answer, array) else 1)
        octets = size + _OVERHEAD + sum(len(column) * column.itemsize for column in (about.uids, *columns))
        key = about.mailbox, question
        self._forget(self._kept.pop(key, None))
        if octets > self._most // 2:
            return
        self._kept[key] = _Kept((about.uids, *columns), answer, octets)
        self.octets += octets
        while self.octets > self._most:
            self._forget(self._kept.popitem(last=False)[1])

    def _forget(self, kept: _Kept | None) -> None:
        if kept is not None:
            self.octets -= kept.octets

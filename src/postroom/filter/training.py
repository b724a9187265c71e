"""Learning from what readers do with their mail.

What a reader moved into Junk, or out of it, is learned for him and for everybody, soon after: requests wait in memory
and are worked off one message after the other, so that a thousand messages moved at once hold up nobody. How the
sender stands changes with it: his network, and his domain and address when our own Authentication-Results proved them.
Owns: the requests that wait; what a crash takes is learned no more, which costs one opinion.
Trusts: only the topmost trace fields, which we wrote.
On failure: an event; the next request is worked off.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, Protocol

from postroom.filter.health import ScannerFailed
from postroom.filter.judge import sender_keys
from postroom.filter.seen import Seen
from postroom.filter.tokens import read
from postroom.store.api import EVERYBODY, Lesson, NotFound, Snapshot, Store
from postroom.values.clock import Clock
from postroom.values.content import Content

#: requests that wait; what comes on top is forgotten
MOST_WAITING: Final = 10_000
#: how many unwanted messages one in a spam trap is worth, for the standing of who sent it
TRAP_WEIGHT: Final = 3.0
#: messages in spam traps from one network whose words are learned in a day
_TAUGHT: Final = 30
_NETWORKS: Final = 10_000
_DAY: Final = 86400.0
_PEER: Final = re.compile(r"\[(?:IPv6:)?([0-9a-fA-F.:]{3,45})\]")


class Event(Protocol):
    """Where the log is told."""

    def __call__(self, name: str, /, **fields: object) -> None: ...


#: told of a message, and whether it is unwanted. Raises ScannerFailed, OSError
Elsewhere = Callable[[Content, bool], Awaitable[None]]


class Trainer:
    """Learns for one worker. hostname: of our own Authentication-Results."""

    def __init__(self, store: Store, clock: Clock, event: Event, hostname: str) -> None:
        self._store = store
        self._clock = clock
        self._event = event
        self.hostname = hostname
        self._trapped = _Bounded(_TAUGHT)
        self.elsewhere: Elsewhere | None = None  # who else learns what readers say
        self._waiting: deque[tuple[str, int, Sequence[int], bool]] = deque()
        self._task: asyncio.Task[None] | None = None

    def teach(self, account: str, mailbox: int, uids: Sequence[int], spam: bool) -> None:
        """Learn these messages soon."""
        if len(self._waiting) >= MOST_WAITING:
            return
        self._waiting.append((account, mailbox, uids, spam))
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._work())

    async def settled(self) -> None:
        """Wait until nothing waits."""
        while self._task is not None and not self._task.done():
            await asyncio.shield(self._task)

    async def _work(self) -> None:
        while self._waiting:
            account, mailbox, uids, spam = self._waiting.popleft()
            try:
                await self.learn(account, mailbox, uids, spam)
            except NotFound:
                continue  # moved on, or the account is gone
            except Exception as fault:  # what waits behind it must not wait for a fault of ours
                self._event("filter.fault", account=account, reason=str(fault) or repr(fault))

    async def learn(self, account: str, mailbox: int, uids: Sequence[int], spam: bool | None) -> int:
        """Learn messages of an account now; how many were new. Raises StoreError, OSError."""
        kept = await self._store.account(account)
        known = 0
        for message in _messages(await kept.snapshot(mailbox), uids):
            rendered = await kept.rendered([message])
            if rendered:
                content = await kept.content(message)
                known += await self.learn_content(account, rendered[0].guid, content, spam)
        return known

    async def learn_content(self, account: str, guid: str, content: Content, spam: bool | None) -> bool:
        """Learn a message, wherever it lies; False when it was known. guid: names it. Raises StoreError, OSError."""
        seen, words = await asyncio.to_thread(read, content)
        lesson = Lesson(id=guid, tokens=tuple(words), spam=spam)
        now = self._clock.now()
        before = self._store.training.lesson(account, guid)
        if not await self._store.training.learn(account, [lesson], now):
            return False
        await self._store.training.learn(EVERYBODY, [lesson], now)
        await self._rate(seen, before, spam, now)
        if spam is not None:
            await self._elsewhere(account, content, spam)
        return True

    async def trapped(self, id: str, content: Content, peer: str, proven: str) -> bool:
        """Mail to a spam trap: everybody learns it as unwanted, and who sent it stands worse; False when nothing of its
        words was learned: they were known, or its network has taught enough today.

        id: the same whenever the same message is learned; peer: its address; proven: the domain of the author, when
        DMARC proved it. What a network teaches is bounded, so that nobody poisons the words with ordinary letters.
        Raises StoreError, OSError.
        """
        now = self._clock.now()
        if self._store.training.lesson(EVERYBODY, id) is not None:
            return False
        seen, words = await asyncio.to_thread(read, content)
        author = seen.authors[0].address.lower() if seen.authors else ""
        keys = sender_keys(peer, author if proven and author.endswith(f"@{proven}") else "")
        if keys:
            await self._store.training.rate(keys, 0.0, TRAP_WEIGHT, now)
        if not self._trapped.room(keys[0] if keys else peer, now):
            return False
        await self._store.training.learn(EVERYBODY, [Lesson(id=id, tokens=tuple(words), spam=True)], now)
        await self._elsewhere("", content, True)
        return True

    async def _elsewhere(self, account: str, content: Content, spam: bool) -> None:
        """Raises OSError."""
        if self.elsewhere is not None:
            try:
                await self.elsewhere(content, spam)
            except ScannerFailed as fault:
                self._event("filter.fault", account=account, reason=str(fault))

    async def _rate(self, seen: Seen, before: bool | None, spam: bool | None, now: float) -> None:
        """Count it for those who sent it, and take back what was counted before."""
        keys = sender_keys(*origin(seen, self.hostname.lower()))
        if not keys:
            return
        good = (spam is False) - (before is False)
        bad = (spam is True) - (before is True)
        await self._store.training.rate(keys, float(good), float(bad), now)


class _Bounded:
    """So many of each name in a day."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._day = -1
        self._counts: dict[str, int] = {}

    def room(self, name: str, now: float) -> bool:
        """Count one more; False when there were enough."""
        day = int(now // _DAY)
        if day != self._day or len(self._counts) >= _NETWORKS:
            self._day, self._counts = day, {}
        self._counts[name] = self._counts.get(name, 0) + 1
        return self._counts[name] <= self._most


def origin(seen: Seen, hostname: str) -> tuple[str, str]:
    """The peer's address, and the author's address when we found it proven; "" for what is not known."""
    received = next(iter(seen.values("received")), "")
    found = _PEER.search(received.partition(" by ")[0])
    ip = found[1] if found else ""
    results = next(iter(seen.values("authentication-results")), "").lower()
    proven = results.partition(";")[0].strip() == hostname and "dmarc=pass" in results
    author = seen.authors[0].address.lower() if proven and seen.authors else ""
    return ip, author


def _messages(snapshot: Snapshot, uids: Sequence[int]) -> Iterator[int]:
    for uid in uids:
        seq = snapshot.seq(uid)
        if seq is not None:
            page, place = snapshot.locate(seq)
            yield page.messages[place]

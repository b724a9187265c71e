"""SEARCH: a search program evaluated against one snapshot (RFC 9051 6.4.4).

Keys that columns answer are tested a page at a time in C (criteria); the others only for messages that can still
match, cheapest first: those that traits or the stored ENVELOPE answer, then headers, then bodies, as far as the
full-text index cannot tell. Between slices of a few milliseconds the event loop gets its turn; large bodies are read
in a thread.
The snapshot is the client's (View.snapshot), so sequence numbers are the client's and messages whose expunge it has
not heard of are found too (RFC 2180 4.3 leaves that open).
Trusts: the parsed key, which may be deep or absurd; messages are hostile octets.
On failure: BadSequence, SearchTooDeep, StoreUnavailable. A message that was swept meanwhile does not match.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass
from itertools import compress
from typing import Final, Protocol

from postroom.index.segment import BODY_FIELDS, TEXT_FIELDS
from postroom.index.terms import Wanted
from postroom.mailbox import envelope, traits
from postroom.mailbox.criteria import Scene, Test, column_test, mask_octets, mask_of, nothing, ones
from postroom.mailbox.errors import SearchTooDeep
from postroom.mailbox.fuzzy import Fuzzy
from postroom.mailbox.indexed import Indexed
from postroom.mailbox.objectids import message_of, thread_of
from postroom.mailbox.texts import (
    EnvelopeTest,
    body_matcher,
    envelope_matcher,
    header_matcher,
    holds_day,
    sent_matcher,
)
from postroom.mailbox.trait_search import TraitSearch
from postroom.store.api import AccountStore, NotFound, Page
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.wire.imap.commands import Key, SearchKey

MAX_DEPTH: Final = 100
#: octets above which a message is searched in a thread
_IN_THREAD: Final = 512 * 1024
#: fields of an ENVELOPE whose text is kept among traits
_KEPT_TEXTS: Final = {
    envelope.SUBJECT: traits.IN_SUBJECT,
    envelope.FROM: traits.IN_FROM,
    envelope.TO: traits.IN_TO,
    envelope.CC: traits.IN_CC,
    envelope.MESSAGE_ID: traits.IN_MESSAGE_ID,
}
#: seconds of work before the loop gets its turn
_SLICE: Final = 0.005


class Pace:
    """Gives the event loop its turn when a slice of time is used up.

    done, goal: messages looked at, and to look at, for those who wait.
    """

    __slots__ = ("_clock", "_pause", "_until", "done", "goal")

    def __init__(self, clock: Clock, pause: Callable[[], Awaitable[object]] | None = None) -> None:
        """pause: what to await between slices; by default one turn of the loop."""
        self._clock = clock
        self._pause = pause or _one_turn
        self._until = clock.monotonic() + _SLICE
        self.done = self.goal = 0

    async def breathe(self) -> None:
        """Pause if it is time."""
        if self._clock.monotonic() >= self._until:
            await self._pause()
            self._until = self._clock.monotonic() + _SLICE


async def _one_turn() -> None:
    await asyncio.sleep(0)


class Found:
    """The messages that match, ascending."""

    __slots__ = ("_fuzzy", "_hits")

    def __init__(self, fuzzy: Fuzzy) -> None:
        self._fuzzy = fuzzy
        self._hits: list[tuple[int, Page, bytes | None]] = []  # None: all of the page

    def add(self, start: int, page: Page, mask: int) -> None:
        """Rows of a page whose first has sequence number `start`."""
        if mask:
            count = len(page)
            self._hits.append((start, page, None if mask == ones(count) else mask_octets(mask, count)))

    def __len__(self) -> int:
        return sum(len(page) if chosen is None else chosen.count(1) for _, page, chosen in self._hits)

    def seqs(self) -> list[int]:
        """Sequence numbers."""
        found: list[int] = []
        for start, page, chosen in self._hits:
            here = range(start, start + len(page))
            found.extend(here if chosen is None else compress(here, chosen))
        return found

    def uids(self) -> list[int]:
        """UIDs."""
        return self.column(lambda page: page.uids)

    def uid_column(self) -> array[int]:
        """UIDs ('I')."""
        found = array("I")
        for _, page, chosen in self._hits:
            found.extend(page.uids if chosen is None else compress(page.uids, chosen))
        return found

    def column(self, of: Callable[[Page], Sequence[int]]) -> list[int]:
        """A column of them."""
        found: list[int] = []
        for _, page, chosen in self._hits:
            found.extend(of(page) if chosen is None else compress(of(page), chosen))
        return found

    def messages(self) -> array[int]:
        """Message ids ('Q')."""
        found = array("Q")
        for _, page, chosen in self._hits:
            found.extend(page.messages if chosen is None else compress(page.messages, chosen))
        return found

    def relevancies(self) -> list[int]:
        """How well each fits a fuzzy search, from 1 to 100 (RFC 6203 4)."""
        return self._fuzzy.relevancies(self.messages())

    def modseq(self) -> int:
        """The highest MODSEQ of them (RFC 7162 3.1.5), 0 when there are none."""
        return max(self.column(lambda page: page.modseqs), default=0)


async def search(
    key: SearchKey, scene: Scene, store: AccountStore, pace: Pace, reading: Reading | None = None
) -> Found:
    """The messages of scene.snapshot that match. Raises BadSequence, SearchTooDeep, StoreUnavailable.

    reading: of the same store and pace, for searches of several mailboxes.
    """
    reading = reading or Reading(store, pace)
    criterion = _compile(key, scene, reading, 0)
    found, start = Found(reading.fuzzy), 1
    if isinstance(criterion, _Cheap):
        for number, page in enumerate(scene.snapshot.pages):
            found.add(start, page, criterion.test(page, start))
            start += len(page)
            if not number & 31:
                await pace.breathe()
        return found
    pace.goal = len(scene.snapshot)
    for page in scene.snapshot.pages:
        found.add(start, page, await criterion.find(page, start, ones(len(page))))
        start += len(page)
        pace.done = start - 1
        await pace.breathe()
    return found


class _Criterion(Protocol):
    """A part of the program. cost: 0 columns, then what is dearer to look at."""

    @property
    def cost(self) -> int: ...

    async def find(self, page: Page, start: int, among: int) -> int:
        """The rows among `among` that match."""
        ...


@dataclass(frozen=True, slots=True)
class _Cheap:
    test: Test
    cost: int = 0

    async def find(self, page: Page, start: int, among: int) -> int:
        return among & self.test(page, start)


@dataclass(frozen=True, slots=True)
class _All:
    criteria: Sequence[_Criterion]  # cheapest first
    cost: int

    async def find(self, page: Page, start: int, among: int) -> int:
        for criterion in self.criteria:
            if not among:
                break
            among = await criterion.find(page, start, among)
        return among


@dataclass(frozen=True, slots=True)
class _Either:
    criteria: Sequence[_Criterion]  # cheapest first
    cost: int

    async def find(self, page: Page, start: int, among: int) -> int:
        found = 0
        for criterion in self.criteria:
            left = among & ~found
            if left:
                found |= await criterion.find(page, start, left)
        return found


@dataclass(frozen=True, slots=True)
class _Not:
    criterion: _Criterion
    cost: int

    async def find(self, page: Page, start: int, among: int) -> int:
        return among & ~await self.criterion.find(page, start, among)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A key that looks at messages one by one. matches: message ids to whether each matches."""

    matches: Callable[[Sequence[int]], Awaitable[Sequence[bool]]]
    cost: int

    async def find(self, page: Page, start: int, among: int) -> int:
        count = len(page)
        if among == ones(count):
            return mask_of(await self.matches(page.messages))
        if not among:
            return 0
        wanted = mask_octets(among, count)
        chosen = bytearray(count)
        hits = await self.matches(list(compress(page.messages, wanted)))
        for place, hit in zip(compress(range(count), wanted), hits, strict=True):
            chosen[place] = hit
        return int.from_bytes(chosen, "little")


@dataclass(slots=True)
class _Messages:
    """A key that names messages. find_ids: asked once."""

    find_ids: Callable[[], Awaitable[Set[int]]]
    cost: int = 1
    _ids: Set[int] | None = None

    async def find(self, page: Page, start: int, among: int) -> int:
        if self._ids is None:
            self._ids = await self.find_ids()
        return among & mask_of(map(self._ids.__contains__, page.messages)) if self._ids else 0


def _compile(key: SearchKey, scene: Scene, reading: Reading, depth: int) -> _Criterion:
    if depth > MAX_DEPTH:
        raise SearchTooDeep(f"Search keys can be nested {MAX_DEPTH} deep")
    test = column_test(key, scene)
    if test is not None:
        return _Cheap(test)
    if key.key in (Key.AND, Key.OR, Key.NOT):
        inner = [_compile(each, scene, reading, depth + 1) for each in key.keys]
        return _joined(key.key, inner)
    return reading.criterion(key)


def _joined(key: Key, inner: list[_Criterion]) -> _Criterion:
    """The criteria as one; those that columns answer become one test."""
    cost = max((each.cost for each in inner), default=0)
    if key is Key.NOT:
        (only,) = inner
        return _Cheap(_complement(only.test)) if isinstance(only, _Cheap) else _Not(only, cost)
    cheap = [each.test for each in inner if isinstance(each, _Cheap)]
    dear: list[_Criterion] = sorted(
        (each for each in inner if not isinstance(each, _Cheap)), key=lambda each: each.cost
    )
    together = _conjunction if key is Key.AND else _disjunction
    if cheap or not dear:
        dear.insert(0, _Cheap(together(cheap)))
    if len(dear) == 1:
        return dear[0]
    return _All(dear, cost) if key is Key.AND else _Either(dear, cost)


def _conjunction(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(page: Page, start: int) -> int:
        mask = ones(len(page))
        for each in tests:
            if not mask:
                break
            mask &= each(page, start)
        return mask

    return test


def _disjunction(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(page: Page, start: int) -> int:
        mask = 0
        for each in tests:
            mask |= each(page, start)
        return mask

    return test


def _complement(test: Test) -> Test:
    return lambda page, start: ones(len(page)) ^ test(page, start)


def _thread(number: int | None, known: TraitSearch) -> _Criterion:
    return _Cheap(nothing) if number is None else _Rows(known.thread(number), 1)


class Reading:
    """Makes the criteria that must read messages; what they have learned serves all mailboxes of the account."""

    __slots__ = ("_indexed", "_made", "_pace", "_store", "_traits", "fuzzy")

    def __init__(self, store: AccountStore, pace: Pace) -> None:
        self._store = store
        self._pace = pace
        self._indexed = Indexed(store)
        self._made: dict[SearchKey, _Criterion] = {}
        self._traits = TraitSearch(store, pace)
        self.fuzzy = Fuzzy(store)

    def criterion(self, key: SearchKey) -> _Criterion:
        """The criterion for a HEADER, EMAILID, THREADID, SENT… , BODY, TEXT or FUZZY key."""
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._make(key)
        return made

    def _make(self, key: SearchKey) -> _Criterion:
        if key.key is Key.FUZZY:
            return self._nearly(key.keys[0])
        if key.key is Key.HEADER:
            place = envelope.SEARCHED.get(key.name.upper())
            if place is not None and (key.text or place not in envelope.ADDRESSES):
                look = self._by_envelope(envelope_matcher(place, key.text))
                kept = _KEPT_TEXTS.get(place)
                return _Rows(look if kept is None or not key.text else self._traits.text(kept, key.text, look), 1)
            look = self._by_content(header_matcher(key.name, key.text), header_only=True)
            return _Rows(self._indexed.test(Wanted.of(key.text), TEXT_FIELDS, look, narrows=True), 3)
        if key.key is Key.EMAILID:
            return _Messages(self._emails(key.text))
        if key.key is Key.THREADID:
            return _thread(thread_of(key.text), self._traits)
        if key.key in (Key.SENTBEFORE, Key.SENTON, Key.SENTSINCE):
            look = self._by_envelope(sent_matcher(key.key, key.number))
            return _Rows(self._traits.day(holds_day(key.key, key.number), look), 1)
        look = self._by_content(body_matcher(key.text, headers=key.key is Key.TEXT))
        fields = TEXT_FIELDS if key.key is Key.TEXT else BODY_FIELDS
        return _Rows(self._indexed.test(Wanted.of(key.text), fields, look), 4)

    def _nearly(self, key: SearchKey) -> _Criterion:
        """RFC 6203: a HEADER, BODY or TEXT key that may be met nearly."""
        exact = self.criterion(key)
        if not isinstance(exact, _Rows):
            return exact
        fields = BODY_FIELDS if key.key is Key.BODY else TEXT_FIELDS
        return _Rows(self.fuzzy.test(key.text, fields, exact.matches, key.name), 4)

    def _emails(self, emailid: str) -> Callable[[], Awaitable[Set[int]]]:
        async def find() -> Set[int]:
            found = set(await self._store.originals(emailid))
            own = message_of(self._store.id, emailid)
            return found if own is None else found | {own}

        return find

    def _by_envelope(self, matches: EnvelopeTest) -> Callable[[Sequence[int]], Awaitable[Sequence[bool]]]:
        async def look(messages: Sequence[int]) -> Sequence[bool]:
            return matches(await self._store.columns(messages, "envelope"))

        return look

    def _by_content(
        self, matches: Callable[[Content, bytes], bool], *, header_only: bool = False
    ) -> Callable[[Sequence[int]], Awaitable[Sequence[bool]]]:
        async def look(messages: Sequence[int]) -> Sequence[bool]:
            found: list[bool] = []
            for message, parts in zip(messages, await self._store.columns(messages, "parts"), strict=True):
                found.append(bool(parts) and await self._look_into(message, parts, matches, header_only))
                await self._pace.breathe()
            return found

        return look

    async def _look_into(
        self, message: int, parts: bytes, matches: Callable[[Content, bytes], bool], header_only: bool
    ) -> bool:
        try:
            content = await self._store.content(message)
            if content.size > _IN_THREAD and not header_only:
                return await asyncio.to_thread(matches, content, parts)
            return matches(content, parts)
        except (NotFound, FileNotFoundError):
            return False

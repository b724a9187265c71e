"""Finding messages of a whole account by the query language (index.query): all mailboxes at once, deleted mail too.

Conditions that columns answer are tested a page at a time; text is looked for only in messages that can still match,
what the stored ENVELOPE and BODYSTRUCTURE answer before what must be read. Between slices of a few milliseconds the
event loop gets its turn.
Trusts: the parsed query; messages are hostile octets.
On failure: StoreUnavailable. A message or mailbox that goes meanwhile is not found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo
from itertools import compress, groupby
from typing import Final

from postroom.index.query import (
    Age,
    All,
    Either,
    Everything,
    Flag,
    Has,
    Header,
    In,
    Keyword,
    Node,
    Not,
    Received,
    Scope,
    Size,
    Text,
)
from postroom.index.segment import ANY_FIELDS, BODY_FIELDS, TEXT_FIELDS
from postroom.index.terms import Wanted
from postroom.mailbox.criteria import Scene, Test, column_test, mask_octets, mask_of, ones
from postroom.mailbox.fuzzy import Fuzzy
from postroom.mailbox.indexed import Indexed, Look
from postroom.mailbox.query_texts import (
    PLACES,
    ContentTest,
    body_test,
    envelope_test,
    header_test,
    kind_test,
    names_test,
    wanted,
)
from postroom.mailbox.search import Pace
from postroom.store.api import AccountStore, Departure, NotFound, Page, Snapshot
from postroom.wire.imap.commands import Key, SearchKey

#: octets above which a message is searched in a thread
_IN_THREAD: Final = 512 * 1024
#: after in: what people call mailboxes with a use (RFC 6154)
_USES: Final = {
    "sent": "\\Sent",
    "drafts": "\\Drafts",
    "trash": "\\Trash",
    "junk": "\\Junk",
    "spam": "\\Junk",
    "archive": "\\Archive",
}


@dataclass(frozen=True, slots=True)
class Where:
    """A mailbox, or one that was. special_use: such as "\\Sent"."""

    id: int
    name: str
    special_use: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A message where it was found; one in two mailboxes is found twice. Times are Unix seconds.

    departure, deleted: how it left its mailbox (MODSEQ) and when, 0 while it is there; relevancy: how well it fits,
    from 1 to 100.
    """

    mailbox: Where
    message: int
    uid: int
    received: int
    size: int
    flags: int
    departure: int = 0
    deleted: float = 0.0
    relevancy: int = 100


@dataclass(frozen=True, slots=True)
class When:
    """now: Unix seconds; zone: in which days begin for who asks."""

    now: float
    zone: tzinfo | None = None

    def second(self, day: date) -> float:
        """When a day begins."""
        try:
            return datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()
        except (OverflowError, ValueError, OSError):
            return (day - date(1970, 1, 1)).days * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How is to be searched. deleted: also messages that were deleted and can be brought back.

    ranked: words may be met nearly, and what fits best comes first instead of what is newest.
    """

    when: When
    deleted: bool = False
    ranked: bool = False


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Messages of one mailbox, page by page. departures: how each page left it, None: it is there."""

    where: Where
    snapshot: Snapshot
    departures: Sequence[Departure] | None = None


async def find(query: Node, store: AccountStore, wish: Wish, pace: Pace) -> list[Hit]:
    """Every message of the account that matches, newest or best first. Raises StoreUnavailable."""
    texts = _Texts(store, pace, ranked=wish.ranked)
    hits: list[Hit] = []
    for shelf in await _shelves(store, deleted=wish.deleted):
        scene = Scene(snapshot=shelf.snapshot, saved=(), now=wish.when.now)
        search = _Search(shelf.where, scene, wish.when, texts)
        for number, page in enumerate(shelf.snapshot.pages):
            departure = shelf.departures[number] if shelf.departures is not None else None
            among = ones(len(page)) if departure is None else mask_of(map((0).__eq__, departure.back))
            mask = await search.rows(query, page, among)
            if mask:
                hits += _hits(shelf.where, page, mask_octets(mask, len(page)), departure)
            await pace.breathe()
    if wish.ranked:
        scores = texts.fuzzy.relevancies([hit.message for hit in hits])
        hits = [replace(hit, relevancy=score) for hit, score in zip(hits, scores, strict=True)]
    hits.sort(key=lambda hit: (hit.relevancy, hit.received, hit.message), reverse=True)
    return hits


async def _shelves(store: AccountStore, *, deleted: bool) -> list[_Shelf]:
    found = []
    for mailbox in await store.mailboxes():
        with suppress(NotFound):
            snapshot = await store.snapshot(mailbox.id)
            if len(snapshot):
                found.append(_Shelf(Where(mailbox.id, mailbox.name, mailbox.special_use), snapshot))
    if deleted:
        departures = sorted(await store.departures(), key=lambda one: one.mailbox)
        lives = {life.id: life for life in await store.lives()}
        for number, group in groupby(departures, key=lambda one: one.mailbox):
            gone = [one for one in group if not one.moved and len(one.page)]
            life = lives[number]
            pages = [one.page for one in gone]
            snapshot = Snapshot(number, life.uidvalidity, 0, 0, pages, life.keywords)
            found.append(_Shelf(Where(number, life.name, life.special_use), snapshot, gone))
    return found


def _hits(where: Where, page: Page, chosen: bytes, departure: Departure | None) -> list[Hit]:
    columns = (page.messages, page.uids, page.dates, page.sizes, page.flags)
    gone = (departure.modseq, departure.time) if departure is not None else (0, 0.0)
    return [Hit(where, *row, *gone) for row in compress(zip(*columns, strict=True), chosen)]


class _Texts:
    """What was found out about single messages: they may be in several mailboxes."""

    def __init__(self, store: AccountStore, pace: Pace, *, ranked: bool) -> None:
        self._store = store
        self._pace = pace
        self._ranked = ranked
        self._indexed = Indexed(store)
        self.fuzzy = Fuzzy(store)
        self._known: dict[Node, dict[int, bool]] = {}
        self._tests: dict[Node, Look] = {}

    async def which(self, node: Text | Header | Has, messages: Sequence[int]) -> Sequence[bool]:
        """For each message whether it matches."""
        known = self._known.setdefault(node, {})
        unknown = [message for message in dict.fromkeys(messages) if message not in known]
        if unknown:
            known.update(zip(unknown, await self._look(node, unknown), strict=True))
        return [known[message] for message in messages]

    async def _look(self, node: Text | Header | Has, messages: Sequence[int]) -> Sequence[bool]:
        if isinstance(node, Has):
            return kind_test(node)(await self._store.columns(messages, "bodystructure"))
        if isinstance(node, Text) and node.scope is Scope.FILENAME:
            return names_test(node)(await self._store.columns(messages, "bodystructure"))
        if isinstance(node, Text) and node.scope in PLACES:
            return envelope_test(node)(await self._store.columns(messages, "envelope"))
        look = self._tests.get(node)
        if look is None:
            look = self._tests[node] = self._content_test(node)
        return await look(messages)

    def _content_test(self, node: Text | Header) -> Look:
        """A test that must read messages, unless the index is sure."""
        if isinstance(node, Header) or node.scope is Scope.LIST:
            look = self._reader(header_test(node), header_only=True)
            return self._indexed.test(Wanted.of(node.text), TEXT_FIELDS, look, narrows=True)
        fields = BODY_FIELDS if node.scope is Scope.BODY else ANY_FIELDS
        exact = self._indexed.test(wanted(node), fields, self._reader(body_test(node)))
        return self.fuzzy.test(node.text, fields, exact) if self._ranked and not node.phrase else exact

    def _reader(self, matches: ContentTest, *, header_only: bool = False) -> Look:
        """A test that reads the messages it is asked about."""
        return lambda messages: self._read(messages, matches, header_only=header_only)

    async def _read(self, messages: Sequence[int], matches: ContentTest, *, header_only: bool) -> Sequence[bool]:
        found: list[bool] = []
        for message, parts in zip(messages, await self._store.columns(messages, "parts"), strict=True):
            found.append(bool(parts) and await self._one(message, parts, matches, header_only))
            await self._pace.breathe()
        return found

    async def _one(self, message: int, parts: bytes, matches: ContentTest, header_only: bool) -> bool:
        try:
            content = await self._store.content(message)
            if content.size > _IN_THREAD and not header_only:
                return await asyncio.to_thread(matches, content, parts)
            return matches(content, parts)
        except (NotFound, FileNotFoundError):
            return False


class _Search:
    """The query in one mailbox."""

    def __init__(self, mailbox: Where, scene: Scene, when: When, texts: _Texts) -> None:
        self._mailbox = mailbox
        self._scene = scene
        self._when = when
        self._texts = texts
        self._tests: dict[Node, Test] = {}

    async def rows(self, node: Node, page: Page, among: int) -> int:
        """The rows among `among` that match."""
        if not among:
            return 0
        if isinstance(node, Not):
            return among & ~await self.rows(node.node, page, among)
        if isinstance(node, All):
            for each in sorted(node.nodes, key=_cost):
                among = await self.rows(each, page, among)
            return among
        if isinstance(node, Either):
            found = 0
            for each in sorted(node.nodes, key=_cost):
                found |= await self.rows(each, page, among & ~found)
            return found
        if isinstance(node, Text | Header | Has):
            return await self._messages(node, page, among)
        test = self._tests.get(node)
        if test is None:
            test = self._tests[node] = self._test(node)
        return among & test(page, 1)

    async def _messages(self, node: Text | Header | Has, page: Page, among: int) -> int:
        places = list(compress(range(len(page)), mask_octets(among, len(page))))
        messages = page.messages
        chosen = bytearray(len(page))
        for place, hit in zip(
            places, await self._texts.which(node, [messages[place] for place in places]), strict=True
        ):
            chosen[place] = hit
        return int.from_bytes(chosen, "little")

    def _test(self, node: Node) -> Test:
        """The test of a condition that columns answer."""
        if isinstance(node, In):
            everything = is_in(self._mailbox, node.name)
            return lambda page, start: ones(len(page)) if everything else 0
        if isinstance(node, Received):
            first = self._when.second(node.since) if node.since else float("-inf")
            end = self._when.second(node.before) if node.before else float("inf")
            return lambda page, start: mask_of([first <= at < end for at in page.dates])
        made = column_test(_key(node), self._scene)
        if made is None:
            raise TypeError(node)
        return made


def _key(node: Node) -> SearchKey:
    if isinstance(node, Flag):
        return SearchKey(Key.FLAGS if node.on else Key.UNFLAGS, bits=node.bit)
    if isinstance(node, Keyword):
        return SearchKey(Key.KEYWORD, text=node.name)
    if isinstance(node, Size):
        return SearchKey(Key.LARGER if node.larger else Key.SMALLER, number=node.octets)
    if isinstance(node, Age):
        return SearchKey(Key.OLDER if node.older else Key.YOUNGER, number=node.seconds)
    if isinstance(node, Everything):
        return SearchKey(Key.ALL)
    raise TypeError(node)


def _cost(node: Node) -> int:
    """What is looked at first: columns, then what is stored beside them, then messages."""
    if isinstance(node, Not):
        return _cost(node.node)
    if isinstance(node, All | Either):
        return max(map(_cost, node.nodes))
    if isinstance(node, Has):
        return 2
    if isinstance(node, Text):
        return {Scope.ANY: 4, Scope.BODY: 4, Scope.LIST: 3, Scope.FILENAME: 2}.get(node.scope, 1)
    return 3 if isinstance(node, Header) else 0


def is_in(mailbox: Where, name: str) -> bool:
    """Is it the mailbox that `in:` names, or one below it? Names match without regard to case."""
    wanted, here = name.strip("/").casefold(), mailbox.name.casefold()
    if wanted == "anywhere":
        return True
    use = _USES.get(wanted)
    if use is not None and mailbox.special_use == use:
        return True
    return here == wanted or here.startswith(f"{wanted}/")

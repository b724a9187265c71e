"""FETCH items that need the message itself: sections, BINARY, RFC822 (RFC 9051 6.4.5, RFC 3516).

A small answer goes out in one write; of a large one no more than a slice is in memory at a time, and a slow reader
holds it up (Pace). A literal that has begun is completed or the connection ends: nothing else could keep the client
in step.
Trusts: part offsets of the store. Bodies are passed on octet by octet as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NoReturn, cast

from postroom.mailbox import sections
from postroom.mailbox.selection import Selection
from postroom.servers.imap.columns import (
    HELD,
    LOOKED_UP,
    RENDERED,
    Run,
    groups,
    held,
    looked_up,
    messages_of,
    sequence_numbers,
    uids_of,
)
from postroom.servers.imap.pace import Pace
from postroom.servers.imap.session import Session
from postroom.store.api import NotFound
from postroom.values.content import Content
from postroom.wire.imap import rows
from postroom.wire.imap.commands import Attribute, Item

#: octets of a literal that are read and sent at once
SLICE: Final = 256 * 1024
#: messages whose columns are read together
_BATCH: Final = 64
#: attributes that need no message text
_COLUMNS: Final = HELD | LOOKED_UP | RENDERED.keys()
_DECODED: Final = (Attribute.BINARY, Attribute.BINARY_SIZE)
#: octets of a message above which its parts are decoded in a thread
_IN_THREAD: Final = 512 * 1024
#: (start, end) of octets that are sent in slices
Span = tuple[int, int]

_UID: Final = Item(Attribute.UID)
_FLAGS: Final = Item(Attribute.FLAGS)
_MODSEQ: Final = Item(Attribute.MODSEQ)


async def send_bodies(session: Session, selection: Selection, items: Sequence[Item], marked: frozenset[int]) -> bool:
    """One response a message; those in `marked` (UIDs) show their new flags too. False when some were gone."""
    pace = Pace(session.link)
    reader = _Reader(session, selection, items)
    shown = {item.attribute for item in items}
    seen_items = [item for item in reader.seen_items() if item.attribute not in shown]
    complete = True
    for runs in groups(selection, _BATCH):
        await reader.load(runs, pace, with_flags=bool(marked))
        for place, uid in enumerate(reader.uids):
            extra = seen_items if uid in marked else ()
            try:
                await reader.send(place, extra, pace)
            except NotFound:
                complete = False
    return complete


class _Reader:
    """The columns of a batch of messages, and how each becomes a response."""

    __slots__ = (
        "_columns",
        "_head",
        "_headers",
        "_items",
        "_messages",
        "_needs_layout",
        "_numbers",
        "_parts",
        "_plain",
        "_rendered",
        "_selection",
        "_session",
        "uids",
    )

    def __init__(self, session: Session, selection: Selection, items: Sequence[Item]) -> None:
        self._session = session
        self._selection = selection
        self._items = items
        self._plain = [item.attribute for item in items if item.attribute in _COLUMNS]
        self._rendered = [attribute for attribute in self._plain if attribute in RENDERED]
        self._needs_layout = any(_needs_layout(item) for item in items)
        self._columns: dict[Attribute, Sequence[object]] = {}
        self._head = b"* %d UIDFETCH (" if session.wire.uidonly else b"* %d FETCH ("
        self._numbers: Sequence[int] = ()
        self._messages: Sequence[int] = ()
        self._headers: Sequence[int] = ()
        self._parts: Sequence[bytes] = ()
        self.uids: Sequence[int] = ()

    def seen_items(self) -> Sequence[Item]:
        r"""What a response must say that shows a new \Seen (RFC 9051 6.4.5, RFC 7162 3.2.4)."""
        if not self._session.condstore:
            return (_FLAGS,)
        return (_FLAGS, _MODSEQ) if self._session.wire.uidonly else (_UID, _FLAGS, _MODSEQ)

    async def load(self, runs: Sequence[Run], pace: Pace, *, with_flags: bool) -> None:
        """Read the columns that the items need, for these messages."""
        texts = self._session.box.flag_texts(self._selection.snapshot)
        store = self._session.box.account.store
        self._messages = messages_of(runs)
        self._numbers = uids_of(runs) if self._session.wire.uidonly else sequence_numbers(runs)
        wanted = {Attribute.UID, *self._plain}
        if with_flags:
            wanted |= {Attribute.FLAGS, Attribute.MODSEQ}
        columns: dict[Attribute, Sequence[object]] = {}
        for attribute in wanted:
            if attribute in RENDERED:
                columns[attribute] = await store.columns(self._messages, RENDERED[attribute])
            elif attribute in LOOKED_UP:
                columns[attribute] = await looked_up(self._session, attribute, self._messages, pace)
            else:
                columns[attribute] = held(attribute, runs, texts, self._session.recent)
        self._columns = columns
        self.uids = columns[Attribute.UID]  # type: ignore[assignment]  # UIDs are numbers
        if self._needs_layout:
            await self._load_layout()

    async def _load_layout(self) -> None:
        """Header sizes and part offsets; b"" for messages that are gone."""
        found = {row.message: row for row in await self._session.box.account.store.rendered(self._messages)}
        rows = [found.get(message) for message in self._messages]
        self._headers = [row.header if row else 0 for row in rows]
        self._parts = [row.parts if row else b"" for row in rows]

    async def send(self, place: int, extra: Sequence[Item], pace: Pace) -> None:
        """Send the response of one message. Raises NotFound, UndecodablePart, OSError before anything of it is sent."""
        content = await self._session.box.account.store.content(self._messages[place])
        columns = self._columns
        for attribute in self._rendered:
            if columns[attribute][place] == b"":
                raise NotFound
        out: list[bytes | Span] = [self._head % self._numbers[place]]
        large = False
        for item in (*self._items, *extra) if extra else self._items:
            if item.attribute in _COLUMNS:
                out.append(rows.item_text(item, columns[item.attribute][place]))
            elif sections.needs_reading(item):
                await self._add_read(out, item, content, place)
            else:
                large |= self._add_span(out, item, content, place)
            out.append(b" ")
        out[-1] = b")\r\n"
        if large:
            await self._stream(out, content, pace)
        else:
            self._session.send(b"".join(cast(list[bytes], out)))
        await pace.breathe()

    def _layout(self, place: int) -> tuple[int, bytes]:
        """Header size and part offsets of a message, if any item asks for them."""
        return (self._headers[place], self._parts[place]) if self._needs_layout else (0, b"")

    async def _add_read(self, out: list[bytes | Span], item: Item, content: Content, place: int) -> None:
        """Add what is chosen or decoded from a part."""
        header, parts = self._layout(place)
        work = sections.binary_size if item.attribute is Attribute.BINARY_SIZE else sections.read
        if item.attribute in _DECODED and content.size > _IN_THREAD:
            found = await asyncio.to_thread(work, item, content, header, parts)
        else:
            found = work(item, content, header, parts)
        if item.attribute is Attribute.BINARY_SIZE:
            out.append(b"%b %d" % (item.label, cast(int, found or 0)))
        else:
            _add_literal(out, item, cast("bytes | None", found))

    def _add_span(self, out: list[bytes | Span], item: Item, content: Content, place: int) -> bool:
        """Add a range of the message; of a large one (then True) only where it lies."""
        header, parts = self._layout(place)
        span = sections.span(item, content.size, header, parts)
        if span is None or span[1] - span[0] <= SLICE:
            _add_literal(out, item, None if span is None else content.read(*span))
            return False
        content.read(span[0], span[0] + 1)  # before the literal is announced: the file may be gone
        out.append(rows.literal_item(item, span[1] - span[0]))
        out.append(span)
        return True

    async def _stream(self, out: Sequence[bytes | Span], content: Content, pace: Pace) -> None:
        """Send pieces, large ones slice by slice."""
        for piece in out:
            if isinstance(piece, bytes):
                self._session.send(piece)
                continue
            start, end = piece
            try:
                while start < end:
                    data = content.read(start, min(start + SLICE, end))
                    if not data:
                        raise OSError("the file of a message is shorter than it should be")
                    self._session.send(data)
                    await pace.breathe()
                    start += len(data)
            except OSError as fault:
                self._cut_off(fault)

    def _cut_off(self, fault: OSError) -> NoReturn:
        """Within a literal there is no way to say that it cannot be completed."""
        if not isinstance(fault, ConnectionError):
            self._session.service.bug(self._session, "FETCH", fault)
        self._session.link.abort()
        raise ConnectionAbortedError from fault


def _add_literal(out: list[bytes | Span], item: Item, data: bytes | None) -> None:
    """A section's label and octets; literal8 when BINARY has NULs in it (RFC 9051 4.3.1), NIL for no such part."""
    if data is None:
        out.append(rows.nil_item(item))
    else:
        out.append(rows.literal_item(item, len(data), item.attribute is Attribute.BINARY and b"\0" in data))
        out.append(data)


def _needs_layout(item: Item) -> bool:
    """Header size or part offsets are looked at."""
    if item.attribute in _COLUMNS or item.attribute is Attribute.RFC822:
        return False
    return bool(item.part or item.text) or item.attribute in (Attribute.RFC822_HEADER, Attribute.RFC822_TEXT)

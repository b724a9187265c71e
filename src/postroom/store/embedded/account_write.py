"""What changes messages: append, flags, copy, move, expunge. Work for the committer, done inside an AccountUnit.

Each function raises StoreError only before its first change, and returns what makes the result after the commit.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from hashlib import sha256
from itertools import compress
from operator import or_
from typing import Final

import apsw
from msgspec import Struct, structs

from postroom.store.api.account import (
    EVERY_FLAG,
    AppendResult,
    CopyResult,
    ExpungeResult,
    FlagChange,
    FlagOp,
    NewMessage,
    Settable,
    StoreFlagsResult,
)
from postroom.store.api.errors import DeliveredAlready, MessageGone, OverQuota
from postroom.store.api.pages import Page
from postroom.store.embedded.account_file import AccountUnit, Totals
from postroom.store.embedded.account_read import signed
from postroom.store.embedded.codec import pack_gone, pack_ids, pack_uids, repeat
from postroom.store.embedded.columns import IS_DELETED, Bits, both, choose, join, mask_of
from postroom.store.embedded.disk import keep_file, keep_octets
from postroom.store.embedded.working import Working, translate_keywords
from postroom.values.flags import VISIBLE

#: larger bodies lie in files: twice the cost in SQLite at 900 KB, cheaper below about 16 KB (MEASUREMENTS 1)
IN_ROW: Final = 64 * 1024

_INSERT_MESSAGE: Final = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_ORIGIN: Final = "INSERT INTO origin VALUES (?, ?, ?)"
_INSERT_BODY: Final = "INSERT INTO body VALUES (?, ?)"
_INSERT_DEPARTURE: Final = (
    "INSERT INTO expunged VALUES (?, ?, ?, ?,"
    " ? + coalesce((SELECT number FROM expunged ORDER BY modseq DESC LIMIT 1), 0), ?, ?, ?, NULL)"
)
#: one reference more
REFER: Final = (
    "INSERT INTO extra SELECT value, 1 FROM carray(?) WHERE true ON CONFLICT (message) DO UPDATE SET count = count + 1"
)


class Append(Struct, frozen=True):
    """Add messages to a mailbox, all or none."""

    mailbox: int
    messages: Sequence[NewMessage]
    quota: tuple[int, int] = (0, 0)  # octets and messages, 0 = no limit
    delivery: tuple[str, str] | None = None

    def __call__(self, unit: AccountUnit) -> Callable[[], AppendResult]:
        box = unit.open(self.mailbox)
        messages, count = self.messages, len(self.messages)
        box.room_for(count)
        octets = sum([message.content.size for message in messages])
        if self.delivery is not None and unit.is_delivered(self.delivery):
            raise DeliveredAlready(self.delivery[0])  # before the quota: it is in, and a bounce now would be a lie
        check_quota(unit.totals, octets, count, self.quota)
        keywords = self._keywords(box)
        modseq = unit.next_modseq()
        if self.delivery is not None:
            unit.remember(self.mailbox, self.delivery)
        totals = unit.totals
        first = totals.next_message
        totals.next_message += count
        totals.octets += octets
        totals.messages += count
        uids: Sequence[int]
        if count == 1 and not keywords:
            (new,) = messages
            insert_message(unit, first, new)
            uids = (box.add_one(first, octets, new.internaldate, new.flags, modseq),)
        else:
            for number, new in enumerate(messages, first):
                insert_message(unit, number, new)
            uids = box.add(_page(messages, first, keywords or repeat("Q", 0, count)), modseq)
        uidvalidity = box.row.uidvalidity
        return lambda: AppendResult(uidvalidity, tuple(uids), unit.snapshot(self.mailbox))

    def _keywords(self, box: Working) -> array[int] | None:
        """The messages' keywords as bits of the mailbox, which learns them; None when there are none."""
        names: dict[str, None] = {}
        for message in self.messages:
            if message.keywords:
                names.update(dict.fromkeys(message.keywords))
        if not names:
            return None
        box.keyword_bits(tuple(names), learn=True)
        return array("Q", [box.keyword_bits(message.keywords, learn=False) for message in self.messages])


def check_quota(held: Totals, octets: int, messages: int, quota: tuple[int, int]) -> None:
    """Raises OverQuota when the account may not hold so much more."""
    most_octets, most_messages = quota
    if most_octets and held.octets + octets > most_octets:
        raise OverQuota(f"the account holds {held.octets} of {most_octets} octets")
    if most_messages and held.messages + messages > most_messages:
        raise OverQuota(f"the account holds {held.messages} of {most_messages} messages")


def _page(messages: Sequence[NewMessage], first: int, keywords: array[int]) -> Page:
    """Columns of new messages, without UIDs, MODSEQs and save dates."""
    return Page(
        array("I"),
        bytes([message.flags for message in messages]),
        keywords,
        array("Q"),
        array("Q", range(first, first + len(messages))),
        array("I", [message.content.size for message in messages]),
        array("q", [message.internaldate for message in messages]),
        array("I"),
    )


def insert_message(unit: AccountUnit, number: int, new: NewMessage) -> None:
    """A new message's row and octets, under this number."""
    unit.came(new.parts)
    content, prefix, execute = new.content, None, unit.connection.execute
    if content.path or len(content.data) > IN_ROW:
        prefix, digest = _place_body(unit, new)
    else:
        digest = sha256(content.data).digest()
        execute(_INSERT_BODY, (number, content.data))
    execute(
        _INSERT_MESSAGE,
        (
            number, content.size, new.internaldate, new.header, bytes.fromhex(new.guid), digest, prefix, new.envelope,
            new.structure, new.bodystructure, new.parts, new.references,
        ),
    )  # fmt: skip
    if new.origin is not None:
        thread = new.origin.thread
        execute(_INSERT_ORIGIN, (number, new.origin.emailid, thread - 2**64 if thread >> 63 else thread))


def _place_body(unit: AccountUnit, new: NewMessage) -> tuple[bytes, bytes]:
    """Give a large body its file; prefix and digest for the row. The folder is synced before the commit."""
    layout, disk, content = unit.file.layout, unit.file.around.disk, new.content
    target = layout.body(new.guid)
    if content.path:
        keep_file(disk, content.path, target)
    else:
        keep_octets(disk, content.data, target)
    unit.new_file(target, layout.bodies)
    return content.prefix, content.digest if content.path else sha256(content.data).digest()


@dataclass(frozen=True, slots=True)
class StoreFlags:
    """Change flags of messages."""

    mailbox: int
    uids: Sequence[int]
    change: FlagChange

    def __call__(self, unit: AccountUnit) -> Callable[[], StoreFlagsResult]:
        box = unit.open(self.mailbox)
        asked = self.change
        names = asked.keywords if asked.may.keywords else ()
        bits = box.keyword_bits(names, learn=asked.op is not FlagOp.REMOVE)
        change = Bits(asked.op, asked.bits, bits, asked.unchanged_since, asked.may)
        modseq = 0
        wanted = as_uids(self.uids)
        changed: list[array[int]] = []
        modified: list[array[int]] = []
        found = 0
        for place in box.places():
            mask = mask_of(box.pages[place], wanted)
            if not mask:
                continue
            found += mask.count(1)
            uids, refused = box.change(place, mask, change, modseq or unit.totals.modseq + 1)
            if uids and not modseq:
                modseq = unit.next_modseq()
            changed.append(uids)
            modified.append(refused)
        missing = () if found == len(wanted) else _missing(box, wanted)
        return lambda: StoreFlagsResult(unit.snapshot(self.mailbox), _joined(changed), _joined(modified), missing)


def _joined(descending: list[array[int]]) -> tuple[int, ...]:
    joined: array[int] = array("I")
    for uids in reversed(descending):
        joined += uids
    return tuple(joined)


def _missing(box: Working, wanted: array[int]) -> tuple[int, ...]:
    there: set[int] = set()
    for page in box.pages:
        there.update(page.uids)
    return tuple(uid for uid in wanted if uid not in there)


def as_uids(uids: Sequence[int]) -> array[int]:
    """UIDs as a column; what cannot be a UID is left out."""
    if isinstance(uids, array) and uids.typecode == "I":
        return uids
    try:
        return array("I", uids)
    except OverflowError:
        return array("I", [uid for uid in uids if 0 <= uid < 2**32])


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy messages into another mailbox (or the same one)."""

    source: int
    uids: Sequence[int]
    target: int
    quota: tuple[int, int] = (0, 0)
    may: Settable = EVERY_FLAG

    def __call__(self, unit: AccountUnit) -> Callable[[], CopyResult]:
        source, target = unit.open(self.source), unit.open(self.target)
        taken = join(_chosen(source, as_uids(self.uids)))
        octets, count = sum(taken.sizes), len(taken)
        totals = unit.totals
        if count:
            check_quota(totals, octets, count, self.quota)
        placed = _place(unit, reached(taken, self.may), source, target) if count else array("I")
        if count:
            totals.octets += octets
            totals.messages += count
            unit.connection.execute(REFER, (apsw.carray(signed(taken.messages)),))
        return _copied(unit, self, taken, placed)


@dataclass(frozen=True, slots=True)
class Move:
    """Copy and expunge at once (RFC 6851 3.3): the messages keep their octets, only the source forgets them."""

    source: int
    uids: Sequence[int]
    target: int
    may: Settable = EVERY_FLAG

    def __call__(self, unit: AccountUnit) -> Callable[[], CopyResult]:
        source, target = unit.open(self.source), unit.open(self.target)
        wanted = as_uids(self.uids)
        chosen = [(place, mask) for place in source.places() if (mask := mask_of(source.pages[place], wanted))]
        if not chosen:
            return _copied(unit, self, join(()), array("I"))
        target.room_for(len(wanted))
        if self.may.keywords:
            target.keyword_bits(_names_used(source, chosen), learn=True)
        modseq = unit.next_modseq()
        taken = join(reversed([source.remove(place, mask, modseq) for place, mask in chosen]))
        source.merge_small()
        record_departure(unit, self.source, modseq, taken, moved=True)
        placed = _place(unit, reached(taken, self.may), source, target)
        return _copied(unit, self, taken, placed)


@lru_cache(maxsize=64)
def _within(flags: int) -> bytes:
    """For bytes.translate: only these of the visible flags."""
    return bytes(octet & (flags | ~VISIBLE & 255) for octet in range(256))


def reached(page: Page, may: Settable) -> Page:
    """The messages with the flags that may be set."""
    if may == EVERY_FLAG:
        return page
    keywords = page.keywords if may.keywords else repeat("Q", 0, len(page))
    flags = page.flags.translate(_within(may.flags))
    return Page(page.uids, flags, keywords, page.modseqs, page.messages, page.sizes, page.dates, page.saved)


def _names_used(box: Working, chosen: list[tuple[int, bytes]]) -> list[str]:
    bits = 0
    for place, mask in chosen:
        keywords = box.pages[place].keywords
        if any(keywords):
            bits = reduce(or_, compress(keywords, mask), bits)
    return [name for place, name in enumerate(box.keywords) if bits >> place & 1]


def _chosen(box: Working, wanted: array[int]) -> Iterator[Page]:
    """The wanted messages, page by page, UIDs ascending."""
    for place in reversed(list(box.places())):
        mask = mask_of(box.pages[place], wanted)
        if mask:
            yield choose(box.pages[place], mask)


def _place(unit: AccountUnit, taken: Page, source: Working, target: Working) -> array[int]:
    target.room_for(len(taken))
    keywords = taken.keywords
    if target is not source:
        keywords = translate_keywords(keywords, source.keywords, target)
    new = Page(taken.uids, taken.flags, keywords, taken.modseqs, taken.messages, taken.sizes, taken.dates, taken.saved)
    return target.add(new, unit.next_modseq())


def _copied(unit: AccountUnit, asked: Copy | Move, taken: Page, placed: array[int]) -> Callable[[], CopyResult]:
    uidvalidity = unit.open(asked.target).row.uidvalidity
    return lambda: CopyResult(
        uidvalidity,
        tuple(taken.uids) if placed else (),
        tuple(placed),
        unit.snapshot(asked.source),
        unit.snapshot(asked.target),
    )


@dataclass(frozen=True, slots=True)
class Expunge:
    """Remove messages; they stay recoverable until they are swept."""

    mailbox: int
    uids: Sequence[int] | None
    only_deleted: bool = True

    def __call__(self, unit: AccountUnit) -> Callable[[], ExpungeResult]:
        box = unit.open(self.mailbox)
        wanted = None if self.uids is None else as_uids(self.uids)
        chosen = []
        for place in box.places():
            page = box.pages[place]
            mask = b"\1" * len(page) if wanted is None else mask_of(page, wanted)
            if mask and self.only_deleted:
                mask = both(mask, page.flags.translate(IS_DELETED))
            if 1 in mask:
                chosen.append((place, mask))
        if not chosen:
            return lambda: ExpungeResult((), unit.snapshot(self.mailbox))
        gone = expunge_chosen(unit, box, chosen)
        return lambda: ExpungeResult(tuple(gone.uids), unit.snapshot(self.mailbox))


@dataclass(frozen=True, slots=True)
class Replace:
    """Add a message and take another one out at once (RFC 8508 3.4)."""

    append: Append
    source: int
    uid: int

    def __call__(self, unit: AccountUnit) -> Callable[[], AppendResult]:
        unit.open(self.append.mailbox)
        box = unit.open(self.source)
        wanted = as_uids((self.uid,))
        sizes = [size for page in _chosen(box, wanted) for size in page.sizes]
        if not sizes:
            raise MessageGone(f"UID {self.uid}")
        octets, messages = self.append.quota
        room = (octets + sizes[0] if octets else 0, messages + 1 if messages else 0)
        added = structs.replace(self.append, quota=room)(unit)
        chosen = [(place, mask) for place in box.places() if (mask := mask_of(box.pages[place], wanted))]
        expunge_chosen(unit, box, chosen)
        return added


def expunge_chosen(unit: AccountUnit, box: Working, chosen: list[tuple[int, bytes]]) -> Page:
    """Take messages out of a mailbox and remember them; gives them, UIDs ascending."""
    modseq = unit.next_modseq()
    gone = join(reversed([box.remove(place, mask, modseq) for place, mask in chosen]))
    box.merge_small()
    unit.totals.octets -= sum(gone.sizes)
    unit.totals.messages -= len(gone)
    record_departure(unit, box.row.id, modseq, gone)
    return gone


def record_departure(unit: AccountUnit, mailbox: int, modseq: int, gone: Page, *, moved: bool = False) -> None:
    """Remember what left: for VANISHED, and until it is swept for bringing it back."""
    unit.connection.execute(
        _INSERT_DEPARTURE,
        (
            modseq, mailbox, unit.now, moved, 0 if moved else len(gone), pack_uids(gone.uids),
            pack_ids(gone.messages), pack_gone(gone),
        ),
    )  # fmt: skip

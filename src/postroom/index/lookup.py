"""Which messages of an account hold a text, as far as its index knows.

The answer is in three parts: messages that surely hold it, messages that may, and up to which message the index knows
everything. The rest, and what may, is looked at itself by whoever asked (message.search): the index narrows, truth
decides. A search reads dictionaries of some megabytes and runs in a thread.
Trusts: nothing on the disk; the store checks it.
On failure: IndexDamaged, StoreUnavailable; the caller searches without the index then.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from postroom.index.fuzzy import Ranked, question, rank
from postroom.index.segment import BLOCK_BITS, BadSegment, Field, Segment
from postroom.index.terms import Probe, Wanted
from postroom.message.folding import fold
from postroom.store.api import IndexDamaged, IndexFile, IndexReading

#: of what is in an index; grows when the same message would give other terms
FORM: Final = 2
_texts = msgspec.msgpack.Decoder(list[tuple[str, str]])


@dataclass(frozen=True, slots=True)
class Found:
    """Message ids. sure: hold the text; maybe: may hold it; until: no other message up to this id holds it.

    witness: the GUID of message `until`, if it is still there; else the index is of other messages.
    """

    sure: frozenset[int] = frozenset()
    maybe: frozenset[int] = frozenset()
    until: int = 0
    witness: str = ""


NOTHING_KNOWN: Final = Found()


async def look_up(index: IndexFile, wanted: Wanted, fields: Sequence[int]) -> Found:
    """What the index knows of a text in any of these fields. Raises IndexDamaged, StoreUnavailable."""
    probes, exact = wanted.probes()
    if not probes:
        return NOTHING_KNOWN
    return await asyncio.to_thread(_look, index, _Question(wanted, tuple(probes), exact, tuple(fields)))


@dataclass(frozen=True, slots=True)
class _Question:
    wanted: Wanted
    probes: tuple[Probe, ...]
    exact: bool
    fields: tuple[int, ...]


@dataclass(slots=True)
class _Answer:
    sure: set[int] = field(default_factory=set)
    maybe: set[int] = field(default_factory=set)


def _look(index: IndexFile, question: _Question) -> Found:
    with index.read() as reading:
        state = reading.state
        if state.form != FORM:
            return NOTHING_KNOWN
        answer = _Answer()
        try:
            for row in state.segments:
                _look_into(Segment(reading.segment(row)), question, answer)
        except BadSegment as fault:
            raise IndexDamaged(str(fault)) from fault
        if not question.exact and Field.ATTACHED in question.fields:
            _look_at_texts(reading, question, answer)
        return Found(frozenset(answer.sure), frozenset(answer.maybe - answer.sure), state.until, state.witness)


async def rank_all(index: IndexFile, text: str, fields: Sequence[int]) -> Ranked:
    """Messages that fit the text, ranked. Raises IndexDamaged, StoreUnavailable."""
    words = question(fold(text))
    return await asyncio.to_thread(_rank, index, words, tuple(fields)) if words else Ranked()


def _rank(index: IndexFile, words: Sequence[str], fields: Sequence[int]) -> Ranked:
    with index.read() as reading:
        state = reading.state
        if state.form != FORM:
            return Ranked(dict.fromkeys(words, 1.0))
        try:
            segments = [Segment(reading.segment(row)) for row in state.segments]
            ranked = rank(segments, words, fields, sum(row.messages for row in state.segments))
        except BadSegment as fault:
            raise IndexDamaged(str(fault)) from fault
        ranked.until, ranked.witness = state.until, state.witness
        return ranked


def _look_into(segment: Segment, question: _Question, answer: _Answer) -> None:
    base = segment.block << BLOCK_BITS
    found = segment.find(question.probes, question.fields)
    (answer.sure if question.exact else answer.maybe).update([base + low for low in found])
    if segment.partial:
        answer.maybe.update([base + low for low in segment.partial])


def _look_at_texts(reading: IndexReading, question: _Question, answer: _Answer) -> None:
    """Messages whose attachments hold the text: nobody else can look at those again."""
    for message, packed in reading.texts(sorted(answer.maybe)).items():
        if any(question.wanted.within(fold(text)) for _, text in unpack_texts(packed)):
            answer.sure.add(message)


def pack_texts(texts: Iterable[tuple[str, str]]) -> bytes:
    """Texts of attachments with their file names, as they are kept."""
    return zlib.compress(msgspec.msgpack.encode(list(texts)), 6)


def unpack_texts(packed: bytes) -> list[tuple[str, str]]:
    """What pack_texts made. Raises IndexDamaged."""
    try:
        return _texts.decode(zlib.decompress(packed))
    except (zlib.error, msgspec.MsgspecError) as fault:
        raise IndexDamaged(str(fault)) from fault

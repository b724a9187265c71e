"""What is shown of a message that was found: the piece of its text, or of a file in it, around the hits.

Trusts nothing in messages. On failure: an empty excerpt for a message that was swept meanwhile; StoreUnavailable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from postroom.index.lookup import unpack_texts
from postroom.index.query import Node, Scope, texts
from postroom.index.snippets import Snippet, beginning, snippet
from postroom.index.terms import Wanted
from postroom.mailbox.query_texts import wanted
from postroom.message.parts import Parts
from postroom.message.search import Read, body_texts
from postroom.store.api import AccountStore, IndexDamaged, NotFound, StoreUnavailable

_IN_THREAD: Final = 512 * 1024


@dataclass(frozen=True, slots=True)
class Excerpt:
    """file: the name of the attachment it is from, "" for the message's own text."""

    snippet: Snippet
    file: str = ""


NOTHING: Final = Excerpt(Snippet(""))


def hits_of(query: Node) -> list[Wanted]:
    """What is marked: text that is looked for anywhere, or in the body."""
    return [wanted(text) for text in texts(query) if text.scope in (Scope.ANY, Scope.BODY)]


def subject_hits_of(query: Node) -> list[Wanted]:
    """What is marked in a subject."""
    return [wanted(text) for text in texts(query) if text.scope in (Scope.ANY, Scope.SUBJECT)]


def sender_hits_of(query: Node) -> list[Wanted]:
    """What is marked in a sender's name and address."""
    scopes = (Scope.ANY, Scope.FROM, Scope.WITH)
    return [wanted(text) for text in texts(query) if text.scope in scopes]


async def excerpt(store: AccountStore, message: int, hits: Sequence[Wanted]) -> Excerpt:
    """Of one message: around the first hit in its text, else in its files, else how its text begins."""
    try:
        (parts,) = await store.columns([message], "parts")
        content = await store.content(message)
        if not parts:
            return NOTHING
        unpacked = Parts.unpack(parts)
        if content.size > _IN_THREAD:
            found, begins = await asyncio.to_thread(_look, content.read, unpacked, hits)
        else:
            found, begins = _look(content.read, unpacked, hits)
    except (NotFound, FileNotFoundError):
        return NOTHING
    if found is not None:
        return Excerpt(found)
    return await _in_files(store, message, hits) or Excerpt(begins)


def _look(read: Read, parts: Parts, hits: Sequence[Wanted]) -> tuple[Snippet | None, Snippet]:
    found = snippet(_body(read, parts), hits) if hits else None
    return found, Snippet("") if found else beginning(_body(read, parts))


def _body(read: Read, parts: Parts) -> Iterator[str]:
    for _, pieces in body_texts(read, parts):
        yield from pieces


async def _in_files(store: AccountStore, message: int, hits: Sequence[Wanted]) -> Excerpt | None:
    if not hits:
        return None
    try:
        kept = await asyncio.to_thread(_texts, store, message)
        for name, text in kept:
            found = snippet((text,), hits)
            if found is not None:
                return Excerpt(found, name)
    except (IndexDamaged, StoreUnavailable):
        return None
    return None


def _texts(store: AccountStore, message: int) -> list[tuple[str, str]]:
    with store.index.read() as reading:
        packed = reading.texts([message])
    return [found for one in packed.values() for found in unpack_texts(one)]

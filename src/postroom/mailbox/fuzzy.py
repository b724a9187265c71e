"""Fuzzy search keys: which messages nearly hold a text, and how well each fits (RFC 6203).

What the index knows is ranked by it; messages it does not know yet are taken apart and ranked in the same way. A key
for one header field is met by what stands in that field alone.
Owns: the scores of one search. Trusts nothing in messages.
On failure: StoreUnavailable. A message that was swept meanwhile does not match.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from postroom.index.documents import document
from postroom.index.fuzzy import Ranked, fit, question, scored
from postroom.index.lookup import rank_all
from postroom.index.segment import BODY_FIELDS, TEXT_FIELDS, Field
from postroom.index.terms import terms_of
from postroom.mailbox.indexed import Look
from postroom.message.decode import decode_words
from postroom.message.fields import field_values
from postroom.message.folding import fold
from postroom.message.parts import Parts
from postroom.store.api import AccountStore, IndexDamaged, NotFound, StoreUnavailable
from postroom.values.content import Content
from postroom.wire.imap.commands import Key, SearchKey

_IN_THREAD: Final = 512 * 1024

#: terms of a message by field
Terms = Mapping[int, set[bytes]]


class Fuzzy:
    """The fuzzy keys of one search."""

    __slots__ = ("_keys", "_store", "scores")

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._keys = 0
        self.scores: dict[int, float] = {}  # message id to the sum of what each key says

    def test(self, key: SearchKey, exact: Look) -> Look:
        """A test for a BODY, TEXT or HEADER key. exact: of the same key, for what has no words to be met nearly."""
        words = question(fold(key.text))
        if not words:
            return exact
        self._keys += 1
        fields = BODY_FIELDS if key.key is Key.BODY else TEXT_FIELDS
        ranked: Ranked | None = None

        async def look(messages: Sequence[int]) -> Sequence[bool]:
            nonlocal ranked
            if ranked is None:
                ranked = await self._ranked(key.text, words, fields)
            return [await self._one(key, ranked, message, fields) for message in messages]

        return look

    def relevancies(self, messages: Sequence[int]) -> list[int]:
        """From 1 to 100, the best of them 100 (RFC 6203 4); what was met exactly is as good as the best."""
        best = max((self.scores[message] for message in messages if message in self.scores), default=1.0)
        return [max(1, round(100 * self.scores.get(message, best) / best)) for message in messages]

    async def _ranked(self, text: str, words: Sequence[str], fields: Sequence[int]) -> Ranked:
        unknown = Ranked(dict.fromkeys(words, 1.0))
        try:
            ranked = await rank_all(self._store.index, text, fields)
            last = await self._store.rendered([ranked.until]) if ranked.until else ()
        except IndexDamaged:
            self._store.index.report()
            return unknown
        except StoreUnavailable:
            return unknown
        return unknown if last and last[0].guid != ranked.witness else ranked

    async def _one(self, key: SearchKey, ranked: Ranked, message: int, fields: Sequence[int]) -> bool:
        score = ranked.scores.get(message, 0.0)
        if (score or message > ranked.until) and (key.key is Key.HEADER or message > ranked.until):
            terms = await self._terms(key, message)
            score = _score(ranked, terms, (Field.SHOWN,) if key.key is Key.HEADER else fields)
        if score:
            self.scores[message] = self.scores.get(message, 0.0) + score
        return score > 0

    async def _terms(self, key: SearchKey, message: int) -> Terms:
        """What of the message a key is about."""
        try:
            (parts,) = await self._store.columns([message], "parts")
            content = await self._store.content(message)
            if not parts:
                return {}
            work: Callable[[], Terms] = lambda: _terms(key, content, Parts.unpack(parts))  # noqa: E731
            return await asyncio.to_thread(work) if content.size > _IN_THREAD else work()
        except (NotFound, FileNotFoundError):
            return {}


def _score(ranked: Ranked, terms: Terms, fields: Sequence[int]) -> float:
    fits = [{0: how} if (how := fit(word, terms, fields)) else {} for word in ranked.words]
    return scored(fits, list(ranked.words.values())).get(0, 0.0)


def _terms(key: SearchKey, content: Content, parts: Parts) -> Terms:
    if key.key is not Key.HEADER:
        return document(content.read, parts).terms
    values = field_values(content.read(0, parts.root.body_start), key.name.encode("utf-8", "replace"))
    return {Field.SHOWN: terms_of("\n".join(map(decode_words, values)))}

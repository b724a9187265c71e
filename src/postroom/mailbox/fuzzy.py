"""Fuzzy search keys: which messages nearly hold a text, and how well each fits (RFC 6203).

What the index knows is ranked by it; messages it does not know yet are taken apart and ranked in the same way. A key
for one header field is met by what stands in that field alone.
Owns: the scores of one search. Trusts nothing in messages.
On failure: StoreUnavailable. A message that was swept meanwhile does not match.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from postroom.index.documents import document
from postroom.index.fuzzy import Ranked, fit, question, scored
from postroom.index.lookup import rank_all
from postroom.index.segment import Field
from postroom.index.terms import terms_of
from postroom.mailbox.indexed import Look
from postroom.message.decode import decode_words
from postroom.message.fields import field_values
from postroom.message.folding import fold
from postroom.message.parts import Parts
from postroom.store.api import AccountStore, IndexDamaged, NotFound, StoreUnavailable
from postroom.values.content import Content

_IN_THREAD: Final = 512 * 1024

#: terms of a message by field
Terms = Mapping[int, set[bytes]]


class Fuzzy:
    """The fuzzy keys of one search."""

    __slots__ = ("_store", "scores")

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self.scores: dict[int, float] = {}  # message id to the sum of what each key says

    def test(self, text: str, fields: Sequence[int], exact: Look, header: str = "") -> Look:
        """A test for text in some fields of the index, or in the header field of this name.

        exact: a test that takes no slips, for text without words.
        """
        words = question(fold(text))
        if not words:
            return exact
        ranked: Ranked | None = None

        async def look(messages: Sequence[int]) -> Sequence[bool]:
            nonlocal ranked
            if ranked is None:
                ranked = await self._ranked(text, words, fields)
            return [await self._one(ranked, message, fields, header) for message in messages]

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

    async def _one(self, ranked: Ranked, message: int, fields: Sequence[int], header: str) -> bool:
        score = ranked.scores.get(message, 0.0)
        if message > ranked.until or (score and header):
            terms = await self._terms(message, header)
            score = _score(ranked, terms, (Field.SHOWN,) if header else fields)
        if score:
            self.scores[message] = self.scores.get(message, 0.0) + score
        return score > 0

    async def _terms(self, message: int, header: str) -> Terms:
        """Of the message, or of one header field."""
        try:
            (parts,) = await self._store.columns([message], "parts")
            content = await self._store.content(message)
            if not parts:
                return {}
            unpacked = Parts.unpack(parts)
            if content.size > _IN_THREAD and not header:
                return await asyncio.to_thread(_terms, content, unpacked, header)
            return _terms(content, unpacked, header)
        except (NotFound, FileNotFoundError):
            return {}


def _score(ranked: Ranked, terms: Terms, fields: Sequence[int]) -> float:
    fits = [{0: how} if (how := fit(word, terms, fields)) else {} for word in ranked.words]
    return scored(fits, list(ranked.words.values())).get(0, 0.0)


def _terms(content: Content, parts: Parts, header: str) -> Terms:
    if not header:
        return document(content.read, parts).terms
    values = field_values(content.read(0, parts.root.body_start), header.encode("utf-8", "replace"))
    return {Field.SHOWN: terms_of("\n".join(map(decode_words, values)))}

"""DKIM signatures on what our own users send (RFC 6376 5, RFC 6409 8.4).

The key is that of the From field's domain, so that DMARC aligns; both algorithms sign (RFC 8463 3). Private keys are
loaded once and kept while the directory stays as it is.
Owns: loaded keys. Trusts: the directory's keys; the message was checked for one From field.
On failure: a message that cannot be signed leaves unsigned, told as an event; StoreError passes through.
"""

from __future__ import annotations

import asyncio
from typing import Final

from postroom.mailauth.body import BodyDigest, BodyHashes
from postroom.mailauth.dkim import BODY_FORM, BadPrivateKey, CannotSign, SigningKey, sign
from postroom.observe.log import Events
from postroom.store.api import DirectoryStore, KeyState
from postroom.values.content import Content

_SLICE: Final = 256 * 1024
#: bodies above this are hashed in a thread; 512 KiB take about a millisecond
_IN_THREAD: Final = 512 * 1024


class Signer:
    """Signs for one worker."""

    __slots__ = ("_directory", "_enabled", "_events", "_generation", "_keys")

    def __init__(self, directory: DirectoryStore, events: Events, *, enabled: bool) -> None:
        self._directory = directory
        self._events = events
        self._enabled = enabled
        self._generation = -1
        self._keys: dict[str, tuple[SigningKey, ...]] = {}

    async def fields(self, domain: str, header: bytes, content: Content, start: int, now: float) -> bytes:
        """DKIM-Signature fields to put before `header`; b"" when the domain has no keys here.

        header: as it leaves, without our trace; content and start: where the body's octets are. Raises StoreError.
        """
        keys = await self._keys_of(domain) if self._enabled else ()
        if not keys:
            return b""
        if content.size - start > _IN_THREAD:
            digest = await asyncio.to_thread(_body_digest, content, start)
        else:
            digest = _body_digest(content, start)
        try:
            return sign(header, digest, keys, int(now))
        except CannotSign as fault:
            self._events("message.unsigned", domain=domain, reason=str(fault))
            return b""

    async def _keys_of(self, domain: str) -> tuple[SigningKey, ...]:
        generation = self._directory.generation()
        if generation != self._generation:
            self._generation = generation
            self._keys.clear()
        known = self._keys.get(domain)
        if known is None:
            known = self._keys[domain] = tuple(await self._load(domain))
        return known

    async def _load(self, domain: str) -> list[SigningKey]:
        keys = []
        for row in await self._directory.signing_keys(domain):
            if row.state is KeyState.ACTIVE:
                try:
                    keys.append(SigningKey.load(row.domain, row.selector, row.private))
                except BadPrivateKey as fault:
                    self._events("message.unsigned", domain=domain, reason=f"{row.selector}: {fault}")
        return keys


def _body_digest(content: Content, start: int) -> BodyDigest:
    hashes = BodyHashes()
    hashes.want(BODY_FORM)
    for at in range(start, content.size, _SLICE):
        hashes.update(content.read(at, at + _SLICE))
    return hashes.digest(BODY_FORM)

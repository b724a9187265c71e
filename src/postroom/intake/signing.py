"""DKIM signatures on what our own users and the server itself send, and ARC seals on what is passed on.

The key is that of the From field's domain, so that DMARC aligns; both algorithms sign (RFC 8463 3). Chains are sealed
with RSA alone, which all verifiers know. Private keys are loaded once and kept while the directory stays as it is.
Owns: loaded keys. Trusts: the directory's keys; the message was checked for one From field.
Standards: RFC 6376 5, RFC 6409 8.4, RFC 8617 5.1.
On failure: a message that cannot be signed leaves unsigned, told as an event; StoreError passes through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from postroom.intake.body import hash_body
from postroom.mailauth.arc import ArcResult, seal
from postroom.mailauth.body import BodyDigest, BodyHashes
from postroom.mailauth.dkim import BODY_FORM, BadPrivateKey, CannotSign, SigningKey, sign
from postroom.mailauth.header import HeaderFields
from postroom.message.decode import parse_addresses
from postroom.message.fields import select_fields
from postroom.observe.log import Events
from postroom.store.api import DirectoryStore, KeyState, StoreError
from postroom.values.content import Content

_LONGEST_HEAD: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Arrived:
    """What was found out about a message when it came: its chain, and the value of Authentication-Results."""

    chain: ArcResult
    results: bytes


class Signer:
    """Signs for one worker."""

    __slots__ = ("_directory", "_events", "_generation", "_keys", "enabled")

    def __init__(self, directory: DirectoryStore, events: Events, *, enabled: bool) -> None:
        self._directory = directory
        self._events = events
        self.enabled = enabled
        self._generation = -1
        self._keys: dict[str, tuple[SigningKey, ...]] = {}

    async def fields(self, domain: str, header: bytes, content: Content, start: int, now: float) -> bytes:
        """DKIM-Signature fields to put before `header`; b"" when the domain has no keys here.

        header: as it leaves, without our trace; content and start: where the body's octets are. Raises StoreError.
        """
        keys = await self._keys_of(domain) if self.enabled else ()
        if not keys:
            return b""
        digest = await _digest(content, start)
        try:
            return sign(header, digest, keys, int(now))
        except CannotSign as fault:
            self._events("message.unsigned", domain=domain, reason=str(fault))
            return b""

    async def own(self, content: Content, now: float) -> bytes:
        """Signatures for mail that the server itself has written; b"" when the From domain and those above have no
        keys. Never raises: such mail must leave, signed or not.
        """
        head, found, _ = content.read(0, _LONGEST_HEAD).partition(b"\r\n\r\n")
        fields = HeaderFields(head + b"\r\n")
        places = fields.at(b"from")
        if not found or not places:
            return b""
        domain = _domain_of(fields.value(places[0]))
        try:
            while domain:
                signed = await self.fields(domain, head + b"\r\n", content, len(head) + 4, now)
                if signed:
                    return signed
                domain = domain.partition(".")[2]
        except StoreError as fault:
            self._events("message.unsigned", domain=domain, reason=str(fault))
        return b""

    async def again(self, content: Content, now: float) -> Content:
        """Mail of our own people that had to be converted on its way out (RFC 6376 5.3): its signatures, which hold no
        more, are replaced. Never raises.
        """
        octets = content.read()
        end = octets.find(b"\r\n\r\n") + 4
        if end < 4:
            return content
        bare = Content.of(select_fields(octets[:end], (b"DKIM-Signature",), invert=True) + octets[end:])
        signed = await self.own(bare, now)
        return Content.of(signed + bare.data) if signed else content

    async def seal(self, domain: str, header: bytes, body: tuple[Content, int], arrived: Arrived, now: float) -> bytes:
        """One more ARC set for mail that an address of `domain` passes on, to put before `header`; b"" for none.

        header: as it leaves; body: the content, and where its body starts. Raises StoreError.
        """
        keys = await self._keys_of(domain) if self.enabled else ()
        key = next((one for one in keys if one.algorithm == "rsa-sha256"), None)
        if key is None:
            return b""
        try:
            return seal(header, await _digest(*body), arrived.chain, arrived.results, key, int(now))
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


async def _digest(content: Content, start: int) -> BodyDigest:
    hashes = BodyHashes()
    hashes.want(BODY_FORM)
    await hash_body(hashes, content, start)
    return hashes.digest(BODY_FORM)


def _domain_of(value: bytes) -> str:
    """The domain of the first address in From; "" when there is none."""
    found = parse_addresses(value)
    return found[0].address.rpartition("@")[2].lower() if found else ""

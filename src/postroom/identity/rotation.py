"""The life of a domain's DKIM keys: made, published, signing, retired, gone (RFC 5863 5).

A domain's first keys sign at once: a signature that cannot be checked yet is worth no less than none. Later ones wait
until the DNS shows them at two looks in a row, so that no receiver ever misses a key; the old ones stay published
while mail they signed may still be on its way.
Owns: the rules and the private keys' making. Trusts: the directory. Changes are durable when they return.
On failure: StoreError; a question the DNS did not answer only means "not yet".
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from postroom.config import Signing
from postroom.identity.records import PublishedKey
from postroom.mailauth.dkim import SigningKey, generate_key
from postroom.store.api import DirectoryStore, KeyState, SigningKeyRow
from postroom.values.clock import Clock
from postroom.values.dns import Dns, DnsProblem, RecordType

DAY: Final = 86400.0
#: RFC 8463 3: Ed25519 beside RSA, for those who know it; RSA for all
KINDS: Final = ("ed25519", "rsa")


@dataclass(frozen=True, slots=True)
class Turned:
    """What a turn did with a domain's keys. act: made, waits, switched or removed; selectors it concerns."""

    domain: str
    act: str
    selectors: tuple[str, ...]


def published(rows: Sequence[SigningKeyRow]) -> list[PublishedKey]:
    """The keys as the DNS should show them, those that sign first."""
    order = {KeyState.ACTIVE: 0, KeyState.NEXT: 1, KeyState.RETIRED: 2}
    rows = sorted(rows, key=lambda row: (order[row.state], row.since, row.selector))
    return [PublishedKey(row.selector, row.state.value, signing_key(row).record) for row in rows]


class Rotation:
    """Makes and turns the keys of hosted domains."""

    def __init__(self, directory: DirectoryStore, config: Signing, clock: Clock) -> None:
        self._directory = directory
        self._config = config
        self._clock = clock
        self._seen: set[tuple[str, str]] = set()  # keys that the last look found published

    async def make(self, domain: str, *, state: KeyState) -> tuple[SigningKeyRow, ...]:
        """A new pair, RSA and Ed25519, under selectors the domain has not used."""
        now = self._clock.now()
        taken = {row.selector for row in await self._directory.signing_keys(domain)}
        day = time.strftime("%Y%m%d", time.gmtime(now))
        number = 1
        while f"{day}{_turn(number)}r" in taken or f"{day}{_turn(number)}e" in taken:
            number += 1
        rows = tuple(
            SigningKeyRow(
                domain=domain,
                selector=f"{day}{_turn(number)}{kind[0]}",
                algorithm=f"{kind}-sha256",
                private=generate_key(kind),
                state=state,
                since=now,
            )
            for kind in KINDS
        )
        await self._directory.put_signing_keys(rows)
        return rows

    async def begin(self, domain: str) -> tuple[SigningKeyRow, ...]:
        """Begin a rotation now; the pair that waits already, if there is one. The first pair signs at once."""
        rows = await self._directory.signing_keys(domain)
        waiting = tuple(row for row in rows if row.state is KeyState.NEXT)
        if waiting:
            return waiting
        has_active = any(row.state is KeyState.ACTIVE for row in rows)
        return await self.make(domain, state=KeyState.NEXT if has_active else KeyState.ACTIVE)

    async def turn(self, domain: str, dns: Dns) -> Turned | None:
        """One step of the domain's rotation, if one is due; called about every hour."""
        now = self._clock.now()
        rows = await self._directory.signing_keys(domain)
        active = [row for row in rows if row.state is KeyState.ACTIVE]
        waiting = [row for row in rows if row.state is KeyState.NEXT]
        if not active and not waiting:
            return _told(domain, "made", await self.make(domain, state=KeyState.ACTIVE))
        if waiting:
            if await self._visible(waiting, dns):
                return _told(domain, "switched", await self.switch(domain))
            return _told(domain, "waits", waiting)
        gone = [
            row
            for row in rows
            if row.state is KeyState.RETIRED and now - row.since >= self._config.retire_days * DAY
        ]  # fmt: skip
        for row in gone:
            await self._directory.remove_signing_key(domain, row.selector)
        if gone:
            return _told(domain, "removed", gone)
        rotate = self._config.rotate_days * DAY
        if rotate and now - min(row.since for row in active) >= rotate:
            return _told(domain, "made", await self.make(domain, state=KeyState.NEXT))
        return None

    async def switch(self, domain: str) -> tuple[SigningKeyRow, ...]:
        """Sign with the waiting keys from now on and retire the others; the keys that sign now."""
        now = self._clock.now()
        rows = await self._directory.signing_keys(domain)
        new = [row for row in rows if row.state is KeyState.NEXT]
        old = [row for row in rows if row.state is KeyState.ACTIVE]
        if not new:
            return tuple(old)
        changed = [replace(row, state=KeyState.ACTIVE, since=now) for row in new]
        changed += [replace(row, state=KeyState.RETIRED, since=now) for row in old]
        await self._directory.put_signing_keys(changed)
        return tuple(changed[: len(new)])

    async def _visible(self, rows: Sequence[SigningKeyRow], dns: Dns) -> bool:
        """Whether the DNS showed all of them at this look and at the one before."""
        shown = {(row.domain, row.selector) for row in rows if await _shows(dns, row)}
        known = shown & self._seen
        self._seen = {key for key in self._seen if key[0] != rows[0].domain} | shown
        return len(known) == len(rows)


async def _shows(dns: Dns, row: SigningKeyRow) -> bool:
    try:
        lookup = await dns.lookup(f"{row.selector}._domainkey.{row.domain}", RecordType.TXT)
    except DnsProblem:
        return False
    return len(lookup.records) == 1 and not signing_key(row).difference(lookup.records[0])


def signing_key(row: SigningKeyRow) -> SigningKey:
    """The key, ready to sign. Raises BadPrivateKey."""
    return SigningKey.load(row.domain, row.selector, row.private)


def _turn(number: int) -> str:
    return "" if number == 1 else f"-{number}"


def _told(domain: str, act: str, rows: Sequence[SigningKeyRow]) -> Turned:
    return Turned(domain, act, tuple(row.selector for row in rows))

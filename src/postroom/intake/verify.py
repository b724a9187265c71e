"""Who sent a message from outside: SPF, DKIM, ARC and DMARC, looked up side by side, with reasons.

Only looks; what follows from it is decided in `verdict`. The body passes once, whatever the number of signatures.
Owns: nothing between messages. Trusts nothing in the message; answers of the DNS as `values.dns` says.
Standards: RFC 7208, RFC 6376, RFC 8617, RFC 9989 (5.3: each author domain is evaluated).
On failure: never. What takes longer than the time given is temperror, and the message waits no longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from postroom.intake.body import hash_body
from postroom.mailauth import dmarc, spf
from postroom.mailauth.arc import ArcResult, ArcVerifier
from postroom.mailauth.body import BodyHashes
from postroom.mailauth.dkim import DkimResult, DkimVerifier
from postroom.mailauth.header import HeaderFields
from postroom.mailauth.spf import SpfResult
from postroom.values.content import Content
from postroom.values.dns import Dns, DnsProblem, DnsUnavailable, Lookup, RecordType


@dataclass(frozen=True, slots=True)
class Sender:
    """What the peer said. mail_from: "" for the null sender."""

    ip: str
    helo: str
    mail_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found. dmarc: of each author domain; author_spf: SPF of the author domain itself, if it was asked."""

    spf: SpfResult
    dkims: tuple[DkimResult, ...] = ()
    arc: ArcResult
    dmarc: tuple[dmarc.DmarcResult, ...] = ()
    author_spf: SpfResult | None = None


class Verifier:
    """Looks at messages for one worker. receiver: our name; seconds: how long a message may wait for the DNS."""

    def __init__(self, dns: Dns, receiver: str, seconds: float) -> None:
        self._dns = dns
        self._receiver = receiver
        self._seconds = seconds

    async def look(
        self, sender: Sender, authors: Sequence[str], fields: HeaderFields, body: tuple[Content, int], now: float
    ) -> Evidence:
        """authors: the domains in From; fields: the header; body: the content and where its body starts."""
        hashes = BodyHashes()
        dkim, arc = DkimVerifier(fields, hashes), ArcVerifier(fields, hashes)
        asking = asyncio.ensure_future(self._spf(sender, now))
        ahead = [asyncio.ensure_future(self._ask_ahead(name)) for name in _names(dkim, arc, authors)]
        try:
            if dkim.key_names or arc.key_names:
                await hash_body(hashes, *body)
            async with asyncio.timeout(self._seconds):
                found, dkims = await asking, await dkim.results(self._dns, int(now))
                chain = await arc.result(self._dns, int(now))
                results = [await self._dmarc(domain, found, dkims) for domain in authors]
            return Evidence(spf=found, dkims=dkims, arc=chain, dmarc=tuple(results))
        except TimeoutError:
            return await self._late(sender, authors, dkim, arc, int(now))
        finally:
            for task in (asking, *ahead):
                task.cancel()

    async def author_spf(self, sender: Sender, domain: str, now: float) -> SpfResult:
        """Whether the From domain itself allows the peer, whatever the envelope says."""
        asked = replace(sender, mail_from=f"postmaster@{domain}")
        try:
            async with asyncio.timeout(self._seconds):
                return await self._spf(asked, now)
        except TimeoutError:
            return _late_spf(domain)

    async def claim(self, domain: str, evidence: Evidence) -> dmarc.DmarcResult:
        """What DMARC would say, were this domain the author's."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._dmarc(domain, evidence.spf, evidence.dkims)
        except TimeoutError:
            words = f"the DNS did not answer within {self._seconds:.0f} seconds"
            return dmarc.DmarcResult(dmarc.Result.TEMPERROR, dmarc.Policy.NONE, domain, words)

    async def _spf(self, sender: Sender, now: float) -> SpfResult:
        return await spf.check(self._dns, sender.ip, sender.helo, sender.mail_from, self._receiver, int(now))

    async def _dmarc(self, domain: str, found: SpfResult, dkims: Sequence[DkimResult]) -> dmarc.DmarcResult:
        proven = [dmarc.Identifier(one.result, one.domain) for one in dkims]
        return await dmarc.evaluate(self._dns, domain, found, proven)

    async def _ask_ahead(self, name: str) -> None:
        """Let the resolver have the answer by the time it is needed."""
        try:
            await self._dns.lookup(name, RecordType.TXT)
        except DnsProblem:
            return

    async def _late(
        self, sender: Sender, authors: Sequence[str], dkim: DkimVerifier, arc: ArcVerifier, now: int
    ) -> Evidence:
        """What can be said without another answer of the DNS: signatures keep their names, and are temperror."""
        words = f"the DNS did not answer within {self._seconds:.0f} seconds"
        silent = _Silence(words)
        return Evidence(
            spf=_late_spf(sender.mail_from.rpartition("@")[2] or sender.helo),
            dkims=await dkim.results(silent, now),
            arc=await arc.result(silent, now),
            dmarc=tuple(
                dmarc.DmarcResult(dmarc.Result.TEMPERROR, dmarc.Policy.NONE, domain, words) for domain in authors
            ),
        )


class _Silence:
    """A DNS that has no answers left."""

    def __init__(self, words: str) -> None:
        self._words = words

    async def lookup(self, name: str, kind: RecordType) -> Lookup:
        raise DnsUnavailable(self._words)


def _names(dkim: DkimVerifier, arc: ArcVerifier, authors: Sequence[str]) -> Sequence[str]:
    """The TXT records that will be asked for, as far as they are known."""
    return tuple(dict.fromkeys((*dkim.key_names, *arc.key_names, *(f"_dmarc.{domain}" for domain in authors))))


def _late_spf(domain: str) -> SpfResult:
    return SpfResult(spf.Result.TEMPERROR, domain, "mailfrom", "the DNS did not answer in time")

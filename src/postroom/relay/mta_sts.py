"""MTA-STS: the policies of other domains, found, fetched, kept and renewed.

Owns: fetches under way, one for a domain at a time, and when one last failed. The policies are in the store, for all
processes and over restarts: a policy that was once fetched rules until it ends, whatever becomes of the DNS and of the
web server meanwhile. Trusts: the web's authorities for the policy host; the DNS record only as a hint to look there.
Standards: RFC 8461 3.1, 3.3 (fetching), 5 (applying), 5.1 (which policy), 10.2 (why it is renewed early).
On failure: no policy, or the one before; the reason goes into the requirement, for reports.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec.structs import replace

from postroom.net import https
from postroom.net.https import FetchFailed, Request
from postroom.relay.sts_policy import BadPolicy, Policy, read_policy, record_id
from postroom.relay.tls_policy import Applied, TlsLevel, TlsRequirement
from postroom.store.api import StoreError, StsPolicy, TransportStore
from postroom.values.clock import Clock
from postroom.values.dns import Dns, DnsUnavailable, NoSuchName, RecordType

_PATH: Final = "/.well-known/mta-sts.txt"
_DAY: Final = 86400.0
#: seconds until a fetch that failed is tried again (RFC 8461 3.3: five minutes at least)
_AGAIN: Final = 600.0
#: a policy is renewed when it is a day old, if mail asked for it in that many days
_RENEWED_FOR: Final = 30 * _DAY
_MOST_FAILURES: Final = 10_000
_AT_ONCE: Final = 10  # fetches of one renewal at a time


class Event(Protocol):
    """Where policies are told of."""

    def __call__(self, name: str, /, **fields: object) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StsMeans:
    """What it works with. hosts: addresses of a name (net.resolver); tls: for HTTPS, which checks certificates.

    port: of policy hosts; another than 443 is for tests.
    """

    dns: Dns
    hosts: Callable[[str], Awaitable[tuple[str, ...]]]
    store: TransportStore
    clock: Clock
    event: Event
    tls: Callable[[], ssl.SSLContext]
    port: int = 443


class _Trouble(Exception):
    """A policy that cannot be had. kind: result type of RFC 8460 4.3.2.2."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class MtaSts:
    """The policies of this process."""

    def __init__(self, means: StsMeans) -> None:
        self._means = means
        self._fetches: dict[str, asyncio.Task[StsPolicy | _Trouble]] = {}
        self._failed: dict[tuple[str, str], tuple[float, _Trouble]] = {}  # domain and id -> when and why
        self._background: set[asyncio.Task[None]] = set()

    async def requirement(self, domain: str, host: str) -> TlsRequirement:
        """What the domain's policy says about that server; OPPORTUNISTIC without one."""
        if domain.startswith("["):
            return TlsRequirement(level=TlsLevel.OPPORTUNISTIC, reason="no policy")
        policy, trouble = await self.policy(domain)
        troubles = ((trouble.kind, str(trouble)),) if trouble is not None else ()
        if policy is None:
            return TlsRequirement(level=TlsLevel.OPPORTUNISTIC, reason="no policy", troubles=troubles)
        return replace(demand(policy, host), troubles=troubles)

    async def policy(self, domain: str) -> tuple[StsPolicy | None, _Trouble | None]:
        """The policy that rules now, and why there is no newer one, if there should be."""
        now = self._means.clock.now()
        kept = self._kept(domain, now)
        number = await self._announced(domain)
        if not number or (kept is not None and kept.id == number):
            if kept is not None:
                self._look_after(kept, number, now)
            return kept, None
        try:
            return await self._fetched(domain, number, replace(kept, used=now) if kept is not None else None), None
        except _Trouble as fault:
            return kept, fault

    def _kept(self, domain: str, now: float) -> StsPolicy | None:
        try:
            kept = self._means.store.sts(domain)
        except StoreError as fault:
            self._means.event("sts.unkept", domain=domain, reason=str(fault))
            return None
        return kept if kept is not None and kept.until > now else None

    async def _announced(self, domain: str) -> str:
        """The id in the DNS; "" when there is none, or nobody can tell (RFC 8461 5.1: what is kept goes on)."""
        try:
            answer = await self._means.dns.lookup(f"_mta-sts.{domain}", RecordType.TXT)
        except (NoSuchName, DnsUnavailable):
            return ""
        return record_id(answer.records)

    def _look_after(self, kept: StsPolicy, number: str, now: float) -> None:
        """Renew it in good time, and remember that it is needed. Nobody waits for that."""
        if now - kept.used > _DAY:
            self._run(self._note_use(kept.domain, now))
        if number and now - kept.fetched > min(_DAY, kept.max_age / 2):
            self._run(self._renew(replace(kept, used=now)))

    async def _note_use(self, domain: str, now: float) -> None:
        try:
            await self._means.store.used_sts(domain, now)
        except StoreError as fault:
            self._means.event("sts.unkept", domain=domain, reason=str(fault))

    async def _renew(self, kept: StsPolicy) -> None:
        with contextlib.suppress(_Trouble):  # told already; the policy goes on until it ends
            await self._fetched(kept.domain, kept.id, kept)

    async def renew(self) -> None:
        """Fetch again what is kept, is a day old and was of use lately: some mail comes once a month only."""
        now = self._means.clock.now()
        due = [
            each
            for each in self._means.store.all_sts()
            if now - each.fetched > min(_DAY, each.max_age / 2) and now - each.used < _RENEWED_FOR and each.until > now
        ]
        for start in range(0, len(due), _AT_ONCE):
            await asyncio.gather(*(self._renew_if_announced(each) for each in due[start : start + _AT_ONCE]))

    async def _renew_if_announced(self, kept: StsPolicy) -> None:
        number = await self._announced(kept.domain)
        if number:
            await self._renew(replace(kept, id=number))

    # fetching

    async def _fetched(self, domain: str, number: str, before: StsPolicy | None) -> StsPolicy:
        """The policy as the domain's web server has it. Raises _Trouble."""
        at, trouble = self._failed.get((domain, number), (0.0, None))
        if trouble is not None and 0 <= self._means.clock.monotonic() - at < _AGAIN:
            raise trouble
        task = self._fetches.get(domain)
        if task is None:
            task = self._fetches[domain] = asyncio.get_running_loop().create_task(self._fetch(domain, number, before))
            task.add_done_callback(lambda _: self._fetches.pop(domain, None))
        found = await asyncio.shield(task)  # others may wait for it too
        if isinstance(found, _Trouble):
            raise found
        return found

    async def _fetch(self, domain: str, number: str, before: StsPolicy | None) -> StsPolicy | _Trouble:
        try:
            policy = await self._get(domain)
        except _Trouble as fault:
            self._remember(domain, number, fault)
            return fault
        now = self._means.clock.now()
        kept = StsPolicy(
            domain=domain,
            id=number,
            mode=policy.mode,
            mx=policy.mx,
            max_age=policy.max_age,
            fetched=now,
            until=now + policy.max_age,
            used=before.used if before is not None else now,
        )
        self._failed.pop((domain, number), None)
        try:
            await self._means.store.keep_sts(kept)
        except StoreError as fault:
            self._means.event("sts.unkept", domain=domain, reason=str(fault))
        if before is None or (before.mode, before.mx) != (kept.mode, kept.mx):
            self._means.event("sts.fetched", domain=domain, mode=kept.mode, mx=list(kept.mx), until=kept.until)
        return kept

    def _remember(self, domain: str, number: str, fault: _Trouble) -> None:
        if len(self._failed) >= _MOST_FAILURES:
            self._failed.clear()
        self._failed[domain, number] = (self._means.clock.monotonic(), fault)
        self._means.event("sts.failed", domain=domain, kind=fault.kind, reason=str(fault))

    async def _get(self, domain: str) -> Policy:
        """RFC 8461 3.3. Raises _Trouble."""
        means, host = self._means, f"mta-sts.{domain}"
        try:
            addresses = await means.hosts(host)
            request = Request(host=host, addresses=addresses, path=_PATH, port=means.port)
            response = await https.ask(request, means.tls())
        except NoSuchName:
            raise _Trouble("sts-policy-fetch-error", f"there is no host {host}") from None
        except DnsUnavailable as fault:
            raise _Trouble("sts-policy-fetch-error", f"{host} cannot be looked up: {fault}") from None
        except FetchFailed as fault:
            kind = "sts-webpki-invalid" if fault.certificate else "sts-policy-fetch-error"
            raise _Trouble(kind, str(fault)) from None
        if response.status != 200:
            raise _Trouble("sts-policy-fetch-error", f"{host} answers with status {response.status}")
        if response.media_type != "text/plain":
            raise _Trouble("sts-policy-fetch-error", f"{host} gives {response.media_type or 'nothing'}, not text/plain")
        try:
            return read_policy(response.body)
        except BadPolicy as fault:
            raise _Trouble("sts-policy-invalid", f"the policy of {domain} cannot be used: {fault}") from None

    # tasks nobody waits for

    def _run(self, work: asyncio._CoroutineLike[None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._background:
            await asyncio.wait(self._background)


def demand(kept: StsPolicy, host: str) -> TlsRequirement:
    """What a policy says about a server (RFC 8461 5)."""
    policy = Policy(kept.mode, kept.mx, kept.max_age)
    applied = Applied("sts", kept.domain, lines(kept), kept.mx)
    reason = f"MTA-STS policy of {kept.domain}"
    if policy.mode == "none":
        return TlsRequirement(level=TlsLevel.OPPORTUNISTIC, reason=reason, applied=applied, released=True)
    named = policy.names(host)
    return TlsRequirement(
        level=TlsLevel.VERIFY,
        names=(host,),
        reason=reason,
        refused="" if named else f"the MTA-STS policy of {kept.domain} does not name it",
        failure="" if named else "validation-failure",
        vouched=policy.mode == "enforce" and named,
        testing=policy.mode == "testing",
        applied=applied,
    )


def lines(kept: StsPolicy) -> tuple[str, ...]:
    """The policy as reports have it (RFC 8460 4.1)."""
    mx = [f"mx: {pattern}" for pattern in kept.mx]
    return ("version: STSv1", f"mode: {kept.mode}", *mx, f"max_age: {kept.max_age}")

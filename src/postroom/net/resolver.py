"""The DNS as mail needs it: questions to recursive servers, answers from memory, both behind `values.dns.Dns`.

Owns: the cache of this process and the questions under way; equal questions at the same time are asked once. A caller
that is cancelled leaves the question to the others. Nothing is left running after `close`.
Trusts: the servers for what they say, and for DNSSEC only those whose AD bit counts (resolver_servers).
Standards: RFC 1035, RFC 2308, RFC 8767, RFC 6761 6.3 (localhost). Local tables of hosts count for `addresses` only.
On failure: NoSuchName; DnsUnavailable with what each server did. An answer up to an hour too old is preferred to none.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from postroom.net.resolver_cache import Cache, Key, Outcome
from postroom.net.resolver_exchange import Exchange, Patience, Question
from postroom.net.resolver_servers import RESOLV_CONF, Servers
from postroom.net.resolver_wire import NXDOMAIN, Answer, NoName, question
from postroom.values.clock import Clock
from postroom.values.dns import DnsUnavailable, Lookup, NoSuchName, RecordType

_ROOM: Final = 8 * 1024 * 1024  # octets of the cache
_AT_ONCE: Final = 256  # questions under way, which a socket's buffer holds; others wait for their turn
_IN_LINE: Final = 20_000  # questions that wait; more are refused
_HOPS: Final = 8  # times a chain of CNAMEs is asked on
_HOSTS: Final = "/etc/hosts"
_LOOK: Final = 5.0  # seconds between two looks at that file
_LOCALHOST: Final = ("127.0.0.1", "::1")


class Resolver:
    """Asks the DNS. One per process, used on its event loop. A lookup from memory costs about 1 us of CPU."""

    def __init__(
        self,
        servers: Sequence[str],
        clock: Clock,
        *,
        patience: Patience | None = None,
        room: int = _ROOM,
        resolv_conf: str = RESOLV_CONF,
        hosts: str = _HOSTS,
    ) -> None:
        """servers: `server.dns`; empty: those of resolv_conf. room: octets of the cache. Raises ValueError."""
        self._configured = tuple(servers)
        self._resolv_conf = resolv_conf
        self._servers = Servers(servers, clock, resolv_conf)
        self._clock = clock
        self._patience = patience or Patience()
        self._room = room
        self._cache = Cache(room)
        self._hosts = _Hosts(hosts, clock)
        self._flights: dict[Key, _Flight] = {}
        self._line: deque[_Flight] = deque()
        self._flying = 0
        self._closed = False
        #: look-ups by where their answer came from: memory, the servers, memory past its time, nowhere
        self.counts = {"memory": 0, "servers": 0, "stale": 0, "failed": 0}

    def follow(self, servers: Sequence[str]) -> None:
        """Ask other servers from now on, and forget what these have said. The same ones change nothing."""
        if tuple(servers) != self._configured:
            self._servers = Servers(servers, self._clock, self._resolv_conf)
            self._cache = Cache(self._room)
            self._configured = tuple(servers)

    async def lookup(self, name: str, kind: RecordType) -> Lookup:
        """The records of a name, CNAMEs followed. Raises NoSuchName, DnsUnavailable; nothing else for any name."""
        key = (name.lower().removesuffix("."), kind)
        found = self._cache.find(key)
        if found is None or found.expires <= self._clock.monotonic():
            found = await self._ask(key)
        else:
            self.counts["memory"] += 1
        return found.result()

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Where a host is: IPv6 first, then IPv4. An address is itself; /etc/hosts and localhost come before the DNS.

        Empty: the name exists without addresses. Raises NoSuchName, DnsUnavailable when neither type can be had.
        """
        known = _literal(host) or self._hosts.find(host)
        if known:
            return known
        name = host.lower().removesuffix(".")
        waiting = [self._begin((name, kind)) for kind in (RecordType.AAAA, RecordType.A)]
        outcomes = [await each for each in waiting]
        good = [each.lookup for each in outcomes if each.lookup is not None]
        if not good:
            outcomes[1].result()
        return tuple(address for each in good for address in each.records)

    @property
    def busy(self) -> int:
        """Questions under way or in line."""
        return len(self._flights)

    def close(self) -> None:
        """Everybody who still waits hears DnsUnavailable."""
        self._closed = True
        for flight in list(self._flights.values()):
            flight.abandon("the server is stopping")

    # one question

    def _begin(self, key: Key) -> asyncio.Future[Outcome]:
        """The outcome, now or later."""
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        found = self._cache.find(key)
        if found is not None and found.expires > self._clock.monotonic():
            self.counts["memory"] += 1
            waiter.set_result(found)
        else:
            self._join(key, found, waiter)
        return waiter

    async def _ask(self, key: Key) -> Outcome:
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._join(key, self._cache.find(key), waiter)
        return await waiter

    def _join(self, key: Key, old: Outcome | None, waiter: asyncio.Future[Outcome]) -> None:
        flight = self._flights.get(key)
        if flight is not None:
            flight.join(waiter)
            return
        try:
            asked = question(*key)
        except NoName as fault:
            waiter.set_result(Outcome(None, NoSuchName, f"no such name: {fault}"))
            return
        if self._closed or len(self._line) >= _IN_LINE:
            text = "the server is stopping" if self._closed else "too many questions to the DNS are under way"
            waiter.set_result(Outcome(None, DnsUnavailable, text))
            return
        if old is not None and old.stale_until <= self._clock.monotonic():
            old = None
        flight = self._flights[key] = _Flight(self, key, asked, old)
        flight.join(waiter)
        if self._flying < _AT_ONCE:
            self._flying += 1
            flight.flying = True
            flight.start()
        else:
            self._line.append(flight)

    def exchange(self, flight: _Flight, asked: bytes, kind: RecordType) -> Exchange:
        """Internal: for flights."""
        return Exchange(Question(asked, kind), self._servers.order(), self._patience, self._clock, flight.answered)

    def landed(self, flight: _Flight, outcome: Outcome, ttl: float) -> Outcome:
        """Internal: a flight is over; what its waiters are told."""
        now = self._clock.monotonic()
        if self._flights.pop(flight.key, None) is not None and flight.flying:
            self._flying -= 1
        stale = flight.stale
        if outcome.problem is DnsUnavailable and stale is not None and stale.stale_until > now:
            self.counts["stale"] += 1
            self._cache.hold(stale, now)
            outcome = stale
        elif not self._closed:
            self.counts["failed" if outcome.problem is DnsUnavailable else "servers"] += 1
            self._cache.keep(flight.key, outcome, ttl, now)
        self._start_more()
        return outcome

    def _start_more(self) -> None:
        """Flights in line take the place of those that ended."""
        while self._line and self._flying < _AT_ONCE and not self._closed:
            following = self._line.popleft()
            self._flying += 1
            following.flying = True
            asyncio.get_running_loop().call_soon(following.start)

    @property
    def patience(self) -> Patience:
        """Internal: for flights."""
        return self._patience


class _Flight:
    """One question under way, and who waits for it."""

    __slots__ = (
        "_asked",
        "_end",
        "_exchange",
        "_hops",
        "_loop",
        "_over",
        "_resolver",
        "_secure",
        "_soon",
        "_stale_given",
        "_ttl",
        "_waiters",
        "flying",
        "key",
        "stale",
    )

    def __init__(self, resolver: Resolver, key: Key, asked: bytes, stale: Outcome | None) -> None:
        self._resolver = resolver
        self._asked = asked
        self._loop = asyncio.get_running_loop()
        self._waiters: list[asyncio.Future[Outcome]] = []
        self._exchange: Exchange | None = None
        self._hops = 0
        self._secure = True
        self._stale_given = False
        self._over = False
        self._ttl = float("inf")
        self._soon: asyncio.TimerHandle | None = None  # until the old answer is given
        self._end = self._loop.time() + resolver.patience.budget
        self.key = key
        self.stale = stale
        self.flying = False

    def join(self, waiter: asyncio.Future[Outcome]) -> None:
        """One more wants to know."""
        if self.stale is not None and self._stale_given:
            waiter.set_result(self.stale)
        else:
            self._waiters.append(waiter)

    def start(self) -> None:
        """Ask, if there is time left after the wait in line."""
        if self._over:
            return
        if self._loop.time() >= self._end:
            self.abandon("too many questions to the DNS are under way")
            return
        if self.stale is not None:
            self._soon = self._loop.call_later(self._resolver.patience.stale, self._give_stale)
        self._go(self._asked)

    def _go(self, asked: bytes) -> None:
        self._exchange = self._resolver.exchange(self, asked, self.key[1])
        self._exchange.start(max(self._end - self._loop.time(), 0.0))

    def _give_stale(self) -> None:
        """RFC 8767 5: whoever waits has waited long enough; the question goes on."""
        assert self.stale is not None
        self._stale_given = True
        self._tell(self.stale)

    def answered(self, answer: Answer | None, secure: bool, text: str) -> None:
        """The exchange is over."""
        self._exchange = None
        name, kind = self.key
        if answer is None:
            self._land(Outcome(None, DnsUnavailable, f"no answer from the DNS for {name} {kind} ({text})"), 0)
            return
        self._secure = self._secure and secure
        self._ttl = min(self._ttl, answer.ttl)
        if answer.code == NXDOMAIN:
            self._land(Outcome(None, NoSuchName, f"there is no name {name} in the DNS"), self._ttl)
        elif answer.alias:
            self._go_on(answer.alias)
        else:
            self._land(Outcome(Lookup(answer.records, self._secure)), self._ttl)

    def _go_on(self, alias: str) -> None:
        """The server did not follow a CNAME: ask for what it points to."""
        self._hops += 1
        name, kind = self.key
        try:
            asked = question(alias, kind)
        except NoName as fault:
            self._land(Outcome(None, NoSuchName, f"{name} points to a name that cannot be: {fault}"), self._ttl)
            return
        if self._hops > _HOPS:
            self._land(Outcome(None, DnsUnavailable, f"{name} {kind}: a chain of CNAMEs without an end"), 0)
            return
        self._go(asked)

    def abandon(self, text: str) -> None:
        """Stop asking."""
        if self._exchange is not None:
            self._exchange.close()
        self._land(Outcome(None, DnsUnavailable, text), 0)

    def _land(self, outcome: Outcome, ttl: float) -> None:
        self._over = True
        if self._soon is not None:
            self._soon.cancel()
        self._tell(self._resolver.landed(self, outcome, ttl))

    def _tell(self, outcome: Outcome) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(outcome)


class _Hosts:
    """The local table of hosts (hosts(5)), read again when it has changed."""

    __slots__ = ("_clock", "_looked", "_path", "_stamp", "_table")

    def __init__(self, path: str, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._looked = -_LOOK
        self._stamp = -1
        self._table: dict[str, tuple[str, ...]] = {}

    def find(self, host: str) -> tuple[str, ...]:
        """The addresses of a name; empty when the table does not have it."""
        now = self._clock.monotonic()
        if now - self._looked >= _LOOK:
            self._looked = now
            self._look()
        name = host.lower().removesuffix(".")
        return self._table.get(name) or (_LOCALHOST if _is_local(name) else ())

    def _look(self) -> None:
        try:
            stamp = os.stat(self._path).st_mtime_ns
            if stamp == self._stamp:
                return
            with open(self._path, encoding="utf-8", errors="replace") as file:
                lines = file.readlines()
        except OSError:
            self._stamp, self._table = -1, {}
            return
        table: dict[str, list[str]] = {}
        for line in lines:
            words = line.partition("#")[0].split()
            if len(words) > 1 and _literal(words[0]):
                for name in words[1:]:
                    table.setdefault(name.lower(), []).append(words[0])
        self._stamp = stamp
        self._table = {name: tuple(addresses) for name, addresses in table.items()}


async def this_machine(host: str) -> tuple[str, ...]:
    """As `Resolver.addresses`, without table of hosts, DNS and IPv6: localhost is 127.0.0.1. Raises NoSuchName."""
    known = _literal(host) or (_LOCALHOST[:1] if _is_local(host.lower().removesuffix(".")) else ())
    if not known:
        raise NoSuchName(f"{host} is neither an address nor this machine")
    return known


def _is_local(name: str) -> bool:
    """RFC 6761 6.3."""
    return name == "localhost" or name.endswith(".localhost")


def _literal(host: str) -> tuple[str, ...]:
    """The host as an address, if it is one (also in brackets)."""
    text = host[1:-1].removeprefix("IPv6:") if host.startswith("[") and host.endswith("]") else host
    try:
        ip_address(text)
    except ValueError:
        return ()
    return (text,)

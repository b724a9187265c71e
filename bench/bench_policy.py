"""What policies cost: microseconds of CPU for each call, best of several rounds.

PYTHONPATH=src python bench/bench_policy.py [SECONDS]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from postroom.config import Config, Limits, Sending
from postroom.policy import Bans, Conduct, ConnectionGate, LoginThrottle, Offence, Outgoing, Rates, Tables
from postroom.policy.outgoing import Draft
from postroom.store.api import AccountRow, Ban, DomainRow
from postroom.store.embedded import EmbeddedStore
from postroom.values.clock import SystemClock

ROUNDS = 7
PEERS = [f"198.51.{number >> 8}.{number & 255}" for number in range(20_000)]
ANN = AccountRow(id="a1", login="ann@x.test", created=0.0)


def quiet(*_: object, **__: object) -> None:
    """Nobody is told."""


def measure(name: str, call: Callable[[int], object], calls: int = 20_000) -> None:
    best = float("inf")
    for round_ in range(ROUNDS):
        start = time.process_time()
        for number in range(round_ * calls, (round_ + 1) * calls):
            call(number)
        best = min(best, (time.process_time() - start) / calls)
    print(f"{name:58} {best * 1e6:8.2f} us")


def sketches(store: EmbeddedStore) -> None:
    clock, tables = SystemClock(), Tables(2, b"k" * 16)
    limits = Limits(ip_messages_per_minute=10**6, ip_bytes_per_minute=2**40)
    bans = Bans(store.limits, clock, quiet, 600, 86400)
    conduct = Conduct(Config(limits=limits), tables, 0, clock, bans)
    throttle = LoginThrottle(limits, tables, 0, clock)
    rates, off = Rates(limits, tables, 0, clock), Rates(Limits(), tables, 0, clock)
    gate = ConnectionGate(Limits(connections_per_ip=10**6), tables, 0, None, bans)
    bare = ConnectionGate(Limits(connections_per_ip=10**6, network_multiple=0), tables, 0)

    def peer(number: int) -> str:
        return PEERS[number % len(PEERS)]

    def in_and_out(which: ConnectionGate) -> Callable[[int], object]:
        def call(number: int) -> None:
            which.admit("smtp", peer(number // 20))
            which.release("smtp", peer(number // 20))

        return call

    cells = tables.cells.of("x")
    now = clock.monotonic()
    measure("sketch: cells of a key", lambda number: tables.cells.of(PEERS[number % 20_000]))
    measure("sketch: is it below the limit", lambda _: tables.rates.below(cells, 5, now))
    measure("sketch: count", lambda _: tables.abuse.add(cells, 0, 1, now))
    measure("connection in and out, addresses only", in_and_out(bare))
    measure("connection in and out, networks and bans too", in_and_out(gate))
    measure("ban: nobody is banned", lambda number: bans.find(peer(number)))
    measure("message, no limits set", lambda number: off.message(peer(number)))
    measure("message, limits on messages and octets, with networks", lambda number: rates.message(peer(number)))
    measure("an offence", lambda number: conduct.note(Offence.NOTHING, peer(number)), 2000)
    measure("login: before", lambda number: throttle.before(peer(number), "ann@x.test"))
    measure("login: succeeded", lambda number: throttle.succeeded(peer(number), "ann@x.test"))


async def banned(store: EmbeddedStore) -> None:
    now = time.time()
    for number in range(5000):
        await store.limits.put_ban(
            Ban(network=f"10.{number >> 8}.{number & 255}.1", since=now, until=now + 9999, reason="x")
        )
    bans = Bans(store.limits, SystemClock(), quiet, 600, 86400)
    bans.find(PEERS[0])
    measure("ban: 5,000 are banned, this one is not", lambda number: bans.find(PEERS[number % 20_000]))


async def sending(store: EmbeddedStore) -> None:
    await store.directory.put_domain(DomainRow(name="x.test", created=0.0))
    free = Sending(domain_messages_per_hour=10**9, account_messages_per_day=10**9, account_recipients_per_day=0)
    outgoing = Outgoing(free, (store.limits, store.directory), SystemClock(), quiet, quiet)

    async def send(number: int) -> None:
        draft = Draft(ANN, "x.test")
        await outgoing.add(draft, [f"r{number % 100}@y.test"])
        await outgoing.take(draft)

    for together in (1, 20):
        best = wall = float("inf")
        for round_ in range(ROUNDS):
            start, clock = time.process_time(), time.perf_counter()
            for first in range(0, 400, together):
                await asyncio.gather(*(send(round_ * 400 + first + each) for each in range(together)))
            best = min(best, (time.process_time() - start) / 400)
            wall = min(wall, (time.perf_counter() - clock) / 400)
        print(f"message to outside counted, {together:2} at once {best * 1e6:33.2f} us, {wall * 1e6:.0f} wall")
    measure("MAIL: is the account frozen", lambda _: outgoing.check(ANN))
    measure("RCPT: is the recipient new", lambda n: store.limits.fresh("a1", [f"r{n}@y.test"]))


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedStore(Path(folder))
        sketches(store)
        await banned(store)
        await sending(store)
        await store.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

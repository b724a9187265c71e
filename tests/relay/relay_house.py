"""A relay with a queue that only remembers, DNS made of a dictionary, and peers that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from postroom.config import Config, OutgoingTls, Server
from postroom.config import Relay as RelayConfig
from postroom.net.wheel import Wheel
from postroom.queue.outcome import Outcome
from postroom.relay.dial import Means
from postroom.relay.service import Relay
from postroom.store.api import Entry, Recipient
from postroom.testing.mailflow import Events, StandingClock
from postroom.testing.scripted_peer import ScriptedPeer
from postroom.values.content import Content
from postroom.values.dns import DnsUnavailable, Lookup, NoSuchName, RecordType

MAIL = b"Received: x\r\nSubject: hi\r\n\r\n.dot\r\nbody\r\n"


class FakeQueue:
    """Remembers outcomes by entry and recipient, and wakes who waits for them."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, int], list[Outcome]] = {}
        self.back: list[str] = []
        self.changed = asyncio.Condition()

    async def settle(self, entry: Entry, outcomes) -> None:
        for outcome in outcomes:
            self.outcomes.setdefault((entry.id, outcome.recipient.index), []).append(outcome)
        async with self.changed:
            self.changed.notify_all()

    def give_back(self, entry: Entry, recipients) -> None:
        self.back.append(entry.id)

    async def until(self, count: int) -> list[Outcome]:
        """The first outcomes, once there are so many."""
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: len(self.outcomes) >= count)
        return [outcomes[0] for _, outcomes in sorted(self.outcomes.items())]


class Zone:
    """DNS from {name: {type: records}}; the text "TIMEOUT" instead of records is DnsUnavailable."""

    def __init__(self, data: dict[str, dict[str, Any]]) -> None:
        self.data = data
        self.asked: list[tuple[str, str]] = []

    async def lookup(self, name: str, kind: RecordType) -> Lookup:
        self.asked.append((name, kind.value))
        found = self.data.get(name)
        if found is None:
            raise NoSuchName(f"{name} does not exist")
        records = found.get(kind.value, ())
        if records == "TIMEOUT":
            raise DnsUnavailable("no answer in time")
        return Lookup(tuple(records), found.get("secure", False))


class House:
    """A relay. Without `peer` and `host` it delivers by MX, with the zone's data."""

    def __init__(
        self,
        peer: ScriptedPeer | None = None,
        zone: Zone | None = None,
        config: dict[str, Any] | None = None,
        **options,
    ) -> None:
        self.queue = FakeQueue()
        self.events = Events()
        self.clock = StandingClock()
        self.wheel = Wheel(1.0)
        more = {name: options.pop(name) for name in list(options) if name in Means.__slots__}
        if "password" in options:
            options["password_file"] = "secret"
            more["passwords"] = {"secret": options.pop("password")}
        fields = {"tls": OutgoingTls.NONE, **options}
        if peer is not None and zone is None:
            fields = {"host": "localhost", "port": peer.port, **fields}
        elif peer is not None:
            fields["port"] = peer.port
        whole = Config(server=Server(hostname="mx.here.test"), relay=RelayConfig(**fields), **(config or {}))
        self.random = iter(lambda: 0.5, None)
        means = Means(
            wheel=self.wheel,
            event=self.events,
            clock=self.clock,
            random=more.pop("random", lambda: 0.5),
            dns=zone,
            **more,
        )
        self.relay = Relay(self.queue, whole, means)
        self.count = 0

    def entry(self, *addresses: str, content: bytes | Content = MAIL, sender: str = "a@here.test", **fields) -> Entry:
        notify = fields.pop("notify", "")
        recipients = tuple(
            Recipient(index=n, address=each, route="remote", notify=notify)
            for n, each in enumerate(addresses or ("b@far.test",))
        )
        content = Content.of(content) if isinstance(content, bytes) else content
        self.count += 1
        return Entry(
            id=f"id{self.count - 1:05}",
            slot=0,
            sender=sender,
            received=1.0,
            size=content.size,
            content=content,
            recipients=recipients,
            **fields,
        )

    def take(self, *addresses: str, **fields) -> Entry:
        entry = self.entry(*addresses, **fields)
        self.relay.take(entry, entry.recipients)
        return entry

    async def outcome(self, *addresses: str, alone: bool = True, **fields) -> Outcome:
        """alone: nothing else is under way, wait until the relay rests."""
        entry = self.take(*addresses, **fields)
        async with asyncio.timeout(20), self.queue.changed:
            await self.queue.changed.wait_for(lambda: (entry.id, 0) in self.queue.outcomes)
        if alone:
            await until(lambda: not self.relay.busy)
        return self.queue.outcomes[entry.id, 0][0]


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0)

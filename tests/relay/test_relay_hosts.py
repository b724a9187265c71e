"""A smart host by name: found by our resolver, in the order of relay.ip; names are never asked of the system."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from relay_house import House

from postroom.net.resolver import Resolver
from postroom.queue.outcome import Kind
from postroom.testing.dnsserver import DnsServer
from postroom.testing.scripted_peer import ScriptedPeer
from postroom.values.clock import SystemClock
from postroom.values.dns import DnsUnavailable

ZONE = {"smart.test": {"A": ["127.0.0.1"]}, "broken.test": {"*": "SERVFAIL"}}


@pytest.fixture
async def host() -> AsyncIterator[ScriptedPeer]:
    host = ScriptedPeer()
    await host.start()
    yield host
    await host.stop()


async def test_a_smart_host_in_the_dns(host: ScriptedPeer) -> None:
    async with DnsServer(ZONE) as dns:
        resolver = Resolver([dns.address], SystemClock())
        house = House(host, host="smart.test", hosts=resolver.addresses)
        assert (await house.outcome()).kind is Kind.RELAYED
        outcome = await House(host, host="broken.test", hosts=resolver.addresses).outcome()
        assert (outcome.kind, outcome.status) == (Kind.DEFERRED, "4.4.3")
        assert (
            outcome.reply.startswith("broken.test cannot be found: no answer from the DNS")
            and "SERVFAIL" in outcome.reply
        )
        await house.relay.stop()
        resolver.close()


@pytest.mark.parametrize(
    ("wanted", "tried"),
    [("prefer_ipv4", "127.0.0.1"), ("ipv4", "127.0.0.1"), ("prefer_ipv6", "127.0.0.1"), ("ipv6", "")],
)
async def test_addresses_in_the_order_that_is_wished(host: ScriptedPeer, wanted: str, tried: str) -> None:
    async def hosts(name: str) -> tuple[str, ...]:
        assert name == "two.test"
        return ("::1", "127.0.0.1")

    house = House(host, host="two.test", ip=wanted, hosts=hosts)
    outcome = await house.outcome()
    assert (outcome.kind is Kind.RELAYED) == bool(tried)
    if not tried:
        assert "two.test [::1]" in outcome.reply
    await house.relay.stop()


async def test_a_host_that_cannot_be_looked_up_now(host: ScriptedPeer) -> None:
    async def hosts(name: str) -> tuple[str, ...]:
        raise DnsUnavailable("no answer")

    outcome = await House(host, host="two.test", hosts=hosts).outcome()
    assert (outcome.kind, outcome.reply) == (Kind.DEFERRED, "two.test cannot be found: no answer")

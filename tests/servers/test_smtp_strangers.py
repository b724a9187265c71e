"""Other servers are examined over real sockets, with a resolver and a DNS server: lists, names, and who is spared."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from postroom.config import Blocklist, Check, Config, Limits, Peers, Protocol, Server
from postroom.net.resolver import Resolver
from postroom.policy.strangers import Strangers
from postroom.testing.dnsserver import DnsServer
from postroom.values.clock import SystemClock

from .house import House, Wire

LISTED, GOOD = "127.0.0.66", "127.0.0.77"
ZONE = {
    "2.0.0.127.bl.test": {"A": ["127.0.0.2"]},
    "66.0.0.127.bl.test": {"A": ["127.0.0.3"], "TXT": ["Spam was seen, see https://bl.test/"]},
    "77.0.0.127.in-addr.arpa": {"PTR": ["mx.far.test"]},
    "mx.far.test": {"A": [GOOD]},
    "1.0.0.127.all.test": {"A": ["127.0.0.2"]},
    "*.all.test": {"A": ["127.0.0.2"]},
}
Furnish = Callable[..., None]


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with DnsServer(ZONE) as server:
        yield server


@pytest.fixture
async def furnish(house: House, dns: DnsServer) -> AsyncIterator[Furnish]:
    resolver = Resolver([dns.address], SystemClock())

    def make(*zones: str, limits: Limits | None = None, **peers: object) -> None:
        config = Config(
            server=Server(hostname="mx.here.test"),
            limits=limits or Limits(),
            peers=Peers(**peers),  # type: ignore[arg-type]
            blocklist=tuple(Blocklist(zone=zone) for zone in zones),
        )
        house.strangers = Strangers(resolver, config, SystemClock(), house.events)

    yield make
    resolver.close()


async def rcpt(wire: Wire, helo: str = "mx.far.test", to: str = "ann@here.test") -> bytes:
    await wire.reply()
    await wire.ask(f"EHLO {helo}".encode())
    assert (await wire.ask(b"MAIL FROM:<x@far.test>")).startswith(b"250 ")
    return await wire.ask(f"RCPT TO:<{to}>".encode())


async def test_a_listed_server_hears_by_whom_and_the_log_says_who_wrote_to_whom(house: House, furnish: Furnish) -> None:
    furnish("bl.test")
    async with Wire(await house.serve(Protocol.SMTP), LISTED) as wire:
        reply = await rcpt(wire)
        expected = (
            b"550 5.7.1 Refused: 127.0.0.66 is listed by bl.test, which says: Spam was seen, see https://bl.test/"
        )
        assert reply == expected
        assert await wire.ask(b"RCPT TO:<nobody@here.test>") == expected
        assert (await wire.ask(b"RCPT TO:<postmaster@here.test>")).startswith(b"250 ")
        assert (await wire.ask(b"RSET")).startswith(b"250 ")
    refused = house.events.of("mail.refused")[0]
    assert (refused["sender"], refused["recipient"], refused["ip"]) == ("x@far.test", "ann@here.test", LISTED)
    assert refused["reason"] == "127.0.0.66 is listed by bl.test (127.0.0.3; +1); score 1 of 1"
    stranger = house.events.of("mail.stranger")[0]
    assert (stranger["queue_id"], stranger["score"]) == (refused["queue_id"], 1.0)


async def test_others_are_served_and_their_name_is_written_down(house: House, furnish: Furnish) -> None:
    furnish("bl.test")
    async with Wire(await house.serve(Protocol.SMTP), GOOD) as wire:
        assert (await rcpt(wire)).startswith(b"250 ")
        await wire.ask(b"DATA")
        assert (await wire.ask(b"Subject: x\r\n\r\nx\r\n.")).startswith(b"250 ")
    (entry,) = await house.queued()
    assert b"Received: from mx.far.test (mx.far.test [127.0.0.77])\r\n" in entry.content.read()
    assert house.events.of("mail.stranger") == []


async def test_a_list_that_lists_everything_refuses_nobody(house: House, furnish: Furnish, dns: DnsServer) -> None:
    furnish("all.test")
    port = await house.serve(Protocol.SMTP)
    for _ in range(2):
        async with Wire(port, LISTED) as wire:
            assert (await rcpt(wire)).startswith(b"250 ")
    assert [told["zone"] for told in house.events.of("blocklist.ignored")] == ["all.test"]


async def test_a_dns_that_does_not_answer_stops_no_mail(house: House, furnish: Furnish, dns: DnsServer) -> None:
    dns.fault("*", what="TIMEOUT")
    furnish("bl.test", seconds=0.05, reverse_name=Check.REFUSE)
    async with Wire(await house.serve(Protocol.SMTP), LISTED) as wire:
        assert (await rcpt(wire)).startswith(b"450 4.7.25 ")
    furnish("bl.test", seconds=0.05)
    async with Wire(await house.serve(Protocol.SMTP), LISTED) as wire:
        assert (await rcpt(wire)).startswith(b"250 ")


@pytest.mark.parametrize("protocol", [Protocol.SUBMISSION, Protocol.LMTP])
async def test_only_other_servers_are_examined(
    house: House, furnish: Furnish, dns: DnsServer, protocol: Protocol
) -> None:
    furnish("bl.test")
    async with Wire(await house.serve(protocol), LISTED) as wire:
        await wire.reply()
        hello = b"LHLO" if protocol is Protocol.LMTP else b"EHLO"
        await wire.ask(hello + b" x.test")
        await wire.ask(b"MAIL FROM:<x@far.test>")
        assert not (await wire.ask(b"RCPT TO:<ann@here.test>")).startswith(b"550")
    assert dns.asked == []


async def test_trusted_networks_are_spared(house: House, furnish: Furnish, dns: DnsServer) -> None:
    furnish("bl.test", limits=Limits(trusted_networks=("127.0.0.64/30",)))
    async with Wire(await house.serve(Protocol.SMTP), LISTED) as wire:
        assert (await rcpt(wire)).startswith(b"250 ")
    assert dns.asked == []


async def test_a_peer_that_goes_away_while_it_is_examined(house: House, furnish: Furnish, dns: DnsServer) -> None:
    dns.fault("*", what="TIMEOUT")
    furnish("bl.test", seconds=0.2)
    async with Wire(await house.serve(Protocol.SMTP), LISTED) as wire:
        await wire.reply()
        wire.writer.write(b"EHLO mx.far.test\r\nMAIL FROM:<x@far.test>\r\nRCPT TO:<ann@here.test>\r\n")
        for _ in range(2):
            await wire.reply()
    await house.nobody_left()

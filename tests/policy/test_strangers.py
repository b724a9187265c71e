"""The names of a peer, and what strangers are refused for."""

from __future__ import annotations

import asyncio

import pytest

from postroom.config import Blocklist, BlocklistKind, Check, Config, Limits, Peers, Server
from postroom.policy.peer_names import check_helo, iprev
from postroom.policy.strangers import Standing, Strangers
from postroom.testing.mailflow import Events, StandingClock
from postroom.values.refusal import Refusal

from .peer_dns import AAAA, PTR, TXT, A, FakeDns

IP, SIX = "192.0.2.7", "2001:db8::7"
SIX_NAME = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"


@pytest.fixture
def dns() -> FakeDns:
    return FakeDns()


# RFC 8601 2.7.3


async def test_a_name_that_leads_back(dns: FakeDns) -> None:
    dns.add("7.2.0.192.in-addr.arpa", PTR, "old.test", "mx.test")
    dns.add("old.test", A, "192.0.2.9")
    dns.add("mx.test", A, "192.0.2.8", IP)
    found = await iprev(dns, IP)
    assert (found.result, found.name, found.reason) == ("pass", "mx.test", "192.0.2.7 is mx.test")
    dns.add(SIX_NAME, PTR, "mx6.test")
    dns.add("mx6.test", AAAA, "2001:DB8:0::7")
    assert (await iprev(dns, SIX)).name == "mx6.test"


async def test_a_name_that_leads_elsewhere(dns: FakeDns) -> None:
    dns.add("7.2.0.192.in-addr.arpa", PTR, "mail.bank.test", "gone.test")
    dns.add("mail.bank.test", A, "192.0.2.200")
    found = await iprev(dns, IP)
    assert (found.result, found.name) == ("fail", "")
    assert found.reason == "192.0.2.7 is called mail.bank.test, gone.test, but that does not lead back to it"


async def test_no_name(dns: FakeDns) -> None:
    assert (await iprev(dns, IP)).result == "permerror"
    dns.add("7.2.0.192.in-addr.arpa", PTR)
    assert (await iprev(dns, IP)).result == "permerror"


async def test_names_that_cannot_be_looked_up(dns: FakeDns) -> None:
    dns.add("7.2.0.192.in-addr.arpa", PTR, "mx.test")
    dns.fail("mx.test")
    assert (await iprev(dns, IP)).result == "temperror"
    dns.fail("7.2.0.192.in-addr.arpa", PTR)
    assert (await iprev(dns, IP)).result == "temperror"


async def test_only_so_many_names_are_looked_at(dns: FakeDns) -> None:
    dns.add("7.2.0.192.in-addr.arpa", PTR, *[f"n{number}.test" for number in range(50)])
    dns.add("n49.test", A, IP)
    assert (await iprev(dns, IP)).result == "fail"
    assert len(dns.asked) == 11


# HELO


@pytest.mark.parametrize("helo", ["mx.far.test", "MX.Far.test.", "[192.0.2.7]", "a-b.c1.test", "xn--bcher-kva.test"])
def test_names_that_servers_have(helo: str) -> None:
    assert check_helo(helo, IP, "mx.here.test").ok


@pytest.mark.parametrize(
    ("helo", "cause"),
    [
        ("localhost", "no whole host name"),
        ("WIN-PC12", "no whole host name"),
        ("-a.test", "no whole host name"),
        ("a..test", "no whole host name"),
        ("a.123", "no whole host name"),
        ("x" * 64 + ".test", "no whole host name"),
        ("192.0.2.7", "in brackets"),
        ("2001:db8::7", "in brackets"),
        ("[192.0.2.8]", "but its address is"),
        ("[192.0.2.7", "no address literal"),
        ("[IPv6:192.0.2.7]", "no address literal"),
        ("[2001:db8::7]", "no address literal"),
        ("[x]", "no address"),
        ("MX.here.test", "this server's name"),
    ],
)
def test_names_that_no_server_has(helo: str, cause: str) -> None:
    found = check_helo(helo, IP, "mx.here.test")
    assert not found.ok and cause in found.reason


def test_literals_of_ipv6() -> None:
    assert check_helo("[IPv6:2001:DB8::7]", SIX, "mx.here.test").ok
    assert not check_helo("[IPv6:2001:db8::8]", SIX, "mx.here.test").ok


# all together


def strangers(dns: FakeDns, *lists: Blocklist, **options: object) -> Strangers:
    limits = Limits(trusted_networks=("198.51.100.0/24",), relay_networks=("203.0.113.0/24",))
    config = Config(
        server=Server(hostname="mx.here.test"),
        limits=limits,
        peers=Peers(**options),  # type: ignore[arg-type]
        blocklist=lists,
    )
    return Strangers(dns, config, StandingClock(), Events())


def refusal(standing: Standing) -> Refusal:
    with pytest.raises(Refusal) as caught:
        standing.check()
    return caught.value


async def test_by_default_names_are_marked_only(dns: FakeDns) -> None:
    made = strangers(dns)
    assert made.active
    standing = await made.examine(IP, "localhost", "far.test")
    standing.check()
    assert standing.iprev is not None and standing.iprev.result == "permerror"
    assert standing.helo is not None and not standing.helo.ok
    assert standing.remarks == (
        "192.0.2.7 has no name in the DNS (PTR); it calls itself localhost, which is no whole host name"
    )


async def test_a_listed_address_is_refused_with_the_list_named(dns: FakeDns) -> None:
    dns.list("bl.test", "7.2.0.192")
    dns.add("7.2.0.192.bl.test", TXT, b"Spam seen; https://bl.test/q")
    standing = await strangers(dns, Blocklist(zone="bl.test")).examine(IP, "mx.far.test", "far.test")
    for _ in range(2):  # each recipient hears it
        fault = refusal(standing)
        assert (fault.code, fault.enhanced) == (550, "5.7.1")
        assert fault.public == "Refused: 192.0.2.7 is listed by bl.test, which says: Spam seen; https://bl.test/q"
        assert fault.reason == "192.0.2.7 is listed by bl.test (127.0.0.2; +1); score 1 of 1"


async def test_below_the_threshold_it_is_only_remarked(dns: FakeDns) -> None:
    dns.list("a.test", "7.2.0.192")
    dns.list("b.test", "spam.example")
    lists = (Blocklist(zone="a.test", weight=0.5), Blocklist(zone="b.test", kind=BlocklistKind.DOMAIN, weight=0.5))
    made = strangers(dns, *lists)
    standing = await made.examine(IP, "mx.far.test", "far.test")
    standing.check()
    assert standing.listed.score == 0.5 and "a.test" in standing.remarks
    assert refusal(await made.examine(IP, "spam.example", "far.test")).code == 550
    assert refusal(await made.examine(IP, "mx.far.test", "Spam.example")).code == 550
    (await made.examine(IP, "[192.0.2.7]", "")).check()


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1", "198.51.100.9", "203.0.113.9"])
async def test_friends_are_not_examined(dns: FakeDns, ip: str) -> None:
    standing = await strangers(dns, Blocklist(zone="bl.test")).examine(ip, "localhost", "far.test")
    assert standing == Standing()
    assert dns.asked == []


async def test_names_can_be_demanded(dns: FakeDns) -> None:
    made = strangers(dns, reverse_name=Check.REFUSE, helo_name=Check.REFUSE)
    fault = refusal(await made.examine(IP, "mx.far.test", "far.test"))
    assert (fault.code, fault.enhanced) == (550, "5.7.25")
    dns.fail("7.2.0.192.in-addr.arpa", PTR)
    fault = refusal(await made.examine(IP, "mx.far.test", "far.test"))
    assert (fault.code, fault.enhanced) == (450, "4.7.25")
    dns.add("7.2.0.192.in-addr.arpa", PTR, "mx.far.test")
    dns.add("mx.far.test", A, IP)
    (await made.examine(IP, "mx.far.test", "far.test")).check()
    fault = refusal(await made.examine(IP, "WIN-PC", "far.test"))
    assert (fault.code, fault.enhanced) == (550, "5.7.1") and "WIN-PC" in fault.reason


async def test_a_slow_dns_delays_nobody_for_long(dns: FakeDns) -> None:
    dns.hang("7.2.0.192.in-addr.arpa", PTR)
    standing = await strangers(dns, seconds=0.02).examine(IP, "mx.far.test", "far.test")
    standing.check()
    assert standing.iprev is not None and standing.iprev.result == "temperror"
    await asyncio.sleep(0)
    assert dns.cancelled == 1


async def test_switched_off_it_costs_nothing(dns: FakeDns) -> None:
    made = strangers(dns, reverse_name=Check.OFF, helo_name=Check.OFF)
    assert not made.active

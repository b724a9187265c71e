"""Ways to domains, sources of mail, lanes, pace and TLS policy: what needs no connection."""

from __future__ import annotations

import pytest

from postroom.config import Config, OutgoingTls, Relay, Route, Server, Source
from postroom.relay.destination import Destination
from postroom.relay.lanes import Lanes
from postroom.relay.mx import is_local
from postroom.relay.pace import Pace
from postroom.relay.routes import Nexthop, Routes
from postroom.relay.sources import Origin, Sources
from postroom.relay.tls_policy import NeverWeaker, OpportunisticTls, TlsLevel, TlsRequirement
from postroom.store.api import StoreUnavailable
from postroom.store.memory.transport import MemoryTransport
from postroom.testing.mailflow import StandingClock


def routes(*rules: Route, **relay) -> Routes:
    return Routes(Config(relay=Relay(**relay), route=rules), {"file": "secret"})


def test_the_smart_host_takes_what_no_rule_names() -> None:
    ways = routes(Route(domain="direct.test"), host="smart.test", user="me", password_file="file")
    way = ways.find("far.test")
    assert (way.host, way.port, way.login, way.password, way.tls) == (
        "smart.test",
        587,
        "me",
        "secret",
        OutgoingTls.STARTTLS,
    )
    direct = ways.find("direct.test")
    assert (direct.host, direct.domain, direct.port, direct.tls) == (
        "",
        "direct.test",
        25,
        OutgoingTls.OPPORTUNISTIC,
    )
    assert ways.find("far.test") is way


def test_ports() -> None:
    assert routes(host="smart.test", tls=OutgoingTls.IMPLICIT).find("far.test").port == 465
    assert routes(host="smart.test", port=2525).find("far.test").port == 2525
    assert routes(port=2525).find("far.test").port == 2525
    assert routes(Route(domain="a.test", host="h"), host="smart.test", port=2525).find("a.test").port == 25
    assert routes(Route(domain="a.test", host="h", user="me", password_file="file")).find("a.test").port == 587


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        ("a.test", "exact"),
        ("b.a.test", "below"),
        ("c.b.a.test", "below"),
        ("x.c.a.test", "deeper"),
        ("ba.test", ""),
        ("xn--mnchen-3ya.test", "munich"),
    ],
)
def test_the_nearest_rule_wins(domain: str, host: str) -> None:
    rules = (
        Route(domain=".a.test", host="below"),
        Route(domain="A.test", host="exact"),
        Route(domain=".c.a.test", host="deeper"),
        Route(domain="münchen.test", host="munich"),
    )
    assert routes(*rules).find(domain).host == host


def test_no_way_out() -> None:
    assert routes(direct=False).find("far.test") is None


@pytest.mark.parametrize(
    ("place", "host", "port"),
    [
        ("mx", "", 25),
        ("h.test", "h.test", 25),
        ("h.test:2525", "h.test", 2525),
        ("[::1]", "::1", 25),
        ("[::1]:26", "::1", 26),
    ],
)
def test_an_administrator_names_a_way(place: str, host: str, port: int) -> None:
    way = routes(host="smart.test").to(place, "far.test")
    assert (way.host, way.port, way.domain) == (host, port, "" if host else "far.test")


def test_sources_take_turns() -> None:
    config = Config(
        server=Server(hostname="mx.here.test"),
        source=(
            Source(domain="a.test", addresses=("192.0.2.1", "192.0.2.2", "2001:db8::1"), hostname="out.test"),
            Source(addresses=("2001:db8::9",)),
        ),
    )
    sources = Sources(config)
    turns = [sources.of("x@A.test") for _ in range(3)]
    assert [(each.ipv4, each.ipv6, each.hostname) for each in turns] == [
        ("192.0.2.1", "2001:db8::1", "out.test"),
        ("192.0.2.2", "2001:db8::1", "out.test"),
        ("192.0.2.1", "2001:db8::1", "out.test"),
    ]
    other = sources.of("")
    assert (other.hostname, other.address_for("2001:db8::5"), other.address_for("192.0.2.9")) == (
        "mx.here.test",
        "2001:db8::9",
        None,
    )
    assert Sources(Config()).of("a@b.test").address_for("::1") == ""


def test_lanes_take_turns() -> None:
    lanes: Lanes[str] = Lanes()
    for number in range(3):
        lanes.add("bulk", f"bulk {number}")
    lanes.add("ann", "ann 0")
    lanes.add("ben", "ben 0")
    first = lanes.take()
    lanes.put_back("bulk", first)
    assert [lanes.take() for _ in range(3)] == ["bulk 0", "ann 0", "ben 0"]
    assert len(lanes) == 2
    assert list(lanes.drain()) == ["bulk 1", "bulk 2"]
    with pytest.raises(IndexError):
        lanes.take()


def test_bulk_mail_lets_the_rest_go_first() -> None:
    lanes: Lanes[str] = Lanes()
    for number in range(20):
        lanes.add("shop bulk", f"bulk {number}", bulk=True)
    assert lanes.take() == "bulk 0"
    for number in range(8):
        lanes.add("shop", f"letter {number}")
    order = [lanes.take() for _ in range(10)]
    assert [each.split(" ")[0] for each in order].count("bulk") == 2
    assert order[0] == "letter 0"
    assert len(lanes) == 17
    assert all(each.startswith("bulk") for each in lanes.drain())


def test_messages_a_minute() -> None:
    pace = Pace(20, per_minute=60)
    assert pace.turn(100.0) == 0.0
    assert pace.turn(100.25) == 0.75
    assert pace.turn(101.0) == 0.0
    assert pace.turn(500.0) == 0.0
    assert pace.turn(500.0) == 1.0  # what was not used is not saved up
    assert [Pace(20).turn(0.0) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_the_window_follows_success() -> None:
    pace = Pace(20)
    assert pace.window == 5
    for _ in range(400):
        pace.succeeded()
    assert pace.window == 20
    pace.hindered()
    assert pace.window == 10
    pace.crowded(2)
    assert pace.window == 2
    for _ in range(3):
        pace.succeeded()
    assert pace.window == 2  # it grows more carefully now
    assert Pace(2).window == 2


def test_pauses_grow_and_end_with_success() -> None:
    pace = Pace(20)
    assert [pace.failed(100.0) for _ in range(6)] == [60, 120, 240, 480, 900, 900]
    assert (pace.until, pace.window) == (1000.0, 1)
    pace.forgive()
    assert pace.until == 0.0
    pace.succeeded()
    assert pace.failed(0.0) == 60


def test_local_addresses() -> None:
    assert is_local("127.0.0.77")
    assert not is_local("192.0.2.1")


class Policies:
    """Demands what the test says."""

    def __init__(self) -> None:
        self.level = TlsLevel.OPPORTUNISTIC
        self.released = False

    async def requirement(self, domain: str, host: str, *, secure: bool, port: int = 25) -> TlsRequirement:
        return TlsRequirement(level=self.level, reason="a policy", vouched=secure, released=self.released)

    def source(self, requirement, host):
        return OpportunisticTls().source(requirement, host)


async def test_a_domain_that_once_demanded_tls_is_never_sent_mail_in_the_clear() -> None:
    policies = Policies()
    clock = StandingClock()
    never = NeverWeaker(policies, MemoryTransport(), clock.now, most=2)
    assert (await never.requirement("a.test", "mx", secure=False)).level is TlsLevel.OPPORTUNISTIC
    policies.level = TlsLevel.VERIFY
    assert (await never.requirement("a.test", "mx", secure=False)).level is TlsLevel.VERIFY
    policies.level = TlsLevel.OPPORTUNISTIC
    kept = await never.requirement("a.test", "mx", secure=True)
    assert (kept.level, kept.reason, kept.vouched) == (
        TlsLevel.ENCRYPT,
        "a.test has demanded TLS before (a policy)",
        True,
    )
    assert (await never.requirement("b.test", "mx", secure=False)).level is TlsLevel.OPPORTUNISTIC
    policies.released = True
    assert (await never.requirement("a.test", "mx", secure=True)).level is TlsLevel.OPPORTUNISTIC
    policies.released = False
    assert (await never.requirement("a.test", "mx", secure=True)).level is TlsLevel.OPPORTUNISTIC


async def test_what_a_domain_once_demanded_is_forgotten_after_a_week() -> None:
    policies, clock = Policies(), StandingClock()
    never = NeverWeaker(policies, MemoryTransport(), clock.now)
    policies.level = TlsLevel.VERIFY
    await never.requirement("a.test", "mx", secure=False)
    policies.level = TlsLevel.OPPORTUNISTIC
    clock.time += 6 * 86400
    assert (await never.requirement("a.test", "mx", secure=False)).level is TlsLevel.ENCRYPT
    clock.time += 2 * 86400
    assert (await never.requirement("a.test", "mx", secure=False)).level is TlsLevel.OPPORTUNISTIC


async def test_what_a_domain_once_demanded_is_known_after_a_restart_and_to_all() -> None:
    policies, clock, kept = Policies(), StandingClock(), MemoryTransport()
    policies.level = TlsLevel.VERIFY
    await NeverWeaker(policies, kept, clock.now).requirement("a.test", "mx", secure=False)
    first = kept.demanded("a.test")
    assert first is not None
    policies.level = TlsLevel.OPPORTUNISTIC
    after = NeverWeaker(policies, kept, clock.now)
    assert (await after.requirement("a.test", "mx", secure=False)).level is TlsLevel.ENCRYPT
    assert kept.demanded("a.test") == first, "asking does not prolong it"
    policies.released = True
    await after.requirement("a.test", "mx", secure=False)
    assert kept.demanded("a.test") is None


async def test_it_is_written_down_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    policies, clock, kept = Policies(), StandingClock(), MemoryTransport()
    policies.level = TlsLevel.DANE
    never = NeverWeaker(policies, kept, clock.now)
    untils = set()
    for _ in range(9):
        await never.requirement("a.test", "mx", secure=False)
        untils.add(kept.demanded("a.test").until)
        clock.time += 900
    assert len(untils) == 3


async def test_a_store_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    policies, clock, kept = Policies(), StandingClock(), MemoryTransport()
    never = NeverWeaker(policies, kept, clock.now)
    policies.level = TlsLevel.VERIFY
    await never.requirement("a.test", "mx", secure=False)

    def broken(domain: str) -> None:
        raise StoreUnavailable("locked")

    monkeypatch.setattr(kept, "demanded", broken)
    policies.level = TlsLevel.OPPORTUNISTIC
    assert (await never.requirement("a.test", "mx", secure=False)).level is TlsLevel.ENCRYPT
    assert (await never.requirement("b.test", "mx", secure=False)).level is TlsLevel.OPPORTUNISTIC


@pytest.mark.parametrize(("limit", "workers", "each"), [(20, 1, 20), (20, 2, 10), (20, 3, 7), (1, 4, 1), (5, 4, 2)])
def test_workers_share_what_a_destination_is_given(limit: int, workers: int, each: int) -> None:
    hop = Nexthop(key="x", host="x.test", port=25, limit=limit, per_minute=60)
    pace = Destination("x", hop, Origin("mx.here.test"), "", workers).pace
    for _ in range(1000):
        pace.succeeded()
    assert pace.window == each
    assert pace.turn(100.0) == 0.0
    assert pace.turn(100.0) == workers, "seconds until the next"

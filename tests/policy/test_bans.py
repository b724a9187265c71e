"""Bans: what adds up to one, whom it hits, how long it lasts, and who is let off."""

from __future__ import annotations

import time

import pytest

from postroom.config import Bans as BansConfig
from postroom.config import Config, Limits
from postroom.policy import Bans, Conduct, ConnectionGate, LoginThrottle, Offence, Tables, Tally
from postroom.policy.networks import prefix_of, region, wider
from postroom.store.api import Ban, StoreUnavailable
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock

IP = "192.0.2.1"
NEIGHBOUR = "192.0.2.9"


class Worker:
    def __init__(self, house: House, slot: int) -> None:
        config = house.config
        limits = house.store.limits
        self.bans = Bans(limits, house.clock, house.tell, config.bans.first, config.bans.longest)
        self.conduct = Conduct(config, house.tables, slot, house.clock, self.bans)
        self.gate = ConnectionGate(config.limits, house.tables, slot, None, self.bans)
        self.throttle = LoginThrottle(config.limits, house.tables, slot, house.clock, self.conduct.note)

    async def note(self, offence: Offence, ip: str = IP, times: int = 1) -> None:
        self.conduct.note(offence, ip, times)
        await self.bans.settled()


class House:
    def __init__(self, limits: Limits | None = None, **bans: object) -> None:
        self.clock = SettableClock(1_700_000_000.0)
        self.store = MemoryStore(clock=self.clock)
        self.tables = Tables(2, b"key")
        self.config = Config(limits=limits or Limits(), bans=BansConfig(**bans))  # type: ignore[arg-type]
        self.events: list[tuple[str, dict[str, object]]] = []
        self.one, self.two = Worker(self, 0), Worker(self, 1)

    def tell(self, name: str, /, **fields: object) -> None:
        self.events.append((name, fields))


async def test_offences_of_all_workers_add_up() -> None:
    house = House()
    for number in range(9):
        await (house.one, house.two)[number % 2].note(Offence.WRONG_PASSWORD)
        assert house.one.gate.admit("imap", IP).ok
    await house.two.note(Offence.WRONG_PASSWORD)
    for worker in (house.one, house.two):
        for service in ("smtp", "submission", "imap", "pop3", "lmtp"):
            refused = worker.gate.admit(service, IP)
            assert refused.text == ("192.0.2.1 is turned away until 22:24 UTC (in 10 minutes): too many failed log-ins")
            assert not refused.final
        assert worker.bans.barred(IP)
        assert worker.gate.admit("imap", NEIGHBOUR).ok
    assert [name for name, _ in house.events] == ["ban.made"]
    assert house.events[0][1] == {
        "network": IP,
        "until": house.clock.time + 600,
        "times": 1,
        "reason": "too many failed log-ins",
    }
    house.clock.time += 601
    assert house.one.gate.admit("imap", IP).ok


async def test_a_ban_grows_and_is_forgiven() -> None:
    house = House()
    for times in range(1, 4):
        await house.one.note(Offence.WRONG_PASSWORD, times=10)
        (ban,) = house.store.limits.bans()
        assert (ban.times, ban.until) == (times, house.clock.time + 600 * 2 ** (times - 1))
        house.clock.time = ban.until + 1200  # the points are gone too
        assert not house.two.bans.barred(IP)
    house.clock.time += 2 * 86400
    await house.one.note(Offence.WRONG_PASSWORD, times=10)
    assert house.store.limits.bans()[0].times == 1


async def test_offences_fade() -> None:
    house = House()
    for _ in range(30):
        await house.one.note(Offence.WRONG_PASSWORD)
        house.clock.time += 120
    assert not house.events


@pytest.mark.parametrize("offence", list(Offence))
async def test_nothing_bans_at_once(offence: Offence) -> None:
    house = House()
    await house.one.note(offence, times=4)
    assert not house.events


async def test_a_whole_network() -> None:
    house = House(Limits(network_multiple=3))
    for number in range(1, 35):
        await house.one.note(Offence.WRONG_PASSWORD, f"192.0.2.{number}", times=1)
    assert house.events[-1][1]["network"] == "192.0.2.0/24"
    assert house.two.bans.barred("192.0.2.200")
    assert not house.two.bans.barred("192.0.3.1")


async def test_ipv6_by_site() -> None:
    house = House(Limits(network_multiple=3))
    await house.one.note(Offence.WRONG_PASSWORD, "2001:db8:0:1::1", times=10)
    assert house.one.bans.barred("2001:db8:0:1:ffff::2")
    assert not house.one.bans.barred("2001:db8:0:2::1")
    for number in range(2, 5):
        await house.one.note(Offence.WRONG_PASSWORD, f"2001:db8:0:{number}::1", times=9)
    assert house.one.bans.barred("2001:db8:0:77::1")
    assert not house.one.bans.barred("2001:db8:0:177::1")


async def test_who_is_exempt() -> None:
    limits = Limits(trusted_networks=("198.51.100.0/24",), relay_networks=("203.0.113.0/24",))
    house = House(limits)
    for ip in ("127.0.0.1", "::1", "198.51.100.7", "203.0.113.7", ""):
        await house.one.note(Offence.WRONG_PASSWORD, ip, times=1000)
        assert not house.one.bans.barred(ip)
    house = House(exempt_networks=())
    await house.one.note(Offence.WRONG_PASSWORD, "127.0.0.1", times=10)
    assert house.one.bans.barred("127.0.0.1")


async def test_our_own_people_are_let_off_ten_times_as_much() -> None:
    house = House()
    house.one.throttle.succeeded(IP, "ann@x.test")
    house.clock.time += 12 * 3600 - 1
    await house.two.note(Offence.WRONG_PASSWORD, times=99)
    assert not house.two.bans.barred(IP)
    await house.two.note(Offence.WRONG_PASSWORD, times=1)
    assert house.two.bans.barred(IP)


async def test_a_login_is_forgotten_after_a_day() -> None:
    house = House()
    house.one.throttle.succeeded(IP, "ann@x.test")
    house.clock.time += 86400 + 1
    await house.two.note(Offence.WRONG_PASSWORD, times=10)
    assert house.two.bans.barred(IP)


async def test_a_forgotten_device_is_no_guesser() -> None:
    house = House()
    for _ in range(40):
        house.one.throttle.failed(IP, "ann@x.test", "last year's password")
    await house.one.bans.settled()
    assert not house.events
    for number in range(10):
        house.one.throttle.failed(IP, "ann@x.test", f"guess{number}")
    await house.one.bans.settled()
    assert house.one.bans.barred(IP)


async def test_no_points_no_bans() -> None:
    house = House(points=0)
    await house.one.note(Offence.WRONG_PASSWORD, times=10_000)
    assert not house.events


@pytest.mark.parametrize(
    ("tally", "points"),
    [
        (Tally(wanted=True, welcome=5, kept=5), 0),
        (Tally(wanted=True, welcome=5, unknown=5, kept=1), 0),  # a list with old addresses
        (Tally(wanted=True, welcome=1, unknown=4), 20),
        (Tally(wanted=True, unknown=1), 5),
        (Tally(wanted=True, relaying=2), 20),
        (Tally(wanted=True, welcome=9, kept=3, refused=2), 0),  # somebody's forwarding, spam and all
        (Tally(wanted=True, welcome=3, refused=3), 30),
        (Tally(nonsense=True), 20),
        (Tally(), 1),
        (Tally(wanted=True), 0),
    ],
)
async def test_what_a_session_costs(tally: Tally, points: int) -> None:
    house = House(points=points or 1)
    house.one.conduct.session(IP, tally)
    await house.one.bans.settled()
    assert bool(house.events) == bool(points)
    house = House(points=points + 1)
    house.one.conduct.session(IP, tally)
    await house.one.bans.settled()
    assert not house.events


async def test_welcome_mail_makes_up_for_mail_that_is_not() -> None:
    house = House()
    spam, good = Tally(wanted=True, refused=1), Tally(wanted=True, welcome=1, kept=1)
    for _ in range(40):  # a large provider: more good than bad
        for tally in (spam, good, good):
            house.one.conduct.session(IP, tally)
    await house.one.bans.settled()
    assert not house.events
    for _ in range(50):
        house.one.conduct.session(IP, good)
    for _ in range(10):  # nothing is saved up
        house.two.conduct.session(IP, spam)
    await house.two.bans.settled()
    assert house.one.bans.barred(IP)


async def test_mail_makes_up_for_no_guesses() -> None:
    house = House()
    for _ in range(10):
        house.one.conduct.session(IP, Tally(wanted=True, welcome=1, kept=1))
        house.one.conduct.note(Offence.WRONG_PASSWORD, IP)
    await house.one.bans.settled()
    assert house.one.bans.barred(IP)


async def test_a_botnet_costs_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.policy.bans.MOST", 500)
    monkeypatch.setattr("postroom.policy.bans._MANY", 100)
    house = House()
    for number in range(2000):
        network = f"10.{number >> 8}.{number & 255}.1"
        until = house.clock.time + (600 if number < 900 else 6000)
        await house.store.limits.put_ban(Ban(network=network, since=0.0, until=until, reason="x"))
        house.one.bans.find(IP)
        if number == 899:
            assert house.one.bans.count == 500
            house.clock.time += 601
    assert house.one.bans.count == 500
    assert house.one.bans.barred("10.3.200.1")
    assert not house.one.bans.barred("10.0.7.1")


async def test_the_administrator_bans_any_network_for_good() -> None:
    house = House(Limits(trusted_networks=("10.9.0.0/16",)))
    for network in ("10.0.0.0/8", "2001:db8::/32", "198.51.100.7"):
        _, printed = prefix_of(network)
        await house.store.limits.put_ban(
            Ban(network=printed, since=house.clock.time, until=float("inf"), reason="spammers", by="root")
        )
    refused = house.one.gate.admit("smtp", "10.1.2.3")
    assert refused.final
    assert refused.text == "10.0.0.0/8 may not connect here: spammers"
    assert house.one.bans.barred("2001:db8:7::1")
    assert house.one.bans.barred("198.51.100.7")
    assert not house.one.bans.barred("198.51.100.8")
    assert house.one.gate.admit("smtp", "10.9.1.1").ok  # trusted networks pass
    for ban in house.store.limits.bans():
        await house.store.limits.put_ban(
            Ban(network=ban.network, since=house.clock.time, until=house.clock.time, reason="lifted")
        )
    assert house.one.gate.admit("smtp", "10.1.2.3").ok
    assert not house.one.bans._by_length  # nothing is left to look at


async def test_a_store_that_cannot_be_read_turns_nobody_away() -> None:
    house = House()
    await house.one.note(Offence.WRONG_PASSWORD, times=10)
    assert house.one.bans.barred(IP)

    def broken() -> int:
        raise StoreUnavailable("disk error")

    house.store.limits.generation = broken  # type: ignore[method-assign]
    assert house.one.bans.barred(IP)  # what is known still holds
    assert not house.one.bans.barred(NEIGHBOUR)
    assert house.two.gate.admit("imap", IP).ok
    assert "ban.unreadable" in [name for name, _ in house.events]


async def test_names_that_are_no_networks_are_left_out() -> None:
    house = House()
    for name in ("rubbish", "192.0.2.0/24"):
        await house.store.limits.put_ban(Ban(network=name, since=0.0, until=float("inf"), reason="x"))
    assert house.one.bans.barred(IP)


def test_guessing_at_one_login_from_everywhere_slows_only_strangers() -> None:
    house = House()
    house.one.throttle.succeeded("198.51.100.1", "Ann@x.test")
    for number in range(29):
        house.two.throttle.failed(f"10.{number}.0.1", "ann@x.test")
    assert house.one.throttle.before("203.0.113.1", "ann@x.test") == 0
    for number in range(40):
        house.two.throttle.failed(f"10.{number}.1.1", "ann@x.test")
    delay = house.one.throttle.before("203.0.113.1", "ann@x.test")
    assert delay is not None
    assert 1 < delay < 8
    assert house.one.throttle.before("198.51.100.77", "ann@x.test") == 0  # where it has succeeded
    assert house.one.throttle.before("203.0.113.1", "ben@x.test") == 0
    for number in range(40_000):
        house.two.throttle.failed(f"10.{number % 250}.{number // 250}.1", "ann@x.test")
    assert house.one.throttle.before("203.0.113.1", "ann@x.test") == 8  # never refused
    house = House(Limits(login_attack_after=0))
    for number in range(100):
        house.two.throttle.failed(f"10.{number}.0.1", "ann@x.test")
    assert house.one.throttle.before("203.0.113.1", "ann@x.test") == 0


@pytest.mark.parametrize(
    ("ip", "network", "area"),
    [
        ("192.0.2.7", "192.0.2.0/24", "192.0.0.0/16"),
        ("2001:db8:0:1234::7", "2001:db8:0:1200::/56", "2001:db8::/32"),
        ("127.0.0.9", "127.0.0.9", "127.0.0.0/16"),
        ("not:an:address", "not:an:address", "not:an:address"),
    ],
)
def test_networks_by_size(ip: str, network: str, area: str) -> None:
    assert (wider(ip), region(ip)) == (network, area)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1/32", "192.0.2.1"),
        (" 192.0.2.77/24", "192.0.2.0/24"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:7::1/48", "2001:db8:7::/48"),
    ],
)
def test_networks_as_people_write_them(text: str, printed: str) -> None:
    assert prefix_of(text)[1] == printed
    assert prefix_of(printed)[1] == printed


async def test_a_look_is_cheap() -> None:
    """A connection pays a few microseconds for the bans; ten times that would be a scan of them."""
    house = House()
    for number in range(2000):
        await house.store.limits.put_ban(
            Ban(network=f"10.{number >> 8}.{number & 255}.1", since=0.0, until=float("inf"), reason="x")
        )
    addresses = [f"172.16.{number}.1" for number in range(200)]
    house.one.bans.find(IP)
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for ip in addresses:
            house.one.bans.find(ip)
        best = min(best, (time.process_time() - start) / len(addresses))
    assert best < 50e-6

"""Gate, rates and throttle by a clock that stands still."""

from __future__ import annotations

import re

import pytest

from postroom.config import Limits
from postroom.policy import ConnectionGate, LoginThrottle, Networks, Rates, Tables
from postroom.policy.networks import neighbourhood, unit


class StandingClock:
    def __init__(self) -> None:
        self.time = 6000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def tables() -> Tables:
    return Tables(2, b"key")


def test_the_limit_holds_over_all_workers(tables: Tables) -> None:
    gates = [ConnectionGate(Limits(connections_per_ip=4), tables, slot) for slot in range(2)]
    for number in range(4):
        assert gates[number % 2].admit("imap", "192.0.2.1").ok
    refused = gates[0].admit("imap", "192.0.2.1")
    assert not refused.ok
    assert refused.text == "Too many connections from 192.0.2.1: 4 are allowed at once; close one first"
    assert gates[0].admit("pop3", "192.0.2.1").ok  # each service for itself
    assert gates[0].admit("imap", "192.0.2.2").ok
    gates[1].release("imap", "192.0.2.1")
    assert gates[0].admit("imap", "192.0.2.1").ok


def test_a_worker_that_died_is_forgotten(tables: Tables) -> None:
    gates = [ConnectionGate(Limits(connections_per_ip=2), tables, slot) for slot in range(2)]
    assert gates[0].admit("imap", "192.0.2.1").ok
    assert gates[1].admit("imap", "192.0.2.1").ok
    assert not gates[0].admit("imap", "192.0.2.1").ok
    tables.forget(1)
    assert gates[0].admit("imap", "192.0.2.1").ok
    assert not gates[0].admit("imap", "192.0.2.1").ok


def test_ipv6_counts_by_64(tables: Tables) -> None:
    gate = ConnectionGate(Limits(connections_per_ip=1), tables, 0)
    assert gate.admit("imap", "2001:db8:0:1::1").ok
    refused = gate.admit("imap", "2001:db8:0:1:ffff::2")
    assert not refused.ok
    assert "2001:db8:0:1::/64" in refused.text
    assert gate.admit("imap", "2001:db8:0:2::1").ok


def test_trusted_networks_pass_and_are_not_counted(tables: Tables, clock: StandingClock) -> None:
    limits = Limits(
        connections_per_ip=1,
        ip_messages_per_minute=1,
        trusted_networks=("192.0.2.0/24", "2001:db8::/32"),
        login_failures_per_minute=1,
        login_slow_after=1,
    )
    gate = ConnectionGate(limits, tables, 0)
    rates = Rates(limits, tables, 0, clock)
    throttle = LoginThrottle(limits, tables, 0, clock)
    for ip in ("192.0.2.7", "2001:db8::7"):
        for _ in range(3):
            assert gate.admit("imap", ip).ok
            assert rates.message(ip).ok
            throttle.failed(ip, "ann")
            assert throttle.before(ip, "ann") == 0
            throttle.succeeded(ip, "ann")
        gate.release("imap", ip)
    assert not any(tables.connections._counts)


def test_connections_a_minute(tables: Tables, clock: StandingClock) -> None:
    limits = Limits(ip_connections_per_minute=3)
    gate = ConnectionGate(limits, tables, 0, Rates(limits, tables, 0, clock))
    for _ in range(3):
        assert gate.admit("smtp", "192.0.2.1").ok
        gate.release("smtp", "192.0.2.1")
    refused = gate.admit("smtp", "192.0.2.1")
    assert not refused.ok
    assert re.fullmatch(
        r"Too many connections from 192\.0\.2\.1: 3 a minute are allowed; try again in \d+ seconds", refused.text
    )
    clock.time += 120
    assert gate.admit("smtp", "192.0.2.1").ok


def test_messages_a_minute_and_when_it_ends(tables: Tables, clock: StandingClock) -> None:
    rates = [Rates(Limits(ip_messages_per_minute=10), tables, slot, clock) for slot in range(2)]
    for number in range(10):
        assert rates[number % 2].message("192.0.2.1").ok
    refused = rates[0].message("192.0.2.1")
    assert not refused.ok
    seconds = int(refused.text.split()[-2])
    clock.time += seconds - 1
    assert not rates[0].message("192.0.2.1").ok
    clock.time += 1.1
    assert rates[0].message("192.0.2.1").ok
    assert Rates(Limits(), tables, 0, clock).message("192.0.2.1").ok  # 0 is off


IP = "192.0.2.1"
NEIGHBOUR = "192.0.2.99"


@pytest.fixture
def throttles(tables: Tables, clock: StandingClock) -> list[LoginThrottle]:
    return [LoginThrottle(Limits(), tables, slot, clock) for slot in range(2)]


def test_failures_slow_down_then_refuse(throttles: list[LoginThrottle], clock: StandingClock) -> None:
    answers = []
    for number in range(12):
        answers.append(throttles[number % 2].before(IP, f"guess{number}"))
        throttles[number % 2].failed(IP, f"guess{number}")
    assert answers == [0, 0, 0, 0, 0, 1, 2, 4, 8, 8, None, None]
    assert throttles[0].before(NEIGHBOUR, "ann") is None
    assert throttles[0].before("198.51.100.1", "ann") == 0
    text = throttles[0].text(NEIGHBOUR)
    assert re.fullmatch(
        r"Too many failed logins from 192\.0\.2\.0/24: 10 a minute are allowed; try again in \d+ seconds", text
    )
    clock.time += int(text.split()[-2]) + 0.1
    assert throttles[1].before(IP, "ann") is not None


def test_a_success_takes_back_its_own_failures_only(throttles: list[LoginThrottle]) -> None:
    for _ in range(4):
        throttles[0].failed(IP, "Ann@example.com")
    for number in range(4):
        throttles[1].failed(IP, f"guess{number}")
    assert throttles[0].before(IP, "x") == 8
    throttles[1].succeeded(IP, "ann@example.com")
    assert throttles[0].before(IP, "x") == 0
    throttles[0].failed(IP, "x")
    assert throttles[0].before(IP, "x") == 1
    throttles[0].succeeded(IP, "mallory@example.com")  # knows one password, guesses others
    assert throttles[0].before(IP, "x") == 1


def test_one_bad_phone_does_not_lock_the_office_out(throttles: list[LoginThrottle]) -> None:
    throttle = throttles[0]
    throttle.succeeded(IP, "ann")
    for _ in range(20):
        throttle.failed(IP, "ben")
    assert throttle.before(NEIGHBOUR, "ben") is None
    assert throttle.before(NEIGHBOUR, "carla") is None  # never seen here
    assert throttle.before(NEIGHBOUR, "ann") == 0
    for _ in range(10):
        throttle.failed(NEIGHBOUR, "ann")
    assert throttle.before(NEIGHBOUR, "ann") is None


@pytest.mark.parametrize(
    ("ip", "one", "many"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
        ("2001:db8::7", "2001:db8::/64", "2001:db8::/64"),
        ("::1", "::/64", "::/64"),
        ("", "", ".0/24"),
        ("not:an:address", "not:an:address", "not:an:address"),
    ],
)
def test_who_counts_as_one(ip: str, one: str, many: str) -> None:
    assert unit(ip) == one
    assert neighbourhood(ip) == many


def test_networks() -> None:
    networks = Networks(["192.0.2.0/25", "2001:db8::/48", "198.51.100.7"])
    assert networks.contains("192.0.2.127")
    assert not networks.contains("192.0.2.128")
    assert networks.contains("198.51.100.7")
    assert networks.contains("2001:db8:0:ffff::1")
    assert not networks.contains("2001:db8:1::1")
    assert not networks.contains("")
    assert not Networks([]).contains("192.0.2.1")
    with pytest.raises(ValueError, match="appear to be"):
        Networks(["office"])


def test_a_network_may_have_a_multiple(tables: Tables) -> None:
    limits = Limits(connections_per_ip=2, network_multiple=3)
    gates = [ConnectionGate(limits, tables, slot) for slot in range(2)]
    for number in range(6):
        assert gates[number % 2].admit("lmtp", f"192.0.2.{number}").ok
    refused = gates[0].admit("lmtp", "192.0.2.77")
    assert refused.text == "Too many connections from 192.0.2.0/24: 6 are allowed at once; close one first"
    assert gates[0].admit("imap", "192.0.2.77").ok  # each service for itself
    assert gates[0].admit("lmtp", "192.0.3.1").ok
    gates[1].release("lmtp", "192.0.2.1")
    assert gates[0].admit("lmtp", "192.0.2.77").ok
    for number in range(30):  # on this machine every address is this machine
        assert gates[0].admit("lmtp", f"127.0.0.{number}").ok


def test_networks_of_any_size_when_that_is_off(tables: Tables) -> None:
    gate = ConnectionGate(Limits(connections_per_ip=1, network_multiple=0), tables, 0)
    for number in range(50):
        assert gate.admit("smtp", f"192.0.2.{number}").ok


def test_octets_a_minute(tables: Tables, clock: StandingClock) -> None:
    limits = Limits(ip_bytes_per_minute=1024 * 1024, network_multiple=2)
    rates = [Rates(limits, tables, slot, clock) for slot in range(2)]
    assert rates[0].message("192.0.2.1").ok
    rates[0].octets("192.0.2.1", 3 * 1024 * 1024)  # the last one is let in whole
    refused = rates[1].message("192.0.2.1")
    assert re.fullmatch(
        r"Too many KiB of mail from 192\.0\.2\.1: 1024 a minute are allowed; try again in \d+ seconds", refused.text
    )
    assert "KiB of mail from 192.0.2.0/24: 2048" in rates[1].message("192.0.2.2").text
    assert rates[1].message("192.0.3.1").ok
    clock.time += int(refused.text.split()[-2]) + 1
    assert rates[1].message("192.0.2.1").ok
    rates[0].octets("192.0.4.1", 2**40)  # more than a cell could count in octets
    assert not rates[0].message("192.0.4.1").ok


def test_messages_of_a_network(tables: Tables, clock: StandingClock) -> None:
    rates = Rates(Limits(ip_messages_per_minute=2, network_multiple=2), tables, 0, clock)
    for number in range(4):
        assert rates.message(f"192.0.2.{number}").ok
    assert "192.0.2.0/24: 4 a minute" in rates.message("192.0.2.77").text
    assert rates.message("192.0.3.1").ok

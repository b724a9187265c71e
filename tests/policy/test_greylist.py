"""Unknown servers wait, known ones do not."""

from __future__ import annotations

import msgspec
import pytest

from postroom.config import Config, Filter, Limits, Server
from postroom.policy.greylist import Greylist
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock
from postroom.values.refusal import Refusal


def greylist(clock: SettableClock, seconds: float = 300.0) -> Greylist:
    config = Config(
        server=Server(hostname="mx.example.org"),
        filter=Filter(greylist_seconds=seconds),
        limits=msgspec.structs.replace(Limits(), trusted_networks=("203.0.113.0/24",)),
    )
    return Greylist(MemoryStore(clock=clock).limits, config, clock)


async def refused(one: Greylist, ip: str, sender: str = "a@far.test", to: str = "ann@example.org") -> str:
    try:
        await one.check(ip, sender, to)
    except Refusal as fault:
        assert (fault.code, fault.enhanced) == (451, "4.7.1")
        return fault.public
    return ""


async def test_the_first_mail_waits_and_its_network_is_known_then() -> None:
    clock = SettableClock()
    one = greylist(clock)
    assert "try again in 5 min" in await refused(one, "192.0.2.1")
    clock.time += 100
    assert "try again in 4 min" in await refused(one, "192.0.2.1")
    clock.time += 150
    assert await refused(one, "192.0.2.7", "other@far.test"), "another mail waits for itself"
    clock.time += 50
    assert not await refused(one, "192.0.2.9"), "a neighbour may bring it again"
    assert not await refused(one, "192.0.2.1", "new@far.test", "ben@example.org")
    assert await refused(one, "198.51.100.1")


async def test_networks_of_ipv6_and_those_who_never_wait() -> None:
    clock = SettableClock()
    one = greylist(clock)
    assert await refused(one, "2001:db8:1:2::1")
    clock.time += 300
    assert not await refused(one, "2001:db8:1:2:3::9")
    assert not await refused(one, "203.0.113.5")
    assert not await refused(one, "127.0.0.1")
    assert not await refused(greylist(clock, 0.0), "192.0.2.1")


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_it_is_off_unless_asked_for(seconds: float) -> None:
    assert greylist(SettableClock(), seconds).active is (seconds > 0)

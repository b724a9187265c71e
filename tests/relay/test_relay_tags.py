"""Envelope senders that leave with a tag (BATV), and those that do not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from relay_house import House, Zone

from postroom.config import Limits
from postroom.identity.batv import Batv
from postroom.identity.srs import Srs
from postroom.identity.tagging import Tagging
from postroom.store.api import DomainRow
from postroom.store.memory.directory import MemoryDirectory
from postroom.testing.scripted_peer import ScriptedPeer
from postroom.values.address import Address

SECRET = (b"secret",)
BATV = Batv(SECRET)


@pytest.fixture
async def peer():
    found = ScriptedPeer(name="mx.far.test")
    await found.start("127.0.0.2", 0)
    yield found
    await found.stop()


async def directory(**domains: str) -> MemoryDirectory:
    found = MemoryDirectory()
    for name, mode in domains.items():
        await found.put_domain(DomainRow(name=f"{name}.test", created=0.0, batv=mode, batv_since=1.0))
    return found


def built(peer: ScriptedPeer, people: MemoryDirectory, **more: object) -> House:
    zone = Zone({"far.test": {"MX": [(10, "mx.far.test")]}, "mx.far.test": {"A": ["127.0.0.2"]}})
    return House(peer, zone, more or None, srs=Srs(SECRET), tags=Tagging(people, BATV))


async def sent(house: House, peer: ScriptedPeer, number: int, entry, **recipient: str) -> str:
    house.relay.take(entry, tuple(replace(one, **recipient) for one in entry.recipients))
    await house.queue.until(number)
    return peer.messages[-1].mail.partition(">")[0].strip("<")


async def test_our_peoples_mail_leaves_with_a_tag_where_the_domain_wants_it(peer: ScriptedPeer) -> None:
    people = await directory(here="tag", plain="off", other="require")
    await people.put_domain(DomainRow(name="alias.test", created=0.0, alias_of="here.test"))
    house = built(peer, people)
    cases = (
        ("ann@here.test", True),
        ("ann@plain.test", False),
        ("ann@other.test", True),
        ("ann@alias.test", True),
        ("x@outside.test", False),
        ("", False),
        (f"{'a' * 49}@here.test", False),
        (str(Srs(SECRET).forward(Address.parse("x@far.test"), "here.test", 1e9)), False),
    )
    for number, (sender, tagged) in enumerate(cases, 1):
        entry = replace(house.entry("x@far.test", sender=sender), id=f"q{number}", account="acc")
        used = await sent(house, peer, number, entry)
        assert (used != sender) is tagged, sender
        if tagged:
            assert str(BATV.check(Address.parse(used), house.clock.time)) == sender


async def test_what_strangers_send_under_our_addresses_has_none(peer: ScriptedPeer) -> None:
    people = await directory(here="tag")
    house = built(peer, people, limits=Limits(relay_networks=("192.0.2.0/24",)))
    cases = (("198.51.100.1", False), ("192.0.2.9", True), ("", True))
    for number, (origin, tagged) in enumerate(cases, 1):
        entry = replace(house.entry("x@far.test", sender="ann@here.test"), id=f"q{number}", account="", peer=origin)
        assert ((await sent(house, peer, number, entry)) != "ann@here.test") is tagged, origin


async def test_mail_that_is_passed_on_has_a_return_address_and_no_tag(peer: ScriptedPeer) -> None:
    house = built(peer, await directory(here="tag"))
    theirs = str(Batv((b"theirs",)).tagged(Address.parse("bob@outside.test"), house.clock.time))
    entry = replace(house.entry("x@far.test", sender=theirs), peer="198.51.100.1")
    used = Address.parse(await sent(house, peer, 1, entry, forwarder="info@here.test"))
    assert used.local.startswith("SRS0=")
    assert str(Srs(SECRET).reverse(used.local, house.clock.time)) == theirs


async def test_a_wish_that_changes_is_seen_with_the_next_message(peer: ScriptedPeer) -> None:
    people = await directory(here="off")
    house = built(peer, people)
    for number, mode in enumerate(("off", "tag", "off"), 1):
        await people.put_domain(DomainRow(name="here.test", created=0.0, batv=mode))
        entry = replace(house.entry("x@far.test", sender="ann@here.test"), id=f"q{number}", account="acc")
        assert ((await sent(house, peer, number, entry)) != "ann@here.test") is (mode == "tag")
